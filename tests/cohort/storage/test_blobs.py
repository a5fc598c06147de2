"""Blobs: named by their content, confined to their folder."""

from pathlib import Path

import pytest

from polyclinic.cohort import Cohort, CohortError, CohortWriter
from polyclinic.cohort.storage.blobs import BlobStore
from polyclinic.files import sha256


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    (tmp_path / "staged").mkdir()
    return tmp_path / "staged"


def test_equal_content_is_stored_once(tmp_path: Path, staged: Path) -> None:
    store = BlobStore(tmp_path / "blobs", staged)
    names = [store.add(b"image", suffix) for suffix in ("png", ".PNG", "png")]
    assert set(names) == {f"{sha256(b'image')}.png"}
    assert store.publish() == 1
    assert [path.read_bytes() for path in (tmp_path / "blobs").iterdir()] == [b"image"]
    again = BlobStore(tmp_path / "blobs", staged)
    assert again.add(b"image", "png") == names[0]
    assert again.publish() == 0


def test_staged_blobs_are_invisible_until_published(tmp_path: Path, staged: Path) -> None:
    store = BlobStore(tmp_path / "blobs", staged)
    name = store.add(b"image", "png")
    store.check([name])
    assert not (tmp_path / "blobs").exists()
    with pytest.raises(CohortError, match="no blob"):
        BlobStore(tmp_path / "blobs").path(name)
    store.publish()
    assert BlobStore(tmp_path / "blobs").path(name).read_bytes() == b"image"


def test_a_truncated_file_is_rewritten(tmp_path: Path, staged: Path) -> None:
    store = BlobStore(tmp_path / "blobs", staged)
    name = store.add(b"image", "npy.gz")
    store.publish()
    (tmp_path / "blobs" / name).write_bytes(b"ima")
    assert store.add(b"image", "npy.gz") == name
    store.publish()
    assert (tmp_path / "blobs" / name).read_bytes() == b"image"


@pytest.mark.parametrize("suffix", ["", "/png", "../x", "p ng", "a.b.c", "toolongsuffix"])
def test_invalid_suffixes_are_rejected(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(CohortError, match="suffix"):
        BlobStore(tmp_path).add(b"", suffix)


def test_blob_names_cannot_escape_the_folder(tmp_path: Path) -> None:
    with CohortWriter(tmp_path / "cohort", source="test") as writer:
        name = writer.add_blob(b"image", "png")
    cohort = Cohort.open(tmp_path / "cohort")
    assert cohort.blob(name).read_bytes() == b"image"
    secret = tmp_path / f"{'a' * 64}.png"
    secret.write_bytes(b"secret")
    (tmp_path / "cohort" / "blobs" / secret.name).symlink_to(secret)
    for bad in (f"../../{secret.name}", str(secret), secret.name, name.replace("png", "jpg"), "", "."):
        with pytest.raises(CohortError):
            cohort.blob(bad)
