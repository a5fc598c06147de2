"""Paths named by a source stay in the source's folder."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polyclinic.ingest.paths import MISSING, OUTSIDE, UnreadablePath, files_under, inside
from tests.ingest.sinks import RecordingSink


@pytest.fixture
def root(tmp_path):
    (tmp_path / "outside.txt").write_text("secret")
    root = tmp_path / "source"
    (root / "deep").mkdir(parents=True)
    (root / "deep" / "file.txt").write_text("ours")
    (root / "in").symlink_to(root / "deep")
    (root / "out").symlink_to(tmp_path)
    (root / "out.txt").symlink_to(tmp_path / "outside.txt")
    (root / "loop").symlink_to(root / "loop")
    return root


@pytest.mark.parametrize(
    "name", ["deep/file.txt", "./deep/file.txt", "deep\\file.txt", " deep/file.txt ", "in/file.txt"]
)
def test_files_in_the_source(root, name):
    assert inside(root, name).read_text() == "ours"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../outside.txt", OUTSIDE),
        ("deep/../../outside.txt", OUTSIDE),
        ("deep/../deep/file.txt", OUTSIDE),
        ("..\\outside.txt", OUTSIDE),
        ("/etc/passwd", OUTSIDE),
        ("C:\\file.txt", OUTSIDE),
        ("out/outside.txt", OUTSIDE),
        ("out.txt", OUTSIDE),
        ("file\0.txt", OUTSIDE),
        ("loop", OUTSIDE),
        ("none.txt", MISSING),
        ("deep", MISSING),
        ("", MISSING),
        ("x" * 5000, MISSING),
    ],
)
def test_names_outside_the_source_are_rejected(root, name, reason):
    with pytest.raises(UnreadablePath) as error:
        inside(root, name)
    assert error.value.reason == reason
    assert len(name) < 5 or name not in str(error.value)


PIECES = st.sampled_from(["..", ".", "", "deep", "in", "out", "out.txt", "outside.txt", "file.txt", "loop", "source"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PIECES, max_size=6), st.sampled_from(["/", "\\"]))
def test_found_files_are_in_the_folder(root, pieces, separator):
    try:
        found = inside(root, separator.join(pieces))
    except UnreadablePath:
        return
    assert found.read_text() == "ours"


def test_links_out_of_the_folder_are_rejected(root):
    kept = RecordingSink()
    assert [path.name for path in files_under(root, kept)] == ["file.txt"]
    assert sorted((reject.file, reject.reason) for reject in kept.rejects) == [
        ("loop", OUTSIDE),
        ("out", OUTSIDE),
        ("out.txt", OUTSIDE),
    ]
