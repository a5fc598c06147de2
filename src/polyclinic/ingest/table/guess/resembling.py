"""Texts that seem to be dates, in writings and languages that no format reads."""

import re

from polyclinic.ingest.table.guess.written_dates import LONG_MONTHS, SHORT_MONTHS

#: Of German, French, Spanish, Italian, Dutch and Portuguese.
_OTHER_MONTHS = {
    "januar", "jänner", "jan", "februar", "feber", "märz", "mär", "mrz", "mai", "juni", "juli", "oktober", "okt",
    "dezember", "dez", "janvier", "janv", "février", "févr", "fév", "mars", "avril", "avr", "juin", "juillet", "juil",
    "août", "aout", "septembre", "octobre", "novembre", "décembre", "déc", "enero", "ene", "febrero", "marzo",
    "abril", "abr", "mayo", "junio", "julio", "agosto", "ago", "septiembre", "octubre", "noviembre", "diciembre",
    "dic", "gennaio", "gen", "febbraio", "aprile", "maggio", "mag", "giugno", "giu", "luglio", "lug", "settembre",
    "ottobre", "ott", "dicembre", "januari", "februari", "maart", "mrt", "mei", "augustus", "janeiro", "fevereiro",
    "fev", "março", "maio", "junho", "julho", "setembro", "outubro", "out", "novembro", "dezembro", "sept",
}  # fmt: skip
_OTHER_WORDS = {
    "mon", "tue", "wed", "thu", "fri", "sat", "sun", "monday", "tuesday", "wednesday", "thursday", "friday",
    "saturday", "sunday", "am", "pm", "a", "p", "m", "th", "st", "nd", "rd", "er", "º", "of", "at", "de", "le", "del",
    "den", "um", "uhr", "h", "t", "z", "gmt", "utc", "cet", "cest", "est", "edt", "cst", "pst",
    # days of the week in German, French, Spanish, Italian and Dutch
    "montag", "dienstag", "mittwoch", "donnerstag", "freitag", "samstag", "sonnabend", "sonntag", "mo", "di", "mi",
    "do", "fr", "sa", "so", "lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche", "lunes", "martes",
    "miércoles", "jueves", "viernes", "sábado", "domingo", "lunedì", "martedì", "mercoledì", "giovedì", "venerdì",
    "sabato", "domenica", "maandag", "dinsdag", "woensdag", "donderdag", "vrijdag", "zaterdag", "zondag",
}  # fmt: skip
_MONTHS = _OTHER_MONTHS.union(SHORT_MONTHS, LONG_MONTHS, "年月")
_WORDS = _OTHER_WORDS | _MONTHS | set("日時分")
_YEAR = re.compile(r"(?<!\d)(?:1[89]|2[012])\d\d(?!\d)")
_LONGEST = 40  # characters of a date


def resembles_date(text: str) -> bool:
    """Return whether a text seems to be a date or time, in whatever writing.

    >>> resembles_date("5. März 2024"), resembles_date("Tue 5th of March, 8 am"), resembles_date("grade 2")
    (True, True, False)
    """
    if len(text) > _LONGEST:
        return False
    digits, words = re.findall(r"\d+", text), re.findall(r"[^\W\d_]+", text.lower())
    if not set(words) <= _WORDS:
        return False
    if _MONTHS & set(words):
        return len(digits) >= 2
    return len(digits) >= 3 and (_YEAR.search(text) is not None or {"am", "pm"} & set(words) != set())
