"""A bundle that is calibrated by group answers alike everywhere, and only those whose group is known."""

import numpy as np
import pytest
from scipy.special import expit, logit

from polyclinic.assess import assess
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.models.ensemble.group_calibration import GroupCalibration
from polyclinic.models.network.modality_dropout import keeping
from polyclinic.tasks import number_samples
from tests.hospital import times_of

TASK = "demo_deterioration"
OFFSETS = {"sex": {"female": (0.75,), "male": (0.0,)}, "age": {"80+": (-0.5,)}}


@pytest.fixture
def bundle(trained):
    bundle = trained.bundle()
    bundle.ensemble.tasks[TASK].group_calibration = GroupCalibration("binary", OFFSETS)
    return bundle


def answers(bundle, arrays):
    return bundle.ensemble.answer(arrays)[TASK].answers[:, 0]


def test_answers_move_by_the_offsets_of_their_groups(bundle, trained, hospital):
    arrays = bundle.arrays(hospital, number_samples(times_of(hospital)))
    plain, moved = answers(trained.bundle(), arrays), answers(bundle, arrays)
    groups = bundle.ensemble.groups_of(arrays)
    expected = [
        OFFSETS["sex"].get(sex, (0.0,))[0] + OFFSETS["age"].get(age, (0.0,))[0]
        for sex, age in zip(groups["sex"], groups["age"], strict=True)
    ]
    assert {0.0, 0.75} <= set(expected)
    np.testing.assert_allclose(moved, expit(logit(plain) + expected), rtol=1e-9)


def test_without_structured_inputs_nothing_moves(bundle, trained, hospital):
    arrays = keeping(bundle.arrays(hospital, number_samples(times_of(hospital))), {"note", "image"})
    assert np.array_equal(answers(trained.bundle(), arrays), answers(bundle, arrays))


def test_a_bundle_keeps_its_calibration_by_group(bundle, hospital, tmp_path):
    bundle.save(tmp_path / "bundle")
    again = Bundle.load(tmp_path / "bundle")
    assert again.ensemble.tasks[TASK].group_calibration == bundle.ensemble.tasks[TASK].group_calibration
    assert again.predict(hospital, tasks=[TASK]).frame.equals(bundle.predict(hospital, tasks=[TASK]).frame)


def test_an_assessment_gives_the_same_answer_within_its_interval(bundle, hospital):
    for subject in hospital.subjects_in("held_out")[:3]:
        (output,) = assess(bundle, hospital, subject, explain=False)[TASK].outputs
        predicted = bundle.predict(hospital, subjects=[subject], tasks=[TASK]).frame
        assert output.value == pytest.approx(predicted["predicted_boolean_probability"][0], abs=1e-9)
        assert output.low <= output.value <= output.high
