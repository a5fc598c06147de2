"""What a bundle computes of its made-up patient: answers, members, latent, and attributions."""

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
from polyclinic.verification.synthetic_patient import make_up

LIBRARIES = ("polyclinic", "torch", "numpy", "scipy", "scikit-learn", "polars", "pillow", "tokenizers", "safetensors")
"""Whose versions may change a number."""
SYNTHETIC_ID = 0
"""Id of the made-up patient."""
STEPS = 9
"""Gradients of an attribution: a fixed number of them, so that rounding cannot change the path."""
KEPT = 12
"""Scores of features, codes, words and blocks that are kept, of each: the largest."""
COSTLY = ("note", "image")
"""Modalities whose gradients cost the most: of notes they pass through a frozen network."""
BLOCKS = 7
"""Across and down a picture, over which its map is added up."""


def golden_of(bundle: Bundle) -> Golden:
    """Make up a patient for a bundle, and write down what it computes of them. Draws no random number."""
    patient = make_up(bundle)
    with asking(bundle, patient) as asked:
        explained = {task.name: asked.greatest(task) for task in bundle.tasks} if asked.sample.present else {}
        return Golden(patient, explained, (*asked.said(), *asked.attributed(explained, KEPT)), versions())


def recomputed(bundle: Bundle, golden: Golden) -> tuple[Part, ...]:
    """Compute anew what the golden outputs of a bundle are to be, with every score of the attributions."""
    with asking(bundle, golden.patient) as asked:
        return (*asked.said(), *asked.attributed(golden.explained))


def versions() -> dict[str, str]:
    """Give the versions of what computes, and what kind of machine it is."""
    processor = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    libraries = {name: version(name) for name in LIBRARIES}
    return {"python": platform.python_version(), **libraries, "system": platform.system(), "processor": processor}


@contextmanager
def asking(bundle: Bundle, patient: SyntheticPatient) -> Iterator[Asked]:
    """Read the patient as the bundle does. Nothing comes from the cache of encodings: every encoder runs."""
    with TemporaryDirectory() as folder:
        states = {name: featurizer.state() for name, featurizer in bundle.features.featurizers.items()}
        cache = EncoderCache(Path(folder) / "cache")
        own = replace(bundle, features=FeatureSet.from_state(states, cache), folder=None)
        sample = Sample.of(
            own, events_of(patient), SYNTHETIC_ID, patient.prediction_time, _blobs(patient, Path(folder))
        )
        yield Asked(own, sample, own.ensemble.predict(sample.arrays, every_member=True))


def events_of(patient: SyntheticPatient) -> pl.DataFrame:
    """Give the patient's events in the form of a cohort's."""
    hours = [event.hours for event in patient.events]
    ago = pl.duration(microseconds=(3_600_000_000 * pl.col("hours")).round().cast(pl.Int64))
    table = pl.DataFrame(
        {
            "subject_id": [SYNTHETIC_ID] * len(hours),
            "hours": pl.Series(hours, dtype=pl.Float64()),
            "code": [event.code for event in patient.events],
            "numeric_value": pl.Series([event.number for event in patient.events], dtype=pl.Float64()),
            "text_value": pl.Series([event.text for event in patient.events], dtype=pl.String()),
            "blob": pl.Series([_name(patient) if event.picture else None for event in patient.events], dtype=pl.String),
        }
    ).with_columns(time=pl.lit(patient.prediction_time).cast(pl.Datetime("us")) - ago)
    return table.select(pl.col(name).cast(dtype) for name, dtype in POLARS_EVENTS.items()).sort(
        "time", nulls_last=False, maintain_order=True
    )


def _name(patient: SyntheticPatient) -> str:
    return f"{sha256(patient.picture or b'')}.png"


def _blobs(patient: SyntheticPatient, folder: Path) -> Blobs:
    if patient.picture is not None:
        (folder / _name(patient)).write_bytes(patient.picture)
    return lambda name: folder / name


@dataclass(frozen=True)
class Asked:
    """A bundle, what it reads of the patient, and what everyone in it says."""

    bundle: Bundle
    sample: Sample
    predictions: EnsemblePredictions

    def greatest(self, task: Task) -> str:
        """Name the output of a task of which most is said."""
        said = self._answers(task)
        return max(said, key=lambda output: said[output])

    def said(self) -> Iterator[Part]:
        """Give the answers, what each member says, and the latent."""
        for task in self.bundle.tasks:
            yield Part(f"{task.name}: answer", "answer", self._answers(task))
            members = {
                f"{member} {output}": said
                for member, prediction in self.predictions.member_predictions[task.name].items()
                for output, said in self._by_output(task, prediction.answers).items()
            }
            yield Part(f"{task.name}: members", "member", members)
        if self.predictions.network_predictions is not None:
            latent = self.predictions.network_predictions.latents[:, 0].mean(axis=0).tolist()
            yield Part("latent, mean of the networks", "latent", {str(place): one for place, one in enumerate(latent)})

    def attributed(self, explained: Mapping[str, str], most: int | None = None) -> Iterator[Part]:
        """Attribute one output of each task; keep the `most` largest scores of each kind, or all.

        By integrated gradients, or to modalities where there is no network. The gradients of pictures and notes cost by
        far the most, and take the same way for all tasks: they are there for the first alone, if anything else is. A
        task is left out where an encoder lets no gradient through.
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
            self.predictions.member_predictions[task.name], self.predictions.present
        )
        return self._by_output(task, answers)

    def _by_output(self, task: Task, answers: np.ndarray) -> dict[str, float]:
        rows = self.bundle.rows(task, with_inputs(self.sample.frame, self.sample.arrays), answers)
        said = rows.select("output", pl.coalesce("predicted_boolean_probability", "predicted_float_value"))
        return dict(said.iter_rows())

    def _scores(self, sample: Sample, task: str, output: str, most: int | None) -> dict[str, float]:
        if not self.bundle.ensemble.networks:
            return modality_shapley(self.bundle, sample, task, output).by_modality
        found = integrated_gradients(self.bundle, sample, task, output, most_steps=STEPS)
        scores = found.by_modality
        for kind in (names for part in found.parts.values() for names in part.by_name()):
            scores |= dict(sorted(kind.items(), key=lambda one: -abs(one[1]))[:most])
        return scores


def _without(modalities: Collection[str], sample: Sample) -> Sample:
    """Give the sample as if some modalities had not been recorded, unless nothing else was."""
    if not set(sample.present) - set(modalities):
        return sample
    none = {"present": np.zeros(1, dtype=bool)}
    arrays = {name: one | (none if name in modalities else {}) for name, one in sample.arrays.items()}
    return replace(sample, arrays=arrays)
