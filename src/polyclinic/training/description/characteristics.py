"""What samples have at their prediction time: age, sex, the most frequent numbers and categories, recorded codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from polyclinic.cohort import modality
from polyclinic.evaluation.report.baseline import Baseline, Characteristics, baseline, outcome_masks
from polyclinic.evaluation.small_counts import FEWEST
from polyclinic.features.feature_set import FeatureSet
from polyclinic.tasks import Targets, Task

MOST_NUMBERS = 10
MOST_TEXTS = 5
MOST_DISTINCT = 20
"""Distinct texts beyond which a code is no category."""
AGE, SEX = "age", "sex"
SHOWN_ALREADY = ("demographic//age", "demographic//sex")
"""Beginnings of codes, in lower case, that age and sex are taken from."""


@dataclass(frozen=True)
class Recorded:
    """The samples' characteristics, and the share of them that has each code."""

    values: Characteristics
    shares: dict[str, float | None]  # None: fewer than 5 samples

    def baseline(self, task: Task, target: Targets, like: Baseline | None = None) -> Baseline:
        """Describe the samples of a task, with the levels of another baseline if there is one."""
        masks = outcome_masks(task.kind, target.values, target.observed, task.classes)
        return baseline(self.values, masks, like.levels if like else None, task.kind != "multilabel")


def recorded(
    known: pl.DataFrame,
    frame: pl.DataFrame,
    ages: Sequence[float | None],
    sexes: Sequence[str | None],
    features: FeatureSet,
    like: Baseline | None = None,
) -> Recorded:
    """Gather what the samples in `frame` have, of their record `known`.

    `features` determine which codes are read; `like` is a baseline whose characteristics to use.
    """
    read = sorted({*features.codes_read, *_unstructured(known, features)})
    counted = dict(
        known.lazy()
        .select("sample", code=pl.col("code").cast(pl.String))
        .filter(pl.col("code").is_in(read))
        .group_by("code")
        .agg(pl.col("sample").n_unique())
        .collect()
        .iter_rows()
    )
    shares = {code: _share(counted.get(code, 0), frame.height) for code in read}
    numbers, texts = _chosen(known, like)
    age = np.array([np.nan if years is None else float(years) for years in ages], dtype=float)
    return Recorded(
        Characteristics(
            subjects=frame["subject_id"].to_numpy(),
            numbers=({AGE: age} if np.isfinite(age).any() else {})
            | {code: _latest_numbers(known, frame, code) for code in numbers},
            texts=({SEX: list(sexes)} if any(sexes) else {})
            | {code: _latest_texts(known, frame, code) for code in texts},
        ),
        shares,
    )


def _unstructured(known: pl.DataFrame, features: FeatureSet) -> list[str]:
    """Return the codes of the notes, images and waveforms that are inputs, which features do not list."""
    inputs = {name for name, featurizer in features.featurizers.items() if not featurizer.codes_read}
    return [code for code in known["code"].cast(pl.String).unique().to_list() if modality(code) in inputs]


def _share(samples: int, total: int) -> float | None:
    return samples / total if samples >= FEWEST or not samples else None


def _chosen(known: pl.DataFrame, like: Baseline | None) -> tuple[list[str], list[str]]:
    """Return the codes of numbers and of categories to describe."""
    if like is not None:
        named = [variable for variable in like.variables if variable.name not in (AGE, SEX)]
        return [own.name for own in named if not own.levels], [own.name for own in named if own.levels]
    counted = (
        known.lazy()
        .with_columns(code=pl.col("code").cast(pl.String))
        .filter(~pl.any_horizontal(*(pl.col("code").str.to_lowercase().str.starts_with(own) for own in SHOWN_ALREADY)))
        .group_by("code")
        .agg(
            numbers=pl.col("sample").filter(pl.col("numeric_value").is_finite()).n_unique(),
            texts=pl.col("sample").filter(_is_text()).n_unique(),
            distinct=pl.col("text_value").filter(_is_text()).n_unique(),
        )
        .collect()
    )
    numbers = counted.filter(pl.col("numbers") >= FEWEST).sort("numbers", "code", descending=[True, False])
    categories = counted.filter((pl.col("texts") >= FEWEST) & (pl.col("distinct") <= MOST_DISTINCT))
    texts = categories.sort("texts", "code", descending=[True, False])["code"].to_list()
    structured = [code for code in texts if modality(code) == "structured"]
    return numbers["code"].head(MOST_NUMBERS).to_list(), structured[:MOST_TEXTS]


def _is_text() -> pl.Expr:
    return pl.col("text_value").is_not_null() & pl.col("numeric_value").is_null()


def _latest_numbers(known: pl.DataFrame, frame: pl.DataFrame, code: str) -> np.ndarray:
    rows = known.filter((pl.col("code") == code) & pl.col("numeric_value").is_finite())
    values = _latest(rows, frame, "numeric_value").cast(pl.Float64)
    return values.fill_null(float("nan")).to_numpy()


def _latest_texts(known: pl.DataFrame, frame: pl.DataFrame, code: str) -> list[str | None]:
    rows = known.filter((pl.col("code") == code) & _is_text())
    return _latest(rows, frame, "text_value").cast(pl.String).to_list()


def _latest(rows: pl.DataFrame, frame: pl.DataFrame, column: str) -> pl.Series:
    """Return each sample's latest value; the record is sorted by time."""
    last = rows.group_by("sample", maintain_order=True).agg(pl.col(column).last())
    return frame.select("sample").join(last, on="sample", how="left", maintain_order="left")[column]
