"""A stacker for each subset of the inputs."""

import json

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import log_loss

from polyclinic.models.classical import Design
from polyclinic.models.ensemble.members import DesignRows
from polyclinic.models.ensemble.stacker import Stacker
from polyclinic.models.ensemble.stacker_by_subset import MIN_SAMPLES, Combination
from polyclinic.models.network.modality_dropout import keeping, subsets

N = 800
INPUTS = ("structured", "note")


def cohort(seed: int = 0):
    """Return targets, presence and two members: one with both inputs, one with the note only."""
    random = np.random.default_rng(seed)
    structured, note = random.normal(size=(2, N))
    y = (random.random(N) < expit(1.5 * structured + note)).astype(float)[:, None]
    present = {"structured": random.random(N) < 0.8, "note": random.random(N) < 0.8}
    written = present["note"]

    def joint(kept):
        # Without the structured input it predicts the opposite of the note.
        seen = present["structured"] & ("structured" in kept)
        return expit(np.where(seen, 1.5 * structured + note, -note))[:, None]

    predictions = {
        subset: (
            {"joint": joint(subset), "note only": expit(note)[:, None]},
            {
                "joint": np.logical_or.reduce([present[one] for one in subset]),
                "note only": written & ("note" in subset),
            },
        )
        for subset in subsets(INPUTS)
    }
    return predictions, present, y


def fitted() -> Combination:
    predictions, present, y = cohort()
    return Combination.fit("binary", predictions, present, y, np.ones(N, dtype=bool))


def test_weights_depend_on_the_inputs():
    stackers = fitted().stackers
    assert stackers["structured", "note"].weights["joint"] > 0.6
    assert stackers["note",].weights["joint"] < 0.1


def test_subset_stackers_are_better_than_one_for_incomplete_samples():
    predictions, present, y = cohort(seed=1)
    answers, able = predictions[INPUTS]
    one = Stacker.fit("binary", *cohort()[0][INPUTS], cohort()[2], np.ones(N, dtype=bool))
    only_note = present["note"] & ~present["structured"]
    combined = fitted()(answers, able, present)
    assert log_loss(y[only_note], combined[only_note]) < log_loss(y[only_note], one(answers, able)[only_note]) - 0.05


def test_each_sample_uses_the_stacker_of_its_inputs():
    predictions, present, _ = cohort()
    answers, able = predictions[INPUTS]
    combination = fitted()
    combined = combination(answers, able, present)
    for subset, stacker in combination.stackers.items():
        rows = np.all([present[modality] == (modality in subset) for modality in INPUTS], axis=0)
        assert rows.any()
        own = stacker({k: v[rows] for k, v in answers.items()}, {k: v[rows] for k, v in able.items()})
        assert (combined[rows] == own).all()


def test_samples_without_input_get_their_outcome_rate():
    predictions, present, y = cohort()
    nothing = ~(present["structured"] | present["note"])
    combined = fitted()(*predictions[INPUTS], present)
    assert len(set(combined[nothing, 0])) == 1
    rate = (y[nothing].sum() + 10 * y.mean()) / (nothing.sum() + 10)
    assert combined[nothing][0, 0] == pytest.approx(rate)


def test_nonzero_members_have_a_weight_for_some_sample():
    made = {
        ("note",): Stacker("binary", {"a": 1.0, "b": 0.0}, 1.0, (0.0,), (0.0,)),
        ("structured",): Stacker("binary", {"a": 0.0, "b": 1.0}, 1.0, (0.0,), (0.0,)),
    }
    combination = Combination("binary", made, (0.0,))
    yes, no = np.array([True]), np.array([False])
    assert combination.nonzero_members(["a", "b"], {"structured": no, "note": yes}) == ["a"]
    assert combination.nonzero_members(["a", "b"], {"structured": yes, "note": no}) == ["b"]
    both = {"structured": np.array([True, False]), "note": np.array([False, True])}
    assert combination.nonzero_members(["a", "b"], both) == ["a", "b"]


def test_rare_subsets_also_use_partially_matching_samples():
    predictions, present, y = cohort()
    present["note"] = np.arange(N) < MIN_SAMPLES // 2
    rare = Combination.fit("binary", predictions, present, y, np.ones(N, dtype=bool)).stackers["structured", "note"]
    some = present["structured"] | present["note"]
    assert rare == Stacker.fit("binary", *predictions[INPUTS], y, some)


def test_state_round_trips():
    combination = fitted()
    assert Combination.from_state(json.loads(json.dumps(combination.state()))) == combination


def test_restricted_rows_equal_those_of_restricted_samples():
    random = np.random.default_rng(0)
    arrays = {
        "structured": {"raw": random.normal(size=(40, 3)), "present": random.random(40) < 0.9},
        "note": {"sentences": random.normal(size=(40, 5, 8)).astype(np.float32), "present": random.random(40) < 0.9},
        "image": {"pooled": random.normal(size=(40, 2, 16)).astype(np.float32), "present": random.random(40) < 0.9},
    }
    arrays["note"]["sentence_mask"] = np.repeat(arrays["note"]["present"][:, None], 5, axis=1)
    arrays["image"]["view_mask"] = np.repeat(arrays["image"]["present"][:, None], 2, axis=1)
    design = Design.fit(arrays, {"structured": ["a", "b", "c"]})
    shown, present = DesignRows.of(design, arrays), {name: one["present"] for name, one in arrays.items()}
    for members in subsets(tuple(arrays)):
        limited, truth = shown.restricted_to(design, present, members), DesignRows.of(design, keeping(arrays, members))
        np.testing.assert_array_equal(limited.matrix, truth.matrix)
        np.testing.assert_array_equal(limited.able, truth.able)


@pytest.mark.parametrize("kind", ["binary", "multilabel", "multiclass"])
@pytest.mark.parametrize("few", [5, 80])
def test_few_equal_outcomes_do_not_give_extreme_predictions(kind, few):
    random = np.random.default_rng(0)
    present = {"structured": np.ones(N, dtype=bool), "note": np.arange(N) < few}
    outputs = 1 if kind == "binary" else 2
    y = np.zeros((N, outputs))
    happened = (random.random(N) < 0.4) & ~present["note"]
    y[np.arange(N), 0] = happened
    if kind == "multiclass":
        y[:, 1] = ~happened
    chance = np.full((N, outputs), 0.4 if kind != "multiclass" else 0.5)
    predictions = {
        subset: ({"a": chance}, {"a": np.logical_or.reduce([present[one] for one in subset])})
        for subset in subsets(INPUTS)
    }
    combination = Combination.fit(kind, predictions, present, y, np.ones(N, dtype=bool))
    answer = combination.stackers["note",]({"a": chance[:1]}, {"a": np.array([True])})[0, 0]
    assert 1 / (few + 20) / 2 < answer < chance[0, 0]


def test_few_numbers_do_not_scale_estimates():
    random = np.random.default_rng(0)
    y = random.normal(100, 20, size=(N, 1))
    present = {"structured": np.ones(N, dtype=bool), "note": np.arange(N) < 3}
    predictions = {subset: ({"a": y + 5}, {"a": present[subset[0]]}) for subset in subsets(INPUTS)}
    combination = Combination.fit("regression", predictions, present, y, np.ones(N, dtype=bool))
    answer = combination.stackers["note",]({"a": np.array([[120.0]])}, {"a": np.array([True])})[0, 0]
    assert answer == pytest.approx(120, abs=15)


def test_members_never_able_have_no_weight():
    predictions, _, _ = cohort()
    assert not predictions["structured",][1]["note only"].any()
    assert fitted().stackers["structured",].weights["note only"] == 0
