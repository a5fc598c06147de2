"""Notes with their words marked: by colour, and by the thickness and kind of the line beneath.

What speaks for the output is underlined, what speaks against it has a dashed line; cues of negation are boxed, and what
they deny is slanted.
"""

from collections.abc import Callable, Sequence
from itertools import groupby

from polyclinic.evaluation.report.document import escape
from polyclinic.exchange.html.markup import section, side
from polyclinic.explain.attribution import NoteAttribution, WordScore
from polyclinic.explain.display.labels import writer
from polyclinic.explain.display.summaries import TotalOfWord, levels, weightiest
from polyclinic.features.note.layout import Note

Write = Callable[[float], str]


def note_section(note: NoteAttribution, notes: Sequence[Note], scale: str) -> str:
    """Give the section of the notes, with scores in `scale`; without their texts, the words stand by themselves."""
    write = writer(word.score for word in note.words)

    def name(score: float) -> str:
        return f"{write(score)} {scale}"

    marked = dict(zip(note.words, levels(note), strict=True))
    if notes:
        parts = [_note(one, _of(marked, number), name) for number, one in enumerate(notes)]
    else:
        sections = groupby(marked.items(), key=lambda one: one[0].section)
        parts = [_loose(of_section, dict(of), name) for of_section, of in sections]
    return section(
        "note", "The notes", f'<div class="two"><div class="text">{"".join(parts)}</div>{_told(note, write)}</div>'
    )


def _of(marked: dict[WordScore, int], number: int) -> dict[WordScore, int]:
    return {word: level for word, level in marked.items() if word.note == number}


def _note(note: Note, marked: dict[WordScore, int], write: Write) -> str:
    name, text = note
    if not marked:
        return f'{_heading(name, "not read by the model")}<p class="unread">{escape(text)}</p>'
    pieces, done = [], 0
    for word, level in sorted(marked.items(), key=lambda one: one[0].start):
        pieces += [escape(text[done : word.start]), _word(text[word.start : word.end], word, level, write)]
        done = word.end
    return f"{_heading(name)}<p>{''.join(pieces)}{escape(text[done:])}</p>"


def _loose(name: str, marked: dict[WordScore, int], write: Write) -> str:
    return f"{_heading(name)}<p>{' '.join(_word(word.text, word, level, write) for word, level in marked.items())}</p>"


def _heading(name: str, caution: str = "") -> str:
    plain = name[:1].upper() + name[1:].replace("_", " ")
    told = f' <span class="caution">{escape(caution)}</span>' if caution else ""
    return f"<h4>{escape(plain)}{told}</h4>"


def _word(text: str, word: WordScore, level: int, write: Write) -> str:
    """Mark a word, or leave it plain."""
    names = [side(level), f"level-{abs(level)}"] if level else []
    names += ["negation"] if word.negates else []
    names += ["denied"] if word.denied else []
    if not names:
        return escape(text)
    told = write(word.score) + ", negation" * word.negates + ", denied" * word.denied
    return f'<span class="word {" ".join(names)}" title="{told}">{escape(text)}</span>'


def _told(note: NoteAttribution, write: Write) -> str:
    """Say in words which words weigh most, for those who hear the page."""
    pro, contra = weightiest(note)
    lines = [_list("Most for", pro, write), _list("Most against", contra, write)]
    negated = sorted({word.text.lower() for word in note.negations})
    if negated:
        lines.append(f"<dt>Negations</dt><dd>{escape(', '.join(negated))}</dd>")
    return f'<dl class="told">{"".join(lines)}</dl>'


def _list(name: str, words: Sequence[TotalOfWord], write: Write) -> str:
    told = "".join(
        f"<li>{escape(one.word)}{f' × {one.times}' if one.times > 1 else ''} <b>{write(one.score)}</b></li>"
        for one in words
    )
    return f"<dt>{name}</dt><dd><ul>{told or '<li>nothing</li>'}</ul></dd>"
