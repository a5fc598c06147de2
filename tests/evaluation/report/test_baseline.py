import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.evaluation.report.baseline import Baseline, Characteristics, baseline, baseline_table, outcome_masks
from polyclinic.evaluation.report.document import to_markdown


def described(n=200, seed=0, cases=60):
    draw = np.random.default_rng(seed)
    age = draw.normal(60, 10, n)
    age[:60] = np.nan
    sex = draw.choice(["female", "male", None], n, p=[0.5, 0.4, 0.1]).tolist()
    outcome = np.zeros(n, bool)
    outcome[draw.choice(n, cases, replace=False)] = True
    return (
        baseline(
            Characteristics(np.arange(n), {"age": age}, {"sex": sex}), {"with outcome": outcome, "without": ~outcome}
        ),
        age,
        sex,
        outcome,
    )


def test_numbers_and_levels_are_those_of_numpy():
    found, age, sex, outcome = described()
    number, category = found.variables
    for cell, mask in zip(number.rows[0], (np.ones(200, bool), outcome, ~outcome), strict=True):
        own = age[mask & np.isfinite(age)]
        assert cell.n == len(own)
        np.testing.assert_allclose((cell.median, cell.mean), (np.median(own), own.mean()))
        np.testing.assert_allclose((cell.low, cell.high), np.percentile(own, [25, 75]))
    assert category.levels == ("female", "male", "unknown")
    assert [row[0].n for row in category.rows] == [sex.count("female"), sex.count("male"), sex.count(None)]
    assert Baseline.from_dict(found.to_dict()) == found


@given(st.integers(1, 60), st.integers(0, 10), st.integers(0, 3))
def test_no_small_count_is_written(n, cases, seed):
    found, *_ = described(n, seed, min(cases, n))
    for column in found.columns:
        assert column.n is None or column.n >= 5
    for variable in found.variables:
        for row in variable.rows:
            assert all(cell.n is None or cell.n >= 5 for cell in row)
            assert all(cell.median is None and cell.share is None for cell in row if cell.hidden)


@given(st.integers(30, 60), st.integers(0, 30), st.integers(0, 40), st.integers(0, 3))
def test_no_small_count_follows_from_shown_ones(n, cases, missing, seed):
    """Neither of those with or without the outcome, nor of those without a value."""
    draw = np.random.default_rng(seed)
    outcome, age = np.arange(n) < cases, draw.normal(60, 10, n)
    age[draw.choice(n, min(missing, n), replace=False)] = np.nan
    found = baseline(Characteristics(np.arange(n), {"age": age}), {"with outcome": outcome, "without": ~outcome})
    everyone, *by_outcome = found.columns
    few = min(cases, n - cases) < 5
    assert [column.n is None for column in by_outcome] == [few, few]
    assert {column.hidden for column in by_outcome} == ({"small", "protects"} if few else {""})
    assert (everyone.n, everyone.hidden) == (n, "")
    masks = (np.ones(n, bool), outcome, ~outcome)
    shown = [cell.n for cell in found.variables[0].rows[0]]
    for column, mask, known in zip(found.columns, masks, shown, strict=True):
        lacking = int((mask & ~np.isfinite(age)).sum())
        assert column.n is None or known is None or lacking == 0 or lacking >= 5
    assert sum(known is None for known in shown) != 1 or few


def test_several_samples_of_few_people_are_few():
    sex = ["female"] * 50
    values = Characteristics(np.repeat([1, 2], 25), {"age": np.full(50, 40.0)}, {"sex": sex})
    found = baseline(values, {})
    assert found.columns[0].n is None
    assert all(cell.hidden == "small" for variable in found.variables for row in variable.rows for cell in row)


def test_levels_of_development_are_kept_elsewhere():
    values = Characteristics(np.arange(30), {}, {"sex": ["f"] * 20 + ["new"] * 10})
    (variable,) = baseline(values, {}, {"sex": ("f", "m", "unknown")}).variables
    assert variable.levels == ("f", "m", "other", "unknown")
    assert [row[0].n for row in variable.rows] == [20, None, 10, None]


def test_a_table_has_a_line_per_level():
    found, *_ = described()
    text = to_markdown([baseline_table({"Development": found})])
    assert text.count("\n| female |") == 1
    assert "Development: with outcome" in text


def test_outcomes_by_kind():
    observed = np.array([True, True, False])
    masks = outcome_masks("binary", np.array([[1.0], [0.0], [0.0]]), observed, ())
    assert {name: mask.tolist() for name, mask in masks.items()} == {
        "with outcome": [True, False, False],
        "without": [False, True, False],
    }, "an unknown outcome is not negative"
    assert outcome_masks("regression", np.ones((3, 1)), observed, ()) == {}
    masks = outcome_masks("multiclass", np.eye(3), observed, ("a", "b", "c"))
    assert [mask.tolist() for mask in masks.values()] == [[True, False, False], [False, True, False], [False] * 3]
