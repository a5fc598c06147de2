"""Trained bundles, samples of them, and bundles of other encoders, whose networks need not have learnt much."""

from dataclasses import replace
from functools import cache as once

import numpy as np
import polars as pl
import pytest

from hospital import times_of
from polyclinic import Study
from polyclinic.explain.sample import Sample
from polyclinic.training.fit import fit
from polyclinic.training.study import Network

OTHER_ENCODERS = {
    "words": {"note": "cnn", "series": "gru_d", "image": "vit", "structured": "feature_tokens"},
    "live": {"note": "bilstm_attention", "series": "triplet", "image": "efficientnet_lite0"},
}


@pytest.fixture(scope="session")
def bundle(trained):
    """Give the bundle of one task, with all modalities, default encoders and two classical models."""
    return trained.bundle()


@pytest.fixture(scope="session")
def sample_of(hospital):
    """Read the n-th subject at its prediction time, as a bundle sees it."""
    times = times_of(hospital)

    def read(bundle, number: int) -> Sample:
        subject, at = times["subject_id"][number], times["prediction_time"][number]
        return Sample.of(bundle, hospital.subject(subject), subject, at, hospital.blob)

    return read


@pytest.fixture(scope="session")
def with_inputs(bundle, sample_of, hospital):
    """Find a sample that has exactly some modalities (all by default)."""

    @once
    def everyone() -> list[Sample]:
        return [sample_of(bundle, number) for number in range(24)]

    def find(*modalities: str) -> Sample:
        wanted = set(modalities or bundle.inputs)
        return next(one for one in everyone() if set(one.present) == wanted)

    return find


@pytest.fixture(scope="session")
def other_bundle(hospital, cache):
    """Fit a bundle with encoders that are not the default, hardly."""

    @once
    def fitted(name: str):
        options = {"image": {"live": True, "fine_tune": False}} if name == "live" else {}
        network = Network(epochs=1, width=16, encoders=OTHER_ENCODERS[name], encoder_options=options, augment=False)
        study = Study(tasks=("demo_deterioration",), network=network, folds=2, classical=())
        return fit(study, hospital, cache=cache).bundle

    return fitted


def without(sample: Sample, *modalities: str) -> Sample:
    """Give the sample as if some modalities had not been recorded."""
    absent = {
        name: one | {"present": np.zeros(1, dtype=bool)} if name in modalities else one
        for name, one in sample.arrays.items()
    }
    return replace(sample, arrays=absent)


def empty(sample: Sample) -> Sample:
    """Give the sample as if nothing had been recorded."""
    nothing = sample.known.filter(pl.lit(False))
    return Sample(
        sample.subject_id, sample.prediction_time, nothing, without(sample, *sample.arrays).arrays, sample.blobs
    )
