"""Which words of a sentence are denied: the rules of NegEx (Chapman 2001, doi:10.1006/jbin.2001.1029).

A cue denies what follows it (`no effusion`) or what precedes it (`effusion: absent`), up to the end of the sentence or
a word that turns it (`no fever but cough`). Phrases that look like cues and are none (`no increase`) deny nothing, and
what cannot be excluded is a doubt, not a denial.
"""

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import NamedTuple

Phrase = tuple[str, ...]
BACKWARDS = 5
"""Words that a cue denies before it at most; forwards, a cue has no such bound."""


class Kind(Enum):
    """What a phrase does to the words beside it."""

    BEFORE = "denies what follows"
    AFTER = "denies what precedes"
    TURN = "ends what a cue denies"
    NONE = "looks like a cue, and is none"


class Cue(NamedTuple):
    """A phrase that was found: where it stands, and what it does."""

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
        is excluded; is negative; negative; not demonstrated; not detected; not evident; not found; not identified;
        not present; not seen; not visible; not visualised; not visualized; unlikely; -ve; was excluded; was negative;
        was ruled out; were excluded; were negative; were ruled out
    """,
    Kind.TURN: """
        although; apart from; aside from; as the cause of; because of; but; except; except for; however; nevertheless;
        other than; secondary to; still; though; which; who; yet
    """,
    Kind.NONE: """
        can't exclude; can't rule out; cannot be excluded; cannot be ruled out; cannot exclude; cannot rule out;
        gram negative; never better; no change; no definite change; no further increase; no improvement; no increase;
        no interval change; no longer; no significant change; no significant interval change; not be excluded;
        not be ruled out; not cause; not certain; not exclude; not excluded; not necessarily; not only; not rule out;
        not ruled out; not yet excluded; without difficulty; without improvement
    """,
}


def _told(text: str) -> list[Phrase]:
    return [tuple(phrase.split()) for phrase in text.split(";")]


_KINDS = {phrase: kind for kind, text in PHRASES.items() for phrase in _told(text)}
_BY_FIRST: dict[str, list[Phrase]] = {}
for _phrase in sorted(_KINDS, key=len, reverse=True):
    _BY_FIRST.setdefault(_phrase[0], []).append(_phrase)


def denied(words: Sequence[str]) -> list[bool]:
    """Tell which words of one sentence, in lower case, are denied; cues themselves are not.

    >>> words = "no fever but cough and effusion not seen".split()
    >>> [word for word, is_denied in zip(words, denied(words)) if is_denied]
    ['fever', 'cough', 'and', 'effusion']
    """
    found = list(_cues(words))
    reached = {place for cue in found for place in _reach(cue, found, len(words))}
    reached -= {place for start, end, _ in found for place in range(start, end)}
    return [place in reached for place in range(len(words))]


def _reach(cue: Cue, found: Sequence[Cue], end: int) -> range:
    """Give the places that a cue denies."""
    if cue.kind is Kind.BEFORE:
        turns = [other.start for other in found if other.start >= cue.end and other.kind is Kind.TURN]
        return range(cue.end, min(turns, default=end))
    if cue.kind is Kind.AFTER:
        turns = [other.end for other in found if other.end <= cue.start and other.kind is Kind.TURN]
        return range(max([*turns, cue.start - BACKWARDS, 0]), cue.start)
    return range(0)


def is_cue(word: str) -> bool:
    """Tell whether a word by itself denies what stands beside it."""
    return _KINDS.get((word.lower(),)) in (Kind.BEFORE, Kind.AFTER)


def _cues(words: Sequence[str]) -> Iterator[Cue]:
    """Give where each cue stands, the longest phrase first, so that `no increase` is not read as `no`."""
    place = 0
    while place < len(words):
        phrases = _BY_FIRST.get(words[place], ())
        phrase = next((one for one in phrases if tuple(words[place : place + len(one)]) == one), None)
        if phrase:
            yield Cue(place, place + len(phrase), _KINDS[phrase])
        place += len(phrase or (None,))
