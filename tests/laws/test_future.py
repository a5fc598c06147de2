"""Nothing from the future: events after the prediction time do not affect any prediction."""

import json
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from scipy import sparse

from polyclinic.modalities import MODALITIES
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.tasks import number_samples
from polyclinic.training.fit import fit_study
from tests.hospital import NOISE, ONE_OF_EACH, STUDY, added, files_of, rewritten, spoiled, times_of

JUST_AFTER, JUST_BEFORE = timedelta(microseconds=1), timedelta(microseconds=-1)


def assert_same_bits(these, those):
    for modality, arrays in these.items():
        assert arrays.keys() == those[modality].keys()
        for name, array in arrays.items():
            first, second = (
                each.toarray() if sparse.issparse(each) else np.asarray(each) for each in (array, those[modality][name])
            )
            assert first.dtype == second.dtype
            assert first.tobytes() == second.tobytes(), f"{modality} {name}"


@pytest.fixture(scope="module")
def times(hospital):
    return times_of(hospital)


@pytest.fixture(scope="module")
def past(hospital, times, tmp_path_factory):
    """The hospital with events of every kind exactly at the prediction time, the latest that are inputs."""
    return rewritten(
        hospital,
        tmp_path_factory.mktemp("past"),
        lambda events: added(events, times, timedelta(0), MODALITIES),
        NOISE,
    )


@pytest.fixture(scope="module")
def other_future(past, times, tmp_path_factory):
    """The same past, with all outcomes changed and events of every modality added after the prediction time."""

    def change(events):
        times_by_subject = events.join(times, on="subject_id", how="left", maintain_order="left")
        events = spoiled(times_by_subject, (pl.col("time") > pl.col("prediction_time")).fill_null(False))
        for shift in (JUST_AFTER, timedelta(days=1)):
            events = added(events.drop("prediction_time", strict=False), times, shift, list(ONE_OF_EACH))
        return events

    return rewritten(past, tmp_path_factory.mktemp("future"), change, NOISE)


def test_events_after_the_prediction_time_differ(past, other_future):
    before, after = (cohort.events().collect() for cohort in (past, other_future))
    assert after.height > before.height + 1000
    outcomes = [frame.filter(pl.col("code") == "OUTCOME//deterioration")["numeric_value"] for frame in (before, after)]
    assert outcomes[0].mean() != pytest.approx(outcomes[1].mean())


def test_later_events_do_not_change_arrays(every_kind, past, other_future, times):
    bundle = every_kind.bundle()
    samples = number_samples(times)
    assert_same_bits(bundle.arrays(past, samples), bundle.arrays(other_future, samples))


@pytest.mark.parametrize("which", ["trained", "every_kind"])
def test_later_events_do_not_change_predictions(which, past, other_future, request):
    bundle = request.getfixturevalue(which).bundle()
    before, after = bundle.predict(past), bundle.predict(other_future)
    assert before.frame.equals(after.frame)
    assert before.shift == after.shift


def answers_of_members(every_kind, cohort, times):
    """Return the answers of each member to the question about deterioration."""
    bundle = every_kind.bundle()
    answers = bundle.ensemble.answer(bundle.arrays(cohort, number_samples(times)), every_member=True)
    return {name: member.answers for name, member in answers["demo_deterioration"].members.items()}


@pytest.fixture(scope="module")
def before(every_kind, hospital, times):
    """The answers of each member about the hospital as it is."""
    return answers_of_members(every_kind, hospital, times)


@pytest.mark.parametrize("modality", MODALITIES)
def test_events_just_before_the_prediction_time_change_predictions(
    modality, every_kind, before, hospital, times, tmp_path
):
    earlier = rewritten(
        hospital, tmp_path / "earlier", lambda events: added(events, times, JUST_BEFORE, [modality]), NOISE
    )
    after = answers_of_members(every_kind, earlier, times)
    for member in ("network", "logistic_regression"):
        assert (np.abs(after[member] - before[member]) > 1e-5).mean() > 0.9


def test_fitting_does_not_depend_on_later_inputs(trained, hospital, times, cache, tmp_path):
    later = rewritten(hospital, tmp_path / "later", lambda events: added(events, times, JUST_AFTER, MODALITIES), NOISE)
    fit_study(STUDY, later, cache=cache).bundle.save(tmp_path / "bundle")
    fitted = files_of(tmp_path / "bundle")
    fitted.pop("bundle.json")  # names the cohort
    before = files_of(trained.folder)
    described, known = (json.loads(files.pop("description.json"))["tasks"] for files in (fitted, before))
    assert fitted.items() <= before.items()
    for task, facts in described.items():  # of the whole cohort are its sources and counts alone
        assert {name for name in facts if facts[name] != known[task][name]} <= {"cohort"}
    assert Bundle.load(tmp_path / "bundle").predict(hospital).frame.equals(trained.bundle().predict(hospital).frame)
