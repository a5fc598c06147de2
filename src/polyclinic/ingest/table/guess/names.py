"""Words in the names of columns, and what they say."""

import re
from collections.abc import Mapping

from polyclinic.ingest.table.column_profile import matches
from polyclinic.ingest.table.guess.numbered import is_number_of_a_thing

IDS = ("id", "ids", "identifier", "uuid", "guid", "barcode", "accession(no|number)?")
BIRTHS = (
    "dob", "dn", "nee?[_ .]?le", "nat[oa][_ .]?il", "d(?:ata|t)[_ .]*nasc", "date?[_ .]*(?:de[_ .]*)?nais",
    "f(?:ec(?:ha)?)?[_ .]*(?:de[_ .]*)?nac(?:im(?:iento)?)?",
    r"(?:date_?of_?|patient_?)?birth(?:day|date|datetime|time|dt)?", "born", "brthdtc?",
    "geb(?:urts?)?(?:dat(?:um)?|tag)?", "geboren", "geboorte(?:datum|dag)?", "(?:date)?naissance", "ddn",
    "(?:fecha)?nacimiento", "(?:data)?nascimento", "(?:data)?nascita",
    "f[oö]delse(?:datum|dag)", "f[oø]dsels?(?:dato|dag)", "(?:data)?urodzenia", "narozen[ií]",
)  # fmt: skip
NAMES_OF_TIMES = (
    r"\w*time", r"\w*date", r"\w*datetime", r"\w*timestamp", "taken", "recorded", "measured", "day", "when", "at", "ts",
    "dt", "dttm", "dtm", r"\w*datum", "zeit", r"\w*zeitpunkt", "abnahme", "entnahme", "aufnahme", "collected",
    "observed", "effective", "performed", r"\w{2}dtc", r"\w+edat", "fecha", "fec", "heure", "hora", "ora",
    r"data(?=$|[_ .-](?:d[eaio]l?l?a?|e|ora|hora|ingresso|entrada|admiss\w+|interna\w+|ricovero|prelievo|coleta|"
    r"colheita|esame|exame|visita|consulta|alta|saida|dimissione)(?:[_ .-]|$))",
)  # fmt: skip
SEXES = ("sex(?:cd|n|code)?", "gender(?:cd|n|code)?", "geschlecht", "sexe", "sexo", "sesso", "geslacht")
GENDERS = ("genero", "genere", "genre")  # and kinds of anything, such as of music
AGES = ("age", "alter", "edad", "eta", "idade", "leeftijd")
KINDS: Mapping[str, tuple[str, ...]] = {
    "LAB": (
        "protein", "albumin", "creatinine", "creat", "glucose", "sodium", "potassium", "lactate", "bilirubin",
        "ketones?", "nitrite", "leu[ck]o\\w*", "crp", "calcium", "chloride", "phosphate", "urea", "triglycerides?",
    ),
    "DEMOGRAPHIC": (*AGES, *SEXES, "race", "ethnicity", "height", "edu", "education", "income", "bmi"),
    "VITAL": (
        "hr", "hrt", "heart", "pulse", "rate", "temp", "temperature", "bp", "sbp", "dbp", "map", "meanbp", "abp",
        "sys", "dias", "resp", "rr", "spo2", "saturation", "weight", "wtkg", "gcs", "urine",
    ),
    "DIAGNOSIS": (
        "diagnos[ie]s", "condition", "icd", "icd9", "icd10", "comorbidity", "dx", "diabetes", "cancer", "dementia",
    ),
    "PROCEDURE": ("procedures?", "surgery", "ventilat(ed|ion|or)", "intubated", "operation"),
    "MEDICATION": ("drugs?", "medications?", "treat(ment)?", "dose", "arms?"),
    "SCORE": ("score", "saps", "sofa", "apache", "aps", "sps"),
}  # fmt: skip
NOTES = ("notes?", "report", "findings", "impression", "indication", "history", "comments?", "text", "description")
PARAMETERS = (
    "parameter", "item", "itemid", "code", "test", "variable", "analyte", "concept", "observation", "lab", "labname",
    "analyt", "untersuchung", "bezeichnung", "messgroesse", "messgröße", "component", "loinc",
    "nursingchartcelltypevalname", "respchartvaluelabel", "celllabel", r"variable_?id", "result_?name",
    r"[a-z]{2}test(?:cd)?",
)  # fmt: skip
VALUES = (
    "value", "result", "valuenum", "reading", "measurement", "labresult", "wert", "messwert", "ergebnis", "numeric",
    "nursingchartvalue", "respchartvalue", "cellvaluenumeric", "amount", r"[a-z]{2}(?:orres|stresn|stresc)",
)  # fmt: skip
UNIT_COLUMNS = (
    "units?",
    r"\w*uom",
    "labmeasurename\\w*",
    "einheit",
    "value_?units?",
    "[a-z]{2}(?:orres|stres)u",
)

