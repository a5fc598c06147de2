"""Golden outputs of a bundle for its synthetic patient: answers, members, latent, and attributions."""

from __future__ import annotations

import platform
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
import torch

from polyclinic.cohort import POLARS_EVENTS
from polyclinic.explain.methods.integrated_gradients import integrated_gradients
from polyclinic.explain.sample import ExplanationError, Sample
from polyclinic.explain.shapley.modalities import modality_shapley
from polyclinic.features.cache.encoder_cache import EncoderCache
from polyclinic.features.feature_set import FeatureSet
from polyclinic.features.featurizer import Blobs
from polyclinic.files import sha256
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.models.bundle.golden import Golden, Part, SyntheticPatient
from polyclinic.models.bundle.predictions import with_inputs
from polyclinic.models.ensemble.ensemble import EnsemblePredictions
from polyclinic.tasks import Task
from polyclinic.verification.synthetic_patient import synthetic_patient

LIBRARIES = ("polyclinic", "torch", "numpy", "scipy", "scikit-learn", "polars", "pillow", "tokenizers", "safetensors")
"""Libraries whose version may change a result."""
SYNTHETIC_ID = 0
"""Subject id of the synthetic patient."""
STEPS = 9
"""Fixed number of gradients of an attribution, so that rounding cannot change the path."""
KEPT = 12
"""Number of largest scores kept, of features, codes, words and blocks each."""
COSTLY = ("note", "image")
"""Modalities with the most expensive gradients (those of notes pass through a frozen network)."""


def golden_of(bundle: Bundle) -> Golden:
    """Compute the golden outputs of a bundle for a synthetic patient, without random draws."""
    patient = synthetic_patient(bundle)
    with computed_for(bundle, patient) as outputs:
        explained = {task.name: outputs.greatest(task) for task in bundle.tasks} if outputs.sample.present else {}
        return Golden(patient, explained, (*outputs.predicted(), *outputs.attributed(explained, KEPT)), versions())


def recomputed(bundle: Bundle, golden: Golden) -> tuple[Part, ...]:
    """Recompute the golden outputs of a bundle, with every score of the attributions."""
    with computed_for(bundle, golden.patient) as outputs:
        return (*outputs.predicted(), *outputs.attributed(golden.explained))


def versions() -> dict[str, str]:
    """Return the versions of Python and libraries, and the type of machine."""
    processor = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    libraries = {name: version(name) for name in LIBRARIES}
    return {"python": platform.python_version(), **libraries, "system": platform.system(), "processor": processor}


@contextmanager
def computed_for(bundle: Bundle, patient: SyntheticPatient) -> Iterator[BundleOutputs]:
    """Compute the outputs of a bundle for a patient; every encoder runs, without the cache."""
    with TemporaryDirectory() as folder:
        states = {name: featurizer.state() for name, featurizer in bundle.features.featurizers.items()}
        cache = EncoderCache(Path(folder) / "cache")
        own = replace(bundle, features=FeatureSet.from_state(states, cache), folder=None)
        sample = Sample.of(
            own, events_of(patient), SYNTHETIC_ID, patient.prediction_time, _blobs(patient, Path(folder))
        )
        yield BundleOutputs(own, sample, own.ensemble.predict(sample.arrays, every_member=True))


def events_of(patient: SyntheticPatient) -> pl.DataFrame:
    """Return the patient's events as a table of a cohort."""
    hours = [event.hours for event in patient.events]
    names: dict[str | None, str] = {file: _name(file, content) for file, content in patient.blobs.items()}
    ago = pl.duration(microseconds=(3_600_000_000 * pl.col("hours")).round().cast(pl.Int64))
    table = pl.DataFrame(
        {
            "subject_id": [SYNTHETIC_ID] * len(hours),
            "hours": pl.Series(hours, dtype=pl.Float64()),
            "code": [event.code for event in patient.events],
            "numeric_value": pl.Series([event.number for event in patient.events], dtype=pl.Float64()),
            "text_value": pl.Series([event.text for event in patient.events], dtype=pl.String()),
            "blob": pl.Series([names.get(event.blob) for event in patient.events], dtype=pl.String),
        }
    ).with_columns(time=pl.lit(patient.prediction_time).cast(pl.Datetime("us")) - ago)
    return table.select(pl.col(name).cast(dtype) for name, dtype in POLARS_EVENTS.items()).sort(
        "time", nulls_last=False, maintain_order=True
    )


