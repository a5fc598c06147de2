"""Hide the diagnosis' own words in a note, so that a model must read the signs and not the answer.

`DiagnosisMask(findings)` replaces by `[diagnosis]`, whatever the note's own diagnosis is, so that the placeholder says
nothing of which:

1. **names**: every label in `findings` and its single words, and the synonyms, species, acronyms and spellings of
   `NAMES` (all of them always: a note that excludes influenza tells as much as one that confirms it);
2. **typing errors**: a word of 7 letters or more that is one letter, or two exchanged neighbours, away from a name
   of 8 or more;
3. **the test and its verdict**, which state the diagnosis by another word: PCR and swabs wherever named, any test or
   result with its `positive` or `negative`, and a culture, antigen, serology, RNA or DNA with its `detected`,
   `isolated`, `identified` or `confirmed` in the same sentence (`tested positive for …`, `the positive result`);
4. **words that only lean on a name**: `infection`, `virus`, `positive`, `confirmed` and the like next to one.

Several of these in a row, with commas or brackets between, become one placeholder.

Calendar dates and years become `[date]`: an epidemic has its year. Nothing else is hidden: not radiological signs, not
symptoms, not travel or contact, not treatment, not other diseases (HIV, asthma), and not the later course
(`intubated`, `passed away`): a task about the course has to leave these notes out of its inputs.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

DIAGNOSIS = "[diagnosis]"
DATE = "[date]"

#: Regular expressions, not case-sensitive, for each diagnosis' names beside its label.
NAMES: Mapping[str, tuple[str, ...]] = {
    "COVID-19": (
        r"(?:c[o0]v[il1]d|ovid|cvoid|coivd|covd)\w*(?:[\s-]*(?:20)?19)?",
        r"(?:novel\s+|new\s+)?corona[\s-]?vir\w+(?:\s+disease)?(?:[\s-]*(?:20)?19)?",
        r"(?:sars|mers)\w*(?:[\s-]*cov\w*)?(?:[\s-]*2)?",
        r"(?:2019[\s-]*)?(?:n|h)?[\s-]?cov(?:[\s-]?2)?(?:[\s-]*2019)?",
        r"severe acute respiratory syndrome",
        r"wuhan (?:virus|pneumonia|disease)",
    ),
    "ARDS": (r"ards", r"(?:acute\s+)?respiratory distress syndrome", r"acute respiratory distress"),
    "Pneumonia": (
        r"(?:viral[\s-]+|bacterial[\s-]+)?(?:(?:broncho|pleuro)[\s-]?)?pneumoni(?:as?|ae|c|tis)",
        r"(?-i:CAP|HAP|VAP)",
    ),
    "Pneumocystis": (r"pneumocyst\w+", r"(?:p\.?\s*)?(?:jirovec\w+|carini+)", r"pcp|pjp"),
    "Streptococcus": (r"strep(?:tococc\w+)?", r"pneumococc\w+", r"s\.?\s*pneumoniae"),
    "Staphylococcus": (r"staph(?:ylococc\w+)?", r"mrsa|mssa"),
    "Klebsiella": (r"klebsiell\w+", r"k\.?\s*pneumoniae", r"friedl(?:ä|ae?)nder\S*"),
    "Legionella": (r"legionell\w+", r"legionn?aire\S*", r"(?:l\.?\s*)?pneumophila"),
    "Mycoplasma": (r"mycoplasm\w+",),
    "Chlamydophila": (r"chlamyd\w+", r"psittac\w+"),
    "E.Coli": (r"e\.?\s*coli", r"escherichia(?:\s+coli)?"),
    "Bacterial": (r"bacteri\w+",),
    "Tuberculosis": (r"tubercul\w+", r"tb"),
    "Nocardia": (r"nocardi\w+",),
    "Varicella": (r"varicell\w+", r"chicken[\s-]?pox", r"vzv", r"zoster"),
    "Herpes": (r"herpes\w*",),
    "Influenza": (r"(?:para)?influenz\w+", r"flu", r"h\dn\d", r"respiratory syncytial virus|rsv"),
    "Aspergillosis": (r"aspergill\w+", r"fungal"),
    "Lipoid": (r"lipoid\w*",),
    "No Finding": (r"no (?:significant |acute |abnormal |relevant )?findings?",),
}
#: Whole words whose misspellings are looked for, beside the labels' own.
_OFTEN_MISSPELT = (
    *("coronavirus", "pneumocystis", "jirovecii", "pneumonia", "pneumonias", "bacterial", "bacteria", "mycoplasma"),
    *("streptococcus", "streptococcal", "pneumococcus", "pneumococcal", "staphylococcus", "staphylococcal"),
    *("klebsiella", "legionella", "escherichia", "tuberculosis", "varicella", "chickenpox", "influenza"),
    *("aspergillosis",),
)
_SHORTEST_MISSPELT = 8
_SHORTEST_LABEL = 3
#: Words that labels share with every note.
_COMMON = frozenset(
    {"finding", "findings", "unknown", "none", "other", "normal", "disease", "infection", "acute", "viral", "todo"}
)

_REVERSE_TRANSCRIPTION = r"reverse[\s-]transcri\w+(?:[\s-]polymerase)?(?:[\s-]cha\w+)?(?:[\s-]reaction)?"
_PCR = rf"(?:real-?\s?time\s+)?(?:{_REVERSE_TRANSCRIPTION}|polymerase[\s-]cha\w+[\s-]reaction|rt[\s-]?pcr|q?pcr)"
_SWAB = r"(?:(?:naso|oro)?-?(?:pharyngeal|nasal|throat|viral)\s+)*swabs?"
_GERM_TEST = rf"(?:{_PCR}|{_SWAB}|smears?|antigens?|antibod\w+|rna|dna|serolog\w+|cultures?)"
_ANY_TEST = rf"(?:{_GERM_TEST}|tests?|tested|testing|assays?|results?)"
_VERDICT = r"(?:positive|negative)"
_GERM_FOUND = r"(?:detected|confirmed|isolated|identified)"
_WITHIN = r"(?:(?!\.\s|\.$|;).){0,80}?"  # anything of one sentence
_BETWEEN = r"(?:[\s-]+[\w-]+){0,4}?[\s-]+"  # at most four words
_HELD = re.escape(DIAGNOSIS)
_LEANING = (
    r"(?:infections?|infected|virus|disease|positive|negative|tests?|testing|antigens?|ag|rna|dna|confirmed|cases?"
    r"|related)"
)
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_YEAR = r"(?:19|20)\d\d"


def _words(*patterns: str) -> re.Pattern[str]:
    return re.compile(r"(?<![A-Za-z0-9])(?:" + "|".join(patterns) + r")(?![A-Za-z0-9])", re.IGNORECASE)


_DATES = _words(
    rf"(?:\d{{1,2}}(?:st|nd|rd|th)?\s+)?{_MONTH}\s+(?:\d{{1,2}},?\s+)?{_YEAR}",
    rf"\d{{1,2}}[./-]\d{{1,2}}[./-]{_YEAR}|{_YEAR}[./-]\d{{1,2}}[./-]\d{{1,2}}",
    _YEAR,
)
_STATEMENTS = (
    _words(rf"{_VERDICT}{_BETWEEN}{_ANY_TEST}", rf"{_GERM_FOUND}{_BETWEEN}{_GERM_TEST}"),
    _words(rf"{_ANY_TEST}{_WITHIN}\s{_VERDICT}", rf"{_GERM_TEST}{_WITHIN}\s{_GERM_FOUND}"),
    _words(_PCR, _SWAB),
)
_AROUND = (
    re.compile(rf"(?:{_HELD}|positive|negative|tested|tests?|testing|infected) (?:for|with|by) {_HELD}", re.IGNORECASE),
    re.compile(rf"{_HELD}(?:[\s-]+{_LEANING})+(?![A-Za-z])", re.IGNORECASE),
    re.compile(rf"(?<![A-Za-z])(?:{_LEANING}[\s-]+)+{_HELD}", re.IGNORECASE),
    re.compile(rf"{_HELD}(?:[\s/,(-]*{_HELD}\)?)+"),
)


class DiagnosisMask:
    """Replaces the names of diagnoses, and statements of the tests for them; see the module for what exactly.

    Args:
        findings: the labels of the data set (`"COVID-19, ARDS"`, `"Pneumonia/Viral"`).

    >>> DiagnosisMask(["COVID-19"])("Fever. Covid19 pneumonia, tested positive for SARS-CoV-2. Left consolidation.")
    'Fever. [diagnosis]. Left consolidation.'
    """

    def __init__(self, findings: Iterable[str] = ()) -> None:
        labels = {part.strip().lower() for finding in findings for part in re.split(r"[,/]", finding)} - _COMMON
        words = {word for label in labels for word in re.findall(r"[a-z]{4,}", label)} - _COMMON
        phrases = {r"[\W_]*".join(re.findall(r"[a-z0-9]+", label)) for label in labels}
        own = sorted({phrase for phrase in phrases if len(phrase) >= _SHORTEST_LABEL} | words)
        self._names = _words(*(pattern for patterns in NAMES.values() for pattern in patterns), *own)
        self._misspelt = (*_OFTEN_MISSPELT, *sorted(word for word in words if len(word) >= _SHORTEST_MISSPELT))

    def __call__(self, note: str) -> str:
        """Give the note with `[diagnosis]` and `[date]` for what is hidden, and its white space made single."""
        masked = self._names.sub(DIAGNOSIS, " ".join(note.split()))
        masked = re.sub(rf"[A-Za-z]{{{_SHORTEST_MISSPELT - 1},}}", self._unless_misspelt, masked)
        for statement in _STATEMENTS:
            masked = statement.sub(DIAGNOSIS, masked)
        for pattern in _AROUND:
            masked = pattern.sub(DIAGNOSIS, masked)
        return _DATES.sub(DATE, masked)

    def _unless_misspelt(self, match: re.Match[str]) -> str:
        return DIAGNOSIS if _is_misspelt(match.group().lower(), self._misspelt) else match.group()


@lru_cache(maxsize=100_000)
def _is_misspelt(word: str, names: tuple[str, ...]) -> bool:
    return any(_one_error_apart(word, name) for name in names)


def _one_error_apart(word: str, name: str) -> bool:
    """Say whether one letter added, left out or replaced, or two neighbours exchanged, lead from `name` to `word`."""
    if abs(len(word) - len(name)) > 1:
        return False
    alike = next((place for place, (a, b) in enumerate(zip(word, name, strict=False)) if a != b), len(name))
    rest, other = word[alike:], name[alike:]
    exchanged = rest[:2] == other[1::-1] and rest[2:] == other[2:]
    return rest[1:] == other[1:] or rest[1:] == other or rest == other[1:] or exchanged
