"""Reliability of an explanation: its baseline, completeness, and the audit of its method."""

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
from polyclinic.explain.methods.integrated_gradients import METHOD
from polyclinic.explain.methods.unit_scores import METHODS
from polyclinic.models.bundle.bundle import Bundle

BASELINES = {
    "zero": "black images, zero word vectors, numbers at the training median",
    "usual": "the usual development image, words at their usual frequency, numbers at the training median",
    "blurred": "blurred images, zero word vectors, numbers at the training median",
    "mean": "the mean image, word and numbers of training",
}
NETWORKS_ONLY = "the audit examined the explanations of the networks alone, not those of the classical models"
EXACT = "it is computed from predictions alone and needs no check with random weights"


def audited(bundle: Bundle, attribution: Attribution) -> bool:
    """Return whether an audit covers the attribution: only the default baseline is audited."""
    return attribution.baseline in (None, usual_of(bundle.reference).name)


@dataclass(frozen=True)
class Trust:
    """Reliability of one explanation."""

    method: str
    baseline: str | None = None  # None: not used
    completeness: Completeness | None = None  # of integrated gradients
    residual: float | None = None  # rounding error of exact values
    verdict: Verdict | None = None  # of the bundle's audit; None: not audited
    exact: bool = False

    @classmethod
    def of(cls, bundle: Bundle, attribution: Attribution) -> Trust:
        """Return the reliability of an attribution, with the verdict of the bundle's audit."""
        method = attribution.method
        verdict = stored_verdicts(bundle).get(method) if audited(bundle, attribution) else None
        return cls(method, attribution.baseline, attribution.completeness, None, verdict)

    @property
    def gap(self) -> float | None:
        """Completeness gap; None if unknown."""
        gap = self.completeness.gap if self.completeness else None
        return gap if gap is not None and isfinite(gap) else None

    @property
    def failed(self) -> bool:
        """Whether the method failed the check with random weights."""
        return self.verdict is not None and not self.verdict.passed

    @property
    def checked(self) -> str:
        """Result of the audit, in a few words."""
        if self.verdict is None:
            return "not audited"
        return "passed the audit's sanity check" if self.verdict.passed else "FAILED the audit's sanity check"

    @property
    def in_short(self) -> str:
        """One-line summary, for the caption of a plot."""
        if self.exact:
            return f"exact {self.method.capitalize()} values"
        baseline = f" from {self.baseline}" if self.baseline else ""
        gap = f", gap {percent(self.gap, 1)}" if self.gap is not None else ""
        return f"{self.method.replace('_', ' ')}{baseline}{gap}; {self.checked}"

    def lines(self) -> Iterator[Text]:
        """Yield baseline, completeness and audit."""
        yield Text(f"baseline: {self.baseline}, {BASELINES[self.baseline]}" if self.baseline else "baseline: none")
        yield Text(f"completeness: {self._completeness()}")
        if self.failed:
            assert self.verdict is not None
            yield Text(f"{self.method} {self.checked}: do not rely on it; it {self.verdict.reason}", style=WARNING)
        elif self.exact:
            yield Text(f"sanity: {self.method} is exact; {EXACT}")
        elif self.verdict is None:
            remedy = "run `polyclinic explain-audit`" if self.method in METHODS else "no audit checks this method"
            yield Text(f"sanity: {self.method} is not audited on this bundle; {remedy}")
        else:
            yield Text(f"sanity: {self.method} {self.checked}: it {self.verdict.reason}")
        if self.verdict is not None and self.method == METHOD:
            yield Text(NETWORKS_ONLY)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
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
            return "not applicable; there are no scores to sum"
        if self.completeness is None:
            return "none; the scores show locations, not amounts"
        whole = self.completeness
        gap = percent(self.gap, 1) if self.gap is not None else "an unknown size"
        return (
            f"all contributions sum to {signed(whole.total)}; the answer changed from "
            f"{signed(whole.reference)} at the baseline to {signed(whole.value)}: a gap of {gap}, "
            f"over {whole.steps} gradients"
        )
