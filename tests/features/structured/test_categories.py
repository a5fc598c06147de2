from polyclinic.features.structured.categories import categorise
from tests.features.records import known_of, samples_of

VOCABULARY = {"A": ["high", "low"], "B": ["low", "none"], "C": []}


def latest(rows, subjects=(1, 2)):
    samples = samples_of(list(subjects))
    found = categorise(known_of(rows, samples), samples, VOCABULARY)
    return sorted(zip(found.row.tolist(), found.code.tolist(), found.category.tolist(), strict=True))


def test_text_shared_by_two_codes_is_a_category_of_each():
    assert latest([(1, 1, "A", "low"), (1, 2, "B", "low"), (2, 3, "B", "none")]) == [(0, 0, 1), (0, 1, 2), (1, 1, 3)]


def test_text_outside_the_codes_vocabulary_is_unknown():
    assert latest([(1, 1, "A", "none"), (2, 1, "A", "medium"), (2, 1, "C", "low")]) == [
        (0, 0, -1),
        (1, 0, -1),
        (1, 2, -1),
    ]


def test_static_facts_count_as_oldest():
    assert latest([(1, None, "A", "low"), (2, 5, "A", "high"), (2, 4, "A", "low"), (2, None, "A", "low")]) == [
        (0, 0, 1),
        (1, 0, 0),
    ]


def test_numbers_unknown_codes_and_other_subjects_are_ignored():
    assert latest([(1, 1, "A", 3.0), (1, 1, "D", "low"), (3, 1, "A", "low"), (1, 1, "B", None)]) == []
    assert latest([]) == []
