"""The synthetic reference patient of a bundle, and the outputs that the bundle computed for it when it was created.

`polyclinic verify` recomputes them on another machine; see `polyclinic.verification`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

from polyclinic.files import replacing, write_text

FILES = ("golden.json", "golden.png")

Kind = Literal["encoder", "answer", "member", "latent", "attribution"]


class Part(NamedTuple):
    """Numbers computed together, by name."""

    what: str  # display name: `demo_stay: answer`
    kind: Kind  # determines the tolerance
    values: Mapping[str, float]


class SyntheticEvent(NamedTuple):
    """One event of the patient; the content of the image is stored separately."""

    code: str
    hours: float | None  # before the prediction time; None: a static fact
    number: float | None = None
    text: str | None = None
    picture: bool = False


@dataclass(frozen=True, eq=False)
class SyntheticPatient:
    """A synthetic record."""

    prediction_time: datetime
    events: tuple[SyntheticEvent, ...]
    picture: bytes | None = field(default=None, repr=False)  # PNG


@dataclass(frozen=True, eq=False)
class Golden:
    """The patient, the computed outputs, and the versions used."""

    patient: SyntheticPatient
    explained: Mapping[str, str]  # by task: the explained output
    parts: tuple[Part, ...]
    versions: Mapping[str, str]  # of libraries, and the kind of machine

    def save(self, folder: Path) -> tuple[str, ...]:
        """Write to a bundle's folder, and return the file names."""
        picture = self.patient.picture
        plain: dict[str, Any] = {
            "prediction_time": self.patient.prediction_time.isoformat(),
            "events": [event._asdict() for event in self.patient.events],
            "explained": dict(self.explained),
            "parts": [{"what": what, "kind": kind, "values": dict(values)} for what, kind, values in self.parts],
            "versions": dict(self.versions),
        }
        # Not sorted by key, to keep the order of outputs.
        write_text(folder / FILES[0], json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
        if picture is None:
            return FILES[:1]
        with replacing(folder / FILES[1]) as temporary:
            temporary.write_bytes(picture)
        return FILES

    @classmethod
    def load(cls, folder: Path, picture: bool) -> Self:
        """Read the files written by `save`; `picture`: whether there is an image."""
        plain = json.loads((folder / FILES[0]).read_text(encoding="utf-8"))
        patient = SyntheticPatient(
            datetime.fromisoformat(plain["prediction_time"]),
            tuple(SyntheticEvent(**event) for event in plain["events"]),
            (folder / FILES[1]).read_bytes() if picture else None,
        )
        return cls(patient, plain["explained"], tuple(Part(**part) for part in plain["parts"]), plain["versions"])
