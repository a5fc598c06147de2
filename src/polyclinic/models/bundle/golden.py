"""A patient who is nobody, kept with a bundle, and what the bundle computed of them when it was made.

Whoever installs the bundle computes it again: `polyclinic verify`. See `polyclinic.verification`.
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
    """Numbers that are computed together, by name."""

    what: str  # as shown to people: `demo_stay: answer`
    kind: Kind  # tells how far they may differ elsewhere
    values: Mapping[str, float]


class MadeUpEvent(NamedTuple):
    """One event of the patient; a picture's content lies beside."""

    code: str
    hours: float | None  # before the prediction time; None: a static fact
    number: float | None = None
    text: str | None = None
    picture: bool = False


@dataclass(frozen=True, eq=False)
class MadeUpPatient:
    """A record that is nobody's."""

    prediction_time: datetime
    events: tuple[MadeUpEvent, ...]
    picture: bytes | None = field(default=None, repr=False)  # PNG


@dataclass(frozen=True, eq=False)
class Golden:
    """The patient, what was computed, and with which versions of what."""

    patient: MadeUpPatient
    explained: Mapping[str, str]  # by task: the output that is attributed
    parts: tuple[Part, ...]
    versions: Mapping[str, str]  # of libraries, and what kind of machine it was

    def save(self, folder: Path) -> tuple[str, ...]:
        """Write it into a bundle's folder, and give the names of its files."""
        picture = self.patient.picture
        plain: dict[str, Any] = {
            "prediction_time": self.patient.prediction_time.isoformat(),
            "events": [event._asdict() for event in self.patient.events],
            "explained": dict(self.explained),
            "parts": [{"what": what, "kind": kind, "values": dict(values)} for what, kind, values in self.parts],
            "versions": dict(self.versions),
        }
        # Not sorted by key: the outputs of a task stay in their order.
        write_text(folder / FILES[0], json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
        if picture is None:
            return FILES[:1]
        with replacing(folder / FILES[1]) as temporary:
            temporary.write_bytes(picture)
        return FILES

    @classmethod
    def load(cls, folder: Path, picture: bool) -> Self:
        """Read what `save` wrote; `picture` tells whether there is one."""
        plain = json.loads((folder / FILES[0]).read_text(encoding="utf-8"))
        patient = MadeUpPatient(
            datetime.fromisoformat(plain["prediction_time"]),
            tuple(MadeUpEvent(**event) for event in plain["events"]),
            (folder / FILES[1]).read_bytes() if picture else None,
        )
        return cls(patient, plain["explained"], tuple(Part(**part) for part in plain["parts"]), plain["versions"])
