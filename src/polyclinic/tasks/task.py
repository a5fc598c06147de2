"""A task: a clinical question asked of a subject's record at a prediction time."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from polyclinic.tasks.code_patterns import Inputs
from polyclinic.tasks.definition import LABEL_READERS, PICKS, Exclusion, Kind, Prediction, Target
from polyclinic.tasks.durations import Duration, duration_in_words
from polyclinic.tasks.errors import TaskError
from polyclinic.tasks.validation import check_target, refuse_leaks

_PACKAGED = files("polyclinic.tasks") / "builtin"


class Task(BaseModel, frozen=True, extra="forbid"):
    """A clinical question: what is predicted, from what, asked when, over what horizon, of whom not.

    Example:
        >>> task = Task(name="died", kind="binary", prediction={"offset": "48h"}, target={"codes": "OUTCOME//died"})
        >>> task.describe()
        'Binary question, asked 48 hours after the first recorded event, from what is known by then: \
everything. The answer is the value of OUTCOME//died.'

    Raises:
        TaskError: when the outcome would leak into the inputs; says how to stop it.
        pydantic.ValidationError: when a field is missing or not understood.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")  # also the folder of its labels
    kind: Kind
    description: str = ""  # the question, as one asks a colleague
    prediction: Prediction = Prediction()
    target: Target
    horizon: Duration | None = None  # answers later than this after the prediction time do not count
    exclusions: tuple[Exclusion, ...] = ()
    inputs: Inputs = Inputs()

    @model_validator(mode="before")
    @classmethod
    def _read_as_usual(cls, values: Any) -> Any:
        """Fill in how the target is read and picked where that is not given."""
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
    def _can_be_asked(self) -> Task:
        check_target(self.kind, self.target, self.horizon)
        refuse_leaks(self.prediction, self.target, self.inputs)
        return self

    @classmethod
    def load(cls, name_or_path: str | Path) -> Task:
        """Give a built-in task by its name, or read one from a YAML file.

        Raises:
            TaskError: when there is no such task or file, or it cannot be understood.
        """
        if str(name_or_path) in built_in_names():
            packaged = _PACKAGED / f"{name_or_path}.yaml"
            return cls.from_yaml(packaged.read_text(encoding="utf-8"), where=f"built-in task {name_or_path}")
        try:
            text = Path(name_or_path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as problem:
            raise TaskError(
                f"no task {str(name_or_path)!r}: give the path of a task's YAML (UTF-8), "
                f"or one of {', '.join(built_in_names())}"
            ) from problem
        return cls.from_yaml(text, where=str(name_or_path))

    @classmethod
    def from_yaml(cls, text: str, where: str = "task") -> Task:
        """Read a task from YAML; `where` names the source in errors.

        Raises:
            TaskError: when it cannot be understood; says which field is at fault.
        """
        try:
            return cls.model_validate(yaml.safe_load(text))
        except yaml.YAMLError as problem:
            raise TaskError(f"{where}: not YAML: {problem}") from problem
        except ValidationError as problem:
            faults = (f"{'.'.join(map(str, fault['loc'])) or 'task'}: {fault['msg']}" for fault in problem.errors())
            raise TaskError(f"{where}: {'; '.join(faults)}") from problem

    def to_yaml(self) -> str:
        """Write the task as YAML that `from_yaml` reads back equal; what was not given is left out."""
        return yaml.safe_dump(self.model_dump(mode="json", exclude_unset=True), sort_keys=False, allow_unicode=True)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the outputs; empty where there are none."""
        return tuple(self.target.classes)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what a model says: the classes, or one of `yes`, `value`, `risk`."""
        single = {"binary": "yes", "regression": "value", "time_to_event": "risk"}
        return self.classes or (single[self.kind],)

    @property
    def target_columns(self) -> tuple[str, ...]:
        """Names of the numbers of a target: the outputs, but for time to event `duration` and `event`."""
        return ("duration", "event") if self.kind == "time_to_event" else self.outputs

    def describe(self) -> str:
        """Say in English what is asked, when, from what, how it is answered and of whom not; for the model card."""
        kind = self.kind.replace("_", "-")
        within = f", within {duration_in_words(self.horizon)} of asking" if self.horizon else ""
        sentences = [
            self.description,
            f"{kind.capitalize()} question, asked {self.prediction.in_words()}, from what is known by then: "
            f"{self.inputs.in_words()}.",
            f"The answer is {self.target.in_words()}{within}.",
            f"Left out: {'; '.join(e.in_words() for e in self.exclusions)}." if self.exclusions else "",
        ]
        return " ".join(sentence for sentence in sentences if sentence)


def built_in_names() -> tuple[str, ...]:
    """Give the names of the tasks that come with Polyclinic, sorted."""
    return tuple(
        sorted(entry.name.removesuffix(".yaml") for entry in _PACKAGED.iterdir() if entry.name.endswith(".yaml"))
    )
