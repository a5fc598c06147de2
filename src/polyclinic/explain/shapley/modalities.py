"""Contribution of each modality to an answer: exact Shapley values over all subsets of the inputs (Shapley 1953).

φ_m = Σ_{S∌m} |S|! (M − |S| − 1)! / M! · [v(S ∪ m) − v(S)], where v(S) is the bundle's calibrated answer with only the
modalities of S present, and v(∅) that without any input. An absent modality gets 0.
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
"""Number of samples whose subsets are predicted together."""


@dataclass(frozen=True, eq=False)
class Shares(Frozen):
    """Shapley values on one scale; they sum to `whole` − `nothing`."""

    values: Float[np.ndarray, " modality"]
    whole: float  # the answer
    nothing: float  # the answer without any input

    @property
    def residual(self) -> float:
        """Σ values − (whole − nothing): the rounding error."""
        return float(self.values.sum()) - (self.whole - self.nothing)


@dataclass(frozen=True, eq=False)
class ModalityShapley(Frozen):
    """The contribution of each modality to one answer of one sample."""

    output: Output
    modalities: tuple[str, ...]  # present
    answer: Shares  # in the unit of the answer: probability, risk, or the target's unit
    log_odds: Shares | None  # None: the answer is not a probability

    @property
    def by_modality(self) -> dict[str, float]:
        """The values in the unit of the answer."""
        return dict(zip(self.modalities, self.answer.values.tolist(), strict=True))


class ModalityWeight(NamedTuple):
    """Mean contribution of one modality over the samples that have it, in the unit of the answer."""

    modality: str
    mean: Estimate
    size: Estimate  # mean of the absolute values


def shapley_values(v: Mapping[frozenset[str], np.ndarray], players: Sequence[str]) -> Float[np.ndarray, "... player"]:
    """Return the Shapley values of a game with the value `v` of every coalition, arrays of one shape."""
    count = len(players)
    values = []
    for player in players:
        others = [subset for subset in v if player not in subset]
        weight = {size: factorial(size) * factorial(count - size - 1) / factorial(count) for size in range(count)}
        values.append(sum(weight[len(subset)] * (v[subset | {player}] - v[subset]) for subset in others))
    return np.stack(values, axis=-1) if values else np.zeros((*np.shape(v[frozenset()]), 0))


def modality_shapley(bundle: Bundle, sample: Sample, task: str, output: str | None = None) -> ModalityShapley:
    """Compute the contribution of each present modality to one answer, in its unit and in log-odds.

    Raises:
        BundleError: the bundle does not answer the task.
        ExplanationError: the task has no such output, or the sample has no input at all.
    """
    return modality_shapley_of_each(bundle.ensemble, sample, (output_of(bundle, task, output),))[0]


def modality_shapley_of_each(
    ensemble: Ensemble, sample: Sample, outputs: Sequence[Output]
) -> tuple[ModalityShapley, ...]:
    """Explain several answers of one sample; every subset is predicted once for all of them.

    Raises:
        ExplanationError: the sample has no input at all.
    """
    sample.require_input()
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
    """Average the values over samples (`sample` from 0, `subject_id`, `prediction_time`), largest sizes first.

    A modality is averaged over the samples that have it; one absent from all is left out.
    """
    target = output_of(bundle, task, output)
    arrays = bundle.arrays(cohort, samples, progress)
    modalities = bundle.inputs
    parts = []
    with progress.task("subsets of inputs", total=samples.height) as advance:
        for start in range(0, samples.height, ROWS_AT_ONCE):
            rows = np.arange(start, min(start + ROWS_AT_ONCE, samples.height))
            parts.append(
                shapley_values(coalition_values(bundle.ensemble, arrays, rows, target, modalities), modalities)
            )
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
    """Predict some samples with every subset of the modalities `players`, in one batch."""
    return coalition_values_of_each(ensemble, arrays, rows, (output,), players)[0]


def coalition_values_of_each(
    ensemble: Ensemble,
    arrays: Mapping[str, Arrays],
    rows: np.ndarray,
    outputs: Sequence[Output],
    players: Sequence[str],
) -> list[dict[frozenset[str], Float[np.ndarray, " row"]]]:
    """Return the `coalition_values` of several outputs."""
    chosen = [
        frozenset(p for place, p in enumerate(players) if number >> place & 1) for number in range(2 ** len(players))
    ]
    repeated = {
        modality: {name: array[np.tile(rows, len(chosen))] for name, array in one.items()}
        for modality, one in arrays.items()
    }
    kept: dict[str, Arrays] = {}
    for modality, one in repeated.items():
        included: Bool[np.ndarray, " row"] = np.repeat([modality in subset for subset in chosen], len(rows))
        kept[modality] = one | {"present": np.asarray(one["present"]) & included}
    answered = ensemble.answer(kept)
    values = [answered[output.task].answers[:, output.place].astype(np.float64) for output in outputs]
    return [dict(zip(chosen, one.reshape(len(chosen), len(rows)), strict=True)) for one in values]


def _shapley(
    kind: str, present: tuple[str, ...], output: Output, worth: Mapping[frozenset[str], Float[np.ndarray, "1"]]
) -> ModalityShapley:
    v = {subset: values[0] for subset, values in worth.items()}
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
