"""Subgroups of an evaluation: sex, age, recorded inputs, and chosen codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl

from polyclinic.cohort import BIRTH, NOMINAL_ORIGIN, Cohort
from polyclinic.evaluation import age_bands, modality_sets
from polyclinic.features import Arrays
from polyclinic.features.structured.demographics import AGES, SEX
from polyclinic.study import StudyError

NEAR = timedelta(days=31)
"""Nominal times (hours since admission, days since the first symptom) begin within this of their origin."""


def subgroups(
    cohort: Cohort, frame: pl.DataFrame, arrays: Mapping[str, Arrays], codes: Sequence[str] = ()
) -> dict[str, Sequence[object]]:
    """Return each sample's sex, age band, recorded inputs, and value of each code, by the name of the grouping."""
    names = list(arrays)
    present = np.stack([np.asarray(arrays[name]["present"]) for name in names], axis=1)
    groups: dict[str, Sequence[object]] = {}
    sex = sexes_at(cohort, frame)
    if any(sex):
        groups["sex"] = sex
    ages = ages_at(cohort, frame)
    if any(age is not None for age in ages):
        groups["age"] = age_bands(ages)
    if len(names) > 1:
        groups["recorded inputs"] = modality_sets(present, names)
    return groups | {code: _levels(cohort, frame, code) for code in codes}


def sexes_at(cohort: Cohort, frame: pl.DataFrame) -> list[str | None]:
    """Return the sex known at each prediction time; None where none is recorded."""
    return _latest(cohort, frame, pl.col("code") == SEX)


def ages_at(cohort: Cohort, frame: pl.DataFrame) -> list[float | None]:
    """Return the age in years at each prediction time: the latest recorded, otherwise computed from the date of birth.

    A cohort with nominal times (see `NOMINAL_ORIGIN`) has no dates: only recorded ages are used.
    """
    code = pl.col("code").str.to_lowercase()
    years = pl.col("numeric_value").cast(pl.Float64) * code.replace_strict(AGES, default=None, return_dtype=pl.Float64)
    recorded = _latest(cohort, frame, code.is_in(list(AGES)), years)
    if None not in recorded or _is_nominal(cohort):
        return recorded
    births = cohort.events().filter(pl.col("code") == BIRTH).group_by("subject_id").agg(birth=pl.col("time").min())
    known = frame.lazy().join(births, on="subject_id", how="left", maintain_order="left")
    counted = known.select(_years("birth", "prediction_time")).collect().to_series().to_list()
    return [years if age is None else age for age, years in zip(recorded, counted, strict=True)]


def _years(birth: str, then: str) -> pl.Expr:
    """Return the completed years from one column to the other; null before birth."""
    born, day = (pl.col(name).dt.month().cast(pl.Int32) * 100 + pl.col(name).dt.day() for name in (birth, then))
    years = pl.col(then).dt.year() - pl.col(birth).dt.year() - (day < born)
    return pl.when(pl.col(birth) <= pl.col(then)).then(years.cast(pl.Float64))


def _is_nominal(cohort: Cohort) -> bool:
    """Return whether the median record begins, birth aside, near the nominal origin, so that times are no dates."""
    first = cohort.events().filter(pl.col("code") != BIRTH).group_by("subject_id").agg(pl.col("time").min())
    median = first.select(pl.col("time").median()).collect().item()
    return median is not None and abs(median - NOMINAL_ORIGIN) < NEAR


def _levels(cohort: Cohort, frame: pl.DataFrame, code: str) -> list[str]:
    """Return each sample's latest text of a code, the tertile of its latest number, or "not recorded"."""
    known = cohort.summary().per_code["code"]
    if code not in known:
        raise StudyError(f"no event of the cohort has the code {code!r}: see `polyclinic summary --codes 1000`")
    match = pl.col("code") == code
    numbers = pl.Series(_latest(cohort, frame, match, pl.col("numeric_value")), dtype=pl.Float64())
    if numbers.n_unique() <= MAX_LEVELS:
        return [value or "not recorded" for value in _latest(cohort, frame, match)]
    low, high = (float(numbers.quantile(share) or 0) for share in (1 / 3, 2 / 3))
    bands = (f"up to {low:g}", f"{low:g} to {high:g}", f"above {high:g}")
    return ["not recorded" if v is None else bands[(v > low) + (v > high)] for v in numbers.to_list()]


MAX_LEVELS = 6
"""Distinct numbers of a code beyond which its tertiles are the groups."""
TEXT = pl.coalesce("text_value", pl.col("numeric_value").cast(pl.String), pl.lit("recorded"))
"""The value of an event as text."""


def _latest(cohort: Cohort, frame: pl.DataFrame, match: pl.Expr, value: pl.Expr = TEXT) -> list[Any]:
    """Return the latest value of the events that `match`, known at each prediction time; None where there is none."""
    times = frame.lazy().select("sample", "subject_id", "prediction_time")
    known = (
        cohort.events()
        .filter(match)
        .select("subject_id", "time", value=value)
        .join(times, on="subject_id")
        .filter(pl.col("time").is_null() | (pl.col("time") <= pl.col("prediction_time")))
        .sort("sample", "time", nulls_last=False, maintain_order=True)
        .group_by("sample")
        .agg(pl.col("value").last())
        .collect()
    )
    return frame.select("sample").join(known, on="sample", how="left", maintain_order="left")["value"].to_list()
