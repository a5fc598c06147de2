"""A trained bundle, its samples, and bundles with other, untrained encoders."""

import json
from dataclasses import replace
from functools import cache as once
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from polyclinic import Bundle, Study
from polyclinic.explain.sample import Sample
from polyclinic.features.feature_set import FeatureSet
from polyclinic.models import UnifiedModel
from polyclinic.models.ensemble.ensemble import Ensemble, TaskEnsemble
from polyclinic.training.fit import fit_study
from tests.hospital import times_of
from tests.little_training import few_trees
from tests.shared import built_once

OTHER_ENCODERS = {
    "words": {"note": "cnn", "series": "gru_d", "image": "vit", "structured": "feature_tokens"},
    "live": {"note": "bilstm_attention", "series": "triplet", "image": "efficientnet_lite0"},
    "sentences": {"note": "minilm"},
}
CLASSICAL_TASKS = ("demo_deterioration", "demo_diagnosis", "demo_findings", "demo_stay")
MEMBERS = ("logistic_regression", "decision_tree", "random_forest", "gradient_boosting")


@pytest.fixture(scope="session")
def bundle(trained):
    """A bundle of one task, with all modalities, default encoders and two classical models."""
    return trained.bundle()


@pytest.fixture(scope="session")
def classical(hospital, cache, tmp_path_factory):
    """Every classical member, of few trees, for every kind of task, without a network."""
    study = Study(tasks=CLASSICAL_TASKS, inputs=("structured", "note"), network=None, folds=2, classical=MEMBERS)

    def build(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            few_trees(patch)
            fit_study(study, hospital, cache=cache).bundle.save(folder)

    return Bundle.load(built_once(tmp_path_factory, "classical", build), cache)


@pytest.fixture(scope="session")
def sample_of(hospital):
    """Return the sample of the n-th subject at its prediction time."""
    times = times_of(hospital)

    def read(bundle, number: int) -> Sample:
        subject, at = times["subject_id"][number], times["prediction_time"][number]
        return Sample.of(bundle, hospital.subject(subject), subject, at, hospital.blob)

    return read


@pytest.fixture(scope="session")
def with_inputs(bundle, sample_of, hospital):
    """Find a sample with exactly some modalities (all by default)."""

    @once
    def everyone() -> list[Sample]:
        return [sample_of(bundle, number) for number in range(24)]

    def find(*modalities: str) -> Sample:
        wanted = set(modalities or bundle.inputs)
        return next(one for one in everyone() if set(one.present) == wanted)

    return find


@pytest.fixture(scope="session")
def other_bundle(bundle, cache):
    """A bundle with other, untrained encoders and large head weights."""

    @once
    def made(name: str):
        state = json.loads(json.dumps({one: f.state() for one, f in bundle.features.featurizers.items()}))
        if name != "sentences":
            state["note"]["options"]["outputs"] = ["words"]
            state["image"]["options"]["outputs"] = ["pixels"]
            state["series"]["options"]["forms"] = ["triplets", "grid"]
        options = {"image": {"live": True, "fine_tune": False}} if name == "live" else {}
        config = bundle.ensemble.networks[0].config
        encoders = {
            modality: one.model_copy(
                update={"name": OTHER_ENCODERS[name].get(modality, one.name), "options": options.get(modality, {})}
            )
            for modality, one in config.encoders.items()
        }
        torch.manual_seed(0)
        networks = [UnifiedModel(config.model_copy(update={"encoders": encoders})).eval() for _ in range(2)]
        for network in networks:
            for head in network.heads.values():
                head.linear.weight.data *= 20
        tasks = {task: TaskEnsemble(one.kind, thresholds=(0.5,)) for task, one in bundle.ensemble.tasks.items()}
        return replace(bundle, features=FeatureSet.from_state(state, cache), ensemble=Ensemble(networks, tasks))

    return made


def without(sample: Sample, *modalities: str) -> Sample:
    """Return the sample without some modalities."""
    absent = {
        name: one | {"present": np.zeros(1, dtype=bool)} if name in modalities else one
        for name, one in sample.arrays.items()
    }
    return replace(sample, arrays=absent)


def empty(sample: Sample) -> Sample:
    """Return the sample without any input."""
    nothing = sample.known.filter(pl.lit(False))
    return replace(without(sample, *sample.arrays), known=nothing, taken=None)
