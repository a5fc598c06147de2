"""Validation of a task's definition: a readable target, and no leak of the target into the inputs."""

from collections.abc import Sequence
from datetime import timedelta

from polyclinic.tasks.code_patterns import OUTCOMES, Inputs, in_words, matches
from polyclinic.tasks.definition import LABEL_READERS, PICKS, Kind, Prediction, Target
from polyclinic.tasks.errors import TaskError
from polyclinic.yaml_errors import FieldError

CLASS_SEPARATOR = "|"
"""Separates the classes of a multilabel label in MEDS' `categorical_value`."""


def check_target(kind: Kind, target: Target, horizon: timedelta | None) -> None:
    """Check that a target suits this kind of task.

    Raises:
        FieldError: it does not; the message names the field to change.
    """
    if target.read not in LABEL_READERS[kind]:
        raise FieldError(
            f"a {kind} target is read as {' or '.join(LABEL_READERS[kind])}, not as {target.read}: change read",
            "target",
            "read",
        )
    if target.pick not in PICKS[kind]:
        raise FieldError(
            f"a {kind} target picks {', '.join(PICKS[kind])}, not {target.pick}: change pick", "target", "pick"
        )
    if not target.codes and not target.class_codes:
        raise FieldError("the target names no events: give codes", "target", "codes")
    if target.read == "presence" and horizon is None and not target.complete:
        raise FieldError(
            "absence of an event is a label only over a horizon: give horizon, or complete: true if the "
            "source records every such event",
            "target",
            "read",
        )
    if horizon is not None and horizon <= timedelta(0):
        raise FieldError("the horizon must be longer than 0", "horizon")
    _check_classes(kind, target)
    _check_categories(kind, target)


def _check_classes(kind: Kind, target: Target) -> None:
    if kind not in ("multiclass", "multilabel"):
        if target.classes:
            raise FieldError(f"a {kind} target has no classes: remove them, or change the kind", "target", "classes")
        return
    if len(target.classes) < (2 if kind == "multiclass" else 1):
        raise FieldError(f"a {kind} target needs classes: name → patterns on the text or the code", "target", "classes")
    if any(CLASS_SEPARATOR in name or not name for name in target.classes):
        raise FieldError(f"the name of a class must not be empty or contain {CLASS_SEPARATOR!r}", "target", "classes")


def _check_categories(kind: Kind, target: Target) -> None:
    if kind == "binary" and target.read == "category" and not target.positive:
        raise FieldError("a binary target read from categories needs positive: the categories that mean yes", "target")
    if target.positive and (kind, target.read) != ("binary", "category"):
        raise FieldError("positive and negative belong to a binary target with read: category", "target", "positive")
    if target.negative and (kind not in ("binary", "multilabel") or target.read != "category"):
        raise FieldError("negative belongs to a binary or multilabel target with read: category", "target", "negative")
    if (target.above, target.below) != (None, None) and (kind, target.read) != ("binary", "value"):
        raise FieldError("above and below belong to a binary target with read: value", "target")


def check_no_leaks(prediction: Prediction, target: Target, inputs: Inputs) -> None:
    """Check that neither inputs nor prediction time use the outcome, as far as the patterns show.

    Raises:
        TaskError: they do.
    """
    outcomes = [pattern for pattern in inputs.include if pattern != "*" and _is_outcome(pattern)]
    if outcomes:
        raise TaskError(
            f"the inputs include outcomes ({in_words(outcomes)}): remove them from inputs.include", "inputs", "include"
        )
    check_target_not_input([pattern for pattern in target.patterns if inputs.selects(pattern)], target, inputs)
    anchor = prediction.anchor_code
    if anchor and (_is_outcome(anchor) or matches(anchor, target.patterns)):
        raise TaskError(
            f"the prediction time depends on the outcome ({anchor}), which is unknown then: "
            "choose another prediction.anchor",
            "prediction",
            "anchor",
        )


def check_target_not_input(codes: Sequence[str], target: Target, inputs: Inputs) -> None:
    """Check codes (or patterns) that are both target and input: only their history may be an input.

    Raises:
        TaskError: the task does not allow it, or also reads targets up to the prediction time.
    """
    if codes and target.when == "any":
        raise TaskError(
            f"{in_words(codes)} is a target up to the prediction time and also an input: "
            "add it to inputs.exclude, or read only later events (target.when: after)",
            "inputs",
        )
    if codes and not inputs.history_of_target:
        raise TaskError(
            f"{in_words(codes)} is the outcome and also an input: add it to inputs.exclude, or, if values "
            "before the prediction time may help to predict later ones, set inputs.history_of_target: true",
            "inputs",
        )


def _is_outcome(pattern: str) -> bool:
    return pattern.startswith(OUTCOMES.split("//", 1)[0]) or matches(pattern, (OUTCOMES,))
