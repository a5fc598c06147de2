import numpy as np
import pytest
import wfdb
from scipy.signal import find_peaks

from polyclinic.demo.ecg import LEADS, SAMPLES, SAMPLING_HZ, draw_ecgs, write_record


@pytest.fixture(scope="module")
def ecgs(many):
    return draw_ecgs(np.random.default_rng(0), many[0])


def beats(lead) -> np.ndarray:
    peaks, _ = find_peaks(lead, height=0.5 * np.quantile(lead, 0.999), distance=SAMPLING_HZ // 4)
    return np.diff(peaks) / SAMPLING_HZ


def test_shape_and_range(ecgs, many):
    assert ecgs.shape == (len(many[0]), SAMPLES, len(LEADS))
    assert 500 < np.abs(ecgs).max() < 4000


def test_atrial_fibrillation_is_irregular(ecgs, many):
    people = many[0].people
    spread = np.array([beats(trace[:, 1]).std() / beats(trace[:, 1]).mean() for trace in ecgs])
    assert np.median(spread[people.atrial_fibrillation]) > 3 * np.median(spread[~people.atrial_fibrillation])
    rate = np.array([60 / beats(trace[:, 1]).mean() for trace in ecgs])
    assert np.all((rate > 35) & (rate < 200))


def test_ischaemia_inverts_the_t_wave(ecgs, many):
    def after_peak(trace):
        peaks, _ = find_peaks(trace, height=0.5 * np.quantile(trace, 0.999), distance=SAMPLING_HZ // 4)
        inside = peaks[(peaks > 20) & (peaks < SAMPLES - 80)]
        return np.mean([trace[p + 60 : p + 75].mean() - trace[p - 18 : p - 14].mean() for p in inside])

    ill, people = many[0].illness, many[0].people
    height = np.array([after_peak(trace[:, 1]) for trace in ecgs])
    regular = ~people.atrial_fibrillation
    assert height[ill.ischaemia & regular].mean() < 0 < height[~ill.ischaemia & regular].mean()


def test_wfdb_reads_the_record(tmp_path, ecgs):
    write_record(tmp_path, "a1", ecgs[0])
    record = wfdb.rdrecord(str(tmp_path / "a1"), physical=False)
    np.testing.assert_array_equal(record.d_signal, ecgs[0])
    assert record.fs == SAMPLING_HZ
    assert record.sig_name == list(LEADS)
    assert [sum_ % 2**16 for sum_ in record.checksum] == record.calc_checksum()
    physical = wfdb.rdrecord(str(tmp_path / "a1"))
    np.testing.assert_allclose(physical.p_signal, ecgs[0] / 1000, atol=1e-9)
    assert physical.units == ["mV", "mV"]
