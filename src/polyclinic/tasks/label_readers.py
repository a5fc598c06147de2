"""Labels from the events of a target, for each kind of task; missing labels stay missing."""

import math
from collections.abc import Callable, Iterable, Mapping

import polars as pl

from polyclinic.tasks.categories import YES, answers_of, category
from polyclinic.tasks.code_patterns import matches
from polyclinic.tasks.definition import Kind, LabelReader, Target
from polyclinic.tasks.durations import UNITS
from polyclinic.tasks.target_events import TargetEvents, horizon_end
from polyclinic.tasks.validation import CLASS_SEPARATOR

_LIMITS = ("<", "<=", ">", ">=")  # texts of numbers that are limits of a value


def read_labels(target_events: TargetEvents) -> pl.DataFrame:
    """Return `sample` and the columns of MEDS' label schema for this kind of task; labelled samples only."""
    target = target_events.task.target
    return _READERS[target_events.task.kind, target.read](target_events, target).drop_nulls()


def _binary_value(target_events: TargetEvents, target: Target) -> pl.DataFrame:
    return _picked(target_events.having(target.codes), _yes_or_no(target), target).rename({"label": "boolean_value"})


def _binary_category(target_events: TargetEvents, target: Target) -> pl.DataFrame:
    events = target_events.having(target.codes).with_columns(text_value=category())
    texts = events["text_value"].unique().drop_nulls().to_list()
    answers = {text: answer == (YES,) for text, answer in answers_of(texts, "binary", target).items()}
    label = pl.col("text_value").replace_strict(answers, default=None, return_dtype=pl.Boolean)
    return _picked(events, label, target).rename({"label": "boolean_value"})


def _binary_presence(target_events: TargetEvents, target: Target) -> pl.DataFrame:
    return _present(target_events, target.codes).rename({"label": "boolean_value"})


def _multiclass_category(target_events: TargetEvents, target: Target) -> pl.DataFrame:
    events = target_events.having(target.codes).with_columns(text_value=category())
    texts = events["text_value"].unique().drop_nulls().to_list()
    classes = {text: answer[0] for text, answer in answers_of(texts, "multiclass", target).items()}
    label = pl.col("text_value").replace_strict(classes, default=None, return_dtype=pl.String)
    return _picked(events, label, target).rename({"label": "categorical_value"})


def _multiclass_presence(target_events: TargetEvents, target: Target) -> pl.DataFrame:
    events = target_events.having((*target.codes, *target.class_codes))
    codes = {code: name for code in target_events.record.codes if (name := _class_of(code, target.classes))}
    label = pl.col("code").replace_strict(codes, default=None, return_dtype=pl.String)
    return _picked(events, label, target).rename({"label": "categorical_value"})


def _multilabel_category(target_events: TargetEvents, target: Target) -> pl.DataFrame:
    """Read the classes from all texts of a sample; one that is neither a class nor `negative` may hide a class."""
    events = target_events.having(target.codes).with_columns(text_value=category()).drop_nulls("text_value")
    answers = answers_of(events["text_value"].unique(), "multilabel", target)
    text = pl.col("text_value")
    hits = {name: [found for found, answer in answers.items() if name in answer] for name in target.classes}
    every = [text.is_in(chosen).any().alias(name) for name, chosen in hits.items()]
    grouped = events.group_by("sample").agg(*every, is_read=text.is_in(list(answers)).all())
    return _named(grouped.filter("is_read"), target)


def _multilabel_value(target_events: TargetEvents, target: Target) -> pl.DataFrame:
    return _every_class(target, lambda codes: _picked(target_events.having(codes), _yes_or_no(target), target))


def _multilabel_presence(target_events: TargetEvents, target: Target) -> pl.DataFrame:
    return _every_class(target, lambda codes: _present(target_events, codes))


def _regression_value(target_events: TargetEvents, target: Target) -> pl.DataFrame:
    known = pl.col("numeric_value").is_finite() & ~_is_limit()
    value = pl.when(known).then(pl.col("numeric_value"))
    return _picked(target_events.having(target.codes), value, target).rename({"label": "float_value"})


def _time_to_event_time(target_events: TargetEvents, target: Target) -> pl.DataFrame:
    """Use the time of the first event; otherwise the follow-up ends with the last recorded event, or the horizon."""
    happened = (
        target_events.having(target.codes).drop_nulls("time").group_by("sample").agg(happened=pl.col("time").min())
    )
    later = target_events.all.filter(pl.col("position") == "later").group_by("sample").agg(later=pl.col("time").max())
    ends = target_events.last_recorded.join(happened, on="sample", how="left").join(later, on="sample", how="left")
    if target.censored_by:
        censored = target_events.having(target.censored_by).group_by("sample").agg(last_recorded=pl.col("time").max())
        ends = ends.drop("last_recorded").join(censored, on="sample", how="left")
    followed = pl.min_horizontal(pl.max_horizontal("last_recorded", "later"), horizon_end(target_events.task))
    duration = (pl.coalesce("happened", followed) - pl.col("prediction_time")) / UNITS[target.unit]
    return ends.select("sample", boolean_value=pl.col("happened").is_not_null(), float_value=_positive(duration))


