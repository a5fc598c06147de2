import re
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from polyclinic.tasks import BUILT_IN, Prediction, Target, Task, TaskError

DIED = {"name": "died", "kind": "binary", "target": {"codes": "OUTCOME//died"}}


def test_task_is_loaded_from_yaml(tmp_path):
    path = tmp_path / "task.yaml"
    path.write_text(
        """
        name: sepsis
        kind: binary
        description: Will sepsis begin within a day?
        prediction: {anchor: PROCEDURE//admission, occurrence: every, offset: 6h}
        target: {codes: [DIAGNOSIS//A40*, DIAGNOSIS//A41*], read: presence, closed_by: PROCEDURE//discharge}
        horizon: 24h
        exclusions: [{had: DIAGNOSIS//A4*}, {shorter_than: 2h}]
        inputs: {include: ["LAB//*", "VITAL//*"]}
        """
    )
    task = Task.load(path)
    assert task.prediction.offset == timedelta(hours=6)
    assert task.target.codes == ("DIAGNOSIS//A40*", "DIAGNOSIS//A41*")
    assert [exclusion.in_words() for exclusion in task.exclusions] == [
        "had DIAGNOSIS//A4*",
        "a record shorter than 2 hours",
    ]
    assert task.describe() == (
        "Will sepsis begin within a day? Binary task, predicted 6 hours after every PROCEDURE//admission from the "
        "record up to then: LAB//* or VITAL//*. Target: the presence of DIAGNOSIS//A40* or DIAGNOSIS//A41*, within "
        "24 hours of the prediction. Excluded: had DIAGNOSIS//A4*; a record shorter than 2 hours."
    )


@pytest.mark.parametrize(
    ("anchor", "read"),
    [
        ("2020-05-01", datetime(2020, 5, 1)),
        ("2020-05-01T12:00:00+02:00", datetime(2020, 5, 1, 10, tzinfo=UTC)),
        ("last_event", "last_event"),
        ("PROCEDURE//x", "PROCEDURE//x"),
    ],
)
def test_anchor_is_a_date_or_a_word(anchor, read):
    assert Task(**DIED, prediction={"anchor": anchor}).prediction.anchor == read


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_tasks_round_trip_through_yaml_and_json(name):
    task = BUILT_IN[name]
    assert task.name == name
    assert Task.load(name) == task
    assert Task.from_yaml(task.to_yaml()) == task
    assert Task.model_validate(task.model_dump(mode="json")) == task
    assert task.description.endswith("?")
    assert task.description in task.describe()


