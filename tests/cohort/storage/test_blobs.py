"""Blobs: named by their content, inside their folder."""

from pathlib import Path

import pytest

from polyclinic.cohort import Cohort, CohortError, CohortWriter
from polyclinic.cohort.storage.blobs import BlobStore
from polyclinic.files import sha256


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    (tmp_path / "staged").mkdir()
    return tmp_path / "staged"


def test_the_same_content_is_kept_once(tmp_path: Path, staged: Path) -> None:
    store = BlobStore(tmp_path / "blobs", staged)
    names = [store.add(b"picture", suffix) for suffix in ("png", ".PNG", "png")]
    assert set(names) == {f"{sha256(b'picture')}.png"}
    assert store.publish() == 1
    assert [path.read_bytes() for path in (tmp_path / "blobs").iterdir()] == [b"picture"]
    again = BlobStore(tmp_path / "blobs", staged)
    assert again.add(b"picture", "png") == names[0]
    assert again.publish() == 0


def test_nothing_is_seen_before_it_is_published(tmp_path: Path, staged: Path) -> None:
    store = BlobStore(tmp_path / "blobs", staged)
    name = store.add(b"picture", "png")
    store.check([name])
    assert not (tmp_path / "blobs").exists()
    with pytest.raises(CohortError, match="no blob"):
        BlobStore(tmp_path / "blobs").path(name)
    store.publish()
    assert BlobStore(tmp_path / "blobs").path(name).read_bytes() == b"picture"


def test_a_torn_file_is_written_again(tmp_path: Path, staged: Path) -> None:
    store = BlobStore(tmp_path / "blobs", staged)
    name = store.add(b"picture", "npy.gz")
    store.publish()
    (tmp_path / "blobs" / name).write_bytes(b"pic")
    assert store.add(b"picture", "npy.gz") == name
    store.publish()
    assert (tmp_path / "blobs" / name).read_bytes() == b"picture"


@pytest.mark.parametrize("suffix", ["", "/png", "../x", "p ng", "a.b.c", "toolongsuffix"])
def test_bad_suffixes_are_refused(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(CohortError, match="suffix"):
        BlobStore(tmp_path).add(b"", suffix)


def test_names_cannot_leave_the_folder(tmp_path: Path) -> None:
    with CohortWriter(tmp_path / "cohort", source="test") as writer:
        name = writer.add_blob(b"picture", "png")
    cohort = Cohort.open(tmp_path / "cohort")
    assert cohort.blob(name).read_bytes() == b"picture"
    secret = tmp_path / f"{'a' * 64}.png"
    secret.write_bytes(b"secret")
    (tmp_path / "cohort" / "blobs" / secret.name).symlink_to(secret)
    for bad in (f"../../{secret.name}", str(secret), secret.name, name.replace("png", "jpg"), "", "."):
        with pytest.raises(CohortError):
            cohort.blob(bad)
