"""Removed units are removed, curves and correlations are as defined, and random weights are random."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from scipy.stats import spearmanr

from polyclinic.explain.audit.faithfulness import (
    KINDS,
    SHARES,
    STAGES,
    deletion_curves,
    likenesses,
    noisy,
    random_orders,
    rank_correlation,
    redrawn,
    strongest_first,
)
from polyclinic.explain.inputs.baseline import usual_of
from polyclinic.explain.inputs.image import BLOCK, BlockUnits
from polyclinic.explain.inputs.note import CodeUnits, WordUnits
from polyclinic.explain.methods.unit_scores import METHODS, edges, smoothed
from polyclinic.explain.perturbation.perturbed_sample import PerturbedSample
from polyclinic.explain.sample import Sample, output_of
from polyclinic.features.note.negation import is_cue
from tests.explain.conftest import without

TASK = "demo_deterioration"


@pytest.fixture(scope="module")
def sample(with_inputs):
    return with_inputs()


def perturbed_sample(bundle, sample):
    return PerturbedSample(bundle.ensemble.networks, sample, output_of(bundle, TASK), usual_of(bundle.reference))


@pytest.fixture(scope="module")
def perturbed(bundle, sample):
    return perturbed_sample(bundle, sample)


@pytest.fixture(scope="module")
def few(bundle, sample):
    """The same without its image, which takes longest."""
    return perturbed_sample(bundle, without(sample, "image"))


def all_of(units, value=True):
    return np.full((1, len(units)), value)


def test_removing_no_units_gives_the_logit_and_all_units_the_baseline(perturbed):
    (whole,) = perturbed.function(perturbed.function.between(torch.ones(1))).tolist()
    for modality, units in perturbed.units.items():
        assert perturbed.without(modality, all_of(units)) == pytest.approx(whole, abs=1e-4)
        if modality != "note":
            inputs = perturbed.function.inputs
            points = {name: (input_.start if name == modality else input_.end)[None] for name, input_ in inputs.items()}
            with torch.no_grad():
                (empty,) = perturbed.function(points).tolist()
            assert perturbed.without(modality, all_of(units, value=False)) == pytest.approx(empty, abs=1e-4)


@pytest.fixture
def read_as(bundle, other_bundle, sample_of):
    """A bundle with a way of reading notes, and a sample with all of its inputs."""

    def read(way):
        reader = bundle if way == "words" else other_bundle("sentences")
        return reader, next(one for one in (sample_of(reader, n) for n in range(24)) if one.present == reader.inputs)

    return read


@pytest.mark.parametrize(("way", "kind"), [("words", CodeUnits), ("sentences", WordUnits)])
def test_removing_a_word_equals_a_note_without_it(read_as, hospital, way, kind):
    bundle, sample = read_as(way)
    few = perturbed_sample(bundle, without(sample, "image"))
    units = few.units["note"]
    assert isinstance(units, kind)
    (layout,) = bundle.features.featurizers["note"].layouts(sample.known, sample.frame)
    text = next(note.text for note in layout.notes if note.section == "indication")
    chosen = next(
        n
        for n, word in enumerate(units.input_.words)
        if word.text.isalpha() and word.start > 0 and not is_cue(word.text)
    )
    word = units.input_.words[chosen]
    rewritten = text[: word.start] + " " * (word.end - word.start) + text[word.end :]
    events = hospital.subject(sample.subject_id).with_columns(
        pl.when(pl.col("code") == "NOTE//indication")
        .then(pl.lit(rewritten))
        .otherwise("text_value")
        .alias("text_value")
    )
    other = Sample.of(bundle, events, sample.subject_id, sample.prediction_time, hospital.blob)
    asked = perturbed_sample(bundle, without(other, "image"))
    (expected,) = asked.without("note", all_of(asked.units["note"]))
    kept = all_of(units)
    kept[0, chosen] = False
    assert few.without("note", kept)[0] == pytest.approx(expected, abs=1e-5)


def test_a_note_without_words_is_absent(bundle, few, sample):
    nothing = few.without("note", all_of(few.units["note"], value=False))
    absent = perturbed_sample(bundle, without(sample, "image", "note"))
    assert nothing == pytest.approx(absent.without("series", all_of(absent.units["series"])), abs=1e-5)


@pytest.mark.parametrize("name", ["words", "live"])
def test_units_of_other_encoders_can_be_removed(other_bundle, sample_of, name):
    other = other_bundle(name)
    sample = next(one for one in (sample_of(other, n) for n in range(24)) if one.present == other.inputs)
    perturbed = perturbed_sample(other, without(sample, "image"))
    (whole,) = perturbed.function(perturbed.function.between(torch.ones(1))).tolist()
    units = perturbed.units["note"]
    assert perturbed.without("note", all_of(units)) == pytest.approx(whole, abs=1e-4)
    lost = perturbed.without("note", ~np.eye(len(units), dtype=bool))
    assert np.isfinite(lost).all()
    assert len(set(lost.round(9))) > 1


def test_blocks_cover_the_image_without_the_border(perturbed):
    units = perturbed.units["image"]
    assert isinstance(units, BlockUnits)
    pixels = units.input_.end[:, 0]
    assert (pixels[units.grid < 0] == 0).all()
    assert set(units.grid.unique().tolist()) - {-1} == set(range(len(units)))
    block = (units.grid == 0).sum().item()
    assert block == BLOCK**2
    scores = np.arange(1.0, len(units) + 1)
    assert units.gathered(units.spread(scores)[:, None]) == pytest.approx(scores * BLOCK**2)
    assert np.bincount(units.patches).max() <= 4


def test_occlusion_is_the_change_without_a_unit(few):
    scores = METHODS["occlusion"](few).units
    for modality, units in few.units.items():
        kept = all_of(units)
        kept[0, 0] = False
        lost = few.without(modality, all_of(units)) - few.without(modality, kept)
        assert scores[modality][0] == pytest.approx(lost[0], abs=1e-5)


def test_curves_have_the_right_ends_and_the_best_order_beats_chance(few):
    truth = METHODS["occlusion"](few).units["structured"]
    orders = {"best": strongest_first(truth), "worst": strongest_first(-truth)}
    orders |= {f"random {n}": order for n, order in enumerate(random_orders(len(truth), 3, seed=1))}
    units = few.units["structured"]
    whole, empty = (few.without("structured", all_of(units, value))[0] for value in (True, False))
    found = {kind: deletion_curves(few, "structured", orders, kind) for kind in KINDS}
    for name in orders:
        down, up = found["deletion"][name], found["insertion"][name]
        assert (down.values[0], down.values[-1]) == pytest.approx((whole, empty), abs=1e-5)
        assert (up.values[0], up.values[-1]) == pytest.approx((empty, whole), abs=1e-5)
        assert min(down.values) <= down.area <= max(down.values)
        assert len(down.values) == len(SHARES)
    random = [f"random {n}" for n in range(3)]
    assert found["deletion"]["best"].area < min(found["deletion"][name].area for name in random)
    assert found["insertion"]["best"].area > max(found["insertion"][name].area for name in random)
    assert found["deletion"]["worst"].area > max(found["deletion"][name].area for name in random)


def test_weights_are_redrawn_and_those_of_encoders_only_at_the_last_stage(bundle):
    networks, state = bundle.ensemble.networks, torch.random.get_rng_state()
    for stage in STAGES:
        drawn, again = redrawn(networks, stage, 0), redrawn(networks, stage, 0)
        other = redrawn(networks, stage, 1)
        heads = [one.unimodal_heads.weights[TASK] for one in (drawn[0], networks[0], other[0], drawn[1])]
        assert all(not torch.allclose(heads[0], one, atol=1e-3) for one in heads[1:])
        assert torch.equal(heads[0], again[0].unimodal_heads.weights[TASK])
        encoders = zip(drawn[0].encoders.parameters(), networks[0].encoders.parameters(), strict=True)
        assert all(torch.equal(*pair) for pair in encoders) == (stage == STAGES[0])
    assert torch.equal(state, torch.random.get_rng_state())


def test_redrawn_weights_differ_from_the_initial_ones_of_training(bundle):
    for seed in range(4):
        begun = []
        with torch.random.fork_rng(devices=[]):
            for number in range(4):
                torch.manual_seed(number)
                begun.append(type(bundle.ensemble.networks[0])(bundle.ensemble.networks[0].config))
        (drawn, *_) = redrawn(bundle.ensemble.networks, STAGES[-1], seed)
        assert all(
            not torch.allclose(drawn.unimodal_heads.weights[TASK], one.unimodal_heads.weights[TASK]) for one in begun
        )


def test_gradients_differ_for_random_networks_and_not_for_the_same(bundle, few):
    scores = METHODS["gradient_input"](few)
    same = METHODS["gradient_input"](few.with_networks(bundle.ensemble.networks))
    assert {like.modality: like.shown for like in likenesses(scores, same)} == pytest.approx(
        dict.fromkeys(few.units, 1.0)
    )
    random = METHODS["gradient_input"](few.with_networks(redrawn(bundle.ensemble.networks, STAGES[-1], 0)))
    assert all(like.shown < 0.9 for like in likenesses(scores, random))


def test_noise_is_small_and_spares_the_border_and_the_sample(perturbed):
    before = {name: input_.end.clone() for name, input_ in perturbed.function.inputs.items()}
    noised = noisy(perturbed, 0)
    image = noised.function.inputs["image"].end
    assert ((image > 0) <= (before["image"] > 0)).all()
    assert 0 < (image - before["image"]).abs().max() < 0.1
    assert all(torch.equal(input_.end, before[name]) for name, input_ in perturbed.function.inputs.items())
    assert noisy(perturbed, 0).function.inputs["series"].end.equal(noised.function.inputs["series"].end)
    changed = noised.without("structured", all_of(noised.units["structured"]))
    assert changed != pytest.approx(perturbed.without("structured", all_of(perturbed.units["structured"])), abs=1e-7)


def test_noise_on_sentences_changes_the_embeddings(read_as):
    bundle, sample = read_as("sentences")
    perturbed = perturbed_sample(bundle, without(sample, "image"))
    noised = noisy(perturbed, 0)
    assert not torch.equal(noised.function.inputs["note"].embedded, perturbed.function.inputs["note"].embedded)
    assert torch.equal(noised.function.inputs["note"].end, perturbed.function.inputs["note"].end)


def test_rank_correlation_is_spearmans():
    generator = np.random.default_rng(0)
    one, other = generator.integers(0, 5, 40).astype(float), generator.normal(size=40)
    assert rank_correlation(one, other) == pytest.approx(spearmanr(one, other).statistic)
    assert np.isnan(rank_correlation(one[:2], other[:2]))
    assert np.isnan(rank_correlation(np.ones(40), other))


def test_map_methods_cover_the_canvas_and_score_only_images(perturbed):
    side = perturbed.function.inputs["image"].end.shape[-1]
    views = len(perturbed.function.inputs["image"].end)
    for name in ("map_gradients", "grad_cam"):
        scores = METHODS[name](perturbed)
        assert scores.maps.shape == (views, side, side)
        assert set(scores.units) == {"image"}
    assert (METHODS["grad_cam"](perturbed).maps >= 0).all()


def test_edges_are_brightness_changes_and_blurring_keeps_the_sum():
    picture = torch.zeros(1, 1, 64, 64)
    picture[..., 32:] = 1
    found = edges(picture)[0]
    assert found[:, 31:33].min() > 0
    assert found[:, :30].max() == found[:, 34:].max() == 0
    point = torch.zeros(1, 64, 64)
    point[0, 32, 32] = 2
    blurred = smoothed(point)
    assert blurred.sum() == pytest.approx(2, abs=1e-3)
    assert blurred[0].argmax() == 32 * 64 + 32


def test_map_gradients_sum_to_the_difference_from_the_usual_map(bundle, sample):
    perturbed = perturbed_sample(bundle, sample)
    usual = torch.from_numpy(bundle.reference.usual_picture)
    end = perturbed.whole["image"]["tokens"][0]
    tokens = torch.stack([usual.expand_as(end), end])
    whole = {name: one.expand(2, *one.shape[1:]) for name, one in perturbed.whole["image"].items()}
    with torch.no_grad():
        start, end = perturbed.mean_logit(perturbed.batch({"image": whole | {"tokens": tokens}}, {})).tolist()
    scores = METHODS["map_gradients"](perturbed)
    assert scores.maps.sum() == pytest.approx(end - start, rel=0.1, abs=0.02)


def test_map_gradients_without_a_usual_map_start_at_a_black_image(bundle, sample):
    unread = replace(bundle, reference=None)
    perturbed = perturbed_sample(unread, sample)
    input_ = perturbed.function.inputs["image"]
    with torch.no_grad():
        black = input_.tensors(torch.zeros_like(input_.end)[None])["tokens"]
        batch = perturbed.batch({"image": {**perturbed.whole["image"], "tokens": black}}, {})
        start, end = float(perturbed.mean_logit(batch)[0]), float(perturbed.mean_logit(perturbed.batch({}, {}))[0])
    assert METHODS["map_gradients"](perturbed).maps.sum() == pytest.approx(end - start, rel=0.1, abs=0.05)
