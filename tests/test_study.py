"""Studies: validation and round trips through YAML."""

import re
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from polyclinic import Study, Task
from polyclinic.study import Network, StudyError
from polyclinic.tasks import BUILT_IN, TaskError
from polyclinic.training.cross_validation import cross_validate
from polyclinic.training.fit import WORK
from polyclinic.training.model_setup import check_network
from polyclinic.training.network.trainer import check_logger
from polyclinic.training.train import train_and_measure
from tests.hospital import EVERY_KIND, SIMPLE, SMALL

CUSTOM = """
name: last_lactate_high
kind: binary
prediction: {anchor: first_event, offset: 24h}
target: {codes: LAB//lactate//mmol/L, pick: first, above: 2}
horizon: 1d
exclusions: [{shorter_than: 2h}, {had: DIAGNOSIS//kidney_disease}]
inputs: {exclude: LAB//lactate//mmol/L}
"""


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_tasks_round_trip_through_study_yaml(name, tmp_path):
    study = Study(tasks=(name,))
    study.save(tmp_path / "study.yaml")
    (again,) = Study.load(tmp_path / "study.yaml").tasks
    assert again == Task.load(name)
    assert again.classes == Task.load(name).classes, "the order of the classes is that of the outputs"


def test_custom_task_keeps_its_non_default_values(tmp_path):
    (tmp_path / "task.yaml").write_text(CUSTOM)
    study = Study(tasks=tmp_path / "task.yaml")
    study.save(tmp_path / "study.yaml")
    again = Study.load(tmp_path / "study.yaml")
    assert again == study
    assert again.tasks[0].target.pick == "first", "the default pick of a binary task is any"


def test_other_settings_round_trip(tmp_path):
    study = EVERY_KIND.model_copy(
        update={
            "network": Network(encoders={"note": "cnn"}, encoder_options={"note": {}}, fusion="gated", dropout=0.1),
            "terms": ("word", "char"),
            "inputs": ("note", "structured"),
            "seed": 7,
        }
    )
    study.save(tmp_path / "study.yaml")
    assert Study.load(tmp_path / "study.yaml") == study
    assert Study.load(tmp_path / "study.yaml").to_yaml() == study.to_yaml()


def test_study_without_a_network_round_trips(tmp_path):
    SIMPLE.save(tmp_path / "study.yaml")
    assert Study.load(tmp_path / "study.yaml") == SIMPLE


def test_harm_to_benefit_replaces_target_sensitivity(tmp_path):
    study = Study(tasks="demo_deterioration", harm_to_benefit=0.25)
    assert study.target_sensitivity is None
    study.save(tmp_path / "study.yaml")
    assert Study.load(tmp_path / "study.yaml") == study
    assert "a harm-to-benefit ratio of 0.25" in study.operating_rule
    assert "at least 80% sensitivity" in Study(tasks="demo_deterioration").operating_rule


def test_study_without_harm_to_benefit_is_loaded(tmp_path):
    old = yaml.safe_load(SIMPLE.to_yaml())
    del old["harm_to_benefit"]
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(old))
    assert Study.load(tmp_path / "study.yaml") == SIMPLE


def test_single_task_needs_no_list():
    assert Study(tasks="demo_stay") == Study(tasks=["demo_stay"]) == Study(tasks=Task.load("demo_stay"))


def test_study_is_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        SIMPLE.seed = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"epochs": 3}, "epochs: Extra inputs are not permitted"),
        ({"network": {"widht": 64}}, "network.widht: Extra inputs are not permitted"),
        ({"network": {"encoders": {"genome": "cnn"}}}, "choose from structured, series, note, image"),
        ({"inputs": ["genome"]}, "choose from structured, series, note, image"),
        ({"inputs": ["note", "note"]}, "each modality once"),
        ({"inputs": []}, "at least one"),
        ({"classical": ["svm"]}, "'logistic_regression', 'decision_tree', 'random_forest' or 'gradient_boosting'"),
        ({"calibration": "magic"}, "'platt', 'temperature', 'isotonic' or 'none'"),
        ({"tasks": []}, "at least one task"),
        ({"tasks": ["demo_stay", "demo_stay"]}, "share a name"),
        ({"network": None, "classical": []}, "a network or at least one classical model"),
        ({"network": None, "tasks": ["demo_survival"]}, "only a network predicts time to event.*demo_survival"),
        ({"folds": 1}, "folds: Input should be greater than or equal to 2"),
        ({"seed": -1}, "seed: Input should be greater than or equal to 0"),
        ({"target_sensitivity": None}, "target_sensitivity or by harm_to_benefit: give one"),
        ({"target_sensitivity": 0.9, "harm_to_benefit": 0.5}, "target_sensitivity or by harm_to_benefit: give one"),
        ({"harm_to_benefit": 0}, "harm_to_benefit: Input should be greater than 0"),
        ({"network": {"width": 4}}, "network.width: Input should be greater than or equal to 8"),
    ],
)
def test_invalid_study_raises_with_file_key_and_choices(wrong, message, tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump({"tasks": ["demo_stay"]} | wrong))
    with pytest.raises(StudyError, match=message) as error:
        Study.load(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"tasks: [", b"- demo_stay", b"", b"\xff\xfe\x00", b"just words"])
