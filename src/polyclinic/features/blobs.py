"""Blobs (images, waveforms) that cannot be used: damaged, missing, or without anything to see.

Such a blob is absent, and its reason goes with the sample: featurizers that read blobs have the array `UNUSABLE`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Shaped

from polyclinic.files import sha256

if TYPE_CHECKING:
    from polyclinic.features.featurizer import Arrays, Blobs

UNUSABLE = "unusable"
"""Name of the array: text `[sample]`, a line per blob of the sample that cannot be used, with reason and remedy."""
MOST_NAMED = 5
"""Blobs named in one caution."""
_HASH = re.compile(r"[0-9a-f]{64}")


class UnusableBlob(ValueError):  # noqa: N818
    """A blob cannot be used; the message names it by its hash, and says why and what to do."""


class ImageError(UnusableBlob):
    """An image cannot be used."""


class WaveformError(UnusableBlob):
    """A waveform cannot be used."""


def content_hash(name: str, error: type[UnusableBlob] = UnusableBlob, noun: str = "blob") -> str:
    """Return the content hash at the start of a blob's name; raises `error` if there is none."""
    if not _HASH.match(name):
        raise error(f"{noun} {name} is not named by its content hash: ingest its source into a cohort")
    return name[:64]


def content_of(blobs: Blobs, name: str, error: type[UnusableBlob], noun: str) -> bytes:
    """Return the content of a blob, checked against its name.

    Raises:
        UnusableBlob: of the type `error`; the blob is missing, cannot be read, or is damaged.
    """
    expected = content_hash(name, error, noun)
    try:
        content = blobs(name).read_bytes()
    except OSError as problem:
        raise error(f"{noun} {name} cannot be read ({problem.strerror}): ingest its source again") from problem
    except ValueError as problem:
        raise error(f"{noun} {name} is missing: ingest its source again") from problem
    if sha256(content) != expected:
        raise error(f"{noun} {name} is damaged, as its content does not match its name: ingest its source again")
    return content


def image_content(blobs: Blobs, name: str) -> bytes:
    """Return the content of an image's file; raises ImageError as `content_of`."""
    return content_of(blobs, name, ImageError, "image")


def damaged_blobs(arrays: Mapping[str, Arrays], blobs: Blobs) -> dict[str, str]:
    """Return the reasons of the blobs behind some arrays that are missing or damaged by now, by name."""
    damaged: dict[str, str] = {}
    for modality, own in arrays.items():
        for name in np.unique(own["blob"]).tolist() if "blob" in own else ():
            try:
                content_of(blobs, name, UnusableBlob, modality) if name else None
            except UnusableBlob as error:
                damaged[name] = str(error)
    return damaged


def unusable_lines(reasons: Sequence[Iterable[str]]) -> Shaped[np.ndarray, " sample"]:
    """Return the array `UNUSABLE` of samples with these reasons."""
    return np.array(["\n".join(dict.fromkeys(own)) for own in reasons], dtype=str).reshape(len(reasons))


def unusable_blobs(arrays: Mapping[str, Arrays]) -> tuple[str, ...]:
    """Return the reasons of the blobs that the samples of some arrays cannot use, each once."""
    found: dict[str, None] = {}
    for own in arrays.values():
        for lines in np.unique(own[UNUSABLE]) if UNUSABLE in own else ():
            found |= dict.fromkeys(str(lines).split("\n"))
    return tuple(reason for reason in found if reason)


def caution_of(reasons: Sequence[str]) -> str:
    """Return a caution that counts unusable blobs and names the first ones."""
    more = f"; and {len(reasons) - MOST_NAMED:,} more" if len(reasons) > MOST_NAMED else ""
    what = "1 image or waveform" if len(reasons) == 1 else f"{len(reasons):,} images or waveforms"
    return (
        f"caution: {what} cannot be used and count{'s' * (len(reasons) == 1)} as absent: "
        f"{'; '.join(reasons[:MOST_NAMED])}{more} (`polyclinic remove COHORT --blob NAME` takes a blob out)"
    )
