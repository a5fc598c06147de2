"""A trained model with all that inference needs, as a folder of files.

    bundle.json          format, versions, tasks, the network's configuration, checksums of the files below
    study.yaml           the study
    features.json        fitted featurizers
    model.safetensors    weights of the network of each fold
    classical/<task>/    arrays of the classical models
    designs.json         the design matrices of the classical models
    calibration.json     members, combination, calibration and thresholds of each task
    reference.json, reference.safetensors    summary of the development samples, to put a prediction in context
    golden.*                   a synthetic patient, and the outputs computed for it
    description.json           facts of development, and people's statements about the model, for the card
    metrics.json, predictions.parquet, card.md, card.json    evaluation

Nothing is ever unpickled.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import numpy as np
import polars as pl
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from polyclinic.cohort import Cohort
from polyclinic.features import Arrays
from polyclinic.features.backbones.weights import WeightsError
from polyclinic.features.blobs import caution_of, unusable_blobs
from polyclinic.features.cache.encoder_cache import EncoderCache
from polyclinic.features.feature_set import FeatureSet
from polyclinic.features.featurizer import Blobs
from polyclinic.features.known_record import known_record
from polyclinic.files import replacing, sha256, write_json, write_text
from polyclinic.models.bundle.development_reference import FILES as REFERENCE
from polyclinic.models.bundle.development_reference import Reference
from polyclinic.models.bundle.golden import FILES as GOLDEN
from polyclinic.models.bundle.golden import Golden
from polyclinic.models.bundle.predictions import Predictions, in_order, rows_of, with_inputs
from polyclinic.models.bundle.shift import Shift
from polyclinic.models.bundle.value_ranges import unusual_codes
from polyclinic.models.classical import ClassicalModel, Design
from polyclinic.models.classical.persistence import UntrustedModelError
from polyclinic.models.ensemble.calibration import Calibrator
from polyclinic.models.ensemble.ensemble import Answers, Ensemble, EnsemblePredictions, TaskEnsemble
from polyclinic.models.ensemble.group_calibration import GroupCalibration
from polyclinic.models.ensemble.members import Member
from polyclinic.models.ensemble.stacker_by_subset import Combination
from polyclinic.models.network.config import ModelConfig
from polyclinic.models.network.unified import UnifiedModel
from polyclinic.progress import SILENT, Progress
from polyclinic.study import Study, StudyError
from polyclinic.tasks import Task, number_samples, prediction_times

FORMAT = 7
INDEX = "bundle.json"
DESCRIPTION = "description.json"
CHECKSUMMED = ("study.yaml", "features.json", "model.safetensors", "designs.json", "calibration.json")
_INVALID = (AttributeError, LookupError, OSError, RuntimeError, SafetensorError, TypeError, ValueError)


class BundleError(ValueError):
    """A folder is not a bundle that this version can load; the message gives the reason and the remedy."""


@dataclass
class Bundle:
    """A trained model: fitted features, weights, combination, calibration.

    Created by `polyclinic.fit`. `origin` records version, cohort fingerprint, seed and numbers of subjects. `folder`
    is where it was saved to or loaded from; evaluation results are there.
    """

    study: Study
    features: FeatureSet
    ensemble: Ensemble
    origin: dict[str, Any] = field(default_factory=dict)
    reference: Reference | None = field(default=None, repr=False, compare=False)  # optional
    golden: Golden | None = field(default=None, repr=False, compare=False)  # optional
    description: dict[str, Any] | None = field(default=None, repr=False, compare=False)  # optional; JSON values
    folder: Path | None = field(default=None, compare=False)
    _digest: str = field(default="", repr=False, compare=False)

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks that it answers."""
        return self.study.tasks

    @property
    def inputs(self) -> tuple[str, ...]:
        """The input modalities."""
        return self.features.modalities

    @property
    def digest(self) -> str:
        """The SHA-256 of the index, which has the checksums of all other files."""
        if not self._digest:
            with TemporaryDirectory() as folder:
                self._digest = self._write(Path(folder))
        return self._digest

    def task(self, name: str) -> Task:
        """Return a task by name; raises BundleError if it is unknown."""
        for task in self.tasks:
            if task.name == name:
                return task
        raise BundleError(f"the bundle has no task {name!r}: choose from {', '.join(t.name for t in self.tasks)}")

    def arrays(
        self,
        cohort: Cohort,
        samples: pl.DataFrame,
        progress: Progress = SILENT,
        known: pl.DataFrame | None = None,
    ) -> dict[str, Arrays]:
        """Return the features of samples (`sample`, `subject_id`, `prediction_time`) at their prediction times.

        `known` is their record, if it was read before.
        """
        if known is None:
            known = known_record(cohort.events(), samples, self.tasks)
        return self._transform(cohort.blob, known, samples, progress)

    def answer(self, events: pl.DataFrame, samples: pl.DataFrame, blobs: Blobs) -> dict[str, Answers]:
        """Predict every task for samples (`sample`, `subject_id`, `prediction_time`) from events in memory.

        `events` may be those of one patient (`cohort.subject(id)`); later events than the prediction times are
        ignored. `blobs` returns the path of an image (`cohort.blob`).
        """
        known = known_record(events, samples, self.tasks)
        return self.ensemble.answer(self._transform(blobs, known, samples))

    def predict(
        self,
        cohort: Cohort,
        *,
        subjects: Sequence[int] | None = None,
        tasks: Sequence[str] | None = None,
        progress: Progress = SILENT,
    ) -> Predictions:
        """Predict tasks (default: all) for eligible subjects (default: all).

        The cohort may be new; outcomes are not read. Codes absent in training are ignored and counted; samples without
        any input get the outcome rate of training, and are marked.

        Raises:
            BundleError: a task is unknown, or no subject is eligible.
        """
        selected = self.tasks if tasks is None else tuple(self.task(name) for name in tasks)
        times = {task.name: prediction_times(cohort, task, subjects) for task in selected}
        samples = number_samples(pl.concat(list(times.values())))
        if not samples.height:
            names = ", ".join(task.name for task in selected)
            raise BundleError(f"no such subject is eligible for {names}: see the task's prediction time and exclusions")
        known = known_record(cohort.events(), samples, self.tasks)
        arrays = self._transform(cohort.blob, known, samples, progress)
        predicted = self.ensemble.predict(arrays)
        samples, answers = with_inputs(samples, arrays), self.ensemble.combine(predicted)
        rows = []
        for task in selected:
            own = samples.join(
                times[task.name], on=["subject_id", "prediction_time"], how="semi", maintain_order="left"
            )
            rows.append(self.rows(task, own, answers[task.name].answers[own["sample"].to_numpy()]))
        return Predictions(in_order(rows), self.shift(known, arrays, predicted), unusable_blobs(arrays))

    def shift(self, known: pl.DataFrame, arrays: Mapping[str, Arrays], predicted: EnsemblePredictions) -> Shift:
        """Compare samples with those of development, given their record, arrays and predictions."""
        present = np.logical_or.reduce(list(predicted.present.values()))
        novelty = self.reference.novelty if self.reference else None
        networks, unlike = predicted.network_predictions, None
        if novelty is not None:
            table = arrays.get("structured")
            structured = None if table is None else (np.asarray(table["values"]), np.asarray(table["present"], bool))
            latents = None if networks is None else networks.latents
            unlike = int(novelty.outliers(latents, structured, present).sum())
        codes = unusual_codes(known, self.reference.ranges) if self.reference else ()
        return Shift(int(present.sum()), unlike, codes, self.features.ignored(known))

    def _transform(
        self, blobs: Blobs, known: pl.DataFrame, samples: pl.DataFrame, progress: Progress = SILENT
    ) -> dict[str, Arrays]:
        features = self.features.set_blobs(blobs)
        if progress is not SILENT:
            features.prepare(known, samples, progress)
        arrays = features.transform(known, samples)
        if unusable := unusable_blobs(arrays):
            progress.message(caution_of(unusable))
        return arrays

    def rows(self, task: Task, samples: pl.DataFrame, answers: np.ndarray) -> pl.DataFrame:
        """Return predictions `[sample, output]` of a task as table rows; the samples have `inputs`."""
        return rows_of(task, samples, answers, self.ensemble.tasks[task.name].thresholds, self.ensemble.bins(task.name))

    def save(self, path: Path | str) -> Path:
        """Write the bundle to a folder; an existing bundle is replaced."""
        self.folder = Path(path)
        self._digest = self._write(self.folder)
        return self.folder

    def _write(self, folder: Path) -> str:
        """Write the files, and return the digest of the index."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / INDEX).unlink(missing_ok=True)
        shutil.rmtree(folder / "classical", ignore_errors=True)
        self.study.save(folder / "study.yaml")
        self.features.save(folder / "features.json")
        weights = {
            f"{number}.{name}": tensor.contiguous()
            for number, network in enumerate(self.ensemble.networks)
            for name, tensor in network.state_dict().items()
        }
        with replacing(folder / "model.safetensors") as temporary:
            save_file(weights, temporary)
        designs = self.ensemble.designs
        write_json(folder / "designs.json", [design.state() for design in designs])
        write_json(folder / "calibration.json", _combination(self.ensemble, designs))
        for name in (*REFERENCE, *GOLDEN, DESCRIPTION):
            (folder / name).unlink(missing_ok=True)
        kept = [name for part in (self.reference, self.golden) if part for name in part.save(folder)]
        if self.description is not None:
            write_json(folder / DESCRIPTION, self.description)
            kept.append(DESCRIPTION)
        checksummed = [*CHECKSUMMED, *kept, *self._save_classical(folder)]
        networks = self.ensemble.networks
        index = {
            "format": FORMAT,
            "polyclinic": version("polyclinic"),
            "tasks": [task.model_dump(mode="json", exclude_unset=True) for task in self.tasks],
            "network": networks[0].config.model_dump(mode="json") if networks else None,
            "networks": len(networks),
            "origin": self.origin,
            "files": {name: sha256((folder / name).read_bytes()) for name in checksummed},
        }
        # Not sorted by key: the order of a task's classes is that of the model's outputs.
        text = json.dumps(index, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        write_text(folder / INDEX, text)
        return sha256(text.encode())

    def _save_classical(self, folder: Path) -> Iterator[str]:
        for task, ensemble in self.ensemble.tasks.items():
            for member, fitted in ensemble.members.items():
                name = f"classical/{task}/{file_name(member)}"
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                fitted.model.save(folder / name)
                yield name

    @classmethod
    def load(cls, path: Path | str, cache: EncoderCache | None = None) -> Self:
        """Load a bundle.

        Raises:
            BundleError: there is none, its format is another, or a file is missing, modified or invalid.
        """
        folder = Path(path)
        index = _index(folder)
        for name, found in modified_files(folder).items():
            if found is None:
                raise BundleError(f"{folder / name} is missing: copy the whole bundle, or train it again")
            raise BundleError(
                f"{folder / name} was modified after it was saved: copy the bundle again, or train it again"
            )
        with _reading(folder / "features.json") as file:
            features = FeatureSet.from_state(_json(file), cache or EncoderCache())
        with _reading(folder / "designs.json") as file:
            designs = [Design.from_state(state) for state in _json(file)]
        with _reading(folder / "model.safetensors"):
            networks = _networks(folder, index)
        with _reading(folder / "calibration.json") as file:
            tasks = {name: _task(folder, name, state, designs) for name, state in _json(file).items()}
        reference = golden = description = None
        if REFERENCE[0] in index["files"]:
            with _reading(folder / REFERENCE[0]):
                reference = Reference.load(folder)
        if GOLDEN[0] in index["files"]:
            with _reading(folder / GOLDEN[0]):
                golden = Golden.load(folder, index["files"])
        if DESCRIPTION in index["files"]:
            with _reading(folder / DESCRIPTION) as file:
                description = _json(file)
        study = _study(folder)
        if set(features.modalities) != set(study.modalities):
            raise BundleError(f"{folder}: study.yaml and features.json differ in their inputs: train the bundle again")
        return cls(
            study=study,
            features=features,
            ensemble=Ensemble(networks, tasks, features.demographics),
            origin=index["origin"],
            reference=reference,
            golden=golden,
            description=description,
            folder=folder,
            _digest=sha256((folder / INDEX).read_bytes()),
        )


def file_checksums(folder: Path) -> dict[str, str]:
    """Return the files that a bundle is read from, with the SHA-256 of each when it was saved.

    Raises:
        BundleError: there is no bundle, or another version wrote it.
    """
    files: dict[str, str] = _index(folder)["files"]
    return files


def modified_files(folder: Path) -> dict[str, str | None]:
    """Return the SHA-256 of each file that differs from the saved one; None if it is missing."""
    found = {name: (saved, _digest_of(folder / name)) for name, saved in file_checksums(folder).items()}
    return {name: here for name, (saved, here) in found.items() if here != saved}


def file_name(member: str) -> str:
    """Return the file name of a member: `logistic_regression:note` → `logistic_regression-note.safetensors`."""
    return member.replace(":", "-") + ".safetensors"


def _combination(ensemble: Ensemble, designs: Sequence[Design]) -> dict[str, Any]:
    number = {id(design): number for number, design in enumerate(designs)}
    return {
        name: {
            "kind": task.kind,
            "members": {member: number[id(fitted.design)] for member, fitted in task.members.items()},
            "combination": task.combination.state() if task.combination else None,
            "calibrator": task.calibrator.state() if task.calibrator else None,
            "groups": task.group_calibration.state() if task.group_calibration else None,
            "thresholds": list(task.thresholds),
        }
        for name, task in ensemble.tasks.items()
    }


@contextmanager
def _reading(file: Path) -> Iterator[Path]:
    """Turn a failure to rebuild what a file holds into a BundleError that names it."""
    try:
        yield file
    except (ImportError, UntrustedModelError, WeightsError):
        raise  # the message has its own remedy
    except _INVALID as problem:
        raise BundleError(f"{file} has content that this version cannot read: train the bundle again") from problem


def _json(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


def _study(folder: Path) -> Study:
    try:
        return Study.load(folder / "study.yaml")
    except StudyError as problem:
        raise BundleError(f"{problem}; train the bundle again") from problem


def _task(folder: Path, name: str, state: Mapping[str, Any], designs: Sequence[Design]) -> TaskEnsemble:
    members = {
        member: Member(ClassicalModel.load(folder / "classical" / name / file_name(member)), designs[design])
        for member, design in state["members"].items()
    }
    return TaskEnsemble(
        state["kind"],
        members,
        Combination.from_state(state["combination"]) if state["combination"] else None,
        Calibrator.from_state(state["calibrator"]) if state["calibrator"] else None,
        GroupCalibration.from_state(state["groups"]) if state["groups"] else None,
        tuple(state["thresholds"]),
    )


def _networks(folder: Path, index: Mapping[str, Any]) -> list[UnifiedModel]:
    weights = load_file(folder / "model.safetensors")
    networks = []
    for number in range(index["networks"]):
        network = UnifiedModel(ModelConfig.model_validate(index["network"]))
        own = f"{number}."
        network.load_state_dict({k.removeprefix(own): v for k, v in weights.items() if k.startswith(own)})
        networks.append(network.eval())
    return networks


def _index(folder: Path) -> dict[str, Any]:
    try:
        index: dict[str, Any] = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError(f"no bundle at {folder}: create one with `polyclinic train`") from error
    if not isinstance(index, dict) or not isinstance(index.get("format"), int):
        raise BundleError(f"{folder / INDEX} is not the index of a bundle: create one with `polyclinic train`")
    if index["format"] != FORMAT:
        raise BundleError(
            f"{folder} is a bundle of format {index['format']}, written by Polyclinic {index.get('polyclinic')}; "
            f"this version reads format {FORMAT}: train it again, or use that version"
        )
    if not (isinstance(index.get("files"), dict) and {"network", "networks", "origin"} <= index.keys()):
        raise BundleError(f"{folder / INDEX} is incomplete: copy the bundle again, or train it again")
    return index


def _digest_of(file: Path) -> str | None:
    try:
        return sha256(file.read_bytes())
    except OSError:
        return None
