"""Verify that an installation reproduces validated results: files, encoders, and a bundle's synthetic patient."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from polyclinic.features.backbones import WeightsError
from polyclinic.features.cache.encoder_cache import EncoderCache
from polyclinic.models.bundle.golden import Kind, Part
from polyclinic.verification.encoders import encoded, fingerprints

TOLERANCES: Mapping[Kind, float] = {
    "encoder": 1e-4,
    "answer": 2e-4,
    "member": 2e-4,
    "latent": 2e-4,
    "attribution": 1e-2,
}
"""Tolerance, relative to the largest number of a part, or to 1 (to `MIN_SCORE`, for scores) if that is larger.

About ten times the differences observed between numbers of threads, instruction sets (AVX2 and none) and kernels (with
and without oneDNN): answers 1.6e-5, latents 8e-6, attributions 1.3e-3 (ReLU6 switches some pixels' gradients).
"""
MIN_SCORE = 0.01
"""Absolute scale of attribution scores, in log-odds."""
FILES = "files of the bundle"
SHOWN = 12
"""Displayed characters of a fingerprint."""
NO_GOLDEN = (
    "the bundle has no golden outputs, so its predictions and explanations cannot be verified: train it again, with "
    "`polyclinic train` or `polyclinic.fit`"
)
MISSING_WEIGHTS = "encoders"
WITHOUT_ENCODERS = "weights of an encoder are not installed, so the bundle was not run: install what is named above"
CHANGED = "files of the bundle are missing, damaged or replaced, so it was not run: copy the whole bundle anew"


class Check(NamedTuple):
    """The comparison of one part with its validated value; of many numbers, the one that differs most."""

    what: str
    which: str  # of its numbers or files
    expected: float | str
    computed: float | str
    difference: float | None  # None: no numbers are compared
    allowed: float | None
    same: bool


@dataclass(frozen=True)
class Verification:
    """The result of a verification."""

    checks: tuple[Check, ...]
    lacks: tuple[str, ...] = ()  # what could not be verified, and what to do
    versions: Mapping[str, tuple[str, str]] | None = None  # that differ: validated, and installed

    @property
    def differing(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if not check.same)

    @property
    def passed(self) -> bool:
        """Whether everything was verified and is equal."""
        return not self.differing and not self.lacks

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return {
            "verified": self.passed,
            "checks": [check._asdict() for check in self.checks],
            "lacks": list(self.lacks),
            "versions": {name: {"then": then, "here": here} for name, (then, here) in (self.versions or {}).items()},
        }


def verify(folder: Path | None = None) -> Verification:
    """Verify the shipped encoders, and a bundle if one is given.

    The cache of encodings is not used. A bundle with changed files is not run.

    Raises:
        BundleError: there is no bundle, or its version is not supported.
    """
    if folder is None:
        return Verification(tuple(_encoders()))
    from polyclinic.models.bundle.bundle import Bundle
    from polyclinic.verification.golden_outputs import recomputed, versions  # slow, and not needed for the encoders

    checks = [*_files(folder), *_encoders()]
    if not all(check.same for check in checks if check.what == FILES):
        return Verification(tuple(checks), (CHANGED,))
    if not all(check.same for check in checks if check.what == MISSING_WEIGHTS):
        return Verification(tuple(checks), (WITHOUT_ENCODERS,))
    with TemporaryDirectory() as empty:
        bundle = Bundle.load(folder, EncoderCache(Path(empty)))
        if bundle.golden is None:
            return Verification(tuple(checks), (NO_GOLDEN,))
        here = {part.what: part for part in recomputed(bundle, bundle.golden)}
    checks += [compared(part, here.get(part.what)) for part in bundle.golden.parts]
    return Verification(tuple(checks), versions=_changed(bundle.golden.versions, versions()))


def _files(folder: Path) -> Iterator[Check]:
    """Compare the files with the bundle's index."""
    from polyclinic.models.bundle.bundle import file_checksums, modified_files

    saved, changed = file_checksums(folder), modified_files(folder)
    for name, digest in changed.items():
        found = "missing" if digest is None else digest[:SHOWN]
        yield Check(FILES, name, saved[name][:SHOWN], found, None, None, same=False)
    if not changed:
        yield Check(FILES, f"all {len(saved)}", "as saved", "as saved", None, None, same=True)


def _encoders() -> Iterator[Check]:
    """Compare the shipped encoders with their reference outputs."""
    try:
        for name, known, here in fingerprints():
            yield Check(f"weights of {name}", "SHA-256", known[:SHOWN], here[:SHOWN], None, None, same=known == here)
        yield from (compared(*pair) for pair in encoded())
    except WeightsError as problem:
        yield Check(MISSING_WEIGHTS, "weights", "installed", str(problem), None, None, same=False)


def compared(expected: Part, computed: Part | None) -> Check:
    """Compare a part with a recomputed one, which may hold more; report the number that differs most."""
    least = MIN_SCORE if expected.kind == "attribution" else 1.0
    allowed = TOLERANCES[expected.kind] * max(least, *map(abs, expected.values.values()))
    here = computed.values if computed is not None else {}
    if missing := [name for name in expected.values if name not in here]:
        return Check(expected.what, missing[0], expected.values[missing[0]], "nothing", None, allowed, same=False)
    which = max(expected.values, key=lambda name: _difference(expected.values[name], here[name]))
    difference = _difference(expected.values[which], here[which])
    return Check(
        expected.what, which, expected.values[which], here[which], difference, allowed, same=difference <= allowed
    )


def _difference(expected: float, computed: float) -> float:
    """Return the absolute difference; infinite where it is NaN."""
    difference = abs(expected - computed)
    return difference if difference < float("inf") else float("inf")


def _changed(then: Mapping[str, str], here: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    names: Iterable[str] = dict.fromkeys((*then, *here))
    pairs = {name: (then.get(name, "none"), here.get(name, "none")) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
