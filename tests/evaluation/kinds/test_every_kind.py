"""What holds for each kind of task, whichever it is."""

import numpy as np
import pytest

from polyclinic.evaluation import (
    KINDS,
    Binary,
    Bootstrap,
    Estimate,
    Evaluation,
    Multiclass,
    Multilabel,
    Regression,
    TimeToEvent,
    evaluate,
)

QUICK = Bootstrap(200)
TIMES = (0.25, 0.5, 1.0, 2.0)


def binary(n, generator):
    p = generator.random(n)
    return generator.random(n) < p, p


def multiclass(n, generator):
    p = generator.dirichlet(np.ones(3), n)
    return np.array([generator.choice(3, p=row) for row in p], dtype=int), p


def multilabel(n, generator):
    p = generator.random((n, 3))
    return (generator.random((n, 3)) < p).astype(float), p


def regression(n, generator):
    y = generator.normal(size=n)
    return y, y + generator.normal(size=n)


def time_to_event(n, generator):
    rate = np.exp(generator.normal(size=n))
    until_event, lost = generator.exponential(1 / rate), generator.exponential(2, n)
    return np.column_stack([np.minimum(until_event, lost), until_event <= lost]), np.exp(-np.outer(rate, TIMES))


CASES = {
    "binary": (Binary(0.5), binary),
    "multiclass": (Multiclass(("a", "b", "c")), multiclass),
    "multilabel": (Multilabel(("a", "b", "c"), (0.5, 0.5, 0.5)), multilabel),
    "regression": (Regression(), regression),
    "time_to_event": (TimeToEvent(TIMES, (0.5,)), time_to_event),
}


@pytest.fixture(params=CASES)
def case(request):
    kind, make = CASES[request.param]
    return kind, lambda n, seed=0: make(n, np.random.default_rng(seed))


def all_figures(evaluation):
    rows = (*evaluation.classes, *evaluation.groups)
    return [*evaluation.figures.values(), *(figure for row in rows for figure in row.figures.values())]


def test_every_kind_is_tried():
    assert set(CASES) == set(KINDS)
    assert all(isinstance(kind, KINDS[name]) for name, (kind, _) in CASES.items())


def test_every_figure_has_its_interval_and_its_n(case):
    kind, make = case
    evaluation = evaluate(kind, *make(300), groups={"sex": ["f", "m"] * 150}, bootstrap=QUICK)
    assert evaluation.n == evaluation.subjects == 300
    assert set(kind.headline) <= set(evaluation.figures)
    for figure in all_figures(evaluation):
        assert figure.low <= figure.value <= figure.high, figure.name
        assert figure.n > 0
        assert "95 %" in figure.method


def test_json_both_ways(case):
    kind, make = case
    evaluation = evaluate(kind, *make(120), groups={"sex": ["f", None, "m"] * 40}, bootstrap=QUICK)
    assert Evaluation.from_json(evaluation.to_json()) == evaluation


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_too_few_samples_are_a_result_and_not_an_error(case, n):
    kind, make = case
    with np.errstate(all="raise"):
        evaluation = evaluate(kind, *make(n), groups={"sex": ["f"] * n}, bootstrap=QUICK)
    for figure in all_figures(evaluation):
        assert figure.low is not None or figure.reason, figure.name
    assert Evaluation.from_json(evaluation.to_json()) == evaluation


def test_unobserved_samples_are_counted_and_cannot_matter(case):
    kind, make = case
    y, p = make(150)
    observed = np.arange(150) % 3 > 0
    spoilt_y, spoilt_p = y.astype(float), p.astype(float)
    spoilt_y[~observed], spoilt_p[~observed] = np.nan, np.nan
    evaluation = evaluate(kind, spoilt_y, spoilt_p, observed=observed, groups={"sex": ["f"] * 150}, bootstrap=QUICK)
    assert (evaluation.n, evaluation.unobserved) == (100, 50)
    assert evaluation.figures == evaluate(kind, y[observed], p[observed], bootstrap=QUICK).figures


def test_repeated_samples_of_a_subject_do_not_narrow_intervals(case):
    kind, make = case
    y, p = make(150)
    once = evaluate(kind, y, p, bootstrap=QUICK).figures
    five = evaluate(kind, np.repeat(y, 5, axis=0), np.repeat(p, 5, axis=0), subjects=np.repeat(np.arange(150), 5),
                    bootstrap=QUICK)  # fmt: skip
    assert (five.n, five.subjects) == (750, 150)
    for name, figure in once.items():
        np.testing.assert_allclose(five[name].width, figure.width, rtol=0.25, err_msg=name)


def test_a_group_is_measured_as_if_alone(case):
    kind, make = case
    y, p = make(200)
    sex = np.where(np.arange(200) % 2, "f", "m")
    row = evaluate(kind, y, p, groups={"sex": sex}, bootstrap=QUICK).groups[0]
    alone = evaluate(kind, y[sex == "f"], p[sex == "f"], bootstrap=QUICK)
    assert (row.table, row.level, row.n, row.cases, row.figures) == ("sex", "f", 100, alone.cases, alone.figures)


def test_the_same_seed_gives_the_same_figures(case):
    kind, make = case
    assert evaluate(kind, *make(80), bootstrap=QUICK) == evaluate(kind, *make(80), bootstrap=QUICK)


def test_what_cannot_be_meant_is_refused(case):
    kind, make = case
    y, p = make(20)
    with pytest.raises(ValueError, match=r"(shape|rows|samples|predictions)"):
        evaluate(kind, y, p[:-1], bootstrap=QUICK)
    broken = p.astype(float)
    broken[3] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        evaluate(kind, y, broken, bootstrap=QUICK)
    with pytest.raises(ValueError, match="Booleans"):
        evaluate(kind, y, p, observed=np.ones(20), bootstrap=QUICK)
    with pytest.raises(ValueError, match="subjects of shape"):
        evaluate(kind, y, p, subjects=[1, 2], bootstrap=QUICK)


def test_figures_are_found_by_name(case):
    kind, make = case
    evaluation = evaluate(kind, *make(50), bootstrap=QUICK)
    assert isinstance(evaluation[kind.headline[0]], Estimate)
    with pytest.raises(KeyError, match=kind.headline[0]):
        evaluation["beauty"]
