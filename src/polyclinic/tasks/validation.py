"""What a task must satisfy before any record is read: it is answerable as written, and the answer does not leak."""

from collections.abc import Sequence
from datetime import timedelta

from polyclinic.tasks.code_patterns import OUTCOMES, Inputs, in_words, matches
from polyclinic.tasks.definition import LABEL_READERS, PICKS, Kind, Prediction, Target
from polyclinic.tasks.errors import TaskError

CLASS_SEPARATOR = "|"
"""Between the classes of a multilabel answer in MEDS' `categorical_value`."""


def check_target(kind: Kind, target: Target, horizon: timedelta | None) -> None:
    """Refuse a target that cannot answer a question of this kind.

    Raises:
        ValueError: says which field to change, and to what.
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
            "absence of an event is an answer only over a horizon: give horizon, or complete: true where the "
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
        raise ValueError(f"the name of a class is not empty and holds no {CLASS_SEPARATOR!r}")


def _check_categories(kind: Kind, target: Target) -> None:
    if kind == "binary" and target.read == "category" and not target.positive:
        raise ValueError("a binary target read from categories needs positive: the categories that mean yes")
    if (target.positive or target.negative) and (kind, target.read) != ("binary", "category"):
        raise ValueError("positive and negative belong to a binary target with read: category")
    if (target.above, target.below) != (None, None) and (kind, target.read) != ("binary", "value"):
        raise ValueError("above and below belong to a binary target with read: value")


def refuse_leaks(prediction: Prediction, target: Target, inputs: Inputs) -> None:
    """Refuse a task that gives its answer away, as far as its own words tell.

    Raises:
        TaskError: says what leaks, and what to change.
    """
    shown = [pattern for pattern in inputs.include if pattern != "*" and _is_outcome(pattern)]
    if shown:
        raise TaskError(f"the inputs include outcomes ({in_words(shown)}): remove them from inputs.include")
    refuse_visible_target([pattern for pattern in target.patterns if inputs.selects(pattern)], target, inputs)
    anchor = prediction.anchor_code
    if anchor and (_is_outcome(anchor) or matches(anchor, target.patterns)):
        raise TaskError(
            f"the prediction time hangs on the outcome ({anchor}), which nobody knows when asking: "
            "choose another prediction.anchor"
        )


def refuse_visible_target(visible: Sequence[str], target: Target, inputs: Inputs) -> None:
    """Refuse the codes (or patterns) that are both target and input, unless only their past is seen.

    Raises:
        TaskError: says which, and what to change.
    """
    if visible and target.when == "any":
        raise TaskError(
            f"{in_words(visible)} is read up to the prediction time and is an input as well: "
            "add it to inputs.exclude, or read only what comes after (target.when: after)"
        )
    if visible and not inputs.history_of_target:
        raise TaskError(
            f"{in_words(visible)} is the outcome and an input as well: add it to inputs.exclude, or, where values "
            "before the prediction time may help to foresee later ones, say inputs.history_of_target: true"
        )


def _is_outcome(pattern: str) -> bool:
    return pattern.startswith(OUTCOMES.split("//", 1)[0]) or matches(pattern, (OUTCOMES,))
