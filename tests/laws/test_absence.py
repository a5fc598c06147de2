"""Absence is a mask: values in the slots of an absent modality do not affect any prediction."""

import numpy as np
import pytest
from scipy import sparse

from polyclinic.modalities import MODALITIES
from polyclinic.tasks import number_samples
from polyclinic.training.fit import fit_study
from tests.hospital import STUDY, times_of

INPUTS = [("trained", name) for name in STUDY.inputs] + [("every_kind", name) for name in MODALITIES]


def with_invalid_rows(array, rows):
    """Return the array with invalid values in some rows."""
    if sparse.issparse(array):
        array = array.tolil(copy=True)
        array[rows] = np.nan
        return array.tocsr()
    invalid = np.array(array)
    if invalid.dtype.kind == "f":
        invalid[rows] = np.nan
    elif invalid.dtype.kind == "b":
        invalid[rows] = ~invalid[rows]
    elif invalid.dtype.kind == "i":
        invalid[rows] = 1_000_000
    else:
        invalid[rows] = "invalid.png"
    return invalid


def invalid(arrays, absent):
    """Return the arrays of one modality with invalid values where it is absent."""
    return {name: array if name == "present" else with_invalid_rows(array, absent) for name, array in arrays.items()}


def without(arrays, modality):
    """Remove a modality from every second sample."""
    present = np.array(arrays[modality]["present"])
    present[::2] = False
    return arrays | {modality: arrays[modality] | {"present": present}}


def assert_same_answers(ensemble, first, second):
    predictions = (ensemble.answer(arrays, every_member=True).values() for arrays in (first, second))
    for one, other in zip(*predictions, strict=True):
        assert np.isfinite(one.answers).all()
        assert one.answers.tobytes() == other.answers.tobytes()
        for name, prediction in one.members.items():
            able = prediction.able
            assert (able == other.members[name].able).all()
            assert prediction.answers[able].tobytes() == other.members[name].answers[able].tobytes(), name


@pytest.fixture(scope="module")
def arrays(every_kind, hospital):
    return every_kind.bundle().arrays(hospital, number_samples(times_of(hospital)))


def read_by(bundle, arrays):
    """Return the arrays of the bundle's inputs."""
    return {name: arrays[name] for name in bundle.inputs}


@pytest.mark.parametrize(("which", "modality"), INPUTS)
def test_values_in_absent_slots_have_no_influence(which, modality, arrays, request):
    bundle = request.getfixturevalue(which).bundle()
    first = without(read_by(bundle, arrays), modality)
    absent = ~first[modality]["present"]
    second = first | {modality: invalid(first[modality], absent)}
    assert 36 <= absent.sum() < 72
    assert_same_answers(bundle.ensemble, first, second)


@pytest.mark.parametrize("which", ["trained", "every_kind"])
def test_samples_without_inputs_have_one_prediction(which, arrays, request):
    bundle = request.getfixturevalue(which).bundle()
    ensemble, none_present = bundle.ensemble, np.zeros(72, dtype=bool)
    first = {name: own | {"present": none_present} for name, own in read_by(bundle, arrays).items()}
    assert_same_answers(ensemble, first, {modality: invalid(own, ~none_present) for modality, own in first.items()})
    for prediction in ensemble.answer(first).values():
        assert np.ptp(prediction.answers, axis=0) == pytest.approx(0)


def test_absent_series_without_structured_inputs(hospital, cache):
    study = STUDY.model_copy(update={"inputs": ("series", "note"), "classical": ("logistic_regression",)})
    bundle = fit_study(study, hospital, cache=cache).bundle
    first = without(bundle.arrays(hospital, number_samples(times_of(hospital))), "series")
    assert_same_answers(
        bundle.ensemble, first, first | {"series": invalid(first["series"], ~first["series"]["present"])}
    )


def test_presence_has_an_influence(every_kind, arrays):
    ensemble = every_kind.bundle().ensemble
    for modality in MODALITIES:
        first, second = (
            ensemble.answer(one, every_member=True)["demo_deterioration"].members["network"].answers
            for one in (arrays, without(arrays, modality))
        )
        changed = np.abs(first - second)[:, 0] > 1e-6
        assert changed[::2][np.asarray(arrays[modality]["present"])[::2]].all()
        assert not changed[1::2].any()
