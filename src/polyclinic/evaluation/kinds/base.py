"""The base class of the kinds of task: their figures, on all samples, by group, and on bootstrap resamples."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from polyclinic.evaluation.arrays import Array, Labels
from polyclinic.evaluation.bootstrap import METHOD, Bootstrap, percentiles
from polyclinic.evaluation.estimate import Difference, Estimate
from polyclinic.evaluation.results import PlotData, Row

SMALL = 50  # subjects below which a group's figures carry a caution
FEW_CASES = 10  # positives (or negatives) below which those of a class carry one

Statistic = Callable[[Array, Array, Array], Array]
Obstacle = Callable[[Array, Array], str]


@dataclass(frozen=True)
class Metric:
    """A bootstrapped figure: `statistic(y, p, weights)` returns one value per row of weights, or NaN.

    `obstacle(y, p)` returns the reason why it cannot be estimated, or an empty string.
    """

    name: str
    statistic: Statistic
    obstacle: Obstacle

    def at(self, y: Array, p: Array) -> float:
        """Return the value on the samples; NaN where it cannot be estimated."""
        return float("nan") if self.obstacle(y, p) else float(self.statistic(y, p, np.ones(len(y))))

    def figure(self, y: Array, p: Array, draws: Float[Array, " resample"]) -> Estimate:
        """Return the figure with the 95 % interval of its resampled values."""
        reason = self.obstacle(y, p)
        if reason:
            return Estimate.missing(self.name, len(y), reason)
        value = self.at(y, p)
        low, high, reason = percentiles(draws)
        return Estimate.of(self.name, value, (low, high), len(y), METHOD, reason or "it could not be computed")


class ObservedSamples(NamedTuple):
    """The samples with a known truth: their mask, truths and predictions."""

    rows: Bool[Array, " sample"]
    y: Array
    p: Array


class Kind(ABC):
    """A kind of task; `y` and `p` have one row per sample."""

    name: ClassVar[str]
    headline: ClassVar[Sequence[str]]  # the figures by which models are compared

    @property
    @abstractmethod
    def metrics(self) -> tuple[Metric, ...]:
        """The bootstrapped figures."""

    @abstractmethod
    def read(self, y: Labels, p: Labels, observed: Labels | None) -> ObservedSamples:
        """Check truths and predictions, and select the observed samples; raise `ValueError` where they are invalid."""

    @abstractmethod
    def figures(
        self, y: Array, p: Array, subjects: Labels | None, draws: Float[Array, "resample metric"]
    ) -> dict[str, Estimate]:
        """Return every figure; intervals without a formula come from the resampled metrics."""

    def is_case(self, y: Array) -> Bool[Array, " sample"] | None:  # noqa: ARG002
        """Return the mask of the positives or events; None for tasks without."""
        return None

    def cases(self, y: Array) -> int | None:
        """Return the number of positives or events; None for tasks without."""
        mask = self.is_case(y)
        return None if mask is None else int(mask.sum())

    def strata(self, y: Array) -> Array:
        """Return each sample's stratum for a stratified bootstrap (by default a single stratum)."""
        return np.zeros(len(y), dtype=int)

    def plot_data(self, y: Array, p: Array, subjects: Labels | None, bootstrap: Bootstrap | None) -> PlotData:  # noqa: ARG002
        """Return the data of the plots; curves have bands only if a `bootstrap` is given."""
        return PlotData()

    def classes(self, y: Array, p: Array, subjects: Labels | None, bootstrap: Bootstrap) -> tuple[Row, ...]:  # noqa: ARG002
        """Return the figures of each class or label, for tasks with several."""
        return ()

    def paired(
        self,
        metric: str,  # noqa: ARG002
        y: Array,  # noqa: ARG002
        p: Array,  # noqa: ARG002
        reference: Array,  # noqa: ARG002
        subjects: Labels | None,  # noqa: ARG002
    ) -> Difference | None:
        """Return a difference tested by a formula; None where the bootstrap is to be used."""
        return None

    def resample(
        self, y: Array, p: Array, subjects: Labels | None, bootstrap: Bootstrap
    ) -> Float[Array, "resample metric"]:
        """Compute every metric on every resample; NaN in the columns of metrics that cannot be estimated."""

        def statistic(weights: Array) -> Array:
            missing = np.full(len(weights), np.nan)
            columns = [missing if m.obstacle(y, p) else m.statistic(y, p, weights) for m in self.metrics]
            return np.stack(columns, axis=-1)

        draws = bootstrap.draws(statistic, len(y), subjects, self.strata(y), self.rows_at_once(len(y)))
        return draws if len(draws) else np.empty((0, len(self.metrics)))

    def rows_at_once(self, n: int) -> int | None:  # noqa: ARG002
        """Return the number of resamples of `n` samples to compute at once; None for the default."""
        return None

    def bootstrapped(self, y: Array, p: Array, draws: Float[Array, "resample metric"]) -> dict[str, Estimate]:
        """Return the figures of `metrics` with intervals from their resampled values."""
        return {m.name: m.figure(y, p, draws[:, column]) for column, m in enumerate(self.metrics)}


def caution(
    subjects: int, n: int, cases: int | None, small: int = SMALL, balanced: bool = True, few: int = FEW_CASES
) -> str:
    """Return the reason why a group is too small, or an empty string; `balanced` counts samples without outcome too."""
    if subjects < small:
        return f"only {subjects} subjects"
    if cases is not None and cases < few:
        return f"only {cases} with the outcome" if cases else "no sample with the outcome"
    if cases is not None and balanced and n - cases < few:
        return f"only {n - cases} without the outcome" if n > cases else "everybody with the outcome"
    return ""


def kept_rows(observed: Labels | None, n: int) -> Bool[Array, " sample"]:
    """Check the mask of samples with a known truth; all of them if there is no mask."""
    if observed is None:
        return np.ones(n, dtype=bool)
    rows = np.asarray(observed)
    if rows.shape != (n,) or rows.dtype != bool:
        raise ValueError(f"observed must be {n} Booleans, one per sample")
    return rows


def no_samples(y: Array, p: Array) -> str:  # noqa: ARG001
    """Return "no samples" for an empty array, otherwise an empty string."""
    return "" if len(y) else "no samples"
