"""Guess which texts of a column mean female and male, in the language of its name and of the texts themselves.

`M` is male beside `F`, `W` or the Dutch `V`, and female (mujer, mulher) beside `H` (hombre, homem).
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from polyclinic.ingest.sexes import meaning
from polyclinic.ingest.table.column_profile import Profile, matches
from polyclinic.ingest.table.guess.lines import Guess, code, quoted
from polyclinic.ingest.table.guess.names import GENDERS, SEXES
from polyclinic.ingest.table.guess.persons import words_of
from polyclinic.ingest.table.questions import QUESTION

_CODE = "DEMOGRAPHIC//sex"
_SEXES = frozenset({"female", "male"})
_CODES = 6  # different codes of a column of the sex, at most
_SHORT = 2  # characters of a code
_NUMBERS = frozenset({"0", "1", "2", "3", "8", "9", "99", "-1", "-9", "0.0", "1.0", "2.0", "3.0", "9.0"})
_NEUTRAL = frozenset({"is", "patient", "pt", "flag", "at", "birth", "binary", "dummy"})
#: Words beside which sex is another thing.
_BESIDE = (
    r"partner\w*",
    r"activ\w*",
    r"hormon\w*",
    r"educat\w*",
    "abuse",
    "assault",
    r"work\w*",
    "orientation",
    "same",
)
_LEGEND = re.compile(r"(?<![\w.])(\d{1,2})\s*[=:]\s*([^\W\d_]+)")
_LEGEND_BACKWARDS = re.compile(r"(?<![^\W\d_])([^\W\d_]+)\s*[=:]\s*(\d{1,2})(?![\w.])")
#: Of OMOP's vocabulary of gender.
_CONCEPTS = {"8507": "male", "8532": "female", "8521": "other", "8551": "", "0": ""}
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
    ("feminine", "masculine"),
)  # fmt: skip


def is_sex(profile: Profile) -> bool:
    """Return whether a column is of the sex, by its name and cells.

    A column called genre, genere or género is one if a text means a sex, or all are small codes such as 1 and 2.
    """
    name = profile.name
    few = profile.distinct <= _CODES
    possible = (profile.categorical and not profile.numeric) or few
    if not possible or profile.prose or matches(name, *_BESIDE) or (profile.binary and names_a_sex(name)):
        return False
    if matches(name, *SEXES):
        return True
    return matches(name, *GENDERS) and ((few and set(profile.counts) <= _NUMBERS) or _states_sexes(profile))


def _states_sexes(profile: Profile) -> bool:
    meant = meanings(profile.name, profile.counts)
    return meant is None or not _SEXES.isdisjoint(meant.values())


def names_a_sex(name: str) -> bool:
    """Return whether a column's name says which sex its yes is: `male`, `is_female`, `sex_m`.

    >>> [names_a_sex(name) for name in ("Male", "is_female", "sex_m", "sex", "m", "man_hours")]
    [True, True, True, False, False, False]
    """
    words = [word for word in words_of(name) if word not in _NEUTRAL]
    asked = matches(name, *SEXES, *GENDERS)
    left = [word for word in words if not matches(word, *SEXES, *GENDERS)]
    return len(left) == 1 and meaning(left[0]) in _SEXES and (asked or len(left[0]) > 1)


def guess_sex(profile: Profile, nothing: Sequence[str]) -> Guess:
    """Guess the mapping of a column of the sex; `nothing` are its texts without a word.

    Codes of which neither the cells nor the name say what they mean are asked for: 1 is male in some sources, female in
    others.
    """
    missing = {"missing": f"[{', '.join(map(json.dumps, nothing))}]"} if nothing else {}
    fields = {"code": code("DEMOGRAPHIC", profile.name), "type": "categorical"} | missing
    texts = [text for text in profile.most_common() if text not in nothing]
    meant = _meanings_in_name(profile.name, texts) or meanings(profile.name, texts)
    unknown = [text for text in texts if meant is None or text not in meant]
    if meant is None or any(map(_is_code, unknown)):
        shown = ", ".join(quoted(text) for text in sorted(texts)[:_CODES] if meant is None or _is_code(text))
        remark = f"{shown}: which is which? write values: {{…: female, …: male}}"
        return Guess(profile.name, {**fields, "code": _CODE, "values": f'"{QUESTION}"'}, remark)
    stated = {text: sex for text, sex in meant.items() if sex}
    if not stated or unknown:
        return Guess(profile.name, fields, "add values: {...: female, ...: male}")
    pairs = ", ".join(f"{quoted(text)}: {sex}" for text, sex in stated.items())
    others = sorted([*nothing, *(text for text, sex in meant.items() if not sex)])
    fields = {**fields, "code": _CODE, "values": f"{{{pairs}}}"}
    if others:
        fields["missing"] = f"[{', '.join(map(json.dumps, others))}]"
    return Guess(profile.name, fields)


def _is_code(text: str) -> bool:
    return len(text) <= _SHORT or _whole(text).lstrip("+-").isdecimal()


def _whole(text: str) -> str:
    """Return a whole number without the point that a column of floats adds to it."""
    return re.sub(r"\.0+$", "", text)


def _meanings_in_name(name: str, texts: Iterable[str]) -> dict[str, str]:
    """Return what codes mean that a column's name explains: `sex (1 = male, 2 = female)`, or OMOP's `concept_id`."""
    explained = _explained(name)
    return {text: explained[_whole(text)] for text in texts if _whole(text) in explained}


def _explained(name: str) -> Mapping[str, str]:
    if matches(name, "concept_?id"):
        return _CONCEPTS
    pairs = [(text, word) for text, word in _LEGEND.findall(name) if meaning(word) in _SEXES]
    pairs += [(text, word) for word, text in _LEGEND_BACKWARDS.findall(name) if meaning(word) in _SEXES]
    found = {text: meaning(word) for text, word in pairs}
    return found if set(found.values()) == {"female", "male"} else {}


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
