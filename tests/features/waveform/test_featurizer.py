import json
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from polyclinic.cohort import NOMINAL_ORIGIN, POLARS_EVENTS, known_at
from polyclinic.features import NotFittedError
from polyclinic.features.blobs import UNUSABLE, unusable_blobs
from polyclinic.features.waveform.featurizer import WaveformFeaturizer, WaveformOptions
from polyclinic.features.waveform.leads import LEADS
from polyclinic.files import sha256
from polyclinic.ingest.formats.waveform import Waveform
from polyclinic.models.classical.columns.base import DesignOptions
from polyclinic.models.classical.columns.waveform import WaveformColumns
from tests.features.records import PREDICTION_HOUR, samples_of

CODE = "WAVEFORM//ECG//mV"
HZ = 250.0


@pytest.fixture
def store(tmp_path):
    """Keep a waveform of some leads as a blob, and return the blob's name."""

    def keep(seed: int, leads=("I", "II", "V1"), seconds=10, gain=1.0) -> str:
        signals = np.random.default_rng(seed).standard_normal((round(seconds * HZ), len(leads))) * gain
        content, suffix = Waveform(signals.astype(np.float32), HZ, tuple(leads), ("mV",) * len(leads)).to_blob()
        name = sha256(content) + suffix
        (tmp_path / name).write_bytes(content)
        return name

    keep.blobs = lambda name: tmp_path / name
    return keep


def known_of(rows, samples):
    """Cut a record of (subject, hours after the origin, blob)."""
    frame = pl.DataFrame(
        {
            "subject_id": [subject for subject, *_ in rows],
            "time": [None if hours is None else NOMINAL_ORIGIN + timedelta(hours=hours) for _, hours, _ in rows],
            "code": [CODE] * len(rows),
            "numeric_value": [None] * len(rows),
            "text_value": [None] * len(rows),
            "blob": [blob for *_, blob in rows],
        },
        schema=POLARS_EVENTS,
    )
    return known_at(frame, samples)


def arrays_of(store, rows, subjects=(1, 2, 3), **options):
    samples = samples_of(list(subjects))
    known = known_of(rows, samples)
    featurizer = WaveformFeaturizer(store.blobs, WaveformOptions(**options)).fit(known, samples)
    return featurizer, featurizer.transform(known, samples)


def assert_same_bits(these, those):
    assert these.keys() == those.keys()
    assert all(these[name].tobytes() == those[name].tobytes() for name in these)


def test_the_latest_recordings_are_read_newest_first(store):
    old, middle, new = store(1), store(2), store(3)
    _, arrays = arrays_of(store, [(1, 1, old), (1, 40, new), (1, 20, middle), (2, None, old)])
    assert arrays["blob"].tolist() == [[new, middle], [old, ""], ["", ""]]
    assert arrays["present"].tolist() == [True, True, False]
    assert arrays["age_hours"].tolist() == [[8, 28], [0, 0], [0, 0]]
    assert arrays["age_known"].tolist() == [[True, True], [False, False], [False, False]]
    assert arrays["signal"].shape == arrays["valid"].shape == (3, 2, 12, 1000)
    assert (arrays["signal"].dtype, arrays["valid"].dtype) == (np.float16, bool)
    assert all(np.isfinite(array).all() for name, array in arrays.items() if array.dtype.kind != "U")


def test_a_lead_that_is_missing_is_masked_and_zero(store):
    _, arrays = arrays_of(store, [(1, 1, store(1))])
    there = arrays["valid"][0, 0].all(axis=1)
    assert [LEADS[place] for place in np.flatnonzero(there)] == [*LEADS[:6], "V1"]
    assert not arrays["signal"][~arrays["valid"]].any()
    assert not arrays["log_scale"][0, 0][~there].any()


@pytest.mark.parametrize("gain", [0.001, 0.1, 20.0])
def test_gain_changes_the_scale_alone(store, gain):
    _, plain = arrays_of(store, [(1, 1, store(1))])
    _, louder = arrays_of(store, [(1, 1, store(1, gain=gain))])
    np.testing.assert_allclose(louder["signal"].astype(float), plain["signal"].astype(float), atol=5e-3)
    there = plain["valid"][0, 0].any(axis=1)
    np.testing.assert_allclose((louder["log_scale"] - plain["log_scale"])[0, 0, there], np.log(gain), atol=1e-3)


def test_a_recording_without_usable_leads_is_skipped(store):
    unusable, usable = store(1, leads=("vx",)), store(2)
    _, arrays = arrays_of(store, [(1, 40, unusable), (1, 1, usable), (2, 40, unusable)])
    assert arrays["blob"][:2].tolist() == [[usable, ""], ["", ""]]
    assert arrays["present"].tolist() == [True, False, False]


def test_a_recording_given_twice_counts_once(store):
    blob = store(1)
    _, arrays = arrays_of(store, [(1, 3, blob), (1, 30, blob), (1, None, blob)])
    assert arrays["blob"].tolist() == [[blob], [""], [""]]
    assert arrays["age_hours"][0, 0] == PREDICTION_HOUR - 30


def test_no_later_event_changes_a_bit(store):
    rows = [(1, 1, store(1)), (2, 5, store(2))]
    later = [(1, PREDICTION_HOUR + 0.01, store(3)), (3, PREDICTION_HOUR + 5, store(4))]
    (plain, here), (again, there) = arrays_of(store, rows), arrays_of(store, [*later, *rows])
    assert plain.state() == again.state()
    assert_same_bits(here, there)


