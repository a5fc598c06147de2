"""The synthetic patient: every modality, from the fitted features alone, near training medians."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from polyclinic import Bundle
from polyclinic.cohort import kind
from polyclinic.features.scaling import QuantileScale, RobustScale
from polyclinic.features.waveform.preprocessing import read_ecg
from polyclinic.features.waveform.summaries import NAMES, summary
from polyclinic.ingest.formats.waveform import Waveform
from polyclinic.modalities import MODALITIES
from polyclinic.models.bundle.golden import IMAGE, WAVEFORM
from polyclinic.verification.golden_outputs import computed_for
from polyclinic.verification.synthetic_patient import BEAT_S, _value_at, synthetic_patient


@pytest.fixture(scope="module")
def bundle(every_kind) -> Bundle:
    return every_kind.bundle()


@pytest.fixture(scope="module")
def patient(bundle):
    return synthetic_patient(bundle)


def test_it_has_every_modality(bundle, patient):
    with computed_for(bundle, patient) as outputs:
        assert outputs.sample.present == tuple(MODALITIES)


def test_only_the_fitted_features_determine_it(bundle, patient):
    """A bundle with nothing but the same features gives the same patient."""
    bare = Bundle(bundle.study, bundle.features, None)
    assert synthetic_patient(bare).events == patient.events
    assert synthetic_patient(bare).blobs == patient.blobs


def test_some_codes_are_left_out(bundle, patient):
    present = {event.code for event in patient.events}
    structured, series = (bundle.features.featurizers[name] for name in ("structured", "series"))
    assert 0 < len(set(series.codes) - present) < len(series.codes) / 3
    assert 0 < len(structured.layout.codes - present) < len(structured.layout.codes) / 2


def test_numbers_lie_near_the_training_medians(bundle, patient):
    series = bundle.features.featurizers["series"].fitted
    for code, scale, (low, high) in zip(series.codes, series.scales, series.limits, strict=True):
        values = np.array([event.number for event in patient.events if event.code == code])
        assert (np.abs((values - scale.centre) / scale.spread) < 2.1).all()
        assert ((values >= low - abs(low) / 1000) & (values <= high + abs(high) / 1000)).all()


def test_facts_have_no_time_and_other_events_precede_the_prediction(patient):
    assert all((event.hours is None) == (kind(event.code) == "DEMOGRAPHIC") for event in patient.events)
    assert all(event.hours is None or event.hours >= 0 for event in patient.events)


def test_the_image_is_drawn(patient):
    with Image.open(BytesIO(patient.blobs[IMAGE])) as picture:
        assert picture.mode == "L"
        assert np.ptp(np.asarray(picture)) > 200
    assert sum(event.picture for event in patient.events) == 1


def test_the_ecg_is_a_waveform_with_a_regular_rhythm(patient):
    ecg = read_ecg(Waveform.from_blob(patient.blobs[WAVEFORM]), 100.0, 1000)
    assert ecg.valid.all()
    found = dict(zip(NAMES, summary(ecg, 100.0).tolist(), strict=True))
    assert found["ECG heart rate"] == pytest.approx(60 / BEAT_S, rel=0.01)
    assert found["ECG RR variation"] < 0.02
    assert sum(event.waveform for event in patient.events) == 1


def test_excluded_modalities_are_left_out(bundle):
    task = bundle.tasks[0]
    blind = task.model_copy(
        update={"inputs": task.inputs.model_copy(update={"exclude": ("NOTE//*", "IMAGE//*", "WAVEFORM//*")})}
    )
    study = bundle.study.model_copy(update={"tasks": (blind, *bundle.tasks[1:])})
    patient = synthetic_patient(Bundle(study, bundle.features, bundle.ensemble))
    assert not {kind(event.code) for event in patient.events} & {"NOTE", "IMAGE", "WAVEFORM"}
    assert not patient.blobs


@pytest.mark.parametrize("scale", [RobustScale, QuantileScale])
def test_a_value_is_found_for_its_deviation(scale):
    fitted = scale.fit(np.random.default_rng(0).gamma(2.0, 3.0, 500))
    for deviation in (-1.0, 0.0, 1.0):
        assert fitted(np.array([_value_at(fitted, deviation)]))[0] == pytest.approx(deviation, abs=1e-6)
