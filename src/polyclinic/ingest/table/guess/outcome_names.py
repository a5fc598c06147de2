"""Names of columns of outcomes, discharge and death.

In English, German, French, Spanish, Italian, Portuguese and Dutch. The patterns are of `folded` names, without accents.
"""

import re

from polyclinic.ingest.table.column_profile import folded, matches
from polyclinic.ingest.table.guess.horizons import tells_later_event
from polyclinic.ingest.table.guess.known_earlier import caution_of, is_of_earlier_stay

_EXPIRED = r"expired?(?![\W_]+(?:tidal|minute|vol\w*|tv|vt|mv|air|gas|c?o2))"  # not of the breath
_OUTCOMES = (
    "outcomes?", "died", "dead", r"\w*death\w*", "mortality", "mort", r"surv(?!ey|eil|ivin(?:[^a-z]|$))\w*",
    r"deceased?", r"readm\w*", "labels?", "hospdead", "s?los", "cens(or|ored)?", "futime", "follow", _EXPIRED,
    "dod", r"length_?of_?stay", "alive", "lebt", "lebend", "vivante?", "levend",
)  # fmt: skip
#: Names that say an outcome only as a whole, perhaps after one letter: `d.time`, but not prothrombin_time.
_WHOLE = (
    r"(?:[a-z][._ ])?(?:target|status\d?|event|time|days|weeks|months|years|tage|wochen|monate|jours|semaines|mois|"
    r"dias|semanas|meses|giorni|settimane|mesi|dagen|weken|maanden|(?:vital|survival|discharge)[._ ]?status)|"
    r"(?:estado|statut|stato|status)[._ ]?vitale?|viv[oa]"
)
_DEATH = (
    r"death|deceas|verstorben|gestorben|ableben|sterbe|sterfte|sterfdat|todes|(?<![a-z])tod(?![a-z])|deces(?!s)|deced|"
    r"(?<![a-z])decesso|defunci|fallec|falec|(?<![a-z])muert[oae]s?(?![a-z])|exitus|(?<![a-z])obito|"
    r"(?<![a-z])mort[oea](?![a-z])|overlijd|overleden"
)
#: Nouns beside which `alta`, `salida` and `uscita` are the discharge: alone they may be `high` and the outflow tract.
_OF_DISCHARGE = (
    r"(?:fecha|fec|f|data|dt|dia|hora|motivo|tipo|modo|destino|estado|condicao|condicion|diagnostico|dx|informe|resumo|"
    r"sumario|situacao|relatorio|epicrisis|date|ora|modalita)_(?:d[eai]l?_|de_la_|al_|na_|en_)?(?:alta|salida|saida|uscita)|"
    r"alta_(?:hospital\w*|medica|clinica|fecha|data|hora|motivo|tipo|destino|date)"
)
_DISCHARGE = (
    rf"disch(?:arge|t|_)|entlass|(?<![a-z])entl(?![a-z])|outtime|visit_end|ontslag|dimiss|dimess|sortie|egress?o|"
    rf"fin_(?:de_|du_)?sejour|^alta$|^saida$|(?:^|_)(?:{_OF_DISCHARGE})(?:_|$)"
)
_LENGTH = (
    r"(?:duree|duracion|durata|duracao|dias?|jours?|giorni|dagen|tempo|tiempo)_(?:d(?:el?|i|a|u|o)?_|al?_|la?_)*"
    r"(?:sejour|estancia|estadia|hospitali\w+|degenza|ricovero|interna[cm]\w+|opname)"
)
_STAYED = (
    r"lengthofstay|(?:time|days?|hours?)_?in_?(?:hospital|icu|unit)|verweildauer|liegedauer|liegetage|opnameduur|ligduur|"
    rf"verblijfsduur|(?<![a-z])estancia(?![a-z])|{_LENGTH}"
)
_BACK_OR_ALIVE = (
    r"readmi|rehospit|wiederaufnahme|reingres|riammiss|riospedal|reinterna[cm]|heropname|surviv(?!in(?![a-z]))|uberleb|ueberleb|survie|"
    r"supervivencia|sopravviv|sobreviv|sobrevida|overleving|expire_|mortal|sterblich|letalit|last_careunit"
)
_AT_DISCHARGE = f"{_DEATH}|{_DISCHARGE}|{_STAYED}|{_BACK_OR_ALIVE}"
_OTHER_DISCHARGE = r"nasal|vagin|ear_|eye_|ocular|urethral|nipple|wound|purulent|famil|fh_|mother|father|parent"


def is_outcome(name: str) -> bool:
    """Return whether a column's name says that it is an outcome."""
    whole = re.fullmatch(_WHOLE, folded(name)) is not None
    if matches(name, r"famil\w*", "fh", "history", "mother", "father") or caution_of(name):
        return False
    return whole or at_discharge(name) or tells_later_event(name) or matches(name.replace("-", "_"), *_OUTCOMES)


def at_discharge(name: str) -> bool:
    """Return whether a column's name says that it is known only at discharge or after death.

    >>> [at_discharge(name) for name in ("Entlassart", "fecha_alta", "date de sortie", "presion_alta")]
    [True, True, True, False]
    """
    words = _words(name)
    if re.search(_OTHER_DISCHARGE, words) or is_of_earlier_stay(name):
        return False
    return re.search(_AT_DISCHARGE, words) is not None or matches(
        name, "dod", "s?los", _EXPIRED, "dispo(?!sab)\\w*", "disch"
    )


def is_death(name: str) -> bool:
    """Return whether a column's name says that it is about death."""
    return re.search(_DEATH, _words(name)) is not None or matches(name, "dod", "died", "dead", "mort")


def is_time_of_discharge(name: str) -> bool:
    """Return whether a column of dates, by its name, holds the end of the stay."""
    return re.search(_DISCHARGE, _words(name)) is not None and not is_death(name)


def _words(name: str) -> str:
    return re.sub(r"[\W_]+", "_", folded(name))
