"""Electrocardiograms of each sample: the latest recordings, normalised, with their masks, scales and ages."""

from __future__ import annotations

import math
from typing import Any, ClassVar, NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Float32
from pydantic import BaseModel, Field

from polyclinic.features.blobs import UNUSABLE, WaveformError, content_of, unusable_lines
from polyclinic.features.cache.encoder_cache import EncoderCache
from polyclinic.features.featurizer import Arrays, Blobs, Featurizer, NotFittedError, sample_rows
from polyclinic.features.measurements import hours_before
from polyclinic.features.waveform.leads import LEADS
from polyclinic.features.waveform.preprocessing import Ecg, read_ecg
from polyclinic.features.waveform.summaries import NAMES, summary
from polyclinic.ingest.formats.waveform import Waveform

ECG = "WAVEFORM//ECG"
CLIP = 30.0
"""Largest normalised value kept."""


class WaveformOptions(BaseModel, frozen=True, extra="forbid"):
    """Which recordings are read, and at what rate and length."""

    recordings: int = Field(2, ge=1)  # of a sample at most: the latest
    sampling_hz: float = Field(100, gt=0, le=1000)
    seconds: float = Field(10, ge=1)

    @property
    def samples(self) -> int:
        """Values of one lead."""
        return round(self.seconds * self.sampling_hz)


class Recording(NamedTuple):
    """A recording known of a sample."""

    blob: str
    hours: float  # before the prediction; NaN: of unknown time


