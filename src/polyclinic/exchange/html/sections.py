"""Sections of one answer's evidence, by modality; see `polyclinic.modalities`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from polyclinic.assess import Answer
from polyclinic.exchange.html.evidence import Evidence
from polyclinic.html import Markup
from polyclinic.modalities import MODALITIES, load


@dataclass(frozen=True, eq=False)
class Context:
    """What a section is made of."""

    answer: Answer
    evidence: Evidence
    place: int  # of the answer on the page
    images: Mapping[str, str]  # ids of the images' copies on the page, by blob


class Section(Protocol):
    """The function that renders one modality; its part is in `context.evidence.attribution`."""

    def __call__(self, context: Context) -> Iterator[Markup]:
        """Yield the sections, none without anything to show."""
        ...


def evidence_sections(context: Context) -> Iterator[Markup]:
    """Yield the sections of all modalities, in the reverse order of the table: the structured record is last."""
    for name in reversed(list(MODALITIES)):
        if name in context.evidence.attribution.parts:
            section: Section = load(MODALITIES[name].section)
            yield from section(context)
