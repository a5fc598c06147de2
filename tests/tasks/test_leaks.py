import pytest

from polyclinic.tasks import Task, TaskError, label

LACTATE = {"codes": "LAB//lactate", "above": 4}


def task(**parts):
    return Task(**{"name": "x", "kind": "binary", "target": {"codes": "OUTCOME//died"}, **parts})


@pytest.mark.parametrize("include", ["OUTCOME//died", "OUTCOME*", ["*", "OUTCOME//*"]])
def test_outcomes_among_the_inputs_raise(include):
    with pytest.raises(TaskError, match=r"remove them from inputs\.include"):
        task(inputs={"include": include})


def test_target_may_be_an_input_only_with_history_of_target():
    with pytest.raises(TaskError, match=r"inputs\.exclude"):
        task(target=LACTATE)
    task(target=LACTATE, inputs={"exclude": "LAB//lac*"})
    task(target=LACTATE, inputs={"history_of_target": True})


def test_target_at_any_time_is_never_an_input():
    with pytest.raises(TaskError, match="is a target up to the prediction time"):
        task(target={**LACTATE, "when": "any"}, inputs={"history_of_target": True})


@pytest.mark.parametrize("anchor", ["OUTCOME//died", "OUTCOME//other", "LAB//lactate"])
def test_anchor_on_the_outcome_raises(anchor):
    with pytest.raises(TaskError, match=r"choose another prediction\.anchor"):
        task(
            target={"codes": ["OUTCOME//died", "LAB//lactate"]},
            prediction={"anchor": anchor},
            inputs={"exclude": "LAB*"},
        )


def test_patterns_are_compared_on_the_cohorts_codes(cohort_of):
    cohort = cohort_of([(1, 0, "LAB//lactate//mmol/L", 2.0), (1, 9, "LAB//lactate//mmol/L", 5.0)])
    leaking = task(target={"codes": "LAB//*//mmol/L", "above": 4}, inputs={"include": "*//lactate//*"})
    with pytest.raises(TaskError, match="LAB//lactate//mmol/L is the outcome and also an input"):
        label(cohort, leaking)


def test_prediction_time_after_every_outcome_raises(cohort_of):
    cohort = cohort_of(
        [(1, 0, "LAB//x", 2.0), (1, 5, "OUTCOME//died", 1), (2, 0, "LAB//x", 1.0), (2, 3, "OUTCOME//died", 0)]
    )
    for target in ({"codes": "OUTCOME//died"}, {"codes": "OUTCOME//died", "read": "presence", "complete": True}):
        with pytest.raises(TaskError, match="predict earlier"):
            label(cohort, task(target=target, prediction={"anchor": "2000-01-02"}))


def test_earlier_target_values_are_not_labels(cohort_of):
    cohort = cohort_of([(1, None, "LAB//lactate", 9.0), (1, 0, "LAB//lactate", 9.0), (1, 5, "LAB//lactate", 1.0)])
    labels = label(cohort, task(target=LACTATE, inputs={"history_of_target": True}))
    assert labels.frame["boolean_value"].to_list() == [False]


def test_missing_outcome_raises_with_the_choices(cohort_of):
    cohort = cohort_of([(1, 0, "LAB//x", 2.0), (1, 5, "OUTCOME//death", 1)])
    with pytest.raises(TaskError, match=r"OUTCOME//died.*OUTCOME//death.*polyclinic predict"):
        label(cohort, task())