def _name(file: str, content: bytes) -> str:
    return f"{sha256(content)}{Path(file).suffix}"


def _blobs(patient: SyntheticPatient, folder: Path) -> Blobs:
    for file, content in patient.blobs.items():
        (folder / _name(file, content)).write_bytes(content)
    return lambda name: folder / name


@dataclass(frozen=True)
class BundleOutputs:
    """A bundle, its sample of the patient, and the predictions of its members."""

    bundle: Bundle
    sample: Sample
    predictions: EnsemblePredictions

    def greatest(self, task: Task) -> str:
        """Return the name of a task's largest output."""
        answers = self._answers(task)
        return max(answers, key=lambda output: answers[output])

    def predicted(self) -> Iterator[Part]:
        """Yield the answers, each member's predictions, and the latent."""
        for task in self.bundle.tasks:
            yield Part(f"{task.name}: answer", "answer", self._answers(task))
            members = {
                f"{member} {output}": value
                for member, prediction in self.predictions.member_predictions[task.name].items()
                for output, value in self._by_output(task, prediction.answers).items()
            }
            yield Part(f"{task.name}: members", "member", members)
        if self.predictions.network_predictions is not None:
            latent = self.predictions.network_predictions.latents[:, 0].mean(axis=0).tolist()
            yield Part("latent, mean of the networks", "latent", {str(place): one for place, one in enumerate(latent)})

    def attributed(self, explained: Mapping[str, str], most: int | None = None) -> Iterator[Part]:
        """Yield the attributions of one output of each task, with the `most` largest scores of each kind, or all.

        By integrated gradients, or Shapley values of modalities where there is no network. The gradients of images and
        notes are expensive and take the same path for all tasks, so they are computed for the first task only. A task
        is left out where an encoder is not differentiable.
        """
        sample = self.sample
        for task, output in explained.items():
            try:
                scores = self._scores(sample, task, output, most)
            except ExplanationError:
                continue
            yield Part(f"{task}: attribution of {output}", "attribution", scores)
            sample = _without(COSTLY, self.sample)

    def _answers(self, task: Task) -> dict[str, float]:
        answers = self.bundle.ensemble.tasks[task.name].combine(
            self.predictions.member_predictions[task.name], self.predictions.present, self.predictions.groups
        )
        return self._by_output(task, answers)

    def _by_output(self, task: Task, answers: np.ndarray) -> dict[str, float]:
        rows = self.bundle.rows(task, with_inputs(self.sample.frame, self.sample.arrays), answers)
        values = rows.select("output", pl.coalesce("predicted_boolean_probability", "predicted_float_value"))
        return dict(values.iter_rows())

    def _scores(self, sample: Sample, task: str, output: str, most: int | None) -> dict[str, float]:
        if not self.bundle.ensemble.networks:
            return modality_shapley(self.bundle, sample, task, output).by_modality
        found = integrated_gradients(self.bundle, sample, task, output, most_steps=STEPS)
        scores = found.by_modality
        for kind in (names for part in found.parts.values() for names in part.by_name()):
            scores |= dict(sorted(kind.items(), key=lambda item: -abs(item[1]))[:most])
        return scores


def _without(modalities: Collection[str], sample: Sample) -> Sample:
    """Return the sample without some modalities, or unchanged if it has no others."""
    if not set(sample.present) - set(modalities):
        return sample
    absent = {"present": np.zeros(1, dtype=bool)}
    arrays = {name: one | (absent if name in modalities else {}) for name, one in sample.arrays.items()}
    return replace(sample, arrays=arrays)
