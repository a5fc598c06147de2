"""The smallest change of one measurement that would change the call (after Wachter 2018, arXiv 1711.00399).

For each code whose value can change, the latest value is moved within the central 98 % of training measurements, the
structured and series features are recomputed, and the bundle predicts again. A counterfactual describes the model's
prediction for another patient, not the effect of an intervention on this one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Float

from polyclinic.cohort import Cohort, kind, modality
from polyclinic.explain.inputs.baseline import development_samples
from polyclinic.explain.sample import ExplanationError, Output, Sample, output_of
from polyclinic.features import Arrays, SeriesFeaturizer, StructuredFeaturizer
from polyclinic.features.feature_set import FeatureSet
from polyclinic.features.known_record import known_record
from polyclinic.features.measurements import measure
from polyclinic.features.series.featurizer import NOT_SERIES
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.models.ensemble.ensemble import Ensemble

LOW, HIGH = 0.01, 0.99
"""Quantiles of the training measurements that bound plausible values."""
TRIES = (1 / 4, 1 / 2, 3 / 4, 1.0)
"""Fractions of the distance to either end of the range that are tried first."""
HALVINGS = 6
"""Number of bisections of the interval in which the call changes."""


class PlausibleRange(NamedTuple):
    """The plausible range of a code, from training measurements."""

    low: float  # quantile 1 %
    high: float  # quantile 99 %
    spread: float  # standard deviation within that range, the unit of a change's size
    measurements: int


@dataclass(frozen=True)
class Counterfactual:
    """One measurement, and the value that would change the call."""

    output: Output
    code: str
    hours: float  # before the prediction time; NaN if static
    recorded: float
    changed: float
    size: float  # of the change, in standard deviations of the code's training measurements
    answer: float  # with the recorded value
    changed_answer: float
    threshold: float  # answers at or above it are positive


def plausible_ranges(bundle: Bundle, cohort: Cohort) -> dict[str, PlausibleRange]:
    """Return the plausible range of each code whose value can change, from the development subjects.

    Excludes demographics, descriptions of images, and codes without variation.

    Raises:
        ExplanationError: the cohort is not the training cohort.
    """
    codes = changeable_codes(bundle.features)
    frame = development_samples(bundle.tasks, bundle.origin, cohort)
    events = measure(known_record(cohort.events(), frame, bundle.tasks), frame, codes)
    found = {}
    for place, of_code in events.by_code():
        values = events.value[of_code]
        low, high = (float(end) for end in np.quantile(values, [LOW, HIGH]))
        spread = float(np.clip(values, low, high).std())
        if high > low and spread > 0:
            found[codes[place]] = PlausibleRange(low, high, spread, len(values))
    return found


def changeable_codes(features: FeatureSet) -> list[str]:
    """Return the numeric codes that the features read and that may change within a patient, sorted."""
    structured, series = (features.featurizers.get(name) for name in ("structured", "series"))
    codes = set(structured.layout.limits) if isinstance(structured, StructuredFeaturizer) else set()
    codes |= set(series.codes) if isinstance(series, SeriesFeaturizer) else set()
    return sorted(code for code in codes if kind(code) not in NOT_SERIES)


def counterfactuals(
    bundle: Bundle,
    sample: Sample,
    task: str,
    ranges: Mapping[str, PlausibleRange],
    output: str | None = None,
    codes: Collection[str] | None = None,
) -> tuple[Counterfactual, ...]:
    """Find the smallest change of each code that alone changes the call, smallest first.

    Empty if no single plausible change does. `ranges` are those of `plausible_ranges`, possibly narrowed; if `codes` is
    given, only those are changed.

    Raises:
        BundleError: the bundle does not answer the task.
        ExplanationError: the task has no such output or no threshold, or the sample has no input at all.
    """
    target = output_of(bundle, task, output)
    thresholds = bundle.ensemble.tasks[task].thresholds
    if target.place >= len(thresholds):
        raise ExplanationError(f"{task} has no operating threshold that an answer could cross: choose a yes-or-no task")
    sample.require_input()
    search = _Search(bundle.ensemble, sample, target, float(thresholds[target.place]))
    wanted = {code: one for code, one in ranges.items() if codes is None or code in codes}
    return tuple(sorted(search.smallest(wanted), key=lambda one: (one.size, one.code)))


class _Latest(NamedTuple):
    """The latest value of a code, and its row in the record."""

    row: int
    hours: float
    value: float


class _Direction(NamedTuple):
    """From the recorded value to one end of the range."""

    code: str
    latest: _Latest
    end: float

    def at(self, share: float) -> float:
        return self.latest.value + share * (self.end - self.latest.value)


class _Search:
    """Predict one sample with one value changed."""

    def __init__(self, ensemble: Ensemble, sample: Sample, output: Output, threshold: float) -> None:
        self.ensemble, self.sample, self.output, self.threshold = ensemble, sample, output, threshold
        numbers = [code for code in sample.known["code"].unique().cast(pl.String) if modality(code) == "structured"]
        self.known = sample.known.filter(pl.col("code").cast(pl.String).is_in(numbers))
        self.answer = float(ensemble.answer(sample.arrays)[output.task].answers[0, output.place])
        self.positive = self.answer >= threshold

    def smallest(self, ranges: Mapping[str, PlausibleRange]) -> list[Counterfactual]:
        """Try both directions of each code, then bisect the interval in which the call first changes."""
        directions = self._directions(ranges)
        tried = self._answers([(direction, share) for direction in directions for share in TRIES]).reshape(
            len(directions), len(TRIES)
        )
        turned = (tried >= self.threshold) != self.positive
        crossing = [k for k in range(len(directions)) if turned[k].any()]
        high = np.array([TRIES[int(turned[k].argmax())] for k in crossing])
        low = np.array([(0.0, *TRIES)[int(turned[k].argmax())] for k in crossing])
        answers = np.array([tried[k, int(turned[k].argmax())] for k in crossing])
        for _ in range(HALVINGS if crossing else 0):
            middle = (low + high) / 2
            found = self._answers([(directions[k], share) for k, share in zip(crossing, middle.tolist(), strict=True)])
            changed = (found >= self.threshold) != self.positive
            high, low = np.where(changed, middle, high), np.where(changed, low, middle)
            answers = np.where(changed, found, answers)
        best: dict[str, Counterfactual] = {}
        for k, share, answer in zip(crossing, high.tolist(), answers.tolist(), strict=True):
            candidate = self._counterfactual(directions[k], share, answer, ranges[directions[k].code])
            if candidate.code not in best or candidate.size < best[candidate.code].size:
                best[candidate.code] = candidate
        return list(best.values())

    def _counterfactual(
        self, direction: _Direction, share: float, answer: float, range_: PlausibleRange
    ) -> Counterfactual:
        changed = float(np.float32(direction.at(share)))
        return Counterfactual(
            output=self.output,
            code=direction.code,
            hours=direction.latest.hours,
            recorded=direction.latest.value,
            changed=changed,
            size=abs(changed - direction.latest.value) / range_.spread,
            answer=self.answer,
            changed_answer=answer,
            threshold=self.threshold,
        )

    def _directions(self, ranges: Mapping[str, PlausibleRange]) -> list[_Direction]:
        latest = self._latest(list(ranges))
        return [
            _Direction(code, latest[code], end)
            for code, one in ranges.items()
            if code in latest
            for end in (one.low, one.high)
            if (end < latest[code].value) == (end == one.low) and end != latest[code].value
        ]

    def _latest(self, codes: Sequence[str]) -> dict[str, _Latest]:
        """Find the latest value of each code, in the order of `measure`: at equal times the highest."""
        numbered = (
            self.known.with_row_index("row")
            .filter(pl.col("code").cast(pl.String).is_in(list(codes)) & pl.col("numeric_value").is_finite())
            .sort("time", "numeric_value", nulls_last=False, maintain_order=True)
            .group_by("code", maintain_order=True)
            .last()
        )
        at = self.sample.prediction_time
        return {
            row["code"]: _Latest(
                row["row"],
                np.nan if row["time"] is None else (at - row["time"]).total_seconds() / 3600,
                float(row["numeric_value"]),
            )
            for row in numbered.select("row", "code", "time", "numeric_value").iter_rows(named=True)
        }

    def _answers(self, changes: Sequence[tuple[_Direction, float]]) -> Float[np.ndarray, " change"]:
        """Predict the sample with each of some changes."""
        if not changes:
            return np.zeros(0)
        count, length = len(changes), self.known.height
        values = np.tile(self.known["numeric_value"].to_numpy().astype(np.float32), (count, 1))
        for place, (direction, share) in enumerate(changes):
            values[place, direction.latest.row] = direction.at(share)
        number = pl.Series(np.repeat(np.arange(count, dtype=np.uint32), length))
        known = pl.concat([self.known] * count).with_columns(
            sample=number, numeric_value=pl.Series(values.ravel()).fill_nan(None)
        )
        frame = pl.concat([self.sample.frame] * count).with_columns(sample=pl.Series(np.arange(count, dtype=np.uint32)))
        predicted = self.ensemble.answer(self._arrays(known, frame))[self.output.task].answers
        answers: np.ndarray = predicted[:, self.output.place]
        return answers

    def _arrays(self, known: pl.DataFrame, frame: pl.DataFrame) -> dict[str, Arrays]:
        """Recompute the numeric features, and repeat the others."""
        arrays: dict[str, Arrays] = {}
        for name, one in self.sample.arrays.items():
            if name in ("structured", "series"):
                arrays[name] = self.sample.features.featurizers[name].transform(known, frame, True)
                arrays[name] = arrays[name] | {"present": arrays[name]["present"] & bool(one["present"][0])}
            else:
                arrays[name] = {key: array[np.zeros(frame.height, dtype=np.int64)] for key, array in one.items()}
        return arrays
