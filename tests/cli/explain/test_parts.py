"""Views of `polyclinic explain`: legible without colour, and complete."""

from datetime import datetime
from io import StringIO

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console

from polyclinic.cli.explain.columns import MOST, WholePart
from polyclinic.cli.explain.formatting import bar
from polyclinic.cli.explain.image import ImagePart, Setting
from polyclinic.cli.explain.note import NotePart
from polyclinic.cli.explain.reliability import Trust
from polyclinic.cli.explain.series import MOST_BINS, SeriesPart
from polyclinic.cli.explain.structured import StructuredPart
from polyclinic.cli.explain.waveform import MOST_SEGMENTS, WaveformPart
from polyclinic.explain.attribution import (
    ColumnScore,
    Completeness,
    EcgAttribution,
    Measurement,
    NoteAttribution,
    PictureAttribution,
    SeriesAttribution,
    StructuredAttribution,
    WaveformAttribution,
    WordScore,
)
from polyclinic.explain.audit.record import Verdict
from polyclinic.explain.localisation.coordinates import canvas_of
from polyclinic.explain.sample import Sample
from polyclinic.features.feature_set import FeatureSet
from polyclinic.features.note.layout import Note

AT = datetime(2024, 3, 5, 8)


def printed(part) -> str:
    """Return what is printed, without colour."""
    console = Console(file=StringIO(), width=120, markup=False, highlight=False, soft_wrap=True)
    for line in part.lines():
        console.print(line)
    return console.file.getvalue()


def test_positive_and_negative_bars_differ_without_colour():
    assert bar(1.0, 1.0, 4).plain == "    │████"
    assert bar(-1.0, 1.0, 4).plain == "░░░░│    "
    assert bar(0.125, 1.0, 4).plain == "    │▌   "
    assert bar(0.0, 0.0, 4).plain == "    │    "


@given(st.floats(-9, 9), st.floats(0.1, 9))
def test_bars_have_the_same_width(score, largest):
    assert len(bar(score, largest).plain) == 21


def test_a_note_keeps_its_text_with_marked_words():
    text = "Severe  cough, no fever."
    places = {"Severe": 1.0, "cough": 0.3, "no": -0.9, "fever": -0.2}
    words = tuple(
        WordScore(word, "indication", 0, text.index(word), text.index(word) + len(word), score)
        for word, score in places.items()
    )
    part = NotePart(NoteAttribution(words, marks=0.1), (Note("indication", text),), "log-odds")
    shown = printed(part)
    assert "Indication: **Severe**  *cough*, [[¬no]] [fever]." in shown
    assert "negations: no −0.90 (Indication)" in shown
    assert "largest words for: severe +1.00, cough +0.30" in shown
    assert "punctuation, ends of sentences" in shown
    result = part.to_dict()
    assert result["score"] == pytest.approx(0.3)
    assert [word["negates"] for word in result["words"]] == [False, False, True, False]


