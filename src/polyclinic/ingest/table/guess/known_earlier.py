"""Names with a word of an outcome that say what was known before it: scores, earlier stays, states of the first day.

In English, German, French, Spanish, Italian, Portuguese and Dutch, as in `outcome_names`.
"""

import re

from polyclinic.ingest.table.column_profile import folded, matches

_PREDICTION = (
    r"\w*scores?", "risks?", "probs?", r"probabilit\w*", "likelihood", "odds", "preds?",
    r"predict(?:ed|ions?)", "expected", "estimated", r"prognos\w*", "index", "q?sofa", r"apache\w*", r"saps\w*",
    "oasis", r"euroscore\w*", "meld", r"risiko\w*", r"wahrscheinlichkeit\w*", r"vorhergesagt\w*", "erwartete?",
    "risques?", r"predit\w*", "puntuacion", "riesgo", r"pronostic\w*", "punteggio", "rischio", "risco", "escore",
    "risico", "kans", "voorspelde?",
)  # fmt: skip
#: Beside these, a score is of the outcome itself, or known after it.
_OF_OUTCOME = (
    "outcomes?", "labels?", "target", "status", r"follow\w*", r"post\w*", "after", "final", "observed",
)  # fmt: skip
_EARLIER = (
    "prior", r"previous(?:ly)?", "prev", "past", "pre", "before", "history", "hx", "ago", "lookback", r"vorher\w*",
    r"frueher\w*", r"fruher\w*", "vor", "avant", r"anterieure?s?", r"precedent\w*", r"previ[oa]s?", r"anterior\w*",
    "antes", r"pregress\w*", "vorige?", "eerdere?", "voor",
)  # fmt: skip
_STAYS = (
    r"s?los", "stays?", r"length_?of_?stay", r"time_in_(?:hospital|icu|unit)", r"readm\w*", r"rehosp\w*",
    "verweildauer", "liegedauer", "liegetage", "wiederaufnahmen?", r"(?:duree_)?(?:de_)?sejours?", r"estancias?",
    r"reingresos?", r"degenz[ae]", r"ricover[oi]", r"riammission[ei]", r"(?:re)?interna[cm]\w+", "opnameduur",
    "ligduur", r"heropnames?",
)  # fmt: skip
_LATER = "disch|entlass|ontslag|dimiss|sortie|egreso|death|died|deceas|mort|expire|todes|verstorb|deces|fallec|obito"
_STATES = re.compile(r"(?:^|_)aki(?:_|$)|dialys|(?:^|_)rrt(?:_|$)|failure|versagen")
_FIRST_DAY = re.compile(
    r"(?:^|_)(?:day|tag|jour|dia|giorno|dag|d)_?0*[01](?:_|$)|"
    r"(?:^|_)(?:[1-9]|1\d|2[0-4])_?(?:h|hrs?|hours?|std|stunden|heures|horas|ore|uur)(?:_|$)|(?:^|_)1_?(?:d|day)(?:_|$)"
)
_WITHIN = re.compile(r"(?:^|_)(?:within|in|next|innerhalb|binnen|entro|bis|to|until|by)(?:_|$)")


def is_prediction(name: str) -> bool:
    """Return whether a column's name says that it is a score or prediction of an outcome, not the outcome itself.

    >>> [is_prediction(name) for name in ("mortality_risk_score", "predicted_los", "outcome_score", "time_at_risk")]
    [True, True, False, False]
    """
    words = _words(name)
    after = re.search(r"(?:^|_)at_risk(?:_|$)|disch|entlass|ontslag|dimiss|sortie|egreso", words) is not None
    return matches(words, *_PREDICTION) and not matches(words, *_OF_OUTCOME) and not after


def is_of_earlier_stay(name: str) -> bool:
    """Return whether a column's name says that it is of a stay before: its length, or that it was one.

    >>> [is_of_earlier_stay(name) for name in ("los_prior", "pre_icu_los_days", "los", "los_before_discharge")]
    [True, True, False, False]
    """
    words = _words(name)
    return matches(words, *_EARLIER) and matches(words, *_STAYS) and re.search(_LATER, words) is None


def is_of_first_day(name: str) -> bool:
    """Return whether a column's name says that it is a failure or replacement of an organ on the first day.

    >>> [is_of_first_day(name) for name in ("aki_day1", "dialysis_24h", "dialysis_within_24h", "aki_day7", "death_24h")]
    [True, True, False, False, False]
    """
    words = _words(name)
    of_first_day = _STATES.search(words) and _FIRST_DAY.search(words) and not _WITHIN.search(words)
    return bool(of_first_day) and re.search(_LATER, words) is None


def caution_of(name: str) -> str:
    """Return what to check of a column that is an input although its name has a word of an outcome."""
    if is_of_earlier_stay(name):
        return "of an earlier stay by its name: was it known at the time of the row?"
    if is_of_first_day(name):
        return (
            "of the first day by its name: known at the time of the row? to predict it, write OUTCOME and type: label"
        )
    return ""


def _words(name: str) -> str:
    return re.sub(r"[\W_]+", "_", re.sub(r"(?<=[A-Za-z])(?=\d)", "_", folded(name)))
