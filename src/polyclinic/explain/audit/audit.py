"""Audit of the explanations of a bundle on the subjects of one split.

One output is explained for each subject, at its first prediction time: of several classes or labels the most probable.
The measures are defined in `faithfulness`; the ground truth is read in `ground_truth`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path

import numpy as np

from polyclinic.cohort import Cohort
from polyclinic.evaluation import Estimate
from polyclinic.evaluation.results import Curve
from polyclinic.explain.audit.faithfulness import (
    FEWEST_UNITS,
    KINDS,
    SHARES,
    STAGES,
    Likeness,
    deletion_curves,
    likenesses,
    noisy,
    random_orders,
    redrawn,
    strongest_first,
)
from polyclinic.explain.audit.ground_truth import Truth
from polyclinic.explain.audit.known_causes import with_truth
from polyclinic.explain.audit.record import Alike, Audit, DeletionCurve, Goal, Sanity, verdicts_of
from polyclinic.explain.audit.samples import Explained, chosen, explained_output, mean, samples
from polyclinic.explain.inputs.baseline import usual_of
from polyclinic.explain.inputs.image import BlockUnits
from polyclinic.explain.methods.integrated_gradients import METHOD as INTEGRATED
from polyclinic.explain.methods.unit_scores import METHODS, UnitScores, edges
from polyclinic.explain.perturbation.perturbed_sample import PerturbedSample
from polyclinic.explain.sample import ExplanationError
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.models.network.unified import UnifiedModel
from polyclinic.progress import SILENT, Progress
from polyclinic.tasks import Task

LIMIT = 40
CHECKED = 10
"""Number of subjects explained again with random weights and under noise."""
RANDOM_ORDERS = 5
RANDOM, EDGES = "random order", "edges"
ENOUGH_ERRORS = 3.0


@dataclass
class Measures:
    """The measurements so far, by what they measure: subject and value of each."""

    areas: dict[tuple[str, ...], list[tuple[int, float]]] = field(default_factory=dict)
    curves: dict[tuple[str, ...], list[np.ndarray]] = field(default_factory=dict)
    alike: dict[tuple[str, ...], list[tuple[int, Likeness]]] = field(default_factory=dict)


def audit(
    bundle: Bundle,
    cohort: Cohort,
    split: str | None = "held_out",
    *,
    tasks: Sequence[str] | None = None,
    truth: Path | None = None,
    limit: int = LIMIT,
    seed: int = 0,
    methods: Sequence[str] = tuple(METHODS),
    progress: Progress = SILENT,
) -> Audit:
    """Measure the explanations of some tasks (the first by default).

    Args:
        bundle: with networks.
        cohort: of the subjects to explain.
        split: of the subjects; None: all.
        tasks: by name.
        truth: folder of the ground truth; see `ground_truth`.
        limit: number of subjects, drawn with `seed`; as many validation subjects to choose the operating point.
        seed: of all random draws.
        methods: names in `METHODS`.
        progress: reports progress.

    Raises:
        BundleError: the bundle does not answer a task.
        ExplanationError: it has no network, no subject qualifies, a method is unknown, or there is no such truth.
    """
    if not bundle.ensemble.networks:
        raise ExplanationError("the bundle has no network: an audit follows gradients, and classical models have none")
    unknown = [name for name in methods if name not in METHODS]
    if unknown:
        raise ExplanationError(f"unknown method {unknown[0]!r}: choose from {', '.join(METHODS)}")
    wanted = [bundle.task(name) for name in tasks] if tasks else [bundle.tasks[0]]
    known = None if truth is None else Truth.read(truth, cohort)
    measures, explained = Measures(), []
    for task in wanted:
        found = examine(bundle, cohort, task, split, limit, seed, methods, measures, progress)
        explained += [(task, one) for one in found]
    sanity = tuple(_sanity(measures))
    record = Audit(
        bundle=bundle.digest,
        cohort=cohort.fingerprint,
        split=split or "all",
        tasks=tuple(task.name for task in wanted),
        subjects=len({one.sample.subject_id for _, one in explained}),
        checked=min(CHECKED, limit),
        seed=seed,
        courses=tuple(_curves(measures)),
        sanity=sanity,
        verdicts=verdicts_of(sanity, STAGES[-1]),
        stability=tuple(_alike(measures, "noise")),
        agreement=tuple(_alike(measures, "agreement")),
    )
    record = with_truth(record, bundle, cohort, known, explained, methods, limit, progress)
    return _with_goals(record)


def examine(
    bundle: Bundle,
    cohort: Cohort,
    task: Task,
    split: str | None,
    limit: int,
    seed: int,
    methods: Sequence[str],
    measures: Measures,
    progress: Progress = SILENT,
) -> list[Explained]:
    """Explain one output of each subject by every method, and measure what needs no ground truth."""
    found: list[Explained] = []
    random = {stage: redrawn(bundle.ensemble.networks, stage, seed) for stage in STAGES}
    usual = usual_of(bundle.reference)
    subjects = chosen(cohort, task, split, limit, seed)
    with progress.task(f"explaining {task.name}", total=len(subjects)) as advance:
        for sample in samples(bundle, cohort, subjects):
            output = explained_output(bundle.ensemble, sample, task)
            perturbed = PerturbedSample(bundle.ensemble.networks, sample, output, usual)
            one = Explained(sample, perturbed, {name: METHODS[name](perturbed) for name in methods})
            _delete_and_insert(measures, task.name, one, seed)
            _measure_agreement(measures, one)
            if len(found) < CHECKED:
                _measure_sanity(measures, one, random)
                _measure_stability(measures, one, seed)
            found.append(one)
            advance(1)
    if not found:
        raise ExplanationError(f"{task.name} applies to no subject of the split {split} with any of the inputs")
    return found


def _delete_and_insert(measures: Measures, task: str, one: Explained, seed: int) -> None:
    """Delete and insert the units of each modality in every order."""
    subject = one.sample.subject_id
    for modality, units in one.perturbed.units.items():
        if len(units) < FEWEST_UNITS:
            continue
        orders = {
            name: strongest_first(scores.units[modality])
            for name, scores in one.scores.items()
            if modality in scores.units
        }
        if isinstance(units, BlockUnits):
            orders[EDGES] = strongest_first(units.gathered(edges(units.input_.end)))
        drawn = random_orders(len(units), RANDOM_ORDERS, seed + subject)
        orders |= {f"{RANDOM} {number}": order for number, order in enumerate(drawn)}
        for kind in KINDS:
            curves = deletion_curves(one.perturbed, modality, orders, kind)
            chance = np.mean([curves.pop(f"{RANDOM} {number}").values for number in range(RANDOM_ORDERS)], axis=0)
            for name, values in {**{name: curve.values for name, curve in curves.items()}, RANDOM: chance}.items():
                key = (task, modality, kind, name)
                measures.curves.setdefault(key, []).append(values)
                measures.areas.setdefault(key, []).append((subject, float(np.trapezoid(values, SHARES))))


def _measure_agreement(measures: Measures, one: Explained) -> None:
    for (first, scores), (second, other) in combinations(one.scores.items(), 2):
        _add(measures, one, ("agreement", f"{first} · {second}"), scores, other)


def _measure_sanity(measures: Measures, one: Explained, random: Mapping[str, list[UnifiedModel]]) -> None:
    for stage, networks in random.items():
        redrawn_sample = one.perturbed.with_networks(networks)
        for name, scores in one.scores.items():
            _add(measures, one, ("sanity", name, stage), scores, METHODS[name](redrawn_sample))


def _measure_stability(measures: Measures, one: Explained, seed: int) -> None:
    noised = noisy(one.perturbed, seed + one.sample.subject_id)
    if noised is not None:
        for name, scores in one.scores.items():
            _add(measures, one, ("noise", name), scores, METHODS[name](noised))


def _add(measures: Measures, one: Explained, key: tuple[str, ...], scores: UnitScores, other: UnitScores) -> None:
    for like in likenesses(scores, other):
        measures.alike.setdefault((*key, like.modality), []).append((one.sample.subject_id, like))


def _curves(measures: Measures) -> Iterator[DeletionCurve]:
    for (task, modality, kind, order), areas in measures.areas.items():
        chance = measures.areas[task, modality, kind, RANDOM]
        sign = -1 if kind == "deletion" else 1
        gains = [(subject, sign * (area - other)) for (subject, area), (_, other) in zip(areas, chance, strict=True)]
        numbers = np.array([gain for _, gain in gains])
        error = numbers.std(ddof=1) / np.sqrt(len(numbers)) if len(numbers) > 1 else 0.0
        yield DeletionCurve(
            task,
            modality,
            kind,
            order,
            mean(f"{kind}_area", areas),
            mean("gain_on_random", gains),
            float(numbers.mean() / error) if error > 0 else None,
            Curve(
                tuple(SHARES.tolist()), tuple(np.mean(measures.curves[task, modality, kind, order], axis=0).tolist())
            ),
        )


def _figures(likes: Sequence[tuple[int, Likeness]]) -> tuple[Estimate, Estimate]:
    shown = mean("rank_correlation", [(subject, like.shown) for subject, like in likes])
    return shown, mean("absolute_rank_correlation", [(subject, like.absolute) for subject, like in likes])


def _sanity(measures: Measures) -> Iterator[Sanity]:
    for key, likes in measures.alike.items():
        if key[0] == "sanity":
            _, method, stage, modality = key
            yield Sanity(method, modality, stage, *_figures(likes))


def _alike(measures: Measures, what: str) -> Iterator[Alike]:
    for key, likes in measures.alike.items():
        if key[0] == what:
            yield Alike(key[1], key[2], *_figures(likes))


def _with_goals(record: Audit) -> Audit:
    goals = [
        Goal(
            f"deletion beats a random order, in standard errors: {one.task}, {one.modality}",
            ENOUGH_ERRORS,
            Estimate(
                "standard_errors", one.standard_errors, None, None, one.gain.n, "mean / standard error", "it has none"
            ),
            (one.standard_errors or 0) >= ENOUGH_ERRORS,
        )
        for one in record.courses
        if one.kind == "deletion" and one.order == INTEGRATED
    ]
    return replace(record, goals=(*goals, *record.goals))
