"""Which texts are answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.tasks import Task
from polyclinic.tasks.categories import NO, NONE, OPPOSITES, YES, answers_of, negatives_of
from polyclinic.tasks.definition import Target
from polyclinic.tasks.labels import label_events
from tests.tasks.conftest import events

WORDS = ["dead", "alive", "yes", "no", "unknown", "n/a", "lost to follow-up", "transferred", "0", "", "Not dead"]
TEXTS = st.sampled_from(WORDS) | st.text(st.characters(codec="ascii", exclude_characters="*?[]"), max_size=12)
NAMED = st.lists(TEXTS.filter(str.strip), min_size=1, max_size=3)


def plain(text):
    return text.strip().casefold()


def target(**parts):
    return Target(codes="OUTCOME//x", read="category", **parts)


@given(st.lists(TEXTS, max_size=8), NAMED, st.none() | NAMED)
def test_a_text_is_no_only_if_it_is_named_or_the_opposite_of_a_named_one(texts, positive, negative):
    parts = {"positive": tuple(positive), "negative": tuple(negative or ())}
    answers = answers_of(texts, "binary", target(**parts))
    opposite = {
        word
        for pair in OPPOSITES
        for one, other in (pair, pair[::-1])
        if one & set(map(plain, positive))
        for word in other
    }
    allowed = set(map(plain, negative)) if negative else opposite
    for text in texts:
        if answers.get(text) == (NO,):
            assert plain(text) in allowed
        if plain(text) in set(map(plain, positive)):
            assert answers[text] == (YES,)
        if plain(text) in ("unknown", "n/a", "lost to follow-up") and plain(text) not in {
            plain(word) for word in (*positive, *(negative or ()))
        }:
            assert text not in answers


@given(st.lists(TEXTS.filter(lambda text: len(text) > 0), min_size=1, max_size=6), NAMED)
def test_samples_are_labelled_no_only_by_such_a_text(texts, positive):
    """Through the labels themselves, one patient per text: yes, no and unknown add up, and unknown is counted."""
    task = Task(
        name="x",
        kind="binary",
        prediction={"anchor": "origin", "offset": "10h"},
        target={"codes": "OUTCOME//x", "read": "category", "positive": positive},
    )
    rows = [(number, 0, "LAB//a", 1.0) for number in range(len(texts))]
    rows += [(number, 12, "OUTCOME//x", text) for number, text in enumerate(texts)]
    labels = label_events(events(rows).lazy(), task)
    found = dict(labels.frame.select("subject_id", "boolean_value").iter_rows())
    negatives = negatives_of(task.target)
    for number, text in enumerate(texts):
        assert found.get(number) is not False or plain(text) in negatives
    assert sum(value.samples for value in labels.values if value.answer is None) == len(texts) - len(found)
    assert sum(value.samples for value in labels.values) == len(texts)


@given(st.lists(TEXTS, max_size=8), NAMED, NAMED)
def test_classes_are_only_what_is_named(texts, one, other):
    classes = {"one": tuple(one), "other": tuple(other)}
    for kind in ("multiclass", "multilabel"):
        for text, answer in answers_of(texts, kind, target(classes=classes)).items():
            assert all(plain(text) in set(map(plain, classes[name])) for name in answer)
            assert len(answer) == 1 or kind == "multilabel"


@pytest.mark.parametrize(
    ("positive", "negative", "no"),
    [
        ("dead", (), {"alive", "survived"}),
        ("Survived", (), {"dead", "died"}),
        ("Y", (), {"N"}),
        ("dead*", (), set()),
        (("dead", "alive"), (), set()),
        ("dead", "transferred", {"transferred"}),
        ("dead", "*", {"alive", "unknown", "N", "survived", "died", "transferred"}),
    ],
)
def test_opposites_are_used_where_no_text_is_named(positive, negative, no):
    texts = ["dead", "alive", "survived", "unknown", "N", "died", "transferred"]
    answers = answers_of(texts, "binary", target(positive=positive, negative=negative))
    assert {text for text, answer in answers.items() if answer == (NO,)} == no


def test_none_of_the_classes_is_named():
    found = answers_of(["a", "none", "?", "AB"], "multilabel", target(classes={"a": "a*", "b": "*b"}, negative="none"))
    assert found == {"a": ("a",), "none": (NONE,), "AB": ("a", "b")}
