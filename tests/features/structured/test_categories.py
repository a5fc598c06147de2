from polyclinic.features.structured.categories import categorise
from tests.features.records import known_of, samples_of

VOCABULARY = {"A": ["high", "low"], "B": ["low", "none"], "C": []}


def latest(rows, subjects=(1, 2)):
    samples = samples_of(list(subjects))
    found = categorise(known_of(rows, samples), samples, VOCABULARY)
    return sorted(zip(found.row.tolist(), found.code.tolist(), found.category.tolist(), strict=True))


def test_a_word_that_two_codes_share_is_a_category_of_each():
    assert latest([(1, 1, "A", "low"), (1, 2, "B", "low"), (2, 3, "B", "none")]) == [(0, 0, 1), (0, 1, 2), (1, 1, 3)]


def test_a_word_of_another_code_or_of_none_is_no_category():
    assert latest([(1, 1, "A", "none"), (2, 1, "A", "medium"), (2, 1, "C", "low")]) == [
        (0, 0, -1),
        (1, 0, -1),
        (1, 2, -1),
    ]


def test_the_latest_counts_and_a_static_fact_where_nothing_else_is():
    assert latest([(1, None, "A", "low"), (2, 5, "A", "high"), (2, 4, "A", "low"), (2, None, "A", "low")]) == [
        (0, 0, 1),
        (1, 0, 0),
    ]


def test_numbers_unknown_codes_and_other_subjects_are_left_out():
    assert latest([(1, 1, "A", 3.0), (1, 1, "D", "low"), (3, 1, "A", "low"), (1, 1, "B", None)]) == []
    assert latest([]) == []
