"""Reasons of blobs that cannot be used travel with the samples."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.features.blobs import (
    MOST_NAMED,
    UNUSABLE,
    ImageError,
    caution_of,
    content_of,
    damaged_blobs,
    unusable_blobs,
    unusable_lines,
)
from polyclinic.files import sha256

REASONS = st.lists(st.sampled_from([f"image {letter}: damaged" for letter in "abcdefgh"]), max_size=5)


@given(st.lists(REASONS, max_size=6))
def test_every_reason_is_found_once_and_rows_can_be_selected(reasons):
    lines = unusable_lines(reasons)
    assert lines.shape == (len(reasons),)
    found = unusable_blobs({"image": {UNUSABLE: lines}, "structured": {}})
    assert sorted(found) == sorted({reason for own in reasons for reason in own})
    for row, own in enumerate(reasons):
        assert sorted(unusable_blobs({"image": {UNUSABLE: lines[row : row + 1]}})) == sorted(set(own))


@given(st.integers(1, 40))
def test_a_caution_counts_all_and_names_the_first(number):
    text = caution_of([f"image {place} is damaged" for place in range(number)])
    assert f"{number} image" in text
    assert text.count("is damaged") == min(number, MOST_NAMED)
    assert ("more" in text) == (number > MOST_NAMED)
    assert "polyclinic remove COHORT --blob NAME" in text


def test_content_is_checked_against_the_name(tmp_path):
    name = f"{sha256(b'content')}.png"
    file = tmp_path / name
    file.write_bytes(b"content")
    blobs = tmp_path.joinpath
    assert content_of(blobs, name, ImageError, "image") == b"content"
    arrays = {"image": {"blob": np.array([[name, ""]])}, "note": {}}
    assert damaged_blobs(arrays, blobs) == {}
    file.write_bytes(b"other")
    with pytest.raises(ImageError, match=f"image {name} is damaged"):
        content_of(blobs, name, ImageError, "image")
    assert list(damaged_blobs(arrays, blobs)) == [name]
    file.unlink()
    with pytest.raises(ImageError, match="cannot be read"):
        content_of(blobs, name, ImageError, "image")
