"""Sums of attributions, coordinates of their images, and immutability."""

from dataclasses import FrozenInstanceError
from datetime import datetime

import numpy as np
import pytest

from polyclinic.explain.attribution import (
    Attribution,
    Canvas,
    Completeness,
    Measurement,
    NoteAttribution,
    PictureAttribution,
    SeriesAttribution,
    StructuredAttribution,
    WordScore,
)
from polyclinic.features.image.preprocessing import Placement, place

STRUCTURED = StructuredAttribution(
    ("LAB//a last", "LAB//b last", "LAB//a mean"),
    ("LAB//a", "LAB//b", "LAB//a"),
    np.array([1.0, np.nan, 2.0]),
    np.array([0.5, 0.0, -0.75]),
)
SERIES = SeriesAttribution(
    (
        Measurement("VITAL//x", 30.0, 80.0, 1.0),
        Measurement("VITAL//y", 5.0, 9.0, -3.0),
        Measurement("VITAL//x", 4.0, 90.0, 0.5),
        Measurement("VITAL//x", 0.0, 95.0, 0.25),
    )
)
NOTE = NoteAttribution(
    (
        WordScore("No", "findings", 0, 0, 2, -0.5),
        WordScore("effusion", "findings", 0, 3, 11, 0.25),
        WordScore("cough", "indication", 1, 0, 5, 0.125),
    ),
    marks=0.0625,
)


def test_scores_sum_by_code_section_and_modality():
    assert STRUCTURED.by_code == (("LAB//a", -0.25), ("LAB//b", 0.0))
    assert SERIES.by_code == (("VITAL//y", -3.0), ("VITAL//x", 1.75))
    assert NOTE.by_section == (("findings", -0.25), ("indication", 0.125))
    assert [word.text for word in NOTE.negations] == ["No"]
    parts = {"structured": STRUCTURED, "series": SERIES, "note": NOTE}
    whole = Attribution(1, datetime(2026, 1, 1), "died", "yes", "any", "zero", None, parts)
    assert whole.by_modality == {"structured": -0.25, "series": -1.25, "note": -0.0625}
    assert whole.total == pytest.approx(-1.5625)


def test_series_grid_keeps_every_score():
    codes, edges, scores = SERIES.grid(bin_hours=4.0)
    assert codes == ("VITAL//x", "VITAL//y")
    assert edges[0] == 32
    assert edges[-1] == 0
    assert scores.shape == (2, 8)
    np.testing.assert_allclose(scores[0], [1, 0, 0, 0, 0, 0, 0.5, 0.25])
    np.testing.assert_allclose(scores[1], [0, 0, 0, 0, 0, 0, -3, 0])
    assert SeriesAttribution(()).grid(1.0).scores.shape == (0, 0)
    with pytest.raises(ValueError, match="longer than 0"):
        SERIES.grid(0)


@pytest.mark.parametrize(("width", "height"), [(500, 1000), (1000, 500), (80, 60), (224, 224)])
def test_points_map_from_canvas_to_image_and_back(width, height):
    canvas = Canvas(224, place(width, height, 224, "letterbox"), width, height)
    left, top, across, down = canvas.placement
    assert canvas.to_picture(left - 0.5, top - 0.5) == pytest.approx((-0.5, -0.5))
    assert canvas.to_picture(left + across - 0.5, top + down - 0.5) == pytest.approx((width - 0.5, height - 0.5))
    assert canvas.to_canvas(*canvas.to_picture(17.25, 130.0)) == pytest.approx((17.25, 130.0))


def test_scores_resized_to_the_image_stay_in_place():
    scores = np.zeros((8, 8), dtype=np.float32)
    scores[3, 2] = 1.0
    picture = PictureAttribution("name", "CR//PA", scores, Canvas(8, Placement(2, 0, 4, 8), 40, 80))
    full = picture.on_picture()
    assert full.shape == (80, 40)
    rows, columns = np.nonzero(full)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (30, 39, 0, 9)
    small = PictureAttribution("name", "CR//PA", scores, Canvas(8, Placement(2, 0, 4, 8), 2, 4))
    assert small.on_picture().shape == (4, 2)


def test_the_gap_is_relative_to_the_difference():
    half = Completeness(value=3.0, reference=1.0, total=2.03, steps=8)
    assert half.residual == pytest.approx(0.03)
    assert half.gap == pytest.approx(0.015)
    assert Completeness(1.0, 1.0, 0.1, 8).gap == np.inf
    assert Completeness(1.0, 1.0, 0.0, 8).gap == 0


def test_attributions_are_immutable():
    with pytest.raises(FrozenInstanceError):
        STRUCTURED.names = ()
    with pytest.raises(ValueError, match="read-only"):
        STRUCTURED.scores[0] = 1
