import numpy as np
import pytest
from hypothesis import given, settings

from polyclinic.features import StructuredFeaturizer
from polyclinic.features.structured.summaries import STATISTICS
from tests.features.records import PREDICTION_HOUR, ROWS, SUBJECTS, TRAINING, known_of, samples_of
from tests.properties import examples

ALL = samples_of(SUBJECTS)
SEX = "DEMOGRAPHIC//sex"


def fitted_on(rows, least_samples=1, subjects=SUBJECTS):
    samples = samples_of(list(subjects))
    return StructuredFeaturizer(least_samples=least_samples).fit(known_of(rows, samples), samples)


def value_of(featurizer, rows, name, subject=1):
    samples = samples_of([subject])
    return featurizer.raw(known_of(rows, samples), samples).values[0, featurizer.names.index(name)]


def expected_statistics(rows, subject, code):
    """Compute every statistic of a code independently, in plain Python and with `polyfit`."""
    values = [(hours, value) for who, hours, what, value in rows if (who, what) == (subject, code)]
    values = [
        (h, v) for h, v in values if isinstance(v, float) and np.isfinite(v) and (h is None or h <= PREDICTION_HOUR)
    ]
    values.sort(key=lambda pair: (-np.inf if pair[0] is None else pair[0], pair[1]))
    timed = np.array([pair for pair in values if pair[0] is not None]).reshape(-1, 2)
    numbers = np.array([value for _, value in values])
    result = dict.fromkeys(STATISTICS, np.nan) | {"count": float(len(numbers))}
    if len(numbers):
        result |= {"last": numbers[-1], "first": numbers[0], "minimum": numbers.min(), "maximum": numbers.max()}
        result["mean"] = numbers.mean()
        result["hours since last"] = np.nan if values[-1][0] is None else PREDICTION_HOUR - values[-1][0]
    if len(numbers) > 1:
        result["sd"] = numbers.std(ddof=1)
    if len(timed) and np.ptp(timed[:, 0]) > 1e-3:
        result["slope"] = np.polyfit(timed[:, 0] - timed[:, 0].mean(), timed[:, 1] / 1e6, 1)[0] * 1e6
    return result


@settings(max_examples=examples(60), deadline=None)
@given(ROWS)
def test_statistics_equal_an_independent_computation(rows):
    rows = [row for row in rows if not isinstance(row[3], float) or not 1e6 < row[3] < np.inf]
    rows = [row for row in rows if row[1] is None or row[1] == 0 or row[1] > 1e-2]
    featurizer = fitted_on([*TRAINING, *rows], subjects=[1, 2, 3])
    raw = featurizer.raw(known_of(rows, ALL), ALL).values
    limits = featurizer.layout.limits
    for index, column in enumerate(featurizer.layout.columns):
        if column.of in STATISTICS and column.code in limits:
            low, high = limits[column.code]
            clipped = [
                (
                    who,
                    at,
                    what,
                    float(np.clip(value, low, high))
                    if what == column.code and isinstance(value, float) and np.isfinite(value)
                    else value,
                )
                for who, at, what, value in rows
            ]
            expected = [expected_statistics(clipped, subject, column.code)[column.of] for subject in SUBJECTS]
            np.testing.assert_allclose(raw[:, index], expected, rtol=1e-6, atol=1e-6)


def test_names_and_codes():
    featurizer = fitted_on(TRAINING, subjects=[1, 2, 3])
    assert featurizer.names == [
        "DEMOGRAPHIC//age//years last",
        "LAB//a//u last",
        "LAB//a//u first",
        "LAB//a//u mean",
        "LAB//a//u hours since last",
        "VITAL//b//u last",
        "VITAL//b//u count",
        "VITAL//b//u hours since last",
        "PROCEDURE//p count",
        f"{SEX} = x",
        f"{SEX} = y",
    ]
    assert featurizer.groups == (0, 1, 1, 1, 1, 2, 2, 2, 3, 4, 4)


def test_constant_and_duplicate_columns_are_dropped():
    rows = [(subject, 8.0, "LAB//a", float(subject)) for subject in SUBJECTS]
    rows += [(subject, 8.0, "LAB//constant", 7.0) for subject in SUBJECTS]
    assert fitted_on(rows).names == ["LAB//a last"]


