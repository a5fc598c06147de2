"""How the events of a target answer each kind of question; an answer that is not there stays missing."""

import math
from collections.abc import Callable, Iterable, Mapping

import polars as pl

from polyclinic.tasks.code_patterns import matches
from polyclinic.tasks.definition import Kind, LabelReader, Target
from polyclinic.tasks.durations import UNITS
from polyclinic.tasks.target_events import Evidence, horizon_end
from polyclinic.tasks.validation import CLASS_SEPARATOR


def read_answers(evidence: Evidence) -> pl.DataFrame:
    """Give `sample` and the columns of MEDS' label schema for this kind of task; only samples with an answer."""
    target = evidence.task.target
    return _READERS[evidence.task.kind, target.read](evidence, target).drop_nulls()


def _binary_value(evidence: Evidence, target: Target) -> pl.DataFrame:
    return _picked(evidence.having(target.codes), _yes_or_no(target), target).rename({"answer": "boolean_value"})


def _binary_category(evidence: Evidence, target: Target) -> pl.DataFrame:
    events = evidence.having(target.codes)
    texts = events["text_value"].unique().drop_nulls().to_list()
    yes = [text for text in texts if _means(text, target.positive)]
    no = [text for text in texts if text not in yes and (not target.negative or _means(text, target.negative))]
    answer = pl.when(pl.col("text_value").is_in(yes)).then(True).when(pl.col("text_value").is_in(no)).then(False)
    return _picked(events, answer, target).rename({"answer": "boolean_value"})


def _binary_presence(evidence: Evidence, target: Target) -> pl.DataFrame:
    return _present(evidence, target.codes).rename({"answer": "boolean_value"})


def _multiclass_category(evidence: Evidence, target: Target) -> pl.DataFrame:
    events = evidence.having(target.codes)
    texts = events["text_value"].unique().drop_nulls().to_list()
    classes = {text: name for text in texts if (name := _class_of(text, target.classes, _means))}
    answer = pl.col("text_value").replace_strict(classes, default=None, return_dtype=pl.String)
    return _picked(events, answer, target).rename({"answer": "categorical_value"})


def _multiclass_presence(evidence: Evidence, target: Target) -> pl.DataFrame:
    events = evidence.having((*target.codes, *target.class_codes))
    codes = {code: name for code in evidence.record.codes if (name := _class_of(code, target.classes, matches))}
    answer = pl.col("code").replace_strict(codes, default=None, return_dtype=pl.String)
    return _picked(events, answer, target).rename({"answer": "categorical_value"})


def _multilabel_category(evidence: Evidence, target: Target) -> pl.DataFrame:
    events = evidence.having(target.codes).drop_nulls("text_value")
    texts = events["text_value"].unique().to_list()
    hits = {name: [text for text in texts if _means(text, patterns)] for name, patterns in target.classes.items()}
    every = [pl.col("text_value").is_in(chosen).any().alias(name) for name, chosen in hits.items()]
    return _named(events.group_by("sample").agg(every), target)


def _multilabel_value(evidence: Evidence, target: Target) -> pl.DataFrame:
    return _every_class(target, lambda codes: _picked(evidence.having(codes), _yes_or_no(target), target))


def _multilabel_presence(evidence: Evidence, target: Target) -> pl.DataFrame:
    return _every_class(target, lambda codes: _present(evidence, codes))


def _regression_value(evidence: Evidence, target: Target) -> pl.DataFrame:
    value = pl.when(pl.col("numeric_value").is_finite()).then(pl.col("numeric_value"))
    return _picked(evidence.having(target.codes), value, target).rename({"answer": "float_value"})


def _time_to_event_time(evidence: Evidence, target: Target) -> pl.DataFrame:
    """Take the first event's own time; without one, the follow-up ends with the last thing recorded, or the horizon."""
    happened = evidence.having(target.codes).drop_nulls("time").group_by("sample").agg(happened=pl.col("time").min())
    later = evidence.found.filter(pl.col("place") == "later").group_by("sample").agg(later=pl.col("time").max())
    ends = evidence.last_seen.join(happened, on="sample", how="left").join(later, on="sample", how="left")
    if target.censored_by:
        censored = evidence.having(target.censored_by).group_by("sample").agg(last_seen=pl.col("time").max())
        ends = ends.drop("last_seen").join(censored, on="sample", how="left")
    followed = pl.min_horizontal(pl.max_horizontal("last_seen", "later"), horizon_end(evidence.task))
    duration = (pl.coalesce("happened", followed) - pl.col("prediction_time")) / UNITS[target.unit]
    return ends.select("sample", boolean_value=pl.col("happened").is_not_null(), float_value=_positive(duration))


