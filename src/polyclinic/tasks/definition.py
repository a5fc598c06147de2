"""The parts of a task: prediction times, exclusions and target."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from polyclinic.tasks.code_patterns import Patterns, in_words
from polyclinic.tasks.durations import Duration, duration_in_words

Kind = Literal["binary", "multiclass", "multilabel", "regression", "time_to_event"]
LabelReader = Literal["value", "category", "presence", "time"]
Pick = Literal["first", "last", "any", "all", "minimum", "maximum", "mean"]

LABEL_READERS: Mapping[Kind, tuple[LabelReader, ...]] = {
    "binary": ("value", "category", "presence"),
    "multiclass": ("category", "presence"),
    "multilabel": ("category", "value", "presence"),
    "regression": ("value",),
    "time_to_event": ("time", "value"),
}
"""The ways to read the target of each kind of task, the default first."""

PICKS: Mapping[Kind, tuple[Pick, ...]] = {
    "binary": ("any", "all", "first", "last"),
    "multiclass": ("first", "last"),
    "multilabel": ("any",),
    "regression": ("first", "last", "minimum", "maximum", "mean"),
    "time_to_event": ("first",),
}
"""The ways to choose among several values for each kind of task, the default first."""


def _instant(anchor: Any) -> Any:
    """Parse a date and time, if it is one."""
    if isinstance(anchor, str):
        try:
            return datetime.fromisoformat(anchor)
        except ValueError:
            return anchor
    return anchor


class Prediction(BaseModel, frozen=True, extra="forbid"):
    """The prediction time: `offset` after the anchor.

    The anchor is the subject's `first_event` or `last_event` (among the inputs), `origin` (the nominal admission of
    sources without dates), a date and time, or a pattern of codes, of which `occurrence` is used.
    """

    anchor: Annotated[datetime | str, BeforeValidator(_instant)] = "first_event"
    occurrence: Literal["first", "last", "every"] = "first"
    offset: Duration = timedelta(0)

    @property
    def anchor_code(self) -> str | None:
        """The pattern of the anchor's codes; None for other anchors."""
        named = ("first_event", "last_event", "origin")
        return self.anchor if isinstance(self.anchor, str) and self.anchor not in named else None

    def in_words(self) -> str:
        """Describe the prediction time, such as `48 hours after admission`."""
        anchors = {"first_event": "the first recorded event", "last_event": "the last input", "origin": "admission"}
        fixed = f"{self.anchor:%Y-%m-%d %H:%M %z}".strip() if isinstance(self.anchor, datetime) else None
        anchor = fixed or (anchors.get(self.anchor) if isinstance(self.anchor, str) else None)
        anchor = anchor or f"the {self.occurrence} {self.anchor}".replace("the every", "every")
        if not self.offset:
            return f"at {anchor}"
        side = "after" if self.offset > timedelta(0) else "before"
        return f"{duration_in_words(abs(self.offset))} {side} {anchor}"


class Exclusion(BaseModel, frozen=True, extra="forbid"):
    """An exclusion criterion, applied to the record up to the prediction time. Exactly one field is given."""

    had: Patterns = ()  # an event of these codes is recorded
    lacks: Patterns = ()  # no event of these codes is recorded
    shorter_than: Duration | None = None  # from the first input event to the latest
    fewer_events_than: int | None = Field(None, ge=1)  # among the inputs

    @model_validator(mode="after")
    def _has_one_field(self) -> Exclusion:
        if len(self.model_dump(exclude_defaults=True)) != 1:
            raise ValueError(f"an exclusion needs exactly one of {', '.join(type(self).model_fields)}")
        return self

    def in_words(self) -> str:
        """Describe the criterion, such as `had DIAGNOSIS//I21*`; also the reason used in counts."""
        if self.had:
            return f"had {in_words(self.had)}"
        if self.lacks:
            return f"had no {in_words(self.lacks)}"
        if self.shorter_than is not None:
            return f"a record shorter than {duration_in_words(self.shorter_than)}"
        return f"fewer than {self.fewer_events_than} events"


class Target(BaseModel, frozen=True, extra="forbid"):
    """The events that determine the label, and how they are read.

    Only events strictly after the prediction time are read, and those without a time; with `when: any` also earlier
    ones (a diagnosis that explains an image already taken). `read` is the part of an event that is used: its numeric
    `value` (0/1 if binary; a duration in `unit` for time to event), the `category` in its text, its `presence`, or its
    `time`. Classes are patterns: on the text if categories are read, on the code otherwise.
    """

    codes: Patterns = ()
    read: LabelReader = "value"  # default: see `LABEL_READERS`
    pick: Pick = "first"  # among several events; default: see `PICKS`
    when: Literal["after", "any"] = "after"
    positive: Patterns = ()  # categories that mean yes
    negative: Patterns = ()  # categories that mean no, or none of the classes; "*": all others
    above: float | None = None  # a number above this means yes
    below: float | None = None
    classes: Mapping[str, Patterns] = {}
    complete: bool = False  # the source records every such event, so that absence means no
    closed_by: Patterns = ()  # events after which the label is final (discharge, death)
    censored_by: Patterns = ()  # events that end the follow-up, or record its duration
    observed_by: Patterns = ()  # events whose value is 1 if the duration ended in the event, 0 if censored
    since: Literal["anchor", "prediction"] = "prediction"  # start of recorded durations
    unit: Literal["min", "h", "d", "w", "y"] = "d"  # of durations
    rounded_down: bool = False  # recorded durations are whole units: half a unit is added

    @property
    def patterns(self) -> tuple[str, ...]:
        """All patterns of codes that determine the label."""
        return (*self.codes, *self.class_codes, *self.censored_by, *self.observed_by)

    @property
    def class_codes(self) -> tuple[str, ...]:
        """The code patterns of the classes; none if classes are read from the text."""
        return () if self.read == "category" else tuple(p for patterns in self.classes.values() for p in patterns)

    def in_words(self) -> str:
        """Describe the target, such as `the value of OUTCOME//died`."""
        source = in_words((*self.codes, *self.class_codes))
        how = "the presence" if self.read == "presence" else f"the {self.read}"
        bounds = [f"above {self.above:g}"] if self.above is not None else []
        bounds += [f"below {self.below:g}"] if self.below is not None else []
        words = f"{how} of {source}" + (f" ({' or '.join(bounds)})" if bounds else "")
        if self.positive:
            words += f", positive for {in_words(self.positive)}"
        if self.censored_by:
            words += f", censored by {in_words(self.censored_by)}"
        return words + (", at any time" if self.when == "any" else "")
