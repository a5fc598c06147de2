"""Write the notes of a patient: the indication, before the radiograph, and its report (findings and impression).

The truth records each mention of a history or finding: the offsets of its trigger word in the final text, and whether
it is negated or hedged. Some notes contain typing errors.
"""

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl

from polyclinic.demo.patients import CONDITIONS, FINDINGS, HISTORIES, Patients
from polyclinic.demo.phrases import (
    ABSENT,
    ASIDE,
    BACKGROUND,
    CLEAR,
    COMPLAINTS,
    FOLLOW_UP,
    HEDGES,
    HISTORY,
    HISTORY_ASIDE,
    PRESENT,
    QUESTIONS,
    VAGUE,
)
from polyclinic.demo.tables import at

Facts = Mapping[str, Any]  # one row of the truth

SECTIONS = ("indication", "findings", "impression")
CARELESS = 0.25  # share of notes with typing errors
MISTYPED = 0.05  # share of misspelt words in these
HEDGED = 0.18  # share of hedged findings
SIDES = {-1: "right", 1: "left", 0: "bilateral"}
#: Findings that may be overlooked: below which extent (nodules: mm), and with which probability.
OVERLOOKED: Mapping[str, tuple[float, float]] = {
    "effusion": (0.30, 0.10),
    "consolidation": (0.20, 0.15),
    "nodule": (20.0, 0.25),
    "pneumothorax": (0.25, 0.10),
}


class Trigger(NamedTuple):
    """A trigger word: characters `start` to `end` of the section."""

    section: str
    start: int
    end: int
    word: str
    concept: str
    negated: bool
    hedged: bool


class Sentence(NamedTuple):
    """A phrase of the grammar, the concept of its trigger word, and the values of its `<slots>`."""

    phrase: str
    concept: str = ""
    negated: bool = False
    slots: Mapping[str, str] = {}


class Draft:
    """A section being written: its text and triggers, with typing errors if `careless`."""

    def __init__(self, rng: random.Random, section: str, careless: bool) -> None:
        self.rng, self.section, self.careless = rng, section, careless
        self.text = ""
        self.triggers: list[Trigger] = []

    def add(self, sentence: Sentence) -> None:
        """Append a sentence."""
        phrase, concept, negated, slots = sentence
        hedged = "<hedge>" in phrase and bool(slots["hedge"])
        phrase = re.sub(r"<(\w+)>", lambda slot: slots[slot[1]], phrase)
        phrase = re.sub(r"\{([^}]*)\}", lambda options: self.rng.choice(options[1].split("|")), phrase)
        self.text += " " if self.text else ""
        for index, part in enumerate(re.split(r"[\[\]]", _capital(phrase) + "." * (phrase[-1] != "?"))):
            typed = self._typed(part)
            if index % 2:
                start = len(self.text)
                self.triggers.append(Trigger(self.section, start, start + len(typed), typed, concept, negated, hedged))
            self.text += typed

    def _typed(self, part: str) -> str:
        if not self.careless:
            return part
        return re.sub(r"[A-Za-z]{4,}", lambda word: self._mistyped(word[0]), part)

    def _mistyped(self, word: str) -> str:
        if self.rng.random() > MISTYPED:
            return word
        at = self.rng.randrange(1, len(word) - 1)
        error = self.rng.randrange(3)
        if error == 0:
            return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        return word[:at] + word[at + 1 :] if error == 1 else word[:at] + word[at] + word[at:]


def _capital(phrase: str) -> str:
    first = int(phrase.startswith("["))
    return phrase[:first] + phrase[first].upper() + phrase[first + 1 :]


class Notes(NamedTuple):
    """The notes of a block: the table of sections, and the truth about their trigger words."""

    table: pl.DataFrame  # patient_id, written_at, indication, findings, impression
    triggers: pl.DataFrame


