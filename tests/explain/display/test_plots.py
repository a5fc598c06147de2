import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.patches import Circle

from polyclinic import plot
from polyclinic.explain.attribution import NoteAttribution, SeriesAttribution, StructuredAttribution
from polyclinic.explain.display.summaries import AGAINST, FOR, START, structured_steps
from polyclinic.explain.localisation.coordinates import region_in_picture
from polyclinic.explain.localisation.localisation import localise
from tests.exchange import patients

DRAWINGS = {
    "heat_map": lambda **on: plot.heat_map(patients.picture(), image=patients.image_file(), **on),
    "words": lambda **on: plot.words(patients.note(), patients.NOTES, **on),
    "series": lambda **on: plot.series(patients.series(), **on),
    "waterfall": lambda **on: plot.waterfall(patients.structured(), **on),
    "modalities": lambda **on: plot.modalities(patients.shapley(), **on),
}
NOTHING = np.zeros(0)


@pytest.fixture(autouse=True)
def closed():
    yield
    pyplot.close("all")


def texts(axes):
    return [text.get_text() for text in axes.texts]


@pytest.mark.parametrize("name", DRAWINGS)
def test_plots_return_new_axes_or_those_given(name):
    before = dict(mpl.rcParams)
    assert isinstance(DRAWINGS[name](), Axes)
    axes = pyplot.figure().subplots()
    assert DRAWINGS[name](axes=axes) is axes
    assert dict(mpl.rcParams) == before  # the style stays within


@pytest.mark.parametrize("name", DRAWINGS)
def test_plots_are_complete(name, tmp_path):
    figure = DRAWINGS[name]().figure
    figure.savefig(tmp_path / "drawn.png", dpi=60)
    pixels = pyplot.imread(tmp_path / "drawn.png")[..., :3].mean(axis=2)
    edges = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    assert pixels.std() > 0.02
    assert (edges > 0.9).all(), f"{name} is cut off at its edge"


def test_circles_are_those_of_the_regions():
    axes = DRAWINGS["heat_map"]()
    drawn = {(*patch.center, patch.radius) for patch in axes.patches if isinstance(patch, Circle)}
    found = localise(patients.picture().scores, START)
    regions = [one for one in (region_in_picture(one, patients.picture().canvas) for one in found) if one]
    assert len(regions) >= 2
    assert drawn == {one.circle.xyr for one in regions}
    assert texts(axes) == [str(rank) for rank in range(1, len(regions) + 1)]


def test_bars_are_the_scores_and_negative_ones_are_hatched():
    axes = DRAWINGS["waterfall"]()
    steps = structured_steps(patients.structured())
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([abs(step.score) for step in steps])
    assert [bar.get_x() for bar in axes.patches] == pytest.approx([min(step.start, step.end) for step in steps])
    assert [bool(bar.get_hatch()) for bar in axes.patches] == [step.score < 0 for step in steps]
    assert "Lactate, last   4.2 mmol/L" in [label.get_text() for label in axes.get_yticklabels()]


def test_modalities_are_in_percentage_points():
    axes = DRAWINGS["modalities"]()
    assert {"+18.2", "+12.8", "+9.4", "+6.1"} <= set(texts(axes))


def test_words_are_underlined_by_score():
    axes = DRAWINGS["words"]()
    lines = {(to_hex(line.get_color()), line.get_linewidth(), line.get_linestyle()) for line in axes.lines}
    thickest = max(lines, key=lambda one: one[1])
    assert thickest[0] == FOR
    assert {style for colour, _, style in lines if colour == AGAINST} == {"--"}
    assert {"methotrexate", "No", "consolidation"} <= set(texts(axes))
    negations = sum(word.negates for word in patients.note().words)
    assert len(axes.patches) == negations > 0


def test_text_that_looks_like_mathematics_is_literal():
    (first, *others) = patients.note().words
    axes = plot.words(NoteAttribution((first._replace(text="$x_1$"), *others)))
    axes.figure.canvas.draw()
    assert "$x_1$" in texts(axes)


def test_a_lane_holds_the_measurements():
    axes = DRAWINGS["series"]()
    curves = [line for line in axes.lines if line.get_marker() == "o"]
    assert len(curves) == len(patients.VITALS)
    drawn = sorted(hours for line in curves for hours in line.get_xdata())
    assert drawn == pytest.approx(sorted(one.hours for one in patients.series().measurements))


def test_empty_attributions_can_be_drawn():
    plot.series(SeriesAttribution(()))
    plot.waterfall(StructuredAttribution((), (), NOTHING, NOTHING))
    plot.words(NoteAttribution(()))


@pytest.mark.slow
def test_plots_are_loaded_when_used():
    code = (
        "import sys, polyclinic; assert 'matplotlib' not in sys.modules; polyclinic.plot.heat_map;"
        "assert 'matplotlib' in sys.modules; assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
