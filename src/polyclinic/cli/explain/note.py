"""View of notes: text with marked words, and contributions of sections and negations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from rich.console import RenderableType
from rich.text import Text

from polyclinic.cli.explain.formatting import ViewContext, bar, colour_of, table_of
from polyclinic.evaluation.estimate import percent
from polyclinic.explain.attribution import NoteAttribution, WordScore
from polyclinic.explain.display import plots
from polyclinic.explain.display.labels import label_of, writer
from polyclinic.explain.display.summaries import levels, weightiest
from polyclinic.features.note.layout import Note

STRONG = 3
"""Level from which a word is marked twice."""
LEGEND = "*for* **strongly for** [against] [[strongly against]] ¬negation (italic: negated)"


@dataclass(frozen=True)
class NotePart:
    """Notes with the scores of their words, or of whole sentences."""

    found: NoteAttribution
    notes: Sequence[Note]  # as the attribution numbers them
    scale: str  # of the scores

    def lines(self) -> Iterator[RenderableType]:
        """Yield the marked notes, the totals of sections, the largest words, and negations."""
        if self.found.sentences:
            yield from self._sentences()
        else:
            yield f"marks: {LEGEND}"
            yield from self._texts()
        yield self._sections()
        yield from self._largest()

    def to_dict(self) -> dict[str, Any]:
        """Return notes, words or sentences with their positions, and sections."""
        return {
            "score": self.found.total,
            "notes": [note._asdict() for note in self.notes],
            "words": [word._asdict() | {"negates": word.negates} for word in self.found.words],
            "sentences": [sentence._asdict() for sentence in self.found.sentences],
            "sections": [section._asdict() for section in self.found.by_section],
            "marks": self.found.marks,
        }

    def draw(self) -> Figure:
        """Draw the notes with words underlined."""
        if self.found.sentences:
            raise ValueError("whole sentences are not drawn: omit --out, or use integrated_gradients")
        return plots.words(self.found, self.notes).figure  # type: ignore[return-value]

    @property
    def legend(self) -> str:
        """Legend of the plot."""
        return "underlined: for; dashed: against; thicker: more; boxed: negation; italic: negated"

    def _texts(self) -> Iterator[Text]:
        marked = list(zip(self.found.words, levels(self.found), strict=True))
        for number in sorted({word.note for word, _ in marked}):
            own = sorted((pair for pair in marked if pair[0].note == number), key=lambda pair: pair[0].start)
            text, end = self.notes[number].text, 0
            line = Text.assemble((f"{label_of(self.notes[number].section)}: ", "bold"))
            for word, level in own:
                line.append(text[end : word.start])
                line.append(_marked(word, level), style=f"{_style(level)}{' italic' * word.denied}".strip())
                end = word.end
            yield line.append(text[end:])

    def _sentences(self) -> Iterator[RenderableType]:
        table = table_of(("sentence", "section", "share", ""), ("share",))
        largest = max(sentence.score for sentence in self.found.sentences)
        for sentence in self.found.sentences:
            share = sentence.score
            table.add_row(sentence.text, label_of(sentence.section), percent_of(share), bar(share, largest))
        yield table

    def _sections(self) -> RenderableType:
        rows: list[tuple[str, float]] = [
            (label_of(section.section), section.score) for section in self.found.by_section
        ]
        if self.found.marks:
            rows.append(("punctuation, ends of sentences", self.found.marks))
        write = percent_of if self.found.sentences else writer(score for _, score in rows)
        largest = max((abs(score) for _, score in rows), default=0.0)
        table = table_of(("section", self.scale, "against │ for"), (self.scale,))
        for name, score in rows:
            table.add_row(name, write(score), bar(score, largest))
        table.add_section()
        table.add_row("total", write(self.found.total))
        return table

    def _largest(self) -> Iterator[str]:
        pro, contra = weightiest(self.found)
        cues = self.found.negations
        write = writer(word.score for words in (pro, contra, cues) for word in words)
        for side, words in (("for", pro), ("against", contra)):
            if words:
                times = [f" (×{word.times})" if word.times > 1 else "" for word in words]
                scores = [f"{word.word} {write(word.score)}{often}" for word, often in zip(words, times, strict=True)]
                yield f"largest words {side}: {', '.join(scores)}"
        if self.found.words:
            negations = [f"{cue.text.lower()} {write(cue.score)} ({label_of(cue.section)})" for cue in cues]
            yield f"negations: {', '.join(negations) or 'none'}"


def percent_of(share: float) -> str:
    """Format a share in per cent."""
    return percent(share, 1)


def _marked(word: WordScore, level: int) -> str:
    twice = 2 if abs(level) >= STRONG else 1
    text = f"¬{word.text}" if word.negates else word.text
    if level == 0:
        return text
    return f"{'*' * twice}{text}{'*' * twice}" if level > 0 else f"{'[' * twice}{text}{']' * twice}"


def _style(level: int) -> str:
    return f"{'bold ' if abs(level) >= STRONG else ''}{'underline ' if level > 0 else ''}{colour_of(level)}".strip()


def view(context: ViewContext) -> NotePart:
    """Return the view of the notes."""
    return NotePart(context.found["note"], context.sample.note_layout.notes, context.scale)