def _time_to_event_value(evidence: Evidence, target: Target) -> pl.DataFrame:
    """Take recorded durations: of the event, else of the follow-up without it."""
    lasted = _first_number(evidence, target.codes, "lasted")
    if target.observed_by:
        observed = _first_number(evidence, target.observed_by, "observed")
        ends = lasted.join(observed, on="sample").with_columns(happened=_as_boolean(pl.col("observed")))
    else:
        censored = _first_number(evidence, target.censored_by, "censored")
        ends = lasted.join(censored, on="sample", how="full", coalesce=True).with_columns(
            happened=pl.col("lasted").is_not_null(), lasted=pl.coalesce("lasted", "censored")
        )
    unit = UNITS[target.unit]
    duration = pl.col("lasted") + (0.5 if target.rounded_down else 0)
    if target.since == "anchor":
        duration -= (pl.col("prediction_time") - pl.col("anchor")) / unit
    ends = ends.join(evidence.asked, on="sample").with_columns(duration=duration)
    horizon = math.inf if evidence.task.horizon is None else evidence.task.horizon / unit
    beyond = (pl.col("duration") > horizon).fill_null(False)
    return ends.select(
        "sample",
        boolean_value=pl.col("happened") & ~beyond,
        float_value=_positive(pl.when(beyond).then(horizon).otherwise(pl.col("duration"))),
    )


def _picked(events: pl.DataFrame, answer: pl.Expr, target: Target) -> pl.DataFrame:
    """Give `sample` and `answer`: of the usable answers of each sample, the one the target picks."""
    usable = events.select("sample", answer=answer).drop_nulls()
    answers = pl.col("answer")
    picks = {
        "first": answers.first(),
        "last": answers.last(),
        "any": answers.max(),
        "all": answers.min(),
        "minimum": answers.min(),
        "maximum": answers.max(),
        "mean": answers.mean(),
    }
    return usable.group_by("sample", maintain_order=True).agg(picks[target.pick])


def _present(evidence: Evidence, patterns: Iterable[str]) -> pl.DataFrame:
    """Give `sample` and whether such an event was recorded, for the samples where absence is known too."""
    yes = evidence.having(patterns)["sample"].unique()
    no = evidence.without_event.filter(~evidence.without_event.is_in(yes.to_list()))
    return pl.DataFrame({"sample": pl.concat([yes, no])}).with_columns(answer=pl.col("sample").is_in(yes.to_list()))


def _every_class(target: Target, read: Callable[[Iterable[str]], pl.DataFrame]) -> pl.DataFrame:
    """Read each class from its own codes; a sample is answered when every class is."""
    together: pl.DataFrame | None = None
    for name, patterns in target.classes.items():
        answer = read(patterns).rename({"answer": name})
        together = answer if together is None else together.join(answer, on="sample")
    assert together is not None  # a multilabel target has classes
    return _named(together, target)


def _named(answers: pl.DataFrame, target: Target) -> pl.DataFrame:
    """Write the classes that hold into one text."""
    held = [pl.when(pl.col(name)).then(pl.lit(name)) for name in target.classes]
    return answers.select("sample", categorical_value=pl.concat_str(held, separator=CLASS_SEPARATOR, ignore_nulls=True))


def _yes_or_no(target: Target) -> pl.Expr:
    """Read a number as an answer: beyond the target's bounds, or else 1 for yes and 0 for no."""
    number = pl.col("numeric_value")
    if target.above is None and target.below is None:
        return _as_boolean(number)
    above = number > target.above if target.above is not None else pl.lit(False)
    below = number < target.below if target.below is not None else pl.lit(False)
    return pl.when(number.is_not_nan()).then(above | below)


def _as_boolean(number: pl.Expr) -> pl.Expr:
    return pl.when(number == 1).then(True).when(number == 0).then(False)


def _first_number(evidence: Evidence, patterns: Iterable[str], name: str) -> pl.DataFrame:
    finite = evidence.having(patterns).filter(pl.col("numeric_value").is_finite())
    return finite.group_by("sample", maintain_order=True).agg(
        pl.col("numeric_value").first().cast(pl.Float64).alias(name)
    )


def _positive(duration: pl.Expr) -> pl.Expr:
    return pl.when(duration > 0).then(duration)


def _means(text: str, patterns: Iterable[str]) -> bool:
    """Match categories without regard to case."""
    return matches(text.casefold(), (pattern.casefold() for pattern in patterns))


def _class_of(
    text: str, classes: Mapping[str, tuple[str, ...]], test: Callable[[str, Iterable[str]], bool]
) -> str | None:
    return next((name for name, patterns in classes.items() if test(text, patterns)), None)


_READERS: Mapping[tuple[Kind, LabelReader], Callable[[Evidence, Target], pl.DataFrame]] = {
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
