"""Inputs that predict an outcome almost perfectly alone: more often a leak than a discovery.

Every column that the models read is compared with the targets of the development subjects, as known at the prediction
time, by the latest sample of each. An input is reported if, with the probability of chance over all columns below
`CHANCE`,

- its AUROC is at least .98 or at most .02 (binary; each label; each class; the event of time to event), with at least
  `FEWEST` subjects of each class in which it is known;
- its Spearman correlation with the number (regression), or with the time of observed events, is at least .98 in size;
- it occurs in at least `FEWEST` subjects, all of one class; where there are several classes or labels, of which signs
  may be typical, these must be at least half of the class.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from polyclinic.evaluation.estimate import decimal
from polyclinic.evaluation.metrics.separation import chance_of_one_class, separations, spearman
from polyclinic.features.feature_set import FeatureSet
from polyclinic.features.note.featurizer import UNKNOWN, NoteFeaturizer
from polyclinic.features.structured.columns import COUNT
from polyclinic.features.structured.featurizer import StructuredFeaturizer
from polyclinic.models.classical.columns.base import DesignOptions
from polyclinic.models.classical.design_matrix import COLUMNS, PRESENT
from polyclinic.tasks import Targets, Task
from polyclinic.training.data.dataset import Examples

NEAR_PERFECT = 0.98
FEWEST = 10
"""Subjects of a class, or with an input, below which nothing is reported."""
FEWEST_PAIRS = 20
"""Subjects below which a correlation is not judged."""
CHANCE = 0.001
"""Probability of chance, over all columns of a task."""
NAMED = 5
"""Inputs that a caution names."""
OPTIONS = DesignOptions(terms=2000)
MOST_WORDS = 2000
MOST_SUBJECTS = 10_000
"""Subjects that are compared, drawn at random if there are more."""
EMBEDDINGS = ("sentences", "tokens", "pooled")
"""Arrays whose columns have no names, and are not compared."""


class Leak(NamedTuple):
    """An input that predicts an outcome almost perfectly."""

    column: str
    code: str
    words: str  # the figure
    strength: float  # to sort by


@dataclass(frozen=True)
class InputColumns:
    """What the models read, as columns; NaN where unknown."""

    values: Float[np.ndarray, "sample column"]
    names: tuple[str, ...]
    codes: tuple[str, ...]  # from which each column is computed, or its name
    is_mark: Bool[np.ndarray, " column"]  # above 0 where something occurs

    def leak(self, place: int, words: str, strength: float) -> Leak:
        """Return the leak of one column."""
        return Leak(self.names[place], self.codes[place], words, strength)


def leak_cautions(tasks: Sequence[Task], features: FeatureSet, examples: Examples) -> dict[str, tuple[str, ...]]:
    """Return a caution for each task that has such inputs."""
    examples = compared(tasks, examples)
    columns = input_columns(features, examples)
    found = {task.name: leaks_of(task, columns, examples.targets[task.name], examples.subjects) for task in tasks}
    return {name: (_caution(name, leaks),) for name, leaks in found.items() if leaks}


def compared(tasks: Sequence[Task], examples: Examples) -> Examples:
    """Return the examples that the tasks compare, so that no columns are made of others; all, if they are few."""
    if len(examples) <= MOST_SUBJECTS:
        return examples
    rows = np.unique(
        np.concatenate([_latest(examples.subjects, examples.targets[task.name].observed) for task in tasks])
    )
    return Examples(
        {
            modality: {name: array[rows] for name, array in own.items() if name not in EMBEDDINGS}
            for modality, own in examples.arrays.items()
        },
        {name: Targets(target.values[rows], target.observed[rows]) for name, target in examples.targets.items()},
        examples.subjects[rows],
    )


def input_columns(features: FeatureSet, examples: Examples) -> InputColumns:
    """Return the columns that have names: structured features, series, words of notes, and what is present."""
    parts = [part for modality in features.modalities for part in _parts(modality, features, examples)]
    names = tuple(name for names, _, _ in parts for name in names)
    code_of = _structured_codes(features)
    return InputColumns(
        np.hstack([np.zeros((len(examples), 0), np.float32), *(values.astype(np.float32) for _, values, _ in parts)]),
        names,
        tuple(code_of.get(name, name) for name in names),
        np.concatenate([np.zeros(0, dtype=bool), *(is_mark for _, _, is_mark in parts)]),
    )


_Part = tuple[Sequence[str], np.ndarray, np.ndarray]
"""Names, values, and which columns mark what occurs."""


def _parts(modality: str, features: FeatureSet, examples: Examples) -> Iterator[_Part]:
    arrays = {name: array for name, array in examples.arrays[modality].items() if name not in EMBEDDINGS}
    present = np.asarray(arrays["present"], dtype=bool)
    yield [f"{modality}{PRESENT}"], present[:, None].astype(float), np.ones(1, dtype=bool)
    if modality == "note" and "tfidf" not in arrays and "words" in arrays:
        yield _words(features, np.asarray(arrays["words"]), present)
    elif modality in ("structured", "series", "note"):
        source = COLUMNS[modality].fit(arrays, features.names()[modality], np.arange(len(present)), OPTIONS)
        for part in source.parts(arrays, set(features.modalities) - {modality}):
            values = np.where(present[:, None], part.values, np.nan)
            marks = [modality == "note" or name.endswith(f" {COUNT}") or " = " in name for name in part.names]
            yield part.names, values, np.array(marks, dtype=bool)


def _words(features: FeatureSet, words: np.ndarray, present: np.ndarray) -> _Part:
    """Return a column per word of the notes that enough samples have, 1 where it occurs."""
    note = features.featurizers["note"]
    vocabulary = note.vocabulary if isinstance(note, NoteFeaturizer) else []
    pairs = np.unique(np.stack([np.nonzero(words)[0], words[words != 0]]), axis=1)
    counts = np.bincount(pairs[1], minlength=len(vocabulary))
    frequent = np.flatnonzero((counts >= FEWEST) & (np.arange(len(counts)) > UNKNOWN))[:MOST_WORDS]
    place = np.full(len(counts), -1)
    place[frequent] = np.arange(len(frequent))
    values = np.where(present[:, None], np.zeros((len(present), len(frequent))), np.nan)
    kept = place[pairs[1]] >= 0
    values[pairs[0][kept], place[pairs[1][kept]]] = 1.0
    return [f"note {vocabulary[word]}" for word in frequent], values, np.ones(len(frequent), dtype=bool)


def _structured_codes(features: FeatureSet) -> Mapping[str, str]:
    structured = features.featurizers.get("structured")
    if not isinstance(structured, StructuredFeaturizer):
        return {}
    return {column.name: column.code for column in structured.layout.columns}


def leaks_of(task: Task, columns: InputColumns, target: Targets, subjects: np.ndarray) -> tuple[Leak, ...]:
    """Return the inputs that give a task's answer away, the nearest to perfect first, one per code."""
    rows = _latest(subjects, target.observed)
    found: dict[str, Leak] = {}
    for leak in sorted(
        _leaks(task, columns, target.values[rows], columns.values[rows]), key=lambda leak: -leak.strength
    ):
        found.setdefault(leak.code, leak)
    return tuple(found.values())