def _time_to_event_value(target_events: TargetEvents, target: Target) -> pl.DataFrame:
    """Use recorded durations: to the event, or else of the follow-up."""
    recorded = _first_number(target_events, target.codes, "recorded")
    if target.observed_by:
        observed = _first_number(target_events, target.observed_by, "observed")
        ends = recorded.join(observed, on="sample").with_columns(happened=_as_boolean(pl.col("observed")))
    else:
        censored = _first_number(target_events, target.censored_by, "censored")
        ends = recorded.join(censored, on="sample", how="full", coalesce=True).with_columns(
            happened=pl.col("recorded").is_not_null(), recorded=pl.coalesce("recorded", "censored")
        )
    unit = UNITS[target.unit]
    duration = pl.col("recorded") + (0.5 if target.rounded_down else 0)
    if target.since == "anchor":
        duration -= (pl.col("prediction_time") - pl.col("anchor")) / unit
    ends = ends.join(target_events.samples, on="sample").with_columns(duration=duration)
    horizon = math.inf if target_events.task.horizon is None else target_events.task.horizon / unit
    beyond = (pl.col("duration") > horizon).fill_null(False)
    return ends.select(
        "sample",
        boolean_value=pl.col("happened") & ~beyond,
        float_value=_positive(pl.when(beyond).then(horizon).otherwise(pl.col("duration"))),
    )


def _picked(events: pl.DataFrame, label: pl.Expr, target: Target) -> pl.DataFrame:
    """Return `sample` and `label`: the usable label of each sample chosen by the target's `pick`."""
    usable = events.select("sample", label=label).drop_nulls()
    labels = pl.col("label")
    picks = {
        "first": labels.first(),
        "last": labels.last(),
        "any": labels.max(),
        "all": labels.min(),
        "minimum": labels.min(),
        "maximum": labels.max(),
        "mean": labels.mean(),
    }
    return usable.group_by("sample", maintain_order=True).agg(picks[target.pick])


def _present(target_events: TargetEvents, patterns: Iterable[str]) -> pl.DataFrame:
    """Return `sample` and whether such an event is recorded, for samples in which that is known."""
    yes = target_events.having(patterns)["sample"].unique()
    no = target_events.without_event.filter(~target_events.without_event.is_in(yes.to_list()))
    return pl.DataFrame({"sample": pl.concat([yes, no])}).with_columns(label=pl.col("sample").is_in(yes.to_list()))


def _every_class(target: Target, read: Callable[[Iterable[str]], pl.DataFrame]) -> pl.DataFrame:
    """Read each class from its own codes; a sample is labelled only if every class is."""
    joined: pl.DataFrame | None = None
    for name, patterns in target.classes.items():
        label = read(patterns).rename({"label": name})
        joined = label if joined is None else joined.join(label, on="sample")
    assert joined is not None  # a multilabel target has classes
    return _named(joined, target)


def _named(labels: pl.DataFrame, target: Target) -> pl.DataFrame:
    """Join the positive classes into one text."""
    positive = [pl.when(pl.col(name)).then(pl.lit(name)) for name in target.classes]
    return labels.select(
        "sample", categorical_value=pl.concat_str(positive, separator=CLASS_SEPARATOR, ignore_nulls=True)
    )


def _yes_or_no(target: Target) -> pl.Expr:
    """Convert a number to a Boolean: whether it is beyond the target's bounds, or else 1 for yes and 0 for no.

    A value of which only a limit is known (`<5`) is an answer if the limit decides it, and otherwise unknown.
    """
    number = pl.col("numeric_value")
    if target.above is None and target.below is None:
        return pl.when(~_is_limit()).then(_as_boolean(number))
    above = _beyond(number, target.above, (">", ">="), ("<", "<="))
    below = _beyond(-number, None if target.below is None else -target.below, ("<", "<="), (">", ">="))
    return pl.when(number.is_not_nan()).then(above | below)


def _beyond(number: pl.Expr, bound: float | None, more: tuple[str, str], less: tuple[str, str]) -> pl.Expr:
    """Return whether a number is above a bound; null if only a limit is known that does not decide it.

    `more` and `less` are the signs of values above and below the limit; the first of them excludes the limit.
    """
    if bound is None:
        return pl.lit(False)
    sign = pl.col("text_value").fill_null("")
    from_limit_up = (number > bound) | ((number == bound) & (sign == more[0]))
    return (
        pl.when(sign.is_in(more))
        .then(pl.when(from_limit_up).then(True))
        .when(sign.is_in(less) & (number > bound))
        .then(None)
        .otherwise(number > bound)
    )


def _is_limit() -> pl.Expr:
    """Return whether a number is only the limit of a value; the text of an event with a number is then its sign."""
    return pl.col("text_value").is_in(_LIMITS).fill_null(False)


def _as_boolean(number: pl.Expr) -> pl.Expr:
    return pl.when(number == 1).then(True).when(number == 0).then(False)


def _first_number(target_events: TargetEvents, patterns: Iterable[str], name: str) -> pl.DataFrame:
    finite = target_events.having(patterns).filter(pl.col("numeric_value").is_finite())
    return finite.group_by("sample", maintain_order=True).agg(
        pl.col("numeric_value").first().cast(pl.Float64).alias(name)
    )


def _positive(duration: pl.Expr) -> pl.Expr:
    return pl.when(duration > 0).then(duration)


def _class_of(code: str, classes: Mapping[str, tuple[str, ...]]) -> str | None:
    return next((name for name, patterns in classes.items() if matches(code, patterns)), None)


_READERS: Mapping[tuple[Kind, LabelReader], Callable[[TargetEvents, Target], pl.DataFrame]] = {
    ("binary", "value"): _binary_value,
    ("binary", "category"): _binary_category,
    ("binary", "presence"): _binary_presence,
    ("multiclass", "category"): _multiclass_category,
    ("multiclass", "presence"): _multiclass_presence,
    ("multilabel", "category"): _multilabel_category,
    ("multilabel", "value"): _multilabel_value,
    ("multilabel", "presence"): _multilabel_presence,
    ("regression", "value"): _regression_value,
    ("time_to_event", "time"): _time_to_event_time,
    ("time_to_event", "value"): _time_to_event_value,
}
