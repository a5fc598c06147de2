import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.cohort import BIRTH
from polyclinic.features import StructuredFeaturizer
from polyclinic.features.age_bands import age_bands
from polyclinic.features.structured.demographics import HOURS_PER_YEAR, DemographicFeatures
from tests.features.records import PREDICTION_HOUR, known_of, samples_of

SUBJECTS = range(1, 41)
SEX = "DEMOGRAPHIC//sex"


def read(rows, training=None):
    """Fit structured features, and return the groups of the subjects as they read them."""
    samples = samples_of(list(SUBJECTS))
    featurizer = StructuredFeaturizer(least_samples=1).fit(known_of(training or rows, samples), samples)
    return DemographicFeatures.of(featurizer.layout).read(featurizer.transform(known_of(rows, samples), samples))


@given(st.lists(st.integers(0, 100), min_size=40, max_size=40), st.sampled_from([("years", 1), ("months", 12)]))
def test_ages_fall_into_the_bands_of_what_was_recorded(ages, unit):
    name, per_year = unit
    rows = [
        (who, None, f"DEMOGRAPHIC//age//{name}", float(age * per_year)) for who, age in zip(SUBJECTS, ages, strict=True)
    ]
    groups = read(rows)
    if np.ptp(ages) > 0:  # a constant is no feature
        limits = np.quantile(ages, [0.02, 0.98])  # the most extreme ages are winsorised
        for age, found, expected in zip(ages, groups["age"], age_bands(ages), strict=True):
            if limits[0] < age < limits[1]:
                assert found == expected
    else:
        assert groups == {}


def test_ages_come_from_the_date_of_birth_if_none_is_recorded():
    ages = np.linspace(20, 90, len(SUBJECTS))
    rows = [(who, PREDICTION_HOUR - age * HOURS_PER_YEAR, BIRTH, None) for who, age in zip(SUBJECTS, ages, strict=True)]
    found = read(rows)["age"]
    assert found[2:-2] == age_bands(ages)[2:-2]


@pytest.mark.parametrize("sexes", [("female", "male"), ("F", "M", "X")])
def test_sexes_are_those_recorded(sexes):
    recorded = [sexes[who % len(sexes)] if who % 7 else None for who in SUBJECTS]
    rows = [(who, None, SEX, sex) for who, sex in zip(SUBJECTS, recorded, strict=True) if sex]
    rows += [(who, 1.0, "LAB//a//u", float(who)) for who in SUBJECTS]
    assert read(rows)["sex"] == recorded


def test_a_sex_that_is_new_or_contradicts_itself_is_unknown():
    training = [(who, None, SEX, ("female", "male")[who % 2]) for who in SUBJECTS]
    rows = [(1, None, SEX, "new"), (2, None, SEX, "female"), (2, None, SEX, "male"), (3, None, SEX, "male")]
    found = read(rows, training)["sex"]
    assert found[:3] == [None, None, "male"]
    assert found[3:] == [None] * (len(SUBJECTS) - 3)


def test_absent_inputs_tell_no_group():
    rows = [(who, None, SEX, ("female", "male")[who % 2]) for who in SUBJECTS]
    rows += [(who, None, "DEMOGRAPHIC//age", 20.0 + who) for who in SUBJECTS]
    samples = samples_of(list(SUBJECTS))
    featurizer = StructuredFeaturizer(least_samples=1).fit(known_of(rows, samples), samples)
    arrays = featurizer.transform(known_of(rows, samples), samples)
    absent = arrays | {"present": np.zeros(len(SUBJECTS), dtype=bool)}
    groups = DemographicFeatures.of(featurizer.layout).read(absent)
    assert groups == {"age": [None] * len(SUBJECTS), "sex": [None] * len(SUBJECTS)}


def test_without_age_and_sex_there_are_no_groups():
    assert read([(who, 1.0, "LAB//a//u", float(who)) for who in SUBJECTS]) == {}
