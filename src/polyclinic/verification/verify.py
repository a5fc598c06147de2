"""Whether an installation computes what was validated: files, encoders, and a bundle's made-up patient."""

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
"""How far a number may differ, as a share of the largest of its part, or of 1 (of `FAINT`, for scores) if it is less.

Some ten times what was seen to differ between numbers of threads, instruction sets (AVX2 and none) and kernels (with
and without oneDNN): answers 1.6e-5, latents 8e-6, and attributions 1.3e-3, since ReLU6 turns some pixels' gradients at
its bends.
"""
FAINT = 0.01
"""Scores, in log-odds, that nobody would mind."""
FILES = "files of the bundle"
SHOWN = 12
"""Characters of a fingerprint."""
NO_GOLDEN = (
    "the bundle holds no reference input: what it answers and how it explains cannot be verified; train it again, with "
    "`polyclinic train` or `polyclinic.fit`"
)
LACKING = "encoders"
WITHOUT_ENCODERS = "weights of an encoder are not installed, so the bundle was not asked: install what is named above"
EXCHANGED = "files of the bundle are missing, damaged or exchanged, so it was not asked: copy the whole bundle anew"


class Check(NamedTuple):
    """One thing that was held against what was validated; of many numbers, the one that differs most."""

    what: str
    which: str  # of its numbers or files
    expected: float | str
    computed: float | str
    difference: float | None  # None: no numbers are compared
    allowed: float | None
    same: bool


@dataclass(frozen=True)
class Verification:
    """What was held against what was validated, and what else is to be known."""

    checks: tuple[Check, ...]
    lacks: tuple[str, ...] = ()  # what could not be verified, and what to do
    versions: Mapping[str, tuple[str, str]] | None = None  # that differ: then, and here

    @property
    def differing(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if not check.same)

    @property
    def passed(self) -> bool:
        """Whether everything was verified and is as it was."""
        return not self.differing and not self.lacks

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return {
            "verified": self.passed,
            "checks": [check._asdict() for check in self.checks],
            "lacks": list(self.lacks),
            "versions": {name: {"then": then, "here": here} for name, (then, here) in (self.versions or {}).items()},
        }


def verify(folder: Path | None = None) -> Verification:
    """Verify the shipped encoders, and a bundle if one is given.

    Nothing is read from the cache of encodings. A bundle whose files are not as they were saved is not asked.

    Raises:
        BundleError: there is no bundle, or another version wrote it.
    """
    if folder is None:
        return Verification(tuple(_encoders()))
    from polyclinic.models.bundle.bundle import Bundle
    from polyclinic.verification.golden_outputs import recomputed, versions  # slow, and the encoders do without

    checks = [*_files(folder), *_encoders()]
    if not all(check.same for check in checks if check.what == FILES):
        return Verification(tuple(checks), (EXCHANGED,))
    if not all(check.same for check in checks if check.what == LACKING):
        return Verification(tuple(checks), (WITHOUT_ENCODERS,))
    with TemporaryDirectory() as empty:
        bundle = Bundle.load(folder, EncoderCache(Path(empty)))
        if bundle.golden is None:
            return Verification(tuple(checks), (NO_GOLDEN,))
        here = {part.what: part for part in recomputed(bundle, bundle.golden)}
    checks += [compared(part, here.get(part.what)) for part in bundle.golden.parts]
    return Verification(tuple(checks), versions=_changed(bundle.golden.versions, versions()))


def _files(folder: Path) -> Iterator[Check]:
    """Hold the files against the bundle's index."""
    from polyclinic.models.bundle.bundle import file_checksums, modified_files

    saved, changed = file_checksums(folder), modified_files(folder)
    for name, digest in changed.items():
        found = "missing" if digest is None else digest[:SHOWN]
        yield Check(FILES, name, saved[name][:SHOWN], found, None, None, same=False)
    if not changed:
        yield Check(FILES, f"all {len(saved)}", "as saved", "as saved", None, None, same=True)


def _encoders() -> Iterator[Check]:
    """Hold the shipped encoders against what they are known to give."""
    try:
        for name, known, here in fingerprints():
            yield Check(f"weights of {name}", "SHA-256", known[:SHOWN], here[:SHOWN], None, None, same=known == here)
        yield from (compared(*pair) for pair in encoded())
    except WeightsError as problem:
        yield Check(LACKING, "weights", "installed", str(problem), None, None, same=False)


def compared(expected: Part, computed: Part | None) -> Check:
    """Hold a part against what was computed anew, which may hold more; tell of the number that differs most."""
    least = FAINT if expected.kind == "attribution" else 1.0
    allowed = TOLERANCES[expected.kind] * max(least, *map(abs, expected.values.values()))
    there = computed.values if computed is not None else {}
    if lacking := [name for name in expected.values if name not in there]:
        return Check(expected.what, lacking[0], expected.values[lacking[0]], "nothing", None, allowed, same=False)
    which = max(expected.values, key=lambda name: _apart(expected.values[name], there[name]))
    apart = _apart(expected.values[which], there[which])
    return Check(expected.what, which, expected.values[which], there[which], apart, allowed, same=apart <= allowed)


def _apart(expected: float, computed: float) -> float:
    """Give the difference; infinite where there is no number."""
    difference = abs(expected - computed)
    return difference if difference < float("inf") else float("inf")


def _changed(then: Mapping[str, str], here: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    names: Iterable[str] = dict.fromkeys((*then, *here))
    pairs = {name: (then.get(name, "none"), here.get(name, "none")) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
