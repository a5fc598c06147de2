import pytest

from polyclinic.tasks import Task, TaskError, label

LACTATE = {"codes": "LAB//lactate", "above": 4}


def task(**parts):
    return Task(**{"name": "x", "kind": "binary", "target": {"codes": "OUTCOME//died"}, **parts})


@pytest.mark.parametrize("include", ["OUTCOME//died", "OUTCOME*", ["*", "OUTCOME//*"]])
def test_outcomes_among_the_inputs_are_refused(include):
    with pytest.raises(TaskError, match=r"remove them from inputs\.include"):
        task(inputs={"include": include})


def test_a_target_that_is_an_input_is_refused_unless_only_its_past_is_seen():
    with pytest.raises(TaskError, match=r"inputs\.exclude"):
        task(target=LACTATE)
    task(target=LACTATE, inputs={"exclude": "LAB//lac*"})
    task(target=LACTATE, inputs={"history_of_target": True})


def test_a_target_read_up_to_the_prediction_time_is_never_an_input():
    with pytest.raises(TaskError, match="read up to the prediction time"):
        task(target={**LACTATE, "when": "any"}, inputs={"history_of_target": True})


@pytest.mark.parametrize("anchor", ["OUTCOME//died", "OUTCOME//other", "LAB//lactate"])
def test_a_prediction_time_that_hangs_on_the_outcome_is_refused(anchor):
    with pytest.raises(TaskError, match=r"choose another prediction\.anchor"):
        task(
            target={"codes": ["OUTCOME//died", "LAB//lactate"]},
            prediction={"anchor": anchor},
            inputs={"exclude": "LAB*"},
        )


def test_patterns_are_compared_on_the_codes_of_the_cohort(cohort_of):
    cohort = cohort_of([(1, 0, "LAB//lactate//mmol/L", 2.0), (1, 9, "LAB//lactate//mmol/L", 5.0)])
    sly = task(target={"codes": "LAB//*//mmol/L", "above": 4}, inputs={"include": "*//lactate//*"})
    with pytest.raises(TaskError, match="LAB//lactate//mmol/L is the outcome and an input"):
        label(cohort, sly)


def test_a_prediction_time_after_every_outcome_is_refused(cohort_of):
    cohort = cohort_of(
        [(1, 0, "LAB//x", 2.0), (1, 5, "OUTCOME//died", 1), (2, 0, "LAB//x", 1.0), (2, 3, "OUTCOME//died", 0)]
    )
    for target in ({"codes": "OUTCOME//died"}, {"codes": "OUTCOME//died", "read": "presence", "complete": True}):
        with pytest.raises(TaskError, match="ask earlier"):
            label(cohort, task(target=target, prediction={"anchor": "2000-01-02"}))


def test_the_past_of_a_target_does_not_answer(cohort_of):
    cohort = cohort_of([(1, None, "LAB//lactate", 9.0), (1, 0, "LAB//lactate", 9.0), (1, 5, "LAB//lactate", 1.0)])
    labels = label(cohort, task(target=LACTATE, inputs={"history_of_target": True}))
    assert labels.frame["boolean_value"].to_list() == [False]


def test_an_outcome_that_the_cohort_lacks_is_named_beside_those_it_has(cohort_of):
    cohort = cohort_of([(1, 0, "LAB//x", 2.0), (1, 5, "OUTCOME//death", 1)])
    with pytest.raises(TaskError, match=r"OUTCOME//died.*OUTCOME//death.*polyclinic predict"):
        label(cohort, task())