class WaveformFeaturizer(Featurizer):
    """Reads the latest ECGs of each sample, the newest first, in the order of `LEADS` (see `read_ecg`).

    Each lead is divided by its root mean square in that recording, so that neither units nor gain matter; the scale is
    an array of its own. Only the number of recordings is fitted.

    Arrays: `present` Boolean `[sample]`, whether any recording has a usable lead; `signal` float16
    `[sample, record, lead, time]`, normalised, 0 where not valid; `valid` Boolean of the same shape; `log_scale`
    float32 `[sample, record, lead]`, the natural logarithm of that scale in mV, 0 where the lead is absent;
    `age_hours` float32 `[sample, record]`, before the prediction; `age_known` Boolean; and `blob`, text. A recording
    that cannot be read or has no usable lead is absent; `unusable` says why. For classical models, `summary` float32
    `[sample, column]` of the latest recording: what `column_names` names, NaN where it is not known.
    """

    modality: ClassVar[str] = "waveform"

    def __init__(self, blobs: Blobs | None = None, options: WaveformOptions | None = None) -> None:
        self.blobs = blobs  # a cohort's `blob`; may be set later, to read another cohort
        self.options = options or WaveformOptions()
        self._recordings: int | None = None

    @classmethod
    def of(cls, options: Any, cache: EncoderCache) -> WaveformFeaturizer:  # noqa: ARG003
        """Return an unfitted featurizer."""
        return cls(options=options)

    @classmethod
    def is_recorded(cls, known: pl.DataFrame, samples: pl.DataFrame) -> bool:  # noqa: ARG003
        """Return whether there is any ECG."""
        return not _ecgs(known).is_empty()

    def read_from(self, blobs: Blobs) -> None:
        """Read waveforms from `blobs` from now on."""
        self.blobs = blobs

    def sizes(self, arrays: Arrays) -> dict[str, Any]:  # noqa: ARG002
        """Return the number of leads."""
        return {"leads": len(LEADS)}

    @property
    def column_names(self) -> list[str]:
        """Names of the columns of `summary`."""
        return list(NAMES)

    @property
    def recordings(self) -> int:
        """Recordings of a sample in the arrays."""
        if self._recordings is None:
            raise NotFittedError(self)
        return self._recordings

    def fit(self, known: pl.DataFrame, samples: pl.DataFrame) -> WaveformFeaturizer:
        """Learn how many recordings a sample has at most."""
        most = max((len(found) for found in self.found(known, samples)), default=1)
        self._recordings = max(1, min(most, self.options.recordings))
        return self

    def transform(self, known: pl.DataFrame, samples: pl.DataFrame, classical: bool = False) -> Arrays:
        """Return the arrays of `samples`, in their order; with `classical` also `summary`."""
        shape = (samples.height, self.recordings, len(LEADS), self.options.samples)
        arrays: Arrays = {
            "present": np.zeros(shape[0], dtype=bool),
            "signal": np.zeros(shape, dtype=np.float16),
            "valid": np.zeros(shape, dtype=bool),
            "log_scale": np.zeros(shape[:3], dtype=np.float32),
            "age_hours": np.zeros(shape[:2], dtype=np.float32),
            "age_known": np.zeros(shape[:2], dtype=bool),
            "blob": np.full(shape[:2], "", dtype="<U80"),
        }
        if classical:
            arrays["summary"] = np.full((shape[0], len(NAMES)), np.nan, dtype=np.float32)
        reasons: list[list[str]] = []
        for row, found in enumerate(self.found(known, samples)):
            read, unusable = self.usable(found)
            reasons.append(unusable)
            for place, (recording, ecg) in enumerate(read):
                scale = scales(ecg)
                arrays["present"][row] = True
                arrays["signal"][row, place] = np.clip(ecg.signal / scale[:, None], -CLIP, CLIP)
                arrays["valid"][row, place] = ecg.valid
                arrays["log_scale"][row, place] = np.log(scale)
                arrays["blob"][row, place] = recording.blob
                arrays["age_known"][row, place] = not math.isnan(recording.hours)
                arrays["age_hours"][row, place] = np.nan_to_num(recording.hours)
                if classical and place == 0:
                    arrays["summary"][row] = summary(ecg, self.options.sampling_hz)
        return arrays | {UNUSABLE: unusable_lines(reasons)}

    def found(self, known: pl.DataFrame, samples: pl.DataFrame) -> list[list[Recording]]:
        """List the recordings of each sample, the newest first; one recorded twice counts once, at its latest time."""
        events = _ecgs(known)
        rows = sample_rows(events, samples)
        events, rows = events.filter(pl.Series(rows >= 0)), rows[rows >= 0]
        hours = hours_before(events["time"].to_numpy(), samples, rows)
        latest: list[dict[str, Recording]] = [{} for _ in range(samples.height)]
        for row, blob, ago in zip(rows.tolist(), events["blob"], hours.tolist(), strict=True):
            kept = latest[row].get(blob)
            if kept is None or math.isnan(kept.hours) or ago < kept.hours:
                latest[row][blob] = Recording(blob, ago)
        return [sorted(each.values(), key=lambda one: (math.inf if math.isnan(one.hours) else one.hours, one.blob))
                for each in latest]  # fmt: skip

    def usable(self, found: list[Recording]) -> tuple[list[tuple[Recording, Ecg]], list[str]]:
        """Read the newest usable recordings, as many as fit the arrays; return also why others cannot be used."""
        read: list[tuple[Recording, Ecg]] = []
        unusable: list[str] = []
        for recording in found:
            try:
                read.append((recording, self._ecg(recording)))
            except WaveformError as error:
                unusable.append(str(error))
            if len(read) == self.recordings:
                break
        return read, unusable

    def _ecg(self, recording: Recording) -> Ecg:
        known_s = math.inf if math.isnan(recording.hours) else recording.hours * 3600
        waveform = self._waveform(recording.blob)
        ecg = read_ecg(waveform, self.options.sampling_hz, self.options.samples, known_s)
        if not ecg.valid.any():
            raise WaveformError(
                f"waveform {recording.blob} has no usable standard lead: check the names, units, sampling rate and "
                "signals of its source"
            )
        return ecg

    def state(self) -> dict[str, Any]:
        """Return the options and the number of recordings as JSON values."""
        return {"options": self.options.model_dump(mode="json"), "recordings": self.recordings}

    @classmethod
    def from_state(
        cls,
        state: dict[str, Any],
        *,
        cache: EncoderCache | None = None,  # noqa: ARG003
        blobs: Blobs | None = None,
    ) -> WaveformFeaturizer:
        """Rebuild the featurizer that gave `state`."""
        made = cls(blobs, WaveformOptions.model_validate(state["options"]))
        made._recordings = int(state["recordings"])
        return made

    def _waveform(self, name: str) -> Waveform:
        if self.blobs is None:
            raise ValueError("the waveform featurizer does not know where blobs lie: set its blobs to cohort.blob")
        content = content_of(self.blobs, name, WaveformError, "waveform")
        try:
            return Waveform.from_blob(content)
        except ValueError as problem:
            raise WaveformError(f"waveform {name} is no waveform: ingest its source again") from problem


def _ecgs(known: pl.DataFrame) -> pl.DataFrame:
    is_ecg = pl.col("code").cast(pl.String).str.starts_with(ECG)
    return known.filter(is_ecg & pl.col("blob").is_not_null())


def scales(ecg: Ecg) -> Float32[np.ndarray, " 12"]:
    """Return the root mean square of each lead in mV; 1 where the lead is absent.

    A patient-wise cross-validation on 500 recordings of PTB-XL chose it over the interquartile range, which hardly
    sees the QRS complex.
    """
    count = ecg.valid.sum(axis=1)
    squares = np.square(ecg.signal, dtype=np.float64).sum(axis=1) / np.maximum(count, 1)
    return np.where(count > 0, np.sqrt(squares), 1).astype(np.float32)
