"""Guess which texts of a column mean female and male, in the language of its name and of the texts themselves.

`M` is male beside `F`, `W` or the Dutch `V`, and female (mujer, mulher) beside `H` (hombre, homem).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from polyclinic.ingest.sexes import meaning
from polyclinic.ingest.table.column_profile import Profile, matches
from polyclinic.ingest.table.guess.lines import Guess, quoted
from polyclinic.ingest.table.questions import QUESTION

_CODE = "DEMOGRAPHIC//sex"
#: Letters for female and male.
_LETTERS = ("fm", "wm", "fh", "mh", "vm", "mv", "fv")
#: Those of the languages in which a column has this name.
_BY_NAME: Mapping[tuple[str, ...], tuple[str, ...]] = {
    ("sex", "gender"): ("fm",),
    ("geschlecht",): ("wm", "fm"),
    ("sexe", "genre"): ("fh", "fm", "vm"),  # French, and Dutch
    ("sexo", "genero"): ("mh", "fm", "fh", "mv", "fv"),
    ("sesso", "genere"): ("fm", "du"),
    ("geslacht",): ("vm",),
}
_WORDS = (
    ("female", "male"), ("woman", "man"), ("weiblich", "männlich"), ("frau", "mann"), ("femme", "homme"),
    ("féminin", "masculin"), ("mujer", "hombre"), ("femenino", "masculino"), ("feminino", "masculino"),
    ("femmina", "maschio"), ("donna", "uomo"), ("mulher", "homem"), ("vrouw", "man"), ("fem", "masc"),
)  # fmt: skip


def guess_sex(profile: Profile, fields: Mapping[str, str], nothing: Sequence[str]) -> Guess:
    """Guess the mapping of a column of the sex; `nothing` are its texts without a word."""
    texts = [text for text in profile.most_common() if text not in nothing]
    meant = meanings(profile.name, texts)
    if meant is None:
        remark = f"{', '.join(map(quoted, sorted(texts)))}: which is which? write values: {{…: female, …: male}}"
        return Guess(profile.name, {**fields, "code": _CODE, "values": f'"{QUESTION}"'}, remark)
    stated = {text: sex for text, sex in meant.items() if sex}
    if not stated or not set(texts) <= set(meant):
        return Guess(profile.name, fields, "add values: {...: female, ...: male}")
    pairs = ", ".join(f"{quoted(text)}: {sex}" for text, sex in stated.items())
    missing = sorted([*nothing, *(text for text, sex in meant.items() if not sex)])
    fields = {**fields, "code": _CODE, "values": f"{{{pairs}}}"}
    if missing:
        fields["missing"] = f"[{', '.join(map(json.dumps, missing))}]"
    return Guess(profile.name, fields)


def meanings(name: str, texts: Iterable[str]) -> dict[str, str] | None:
    """Return `female`, `male`, `other`, or an empty text if none is stated, of the texts that are known.

    If the texts are of one sex, those of the other are added, in the same case. None if letters are ambiguous.

    >>> meanings("Sexo", ["H", "M"]), meanings("sex", ["F", "M"])
    ({'H': 'male', 'M': 'female'}, {'F': 'female', 'M': 'male'})
    >>> meanings("sex", ["V", "M"]), meanings("Geslacht", ["V", "M"])
    (None, {'M': 'male', 'V': 'female'})
    """
    folded = {text: text.strip().rstrip(".").casefold() for text in texts}
    pairs = _pairs(name, set(folded.values()))
    letters = set(chain.from_iterable(pairs or _LETTERS))
    found = {}
    for text, word in sorted(folded.items()):
        sexes = {_sex(word, pair) for pair in pairs if word in pair} if word in letters else {meaning(word)}
        if len(sexes) != 1:
            return None
        found[text] = sexes.pop()
    known = {text: sex for text, sex in found.items() if sex in ("female", "male", "other", "")}
    return known | _others(known, folded, pairs)


def _pairs(name: str, words: set[str]) -> list[str]:
    """Return the pairs of letters, female first, that the letters among the words may be of."""
    of_name = next((pairs for names, pairs in _BY_NAME.items() if matches(name, *names)), ())
    letters = words & set(chain.from_iterable(_LETTERS))
    fitting = [pair for pair in of_name if letters <= set(pair)]
    if not letters:
        return [pair for pair in fitting if words & set(pair)]
    return fitting or [pair for pair in _LETTERS if letters <= set(pair)]


def _sex(letter: str, pair: str) -> str:
    return "female" if letter == pair[0] else "male"


def _others(known: Mapping[str, str], folded: Mapping[str, str], pairs: Iterable[str]) -> dict[str, str]:
    """Return the texts of the other sex, if all texts are of one."""
    sexes = {sex for sex in known.values() if sex in ("female", "male")}
    if len(sexes) != 1:
        return {}
    others = {}
    for text, sex in known.items():
        for female, male in (*pairs, *_WORDS):
            if sex in sexes and folded[text] == (female if sex == "female" else male):
                other = male if sex == "female" else female
                others[_as_written(other, text)] = "male" if sex == "female" else "female"
    return others


def _as_written(word: str, text: str) -> str:
    """Return a word in the case of a text."""
    return word.upper() if text.isupper() else word.capitalize() if text.istitle() else word
