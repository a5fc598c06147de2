import dataclasses

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from polyclinic.evaluation import Contender, Difference, Estimate
from polyclinic.evaluation.report import plots
from polyclinic.evaluation.report.card_plots import draw_plots, save_plots
from polyclinic.evaluation.report.plot_style import SERIES, canvas, save, styled, svg
from polyclinic.evaluation.report.tables import comparison_table
from tests.evaluation.cards import (
    EVERY,
    binary_card,
    multiclass_card,
    multilabel_card,
    one_class_card,
    regression_card,
    survival_card,
)


def draw(function, *arguments, **options):
    with styled():
        _, axes = canvas()
        assert function(axes, *arguments, **options) is axes
    return axes


def texts(axes):
    legend = axes.get_legend()
    words = [*axes.texts, axes.title, *([] if legend is None else legend.get_texts())]
    return " ".join(word.get_text() for word in words)


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (binary_card, {"roc", "precision-recall", "calibration", "decision", "comparison", "subsets", "groups"}),
        (multiclass_card, {"roc", "calibration", "confusion", "comparison"}),
        (multilabel_card, {"roc", "calibration-1", "calibration-2", "calibration-3"}),
        (regression_card, {"calibration", "groups"}),
        (survival_card, {"calibration-1", "calibration-2"}),
        (one_class_card, set()),
    ],
)
def test_each_kind_has_its_plots(make, names):
    assert set(draw_plots(make())) == names


@pytest.mark.parametrize("make", EVERY)
@pytest.mark.slow
def test_plots_are_not_cut_off(make, tmp_path):
    for name, path in save_plots(make(), tmp_path).items():
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("L"))
        assert path.name == f"{name}.png"
        assert min(pixels.shape) > 200
        edges = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        assert (edges > 240).all(), f"{name} is cut off at its edge"


def test_the_drawn_curve_is_the_measured_one():
    card = binary_card()
    curve = card.evaluation.pictures.roc[""]
    areas = {"unified": card.evaluation["auroc"]}
    axes = draw(plots.roc, {"unified": curve}, areas, card.evaluation.pictures.confusion)
    line = axes.get_lines()[1]
    np.testing.assert_array_equal(line.get_xdata(), curve.x)
    np.testing.assert_array_equal(line.get_ydata(), curve.y)
    assert f"unified  {card.evaluation['auroc']}" in texts(axes)
    point = axes.get_lines()[2]
    np.testing.assert_allclose(point.get_ydata(), [card.evaluation["sensitivity"].value])
    np.testing.assert_allclose(point.get_xdata(), [1 - card.evaluation["specificity"].value])


def test_calibration_shows_bins_intervals_and_histogram():
    evaluation = binary_card().evaluation
    bins = evaluation.pictures.reliability[""]
    axes = draw(plots.calibration, bins, evaluation.pictures.histogram, evaluation.figures)
    drawn = [(line.get_xdata()[0], *line.get_ydata()) for line in axes.get_lines()[1 : 1 + len(bins)]]
    np.testing.assert_allclose(drawn, [(part.predicted, part.low, part.high) for part in bins])
    assert len(axes.patches) >= 20
    assert str(evaluation["calibration_slope"]) in texts(axes)


def test_groups_too_small_to_trust_are_hollow():
    row = binary_card().evaluation.groups[0]
    small = dataclasses.replace(row, level="other", caution="only 7 subjects")
    axes = draw(plots.subgroups, [row, small], "auroc", binary_card().evaluation["auroc"])
    marked = [line for line in axes.get_lines() if line.get_marker() == "o"]
    assert [marker.get_markerfacecolor() == marker.get_markeredgecolor() for marker in marked] == [True, False]
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        f"{name}  ({row.n} / {row.cases})" for name in ("female", "other")
    ]


def test_comparison_draws_the_differences():
    comparison = binary_card().comparison
    axes = draw(plots.comparison, comparison)
    values = [line.get_xdata()[0] for line in axes.get_lines() if line.get_marker() == "o"]
    rivals = [c for c in comparison.contenders if c.name != comparison.reference]
    np.testing.assert_allclose(values, [c.differences["auroc"].figure.value for c in rivals])


def test_the_p_values_of_a_plot_are_those_of_its_table():
    rivals = (_rival("tree", 0.02), _rival("linear", 0.03))
    compared = dataclasses.replace(binary_card().comparison, reference="unified", headline=("auroc",),
                                   contenders=(_rival("unified"), *rivals))  # fmt: skip
    drawn, table = texts(draw(plots.comparison, compared)), comparison_table(compared)
    assert table.header[-1] == "p (Holm)"
    assert [row[-1] for row in table.rows] == ["", ".040", ".060"]
    assert "p (Holm) = .040" in drawn
    assert "p (Holm) = .060" in drawn


def _rival(name, p=None):
    """A model that is worse by .020, by an unadjusted p value and twice that, adjusted."""
    less = Difference(Estimate("auroc", -0.02, -0.05, 0.01, 99, "paired"), p, None if p is None else 2 * p)
    return Contender(name, {"auroc": Estimate("auroc", 0.7, 0.6, 0.8, 99, "m")}, {"auroc": less})


def test_bars_are_the_figures_of_the_subsets():
    subsets = binary_card().subsets
    axes = draw(plots.subset_bars, subsets)
    ends = sorted(bar.get_x() + bar.get_width() for bar in axes.patches)
    np.testing.assert_allclose(ends, sorted(c.figures["auroc"].value for c in subsets.contenders))


def test_decision_curve_draws_model_treat_all_and_treat_none():
    points = binary_card().evaluation.pictures.decision
    axes = draw(plots.decision, {"unified": points}, 0.3)
    drawn = next(line for line in axes.get_lines() if line.get_label() == "unified")
    np.testing.assert_array_equal(drawn.get_ydata(), [point.model for point in points])
    assert "treat all" in texts(axes)
    assert "treat none" in texts(axes)


def test_the_style_is_restored():
    before = dict(mpl.rcParams)
    draw_plots(regression_card())
    assert dict(mpl.rcParams) == before


def test_svg_is_themed_reproducible_and_readable():
    first, second = (svg(draw_plots(binary_card())["roc"], 'a "title" & more') for _ in range(2))
    assert first == second
    assert "var(--series-0)" in first
    assert SERIES[0] not in first
    assert "Sensitivity</text>" in first  # text stays text
    assert 'aria-label="a &#34;title&#34; &amp; more"' in first
    assert "<metadata" not in first
    assert "font-family" not in first


def test_plots_can_be_saved_as_vectors(tmp_path):
    with styled():
        figure, axes = canvas()
        plots.agreement(axes, regression_card().evaluation.pictures.reliability[""], "days")
    save(figure, tmp_path / "agreement.svg")
    assert "<svg" in (tmp_path / "agreement.svg").read_text()
    assert axes.get_xlabel() == "Predicted (days)"


def test_dollar_signs_in_names_are_drawn_as_they_are():
    with styled():
        figure, axes = canvas()
        axes.set(xticks=[0], xticklabels=["$x_{ and $\\frac$"], title="a$b$c")
    assert "a$b$c" in svg(figure, "names")
    assert "$x_{ and $\\frac$" in svg(figure, "names")