def test_invalid_file_raises(content, tmp_path):
    (tmp_path / "study.yaml").write_bytes(content)
    with pytest.raises(StudyError, match=r"study\.yaml"):
        Study.load(tmp_path / "study.yaml")


def test_missing_file_raises(tmp_path):
    with pytest.raises(StudyError, match=r"nowhere\.yaml cannot be read"):
        Study.load(tmp_path / "nowhere.yaml")


def test_unknown_task_raises_with_the_choices():
    with pytest.raises(TaskError, match=r"no task 'demo_nonsense'.*demo_deterioration, demo_diagnosis"):
        Study(tasks="demo_nonsense")


UNKNOWN = {
    "fusion": (SMALL.model_copy(update={"fusion": "magic"}), "unknown fusion 'magic': choose from bottleneck, concat"),
    "encoder": (
        SMALL.model_copy(update={"encoders": {"note": "magic"}}),
        "unknown note encoder 'magic': choose from bag_of_words, minilm, cnn, bilstm_attention",
    ),
    "option": (
        SMALL.model_copy(update={"encoder_options": {"note": {"magic": 1}}}),
        "bag_of_words has no option magic: its options are none",
    ),
    "width": (SMALL.model_copy(update={"width": 100}), "width must be a multiple of 16"),
}


@pytest.mark.parametrize(("network", "message"), UNKNOWN.values(), ids=UNKNOWN)
def test_unknown_parts_of_the_network_raise_with_the_choices(network, message):
    with pytest.raises(StudyError, match=message):
        check_network(EVERY_KIND.model_copy(update={"network": network}))


@pytest.mark.parametrize("image", ["efficientnet_lite0", "densenet121", "vit"])
def test_valid_networks_are_accepted(image):
    encoders = {"structured": "feature_tokens", "series": "triplet", "note": "cnn", "image": image}
    check_network(EVERY_KIND.model_copy(update={"network": Network(encoders=encoders, fusion="bottleneck")}))
    check_network(SIMPLE)


def test_encoder_of_an_unused_input_is_not_built():
    check_network(SIMPLE.model_copy(update={"network": Network(encoders={"image": "magic"})}))


def test_unknown_logger_raises_with_the_choices():
    check_logger("csv")
    with pytest.raises(StudyError, match="unknown logger 'magic': choose from csv, mlflow, tensorboard"):
        check_logger("magic")


@pytest.mark.parametrize("name", ["mlflow", "tensorboard"])
def test_missing_logger_raises_with_the_remedy(name, monkeypatch):
    monkeypatch.setattr("polyclinic.training.network.trainer.find_spec", lambda name: None)
    with pytest.raises(StudyError, match=rf"pip install 'polyclinic\[{name}\]'"):
        check_logger(name)


class RecordingProgress:
    """A progress that records every long step."""

    def __init__(self):
        self.started = []

    def task(self, description, total=None):
        self.started.append(description)
        raise AssertionError(f"long work began: {description}")


@pytest.mark.parametrize("run", [train_and_measure, lambda *a, **k: cross_validate(*a, folds=2, **k)])
@pytest.mark.parametrize("wrong", ["network", "logger"])
def test_invalid_study_raises_before_work_starts_and_keeps_checkpoints(run, wrong, hospital, tmp_path):
    checkpoint = tmp_path / WORK / "of_another_study" / "fold0" / "network.safetensors"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"hours of work")
    network = SMALL.model_copy(update={"fusion": "magic"}) if wrong == "network" else SMALL
    progress = RecordingProgress()
    with pytest.raises(StudyError, match="choose from"):
        run(
            EVERY_KIND.model_copy(update={"network": network}),
            hospital,
            tmp_path,
            progress=progress,
            logger="magic" if wrong == "logger" else "csv",
        )
    assert progress.started == []
    assert checkpoint.read_bytes() == b"hours of work"


def test_reference_documents_the_defaults():
    page = (Path(__file__).parents[1] / "docs" / "reference" / "study.md").read_text()
    defaults = {name: field.default for model in (Study, Network) for name, field in model.model_fields.items()}
    checked = set()
    for keys, text in re.findall(r"^\| (`[^|]*`) \|[^|]*\| ([^|]*?) ?\|$", page, re.MULTILINE):
        names = re.findall(r"\w+", keys)
        if all(isinstance(defaults[name], str | float | int) for name in names):
            values = [yaml.safe_load(value.strip("` ")) for value in text.split(", ")]
            assert values == [defaults[name] for name in names]
            checked |= set(names)
    assert checked == {name for name, value in defaults.items() if isinstance(value, str | float | int)}
