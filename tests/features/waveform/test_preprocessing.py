import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from polyclinic.features.waveform.leads import LEADS
from polyclinic.features.waveform.preprocessing import read_ecg, resample
from polyclinic.ingest.formats.waveform import Waveform

HZ, SAMPLES = 100.0, 1000


def sine(frequency, hz, seconds=10.0, phase=0.0):
    return np.sin(2 * np.pi * frequency * np.arange(round(seconds * hz)) / hz + phase)


def waveform(signals: dict, hz=HZ, unit="mV") -> Waveform:
    columns = np.stack(list(signals.values()), axis=1).astype(np.float32)
    return Waveform(columns, float(hz), tuple(signals), (unit,) * len(signals))


def lead(ecg, name):
    return ecg.signal[LEADS.index(name)]


@settings(deadline=None, max_examples=25)
@given(hz=st.sampled_from([40.0, 128.0, 200.0, 250.0, 257.0, 360.0, 500.0, 999.0, 1000.0]) | st.floats(50, 1200),
       frequency=st.floats(0.7, 15))  # fmt: skip
@example(hz=1099.5, frequency=15.0)  # no ratio of small numbers
def test_resampling_keeps_frequency_amplitude_and_phase(hz, frequency):
    assume(frequency < hz / 4)  # the filter's slope begins above
    resampled, valid = resample(sine(frequency, hz), hz, HZ)
    assert valid[:990].all()
    inner = slice(100, 900)
    difference = resampled[inner] - sine(frequency, HZ)[inner]
    np.testing.assert_allclose(difference, difference.mean(), atol=0.08)  # the median of the recording is removed


def test_frequencies_that_the_new_rate_cannot_hold_are_filtered_out():
    resampled, _ = resample(sine(80, 500), 500, HZ)
    assert np.abs(resampled[20:-20]).max() < 0.02


@pytest.mark.parametrize("hz", [0.01, 1.0, 99.99, pytest.param(1e5, marks=pytest.mark.slow), 2e5])
def test_any_rate_gives_an_array_of_one_length(hz):
    values = np.random.default_rng(0).standard_normal(min(int(hz * 10) + 3, 10**6))
    ecg = read_ecg(waveform({"I": values}, hz), HZ, SAMPLES)
    assert ecg.signal.shape == ecg.valid.shape == (12, SAMPLES)
    assert ecg.valid.any() == (40 < hz <= 1e5)


@pytest.mark.parametrize(("unit", "factor"), [("mV", 1.0), ("uV", 1e3), ("µV", 1e3), ("V", 1e-3), ("MV", 1.0)])
def test_units_become_millivolts(unit, factor):
    ecg = read_ecg(waveform({"V1": factor * sine(1, HZ)}, unit=unit), HZ, SAMPLES)
    np.testing.assert_allclose(lead(ecg, "V1"), sine(1, HZ), atol=1e-5)


def test_a_lead_without_a_unit_of_voltage_is_absent():
    assert not read_ecg(waveform({"V1": sine(1, HZ)}, unit="mmHg"), HZ, SAMPLES).valid.any()


def test_polarity_is_kept_and_an_inverted_lead_turned():
    trace = np.zeros(SAMPLES)
    trace[::100] = 1.0
    assert lead(read_ecg(waveform({"V1": trace}), HZ, SAMPLES), "V1").max() == 1
    assert lead(read_ecg(waveform({"-aVR": trace}), HZ, SAMPLES), "aVR").min() == -1


def test_an_offset_is_removed():
    ecg = read_ecg(waveform({"V1": 300 + sine(1, HZ)}), HZ, SAMPLES)
    np.testing.assert_allclose(lead(ecg, "V1"), sine(1, HZ), atol=1e-3)


def test_leads_stand_in_their_order_and_limb_leads_are_derived():
    ecg = read_ecg(waveform({"V2": sine(1, HZ), "ML II": sine(2, HZ), "i": sine(3, HZ)}), HZ, SAMPLES)
    assert [LEADS[place] for place in np.flatnonzero(ecg.valid.all(axis=1))] == [*LEADS[:6], "V2"]
    np.testing.assert_allclose(lead(ecg, "III"), sine(2, HZ) - sine(3, HZ), atol=1e-5)
    assert not ecg.signal[~ecg.valid].any()


@pytest.mark.parametrize("trace", [np.zeros(SAMPLES), np.full(SAMPLES, np.nan), sine(1, HZ, seconds=0.5)])
def test_constant_missing_and_very_short_leads_are_absent(trace):
    assert not read_ecg(waveform({"V1": trace}), HZ, SAMPLES).valid.any()


def test_gaps_are_masked_at_any_rate():
    trace = sine(1, 500)
    trace[1000:1500] = np.nan
    ecg = read_ecg(waveform({"V1": trace}, 500), HZ, SAMPLES)
    valid = ecg.valid[LEADS.index("V1")]
    assert not valid[200:300].any()
    assert valid[:199].all()
    assert valid[301:].all()
    assert np.isfinite(ecg.signal).all()


def test_a_short_recording_is_padded_with_a_mask():
    ecg = read_ecg(waveform({"V1": sine(1, HZ, seconds=3)}), HZ, SAMPLES)
    assert ecg.valid[LEADS.index("V1")].tolist() == [True] * 300 + [False] * 700


def test_of_a_long_recording_the_last_part_is_read():
    ecg = read_ecg(waveform({"V1": sine(0.01, HZ, seconds=60)}), HZ, SAMPLES)
    last = sine(0.01, HZ, seconds=60)[-SAMPLES:]
    np.testing.assert_allclose(lead(ecg, "V1"), last - np.median(last), atol=1e-5)


@given(known_s=st.floats(0, 70), seed=st.integers(0, 100))
@settings(deadline=None, max_examples=20)
def test_nothing_recorded_after_the_prediction_changes_a_bit(known_s, seed):
    trace = np.random.default_rng(seed).standard_normal(6000)
    changed = trace.copy()
    changed[max(SAMPLES, int(known_s * HZ) + 1) :] = 1e6
    before, after = (read_ecg(waveform({"V1": each}), HZ, SAMPLES, known_s) for each in (trace, changed))
    assert before.signal.tobytes() == after.signal.tobytes()
    assert before.valid.tobytes() == after.valid.tobytes()


def test_the_first_of_two_recorded_signals_of_a_lead_is_read():
    ecg = read_ecg(waveform({"MLII": np.zeros(SAMPLES), "II": sine(1, HZ), "ii": sine(5, HZ)}), HZ, SAMPLES)
    np.testing.assert_allclose(lead(ecg, "II"), sine(1, HZ), atol=1e-5)
