import doctest

import numpy as np
import pytest

from polyclinic.evaluation import Binary, Bootstrap, age_bands, evaluate_binary
from polyclinic.evaluation import groups as module
from tests.evaluation.samples import binary


def rows_of(y, p, **groups):
    return evaluate_binary(y, p, groups=groups, resamples=200).groups


def test_examples_in_docstrings():
    found = doctest.testmod(module, extraglobs={"np": np})
    assert found.attempted >= 1
    assert found.failed == 0


def test_no_sample_is_dropped_and_the_unknown_are_a_group():
    y, p = binary(300)
    sex = ["f", "m", None] * 99 + [float("nan")] * 3
    rows = rows_of(y, p, sex=sex)
    assert [row.level for row in rows] == ["f", "m", "unknown"]
    assert sum(row.n for row in rows) == 300
    assert rows[2].n == 102


def test_small_groups_are_kept_and_flagged():
    y, p = binary(300)
    ward = np.where(np.arange(300) < 7, "tiny", "large")
    large, tiny = rows_of(y, p, ward=ward)
    assert (tiny.n, tiny.small, tiny.caution) == (7, True, "only 7 subjects")
    assert not large.small


@pytest.mark.parametrize(
    ("positives", "caution"),
    [(5, "only 5 with the outcome"), (0, "no sample with the outcome"), (195, "only 5 without the outcome")],
)
def test_few_outcomes_are_flagged_too(positives, caution):
    y = np.arange(200) < positives
    row = rows_of(y, np.linspace(0.9, 0.1, 200) * 0.9, site=["a"] * 200)[0]
    assert row.caution == caution


def test_levels_come_in_their_natural_order():
    y, p = binary(500)
    ages = np.random.default_rng(0).uniform(0, 110, 500)
    rows = rows_of(y, p, age=age_bands(ages), year=[str(year) for year in range(9, 14)] * 100)
    assert [row.level for row in rows if row.table == "age"] == ["0–17", "18–39", "40–64", "65–79", "80+"]
    assert [row.level for row in rows if row.table == "year"] == ["9", "10", "11", "12", "13"]


def test_a_group_of_one_class_has_a_caution():
    y, p = binary(200)
    rows = rows_of(y, p, outcome=np.where(y, "yes", "no"))
    assert "no positives" in rows[0].figures["auroc"].reason
    assert rows[0].figures["brier"].low is not None


def test_a_groups_values_are_one_per_sample():
    y, p = binary(20)
    with pytest.raises(ValueError, match="sex of shape"):
        evaluate_binary(y, p, groups={"sex": ["f"]})
    with pytest.raises(ValueError, match="group sex: 1 values for 20"):
        module.by_group(Binary(), y, p, {"sex": ["f"]}, bootstrap=Bootstrap(100))
