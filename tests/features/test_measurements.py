import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.features.featurizer import sample_rows
from polyclinic.features.measurements import encode, measure, ordered
from polyclinic.features.structured.categories import categorise, frequent_categories
from tests.features.records import known_of, samples_of

KEYS = st.lists(st.tuples(st.integers(0, 4), st.integers(-3, 3), st.integers(-2, 2)), max_size=40)


@given(KEYS, st.booleans())
def test_ordered_is_lexicographic(keys, presorted):
    keys = sorted(keys, key=lambda key: key[0] if presorted else 0)
    group, first, second = np.array(keys, dtype=np.int64).reshape(-1, 3).T
    order = ordered(group, first.astype(float), second.astype(float))
    assert sorted(order.tolist()) == list(range(len(keys)))
    assert [keys[place] for place in order] == sorted(keys)


def test_measurements_are_sorted_and_hours_precede_the_prediction():
    samples = samples_of([2, 1])
    rows = [
        (1, 47, "LAB//a", 3.0),
        (1, 47, "LAB//a", 2.0),
        (1, None, "LAB//a", 9.0),
        (1, 0, "LAB//b", 1.0),
        (2, 48, "LAB//b", -0.0),
        (1, 1, "LAB//other", 1.0),
        (1, 1, "LAB//a", "positive"),
        (3, 1, "LAB//a", 1.0),
    ]
    events = measure(known_of(rows, samples_of([2, 1, 3])), samples, ["LAB//b", "LAB//a"])
    assert events.row.tolist() == [0, 1, 1, 1, 1]
    assert events.code.tolist() == [0, 0, 1, 1, 1]
    np.testing.assert_array_equal(events.hours, [0, 48, np.nan, 1, 1])
    assert events.value.tolist() == [0, 1, 9, 2, 3]
    assert not np.signbit(events.value).any()
    assert events.within([(-1, 0.5), (2.5, 4)]).value.tolist() == [0, 0.5, 4, 2.5, 3]


def test_bare_codes_have_the_value_one():
    samples = samples_of([1])
    known = known_of([(1, 1, "DIAGNOSIS//x", None), (1, 2, "DIAGNOSIS//x", 7.0), (1, 3, "LAB//a", None)], samples)
    assert measure(known, samples, ["DIAGNOSIS//x", "LAB//a"], bare=[0]).value.tolist() == [1, 1]


def test_encode_and_sample_rows_return_minus_one_if_absent():
    samples = samples_of([5, 3])
    known = known_of([(3, 1, "A", None), (5, 1, "B", None), (5, 2, "C", None)], samples)
    assert encode(known["code"], ["C", "A"]).tolist() == [-1, 0, 1]
    assert sample_rows(known, samples).tolist() == [0, 0, 1]
    assert sample_rows(known, samples.reverse()).tolist() == [1, 1, 0]
    assert sample_rows(known, samples[1:]).tolist() == [-1, -1, 0]
    assert sample_rows(known, samples[:0]).tolist() == [-1, -1, -1]


def test_only_the_latest_categories_are_returned():
    samples = samples_of([1, 2, 3])
    rows = [
        (1, None, "A", "old"),
        (1, 5, "A", "new"),
        (1, 5, "A", "strange"),
        (1, 2, "A", "old"),
        (2, None, "A", "old"),
        (2, None, "B", "new"),
        (2, 3, "A", 7.0),
    ]
    row, code, category = categorise(known_of(rows, samples), samples, {"B": ["new"], "A": ["new", "old"]})
    found = sorted(zip(row.tolist(), code.tolist(), category.tolist(), strict=True))
    assert found == [(0, 1, -1), (0, 1, 1), (1, 0, 0), (1, 1, 2)]


def test_frequent_categories_count_samples():
    rows = [(subject, None, "A", text) for subject, text in [(1, "x"), (2, "x"), (3, "y"), (2, "z"), (3, "z")]]
    known = known_of([*rows, (1, 1, "A", "y"), (1, 2, "A", "q"), (1, 3, "A", "q")], samples_of([1, 2, 3]))
    assert frequent_categories(known, ["A", "B"], least=2, most=9) == {"A": ["x", "y", "z"], "B": []}
    assert frequent_categories(known, ["A"], least=2, most=2) == {"A": ["x", "y"]}
    assert frequent_categories(known, ["A"], least=3, most=2) == {"A": []}
