"""Output paths: checked before work begins, and failures of the file system in words."""

import errno
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.files import OutputError, check_file, check_folder, in_words, replacing, without_temporary_name

NAMES = st.text(st.characters(codec="ascii", exclude_characters="/\x00"), min_size=1, max_size=20).filter(
    lambda name: name not in (".", "..")
)


@given(NAMES, st.from_regex(r"[a-z0-9_]{8}", fullmatch=True))
def test_the_name_of_a_temporary_file_is_that_of_the_file_it_becomes(name: str, drawn: str) -> None:
    assert without_temporary_name(Path("out") / f".{name}.{drawn}.tmp") == Path("out") / name


def test_a_temporary_name_is_that_of_replacing(tmp_path: Path) -> None:
    with replacing(tmp_path / "p.parquet") as temporary:
        assert without_temporary_name(temporary) == tmp_path / "p.parquet"


@given(st.sampled_from(sorted(errno.errorcode)), NAMES)
def test_no_failure_shows_its_number_or_a_temporary_name(number: int, name: str) -> None:
    """Whatever the operating system says."""
    message = in_words(OSError(number, os.strerror(number), f"folder/.{name}.abcdefgh.tmp"))
    assert "[Errno" not in message
    assert ".abcdefgh.tmp" not in message


def test_an_unwritable_folder_is_named_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    denied = PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "new" / ".p.parquet.abcdefgh.tmp"))
    assert in_words(denied) == (
        f"the folder {tmp_path} cannot be written: choose another folder, or ask its owner for permission to write"
    )


def test_an_unwritable_folder_is_found_before_work_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    for check, path in ((check_folder, tmp_path / "a" / "b"), (check_file, tmp_path / "a" / "p.parquet")):
        with pytest.raises(OutputError, match=f"^the folder {re.escape(str(tmp_path))} cannot be written: choose"):
            check(path)


def test_a_check_leaves_nothing_behind(tmp_path: Path) -> None:
    check_folder(tmp_path / "a" / "b")
    check_file(tmp_path / "a" / "p.parquet")
    assert not list(tmp_path.iterdir())


def test_files_of_another_kind_are_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    for content, replaced in ((b"", True), (b"\n<!DOCTYPE html>", True), (b"id,value\n1,2\n", False)):
        file.write_bytes(content)
        if replaced:
            check_file(file, (b"<!doctype html",))
        else:
            with pytest.raises(OutputError, match="file of another kind: name another"):
                check_file(file, (b"<!doctype html",))
    check_file(file)


def test_folders_devices_and_files_as_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputError, match="is a folder: name a file"):
        check_file(tmp_path)
    with pytest.raises(OutputError, match="is not a regular file"):
        check_file(tmp_path / "pipe")
    for below in (tmp_path / "file", tmp_path / "file" / "further"):
        with pytest.raises(OutputError, match=r"file is a file, not a folder"):
            check_folder(below)
