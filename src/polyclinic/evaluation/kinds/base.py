"""What every kind of task is measured by: its figures, on everyone, by group, and on each bootstrap resample."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from polyclinic.evaluation.arrays import Array, Labels
from polyclinic.evaluation.bootstrap import METHOD, Bootstrap, percentiles
from polyclinic.evaluation.estimate import Difference, Estimate
from polyclinic.evaluation.results import Pictures, Row

SMALL = 50  # subjects below which a group's figures carry a caution
FEW_CASES = 10  # positives (or negatives) below which they do

Statistic = Callable[[Array, Array, Array], Array]
Obstacle = Callable[[Array, Array], str]


@dataclass(frozen=True)
class Metric:
    """A figure that is bootstrapped: `statistic(y, p, weights)` gives one value per row of weights, or NaN.

    `obstacle(y, p)` says why it cannot be estimated, or nothing.
    """

    name: str
    statistic: Statistic
    obstacle: Obstacle

    def at(self, y: Array, p: Array) -> float:
        """Give the figure's value on the samples as they are; NaN where it has none."""
        return float("nan") if self.obstacle(y, p) else float(self.statistic(y, p, np.ones(len(y))))

    def figure(self, y: Array, p: Array, draws: Float[Array, " resample"]) -> Estimate:
        """Give the figure with the 95 % interval that its resampled values make."""
        reason = self.obstacle(y, p)
        if reason:
            return Estimate.missing(self.name, len(y), reason)
        value = self.at(y, p)
        low, high, reason = percentiles(draws)
        return Estimate.of(self.name, value, (low, high), len(y), METHOD, reason or "it could not be computed")


class Known(NamedTuple):
    """The samples whose answer is known: which they are, their truths and their predictions."""

    rows: Bool[Array, " sample"]
    y: Array
    p: Array


class Kind(ABC):
    """One kind of task. `y` and `p` have one row per sample, so that a group is a choice of rows."""

    name: ClassVar[str]
    headline: ClassVar[Sequence[str]]  # the figures by which models are compared

    @property
    @abstractmethod
    def metrics(self) -> tuple[Metric, ...]:
        """The bootstrapped figures."""

    @abstractmethod
    def read(self, y: Labels, p: Labels, observed: Labels | None) -> Known:
        """Check truths and predictions and keep the observed ones; raises `ValueError` where they cannot be meant."""

    @abstractmethod
    def figures(
        self, y: Array, p: Array, subjects: Labels | None, draws: Float[Array, "resample metric"]
    ) -> dict[str, Estimate]:
        """Give every figure; those without a formula for their interval take it from the resampled metrics."""

    def cases(self, y: Array) -> int | None:  # noqa: ARG002
        """Count the positives or events; None where the task has no such thing."""
        return None

    def strata(self, y: Array) -> Array:
        """Give what a stratified bootstrap keeps fixed (by default nothing)."""
        return np.zeros(len(y), dtype=int)

    def pictures(self, y: Array, p: Array, subjects: Labels | None, bootstrap: Bootstrap | None) -> Pictures:  # noqa: ARG002
        """Give what the plots draw; curves have bands only if there is a `bootstrap`."""
        return Pictures()

    def classes(self, y: Array, p: Array, subjects: Labels | None, bootstrap: Bootstrap) -> tuple[Row, ...]:  # noqa: ARG002
        """Give the figures of each class or label, for tasks that have several."""
        return ()

    def paired(
        self,
        metric: str,  # noqa: ARG002
        y: Array,  # noqa: ARG002
        p: Array,  # noqa: ARG002
        reference: Array,  # noqa: ARG002
        subjects: Labels | None,  # noqa: ARG002
    ) -> Difference | None:
        """Test a difference by a formula; None where there is none, and the bootstrap is used."""
        return None

    def resample(
        self, y: Array, p: Array, subjects: Labels | None, bootstrap: Bootstrap
    ) -> Float[Array, "resample metric"]:
        """Compute every metric on every resample; NaN in the columns of those that cannot be estimated."""

        def statistic(weights: Array) -> Array:
            nothing = np.full(len(weights), np.nan)
            columns = [nothing if m.obstacle(y, p) else m.statistic(y, p, weights) for m in self.metrics]
            return np.stack(columns, axis=-1)

        draws = bootstrap.draws(statistic, len(y), subjects, self.strata(y), self.rows_at_once(len(y)))
        return draws if len(draws) else np.empty((0, len(self.metrics)))

    def rows_at_once(self, n: int) -> int | None:  # noqa: ARG002
        """Say how many resamples of `n` samples to compute together, where the default does not suit."""
        return None

    def bootstrapped(self, y: Array, p: Array, draws: Float[Array, "resample metric"]) -> dict[str, Estimate]:
        """Give the figures of `metrics` from their resampled values."""
        return {m.name: m.figure(y, p, draws[:, column]) for column, m in enumerate(self.metrics)}


def caution(subjects: int, n: int, cases: int | None, small: int = SMALL, balanced: bool = True) -> str:
    """Say why a group or class is too small to trust, or nothing; `balanced`: those without the outcome count too."""
    if subjects < small:
        return f"only {subjects} subjects"
    if cases is not None and cases < FEW_CASES:
        return f"only {cases} with the outcome" if cases else "nobody with the outcome"
    if cases is not None and balanced and n - cases < FEW_CASES:
        return f"only {n - cases} without the outcome" if n > cases else "everybody with the outcome"
    return ""


def kept_rows(observed: Labels | None, n: int) -> Bool[Array, " sample"]:
    """Read the mask of the samples whose answer is known; all of them if there is no mask."""
    if observed is None:
        return np.ones(n, dtype=bool)
    rows = np.asarray(observed)
    if rows.shape != (n,) or rows.dtype != bool:
        raise ValueError(f"observed must be {n} Booleans, one per sample")
    return rows


def no_samples(y: Array, p: Array) -> str:  # noqa: ARG001
    """Say that there are no samples, if so."""
    return "" if len(y) else "no samples"
