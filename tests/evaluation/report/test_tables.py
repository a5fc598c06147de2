import dataclasses

from polyclinic.evaluation.estimate import Difference
from polyclinic.evaluation.report.tables import comparison_table, figures_table, rows_table, subsets_table
from polyclinic.evaluation.results import Row
from tests.evaluation.cards import binary_card, multiclass_card, regression_card, survival_card


def test_every_figure_is_listed_with_its_n():
    evaluation = binary_card().evaluation
    table = figures_table(evaluation)
    assert len(table.rows) == len(evaluation.figures)
    assert table.rows[0][:3] == ("AUROC", evaluation["auroc"], 500)


def test_models_are_compared_with_the_reference():
    comparison = binary_card().comparison
    table = comparison_table(comparison, "unified")
    assert table.header == ("Model", "AUROC", "AUPRC", "Brier score", "Difference in AUROC", "p (Holm)")
    rows = {row[0]: row for row in table.rows}
    assert rows["logistic regression"][4:] == ("reference", "")
    assert isinstance(rows["unified"][4], Difference)
    assert table.rows[next(iter(table.strong))][0] == "unified"


def test_the_full_subset_comes_first():
    table = subsets_table(binary_card().subsets)
    assert table.header[0] == "Modalities"
    assert table.rows[0][0] == "structured + note + image"
    assert len(table.rows) == 7


def test_groups_show_the_figures_of_their_kind():
    assert "Sensitivity" in rows_table(binary_card().evaluation.groups).header
    assert rows_table(regression_card().evaluation.groups).header == ("Sex", "n", "MAE", "RMSE", "Bias", "R²")
    assert rows_table(multiclass_card().evaluation.classes).header[0] == "Class"
    table = rows_table(binary_card().evaluation.groups)
    assert [table.rows[place][0] for place in sorted(table.spans)] == ["Sex", "Age"]


def test_small_groups_are_faint_with_the_reason():
    row = binary_card().evaluation.groups[0]
    small = dataclasses.replace(row, level="other", caution="only 7 subjects")
    table = rows_table([row, small])
    assert table.faint == {1}
    assert table.rows[1][0] == "other (only 7 subjects)"


def test_rows_of_unknown_metrics_are_shown():
    figure = survival_card().evaluation["uno_c"]
    assert rows_table([Row("site", "a", 9, 9, None, {"uno_c": figure})]).rows == (("a", 9, figure),)
