"""The groups by which figures are given: sex, age, recorded inputs, and the codes asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl

from polyclinic.cohort import BIRTH, NOMINAL_ORIGIN, Cohort
from polyclinic.evaluation import age_bands, modality_sets
from polyclinic.features import Arrays
from polyclinic.study import StudyError

UNITS = {
    1: ("years", "year", "yr", "y", "a"),
    12: ("months", "month", "mo"),
    365.25 / 7: ("weeks", "week", "wk"),
    365.25: ("days", "day", "d"),
}
"""Of an age, by how many of them are a year."""
AGES = {"demographic//age": 1.0} | {
    f"demographic//age//{unit}": 1 / number for number, units in UNITS.items() for unit in units
}
"""What a number of each code of an age, in small letters, is worth in years."""
NEAR = timedelta(days=31)
"""Times in units such as hours since admission or days since the first symptom begin this near to their origin."""


def subgroups(
    cohort: Cohort, frame: pl.DataFrame, arrays: Mapping[str, Arrays], codes: Sequence[str] = ()
) -> dict[str, Sequence[object]]:
    """Give for each sample its sex, age band, recorded inputs, and the value of each code."""
    names = list(arrays)
    present = np.stack([np.asarray(arrays[name]["present"]) for name in names], axis=1)
    groups: dict[str, Sequence[object]] = {}
    sex = _latest(cohort, frame, pl.col("code") == "DEMOGRAPHIC//sex")
    if any(sex):
        groups["sex"] = sex
    ages = ages_at(cohort, frame)
    if any(age is not None for age in ages):
        groups["age"] = age_bands(ages)
    if len(names) > 1:
        groups["recorded inputs"] = modality_sets(present, names)
    return groups | {code: _levels(cohort, frame, code) for code in codes}


def ages_at(cohort: Cohort, frame: pl.DataFrame) -> list[float | None]:
    """Give the age in years at each prediction time: the latest recorded, otherwise that since the date of birth.

    A record whose times are nominal (see `NOMINAL_ORIGIN`) has no date to count from: its age is what was recorded.
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
    """Count the birthdays from one column to the other; null before birth."""
    born, day = (pl.col(name).dt.month().cast(pl.Int32) * 100 + pl.col(name).dt.day() for name in (birth, then))
    years = pl.col(then).dt.year() - pl.col(birth).dt.year() - (day < born)
    return pl.when(pl.col(birth) <= pl.col(then)).then(years.cast(pl.Float64))


def _is_nominal(cohort: Cohort) -> bool:
    """Tell whether most records begin, birth aside, so near the nominal origin that their times are no dates."""
    first = cohort.events().filter(pl.col("code") != BIRTH).group_by("subject_id").agg(pl.col("time").min())
    middle = first.select(pl.col("time").median()).collect().item()
    return middle is not None and abs(middle - NOMINAL_ORIGIN) < NEAR


def _levels(cohort: Cohort, frame: pl.DataFrame, code: str) -> list[str]:
    """Give each sample's latest text of a code, the third that its latest number lies in, or that there is none."""
    known = cohort.summary().per_code["code"]
    if code not in known:
        raise StudyError(f"no event of the cohort has the code {code!r}: see `polyclinic summary --codes 1000`")
    match = pl.col("code") == code
    numbers = pl.Series(_latest(cohort, frame, match, pl.col("numeric_value")), dtype=pl.Float64())
    if numbers.n_unique() <= MOST_LEVELS:
        return [value or "not recorded" for value in _latest(cohort, frame, match)]
    low, high = (float(numbers.quantile(share) or 0) for share in (1 / 3, 2 / 3))
    bands = (f"up to {low:g}", f"{low:g} to {high:g}", f"above {high:g}")
    return ["not recorded" if v is None else bands[(v > low) + (v > high)] for v in numbers.to_list()]


MOST_LEVELS = 6
"""Distinct numbers of a code beyond which its thirds are the groups."""
TEXT = pl.coalesce("text_value", pl.col("numeric_value").cast(pl.String), pl.lit("recorded"))
"""What an event says, as text."""


def _latest(cohort: Cohort, frame: pl.DataFrame, match: pl.Expr, value: pl.Expr = TEXT) -> list[Any]:
    """Give the latest value of the events that `match`, known at each prediction time; None where there is none."""
    asked = frame.lazy().select("sample", "subject_id", "prediction_time")
    known = (
        cohort.events()
        .filter(match)
        .select("subject_id", "time", value=value)
        .join(asked, on="subject_id")
        .filter(pl.col("time").is_null() | (pl.col("time") <= pl.col("prediction_time")))
        .sort("sample", "time", nulls_last=False, maintain_order=True)
        .group_by("sample")
        .agg(pl.col("value").last())
        .collect()
    )
    return frame.select("sample").join(known, on="sample", how="left", maintain_order="left")["value"].to_list()
