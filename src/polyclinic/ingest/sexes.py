"""Compare the sexes that sources state of a patient."""

import polars as pl

#: Codes of a patient's sex.
CODES = ("DEMOGRAPHIC//sex", "DEMOGRAPHIC//gender")
_MEANINGS = {
    "female": """
    f female feminine w woman women girl fem weiblich frau mädchen femme feminin féminin fille mujer femenino femenina
    hembra femminile femmina donna feminino feminina mulher vrouw vrouwelijk meisje
    """,
    "male": """
    m male masculine man men boy masc männlich maennlich mann herr junge homme masculin garçon hombre masculino
    masculina varón varon maschile maschio uomo homem mannelijk jongen
    """,
    "other": "o other x d divers diverse intersex",
    "": """
    u unknown unk unbekannt undetermined indeterminate unspecified ? not_stated unbestimmt inconnu desconocido
    desconhecido sconosciuto onbekend invalid unknown/invalid not_known not_specified not_reported not_recorded
    not_available not_applicable prefer_not_to_say declined keine_angabe k.a non_renseigné no_consta
    """,  # states none
}
_MEANING = {word.replace("_", " "): meaning for meaning, words in _MEANINGS.items() for word in words.split()}


def meaning(text: str) -> str:
    """Return `female`, `male` or `other`; empty for words that state none, and the text itself if it is not known.

    >>> meaning("F"), meaning("männlich"), meaning("unknown"), meaning("2")
    ('female', 'male', '', '2')
    """
    word = text.strip().casefold()
    return _MEANING.get(word, word)


class Sexes:
    """The first sex, and the first gender, stated of each patient.

    Args:
        recorded: events of the cohort: `subject_id`, `numeric_value`, `text_value`.
    """

    def __init__(self, recorded: pl.DataFrame) -> None:
        self._first: dict[tuple[int, str, bool], set[str]] = {}
        for subject, code, sex in _stated(recorded).unique(maintain_order=True).iter_rows():
            self._first.setdefault((subject, code, sex in _MEANINGS), set()).add(sex)

    def agree(self, frame: pl.DataFrame) -> pl.Series:
        """Return whether each event of a frame contradicts no earlier one; events of other codes do not.

        Texts are compared with texts of the same kind only: `2` may be `female`.
        """
        stated = _stated(frame)
        is_sex = stated.get_column("code").is_in(CODES)
        distinct = stated.filter(is_sex).unique(maintain_order=True)
        conflicts = [pair for pair in distinct.iter_rows() if not self._is_first(*pair)]
        listed = pl.DataFrame(conflicts, schema=stated.schema, orient="row").with_columns(conflict=True)
        joined = stated.join(listed, on=stated.columns, how="left", maintain_order="left", nulls_equal=True)
        return joined.get_column("conflict").is_null() | ~is_sex

    def _is_first(self, subject: int, code: str, sex: str | None) -> bool:
        if not sex:
            return True
        return sex in self._first.setdefault((subject, code, sex in _MEANINGS), {sex})


def _stated(frame: pl.DataFrame) -> pl.DataFrame:
    """Return subject, code and meaning of each event; the last is null for events without a value."""
    values = [pl.col(name).cast(pl.String) for name in ("text_value", "numeric_value") if name in frame.columns]
    texts = frame.select(pl.coalesce(values) if values else pl.lit(None, pl.String)).to_series()
    meanings = {text: meaning(text) for text in texts.drop_nulls().unique()}
    sex = texts.replace_strict(meanings, default=None, return_dtype=pl.String)
    code = frame.get_column("code").cast(pl.String)
    return pl.DataFrame({"subject_id": frame.get_column("subject_id"), "code": code, "sex": sex})