def write_notes(seed: int, patients: Patients) -> Notes:
    """Write the notes of the patients who have any."""
    frame = patients.frame()
    indicated_at, reported_at = at(patients, patients.care.film_hour - 0.4), at(patients, patients.care.film_hour + 0.8)
    rows: list[tuple[Any, ...]] = []
    triggers: list[tuple[Any, ...]] = []
    for index, facts in enumerate(frame.iter_rows(named=True)):
        if not facts["has_note"]:
            continue
        patient = facts["patient"]
        rng = random.Random(f"{seed}/{patient}/notes")
        careless = rng.random() < CARELESS
        reported_findings = [finding for finding in FINDINGS if _is_reported(rng, finding, facts)]
        drafts = [Draft(rng, section, careless) for section in SECTIONS]
        for draft, sentences in zip(drafts, (_indication, _findings, _impression), strict=True):
            for sentence in sentences(rng, facts, reported_findings):
                draft.add(sentence)
        rows.append((patient, indicated_at[index], drafts[0].text, None, None))
        rows.append((patient, reported_at[index], None, drafts[1].text, drafts[2].text))
        triggers += [(patient, *trigger) for draft in drafts for trigger in draft.triggers]
    head = [("patient_id", pl.Int64()), ("written_at", pl.Datetime("us"))]
    table = pl.DataFrame(rows, [*head, *((section, pl.String()) for section in SECTIONS)], orient="row")
    return Notes(table, pl.DataFrame(triggers, {"patient_id": int} | Trigger.__annotations__, orient="row"))


def _indication(rng: random.Random, facts: Facts, reported_findings: Sequence[str]) -> Iterator[Sentence]:  # noqa: ARG001
    condition = facts["condition"]
    person = rng.choice(("woman", "female", "lady") if facts["female"] else ("man", "male", "gentleman"))
    complaint = rng.choice(VAGUE if rng.random() < 0.25 else COMPLAINTS[condition])
    yield Sentence(f"{facts['age']:.0f} {rng.choice(('year old', 'year-old', 'yo'))} {person} with {complaint}")
    history = [Sentence(aside) for aside in HISTORY_ASIDE if rng.random() < 0.10]
    background = [rng.choice(words) for name, words in BACKGROUND.items() if facts[name] and rng.random() < 0.7]
    if background:
        history.append(Sentence(f"Background of {', '.join(background)}"))
    for concept in HISTORIES:
        affirmed, negated = HISTORY[concept]
        if facts[concept]:
            history.append(Sentence(rng.choice(affirmed), concept))
        elif rng.random() < 0.45:
            history.append(Sentence(rng.choice(negated), concept, negated=True))
    rng.shuffle(history)
    yield from history
    yield Sentence(rng.choice(QUESTIONS[condition if rng.random() < 0.75 else rng.choice(CONDITIONS)]))


def _findings(rng: random.Random, facts: Facts, reported_findings: Sequence[str]) -> Iterator[Sentence]:
    yield Sentence(rng.choice(("Portable AP film", "AP view") if facts["portable"] else ("PA chest film", "PA view")))
    sentences = [Sentence(aside) for aside in ASIDE if rng.random() < 0.15]
    for finding in FINDINGS:
        if finding in reported_findings:
            sentences.append(_described(rng, finding, facts))
        elif rng.random() < 0.75:
            sentences.append(Sentence(rng.choice(ABSENT[finding]), finding, negated=True))
    rng.shuffle(sentences)
    yield from sentences


def _impression(rng: random.Random, facts: Facts, reported_findings: Sequence[str]) -> Iterator[Sentence]:
    for finding in reported_findings:
        yield _described(rng, finding, facts)
    if not reported_findings:
        yield Sentence(rng.choice(CLEAR))
    elif rng.random() < 0.3:
        yield Sentence(rng.choice(FOLLOW_UP))


def _is_reported(rng: random.Random, finding: str, facts: Facts) -> bool:
    """Return whether the radiologist reports a finding; small ones are sometimes overlooked."""
    overlooked = rng.random()
    if finding not in OVERLOOKED:
        return bool(facts[f"has_{finding}"])
    extent = facts["nodule_mm"] if finding == "nodule" else facts[f"{finding}_extent"]
    small, missed = OVERLOOKED[finding]
    return bool(extent > 0 and not (extent < small and overlooked < missed))


def _described(rng: random.Random, finding: str, facts: Facts) -> Sentence:
    side, height = facts.get(f"{finding}_side", 0), facts.get(f"{finding}_height", 0.5)
    slots = {
        "hedge": rng.choice(HEDGES) if rng.random() < HEDGED else "",
        "side": SIDES[side],
        "on_side": f"on the {SIDES[side]}" if side else "on both sides",
        "angle": f"the {SIDES[side]} costophrenic angle" if side else "both costophrenic angles",
        "zone": "upper" if height < 0.36 else "mid" if height < 0.64 else "lower",
    }
    return Sentence(rng.choice(PRESENT[finding]), finding, slots=slots)
