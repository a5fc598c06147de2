"""Agreement of explanations with ground truth: trigger words, causal variables, lesions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Int

from polyclinic.cohort import Cohort
from polyclinic.evaluation import Estimate
from polyclinic.explain.attribution import SeriesAttribution, StructuredAttribution
from polyclinic.explain.audit.ground_truth import Truth
from polyclinic.explain.audit.lesions import goal, with_lesions
from polyclinic.explain.audit.record import Audit, Known
from polyclinic.explain.audit.samples import Explained, mean
from polyclinic.explain.inputs.note import SentenceInput, WordInput
from polyclinic.explain.inputs.registry import EXPLANATIONS
from polyclinic.explain.methods.integrated_gradients import METHOD as INTEGRATED
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.progress import SILENT, Progress
from polyclinic.tasks import Task

TOP = 3
OF_CAUSES = ("structured", "series", "note")
TRIGGERS = 0.90
"""Goal on the demo cohort."""
RANDOM_WORDS = 200
MEASURES: Mapping[str, tuple[Callable[[np.ndarray], np.bool_], bool]] = {
    "any trigger word in the top 3": (np.any, False),
    "every trigger word in the top 3": (np.all, False),
    "any sentence of a trigger word in the top 3": (np.any, True),
}
"""How triggers are aggregated, and whether all words of their sentences count."""


def with_truth(
    record: Audit,
    bundle: Bundle,
    cohort: Cohort,
    truth: Truth | None,
    explained: Sequence[tuple[Task, Explained]],
    methods: Sequence[str],
    limit: int,
    progress: Progress = SILENT,
) -> Audit:
    """Add the comparisons with ground truth, and what was skipped."""
    if truth is None:
        why = "no truth was given: pointing game, boxes, FROC, trigger words and causes were not measured"
        return replace(record, skipped=(*record.skipped, why))
    record = with_lesions(record, bundle, cohort, truth, methods, limit, progress)
    return _with_causes(record, truth, explained)


def _with_causes(record: Audit, truth: Truth, explained: Sequence[tuple[Task, Explained]]) -> Audit:
    """Compare the explanations of the outcome with its known causes."""
    about = [one for task, one in explained if truth.outcome and truth.outcome in task.target.codes]
    if not about:
        why = "none of the tasks asks for the outcome whose causes are known: no trigger words, no causes"
        return replace(record, skipped=(*record.skipped, why))
    known, goals = list(record.known), list(record.goals)
    for method in about[0].scores:
        if not any(modality in one.scores[method].units for one in about for modality in OF_CAUSES):
            continue
        for name, (measure, around) in MEASURES.items():
            figure, chance = _triggers(truth, about, method, measure, around)
            known.append(Known(name, method, figure, chance))
            if method == INTEGRATED and not around:
                goals.append(goal(name, TRIGGERS, figure))
        for modality in ("structured", "series"):
            figures = _on_causes(truth, about, method, modality)
            known.append(Known(f"share of scores on causes, {modality}", method, *figures))
    return replace(record, known=tuple(known), goals=tuple(goals))


def _triggers(
    truth: Truth,
    about: Sequence[Explained],
    method: str,
    measure: Callable[[np.ndarray], np.bool_],
    around: bool,
) -> tuple[Estimate, Estimate]:
    """Measure in how many notes any, or every, trigger word is among the three words with the highest scores.

    With `around` any word of a trigger's sentence counts: no data can distinguish words that always co-occur.
    """
    concepts = set(truth.causes.get("note", ()))
    hits, chances = [], []
    for one in about:
        scores = one.scores[method].units.get("note")
        triggers = [trigger for trigger in truth.triggers.get(one.sample.subject_id, ()) if trigger.concept in concepts]
        if scores is None or not triggers:
            continue
        places, sentences = _places(one)
        meets: np.ndarray = np.array([[trigger.meets(*place) for place in places] for trigger in triggers])
        meets = meets[meets.any(axis=1)]  # those among the bundle's inputs
        if not len(meets):
            continue
        if around:
            meets = np.array([np.isin(sentences, sentences[words]) for words in meets])
        top = np.argsort(-scores, kind="stable")[:TOP]
        hits.append((one.sample.subject_id, float(measure(_among(meets, top)))))
        drawn = [np.random.default_rng(number).permutation(len(places))[:TOP] for number in range(RANDOM_WORDS)]
        chance = np.mean([measure(_among(meets, few)) for few in drawn])
        chances.append((one.sample.subject_id, float(chance)))
    return mean("triggers_in_top_3", hits), mean("triggers_in_top_3", chances)


def _among(meets: Bool[np.ndarray, "trigger word"], few: np.ndarray) -> Bool[np.ndarray, " trigger"]:
    """Return which triggers are among some words."""
    among: np.ndarray = np.any(meets[:, few], axis=1)
    return among


def _places(one: Explained) -> tuple[list[tuple[str, int, int]], Int[np.ndarray, " word"]]:
    """Return the section and characters of each word, and the number of its sentence."""
    layout, input_ = one.sample.note_layout, one.perturbed.function.inputs["note"]
    assert isinstance(input_, SentenceInput | WordInput)
    sentences = [
        next(
            number
            for number, sentence in enumerate(layout.sentences)
            if sentence.note == word.note and sentence.start <= word.start < sentence.end
        )
        for word in input_.words
    ]
    return [(layout.section(word), word.start, word.end) for word in input_.words], np.array(sentences)


def _on_causes(truth: Truth, about: Sequence[Explained], method: str, modality: str) -> tuple[Estimate, Estimate]:
    """Measure the share of scores, summed by code, on causes; by chance it is their share of the codes."""
    causal = set(truth.causes.get(modality, ()))
    shares, chances = [], []
    for one in about:
        scores = one.scores[method].units.get(modality)
        if scores is None or not causal:
            continue
        function = one.perturbed.function
        made = EXPLANATIONS[modality].attribution(one.sample, function.inputs[modality], torch.from_numpy(scores))
        assert isinstance(made, StructuredAttribution | SeriesAttribution)
        sizes = {code: abs(score) for code, score in made.by_code if score}
        if sizes:
            on = sum(size for code, size in sizes.items() if code in causal)
            shares.append((one.sample.subject_id, on / sum(sizes.values())))
            chances.append((one.sample.subject_id, len(causal & sizes.keys()) / len(sizes)))
    return mean("share_on_causes", shares), mean("share_on_causes", chances)
