"""How much each modality adds to an answer: exact Shapley values over all subsets of the inputs (Shapley 1953).

φ_m = Σ_{S∌m} |S|! (M − |S| − 1)! / M! · [v(S ∪ m) − v(S)], where v(S) is the bundle's whole answer (combined and
calibrated) as if only the modalities of S had been recorded, and v(∅) what it says of whoever has nothing. A modality
that a sample lacks changes no answer, and gets 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import factorial
from typing import NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Bool, Float

from polyclinic.cohort import Cohort
from polyclinic.evaluation import Bootstrap, Estimate
from polyclinic.evaluation.bootstrap import METHOD, percentiles
from polyclinic.explain.attribution import Frozen
from polyclinic.explain.sample import Output, Sample, output_of
from polyclinic.features import Arrays
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.models.ensemble.ensemble import Ensemble
from polyclinic.models.ensemble.link_functions import log_odds
from polyclinic.progress import SILENT, Progress

ROWS_AT_ONCE = 32
"""Samples whose subsets are asked together."""


@dataclass(frozen=True, eq=False)
class Shares(Frozen):
    """One scale's values: they add up to `whole` − `nothing`."""

    values: Float[np.ndarray, " modality"]
    whole: float  # the answer
    nothing: float  # the answer without any input

    @property
    def residual(self) -> float:
        """Σ values − (whole − nothing): the rounding error."""
        return float(self.values.sum()) - (self.whole - self.nothing)


@dataclass(frozen=True, eq=False)
class ModalityShapley(Frozen):
    """What each modality adds to one answer of one sample."""

    output: Output
    modalities: tuple[str, ...]  # those that the sample has
    answer: Shares  # in the unit of the answer: probability, risk, or the target's unit
    log_odds: Shares | None  # None: the answer is no probability

    @property
    def by_modality(self) -> dict[str, float]:
        """The values in the unit of the answer."""
        return dict(zip(self.modalities, self.answer.values.tolist(), strict=True))


class ModalityWeight(NamedTuple):
    """What one modality adds to the answers of a cohort, over the samples that have it, in the answers' unit."""

    modality: str
    mean: Estimate
    size: Estimate  # mean of the absolute values


def shapley_values(v: Mapping[frozenset[str], np.ndarray], players: Sequence[str]) -> Float[np.ndarray, "... player"]:
    """Give the Shapley values of a game whose worth `v` is known of every subset, an array of any shape for each."""
    count = len(players)
    values = []
    for player in players:
        others = [subset for subset in v if player not in subset]
        weight = {size: factorial(size) * factorial(count - size - 1) / factorial(count) for size in range(count)}
        values.append(sum(weight[len(subset)] * (v[subset | {player}] - v[subset]) for subset in others))
    return np.stack(values, axis=-1) if values else np.zeros((*np.shape(v[frozenset()]), 0))


def modality_shapley(bundle: Bundle, sample: Sample, task: str, output: str | None = None) -> ModalityShapley:
    """Give each present modality its part in one answer, on probability and on log-odds.

    Raises:
        BundleError: the bundle does not answer the task.
        ExplanationError: the task has no such output, or the sample has no input at all.
    """
    return modality_shapley_of_each(bundle.ensemble, sample, (output_of(bundle, task, output),))[0]


def modality_shapley_of_each(
    ensemble: Ensemble, sample: Sample, outputs: Sequence[Output]
) -> tuple[ModalityShapley, ...]:
    """Explain several answers about one sample: the bundle is asked of every subset once for all of them.

    Raises:
        ExplanationError: the sample has no input at all.
    """
    sample.require_something()
    row = np.zeros(1, dtype=np.int64)
    found = coalition_values_of_each(ensemble, sample.arrays, row, outputs, sample.present)
    return tuple(
        _shapley(ensemble.tasks[output.task].kind, sample.present, output, worth)
        for output, worth in zip(outputs, found, strict=True)
    )