def _latest(subjects: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Return the last labelled sample of each subject, of at most `MOST_SUBJECTS`."""
    usable = np.flatnonzero(observed)
    _, last = np.unique(subjects[usable][::-1], return_index=True)
    rows = usable[::-1][last]
    if len(rows) > MOST_SUBJECTS:
        rows = np.random.default_rng(0).choice(rows, MOST_SUBJECTS, replace=False)
    return np.sort(rows)


def _leaks(task: Task, columns: InputColumns, targets: np.ndarray, values: np.ndarray) -> Iterator[Leak]:
    if task.kind == "regression":
        yield from _correlated(columns, values, targets[:, 0], task.name)
    elif task.kind == "time_to_event":
        happened = targets[:, 1] > 0.5
        yield from _separating(columns, values, happened[:, None], [("the event", "no event")])
        yield from _correlated(columns, values[happened], targets[happened, 0], "the time of the event")
    elif task.kind == "binary":
        yield from _separating(columns, values, targets > 0.5, [("yes", "no")])
    else:
        others = [f"no {name}" if task.kind == "multilabel" else "" for name in task.outputs]
        yield from _separating(columns, values, targets > 0.5, list(zip(task.outputs, others, strict=True)))


def _separating(
    columns: InputColumns, values: np.ndarray, truths: np.ndarray, answers: Sequence[tuple[str, str]]
) -> Iterator[Leak]:
    outputs = len(answers)
    chance = CHANCE / max(values.shape[1] * outputs, 1)
    for truth, names, measured in zip(truths.T, answers, separations(values, truths), strict=True):
        of = "" if outputs == 1 else f" for {names[0]}"
        figure = np.maximum(measured.auroc, 1 - measured.auroc)
        enough = np.minimum(measured.positives, measured.negatives) >= FEWEST
        for place in np.flatnonzero((figure >= NEAR_PERFECT) & enough & (measured.chance < chance)):
            words = f"AUROC {decimal(float(figure[place]))} alone{of}"
            yield columns.leak(int(place), words, float(figure[place]))
        yield from _of_one_class(columns, values, truth, names, outputs)


def _of_one_class(
    columns: InputColumns, values: np.ndarray, truth: np.ndarray, answers: tuple[str, str], outputs: int
) -> Iterator[Leak]:
    tested = max(values.shape[1] * outputs, 1)
    marked = columns.is_mark & (values > 0)  # NaN is not
    present = marked.sum(axis=0)
    for answer, of_class in zip(answers, (truth, ~truth), strict=True):
        if answer:
            size = int(of_class.sum())
            alone = (present >= FEWEST) & ((marked & of_class[:, None]).sum(axis=0) == present)
            alone &= (outputs == 1) | (2 * present >= size)
            chance = chance_of_one_class(present, size, len(truth))
            for place in np.flatnonzero(alone & (chance < CHANCE / tested)):
                expected = present[place] * of_class.mean()
                words = (
                    f"all {present[place]:,} who have it are {answer}, where {decimal(float(expected), 1)} are expected"
                )
                yield columns.leak(int(place), words, NEAR_PERFECT * present[place] / size)


def _correlated(columns: InputColumns, values: np.ndarray, numbers: np.ndarray, what: str) -> Iterator[Leak]:
    rho, known = spearman(values, numbers)
    for place in np.flatnonzero((np.abs(rho) >= NEAR_PERFECT) & (known >= FEWEST_PAIRS)):
        figure = decimal(float(rho[place]), sign=False)
        yield columns.leak(int(place), f"Spearman correlation {figure} with {what}", float(abs(rho[place])))


def _caution(task: str, leaks: Sequence[Leak]) -> str:
    named = "; ".join(f"{leak.column} ({leak.words})" for leak in leaks[:NAMED])
    more = f"; and {len(leaks) - NAMED:,} more" if len(leaks) > NAMED else ""
    return (
        f"In development, inputs predict {task} almost perfectly alone, and may reveal the outcome: {named}{more}. "
        "Check when they are recorded: give the true time in the mapping, or add their codes to the task's "
        "inputs.exclude."
    )
