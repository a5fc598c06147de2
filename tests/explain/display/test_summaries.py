import doctest
import math

import numpy as np
import pytest

from polyclinic.explain.attribution import (
    Measurement,
    NoteAttribution,
    PictureAttribution,
    SeriesAttribution,
    StructuredAttribution,
    WordScore,
)
from polyclinic.explain.display import labels as wording
from polyclinic.explain.display import summaries as shown
from polyclinic.explain.localisation.coordinates import canvas_of
from polyclinic.explain.localisation.localisation import kept, positive_share


def structured(scores):
    codes = tuple(f"LAB//test_{place}//mg/L" for place in range(len(scores)))
    names = tuple(f"{code} last" for code in codes)
    return StructuredAttribution(names, codes, np.arange(len(scores), dtype=float), np.array(scores, dtype=float))


def series(*rows):
    return SeriesAttribution(tuple(Measurement(*row) for row in rows))


def note(**scores):
    words = [
        WordScore(word, "findings", 0, 10 * k, 10 * k + len(word), s) for k, (word, s) in enumerate(scores.items())
    ]
    return NoteAttribution(tuple(words))


def test_label_doctests():
    found = doctest.testmod(wording)
    assert found.attempted > 5
    assert found.failed == 0


@pytest.mark.parametrize(
    ("name", "value", "label", "text"),
    [
        ("LAB//ph last", 7.312, "pH, last", "7.31"),
        ("VITAL//heart_rate//bpm slope", -2.0, "Heart rate, slope", "−2/min/h"),
        ("DIAGNOSIS//diabetes count", 3.0, "Diabetes, count", "3 ×"),
        ("DEMOGRAPHIC//sex = male", 1.0, "Sex", "male"),
        ("DEMOGRAPHIC//sex rare", 1.0, "Sex", "a rare value"),
        ("DEMOGRAPHIC//sex unknown", 0.0, "Sex", "recorded"),
        ("DEMOGRAPHIC//sex = male", math.nan, "Sex", "not known"),
        ("LAB//lactate//mmol/L last", math.nan, "Lactate, last", "not known"),
    ],
)
def test_features_in_words(name, value, label, text):
    assert wording.feature_in_words(name, value) == (label, text)


def test_a_waterfall_runs_from_zero_to_the_total():
    scores = [0.5, -0.4, 0.01, 0.0, 0.3, -0.02]
    for most in (1, 3, 5, 10):
        steps = shown.structured_steps(structured(scores), most)
        assert steps[0].start == 0
        assert [one.end for one in steps[:-1]] == [one.start for one in steps[1:]]
        assert steps[-1].end == pytest.approx(sum(scores))
        assert len(steps) == min(most, 5) + (most < 5)
    steps = shown.structured_steps(structured(scores), 2)
    assert [one.label for one in steps] == ["Test 0, last", "Test 1, last", "The other 3"]
    assert [round(one.score, 6) for one in steps] == [0.5, -0.4, 0.29]
    assert shown.structured_steps(structured([0.0, 0.0])) == ()


def test_modality_steps_start_at_the_answer_without_input():
    steps = shown.modality_steps(0.2, {"note": 0.1, "image": -0.15})
    assert [(one.label, round(one.start, 6), round(one.end, 6)) for one in steps] == [
        ("Image", 0.2, 0.05),
        ("Note", 0.05, 0.15),
    ]


def test_lanes_shade_the_time_nearest_to_each_measurement():
    code, other = "VITAL//spo2//%", "VITAL//heart_rate//bpm"
    found = shown.lanes(
        series((code, 48.0, 95.0, 0.1), (code, 2.0, 90.0, 0.2), (code, 1.5, 88.0, -0.5), (other, 3.0, 80.0, 0.1))
    )
    assert [lane.label for lane in found] == ["SpO₂", "Heart rate"]  # the weightiest first
    lane = found[0]
    assert lane.hours.tolist() == [48.0, 2.0, 1.5]
    assert lane.begins.tolist() == [49.0, 3.0, 1.75]  # at most an hour, a 48th, each way
    assert lane.ends.tolist() == [47.0, 1.75, 0.5]
    assert lane.weight == pytest.approx(0.8)


def test_simultaneous_measurements_are_merged():
    (lane,) = shown.lanes(series(("LAB//x", 5.0, 1.0, 0.2), ("LAB//x", 5.0, 3.0, 0.3), ("LAB//x", 0.0, 4.0, 0.0)))
    assert lane.values.tolist() == [2.0, 4.0]
    assert lane.scores.tolist() == [0.5, 0.0]
    assert lane.ends[-1] == 0
    assert shown.lanes(series()) == ()


def test_levels_follow_size_and_sign():
    assert shown.levels(note(a=1.0, b=-1.0, c=0.5, d=-0.21, e=0.05, f=0.01, g=0.0)) == (5, -5, 3, -2, 1, 0, 0)
    assert shown.levels(note(a=0.0)) == (0,)
    assert shown.levels(NoteAttribution(())) == ()


def test_the_largest_words_are_summed_over_occurrences():
    words = [("No", -0.2), ("effusion", 0.3), ("no", -0.2), ("the", 0.001), ("small", -0.3)]
    scored = [WordScore(text, "findings", 0, 9 * k, 9 * k + 3, score) for k, (text, score) in enumerate(words)]
    pro, contra = shown.weightiest(NoteAttribution(tuple(scored)))
    assert [one.word for one in pro] == ["effusion"]
    assert [(one.word, one.times) for one in contra] == [("no", 2), ("small", 1)]
    assert contra[0].score == pytest.approx(-0.4)


def test_tint_is_strong_where_the_sensitivity_keeps_pixels():
    scores = np.random.default_rng(0).standard_normal((224, 224)).astype(np.float32)
    picture = PictureAttribution("x.png", "CR//PA", scores, canvas_of(200, 100))
    strength = shown.strength_of(picture)
    left, top, width, height = picture.canvas.placement
    assert strength.shape == (height, width)
    share = positive_share(scores)[top : top + height, left : left + width]
    np.testing.assert_allclose(np.maximum(strength, 0), share, atol=1e-6)
    coloured = shown.tint(strength, 0.5)
    strong = coloured[..., 3] >= 0.55 * 255
    assert (strong[strength > 0] == kept(share, 0.5)[strength > 0]).all()
    assert (coloured[strength < 0][:, :3] == shown.AZURE).all()
    assert (coloured[strength > 0][:, :3] == shown.AMBER).all()


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_a_map_without_positive_attribution(value):
    picture = PictureAttribution("x.png", "CR//PA", np.full((224, 224), value, np.float32), canvas_of(224, 224))
    assert (shown.strength_of(picture) == value).all()
    assert shown.tint(shown.strength_of(picture), 1.0).shape == (224, 224, 4)
