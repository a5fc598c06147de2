"""How the inputs of some samples differ from those of development, in words and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from scipy.special import bdtrc

from polyclinic.models.bundle.outliers import OUTLIER_QUANTILE
from polyclinic.models.bundle.value_ranges import CHANCE, UnusualCode

MOST_CODES = 10
"""Codes that are described."""


@dataclass(frozen=True)
class Shift:
    """What differs from development."""

    samples: int = 0  # with any input
    unlike: int | None = None  # of them, those that an assessment calls unlike development; None: not measured
    codes: tuple[UnusualCode, ...] = ()  # with values outside what training saw
    ignored: Mapping[str, int] = field(default_factory=dict)  # events of codes that training did not have

    @property
    def unlike_share(self) -> float | None:
        """The share of the samples with any input that are unlike development; None: not measured."""
        return None if self.unlike is None or not self.samples else self.unlike / self.samples

    @property
    def cautions(self) -> tuple[str, ...]:
        """What limits the answers; empty if the samples are like those of development."""
        return tuple(self._cautions())

    def _cautions(self) -> Iterator[str]:
        if self.unlike and bdtrc(self.unlike - 1, self.samples, 1 - OUTLIER_QUANTILE) < CHANCE:
            yield (
                f"{self.unlike:,} of {self.samples:,} samples are unlike those of development (beyond "
                f"{100 * OUTLIER_QUANTILE:.1f} % of them): an assessment abstains from such answers."
            )
        yield from (f"{unusual}." for unusual in self.codes[:MOST_CODES])
        if len(self.codes) > MOST_CODES:
            yield f"{len(self.codes) - MOST_CODES} more codes have values outside what training saw."

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "with_input": self.samples,
            "unlike_development": self.unlike,
            "unusual_codes": [unusual.to_dict() for unusual in self.codes],
            "ignored_events": dict(self.ignored),
        }
