"""Names of columns with a horizon, such as `stroke_within_90d`: of an outcome, unless the time before is meant."""

import re

from polyclinic.ingest.table.column_profile import folded

_UNITS = (
    (1 / 24, "h|hrs?|hours?|std|stunden?|heures?|horas?|ore|uur"),
    (1, "d|days?|tage?n?|jours?|j|dias?|giorni|dagen"),
    (7, "w|wks?|weeks?|wochen?|semaines?|semanas?|settimane|weken"),
    (30, "m|mos?|mths?|months?|monate?n?|mois|mes|meses|mesi|maanden"),
    (365, "y|yrs?|years?|jahre?n?|ans?|anos?|anni|jaar"),
)
_ANY_UNIT = "|".join(words for _, words in _UNITS)
_NUMBERS = {"one": 1, "two": 2, "three": 3, "five": 5, "ten": 10}
_NUMBER = rf"(?P<number>\d{{1,4}}|{'|'.join(_NUMBERS)})"
_HORIZON = re.compile(
    rf"(?:^|_|(?<=[a-z])(?=\d)){_NUMBER}_?(?P<unit>{_ANY_UNIT})(?:_|$)|"
    rf"(?:^|_)(?P<before>{_ANY_UNIT})_?(?P<after>\d{{1,4}})(?:_|$)"
)
_WITHIN = re.compile(r"(?:^|_)(?:within|next|innerhalb|binnen|entro)(?:_|$)")
_PAST = re.compile(
    r"(?:^|_)(?:last|prior|previous|past|pre(?:op)?|before|history|hx|ago|baseline|first|since|lookback|letzte[nrs]?|"
    r"vor|vorher|derni?ere?s?|avant|ultim[oa]s?|ultimi|previ[oa]s?|antes|precedent\w*|laatste|premiere?s?|primer\w*|"
    r"prim[oaie]|erste[nrs]?|eerste)(?:_|$)"
)
_EVENTS = re.compile(
    r"stroke(?!_?(?:vol|work|index))|schlaganfall|ictus|"
    r"(?:^|_)(?:avc|cva|mi|mace|aki|os|pfs|dfs|efs|rfs|ssi|dvt|pe|vte|event)(?:_|$)|relaps|"
    r"rezidiv|recidiv|recaida|recur|rebleed|progress|amput|reop|reinterven|revision|remission|rehosp|hospitali[sz]ation|"
    r"hospitalized|complicat|komplikat|graft_?loss|failure|transplant|infar[ck]t|"
    r"thrombo(?!_?[cz][iy]t|plast|poie|mod)|dialys|convers"
)
_SURVIVAL = re.compile(
    r"(?:os|pfs|dfs|efs|rfs|mfs|dss|ttp|ttr|tte)"
    r"(?:_(?:months?|days?|weeks?|years?|time|event|status|cens\w*|censor\w*|[dmy]))?"
)
_EYE = re.compile(r"(?:^|_)(?:eye|iop|oct|rnfl|cmt|crt|sphere|cyl|(?:bs?c|uc|c)?d?va)(?:_|$)")
"""Beside these, `os` is the left eye, not overall survival."""
_CODE = re.compile(r"[a-z]_?\d+")  # of a stage, a question or a visit: M1, d12
_TIME_TO = re.compile(r"(?:^|_)(?:time|days|weeks|months|years)_(?:to|until)_")
_LEAST_DAYS = 7  # from which a yes or no at a horizon is an outcome: below, it may be of the first hours


def tells_later_event(name: str) -> bool:
    """Return whether a column's name says that an event happened up to a horizon, or when: an outcome.

    >>> [tells_later_event(name) for name in ("stroke_within_90d", "relapse_12m", "time_to_relapse", "os_months")]
    [True, True, True, True]
    >>> [tells_later_event(name) for name in ("stroke_last_12m", "lactate_24h", "stroke")]
    [False, False, False]
    """
    words = _joined(name)
    if _PAST.search(words):
        return False
    if _SURVIVAL.fullmatch(words) and words not in ("os", "ttr"):
        return True
    events = re.sub("(?:^|_)os(?=_|$)", "", words) if _EYE.search(words) else words
    return _EVENTS.search(events) is not None and bool(_days(words) or _TIME_TO.search(words))


def has_later_horizon(name: str) -> bool:
    """Return whether a column's name has a horizon of an outcome, if its cells say yes or no.

    >>> [has_later_horizon(name) for name in ("delirium_30d", "icu_within_48h", "ventilated_24h", "visits_prior_6m")]
    [True, True, False, False]
    >>> has_later_horizon("M1")
    False
    """
    words = _joined(name)
    days = 0 if _CODE.fullmatch(words) else _days(words)
    return not _PAST.search(words) and days > 0 and (days >= _LEAST_DAYS or _WITHIN.search(words) is not None)


def _joined(name: str) -> str:
    return re.sub(r"[^a-z\d]+", "_", folded(name)).strip("_")


def _days(words: str) -> float:
    """Return the horizon in days, 0 if there is none."""
    found = _HORIZON.search(words)
    if found is None:
        return 0
    number = found["number"] or found["after"]
    unit = found["unit"] or found["before"]
    days = next(days for days, words in _UNITS if re.fullmatch(words, unit))
    return days * _NUMBERS.get(number, 0) or days * int(number)
