"""Nearest development patients in the networks' latent, and their outcomes.

Latents are computed from the training cohort, since a bundle is distributed and contains no patients. They may be
cached in an Arrow file, which contains subject ids and so must be protected like the cohort. Latents are standardised
by those of the development samples; likeness is the cosine similarity, averaged over the networks. The networks were
trained on these patients, which therefore lie slightly nearer to their outcomes than new ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
import pyarrow as pa
from jaxtyping import Float

from polyclinic.cohort import Cohort
from polyclinic.explain.attribution import Frozen
from polyclinic.explain.inputs.baseline import development_samples
from polyclinic.explain.neighbours.latents import latents_of, networks_digest
from polyclinic.explain.sample import ExplanationError, Sample
from polyclinic.features import StructuredFeaturizer
from polyclinic.features.known_record import known_record
from polyclinic.features.structured.columns import is_scaled
from polyclinic.files import replacing
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.progress import SILENT, Progress
from polyclinic.tasks import Targets, Task, renumber_samples, samples

UNUSUAL = 1.0
"""Robust standard deviations from the training median beyond which a value is unusual."""
ALIKE = 1.0
"""Standard deviations by which two similar values may differ."""
LEVELS = ("last", "first", "minimum", "maximum", "mean")
"""Statistics that describe the state of a patient; others describe how often it was measured."""
MOST_SHARED = 5


@dataclass(frozen=True)
class Shared:
    """An unusual value that two patients share."""

    name: str  # of the structured feature
    code: str
    mine: float  # in the unit of the record; 1 for a category
    theirs: float


@dataclass(frozen=True)
class SimilarPatient:
    """One training patient similar to the sample."""

    subject_id: int
    prediction_time: datetime
    likeness: float  # cosine similarity
    outcomes: dict[str, str | float | None]  # by task: the class, labels, number, yes or no; None: not observed
    modalities: tuple[str, ...]  # present in both
    shares: tuple[Shared, ...]  # most unusual first, one per code


@dataclass(frozen=True, eq=False)
class Neighbourhood(Frozen):
    """The development samples, their latents and outcomes."""

    cohort: Cohort
    frame: pl.DataFrame  # sample, subject_id, prediction_time
    latents: Float[np.ndarray, "sample network width"]
    targets: Mapping[str, Targets]
    rows: np.ndarray  # of each sample in the targets; −1: not labelled
    networks: str  # digest

    @classmethod
    def of(cls, bundle: Bundle, cohort: Cohort, kept: Path | None = None, progress: Progress = SILENT) -> Self:
        """Compute the latents of the development samples, or read them from `kept` if of the same networks and cohort.

        Raises:
            ExplanationError: the cohort is not the training cohort, or the bundle has no network.
        """
        networks = bundle.ensemble.networks
        frame = development_samples(bundle.tasks, bundle.origin, cohort)
        digest = networks_digest(networks)
        latents = _read(kept, cohort, digest, frame) if kept else None
        if latents is None:
            latents = latents_of(networks, bundle.arrays(cohort, frame, progress))
            if kept:
                _write(kept, cohort, digest, frame, latents)
        labelled = samples(cohort, bundle.tasks)
        number = labelled.frame.select("subject_id", "prediction_time", row="sample")
        placed = frame.join(number, on=["subject_id", "prediction_time"], how="left", maintain_order="left")
        rows = placed["row"].fill_null(-1).cast(pl.Int64).to_numpy().copy()
        return cls(cohort, frame, latents, labelled.targets, rows, digest)

    def nearest(self, bundle: Bundle, sample: Sample, most: int = 5) -> tuple[SimilarPatient, ...]:
        """Return the `most` patients most similar to the sample, excluding its own subject.

        Raises:
            ExplanationError: the sample has none of the inputs, or the bundle is another.
        """
        sample.require_input()
        if networks_digest(bundle.ensemble.networks) != self.networks:
            raise ExplanationError("this neighbourhood is of another bundle: make one for this bundle")
        likeness = self.likeness(latents_of(bundle.ensemble.networks, sample.arrays)[0])
        subjects = self.frame["subject_id"].to_numpy()
        likeness = np.where(subjects == sample.subject_id, -np.inf, likeness)
        order = np.argsort(-likeness, kind="stable")
        _, first = np.unique(subjects[order], return_index=True)
        chosen = [int(row) for row in order[np.sort(first)] if np.isfinite(likeness[row])][:most]
        described = _describe(bundle.tasks, sample, self.cohort, self.frame[chosen])
        return tuple(
            SimilarPatient(
                int(subjects[row]),
                self.frame["prediction_time"][row],
                float(likeness[row]),
                {task.name: self._outcome(task, row) for task in bundle.tasks},
                modalities,
                shares,
            )
            for row, (modalities, shares) in zip(chosen, described, strict=True)
        )

    def likeness(self, latent: Float[np.ndarray, "network width"]) -> Float[np.ndarray, " sample"]:
        """Return the mean cosine similarity of a latent to that of each development sample."""
        middle, spread = self.latents.mean(axis=0), self.latents.std(axis=0)
        spread = np.where(spread > 0, spread, 1.0)
        theirs, mine = (self.latents - middle) / spread, (latent - middle) / spread
        lengths = np.linalg.norm(theirs, axis=2) * np.linalg.norm(mine, axis=1)
        cosines = np.einsum("snw,nw->sn", theirs, mine) / np.maximum(lengths, np.finfo(np.float32).tiny)
        mean: np.ndarray = cosines.mean(axis=1)
        return mean

    def _outcome(self, task: Task, row: int) -> str | float | None:
        target, place = self.targets[task.name], int(self.rows[row])
        if place < 0 or not target.observed[place]:
            return None
        values = target.values[place]
        match task.kind:
            case "binary":
                return "yes" if values[0] > 0.5 else "no"
            case "multiclass":
                return task.outputs[int(values.argmax())]
            case "multilabel":
                return (
                    ", ".join(name for name, value in zip(task.outputs, values, strict=True) if value > 0.5) or "none"
                )
            case "time_to_event":
                return f"{'event' if values[1] > 0.5 else 'no event'} by {values[0]:.3g} {task.target.unit}"
            case _:
                return float(values[0])


def _describe(
    tasks: Sequence[Task], sample: Sample, cohort: Cohort, frame: pl.DataFrame
) -> list[tuple[tuple[str, ...], tuple[Shared, ...]]]:
    """Return the modalities and unusual features that each of some samples shares with the sample."""
    frame = renumber_samples(frame)
    known = known_record(cohort.events(), frame, tasks)
    arrays = sample.features.set_blobs(cohort.blob).transform(known, frame)
    both = [
        tuple(modality for modality in sample.present if bool(arrays[modality]["present"][row]))
        for row in range(frame.height)
    ]
    featurizer = sample.features.featurizers.get("structured")
    if not isinstance(featurizer, StructuredFeaturizer):
        return [(modalities, ()) for modalities in both]
    mine, theirs = sample.arrays["structured"], arrays["structured"]
    return [
        (modalities, _shared(featurizer, mine["raw"][0], theirs["raw"][row]) if "structured" in modalities else ())
        for row, modalities in enumerate(both)
    ]


def _shared(featurizer: StructuredFeaturizer, mine: np.ndarray, theirs: np.ndarray) -> tuple[Shared, ...]:
    layout = featurizer.layout
    here, there = ((values - layout.centres) / layout.spreads for values in (mine, theirs))
    scaled = np.array([is_scaled(column) for column in layout.columns])
    informative = np.array(
        [not is_scaled(column) or column.of in LEVELS or column.code in layout.bare for column in layout.columns]
    )
    size = np.minimum(np.abs(here), np.abs(there))
    numbers = (here * there > 0) & (size >= UNUSUAL) & (np.abs(here - there) <= ALIKE)
    alike = np.where(scaled, numbers, (mine == 1) & (theirs == 1)) & informative
    found: dict[str, Shared] = {}
    for place in np.argsort(-np.where(alike, size, -np.inf), kind="stable")[: int(alike.sum())]:
        column = layout.columns[place]
        found.setdefault(column.code, Shared(column.name, column.code, float(mine[place]), float(theirs[place])))
    return tuple(list(found.values())[:MOST_SHARED])


def _write(path: Path, cohort: Cohort, networks: str, frame: pl.DataFrame, latents: np.ndarray) -> None:
    table = frame.select("subject_id", "prediction_time").to_arrow()
    numbers = pl.Series(latents.reshape(-1)).to_arrow()  # `pa.array` imports pandas
    flat = pa.FixedSizeListArray.from_arrays(numbers, int(np.prod(latents.shape[1:])))
    table = table.append_column("latent", flat)
    about = {"cohort": cohort.fingerprint, "networks": networks, "shape": ",".join(map(str, latents.shape))}
    table = table.replace_schema_metadata(about)
    with (
        replacing(path) as temporary,
        pa.OSFile(str(temporary), "wb") as file,
        pa.ipc.new_file(file, table.schema) as to,
    ):
        to.write_table(table)
    path.chmod(0o600)  # it contains subject ids


def _read(path: Path, cohort: Cohort, networks: str, frame: pl.DataFrame) -> np.ndarray | None:
    """Read the file of `_write`; None if missing, damaged, or of another cohort, network or set of samples."""
    try:
        with pa.OSFile(str(path), "rb") as file:
            table = pa.ipc.open_file(file).read_all()
    except (OSError, pa.ArrowInvalid):
        return None
    metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    expected = frame.select("subject_id", "prediction_time").to_arrow()
    same = metadata.get("cohort") == cohort.fingerprint and metadata.get("networks") == networks
    if not same or not table.select(expected.column_names).equals(expected):
        return None
    shape = [int(size) for size in metadata["shape"].split(",")]
    numbers = pl.Series(table["latent"].combine_chunks().flatten()).to_numpy()  # that of pyarrow imports pandas
    return numbers.reshape(shape).astype(np.float32)
