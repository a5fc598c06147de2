"""The pixel spacing of a sample's images, from the acquisition events."""

from __future__ import annotations

import polars as pl

from polyclinic.explain.localisation.coordinates import SPACINGS, PixelSpacing, pixel_spacing
from polyclinic.explain.sample import Sample


def spacing_of(sample: Sample, blob: str) -> PixelSpacing | None:
    """Return the pixel spacing of one of a sample's images; None if unknown.

    The acquisition events of an image have its time. Images of the same time are assumed to have the same spacing;
    several spacings at one time are ambiguous, and give None.

    Args:
        sample: with `taken`; without it only the inputs are searched, which usually exclude `DICOM//…`.
        blob: name of the image in the cohort.
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