def test_missingness_is_a_feature_and_a_mask():
    rows = [(subject, 8.0, "LAB//a", float(subject)) for subject in (1, 2, 3)]
    rows += [(subject, None, SEX, "xy"[subject % 2]) for subject in (1, 2, 3)]
    featurizer = fitted_on(rows)
    arrays = featurizer.transform(known_of(rows, ALL), ALL)
    known = dict(zip(featurizer.names, arrays["known"].T.tolist(), strict=True))
    values = dict(zip(featurizer.names, arrays["values"].T.tolist(), strict=True))
    assert known["LAB//a last"] == known[f"{SEX} = x"] == [True, True, True, False, False]
    assert known["LAB//a count"] == known[f"{SEX} unknown"] == [True] * 5
    assert values[f"{SEX} unknown"] == [0, 0, 0, 1, 1]
    assert values[f"{SEX} = x"] == [0, 1, 0, 0, 0]
    assert values["LAB//a last"][3:] == [0, 0]
    assert arrays["values"].dtype == np.float32


def test_rare_and_new_categories_are_pooled():
    rows = [(subject, None, SEX, text) for subject, text in enumerate(["m", "m", "f", "f", "p", "q"])]
    featurizer = fitted_on(rows, least_samples=2, subjects=range(6))
    assert featurizer.names == [f"{SEX} = f", f"{SEX} = m", f"{SEX} rare"]
    for text, expected in [("m", [0, 1, 0]), ("p", [0, 0, 1]), ("never seen", [0, 0, 1])]:
        samples = samples_of([1])
        raw = featurizer.raw(known_of([(1, None, SEX, text)], samples), samples)
        assert raw.values[0].tolist() == expected


def test_simultaneous_categories_are_all_set():
    rows = [(subject, None, "FINDING//mesh", text) for subject, text in [(1, "a"), (1, "b"), (2, "c"), (3, "a")]]
    featurizer = fitted_on(rows, subjects=[1, 2, 3])
    assert [value_of(featurizer, rows, f"FINDING//mesh = {text}") for text in "abc"] == [1, 1, 0]


def test_rare_codes_are_left_out():
    rows = [*TRAINING, (1, 3, "LAB//rare", 3.0)]
    assert not any("LAB//rare" in name for name in fitted_on(rows, least_samples=2).names)
    share = StructuredFeaturizer(least_share=0.5, least_samples=1).fit(known_of(rows, ALL), ALL)
    assert not any("LAB//rare" in name for name in share.names)


def test_scaling_is_robust_to_outliers():
    rows = [(subject, 8.0, "LAB//a", 100 + subject / 10) for subject in range(200)]
    without_outlier = fitted_on(rows, subjects=range(200))
    with_outlier = fitted_on([*rows[:-1], (199, 8.0, "LAB//a", 1e9)], subjects=range(200))
    (column_without,), (column_with,) = without_outlier.layout.columns, with_outlier.layout.columns
    assert column_with.centre == pytest.approx(column_without.centre)
    assert column_with.spread == pytest.approx(column_without.spread, rel=0.02)
    samples = samples_of([1])
    arrays = without_outlier.transform(known_of([(1, 8.0, "LAB//a", 1e9)], samples), samples)
    assert arrays["values"][0, 0] < 3


def test_texts_and_numbers_of_one_code_are_separate_features():
    rows = [
        (1, 3, "LAB//crp", 5.0),
        (2, 3, "LAB//crp", 9.0),
        (3, 3, "LAB//crp", "positive"),
        (4, 3, "LAB//crp", "negative"),
    ]
    names = fitted_on(rows).names
    assert "LAB//crp last" in names
    assert "LAB//crp = positive" in names


def test_classical_adds_the_raw_values():
    featurizer = fitted_on(TRAINING)
    known = known_of(TRAINING, ALL)
    plain, both = featurizer.transform(known, ALL), featurizer.transform(known, ALL, classical=True)
    np.testing.assert_array_equal(both.pop("raw"), featurizer.raw(known, ALL).values)
    assert plain.keys() == both.keys()
    assert all(np.array_equal(plain[name], both[name]) for name in plain)
