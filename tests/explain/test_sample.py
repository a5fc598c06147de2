"""Samples: one subject at one time."""

from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl

from polyclinic.explain.sample import Sample
from polyclinic.features.feature_set import FeatureSet


def test_recorded_but_unusable_modalities_differ_from_unrecorded_ones():
    arrays = {name: {"present": np.array([name == "structured"])} for name in ("structured", "note", "waveform")}
    known = pl.DataFrame({"code": ["LAB//lactate//mmol/L", "WAVEFORM//ECG//mV"]})
    sample = Sample(1, datetime(2021, 3, 4), known, arrays, FeatureSet({}), Path)
    assert sample.present == ("structured",)
    assert sample.unusable == ("waveform",)
