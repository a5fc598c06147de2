"""Absence is a mask: whatever lies in the slots of an absent modality changes no bit of any answer."""

import numpy as np
import pytest
from scipy import sparse

from polyclinic.tasks import number_samples
from polyclinic.training.fit import fit_study
from tests.hospital import STUDY, times_of

MODALITIES = ("structured", "series", "note", "image")


def garbage(array, rows):
    """Give the array with nonsense in some rows."""
    if sparse.issparse(array):
        array = array.tolil(copy=True)
        array[rows] = np.nan
        return array.tocsr()
    spoiled = np.array(array)
    if spoiled.dtype.kind == "f":
        spoiled[rows] = np.nan
    elif spoiled.dtype.kind == "b":
        spoiled[rows] = ~spoiled[rows]
    elif spoiled.dtype.kind == "i":
        spoiled[rows] = 1_000_000
    else:
        spoiled[rows] = "nobody's.png"
    return spoiled


def spoiled(arrays, absent):
    """Give the arrays of one modality with nonsense wherever it is absent."""
    return {name: array if name == "present" else garbage(array, absent) for name, array in arrays.items()}


def without(arrays, modality):
    """Take a modality from every second sample."""
    present = np.array(arrays[modality]["present"])
    present[::2] = False
    return arrays | {modality: arrays[modality] | {"present": present}}


def assert_same_answers(ensemble, here, there):
    said, said_there = (ensemble.answer(arrays, every_member=True) for arrays in (here, there))
    for one, other in zip(said.values(), said_there.values(), strict=True):
        assert np.isfinite(one.answers).all()
        assert one.answers.tobytes() == other.answers.tobytes()
        for name, prediction in one.members.items():
            able = prediction.able
            assert (able == other.members[name].able).all()
            assert prediction.answers[able].tobytes() == other.members[name].answers[able].tobytes(), name


@pytest.fixture(scope="module")
def arrays(every_kind, hospital):
    return every_kind.bundle().arrays(hospital, number_samples(times_of(hospital)))


@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("which", ["trained", "every_kind"])
def test_what_lies_in_absent_slots_has_no_influence(which, modality, arrays, request):
    ensemble = request.getfixturevalue(which).bundle().ensemble
    here = without(arrays, modality)
    absent = ~here[modality]["present"]
    there = here | {modality: spoiled(here[modality], absent)}
    assert 36 <= absent.sum() < 72
    assert_same_answers(ensemble, here, there)


@pytest.mark.parametrize("which", ["trained", "every_kind"])
def test_nothing_at_all_is_answered_alike_whatever_lies_there(which, arrays, request):
    ensemble = request.getfixturevalue(which).bundle().ensemble
    nobody = np.zeros(72, dtype=bool)
    here = {modality: one | {"present": nobody} for modality, one in arrays.items()}
    assert_same_answers(ensemble, here, {modality: spoiled(one, ~nobody) for modality, one in here.items()})
    for said in ensemble.answer(here).values():
        assert np.ptp(said.answers, axis=0) == pytest.approx(0)


def test_series_without_a_table_beside_them(hospital, cache):
    study = STUDY.model_copy(update={"inputs": ("series", "note"), "classical": ("logistic_regression",)})
    bundle = fit_study(study, hospital, cache=cache).bundle
    here = without(bundle.arrays(hospital, number_samples(times_of(hospital))), "series")
    assert_same_answers(bundle.ensemble, here, here | {"series": spoiled(here["series"], ~here["series"]["present"])})


def test_presence_itself_does_count(every_kind, arrays):
    ensemble = every_kind.bundle().ensemble
    for modality in MODALITIES:
        here, there = (
            ensemble.answer(one, every_member=True)["demo_deterioration"].members["network"].answers
            for one in (arrays, without(arrays, modality))
        )
        changed = np.abs(here - there)[:, 0] > 1e-6
        assert changed[::2][np.asarray(arrays[modality]["present"])[::2]].all()
        assert not changed[1::2].any()
