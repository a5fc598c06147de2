import numpy as np

from polyclinic.tasks import Task, as_targets, label, number_samples, samples

AT_TEN = {"anchor": "origin", "offset": "10h"}
CLASSES = {"a": "a", "b": "b", "c": "c"}
DIED = Task(name="died", kind="binary", target={"codes": "OUTCOME//died"}, prediction=AT_TEN)
CAUSE = Task(
    name="cause",
    kind="multiclass",
    target={"codes": "OUTCOME//cause", "read": "category", "classes": CLASSES},
    prediction=AT_TEN,
)
FINDINGS = Task(
    name="findings",
    kind="multilabel",
    target={"codes": "OUTCOME//cause", "read": "category", "classes": CLASSES},
    prediction=AT_TEN,
)
DAYS = Task(name="days", kind="regression", target={"codes": "OUTCOME//days"}, prediction={"anchor": "first_event"})
SURVIVAL = Task(name="survival", kind="time_to_event", target={"codes": "OUTCOME//died"}, prediction=AT_TEN)

ROWS = [
    (1, 2, "LAB//a", 1.0),
    (1, 34, "OUTCOME//died", 1),
    (1, 34, "OUTCOME//days", 2.5),
    (2, 10, "LAB//a", 1.0),
    (2, 58, "OUTCOME//cause", "c"),
    (2, 58, "OUTCOME//cause", "b"),
    (2, 58, "OUTCOME//days", 4.0),
]


def test_tasks_share_samples_and_mask_missing_labels(cohort_of):
    joint = samples(cohort_of(ROWS), [DIED, CAUSE, FINDINGS, DAYS, SURVIVAL])
    hours = joint.frame["prediction_time"].dt.hour().to_list()
    assert list(zip(joint.frame["sample"], joint.frame["subject_id"], hours, strict=True)) == [
        (0, 1, 2),
        (1, 1, 10),
        (2, 2, 10),
    ]
    expected = {
        "died": ([[0], [1], [0]], [False, True, False]),
        "cause": ([[0, 0, 0], [0, 0, 0], [0, 1, 0]], [False, False, True]),
        "findings": ([[0, 0, 0], [0, 0, 0], [0, 1, 1]], [False, False, True]),
        "days": ([[2.5], [0], [4]], [True, False, True]),
        "survival": ([[0, 0], [1, 1], [2, 0]], [False, True, True]),
    }
    for name, (values, observed) in expected.items():
        target = joint.targets[name]
        assert target.values.dtype == np.float64
        np.testing.assert_array_equal(target.values, values)
        np.testing.assert_array_equal(target.observed, observed)
    np.testing.assert_array_equal(joint.rows([1]), [0, 1])
    assert set(joint.labels) == set(expected)


def test_targets_are_in_sample_order(cohort_of):
    labels = label(cohort_of(ROWS), DAYS)
    frame = number_samples(labels.frame)
    forwards, backwards = as_targets(labels, frame), as_targets(labels, frame.reverse())
    np.testing.assert_array_equal(forwards.values, backwards.values[::-1])
    assert forwards.observed.all()
    assert backwards.observed.all()
