"""Notes: their text with its words marked, and what sections and negations add."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from rich.console import RenderableType
from rich.text import Text

from polyclinic.cli.explain.formatting import bar, colour_of, table_of
from polyclinic.evaluation.estimate import percent
from polyclinic.explain.attribution import NoteAttribution, WordScore
from polyclinic.explain.display import plots
from polyclinic.explain.display.labels import label_of, writer
from polyclinic.explain.display.summaries import levels, weightiest
from polyclinic.features.note.layout import Note

STRONG = 3
"""The level from which a word is marked twice."""
LEGEND = "*for* **strongly for** [against] [[strongly against]] ¬negation (slanted: what it denies)"


@dataclass(frozen=True)
class NotePart:
    """Notes, with the scores of their words, or of whole sentences."""

    found: NoteAttribution
    notes: Sequence[Note]  # as the attribution numbers them
    scale: str  # of the scores

    def lines(self) -> Iterator[RenderableType]:
        """Give the notes with their words marked, the totals of sections, the weightiest words, and negations."""
        if self.found.sentences:
            yield from self._sentences()
        else:
            yield f"marks: {LEGEND}"
            yield from self._texts()
        yield self._sections()
        yield from self._weightiest()

    def to_dict(self) -> dict[str, Any]:
        """Give notes, words or sentences with their places, and sections."""
        return {
            "score": self.found.total,
            "notes": [one._asdict() for one in self.notes],
            "words": [word._asdict() | {"negates": word.negates} for word in self.found.words],
            "sentences": [one._asdict() for one in self.found.sentences],
            "sections": [one._asdict() for one in self.found.by_section],
            "marks": self.found.marks,
        }

    def draw(self) -> Figure:
        """Write the notes with their words underlined."""
        if self.found.sentences:
            raise ValueError("whole sentences are not drawn: leave --out away, or use integrated_gradients")
        return plots.words(self.found, self.notes).figure  # type: ignore[return-value]

    @property
    def legend(self) -> str:
        """What the marks of the plot mean."""
        return "underlined: for; dashed: against; the thicker, the more; boxed: a negation; slanted: denied"

    def _texts(self) -> Iterator[Text]:
        marked = list(zip(self.found.words, levels(self.found), strict=True))
        for number in sorted({word.note for word, _ in marked}):
            own = sorted((one for one in marked if one[0].note == number), key=lambda one: one[0].start)
            text, done = self.notes[number].text, 0
            line = Text.assemble((f"{label_of(self.notes[number].section)}: ", "bold"))
            for word, level in own:
                line.append(text[done : word.start])
                line.append(_marked(word, level), style=f"{_style(level)}{' italic' * word.denied}".strip())
                done = word.end
            yield line.append(text[done:])

    def _sentences(self) -> Iterator[RenderableType]:
        table = table_of(("sentence", "section", "share", ""), ("share",))
        largest = max(one.score for one in self.found.sentences)
        for one in self.found.sentences:
            table.add_row(one.text, label_of(one.section), percent_of(one.score), bar(one.score, largest))
        yield table

    def _sections(self) -> RenderableType:
        rows: list[tuple[str, float]] = [(label_of(one.section), one.score) for one in self.found.by_section]
        if self.found.marks:
            rows.append(("punctuation, ends of sentences", self.found.marks))
        write = percent_of if self.found.sentences else writer(score for _, score in rows)
        largest = max((abs(score) for _, score in rows), default=0.0)
        table = table_of(("section", self.scale, "against │ for"), (self.scale,))
        for name, score in rows:
            table.add_row(name, write(score), bar(score, largest))
        table.add_section()
        table.add_row("all of them", write(self.found.total))
        return table

    def _weightiest(self) -> Iterator[str]:
        pro, contra = weightiest(self.found)
        cues = self.found.negations
        write = writer(one.score for told in (pro, contra, cues) for one in told)
        for what, told in (("for", pro), ("against", contra)):
            if told:
                times = [f" (×{one.times})" if one.times > 1 else "" for one in told]
                named = [f"{one.word} {write(one.score)}{often}" for one, often in zip(told, times, strict=True)]
                yield f"weightiest words {what}: {', '.join(named)}"
        if self.found.words:
            told_cues = [f"{one.text.lower()} {write(one.score)} ({label_of(one.section)})" for one in cues]
            yield f"cues of negation: {', '.join(told_cues) or 'none'}"


def percent_of(share: float) -> str:
    """Write a share."""
    return percent(share, 1)


def _marked(word: WordScore, level: int) -> str:
    twice = 2 if abs(level) >= STRONG else 1
    text = f"¬{word.text}" if word.negates else word.text
    if level == 0:
        return text
    return f"{'*' * twice}{text}{'*' * twice}" if level > 0 else f"{'[' * twice}{text}{']' * twice}"


def _style(level: int) -> str:
    return f"{'bold ' if abs(level) >= STRONG else ''}{'underline ' if level > 0 else ''}{colour_of(level)}".strip()
