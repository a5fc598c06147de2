"""Are the explanations of a bundle true? One measurement of them all, on subjects of one split.

Of each subject one answer is explained, at its first prediction time: of several classes or labels the most probable.
What the measures mean is told in `faithfulness`; what is known to be true is read in `audit_truth`.
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
    courses,
    likenesses,
    noisy,
    random_orders,
    redrawn,
    strongest_first,
)
from polyclinic.explain.audit.ground_truth import Truth
from polyclinic.explain.audit.known_causes import with_truth
from polyclinic.explain.audit.record import Alike, Audit, DeletionCurve, Goal, Sanity, judged
from polyclinic.explain.audit.samples import Explained, chosen, mean, samples, spoken
from polyclinic.explain.inputs.baseline import usual_of
from polyclinic.explain.methods.integrated_gradients import METHOD as INTEGRATED
from polyclinic.explain.methods.unit_scores import METHODS, UnitScores, edges
from polyclinic.explain.perturbation.perturbed_sample import PerturbedSample
from polyclinic.explain.perturbation.units import BlockUnits
from polyclinic.explain.sample import ExplanationError
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.models.network.unified import UnifiedModel
from polyclinic.progress import SILENT, Progress
from polyclinic.tasks import Task

LIMIT = 40
CHECKED = 10
"""Subjects, of those explained, whose explanations are made again with random weights and under noise."""
RANDOM_ORDERS = 5
RANDOM, EDGES = "random order", "edges"
ENOUGH_ERRORS = 3.0


@dataclass
class Measures:
    """What was measured so far, by what it is of: a value and the subject for each."""

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
    """Measure the explanations of a bundle's answers to some tasks (its first by default).

    Args:
        bundle: with networks.
        cohort: on which its answers are explained.
        split: of whose subjects; None: of all.
        tasks: by name.
        truth: the folder of what is known to be true; see `truth`.
        limit: how many subjects are explained, drawn by `seed`; as many more of validation to choose the dial on.
        seed: of all that is drawn.
        methods: of `METHODS`, by name.
        progress: told how far it has come.

    Raises:
        BundleError: the bundle does not answer a task.
        ExplanationError: it has no network, nobody can be asked, a method is unknown, or there is no such truth.
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
    told = Audit(
        bundle=bundle.digest,
        cohort=cohort.fingerprint,
        split=split or "all",
        tasks=tuple(task.name for task in wanted),
        subjects=len({one.sample.subject_id for _, one in explained}),
        checked=min(CHECKED, limit),
        seed=seed,
        courses=tuple(_courses(measures)),
        sanity=sanity,
        verdicts=judged(sanity, STAGES[-1]),
        stability=tuple(_alike(measures, "noise")),
        agreement=tuple(_alike(measures, "agreement")),
    )
    told = with_truth(told, bundle, cohort, known, explained, methods, limit, progress)
    return _with_goals(told)


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
    """Explain one answer of each subject by every method, and measure what needs no truth."""
    found: list[Explained] = []
    random = {stage: redrawn(bundle.ensemble.networks, stage, seed) for stage in STAGES}
    usual = usual_of(bundle.reference)
    subjects = chosen(cohort, task, split, limit, seed)
    with progress.task(f"explaining {task.name}", total=len(subjects)) as advance:
        for sample in samples(bundle, cohort, subjects):
            output = spoken(bundle.ensemble, sample, task)
            perturbed = PerturbedSample(bundle.ensemble.networks, sample, output, usual)
            one = Explained(sample, perturbed, {name: METHODS[name](perturbed) for name in methods})
            _follow(measures, task.name, one, seed)
            _compare(measures, one)
            if len(found) < CHECKED:
                _randomise(measures, one, random)
                _shake(measures, one, seed)
            found.append(one)
            advance(1)
    if not found:
        raise ExplanationError(f"{task.name} can be asked of nobody of the split {split} who has any of the inputs")
    return found


def _follow(measures: Measures, task: str, one: Explained, seed: int) -> None:
    """Delete and insert the units of each modality in every order."""
    subject = one.sample.subject_id
    for modality, units in one.perturbed.units.items():
        if len(units) < FEWEST_UNITS:
            continue
        orders = {
            name: strongest_first(told.units[modality]) for name, told in one.told.items() if modality in told.units
        }
        if isinstance(units, BlockUnits):
            orders[EDGES] = strongest_first(units.gathered(edges(units.input_.end)))
        drawn = random_orders(len(units), RANDOM_ORDERS, seed + subject)
        orders |= {f"{RANDOM} {number}": order for number, order in enumerate(drawn)}
        for kind in KINDS:
            found = courses(one.perturbed, modality, orders, kind)
            chance = np.mean([found.pop(f"{RANDOM} {number}").values for number in range(RANDOM_ORDERS)], axis=0)
            for name, values in {**{name: course.values for name, course in found.items()}, RANDOM: chance}.items():
                key = (task, modality, kind, name)
                measures.curves.setdefault(key, []).append(values)
                measures.areas.setdefault(key, []).append((subject, float(np.trapezoid(values, SHARES))))


def _compare(measures: Measures, one: Explained) -> None:
    for (first, told), (second, other) in combinations(one.told.items(), 2):
        _note(measures, one, ("agreement", f"{first} · {second}"), told, other)


def _randomise(measures: Measures, one: Explained, random: Mapping[str, list[UnifiedModel]]) -> None:
    for stage, networks in random.items():
        blind = one.perturbed.with_networks(networks)
        for name, told in one.told.items():
            _note(measures, one, ("sanity", name, stage), told, METHODS[name](blind))


def _shake(measures: Measures, one: Explained, seed: int) -> None:
    shaken = noisy(one.perturbed, seed + one.sample.subject_id)
    if shaken is not None:
        for name, told in one.told.items():
            _note(measures, one, ("noise", name), told, METHODS[name](shaken))


def _note(measures: Measures, one: Explained, key: tuple[str, ...], told: UnitScores, other: UnitScores) -> None:
    for like in likenesses(told, other):
        measures.alike.setdefault((*key, like.modality), []).append((one.sample.subject_id, like))


def _courses(measures: Measures) -> Iterator[DeletionCurve]:
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


def _with_goals(told: Audit) -> Audit:
    goals = [
        Goal(
            f"deletion beats a random order, in standard errors: {one.task}, {one.modality}",
            ENOUGH_ERRORS,
            Estimate(
                "standard_errors", one.standard_errors, None, None, one.gain.n, "mean / standard error", "it has none"
            ),
            (one.standard_errors or 0) >= ENOUGH_ERRORS,
        )
        for one in told.courses
        if one.kind == "deletion" and one.order == INTEGRATED
    ]
    return replace(told, goals=(*goals, *told.goals))
