import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.models.bundle.subject_digest import SubjectDigest

ids = st.sets(st.integers(0, 2**63 - 2), max_size=50)


@given(ids, ids)
def test_every_subject_is_found_again(fitted, others):
    digest = SubjectDigest.from_text(SubjectDigest.of(fitted).text())
    assert digest.count(fitted) == len(fitted)
    assert digest.count(fitted | others) >= len(fitted)


def test_others_are_not_found():
    digest = SubjectDigest.of(range(4000))
    assert digest.count(range(4000, 8000)) == 0


def test_other_texts_are_refused():
    with pytest.raises(ValueError, match="not a digest"):
        SubjectDigest.from_text("no base64!")
