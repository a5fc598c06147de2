"""How far an explanation is to be trusted: where it began, whether it adds up, whether its method passed the audit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from rich.text import Text

from polyclinic.cli.explain.formatting import WARNING
from polyclinic.evaluation.estimate import percent
from polyclinic.explain.attribution import Attribution, Completeness
from polyclinic.explain.audit.record import Verdict, stored_verdicts
from polyclinic.explain.display.labels import signed
from polyclinic.explain.inputs.baseline import usual_of
from polyclinic.explain.methods.unit_scores import METHODS
from polyclinic.models.bundle.bundle import Bundle

STARTS = {
    "zero": "black pictures, words without meaning, numbers at the training median",
    "usual": "the usual picture of development, words said as often as usual, numbers at the training median",
    "blurred": "blurred pictures, words without meaning, numbers at the training median",
    "mean": "the mean picture, word and numbers of training",
}
EXACT = "it asks the models themselves, and needs no check of random weights"


def audited(bundle: Bundle, found: Attribution) -> bool:
    """Tell whether an audit's figures are about such an attribution: it measures the baseline that is shown alone."""
    return found.baseline in (None, usual_of(bundle.reference).name)


@dataclass(frozen=True)
class Trust:
    """What stands beside every explanation."""

    method: str
    baseline: str | None = None  # None: the method has none
    completeness: Completeness | None = None  # of integrated gradients
    residual: float | None = None  # of exact values: their rounding error
    verdict: Verdict | None = None  # of the audit beside the bundle; None: there is none of this method
    exact: bool = False

    @classmethod
    def of(cls, bundle: Bundle, found: Attribution) -> Trust:
        """Read it off an attribution, and off the audit beside the bundle."""
        verdict = stored_verdicts(bundle).get(found.method) if audited(bundle, found) else None
        return cls(found.method, found.baseline, found.completeness, None, verdict)

    @property
    def gap(self) -> float | None:
        """The completeness gap; None where it cannot be told."""
        gap = self.completeness.gap if self.completeness else None
        return gap if gap is not None and isfinite(gap) else None

    @property
    def failed(self) -> bool:
        """Whether the method failed the check of random weights."""
        return self.verdict is not None and not self.verdict.passed

    @property
    def checked(self) -> str:
        """What the audit says of the method, in a few words."""
        if self.verdict is None:
            return "not audited"
        return "passed the audit's sanity check" if self.verdict.passed else "FAILED the audit's sanity check"

    @property
    def in_short(self) -> str:
        """Say it in a line, for the foot of a plot."""
        if self.exact:
            return f"exact {self.method.capitalize()} values"
        began = f" from {self.baseline}" if self.baseline else ""
        gap = f", gap {percent(self.gap, 1)}" if self.gap is not None else ""
        return f"{self.method.replace('_', ' ')}{began}{gap}; {self.checked}"

    def lines(self) -> Iterator[Text]:
        """Say it in whole."""
        yield Text(f"baseline: {self.baseline}, {STARTS[self.baseline]}" if self.baseline else "baseline: none")
        yield Text(f"completeness: {self._completeness()}")
        if self.failed:
            assert self.verdict is not None
            yield Text(f"{self.method} {self.checked}: do not rely on it; it {self.verdict.reason}", style=WARNING)
        elif self.exact:
            yield Text(f"sanity: {self.method} is exact; {EXACT}")
        elif self.verdict is None:
            how = "`polyclinic explain-audit` does it" if self.method in METHODS else "no audit checks this method"
            yield Text(f"sanity: {self.method} is not audited on this bundle; {how}")
        else:
            yield Text(f"sanity: {self.method} {self.checked}: it {self.verdict.reason}")

    def to_dict(self) -> dict[str, Any]:
        """Give JSON values."""
        whole = self.completeness
        return {
            "method": self.method,
            "baseline": self.baseline,
            "completeness": asdict(whole) | {"residual": whole.residual, "gap": self.gap} if whole else None,
            "residual": self.residual,
            "sanity": {
                "checked": self.verdict is not None,
                "passed": None if self.verdict is None else self.verdict.passed,
                "reason": self.verdict.reason if self.verdict else EXACT if self.exact else None,
            },
        }

    def _completeness(self) -> str:
        if self.residual is not None:
            return f"exact, to within {abs(self.residual):.0e}" if self.residual else "exact"
        if self.exact:
            return "not asked; there are no scores to add up"
        if self.completeness is None:
            return "none; the scores show places, not amounts, and add up to nothing that could be checked"
        whole = self.completeness
        gap = percent(self.gap, 1) if self.gap is not None else "more than can be told"
        return (
            f"all inputs together add {signed(whole.total)}, the networks went from {signed(whole.reference)} at the "
            f"baseline to {signed(whole.value)}: a gap of {gap}, after {whole.steps} gradients"
        )
