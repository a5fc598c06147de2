"""The spacing of the pixels of a sample's pictures, among the facts of how they were taken."""

from __future__ import annotations

import polars as pl

from polyclinic.explain.localisation.coordinates import SPACINGS, PixelSpacing, pixel_spacing
from polyclinic.explain.sample import Sample


def spacing_of(sample: Sample, blob: str) -> PixelSpacing | None:
    """Find the spacing of the pixels of one of a sample's pictures; None where it is not known.

    The facts of a picture stand at its time. Where several pictures have the same time, they are taken to be all
    alike; if several spacings stand there, it is not known whose they are, and none is given.

    Args:
        sample: with its `taken`; one without has only what its tasks may see, which of most is no `DICOM//…`.
        blob: the picture's name in the cohort.
    """
    events = sample.known if sample.taken is None else sample.taken
    moments = events.filter(pl.col("blob") == blob)["time"].unique()
    facts = (
        events.filter(pl.col("time").is_in(moments.implode(), nulls_equal=True))
        .select(pl.col("code").cast(pl.String), number=pl.col("numeric_value").cast(pl.Float64))
        .filter(pl.col("code").is_in(list(SPACINGS)))
        .unique()
    )
    return None if facts["code"].is_duplicated().any() else pixel_spacing(dict(facts.iter_rows()))