_PERSON = (
    "usubjid|subjid|subject|patient(?:en|in)?|person|participant|proband|member|patid|pat|pidnum|upid|pid|mrn|"
    "pseudonym|pt_?id|eid|empi|nhs|paciente|paziente|hosp(?:ital)?[ _.-]?(?:no|number|nr)"
)
_STAY = "icustay|stay|hadm|admission|encounter|visit|case|record|episode|aufenthalt|fall_?(?:nummer|nr|id)|study_?id"
_PLAIN = (
    "identifier|nummer|number|nbr|index|unique|uuid|guid|sno|num|id|nr|no|key|code|unit|icu|anon|hospital|health|system|"
    "hash|the"
)
_PARTS = re.compile(rf"{_PERSON}|{_STAY}|{_PLAIN}")
_ONLY_PARTS = re.compile(rf"(?:{_PERSON}|{_STAY}|{_PLAIN}|[\W\d_])+")
_NUMBERS = {"id", "nbr", "nr", "no", "number", "nummer", "num", "key", "identifier", "uuid", "guid"}
_BARE_STAYS = {"encounter", "stay", "hadm", "icustay", "record", "case"}
_BARE_OR_EVENT = _BARE_STAYS | {"admission", "visit", "episode", "aufenthalt"}  # the latter may be texts: baseline
_ROW = {"id", "sno", "nr", "no", "num", "number", "nummer", "index", "key", "uuid", "guid", "identifier"}
_COMPOUND_ID = re.compile(
    r"(?:item|lab|hadm|stay|icustay|subject|patient|specimen|order|encounter|visit|person|provider|care|site|hospital|"
    r"ward|caregiver|record|sample|test|row|type|labtype|event|poe|study|physicalexam|diagnosis|treatment|note|device|"
    r"micro|transfer|pharmacy|emar|case|episode|location|institution|department|user|staff)(?:unit)?(?:stay)?id"
)


def tier_of_subject(name: str) -> int | None:
    """Return what a column's name says of the subject: 0 a person, 1 a stay, 2 an id of anything; None: neither.

    >>> [tier_of_subject(name) for name in ("SubjectID", "patientunitstayid", "id", "labid", "patient_age")]
    [0, 1, 2, None, None]
    """
    lower = name.lower()
    parts = set(_PARTS.findall(lower)) if _ONLY_PARTS.fullmatch(lower) else set()
    persons, stays = ({part for part in parts if re.fullmatch(kind, part)} for kind in (_PERSON, _STAY))
    if persons and not stays:
        return 0
    if stays and (parts & _NUMBERS or stays & _BARE_STAYS or not stays <= _BARE_OR_EVENT):
        return 1
    return 2 if parts and parts <= _ROW else None


def is_id(name: str) -> bool:
    """Return whether a column's name says that it is an identifier, not a measurement."""
    parts = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", with_number_in_words(name)).lower().strip("_ .:")
    if re.search(r"(^|[^a-z])concept[_ ]?id$", parts):
        return False
    ends = re.search(r"(^|[^a-z])(id|ids|uuid|guid|mrn|nr|nbr|no|number|nummer|barcode|accession)$", parts)
    if re.fullmatch(r"seq(?:_?num(?:ber)?)?", parts) or tier_of_subject(name) in (0, 1):
        return True
    return ends is not None or is_number_of_a_thing(name) or _COMPOUND_ID.fullmatch(parts.replace("_", "")) is not None


def with_number_in_words(name: str) -> str:
    """Return a column's name with `no` for the sign at its end.

    >>> with_number_in_words("Room #"), with_number_in_words("room")
    ('Room no', 'room')
    """
    return re.sub(r"[\s_]*#\s*$", " no", name)


def is_numbered(name: str) -> bool:
    """Return whether a column's name says id or number, not only of what.

    >>> is_numbered("case_id"), is_numbered("case")
    (True, False)
    """
    return not _NUMBERS.isdisjoint(_PARTS.findall(name.lower()))


def is_code(name: str) -> bool:
    """Return whether a column's name says that its numbers are codes of something, and not amounts."""
    return re.search(r"(?:^|[^a-z])(?:concept[_ ]?id|code|cd)$", name.lower()) is not None


def is_coded_at_the_end(name: str) -> bool:
    """Return whether a column's name says that it has the codes by which a stay is billed."""
    return matches(name, "icd(9|10)?", "drg", "dx", r"diagnos\w*", "ops", "cpt", "hcpcs", "condition", r"procedures?")


def kind_of(name: str, otherwise: str) -> str:
    """Return the kind of code that a name suggests."""
    return next((kind for kind, words in KINDS.items() if matches(name, *words)), otherwise)
