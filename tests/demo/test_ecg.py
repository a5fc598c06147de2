import numpy as np
import pytest
import wfdb
from scipy.signal import find_peaks

from polyclinic.demo.ecg import LEADS, SAMPLES, SAMPLING_HZ, SECONDS, draw_ecgs, truth, write_record
from polyclinic.features.waveform.preprocessing import read_ecg
from polyclinic.features.waveform.summaries import NAMES, summary
from polyclinic.ingest.formats.waveform import Waveform

V1, V5 = LEADS.index("V1"), LEADS.index("V5")


@pytest.fixture(scope="module")
def drawn(many):
    return draw_ecgs(np.random.default_rng(0), many[0])


@pytest.fixture(scope="module")
def ecgs(drawn):
    return drawn.signals


def beats(lead) -> np.ndarray:
    peaks, _ = find_peaks(lead, height=0.5 * np.quantile(lead, 0.999), distance=SAMPLING_HZ // 4)
    return np.diff(peaks) / SAMPLING_HZ


def test_shape_and_range(ecgs, many):
    assert ecgs.shape == (len(many[0]), SAMPLES, len(LEADS))
    assert 500 < np.abs(ecgs).max() < 4000


def test_atrial_fibrillation_is_irregular(ecgs, many):
    people = many[0].people
    spread = np.array([beats(trace[:, V5]).std() / beats(trace[:, V5]).mean() for trace in ecgs])
    assert np.median(spread[people.atrial_fibrillation]) > 3 * np.median(spread[~people.atrial_fibrillation])
    rate = np.array([60 / beats(trace[:, V5]).mean() for trace in ecgs])
    assert np.all((rate > 35) & (rate < 200))


def test_ischaemia_inverts_the_t_wave(ecgs, many):
    def after_peak(trace):
        peaks, _ = find_peaks(trace, height=0.5 * np.quantile(trace, 0.999), distance=SAMPLING_HZ // 4)
        inside = peaks[(peaks > 10) & (peaks < SAMPLES - 40)]
        return np.mean([trace[p + 30 : p + 38].mean() - trace[p - 9 : p - 7].mean() for p in inside])

    ill, people = many[0].illness, many[0].people
    height = np.array([after_peak(trace[:, V5]) for trace in ecgs])
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
    assert physical.units == ["mV"] * 12


def test_limb_leads_follow_from_two(ecgs):
    lead = {name: ecgs[..., place].astype(int) for place, name in enumerate(LEADS)}
    np.testing.assert_array_equal(lead["III"], lead["II"] - lead["I"])
    for name, twice in (("aVR", -lead["I"] - lead["II"]), ("aVL", 2 * lead["I"] - lead["II"])):
        assert np.abs(2 * lead[name] - twice).max() <= 1


def test_the_truth_gives_the_beats(many, drawn, ecgs):
    table = truth(many[0], drawn)
    assert table["patient"].to_list() == many[0].people.patient.tolist()
    for trace, peaks in zip(ecgs[:40], table["r_peaks_s"].to_list(), strict=False):
        assert all(0 <= peak < SECONDS for peak in peaks)
        at = (np.array(peaks) * SAMPLING_HZ).round().astype(int)
        inside = at[(at > 3) & (at < SAMPLES - 3)]
        assert min(trace[place - 1 : place + 2, V5].max() for place in inside) > 0.5 * np.quantile(trace[:, V5], 0.999)
    rate = np.array([60 / beats(trace[:, V5]).mean() for trace in ecgs])
    assert np.median(np.abs(rate / table["rate_bpm"].to_numpy() - 1)) < 0.03


def test_a_large_heart_raises_the_voltage(many, ecgs):
    large = many[0].illness.found("cardiomegaly")
    voltage = np.quantile(ecgs[..., V5], 0.998, axis=1) - np.quantile(ecgs[..., V1], 0.002, axis=1)
    assert voltage[large].mean() > 1.25 * voltage[~large].mean()


def test_the_summaries_of_features_recover_rate_rhythm_and_ischaemia(many, drawn):
    found = []
    for signal in drawn.signals[:100]:
        ecg = read_ecg(Waveform((signal / 1000).astype(np.float32), SAMPLING_HZ, LEADS, ("mV",) * 12), 100.0, 1000)
        assert ecg.valid.all()
        found.append(dict(zip(NAMES, summary(ecg, 100.0).tolist(), strict=True)))
    column = {name: np.array([each[name] for each in found]) for name in NAMES}
    irregular, ischaemic = many[0].people.atrial_fibrillation[:100], many[0].illness.ischaemia[:100]
    assert np.median(np.abs(column["ECG heart rate"] / drawn.rate_bpm[:100] - 1)) < 0.03
    assert np.median(column["ECG RR variation"][irregular]) > 3 * np.median(column["ECG RR variation"][~irregular])
    assert column["ECG V5 T level"][ischaemic].mean() < 0 < column["ECG V5 T level"][~ischaemic].mean()