def test_unknown_task_raises_with_the_choices():
    with pytest.raises(TaskError, match="physionet2012_death"):
        Task.load("nowhere.yaml")
    with pytest.raises(KeyError):
        BUILT_IN["nowhere"]


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("kind: binary\ntarget: {codes: OUTCOME//x}", "name: Field required"),
        ("name: ../x\nkind: binary\ntarget: {codes: OUTCOME//x}", "name"),
        ("name: x\nkind: guess\ntarget: {codes: OUTCOME//x}", "kind"),
        ("name: x\nkind: binary\ntarget: {codes: OUTCOME//x, colour: red}", "target.colour"),
        ("name: x\nkind: binary\ntarget: {codes: OUTCOME//x}\nhorizon: long", "such as 48h"),
        ("name: x\nkind: binary\ntarget: {codes: OUTCOME//x}\nhorizon: -1d", "longer than 0"),
        ("name: x\nkind: binary\ntarget: {}", "give codes"),
        ("name: x\nkind: binary\ntarget: {codes: OUTCOME//x, read: time}", "change read"),
        ("name: x\nkind: regression\ntarget: {codes: OUTCOME//x, pick: any}", "change pick"),
        ("name: x\nkind: binary\ntarget: {codes: OUTCOME//x, read: presence}", "complete: true"),
        ("name: x\nkind: binary\ntarget: {codes: OUTCOME//x, read: category}", "needs positive"),
        ("name: x\nkind: regression\ntarget: {codes: OUTCOME//x, above: 3}", "above and below"),
        ("name: x\nkind: regression\ntarget: {codes: OUTCOME//x, positive: Y}", "positive and negative"),
        ("name: x\nkind: multiclass\ntarget: {codes: OUTCOME//x, classes: {a: a}}", "needs classes"),
        ("name: x\nkind: multilabel\ntarget: {codes: OUTCOME//x, classes: {'a|b': a}}", "must not be empty or contain"),
        ("name: x\nkind: binary\ntarget: {codes: OUTCOME//x, classes: {a: a}}", "has no classes"),
        ("name: x\nkind: binary\ntarget: {codes: OUTCOME//x}\nexclusions: [{had: A, lacks: B}]", "exactly one"),
        ("name: x\nkind: multiclass\ntarget: {codes: OUTCOME//x, negative: Y}", "needs classes"),
        ("name: x\nkind: regression\ntarget: {codes: OUTCOME//x, negative: Y}", "negative belongs to"),
        ("- a\n- b", "a task is keys with values"),
        ("name: [x", "not YAML"),
        ("name: x\nname: y", "key 'name' is there twice"),
    ],
)
def test_errors_name_file_line_and_field(yaml, message):
    with pytest.raises(TaskError, match=message) as caught:
        Task.from_yaml(yaml, where="my.yaml")
    assert all(re.match(r"my\.yaml line [1-4]: ", line) for line in str(caught.value).splitlines())


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("  pick: most", 5, "target.pick: Input should be 'first'"),
        ("  colour: red", 5, "target.colour: unknown key: choose from above, "),
        ("  read: time", 5, "target.read: a binary target is read as value or category or presence, not as time"),
        ("inputs:\n  include: OUTCOME//x", 6, "the inputs include outcomes (OUTCOME//x): remove them"),
        ("prediction:\n  offset: 2h\n  anchor: OUTCOME//x", 7, "the prediction time depends on the outcome"),
        ("exclusions:\n- {had: A}\n- {hat: B}", 7, "exclusions.1.hat: unknown key: choose from fewer_events_than"),
        ("horizon: soon", 5, "horizon: 'soon' is not a duration"),
        ("inputs: {include: [A, A]\nname: y", 6, "not YAML"),
    ],
)
def test_errors_name_the_line_of_the_fault(text, line, message):
    with pytest.raises(TaskError) as caught:
        Task.from_yaml(f"name: x\nkind: binary\ntarget:\n  codes: OUTCOME//x\n{text}", where="my.yaml")
    assert f"my.yaml line {line}: " in str(caught.value)
    assert message in str(caught.value)


def test_texts_that_yaml_takes_for_other_types_stay_texts():
    task = Task.from_yaml(
        "name: 007\nkind: binary\nhorizon: 7d\n"
        "target: {codes: OUTCOME//x, read: category, positive: NO, negative: [1, yes]}"
    )
    assert (task.name, task.target.positive, task.target.negative) == ("007", ("NO",), ("1", "yes"))
    assert Task.from_yaml(task.to_yaml()) == task


def test_task_is_frozen():
    with pytest.raises(ValidationError):
        Task(**DIED).name = "lived"


@pytest.mark.parametrize(
    ("kind", "extra", "outputs", "columns"),
    [
        ("binary", {}, ("yes",), ("yes",)),
        ("regression", {}, ("value",), ("value",)),
        ("time_to_event", {}, ("risk",), ("duration", "event")),
        ("multiclass", {"classes": {"a": "a*", "b": "b*"}}, ("a", "b"), ("a", "b")),
    ],
)
def test_outputs_and_target_columns(kind, extra, outputs, columns):
    task = Task(name="x", kind=kind, target={"codes": "OUTCOME//x", **extra})
    assert (task.outputs, task.target_columns) == (outputs, columns)


def test_parts_can_be_created_in_python():
    target = Target(codes=("OUTCOME//died",))
    task = Task(name="died", kind="binary", prediction=Prediction(offset="48h"), target=target)
    assert task == Task(**DIED, prediction={"offset": "2d"})
    assert task.target.pick == "any"
    assert len(BUILT_IN) == len(list(BUILT_IN))
