"""Compare several models, or one model on subsets of its modalities, by paired differences with adjusted p values."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from polyclinic.evaluation.arrays import Array, Labels, subject_codes
from polyclinic.evaluation.bootstrap import Bootstrap, percentiles, two_sided_p
from polyclinic.evaluation.estimate import Difference, Estimate
from polyclinic.evaluation.groups import NO_MODALITY
from polyclinic.evaluation.kinds import Kind, Metric
from polyclinic.evaluation.results import Comparison, Contender

PAIRED = "paired bootstrap by subject, 95 %"


class _Measured(NamedTuple):
    p: Array
    figures: dict[str, Estimate]
    draws: Float[Array, "resample metric"]


def compare(
    kind: Kind,
    y: Labels,
    predictions: Mapping[str, Labels],
    reference: str,
    *,
    subjects: Labels | None = None,
    observed: Labels | None = None,
    bootstrap: Bootstrap | None = None,
    headline: Sequence[str] | None = None,
) -> Comparison:
    """Evaluate every model of `predictions`, and its paired difference from `reference` in the `headline` figures.

    All models share the same resamples. AUROCs are tested by DeLong's method, all else by the paired bootstrap, with p
    values adjusted over the models, for each figure. Raises `ValueError` where the reference is not among the models.
    """
    if reference not in predictions:
        raise ValueError(f"reference {reference!r} is not among the models: {', '.join(predictions)}")
    bootstrap = bootstrap or Bootstrap()
    reads = {name: kind.read(y, p, observed) for name, p in predictions.items()}
    known = reads[reference]
    units = None if subjects is None else np.asarray(subjects)[known.rows]
    measured = {name: _measure(kind, known.y, read.p, units, bootstrap) for name, read in reads.items()}
    names = [name for name in headline or kind.headline if name in measured[reference].figures]
    pairing = _Pairing(kind, known.y, units, measured[reference])
    differences = {
        name: {figure: pairing.difference(figure, model) for figure in names} if name != reference else {}
        for name, model in measured.items()
    }
    _adjust(differences, names)
    contenders = tuple(
        Contender(name, model.figures, differences[name], pictures=kind.plot_data(known.y, model.p, units, None))
        for name, model in measured.items()
    )
    count = subject_codes(units, len(known.y))[1]
    return Comparison(kind.name, len(known.y), count, kind.cases(known.y), reference, tuple(names), contenders)


def by_subset(
    kind: Kind,
    y: Labels,
    predictions: Mapping[Iterable[str], Labels],
    *,
    subjects: Labels | None = None,
    observed: Labels | None = None,
    bootstrap: Bootstrap | None = None,
    headline: Sequence[str] | None = None,
) -> Comparison:
    """Evaluate one model's predictions from each subset of the modalities, compared with the largest subset.

    `predictions` maps a subset (a tuple or frozenset of names) to predictions; the empty subset is named "none".
    """
    subsets = {subset_name(members): tuple(members) for members in predictions}
    named = {subset_name(members): p for members, p in predictions.items()}
    full = max(subsets, key=lambda name: len(subsets[name]))
    found = compare(kind, y, named, full, subjects=subjects, observed=observed, bootstrap=bootstrap, headline=headline)
    contenders = tuple(Contender(c.name, c.figures, c.differences, subsets[c.name]) for c in found.contenders)
    return Comparison(found.kind, found.n, found.subjects, found.cases, full, found.headline, contenders)


def subset_name(members: Iterable[str]) -> str:
    """Return the name of a subset of modalities.

    >>> subset_name(("image", "note")), subset_name(())
    ('image + note', 'none')
    """
    return " + ".join(members if isinstance(members, tuple | list) else sorted(members)) or NO_MODALITY


def _measure(kind: Kind, y: Array, p: Array, subjects: Labels | None, bootstrap: Bootstrap) -> _Measured:
    draws = kind.resample(y, p, subjects, bootstrap)
    return _Measured(p, kind.figures(y, p, subjects, draws), draws)


@dataclass(frozen=True)
class _Pairing:
    """Compares models with a reference."""

    kind: Kind
    y: Array
    subjects: Labels | None
    reference: _Measured

    def difference(self, name: str, model: _Measured) -> Difference:
        """Return the difference of a figure of the model from the reference's."""
        tested = self.kind.paired(name, self.y, model.p, self.reference.p, self.subjects)
        if tested is not None:
            return tested
        for column, metric in enumerate(self.kind.metrics):
            if metric.name == name:
                return self._bootstrapped(metric, model, column)
        raise ValueError(f"{name} cannot be compared: choose from {', '.join(m.name for m in self.kind.metrics)}")

    def _bootstrapped(self, metric: Metric, model: _Measured, column: int) -> Difference:
        n, other = len(self.y), self.reference
        reason = metric.obstacle(self.y, model.p) or metric.obstacle(self.y, other.p)
        if reason:
            return Difference(Estimate.missing(metric.name, n, reason), None)
        gap = metric.at(self.y, model.p) - metric.at(self.y, other.p)
        draws = model.draws[:, column] - other.draws[:, column]
        low, high, reason = percentiles(draws)
        figure = Estimate.of(metric.name, gap, (low, high), n, PAIRED, reason or "it could not be computed")
        return Difference(figure, None if reason else two_sided_p(draws))


def _adjust(differences: dict[str, dict[str, Difference]], names: Sequence[str]) -> None:
    for figure in names:
        models = [model for model, found in differences.items() if found]
        adjusted = holm([differences[model][figure].p for model in models])
        for model, p in zip(models, adjusted, strict=True):
            differences[model][figure] = differences[model][figure].adjusted(p)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjust p values for multiple comparisons (Holm 1979); None stays None and is not counted.

    >>> holm([0.01, None, 0.04, 0.03])
    [0.03, None, 0.06, 0.06]
    """
    ranked = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    floor = 0.0
    for rank, (p, place) in enumerate(ranked):
        floor = max(floor, min(1.0, p * (len(ranked) - rank)))
        adjusted[place] = floor
    return adjusted
