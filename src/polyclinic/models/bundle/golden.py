"""The synthetic reference patient of a bundle, and the outputs that the bundle computed for it when it was created.

`polyclinic verify` recomputes them on another machine; see `polyclinic.verification`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

from polyclinic.files import replacing, write_text

FILES = ("golden.json", "golden.png", "golden.arrow")
JSON, IMAGE, WAVEFORM = FILES

Kind = Literal["encoder", "answer", "member", "latent", "attribution"]


class Part(NamedTuple):
    """Numbers computed together, by name."""

    what: str  # display name: `demo_stay: answer`
    kind: Kind  # determines the tolerance
    values: Mapping[str, float]


class SyntheticEvent(NamedTuple):
    """One event of the patient; contents of blobs are stored separately."""

    code: str
    hours: float | None  # before the prediction time; None: a static fact
    number: float | None = None
    text: str | None = None
    picture: bool = False
    waveform: bool = False

    @property
    def blob(self) -> str | None:
        """File of its blob, if it has one."""
        return IMAGE if self.picture else WAVEFORM if self.waveform else None


@dataclass(frozen=True, eq=False)
class SyntheticPatient:
    """A synthetic record."""

    prediction_time: datetime
    events: tuple[SyntheticEvent, ...]
    blobs: Mapping[str, bytes] = field(default_factory=dict, repr=False)  # by file: `IMAGE`, `WAVEFORM`


@dataclass(frozen=True, eq=False)
class Golden:
    """The patient, the computed outputs, and the versions used."""

    patient: SyntheticPatient
    explained: Mapping[str, str]  # by task: the explained output
    parts: tuple[Part, ...]
    versions: Mapping[str, str]  # of libraries, and the kind of machine

    def save(self, folder: Path) -> tuple[str, ...]:
        """Write to a bundle's folder, and return the file names."""
        plain: dict[str, Any] = {
            "prediction_time": self.patient.prediction_time.isoformat(),
            "events": [event._asdict() for event in self.patient.events],
            "explained": dict(self.explained),
            "parts": [{"what": what, "kind": kind, "values": dict(values)} for what, kind, values in self.parts],
            "versions": dict(self.versions),
        }
        # Not sorted by key, to keep the order of outputs.
        write_text(folder / JSON, json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
        for name, content in self.patient.blobs.items():
            with replacing(folder / name) as temporary:
                temporary.write_bytes(content)
        return (JSON, *self.patient.blobs)

    @classmethod
    def load(cls, folder: Path, files: Collection[str]) -> Self:
        """Read what `save` wrote; `files` are those of the bundle."""
        plain = json.loads((folder / JSON).read_text(encoding="utf-8"))
        patient = SyntheticPatient(
            datetime.fromisoformat(plain["prediction_time"]),
            tuple(SyntheticEvent(**event) for event in plain["events"]),
            {name: (folder / name).read_bytes() for name in (IMAGE, WAVEFORM) if name in files},
        )
        return cls(patient, plain["explained"], tuple(Part(**part) for part in plain["parts"]), plain["versions"])
