"""Similar patients are the nearest development patients in the latent, with their outcomes."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from polyclinic.explain.neighbours.latents import latents_of
from polyclinic.explain.neighbours.similar_patients import Neighbourhood
from polyclinic.explain.sample import ExplanationError, Sample
from polyclinic.features.cache.encoder_cache import EncoderCache
from polyclinic.features.feature_set import FeatureSet
from polyclinic.tasks import label, number_samples
from tests.explain.conftest import empty
from tests.hospital import rewritten, times_of

TASK = "demo_deterioration"


@pytest.fixture(scope="module")
def neighbourhood(bundle, hospital):
    return Neighbourhood.of(bundle, hospital)


@pytest.fixture(scope="module")
def stranger(bundle, hospital):
    """A sample of a held-out subject."""
    times = times_of(hospital)
    held_out = set(hospital.subjects_in("held_out"))
    row = next(row for row in times.iter_rows(named=True) if row["subject_id"] in held_out)
    subject, at = row["subject_id"], row["prediction_time"]
    return Sample.of(bundle, hospital.subject(subject), subject, at, hospital.blob)


def test_neighbours_are_the_nearest_by_exhaustive_search(bundle, hospital, neighbourhood, stranger):
    found = neighbourhood.nearest(bundle, stranger, most=4)
    latents = latents_of(bundle.ensemble.networks, bundle.arrays(hospital, neighbourhood.frame))
    mine = latents_of(bundle.ensemble.networks, stranger.arrays)[0]
    scores = []
    for theirs in latents:
        a = (theirs - latents.mean(axis=0)) / latents.std(axis=0)
        b = (mine - latents.mean(axis=0)) / latents.std(axis=0)
        scores.append(np.mean([x @ y / np.linalg.norm(x) / np.linalg.norm(y) for x, y in zip(a, b, strict=True)]))
    order = np.argsort(-np.array(scores))[:4]
    assert [one.subject_id for one in found] == neighbourhood.frame["subject_id"].gather(order).to_list()
    np.testing.assert_allclose([one.likeness for one in found], np.array(scores)[order], atol=1e-5)
    assert all(-1 <= one.likeness <= 1 for one in found)


def test_a_damaged_image_of_another_patient_is_absent(bundle, hospital, stranger, neighbourhood, tmp_path):
    copy = rewritten(hospital, tmp_path / "copy", lambda events: events)
    nearest = neighbourhood.nearest(bundle, stranger)[0].subject_id
    for name in copy.subject(nearest)["blob"].drop_nulls().unique():
        copy.blob(name).write_bytes(b"damaged")
    fresh = replace(bundle, features=FeatureSet.from_state(_states(bundle), EncoderCache(tmp_path / "cache")))
    same = Sample.of(fresh, copy.subject(stranger.subject_id), stranger.subject_id, stranger.prediction_time, copy.blob)
    found = Neighbourhood.of(fresh, copy).nearest(fresh, same, most=1000)
    (theirs,) = [one for one in found if one.subject_id == nearest]
    assert not {"image", "waveform"} & set(theirs.modalities)


def _states(bundle):
    return {name: featurizer.state() for name, featurizer in bundle.features.featurizers.items()}


def test_neighbours_are_development_subjects(hospital, bundle, neighbourhood, stranger):
    learnt = {s for split in bundle.origin["development"] for s in hospital.subjects_in(split)}
    found = neighbourhood.nearest(bundle, stranger, most=1000)
    assert {one.subject_id for one in found} <= learnt
    assert len({one.subject_id for one in found}) == len(found)
    assert [one.likeness for one in found] == sorted((one.likeness for one in found), reverse=True)


def test_a_subject_is_not_its_own_neighbour(bundle, neighbourhood, hospital):
    subject, at = neighbourhood.frame["subject_id"][0], neighbourhood.frame["prediction_time"][0]
    sample = Sample.of(bundle, hospital.subject(subject), subject, at, hospital.blob)
    likeness = neighbourhood.likeness(latents_of(bundle.ensemble.networks, sample.arrays)[0])
    assert likeness[0] == pytest.approx(1, abs=1e-5)
    assert subject not in {one.subject_id for one in neighbourhood.nearest(bundle, sample, most=1000)}


def test_outcomes_are_those_of_the_cohort(bundle, hospital, neighbourhood, stranger):
    labels = label(hospital, bundle.task(TASK)).frame
    for one in neighbourhood.nearest(bundle, stranger, most=20):
        row = labels.filter(pl.col("subject_id") == one.subject_id, pl.col("prediction_time") == one.prediction_time)
        expected = None if not row.height else "yes" if row["boolean_value"][0] else "no"
        assert one.outcomes == {TASK: expected}


def test_every_kind_of_outcome_is_returned(every_kind, hospital, sample_of):
    bundle = every_kind.bundle()
    found = Neighbourhood.of(bundle, hospital).nearest(bundle, sample_of(bundle, 0), most=5)
    outcomes = {task.name: [one.outcomes[task.name] for one in found] for task in bundle.tasks}
    assert set(outcomes["demo_deterioration"]) <= {"yes", "no", None}
    assert set(outcomes["demo_diagnosis"]) <= {*bundle.task("demo_diagnosis").outputs, None}
    assert all(isinstance(one, float | None) for one in outcomes["demo_stay"])
    assert any("event by" in one for one in outcomes["demo_survival"] if one)


def test_shared_values_are_known_in_both_and_unusual(bundle, hospital, neighbourhood, stranger):
    layout = bundle.features.featurizers["structured"].layout
    place = {column.name: k for k, column in enumerate(layout.columns)}
    found = neighbourhood.nearest(bundle, stranger, most=10)
    assert any(one.shares for one in found)
    for one in found:
        assert set(one.modalities) <= set(stranger.present)
        row = number_samples(times_of(hospital).filter(pl.col("subject_id") == one.subject_id))
        theirs = bundle.arrays(hospital, row)["structured"]["raw"][0]
        assert len({shared.code for shared in one.shares}) == len(one.shares)
        for shared in one.shares:
            column = layout.columns[place[shared.name]]
            assert shared.theirs == theirs[place[shared.name]]
            assert shared.mine == stranger.arrays["structured"]["raw"][0][place[shared.name]]
            assert column.of not in ("count", "hours since last", "sd", "slope") or column.code in layout.bare
            if column.spread != 1.0:
                mine_away, their_away = ((v - column.centre) / column.spread for v in (shared.mine, shared.theirs))
                assert min(abs(mine_away), abs(their_away)) >= 1
                assert mine_away * their_away > 0


def test_cached_latents_are_reused_only_for_the_same_network(bundle, hospital, neighbourhood, tmp_path, monkeypatch):
    kept = tmp_path / "neighbours.arrow"
    Neighbourhood.of(bundle, hospital, kept)
    assert kept.stat().st_mode & 0o077 == 0
    computed = []
    monkeypatch.setattr(
        "polyclinic.explain.neighbours.similar_patients.latents_of",
        lambda *args: computed.append(1) or latents_of(*args),
    )
    again = Neighbourhood.of(bundle, hospital, kept)
    assert not computed
    np.testing.assert_array_equal(again.latents, neighbourhood.latents)
    fewer = replace(bundle, ensemble=replace(bundle.ensemble, networks=bundle.ensemble.networks[:1]))
    assert Neighbourhood.of(fewer, hospital, kept).latents.shape[1] == 1
    assert computed


def test_a_damaged_cache_file_is_rebuilt(bundle, hospital, neighbourhood, tmp_path):
    kept = tmp_path / "neighbours.arrow"
    Neighbourhood.of(bundle, hospital, kept)
    whole = kept.read_bytes()
    kept.write_bytes(whole[: len(whole) // 2])
    np.testing.assert_array_equal(Neighbourhood.of(bundle, hospital, kept).latents, neighbourhood.latents)
    assert len(kept.read_bytes()) == len(whole)


def test_refusals(bundle, hospital, neighbourhood, stranger):
    with pytest.raises(ExplanationError, match="not the cohort"):
        Neighbourhood.of(replace(bundle, origin=bundle.origin | {"cohort": "other"}), hospital)
    with pytest.raises(ExplanationError, match="no network"):
        Neighbourhood.of(replace(bundle, ensemble=replace(bundle.ensemble, networks=[])), hospital)
    with pytest.raises(ExplanationError, match="nothing is known"):
        neighbourhood.nearest(bundle, empty(stranger))
    fewer = replace(bundle, ensemble=replace(bundle.ensemble, networks=bundle.ensemble.networks[:1]))
    with pytest.raises(ExplanationError, match="of another bundle"):
        neighbourhood.nearest(fewer, stranger)