def test_sentences_are_printed_with_shares_and_not_drawn():
    sentences = tuple(WordScore(f"Sentence {n}.", "findings", 0, 0, 11, share) for n, share in ((1, 0.25), (2, 0.75)))
    part = NotePart(NoteAttribution((), sentences=sentences), (Note("findings", ""),), "share")
    assert "75.0 %" in printed(part)
    with pytest.raises(ValueError, match="omit --out"):
        part.draw()


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 20000), st.floats(-1, 1)), min_size=1, max_size=20))
def test_the_grid_of_a_series_sums_every_score_in_few_bins(rows):
    found = SeriesAttribution(tuple(Measurement(f"LAB//{code}//g", hours, 1.0, score) for code, hours, score in rows))
    grid = SeriesPart(found, "log-odds").to_dict()["grid"]
    assert len(grid["edges_hours"]) - 1 <= MOST_BINS
    known = [cell for row in grid["scores"] for cell in row if cell is not None]
    assert sum(known) == pytest.approx(found.total, abs=1e-9)
    assert len(known) == len({(one.code, int(one.hours // width(grid))) for one in found.measurements})


def width(grid) -> float:
    return grid["edges_hours"][-2]


def test_a_series_marks_bins_without_measurements():
    measurements = (Measurement("LAB//crp//mg/L", 5.5, 90.0, -0.4), Measurement("VITAL//spo2//%", 0.5, 91.0, 0.8))
    shown = printed(SeriesPart(SeriesAttribution(measurements), "log-odds"))
    (crp,) = [line for line in shown.splitlines() if line.startswith("│ CRP") and "·" in line]
    assert crp.count("·") == 5
    assert "−0.40" in crp
    assert "│ SpO₂" in shown
    assert "91%" in shown.replace(" ", "")


def test_smaller_features_are_summed():
    names = tuple(f"LAB//x{n}//g last" for n in range(30))
    codes = tuple(f"LAB//x{n}//g" for n in range(30))
    scores = np.linspace(1, 0.1, 30)
    part = StructuredPart(StructuredAttribution(names, codes, np.full(30, 2.0), scores), "log-odds")
    shown = printed(part)
    assert "X0, last" in shown
    assert "2 g" in shown
    assert "The other 15" in shown
    assert f"+{scores.sum():.2f}" in shown
    assert len(part.to_dict()["features"]) == 30


@pytest.fixture
def recordings():
    """Two recordings; the second is of an unknown time and has one lead."""
    scores = np.zeros((3, 1000))
    scores[0, 240:260], scores[2, 500:505] = 0.1, -0.2
    first = EcgAttribution("a.arrow", 5.25, 100.0, ("II", "V1", "V5"), np.zeros((3, 1000)), scores)
    second = EcgAttribution("b.arrow", float("nan"), 100.0, ("I",), np.zeros((1, 1000)), np.full((1, 1000), 0.001))
    return WaveformAttribution((first, second))


def test_recordings_are_listed_by_lead_and_segment(recordings):
    shown = printed(WaveformPart(recordings, "log-odds"))
    assert "electrocardiogram 1 of 2, 5.2 h before the prediction" in shown
    assert "electrocardiogram 2 of 2, at an unknown time" in shown
    for row in ("II │ +2.00", "V5 │ −1.00", "V1 │ 0.00", "2400–2600 │ +2.00", "5000–5200 │ −1.00", "total │ +1.00"):
        assert row.replace(" ", "") in shown.replace(" ", ""), row
    assert f"{50 - MOST_SEGMENTS} more" in shown


def test_recordings_as_json_have_every_segment(recordings):
    result = WaveformPart(recordings, "log-odds").to_dict()
    first, second = result["recordings"]
    assert result["score"] == pytest.approx(2.0)
    assert first["segments"][0] == {"lead": "II", "start_ms": 2400.0, "end_ms": 2600.0, "score": pytest.approx(2.0)}
    assert (first["hours"], second["hours"]) == (5.25, None)
    assert sum(one["score"] for one in second["segments"]) == pytest.approx(second["score"]) == pytest.approx(1.0)
    assert [lead["code"] for lead in first["leads"]] == ["II", "V5", "V1"]


def test_the_newest_recording_is_drawn(recordings):
    part = WaveformPart(recordings, "log-odds")
    (axes,) = part.draw().axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["II", "V1", "V5"]
    assert "newest" in part.legend


@pytest.fixture
def pictured(tmp_path):
    """A sample of two images, one with a known spacing, and a map of each."""
    for name, size in (("one", (200, 100)), ("two", (64, 64))):
        Image.fromarray(np.full(size, 90, dtype=np.uint8)).save(tmp_path / name, "PNG")
    columns = {"time": pl.Datetime("us"), "code": pl.String(), "numeric_value": pl.Float32(), "blob": pl.String()}
    rows = [
        (AT, "IMAGE//DX//PA", None, "one"),
        (AT, "DICOM//pixel_spacing//mm", 0.5, None),
        (AT.replace(hour=9), "IMAGE//DX//LATERAL", None, "two"),
    ]
    taken = pl.DataFrame(rows, schema=columns, orient="row")
    maps = {"one": np.zeros((64, 64), np.float32), "two": np.zeros((64, 64), np.float32)}
    maps["one"][10:20, 30:34] = 1
    maps["two"][40:50, 8:12] = 3
    canvases = {"one": canvas_of(200, 100, 64), "two": canvas_of(64, 64, 64)}
    found = tuple(PictureAttribution(name, f"DX//{name}", maps[name], canvases[name]) for name in maps)
    return Sample(1, AT, taken.clear(), {}, FeatureSet({}), lambda name: tmp_path / name, taken), found


def test_each_image_has_its_regions_and_known_millimetres(pictured):
    part = ImagePart.of(*pictured, Setting(0.5, 0.0, "as requested"), "log-odds")
    first, second = part.to_dict()["pictures"]
    assert first["spacing"] == {"mm": 0.5, "measured": "patient"}
    assert first["regions"][0]["circle_mm"]["radius"] == pytest.approx(first["regions"][0]["circle"]["radius"] / 2)
    assert second["spacing"] is None
    assert second["regions"][0]["circle_mm"] is None
    assert second["regions"][0]["box"] == {"start": [40.0, 8.0], "stop": [50.0, 12.0]}
    shown = printed(part)
    assert "image 1 of 2, DX one: 100 × 200 pixels, adds +40.00 log-odds" in shown
    assert "one pixel is 0.5 mm in the patient, or calibrated" in shown
    assert "image 2 of 2, DX two: 64 × 64 pixels" in shown
    assert "millimetres are not known" in shown
    assert "middle left" in shown
    assert len(part.draw().axes) == 2


def test_maps_are_smoothed_by_the_setting(pictured):
    bare, blurred = (ImagePart.of(*pictured, Setting(0.5, share, ""), "") for share in (0.0, 0.05))
    assert blurred.images[0].attribution.scores.max() < bare.images[0].attribution.scores.max()
    assert blurred.images[0].score == bare.images[0].score
    assert "on maps smoothed by 5 % of their side" in printed(blurred)


def test_a_map_without_positive_scores_has_no_region(pictured):
    sample, (one, _) = pictured
    against = PictureAttribution(one.blob, one.view, -one.scores, one.canvas)
    part = ImagePart.of(sample, [against], Setting(0.5, 0.0, ""), "log-odds")
    assert "no region of positive scores" in printed(part)
    assert part.to_dict()["pictures"][0]["regions"] == []


def test_columns_of_classical_models_follow_their_input():
    word = WordScore("fever", "indication", 0, 0, 5, 0.25)
    part = NotePart(NoteAttribution((word,)), (Note("indication", "fever"),), "log-odds")
    columns = [ColumnScore("note", f"note word {k}", np.nan, 1.0 - 0.05 * k) for k in range(12)]
    whole = WholePart(part, columns, "note", "log-odds", 0.25 + sum(column.score for column in columns))
    shown = printed(whole)
    assert f"note word {MOST - 1}" in shown
    assert f"note word {MOST}" not in shown
    assert "the other 2" in shown
    assert "+0.95" in shown
    assert "all contributions of the notes: +8.95 log-odds" in shown
    assert whole.to_dict()["score"] == 0.25
    assert whole.to_dict()["columns"][11] == {"name": "note word 11", "value": None, "score": columns[11].score}
    assert printed(WholePart(part, [], "note", "log-odds", 0.25)) == printed(part)


def test_a_failed_method_is_marked_in_text_and_plots():
    whole = Completeness(value=2.0, reference=1.0, total=1.01, steps=9)
    failed = Trust("occlusion", "zero", whole, verdict=Verdict("occlusion", False, "stays alike"))
    assert failed.failed
    assert "occlusion FAILED the audit's sanity check: do not rely on it; it stays alike" in printed(failed)
    assert failed.in_short == "occlusion from zero, gap 1.0 %; FAILED the audit's sanity check"
    assert failed.to_dict()["completeness"]["gap"] == pytest.approx(0.01)


def test_an_unknown_gap_is_null():
    trust = Trust("integrated_gradients", "zero", Completeness(1.0, 1.0, 0.5, 9))
    assert trust.gap is None
    assert trust.to_dict()["completeness"]["gap"] is None
    assert "a gap of an unknown size" in printed(trust)
    assert "no audit checks this method" in printed(Trust("attention_rollout"))
