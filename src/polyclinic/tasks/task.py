"""A prediction task on a subject's record at a prediction time."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from polyclinic.cohort.codes import unit
from polyclinic.tasks.code_patterns import Inputs
from polyclinic.tasks.definition import LABEL_READERS, PICKS, Exclusion, Kind, Prediction, Target
from polyclinic.tasks.durations import Duration, duration_in_words
from polyclinic.tasks.errors import TaskError
from polyclinic.tasks.validation import check_no_leaks, check_target
from polyclinic.yaml_errors import describe, line_of, parse

_PACKAGED = files("polyclinic.tasks") / "builtin"


class Task(BaseModel, frozen=True, extra="forbid"):
    """A prediction task: target, inputs, prediction time, horizon and exclusions.

    Example:
        >>> task = Task(name="died", kind="binary", prediction={"offset": "48h"}, target={"codes": "OUTCOME//died"})
        >>> task.describe()
        'Binary task, predicted 48 hours after the first recorded event from the record up to then: all codes. \
Target: the value of OUTCOME//died.'

    Raises:
        TaskError: the outcome would leak into the inputs.
        pydantic.ValidationError: a field is missing or invalid.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)  # also of the folder of its labels
    kind: Kind
    description: str = ""  # the question in clinical terms
    prediction: Prediction = Prediction()
    target: Target
    horizon: Duration | None = None  # length of the label window after the prediction time
    exclusions: tuple[Exclusion, ...] = ()
    inputs: Inputs = Inputs()

    @model_validator(mode="before")
    @classmethod
    def _set_defaults(cls, values: Any) -> Any:
        """Set the defaults of `read` and `pick`, which depend on the kind."""
        if not isinstance(values, Mapping) or values.get("kind") not in LABEL_READERS:
            return values
        target = values.get("target")
        if isinstance(target, Target):
            target = target.model_dump(exclude_unset=True)
        if not isinstance(target, Mapping):
            return values
        kind: Kind = values["kind"]
        return {**values, "target": {"read": LABEL_READERS[kind][0], "pick": PICKS[kind][0], **target}}

    @model_validator(mode="after")
    def _check(self) -> Task:
        check_target(self.kind, self.target, self.horizon)
        check_no_leaks(self.prediction, self.target, self.inputs)
        return self

    @classmethod
    def load(cls, name_or_path: str | Path) -> Task:
        """Load a built-in task by name, or a task from a YAML file.

        Raises:
            TaskError: there is no such task or file, or it is invalid.
        """
        if str(name_or_path) in built_in_names():
            packaged = _PACKAGED / f"{name_or_path}.yaml"
            return cls.from_yaml(packaged.read_text(encoding="utf-8"), where=f"built-in task {name_or_path}")
        try:
            text = Path(name_or_path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise TaskError(
                f"no task {str(name_or_path)!r}: give the path of a task's YAML (UTF-8), "
                f"or one of {', '.join(built_in_names())}"
            ) from error
        return cls.from_yaml(text, where=str(name_or_path))

    @classmethod
    def from_yaml(cls, text: str, where: str = "task") -> Task:
        """Read a task from YAML; `where` names the source in errors.

        Raises:
            TaskError: it is invalid; the message names line, field and choices.
        """
        value, lines = parse(text, where, TaskError)
        if not isinstance(value, dict):
            raise TaskError(f"{where} line 1: a task is keys with values: name, kind, target")
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            raise TaskError(describe(error, Task, lines, where)) from None
        except TaskError as error:
            raise TaskError(f"{where} line {line_of(error.key, lines)}: {error}") from None

    def to_yaml(self) -> str:
        """Format the task as YAML, without unset fields; `from_yaml` is the inverse."""
        return yaml.safe_dump(self.model_dump(mode="json", exclude_unset=True), sort_keys=False, allow_unicode=True)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the outputs; empty if there are none."""
        return tuple(self.target.classes)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of a model's outputs: the classes, or one of `yes`, `value`, `risk`."""
        single = {"binary": "yes", "regression": "value", "time_to_event": "risk"}
        return self.classes or (single[self.kind],)

    @property
    def target_columns(self) -> tuple[str, ...]:
        """Names of the target's columns: the outputs, or `duration` and `event` for time to event."""
        return ("duration", "event") if self.kind == "time_to_event" else self.outputs

    @property
    def value_unit(self) -> str | None:
        """Unit of the number that a regression predicts, if all its target codes have the same."""
        units = {unit(code) for code in self.target.codes} if self.kind == "regression" else set()
        return units.pop() or None if len(units) == 1 else None

    def describe(self) -> str:
        """Describe the task in English, for the model card."""
        kind = self.kind.replace("_", "-")
        within = f", within {duration_in_words(self.horizon)} of the prediction" if self.horizon else ""
        sentences = [
            self.description,
            f"{kind.capitalize()} task, predicted {self.prediction.in_words()} from the record up to then: "
            f"{self.inputs.in_words()}.",
            f"Target: {self.target.in_words()}{within}.",
            f"Excluded: {'; '.join(e.in_words() for e in self.exclusions)}." if self.exclusions else "",
        ]
        return " ".join(sentence for sentence in sentences if sentence)


def built_in_names() -> tuple[str, ...]:
    """Return the names of the built-in tasks, sorted."""
    return tuple(
        sorted(entry.name.removesuffix(".yaml") for entry in _PACKAGED.iterdir() if entry.name.endswith(".yaml"))
    )
