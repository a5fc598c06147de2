"""The smallest change of one measurement that would change the call (after Wachter 2018, arXiv 1711.00399).

For each code whose value can change, the latest value is replaced by values that the code took in the central 98 % of
training measurements, the structured and series features are recomputed, and the bundle predicts again: integers stay
integers, and scores and categories keep the values that they have. A counterfactual describes the model's prediction
for another patient, not the effect of an intervention on this one.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

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
"""Shares of the values up to either end of the range that are tried first."""
MOST_VALUES = 256
"""Number of values per code; of more, those at even ranks are tried."""


class PlausibleRange(NamedTuple):
    """The plausible range of a code, from training measurements."""

    values: tuple[float, ...]  # that the code took, ascending, from quantile 1 % to quantile 99 %
    spread: float  # standard deviation within that range, the unit of a change's size
    measurements: int

    @property
    def low(self) -> float:
        """The lowest value."""
        return self.values[0]

    @property
    def high(self) -> float:
        """The highest value."""
        return self.values[-1]

    @classmethod
    def of(cls, measured: Float[np.ndarray, " measurement"]) -> Self | None:
        """Return the range of the measurements of a code; None if they do not vary."""
        low, high = np.quantile(measured, [LOW, HIGH], method="nearest")
        spread = float(np.clip(measured, low, high).std())
        values = np.unique(measured[(measured >= low) & (measured <= high)])
        if len(values) < 2 or spread == 0:
            return None
        if len(values) > MOST_VALUES:
            values = values[np.linspace(0, len(values) - 1, MOST_VALUES).round().astype(np.int64)]
        return cls(tuple(values.tolist()), spread, len(measured))


@dataclass(frozen=True)
class Counterfactual:
    """One measurement, and the value that would change the call."""

    output: Output
    code: str
    hours: float  # before the prediction time; NaN if static
    recorded: float
    changed: float  # a value that the code took in development
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
        plausible = PlausibleRange.of(events.value[of_code])
        if plausible is not None:
            found[codes[place]] = plausible
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
    """The values of a code on one side of the recorded one, the nearest first."""

    code: str
    latest: _Latest
    values: tuple[float, ...]

    @property
    def tries(self) -> list[int]:
        """The places of the values that are tried first."""
        return [math.ceil(share * len(self.values)) - 1 for share in TRIES]


class _Crossing(NamedTuple):
    """Two values of a direction between which the call changes."""

    direction: _Direction
    kept: int  # place of the value with the same call; -1: the recorded value
    turned: int  # place of the value with the other call
    answer: float  # with that value

    @property
    def open(self) -> bool:
        return self.turned - self.kept > 1

    @property
    def middle(self) -> int:
        return (self.kept + self.turned) // 2


class _Search:
    """Predict one sample with one value changed."""

    def __init__(self, ensemble: Ensemble, sample: Sample, output: Output, threshold: float) -> None:
        self.ensemble, self.sample, self.output, self.threshold = ensemble, sample, output, threshold
        numbers = [code for code in sample.known["code"].unique().cast(pl.String) if modality(code) == "structured"]
        self.known = sample.known.filter(pl.col("code").cast(pl.String).is_in(numbers))
        self.answer = float(ensemble.answer(sample.arrays)[output.task].answers[0, output.place])
        self.positive = self.answer >= threshold

    def smallest(self, ranges: Mapping[str, PlausibleRange]) -> list[Counterfactual]:
        """Try both directions of each code, then bisect between the values where the call first changes."""
        directions = self._directions(ranges)
        tried = self._answers([(one, place) for one in directions for place in one.tries])
        crossing: list[_Crossing] = []
        for direction, answers in zip(directions, tried.reshape(-1, len(TRIES)), strict=True):
            turned = (answers >= self.threshold) != self.positive
            if turned.any():
                first = int(turned.argmax())
                crossing.append(
                    _Crossing(direction, (-1, *direction.tries)[first], direction.tries[first], answers[first])
                )
        while any(one.open for one in crossing):
            crossing = self._halved(crossing)
        best: dict[str, Counterfactual] = {}
        for one in crossing:
            candidate = self._counterfactual(one, ranges[one.direction.code])
            if candidate.code not in best or candidate.size < best[candidate.code].size:
                best[candidate.code] = candidate
        return list(best.values())

    def _halved(self, crossing: Sequence[_Crossing]) -> list[_Crossing]:
        """Halve each interval that still has values between its ends."""
        found = iter(self._answers([(one.direction, one.middle) for one in crossing if one.open]).tolist())
        return [self._half(one, next(found)) if one.open else one for one in crossing]

    def _half(self, crossing: _Crossing, answer: float) -> _Crossing:
        """Return the half in which the call changes, given the answer in the middle."""
        turned = (answer >= self.threshold) != self.positive
        middle = crossing.middle
        return crossing._replace(turned=middle, answer=answer) if turned else crossing._replace(kept=middle)

    def _counterfactual(self, crossing: _Crossing, range_: PlausibleRange) -> Counterfactual:
        direction = crossing.direction
        changed = direction.values[crossing.turned]
        return Counterfactual(
            output=self.output,
            code=direction.code,
            hours=direction.latest.hours,
            recorded=direction.latest.value,
            changed=changed,
            size=abs(changed - direction.latest.value) / range_.spread,
            answer=self.answer,
            changed_answer=float(crossing.answer),
            threshold=self.threshold,
        )

    def _directions(self, ranges: Mapping[str, PlausibleRange]) -> list[_Direction]:
        directions = []
        for code, latest in self._latest(list(ranges)).items():
            below = tuple(value for value in reversed(ranges[code].values) if value < latest.value)
            above = tuple(value for value in ranges[code].values if value > latest.value)
            directions += [_Direction(code, latest, values) for values in (below, above) if values]
        return directions

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

    def _answers(self, changes: Sequence[tuple[_Direction, int]]) -> Float[np.ndarray, " change"]:
        """Predict the sample with each of some changes."""
        if not changes:
            return np.zeros(0)
        count, length = len(changes), self.known.height
        values = np.tile(self.known["numeric_value"].to_numpy().astype(np.float32), (count, 1))
        for row, (direction, place) in enumerate(changes):
            values[row, direction.latest.row] = direction.values[place]
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
