import doctest

from polyclinic.evaluation.report import metric_names as vocabulary
from polyclinic.evaluation.report.metric_names import TERMS, term
from tests.evaluation.cards import EVERY


def test_examples_in_docstrings():
    found = doctest.testmod(vocabulary)
    assert found.attempted > 0
    assert found.failed == 0


def test_every_metric_has_a_term():
    for make in EVERY:
        evaluation = make().evaluation
        rows = (*evaluation.classes, *evaluation.groups)
        for name in [*evaluation.figures, *(name for row in rows for name in row.figures)]:
            assert name.partition("@")[0] in TERMS


def test_unknown_metrics_keep_their_name():
    assert term("my_figure").label == "my figure"
