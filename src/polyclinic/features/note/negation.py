"""Detection of negated words by the rules of NegEx (Chapman 2001, doi:10.1006/jbin.2001.1029).

A cue negates what follows it (`no effusion`) or what precedes it (`effusion: absent`), up to the end of the sentence or
a termination term (`no fever but cough`). Pseudo-negations (`no increase`) negate nothing, nor do expressions of
uncertainty (`cannot be excluded`).
"""

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import NamedTuple

Phrase = tuple[str, ...]
MAX_WORDS_BEFORE = 5
"""Maximum number of words negated before a cue; after a cue there is no limit."""


class Kind(Enum):
    """Effect of a phrase on its neighbouring words."""

    BEFORE = "negates what follows"
    AFTER = "negates what precedes"
    TERMINATION = "ends the scope of a cue"
    PSEUDO = "looks like a cue but negates nothing"


class Cue(NamedTuple):
    """A phrase cues in a sentence: its word span and its kind."""

    start: int
    end: int
    kind: Kind


PHRASES: dict[Kind, str] = {
    Kind.BEFORE: """
        absence of; can't; cannot; couldn't; declined; declines; denied; denies; deny; denying; didn't; doesn't; don't;
        fails to; failed to; free from; free of; hasn't; haven't; inconsistent with; isn't; lack of; lacked; lacks;
        negative for; neither; never; nil; no; none; nor; not; resolution of; ruled out; rules out; -ve for; wasn't;
        weren't; with no; without
    """,
    Kind.AFTER: """
        absent; are excluded; are negative; be excluded; been excluded; been ruled out; has resolved; have resolved;
        is excluded; is negative; negative; not demonstrated; not detected; not evident; not cues; not identified;
        not present; not seen; not visible; not visualised; not visualized; unlikely; -ve; was excluded; was negative;
        was ruled out; were excluded; were negative; were ruled out
    """,
    Kind.TERMINATION: """
        although; apart from; aside from; as the cause of; because of; but; except; except for; however; nevertheless;
        other than; secondary to; still; though; which; who; yet
    """,
    Kind.PSEUDO: """
        can't exclude; can't rule out; cannot be excluded; cannot be ruled out; cannot exclude; cannot rule out;
        gram negative; never better; no change; no definite change; no further increase; no improvement; no increase;
        no interval change; no longer; no significant change; no significant interval change; not be excluded;
        not be ruled out; not cause; not certain; not exclude; not excluded; not necessarily; not only; not rule out;
        not ruled out; not yet excluded; without difficulty; without improvement
    """,
}


def _phrases(text: str) -> list[Phrase]:
    return [tuple(phrase.split()) for phrase in text.split(";")]


_KINDS = {phrase: kind for kind, text in PHRASES.items() for phrase in _phrases(text)}
_BY_FIRST: dict[str, list[Phrase]] = {}
for _phrase in sorted(_KINDS, key=len, reverse=True):
    _BY_FIRST.setdefault(_phrase[0], []).append(_phrase)


def negated_words(words: Sequence[str]) -> list[bool]:
    """Return whether each word of one sentence, in lower case, is negated; cues themselves are not.

    >>> words = "no fever but cough and effusion not seen".split()
    >>> [word for word, is_negated in zip(words, negated_words(words)) if is_negated]
    ['fever', 'cough', 'and', 'effusion']
    """
    cues = list(_cues(words))
    negated = {index for cue in cues for index in _scope(cue, cues, len(words))}
    negated -= {index for start, end, _ in cues for index in range(start, end)}
    return [index in negated for index in range(len(words))]


def _scope(cue: Cue, cues: Sequence[Cue], end: int) -> range:
    """Return the indices of the words in the scope of a cue."""
    if cue.kind is Kind.BEFORE:
        stops = [other.start for other in cues if other.start >= cue.end and other.kind is Kind.TERMINATION]
        return range(cue.end, min(stops, default=end))
    if cue.kind is Kind.AFTER:
        stops = [other.end for other in cues if other.end <= cue.start and other.kind is Kind.TERMINATION]
        return range(max([*stops, cue.start - MAX_WORDS_BEFORE, 0]), cue.start)
    return range(0)


def is_cue(word: str) -> bool:
    """Return whether a single word is a negation cue."""
    return _KINDS.get((word.lower(),)) in (Kind.BEFORE, Kind.AFTER)


def _cues(words: Sequence[str]) -> Iterator[Cue]:
    """Yield the cues, preferring the longest phrase, so that `no increase` is not read as `no`."""
    start = 0
    while start < len(words):
        phrases = _BY_FIRST.get(words[start], ())
        phrase = next((phrase for phrase in phrases if tuple(words[start : start + len(phrase)]) == phrase), None)
        if phrase:
            yield Cue(start, start + len(phrase), _KINDS[phrase])
        start += len(phrase or (None,))
