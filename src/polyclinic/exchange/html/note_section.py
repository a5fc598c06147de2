"""Section of the notes, with words marked by colour and by the thickness and kind of their underline.

Words for the output have a solid line, words against it a dashed one; negations are boxed, negated words italic.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from polyclinic.exchange.html.formatting import sign_class
from polyclinic.exchange.html.sections import Context
from polyclinic.explain.attribution import NoteAttribution, WordScore
from polyclinic.explain.display.labels import writer
from polyclinic.explain.display.summaries import TotalOfWord, levels, weightiest
from polyclinic.features.note.layout import Note
from polyclinic.html import Markup, render

Write = Callable[[float], str]


class Span(NamedTuple):
    """A piece of text; unmarked without `classes`."""

    text: str
    classes: str = ""
    title: str = ""


class MarkedNote(NamedTuple):
    """A note as a sequence of spans."""

    title: str
    spans: list[Span]
    read: bool  # by the model


def note_section(note: NoteAttribution, notes: Sequence[Note], scale: str) -> Markup:
    """Return the section, with scores in `scale`; without `notes`, only the scored words are shown."""
    write = writer(word.score for word in note.words)

    def write_with_scale(score: float) -> str:
        return f"{write(score)} {scale}"

    word_levels = dict(zip(note.words, levels(note), strict=True))
    if notes:
        marked = [_marked(text, number, word_levels, write_with_scale) for number, text in enumerate(notes)]
    else:
        marked = list(_words_only(word_levels, write_with_scale))
    pro, contra = weightiest(note)
    negations = ", ".join(sorted({word.text.lower() for word in note.negations}))
    lists = (("Most positive", _totals(pro, write)), ("Most negative", _totals(contra, write)))
    return render("exchange/html/note_section.html", notes=marked, lists=lists, negations=negations)


def sections(context: Context) -> Iterator[Markup]:
    """Yield one section."""
    evidence = context.evidence
    yield note_section(evidence.attribution["note"], evidence.notes, context.answer.scale)


def _marked(note: Note, number: int, word_levels: Mapping[WordScore, int], write: Write) -> MarkedNote:
    words = sorted((word for word in word_levels if word.note == number), key=lambda word: word.start)
    spans, end = [], 0
    for word in words:
        spans.append(Span(note.text[end : word.start]))
        spans.append(_span(note.text[word.start : word.end], word, word_levels[word], write))
        end = word.end
    return MarkedNote(_title(note.section), [*spans, Span(note.text[end:])], bool(words))


def _words_only(word_levels: Mapping[WordScore, int], write: Write) -> Iterator[MarkedNote]:
    for section, words in groupby(word_levels, key=lambda word: word.section):
        spans = [span for word in words for span in (Span(" "), _span(word.text, word, word_levels[word], write))]
        yield MarkedNote(_title(section), spans[1:], True)


def _title(section: str) -> str:
    return section[:1].upper() + section[1:].replace("_", " ")


def _span(text: str, word: WordScore, level: int, write: Write) -> Span:
    classes = [sign_class(level), f"level-{abs(level)}"] if level else []
    classes += ["negation"] if word.negates else []
    classes += ["denied"] if word.denied else []
    if not classes:
        return Span(text)
    title = write(word.score) + ", negation" * word.negates + ", denied" * word.denied
    return Span(text, " ".join(classes), title)


def _totals(words: Sequence[TotalOfWord], write: Write) -> list[tuple[str, str]]:
    return [(f"{word.word} × {word.times}" if word.times > 1 else word.word, write(word.score)) for word in words]
