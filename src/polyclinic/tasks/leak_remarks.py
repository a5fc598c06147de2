"""Remarks on inputs and times of recording that may give the outcome away; what is certain is refused elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import polars as pl

from polyclinic.cohort import BIRTH, Cohort, kind, modality, name
from polyclinic.tasks.code_patterns import in_words, matches
from polyclinic.tasks.prediction_times import PredictionTimes, Record, find_prediction_times
from polyclinic.tasks.target_events import TargetEvents
from polyclinic.tasks.task import Task

LATE_WORDS = frozenset(
    {"autopsy", "death", "deathdate", "deathtime", "deceased", "dead", "died", "dies", "discharge", "discharged"}
    | {"dischtime", "dod", "expire", "expired", "hospice", "los", "mortality", "outcome", "readmission", "readmit"}
    | {"readmitted", "survival", "survived", "survivor"}
)
"""Words in the names of facts that are usually known only at the end of a stay."""
TIMELESS_KINDS = ("DEMOGRAPHIC", "DICOM", BIRTH)
"""Kinds that hold at any time, so that a missing time is no fault."""
NAMED = 5
"""Codes that a remark names."""


def leak_remarks(cohort: Cohort, task: Task) -> tuple[str, ...]:
    """Return what to check before a model of this task is trusted; empty if nothing was found.

    Looked at are outcomes recorded at or before the prediction time or without any time; and, of the inputs known by
    then, those without a time, those named after the end of a stay, and those that repeat the target's words.
    """
    record = Record.of(cohort.events(), task)
    times = find_prediction_times(record, task)
    target_events = TargetEvents.gather(record, times, task)
    return (*_outcomes(target_events), *_inputs(record, times, task))


def _outcomes(target_events: TargetEvents) -> Iterator[str]:
    task, inside = target_events.task, target_events.inside
    if task.prediction.occurrence != "every" and not task.inputs.history_of_target:
        earlier = target_events.all.filter(pl.col("position") == "earlier")["sample"]
        number = inside.filter(pl.col("sample").is_in(earlier.implode()))["sample"].n_unique()
        if number:
            codes = in_words((*task.target.codes, *task.target.class_codes))
            yield (
                f"{number:,} samples with a later outcome have one recorded at or before the prediction time as well: "
                f"leave them out with exclusions: [{{had: {codes}}}], or predict earlier"
            )
    timeless = inside.filter(pl.col("time").is_null())["sample"].n_unique()
    if timeless:
        yield (
            f"the outcome of {timeless:,} samples has no time: it counts as later than the prediction; give its time "
            "in the mapping, so that this can be checked"
        )


def _inputs(record: Record, times: PredictionTimes, task: Task) -> Iterator[str]:
    known = _known_codes(record, times)
    static = [code for code, timeless in known.items() if timeless and kind(code) not in TIMELESS_KINDS]
    if static:
        yield (
            f"without a time, and so known at every prediction time: {_listed(static)}; if they are recorded later, "
            "give their time in the mapping"
        )
    late = [code for code in known if _words(name(code)) & LATE_WORDS]
    if late:
        yield f"by their name known only at the end of a stay: {_listed(late)}; if so, add them to inputs.exclude"
    repeats = _repeating(record, times, task, known)
    if repeats:
        yield f"repeat words of the target: {_listed(repeats)}; if they reveal the outcome, add them to inputs.exclude"


def _known_codes(record: Record, times: PredictionTimes) -> dict[str, bool]:
    """Return the input codes known at a prediction time, sorted, and whether any event of each has no time."""
    last = times.frame.lazy().group_by("subject_id").agg(last=pl.col("prediction_time").max())
    known = (
        record.events.filter(record.is_input)
        .select("subject_id", "time", "code")
        .join(last, on="subject_id")
        .filter(pl.col("time").is_null() | (pl.col("time") <= pl.col("last")))
        .group_by("code")
        .agg(timeless=pl.col("time").is_null().any())
        .collect(engine="streaming")
    )
    return dict(sorted((str(code), timeless) for code, timeless in known.iter_rows()))


def _repeating(record: Record, times: PredictionTimes, task: Task, known: dict[str, bool]) -> list[str]:
    """Return the inputs whose name, or one of whose categories, is that of an outcome or of one of its answers."""
    target = task.target
    outcomes = {_plain(name(code)) for code in record.codes if matches(code, (*target.codes, *target.class_codes))}
    named = [code for code in known if _plain(name(code)) in outcomes]
    answers = (*target.positive, *target.negative, *target.classes)
    answers += () if target.class_codes else tuple(pattern for of in target.classes.values() for pattern in of)
    words = outcomes | {_plain(answer) for answer in answers}
    words -= {"", "yes", "no", "y", "n", "t", "f", "true", "false", "positive", "negative", "present", "absent", "none"}
    structured = [code for code in known if modality(code) == "structured" and code not in named]
    texts = (
        record.events.filter(pl.col("code").is_in(structured) & pl.col("text_value").is_not_null())
        .select("subject_id", "time", "code", "text_value")
        .join(times.frame.lazy().select("subject_id", "prediction_time"), on="subject_id")
        .filter(pl.col("time").is_null() | (pl.col("time") <= pl.col("prediction_time")))
        .select("code", "text_value")
        .unique()
        .collect(engine="streaming")
    )
    pairs = sorted((str(code), text) for code, text in texts.iter_rows() if _plain(text) in words)
    return [*named, *(f"{code} = {text}" for code, text in pairs)]


def _listed(found: Sequence[str]) -> str:
    more = f" and {len(found) - NAMED:,} more" if len(found) > NAMED else ""
    return ", ".join(found[:NAMED]) + more


def _words(text: str) -> set[str]:
    """Return the words of a name: `hospital_expire_flag` has three."""
    return set(re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).lower()))


def _plain(text: str) -> str:
    """Return letters and digits only, in lower case, so that `In-hospital death` is `in_hospital_death`."""
    return re.sub(r"[\W_]+", "", text.casefold())