def test_the_rest_of_a_long_recording_is_not_read(store):
    blob = store(1, seconds=120)
    content = Waveform.from_blob(store.blobs(blob).read_bytes())
    signals = content.signals.copy()
    signals[round(60 * HZ) :] = 7.0
    changed, suffix = Waveform(signals, HZ, content.leads, content.units).to_blob()
    name = sha256(changed) + suffix
    store.blobs(name).write_bytes(changed)
    began = PREDICTION_HOUR - 60 / 3600
    (_, here), (_, there) = arrays_of(store, [(1, began, blob)]), arrays_of(store, [(1, began, name)])
    assert here["signal"].tobytes() == there["signal"].tobytes()


def test_order_of_events_and_other_samples_do_not_matter(store):
    rows = [(1, 1, store(1)), (1, 5, store(2)), (2, 5, store(3)), (3, 7, store(2))]
    featurizer, together = arrays_of(store, rows)
    assert_same_bits(together, arrays_of(store, rows[::-1])[1])
    for place, subject in enumerate((1, 2, 3)):
        samples = samples_of([subject])
        alone = featurizer.transform(known_of(rows, samples), samples)
        assert_same_bits(alone, {name: array[place : place + 1] for name, array in together.items()})


def test_the_state_survives_json(store):
    rows = [(1, 1, store(1)), (1, 5, store(2)), (2, 5, store(3))]
    featurizer, arrays = arrays_of(store, rows, seconds=5)
    again = WaveformFeaturizer.from_state(json.loads(json.dumps(featurizer.state())), blobs=store.blobs)
    samples = samples_of([1, 2, 3])
    assert_same_bits(arrays, again.transform(known_of(rows, samples), samples))
    assert again.state() == featurizer.state()


def test_a_cohort_without_recordings(store):
    featurizer, arrays = arrays_of(store, [])
    assert arrays["signal"].shape == (3, 1, 12, 1000)
    assert not arrays["present"].any()
    none = samples_of([])
    assert len(featurizer.transform(known_of([], none), none)["present"]) == 0


def damaged(store) -> str:
    name = store(7)
    store.blobs(name).write_bytes(b"other")
    return name


def missing(store) -> str:
    name = store(8)
    store.blobs(name).unlink()
    return name


def text(store) -> str:
    name = sha256(b"text") + ".arrow"
    store.blobs(name).write_bytes(b"text")
    return name


UNUSABLE_KINDS = {
    "is damaged": damaged,
    "cannot be read": missing,
    "is no waveform": text,
    "has no usable standard lead": lambda store: store(9, leads=("vx",)),
    "is not named by its content hash": lambda _: "ecg.arrow",
}


@pytest.mark.parametrize("message", UNUSABLE_KINDS)
def test_an_unusable_recording_is_as_if_not_recorded(message, store):
    name = UNUSABLE_KINDS[message](store)
    rows = [(1, 1, store(1)), (1, 5, store(2)), (2, 5, store(3))]
    samples = samples_of([1, 2, 3])
    for most in (1, 2, 4):
        featurizer, expected = arrays_of(store, rows, recordings=most)
        arrays = featurizer.transform(known_of([*rows, (1, 9, name), (3, 9, name)], samples), samples)
        reasons = arrays.pop(UNUSABLE)
        assert not any(expected.pop(UNUSABLE))
        assert_same_bits(arrays, expected)
        assert [message in reason and name in reason for reason in reasons] == [True, False, True]


def test_every_unusable_recording_is_named_once(store):
    names = [make(store) for make in UNUSABLE_KINDS.values()]
    _, arrays = arrays_of(store, [(subject, 1, name) for name in names for subject in (1, 2)])
    reasons = unusable_blobs({"waveform": arrays})
    assert len(reasons) == len(names)
    assert all(any(name in reason for reason in reasons) for name in names)
    assert not arrays["present"].any()


def test_blobs_of_no_cohort_are_an_error(store):
    with pytest.raises(ValueError, match="set its blobs"):
        arrays_of(type("NoBlobs", (), {"blobs": None}), [(1, 1, store(1))])


def test_use_before_fit_is_refused():
    with pytest.raises(NotFittedError, match=r"call fit\(\)"):
        WaveformFeaturizer().state()


def test_classical_models_read_the_latest_recording(store):
    old, new = store(1), store(2)
    featurizer, _ = arrays_of(store, [(1, 1, old), (1, 40, new)])
    samples = samples_of([1, 2])
    both = featurizer.transform(known_of([(1, 1, old), (1, 40, new)], samples), samples, classical=True)["summary"]
    latest = featurizer.transform(known_of([(1, 40, new)], samples), samples, classical=True)["summary"]
    np.testing.assert_array_equal(both, latest)
    assert both.shape == (2, len(featurizer.column_names))
    assert np.isnan(both[1]).all()
    columns = WaveformColumns.fit({}, featurizer.column_names, np.arange(2), DesignOptions())
    [part] = WaveformColumns.from_state(columns.state()).parts(
        {"summary": both, "present": np.array([True, False])}, ()
    )
    np.testing.assert_array_equal(part.values, both.astype(np.float64))
    assert part.names == featurizer.column_names
