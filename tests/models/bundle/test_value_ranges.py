"""Values outside what training saw: every known conversion is named, and the same distribution is not reported."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import betabinom

from polyclinic.features.cache.encoder_cache import EncoderCache
from polyclinic.features.feature_set import FeatureSet
from polyclinic.knowledge.unit_conversions import TABLE
from polyclinic.models.bundle.shift import MOST_CODES, Shift
from polyclinic.models.bundle.value_ranges import (
    UnusualCode,
    ValueRange,
    beta_binomial_tail,
    unusual_codes,
    value_ranges,
)
from tests.tasks.conftest import events

CODE = "LAB//zzz//x"


def record(values, code=CODE, first=0):
    """Return the known record of samples, each with a list of values."""
    rows = [(first + n, 1.0, code, value) for n, own in enumerate(values) for value in own]
    frame = events(rows)
    return frame.with_columns(
        sample=pl.col("subject_id").cast(pl.UInt32), prediction_time=pl.col("time"), code=pl.col("code").cast(pl.String)
    )


def drawn(seed, samples, median=90.0, spread=0.3, repeats=2):
    rng = np.random.default_rng(seed)
    return (median * np.exp(spread * rng.normal(size=(samples, repeats)))).tolist()


def features_of(known):
    samples = known.group_by("sample").agg(pl.col("subject_id").first(), pl.col("prediction_time").max()).sort("sample")
    return FeatureSet.of(["structured"], {}, EncoderCache()).fit(known, samples)


def ranges_of(known):
    ranges = value_ranges(known, features_of(known))
    plain = json.loads(json.dumps({code: own._asdict() for code, own in ranges.items()}))
    assert {code: ValueRange.from_dict(own) for code, own in plain.items()} == ranges
    return ranges


PAIRS = [(row, forwards) for row in TABLE for forwards in (True, False) if row.of != "mg/dL urea nitrogen"]


@given(st.sampled_from(PAIRS), st.integers(0, 99), st.sampled_from([0.85, 1.0, 1.2]))
def test_a_known_conversion_is_named(pair, seed, drift):
    """Whatever the quantity: measured in one unit, written under the code of the other; the population may differ."""
    row, forwards = pair
    name, to, of = row.names.split()[0], row.to if forwards else row.of, row.of if forwards else row.to
    median = {"°C": 37.0, "°F": 98.6, "K": 310.0}.get(to, 60.0)
    spread, drift = (0.01, 1.0) if row.offset else (0.2, drift)
    code = f"LAB//{name}//{to}"
    ranges = ranges_of(record(drawn(seed, 100, median, spread), code))
    factor, offset = (row.factor, row.offset) if forwards else (1 / row.factor, -row.offset / row.factor)
    theirs = [[(value - offset) / factor for value in own] for own in drawn(seed + 100, 40, median * drift, spread)]
    found = unusual_codes(record(theirs, code), ranges)
    if not found:
        assert abs(np.log10(factor)) < 0.5, "only a small factor may hide in the range"
        return
    assert found[0].code == code
    if abs(np.log10(factor)) > 0.5 or row.offset:
        named = found[0].conversion
        nearest = abs(np.log(found[0].median * factor / found[0].development_median))
        assert (
            1 / 1.3 < named.factor / factor < 1.3
            or abs(np.log(found[0].median * named.factor / found[0].development_median)) < nearest
        )
        assert named.of is not None
        assert f"looks like {named.of}: ×" in str(found[0])
        assert drift != 1 or (named.of, named.factor) == (of, pytest.approx(factor))


@given(st.sampled_from([10, 100, 1000, 1e6]), st.booleans(), st.integers(0, 99))
def test_a_power_of_ten_is_named(power, divided, seed):
    factor = 1 / power if divided else power
    ranges = ranges_of(record(drawn(seed, 100)))
    (found,) = unusual_codes(record(drawn(seed + 100, 40, 90 / factor)), ranges)
    assert found.conversion.factor == pytest.approx(factor)
    assert found.samples_outside == found.samples == 40


@given(st.integers(0, 10_000), st.integers(20, 300), st.integers(1, 200), st.integers(1, 20), st.floats(0.01, 0.6))
def test_the_same_distribution_is_not_reported(seed, development, samples, repeats, spread):
    ranges = ranges_of(record(drawn(seed, development, 90, spread, repeats)))
    found = unusual_codes(record(drawn(seed + 20_000, samples, 90, spread, repeats)), ranges)
    assert all(unusual.conversion is None for unusual in found)
    for unusual in found:
        own = ranges[unusual.code]
        beyond = betabinom.sf(unusual.samples_outside - 1, unusual.samples, own.outside + 2, own.samples - own.outside)
        assert beyond > 1e-6, "as many as chance allows, once in a million"


@pytest.mark.slow
@pytest.mark.parametrize(("development", "spread"), [(20, 0.3), (20, 0.5), (60, 0.3)])
def test_the_same_distribution_is_reported_seldom(development, spread):
    reported = 0
    for seed in range(200):
        ranges = ranges_of(record(drawn(seed, development, 90, spread)))
        reported += bool(unusual_codes(record(drawn(seed + 1000, 60, 90, spread)), ranges))
    assert reported <= 3


@given(st.integers(0, 99), st.sampled_from([0.0, 999.0, 9999.0, -1.0, 1e9]), st.integers(4, 20))
def test_faults_are_reported_without_a_conversion(seed, fault, number):
    ranges = ranges_of(record(drawn(seed, 100, 90, 0.1)))
    theirs = drawn(seed + 100, 40, 90, 0.1)
    for own in theirs[:number]:
        own[0] = fault
    (found,) = unusual_codes(record(theirs), ranges)
    assert found.outside >= number
    assert found.conversion is None


def test_a_part_in_another_unit_is_named():
    code = "LAB//creatinine//umol/L"
    ranges = ranges_of(record(drawn(0, 200), code))
    theirs = drawn(1, 30, 1.0) + drawn(2, 70)
    (found,) = unusual_codes(record(theirs, code), ranges)
    assert str(found.conversion) == "looks like mg/dL: ×88.4"
    assert 60 <= found.outside < 70


def test_texts_that_training_did_not_see():
    code = "DEMOGRAPHIC//sex"
    texts = [["female"] if n % 2 else ["male"] for n in range(60)]
    ranges = ranges_of(record(texts, code))
    assert unusual_codes(record(texts, code), ranges) == ()
    assert unusual_codes(record([["female"]] * 59 + [["other"]], code), ranges) == ()
    (found,) = unusual_codes(record([["F"], ["M"]] * 10, code), ranges)
    assert str(found) == f"{code}: 20 of 20 samples have a text that training did not see; map it to a known one"


def test_few_samples_give_no_range():
    assert ranges_of(record(drawn(0, 19))) == {}
    assert unusual_codes(record(drawn(0, 5)), {}) == ()


def test_many_codes_are_summed_up():
    codes = tuple(UnusualCode(f"LAB//{n}", 1, 1, 1, 1, 0.0, 1.0, 5.0, 0.5) for n in range(MOST_CODES + 2))
    cautions = Shift(5, 5, codes, {}).cautions
    assert cautions[0].startswith("5 of 5 samples are unlike those of development (beyond 99.5 % of them)")
    assert cautions[-1] == "2 more codes have values outside what training saw."
    assert len(cautions) == MOST_CODES + 2
    assert Shift(200, 1).cautions == ()
    assert Shift(200, None).cautions == ()


@given(st.integers(1, 2000), st.data(), st.integers(1, 50), st.integers(1, 3000))
def test_the_tail_is_that_of_the_beta_binomial_distribution(n, data, a, b):
    least = data.draw(st.integers(1, n))
    assert beta_binomial_tail(least, n, a, b) == pytest.approx(betabinom.sf(least - 1, n, a, b), rel=1e-6, abs=1e-9)
