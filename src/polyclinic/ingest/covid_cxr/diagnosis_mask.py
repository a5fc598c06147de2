"""Mask the diagnosis in a note, so that a model cannot read the label from it.

`DiagnosisMask(findings)` replaces the following by `[diagnosis]`, whichever diagnosis the note has:

1. **names**: every label in `findings` and its words, and the synonyms, species, acronyms and spellings in `NAMES`
   (always all of them: excluding influenza is as informative as confirming it);
2. **misspellings**: words of 7 letters or more that differ from a name of 8 or more by one letter or a transposition;
3. **tests and their results**: PCR and swabs always; any test or result with `positive` or `negative`, and a culture,
   antigen, serology, RNA or DNA with `detected`, `isolated`, `identified` or `confirmed`, in the same sentence
   (`tested positive for …`, `the positive result`);
4. **words attached to a name**: `infection`, `virus`, `positive`, `confirmed` and the like next to one.

Consecutive placeholders, with commas or brackets between them, are merged.

Calendar dates and years become `[date]`, because an epidemic can be dated. Nothing else is masked: not radiological
signs, symptoms, travel or contact, treatment, other diseases (HIV, asthma), or the later course (`intubated`,
`passed away`). A task about the course must therefore exclude these notes from its inputs.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

DIAGNOSIS = "[diagnosis]"
DATE = "[date]"

#: Case-insensitive regular expressions for each diagnosis' names other than its label.
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
#: Words whose misspellings are masked, in addition to those of the labels.
_OFTEN_MISSPELT = (
    *("coronavirus", "pneumocystis", "jirovecii", "pneumonia", "pneumonias", "bacterial", "bacteria", "mycoplasma"),
    *("streptococcus", "streptococcal", "pneumococcus", "pneumococcal", "staphylococcus", "staphylococcal"),
    *("klebsiella", "legionella", "escherichia", "tuberculosis", "varicella", "chickenpox", "influenza"),
    *("aspergillosis",),
)
_SHORTEST_MISSPELT = 8
_SHORTEST_LABEL = 3
#: Words of labels that are common in any note.
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
_WITHIN = r"(?:(?!\.\s|\.$|;).){0,80}?"  # any text within a sentence
_BETWEEN = r"(?:[\s-]+[\w-]+){0,4}?[\s-]+"  # at most four words
_PLACEHOLDER = re.escape(DIAGNOSIS)
_ATTACHED = (
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
_NEIGHBOURS = (
    re.compile(
        rf"(?:{_PLACEHOLDER}|positive|negative|tested|tests?|testing|infected) (?:for|with|by) {_PLACEHOLDER}",
        re.IGNORECASE,
    ),
    re.compile(rf"{_PLACEHOLDER}(?:[\s-]+{_ATTACHED})+(?![A-Za-z])", re.IGNORECASE),
    re.compile(rf"(?<![A-Za-z])(?:{_ATTACHED}[\s-]+)+{_PLACEHOLDER}", re.IGNORECASE),
    re.compile(rf"{_PLACEHOLDER}(?:[\s/,(-]*{_PLACEHOLDER}\)?)+"),
)


class DiagnosisMask:
    """Replaces names of diagnoses and statements of their tests; the module docstring gives the rules.

    Args:
        findings: labels of the data set (`"COVID-19, ARDS"`, `"Pneumonia/Viral"`).

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
        """Return the note with `[diagnosis]` and `[date]` placeholders and normalised white space."""
        masked = self._names.sub(DIAGNOSIS, " ".join(note.split()))
        masked = re.sub(rf"[A-Za-z]{{{_SHORTEST_MISSPELT - 1},}}", self._mask_if_misspelt, masked)
        for statement in _STATEMENTS:
            masked = statement.sub(DIAGNOSIS, masked)
        for pattern in _NEIGHBOURS:
            masked = pattern.sub(DIAGNOSIS, masked)
        return _DATES.sub(DATE, masked)

    def _mask_if_misspelt(self, match: re.Match[str]) -> str:
        return DIAGNOSIS if _is_misspelt(match.group().lower(), self._misspelt) else match.group()


@lru_cache(maxsize=100_000)
def _is_misspelt(word: str, names: tuple[str, ...]) -> bool:
    return any(_one_error_apart(word, name) for name in names)


def _one_error_apart(word: str, name: str) -> bool:
    """Return whether `word` is `name` with one insertion, deletion, substitution or transposition."""
    if abs(len(word) - len(name)) > 1:
        return False
    prefix = next((i for i, (a, b) in enumerate(zip(word, name, strict=False)) if a != b), len(name))
    rest, other = word[prefix:], name[prefix:]
    transposed = rest[:2] == other[1::-1] and rest[2:] == other[2:]
    return rest[1:] == other[1:] or rest[1:] == other or rest == other[1:] or transposed
