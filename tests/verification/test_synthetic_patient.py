"""The made-up patient: everything that the bundle reads, from its features alone, near what is usual."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from polyclinic import Bundle
from polyclinic.cohort import kind
from polyclinic.features.scaling import QuantileScale, RobustScale
from polyclinic.verification.golden_outputs import asking
from polyclinic.verification.synthetic_patient import _standing, make_up


@pytest.fixture(scope="module")
def bundle(every_kind) -> Bundle:
    return every_kind.bundle()


@pytest.fixture(scope="module")
def patient(bundle):
    return make_up(bundle)


def test_it_has_every_modality(bundle, patient):
    with asking(bundle, patient) as asked:
        assert asked.sample.present == ("structured", "series", "note", "image")


def test_it_comes_from_the_fitted_features_alone(bundle, patient):
    """Nothing else of the bundle is read: the same features in a bundle of nothing else give the same."""
    bare = Bundle(bundle.study, bundle.features, None)
    assert make_up(bare).events == patient.events
    assert make_up(bare).picture == patient.picture


def test_some_codes_are_left_out(bundle, patient):
    there = {event.code for event in patient.events}
    structured, series = (bundle.features.featurizers[name] for name in ("structured", "series"))
    assert 0 < len(set(series.codes) - there) < len(series.codes) / 3
    assert 0 < len(structured.layout.codes - there) < len(structured.layout.codes) / 2


def test_numbers_are_those_that_training_found_usual(bundle, patient):
    series = bundle.features.featurizers["series"].fitted
    for code, scale, (low, high) in zip(series.codes, series.scales, series.limits, strict=True):
        values = np.array([event.number for event in patient.events if event.code == code])
        assert (np.abs((values - scale.centre) / scale.spread) < 2.1).all()
        assert ((values >= low - abs(low) / 1000) & (values <= high + abs(high) / 1000)).all()


def test_what_has_no_time_is_a_fact_and_the_rest_lies_before(patient):
    assert all((event.hours is None) == (kind(event.code) == "DEMOGRAPHIC") for event in patient.events)
    assert all(event.hours is None or event.hours >= 0 for event in patient.events)


def test_the_picture_is_drawn(patient):
    with Image.open(BytesIO(patient.picture)) as picture:
        assert picture.mode == "L"
        assert np.ptp(np.asarray(picture)) > 200
    assert sum(event.picture for event in patient.events) == 1


def test_a_task_that_may_not_see_notes_and_pictures_gets_none(bundle):
    task = bundle.tasks[0]
    blind = task.model_copy(update={"inputs": task.inputs.model_copy(update={"exclude": ("NOTE//*", "IMAGE//*")})})
    study = bundle.study.model_copy(update={"tasks": (blind, *bundle.tasks[1:])})
    patient = make_up(Bundle(study, bundle.features, bundle.ensemble))
    assert not {kind(event.code) for event in patient.events} & {"NOTE", "IMAGE"}
    assert patient.picture is None


@pytest.mark.parametrize("scale", [RobustScale, QuantileScale])
def test_a_value_is_found_for_its_standing(scale):
    fitted = scale.fit(np.random.default_rng(0).gamma(2.0, 3.0, 500))
    for deviation in (-1.0, 0.0, 1.0):
        assert fitted(np.array([_standing(fitted, deviation)]))[0] == pytest.approx(deviation, abs=1e-6)