def cohort_shapley(
    bundle: Bundle,
    cohort: Cohort,
    samples: pl.DataFrame,
    task: str,
    output: str | None = None,
    *,
    resamples: int = 2000,
    progress: Progress = SILENT,
) -> tuple[ModalityWeight, ...]:
    """Average the values over samples (`sample` from 0, `subject_id`, `prediction_time`), the largest sizes first.

    A modality counts in the samples that have it; one that nobody has is left out.
    """
    asked = output_of(bundle, task, output)
    arrays = bundle.arrays(cohort, samples, progress)
    modalities = bundle.inputs
    parts = []
    with progress.task("subsets of inputs", total=samples.height) as advance:
        for start in range(0, samples.height, ROWS_AT_ONCE):
            rows = np.arange(start, min(start + ROWS_AT_ONCE, samples.height))
            parts.append(shapley_values(coalition_values(bundle.ensemble, arrays, rows, asked, modalities), modalities))
            advance(len(rows))
    values = np.concatenate(parts) if parts else np.zeros((0, len(modalities)))
    subjects, bootstrap = samples["subject_id"].to_numpy(), Bootstrap(resamples)
    there = {modality: np.flatnonzero(np.asarray(arrays[modality]["present"])) for modality in modalities}
    found = [
        _weight(modality, values[there[modality], place], subjects[there[modality]], bootstrap)
        for place, modality in enumerate(modalities)
        if len(there[modality])
    ]
    return tuple(sorted(found, key=lambda one: -(one.size.value or 0)))


def coalition_values(
    ensemble: Ensemble, arrays: Mapping[str, Arrays], rows: np.ndarray, output: Output, players: Sequence[str]
) -> dict[frozenset[str], Float[np.ndarray, " row"]]:
    """Ask the bundle for some samples, of every subset of the modalities `players`, all at once."""
    return coalition_values_of_each(ensemble, arrays, rows, (output,), players)[0]


def coalition_values_of_each(
    ensemble: Ensemble,
    arrays: Mapping[str, Arrays],
    rows: np.ndarray,
    outputs: Sequence[Output],
    players: Sequence[str],
) -> list[dict[frozenset[str], Float[np.ndarray, " row"]]]:
    """Give the `coalition_values` of several outputs."""
    chosen = [
        frozenset(p for place, p in enumerate(players) if number >> place & 1) for number in range(2 ** len(players))
    ]
    repeated = {
        modality: {name: array[np.tile(rows, len(chosen))] for name, array in one.items()}
        for modality, one in arrays.items()
    }
    kept: dict[str, Arrays] = {}
    for modality, one in repeated.items():
        asked: Bool[np.ndarray, " row"] = np.repeat([modality in subset for subset in chosen], len(rows))
        kept[modality] = one | {"present": np.asarray(one["present"]) & asked}
    answered = ensemble.answer(kept)
    said = [answered[output.task].answers[:, output.place].astype(np.float64) for output in outputs]
    return [dict(zip(chosen, one.reshape(len(chosen), len(rows)), strict=True)) for one in said]


def _shapley(
    kind: str, present: tuple[str, ...], output: Output, worth: Mapping[frozenset[str], Float[np.ndarray, "1"]]
) -> ModalityShapley:
    v = {subset: said[0] for subset, said in worth.items()}
    answer = _shares(v, present)
    if kind == "regression":
        return ModalityShapley(output, present, answer, None)
    return ModalityShapley(output, present, answer, _shares({s: log_odds(one) for s, one in v.items()}, present))


def _shares(worth: Mapping[frozenset[str], np.ndarray], present: Sequence[str]) -> Shares:
    whole, nothing = worth[frozenset(present)], worth[frozenset()]
    return Shares(shapley_values(worth, present), float(whole), float(nothing))


def _weight(modality: str, values: np.ndarray, subjects: np.ndarray, bootstrap: Bootstrap) -> ModalityWeight:
    def figure(name: str, numbers: np.ndarray) -> Estimate:
        drawn = bootstrap.draws(lambda weights: weights @ numbers / weights.sum(axis=1), len(numbers), subjects)
        *ends, reason = percentiles(drawn)
        return Estimate.of(name, numbers.mean(), (ends[0], ends[1]), len(numbers), METHOD, reason)

    return ModalityWeight(
        modality, figure("mean Shapley value", values), figure("mean |Shapley value|", np.abs(values))
    )
