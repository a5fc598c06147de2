"""Time-to-event tasks with censoring."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float

from polyclinic.evaluation.arrays import Array, Labels, Scores, as_matrix, as_probabilities, as_scores
from polyclinic.evaluation.bootstrap import Bootstrap
from polyclinic.evaluation.estimate import Estimate
from polyclinic.evaluation.kinds.base import Kind, Metric, ObservedSamples, kept_rows
from polyclinic.evaluation.metrics import survival
from polyclinic.evaluation.results import PlotData

FOLLOWED = 10  # samples that must still be followed at a time for figures at that time
RESAMPLES_AT_ONCE = 500  # pairs are compared once per batch of resamples


@dataclass(frozen=True)
class TimeToEvent(Kind):
    """Truths are [duration, 1 for an event or 0 for censoring] per sample, in the unit of `times`.

    Predictions are the probabilities to be event-free at each of `times`; without `times`, a risk score, higher for
    earlier events. Figures cover the time in which at least ten samples are followed. `horizons` are among `times`.
    """

    times: tuple[float, ...] = ()
    horizons: tuple[float, ...] = ()

    name: ClassVar[str] = "time_to_event"
    headline: ClassVar[tuple[str, ...]] = ("harrell_c", "uno_c", "integrated_brier")

    def __post_init__(self) -> None:
        if list(self.times) != sorted(set(self.times)) or any(time <= 0 for time in self.times):
            raise ValueError("times are above zero and ascend")
        invalid = [horizon for horizon in self.horizons if horizon not in self.times]
        if invalid:
            raise ValueError(f"horizon {invalid[0]:g} is not among the times of the predicted survival")

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The bootstrapped figures."""
        found = [
            Metric("harrell_c", self._harrell, _no_pairs),
            Metric("uno_c", self._uno, _no_pairs_while_followed),
        ]
        if self.times:
            found.append(Metric("integrated_brier", self._integrated_brier, self._unfollowed))
        for horizon in self.horizons:
            obstacle = partial(_not_reached, horizon=horizon)
            found.append(Metric(f"brier@{horizon:g}", partial(self._brier_at, horizon=horizon), obstacle))
            name = f"observed_over_expected@{horizon:g}"
            found.append(Metric(name, partial(self._observed_over_expected, horizon=horizon), obstacle))
        return tuple(found)

    def read(self, y: Labels, p: Labels, observed: Labels | None) -> ObservedSamples:
        """Select the observed samples: durations of zero or more, event flags, and risks or survival probabilities."""
        truth, predicted = np.asarray(y, dtype=np.float64), np.asarray(p, dtype=np.float64)
        if truth.ndim != 2 or truth.shape[1] != 2:
            raise ValueError(f"truths of shape {truth.shape}: give a duration and an event flag per sample")
        rows = kept_rows(observed, len(truth))
        if len(predicted) != len(rows):
            raise ValueError(f"{len(predicted)} predictions for {len(rows)} samples")
        truth, predicted = as_matrix(truth[rows], int(rows.sum()), 2, "truths"), predicted[rows]
        if (truth[:, 0] < 0).any() or not np.isin(truth[:, 1], (0, 1)).all():
            raise ValueError("durations are zero or more, and event flags 0 or 1")
        if self.times:
            as_probabilities(as_matrix(predicted, len(truth), len(self.times)))
        else:
            as_scores(predicted, len(truth))
        return ObservedSamples(rows, truth, predicted)

    def figures(
        self,
        y: Array,
        p: Array,
        subjects: Labels | None,  # noqa: ARG002
        draws: Float[Array, "resample metric"],
    ) -> dict[str, Estimate]:
        """Return concordance and, where survival is predicted, Brier scores and calibration."""
        return self.bootstrapped(y, p, draws)

    def is_case(self, y: Array) -> Bool[Array, " sample"]:
        """Return the events."""
        return np.asarray(y[:, 1], dtype=bool)

    def strata(self, y: Array) -> Array:
        """Return the event flag as stratum."""
        return y[:, 1].astype(int)

    def rows_at_once(self, n: int) -> int:  # noqa: ARG002
        """Return `RESAMPLES_AT_ONCE`."""
        return RESAMPLES_AT_ONCE

    def plot_data(self, y: Array, p: Array, subjects: Labels | None, bootstrap: Bootstrap | None) -> PlotData:  # noqa: ARG002
        """Return predicted against observed risk at each horizon with enough samples followed."""
        reached = [horizon for horizon in self.horizons if not _not_reached(y, p, horizon)]
        return PlotData(
            reliability={
                f"{horizon:g}": survival.horizon_reliability(y[:, 0], y[:, 1] == 1, self._at(p, horizon), horizon)
                for horizon in reached
            }
        )

    def risk(self, p: Array) -> Scores:
        """Return one risk per sample: the score itself, or minus the mean event-free time within `times`."""
        if not self.times:
            return p
        times = np.array((0.0, *self.times))
        area: Scores = np.trapezoid(np.column_stack([np.ones(len(p)), p]), times, axis=1)
        return -area

    def _at(self, p: Array, horizon: float) -> Scores:
        return np.asarray(p[:, self.times.index(horizon)])

    def _harrell(self, y: Array, p: Array, weights: Array) -> Array:
        return survival.harrell_c(y[:, 0], y[:, 1] == 1, self.risk(p), weights)

    def _uno(self, y: Array, p: Array, weights: Array) -> Array:
        return survival.uno_c(y[:, 0], y[:, 1] == 1, self.risk(p), weights, until=_still_followed(y))

    def _followed_times(self, y: Array) -> Array:
        times = np.array(self.times)
        return times[times < _still_followed(y)]

    def _unfollowed(self, y: Array, p: Array) -> str:  # noqa: ARG002
        enough = len(self._followed_times(y)) >= 2
        return "" if enough else f"fewer than two of the times have {FOLLOWED} samples still followed"

    def _integrated_brier(self, y: Array, p: Array, weights: Array) -> Array:
        times = self._followed_times(y)
        return survival.integrated_brier(y[:, 0], y[:, 1] == 1, p[:, : len(times)], times, weights)

    def _brier_at(self, y: Array, p: Array, weights: Array, horizon: float) -> Array:
        column = self._at(p, horizon)[:, None]
        return survival.brier_at(y[:, 0], y[:, 1] == 1, column, np.array([horizon]), weights)[..., 0]

    def _observed_over_expected(self, y: Array, p: Array, weights: Array, horizon: float) -> Array:
        return survival.observed_over_expected(y[:, 0], y[:, 1] == 1, self._at(p, horizon), horizon, weights)


def _still_followed(y: Array) -> float:
    """Return the time until which ten samples are followed; −∞ for fewer samples."""
    return float(np.sort(y[:, 0])[-FOLLOWED]) if len(y) >= FOLLOWED else -np.inf


def _no_pairs(y: Array, p: Array, until: float = np.inf) -> str:  # noqa: ARG001
    if not len(y):
        return "no samples"
    time, event = y[:, 0], y[:, 1] == 1
    if not event.any():
        return f"no events among {len(y)} samples"
    counted = event & (time < until)
    if not counted.any():
        return f"no events while {FOLLOWED} samples are still followed"
    first = time[counted].min()
    usable = ((time > first) | ((time == first) & ~event)).any()
    return "" if usable else "no follow-up beyond the first event"


def _no_pairs_while_followed(y: Array, p: Array) -> str:
    return _no_pairs(y, p, _still_followed(y)) if len(y) else "no samples"


def _not_reached(y: Array, p: Array, horizon: float) -> str:  # noqa: ARG001
    followed = int((y[:, 0] > horizon).sum()) if len(y) else 0
    return "" if followed >= FOLLOWED else f"only {followed} samples are followed beyond {horizon:g}"
