"""Validation of a task's definition: a readable target, and no leak of the target into the inputs."""

from collections.abc import Sequence
from datetime import timedelta

from polyclinic.tasks.code_patterns import OUTCOMES, Inputs, in_words, matches
from polyclinic.tasks.definition import LABEL_READERS, PICKS, Kind, Prediction, Target
from polyclinic.tasks.errors import TaskError

CLASS_SEPARATOR = "|"
"""Separates the classes of a multilabel label in MEDS' `categorical_value`."""


def check_target(kind: Kind, target: Target, horizon: timedelta | None) -> None:
    """Check that a target suits this kind of task.

    Raises:
        ValueError: it does not; the message names the field to change.
    """
    if target.read not in LABEL_READERS[kind]:
        raise ValueError(
            f"a {kind} target is read as {' or '.join(LABEL_READERS[kind])}, not as {target.read}: change read"
        )
    if target.pick not in PICKS[kind]:
        raise ValueError(f"a {kind} target picks {', '.join(PICKS[kind])}, not {target.pick}: change pick")
    if not target.codes and not target.class_codes:
        raise ValueError("the target names no events: give codes")
    if target.read == "presence" and horizon is None and not target.complete:
        raise ValueError(
            "absence of an event is a label only over a horizon: give horizon, or complete: true if the "
            "source records every such event"
        )
    if horizon is not None and horizon <= timedelta(0):
        raise ValueError("the horizon must be longer than 0")
    _check_classes(kind, target)
    _check_categories(kind, target)


def _check_classes(kind: Kind, target: Target) -> None:
    if kind not in ("multiclass", "multilabel"):
        if target.classes:
            raise ValueError(f"a {kind} target has no classes: remove them, or change the kind")
        return
    if len(target.classes) < (2 if kind == "multiclass" else 1):
        raise ValueError(f"a {kind} target needs classes: name → patterns on the text or the code")
    if any(CLASS_SEPARATOR in name or not name for name in target.classes):
        raise ValueError(f"the name of a class must not be empty or contain {CLASS_SEPARATOR!r}")


def _check_categories(kind: Kind, target: Target) -> None:
    if kind == "binary" and target.read == "category" and not target.positive:
        raise ValueError("a binary target read from categories needs positive: the categories that mean yes")
    if (target.positive or target.negative) and (kind, target.read) != ("binary", "category"):
        raise ValueError("positive and negative belong to a binary target with read: category")
    if (target.above, target.below) != (None, None) and (kind, target.read) != ("binary", "value"):
        raise ValueError("above and below belong to a binary target with read: value")


def check_no_leaks(prediction: Prediction, target: Target, inputs: Inputs) -> None:
    """Check that neither inputs nor prediction time use the outcome, as far as the patterns show.

    Raises:
        TaskError: they do.
    """
    outcomes = [pattern for pattern in inputs.include if pattern != "*" and _is_outcome(pattern)]
    if outcomes:
        raise TaskError(f"the inputs include outcomes ({in_words(outcomes)}): remove them from inputs.include")
    check_target_not_input([pattern for pattern in target.patterns if inputs.selects(pattern)], target, inputs)
    anchor = prediction.anchor_code
    if anchor and (_is_outcome(anchor) or matches(anchor, target.patterns)):
        raise TaskError(
            f"the prediction time depends on the outcome ({anchor}), which is unknown then: "
            "choose another prediction.anchor"
        )


def check_target_not_input(codes: Sequence[str], target: Target, inputs: Inputs) -> None:
    """Check codes (or patterns) that are both target and input: only their history may be an input.

    Raises:
        TaskError: the task does not allow it, or also reads targets up to the prediction time.
    """
    if codes and target.when == "any":
        raise TaskError(
            f"{in_words(codes)} is a target up to the prediction time and also an input: "
            "add it to inputs.exclude, or read only later events (target.when: after)"
        )
    if codes and not inputs.history_of_target:
        raise TaskError(
            f"{in_words(codes)} is the outcome and also an input: add it to inputs.exclude, or, if values "
            "before the prediction time may help to predict later ones, set inputs.history_of_target: true"
        )


def _is_outcome(pattern: str) -> bool:
    return pattern.startswith(OUTCOMES.split("//", 1)[0]) or matches(pattern, (OUTCOMES,))
