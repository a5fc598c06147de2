import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyclinic.features.waveform.leads import LEADS
from polyclinic.features.waveform.preprocessing import Ecg
from polyclinic.features.waveform.summaries import NAMES, qrs_complexes, summary

HZ, SAMPLES = 100.0, 1000


def ecg_of(peaks_s, st_mv=0.0, t_mv=0.3, lead="V5") -> Ecg:
    """Draw beats of one lead as Gaussian waves."""
    times = np.arange(SAMPLES) / HZ
    signal, valid = np.zeros((12, SAMPLES), dtype=np.float32), np.zeros((12, SAMPLES), dtype=bool)
    for height, delay, width in ((1.0, 0, 0.012), (st_mv, 0.11, 0.03), (t_mv, 0.29, 0.05)):
        signal[LEADS.index(lead)] += height * np.exp(-0.5 * ((times[:, None] - peaks_s - delay) / width) ** 2).sum(
            axis=1
        )
    valid[LEADS.index(lead)] = True
    return Ecg(signal, valid)


def value(ecg, name):
    return float(summary(ecg, HZ)[NAMES.index(name)])


@settings(deadline=None, max_examples=30)
@given(rate=st.floats(45, 150), start=st.floats(0.2, 0.6))
def test_rate_and_beats_are_found(rate, start):
    peaks = np.arange(start, 9.6, 60 / rate)
    ecg = ecg_of(peaks, t_mv=0.2)
    np.testing.assert_allclose(qrs_complexes(ecg, HZ) / HZ, peaks, atol=0.03)
    assert value(ecg, "ECG heart rate") == pytest.approx(rate, rel=0.03)
    assert value(ecg, "ECG RR variation") < 0.03


def test_an_irregular_rhythm_varies():
    intervals = np.random.default_rng(0).uniform(0.5, 1.1, 11)
    assert value(ecg_of(0.3 + np.cumsum(intervals)), "ECG RR variation") > 0.1


def test_levels_are_those_of_st_segment_and_t_wave():
    peaks = np.arange(0.5, 9.5, 0.9)
    plain, ischaemic = ecg_of(peaks), ecg_of(peaks, st_mv=-0.2, t_mv=-0.2)
    assert value(plain, "ECG V5 T level") > 0.1 > -0.1 > value(ischaemic, "ECG V5 T level")
    assert value(ischaemic, "ECG V5 ST level") < value(plain, "ECG V5 ST level") - 0.1
    assert value(plain, "ECG V5 highest") == pytest.approx(1, abs=0.1)


def test_what_an_absent_lead_holds_changes_nothing():
    ecg = ecg_of(np.arange(0.5, 9.5, 0.9))
    hidden = Ecg(np.where(ecg.valid, ecg.signal, 1e3).astype(np.float32), ecg.valid)
    np.testing.assert_array_equal(summary(ecg, HZ), summary(hidden, HZ))
    assert np.isnan(value(ecg, "ECG V1 RMS"))


def test_nothing_recorded_gives_nothing():
    nothing = Ecg(np.zeros((12, SAMPLES), dtype=np.float32), np.zeros((12, SAMPLES), dtype=bool))
    assert np.isnan(summary(nothing, HZ)).all()
    assert len(summary(nothing, HZ)) == len(NAMES) == len(set(NAMES))
