"""The mapping of a table: its columns of subject, time and facts, written in YAML by the user.

```yaml
subject: patient_id                                   # column
time: {column: taken_at, format: "%Y-%m-%d %H:%M"}    # only a column name: ISO 8601
birth: {column: dob, format: "%d.%m.%Y"}              # becomes an event of code MEDS_BIRTH
columns:
  lactate: {code: LAB//lactate//mmol/L, type: numeric, units: {column: lactate_unit, mg/dL: 0.111}}
  sex: {code: DEMOGRAPHIC//sex, type: categorical, values: {F: female, M: male}, time: null}
  report: {code: NOTE//findings, type: text}
missing: ["-1"]                                       # besides the words for nothing that every reader knows
```
"""

import re
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from polyclinic.cohort import BIRTH
from polyclinic.ingest.clock import check_zone
from polyclinic.ingest.errors import IngestError
from polyclinic.ingest.formats.encodings import likely_encoding
from polyclinic.ingest.formats.text import UnreadableText
from polyclinic.ingest.missing import Missing, composed
from polyclinic.ingest.table.datetimes import check_format
from polyclinic.ingest.table.questions import check_answered
from polyclinic.yaml_errors import describe, parse

KINDS = (
    "DEMOGRAPHIC", "LAB", "VITAL", "SCORE", "DIAGNOSIS", "PROCEDURE", "MEDICATION", "FINDING", "DICOM",
    "NOTE", "IMAGE", "WAVEFORM", "OUTCOME",
)  # fmt: skip
_KIND_OF_TYPE = {"image": "IMAGE", "waveform": "WAVEFORM", "label": "OUTCOME"}
_TYPE_OF_KIND = {"IMAGE": "image", "WAVEFORM": "waveform"}  # an OUTCOME may also be a number or a category
# De-identified sources shift dates to the 22nd century, and births to before 1900.
EARLIEST, LATEST = date(1800, 1, 1), date(2300, 1, 1)


class Strict(BaseModel):
    """A frozen model that rejects unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)


Zone = Annotated[str, AfterValidator(check_zone)]


class Time(Strict):
    """When the facts of a row were recorded."""

    column: str
    format: str | None = None  # as in strptime; None: ISO 8601
    #: For numbers of this unit since the nominal origin.
    unit: Literal["seconds", "minutes", "hours", "days", "years"] | None = None
    zone: Zone | None = None  # of times without an offset; None: the table's
    earliest: date = EARLIEST
    latest: date = LATEST

    @property
    def short_years(self) -> bool:
        """Whether years are written with two digits."""
        return self.format is not None and "%y" in self.format

    @field_validator("format")
    @classmethod
    def _readable(cls, text: str | None) -> str | None:
        return None if text is None else check_format(text)

    @model_validator(mode="after")
    def _one_meaning(self) -> Self:
        if self.format and self.unit:
            raise ValueError("give either a format (dates) or a unit (numbers), not both")
        if self.zone and self.unit:
            raise ValueError("numbers since the nominal origin have no zone: give either a unit or a zone")
        if self.short_years and "latest" not in self.model_fields_set:
            raise ValueError("45 may be 1945 or 2045: give latest, the last possible date, with years of two digits")
        if self.earliest >= self.latest:
            raise ValueError("earliest must be before latest")
        return self


class Unit(Strict):
    """Conversion of a unit to the code's unit: number x factor + offset."""

    factor: float = Field(default=1.0, allow_inf_nan=False)
    offset: float = Field(default=0.0, allow_inf_nan=False)


class Units(Strict):
    """The units of a column of numbers."""

    column: str | None = None  # of the unit; in the long form, `long.unit` is used
    factors: dict[str, Annotated[Unit, BeforeValidator(lambda v: v if isinstance(v, dict | Unit) else {"factor": v})]]

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, value: Any) -> Any:
        if not isinstance(value, dict) or "factors" in value:
            return value
        return {"column": value.get("column"), "factors": {key: v for key, v in value.items() if key != "column"}}


def _with_null(texts: Any) -> Any:
    """Read an unquoted null in a list as the text that it is."""
    return ["null" if text is None else text for text in texts] if isinstance(texts, list) else texts


Texts = Annotated[tuple[str, ...], BeforeValidator(_with_null)]


def _as_time(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


TimeOrColumn = Annotated[Time | None, BeforeValidator(_as_time)]


class Column(Strict):
    """The mapping of a column, or of a parameter in the long form."""

    code: str
    type: Literal["numeric", "categorical", "text", "image", "waveform", "label"]
    values: dict[str, str] | None = None  # cell text -> category or number
    units: Units | None = None
    range: tuple[float, float] | None = None  # of plausible numbers, in the code's unit, inclusive
    missing: Texts = ()  # additional texts that mean missing in this column
    not_missing: Texts = ()  # words for nothing that are values in this column
    time: TimeOrColumn = None  # if given: this column's own time, or null for a static fact; else the row's

    @property
    def has_own_time(self) -> bool:
        """Whether the mapping gives a time for this column (possibly null)."""
        return "time" in self.model_fields_set

    @property
    def unit(self) -> str:
        """The unit of the code; empty if it has none."""
        return self.code.split("//", 2)[2] if self.code.count("//") >= 2 else ""

    @model_validator(mode="after")
    def _code_fits(self) -> Self:
        kind, *rest = self.code.split("//")
        if kind == BIRTH:
            raise ValueError("a date of birth is not a fact of a column: give its column as birth:, next to subject")
        if kind not in KINDS or not rest or not rest[0]:
            raise ValueError(f"code must be KIND//NAME or KIND//NAME//UNIT, with KIND one of {', '.join(KINDS)}")
        of_type, of_kind = _KIND_OF_TYPE.get(self.type), _TYPE_OF_KIND.get(kind)
        if of_type not in (None, kind) or of_kind not in (None, self.type):
            raise ValueError(
                "type image goes with kind IMAGE, waveform with WAVEFORM, label with OUTCOME; this is type "
                f"{self.type} with kind {kind}"
            )
        return self

    @model_validator(mode="after")
    def _settings_fit(self) -> Self:
        for key in ("units", "range"):
            if getattr(self, key) is not None and self.type != "numeric":
                raise ValueError(f"{key} is for type numeric only")
        if self.values is not None and self.type not in ("numeric", "categorical", "label"):
            raise ValueError("values is for types numeric, categorical and label only")
        if self.range is not None and not self.range[0] <= self.range[1]:
            raise ValueError("range must be [lowest, highest]")
        if self.type == "numeric":
            _check_numbers(self.values or {})
        return self


def _check_numbers(values: dict[str, str]) -> None:
    for text, number in values.items():
        try:
            float(number)
        except ValueError:
            raise ValueError(f"values of a numeric column must be numbers, that of {text!r} is not") from None


class Long(Strict):
    """The long form: one parameter and its value per row."""

    code: str  # column of the parameter
    value: str  # column of the value
    unit: str | None = None  # column of the unit
    codes: dict[str, Column]
    ignore: tuple[str, ...] = ()  # parameters to leave out


#: Begins the name of the subject's column if each file is one patient; the pattern of the file's name follows.
_IN_NAME = "id in the file's name, "


class TableMapping(Strict):
    """The mapping of a table."""

    subject: str  # column, or {file: PATTERN} with the id in the file's name in parentheses, as in p(\\d+)
    time: TimeOrColumn = None  # null: every fact is static
    birth: TimeOrColumn = None  # of the patient: a date, not the time of a fact
    zone: Zone | None = None  # of times without an offset; None: that of the ingest
    columns: dict[str, Column] = {}
    long: Long | None = None
    missing: Texts = ()  # texts that mean missing, besides the words for nothing
    not_missing: Texts = ()  # words for nothing that are values
    unique: bool | None = None  # one row per subject; None: true for static wide tables
    separator: str | None = Field(default=None, min_length=1, max_length=1)  # None: the most common in the header
    encoding: str | None = None  # None: UTF-8
    decimal: Literal[".", ","] = "."
    thousands: Literal[",", ".", " ", "'"] | None = None  # between groups of three digits
    sheet: str | None = None  # of a workbook; None: the first

    @field_validator("encoding")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        if name is not None:
            try:
                "".encode(name)
            except LookupError:
                raise ValueError("unknown encoding; utf-8, latin-1, cp1252 and utf-16 are usual ones") from None
        return name

    @field_validator("subject", mode="before")
    @classmethod
    def _subject_of_file(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        pattern = value.get("file")
        if set(value) != {"file"} or not isinstance(pattern, str) or not _has_one_group(pattern):
            raise ValueError(
                "give a column, or {file: PATTERN}: a regular expression with the id in parentheses, as in p(\\d+)"
            )
        return _IN_NAME + pattern

    @model_validator(mode="after")
    def _maps_something(self) -> Self:
        if not self.columns and self.long is None and self.birth is None:
            raise ValueError("nothing is mapped: give columns (wide form), long or birth")
        if self.birth is not None and self.birth.zone is not None:
            raise ValueError("a date of birth is a calendar date and has no zone: leave out birth's zone")
        return self

    @model_validator(mode="after")
    def _two_signs(self) -> Self:
        if self.thousands == self.decimal:
            raise ValueError(
                f"thousands and decimal cannot both be {self.decimal!r}: 1{self.decimal}234 would be two numbers"
            )
        return self

    def words(self, column: Column | None = None) -> Missing:
        """Return the texts that mean missing, in every column or in a given one."""
        words = Missing(self.missing, self.not_missing)
        if column is None:
            return words
        kept = (*column.not_missing, *(column.values or ()))
        return words.extended(column.missing, kept)._replace(fillers=column.type == "text")

    @property
    def one_row_per_subject(self) -> bool:
        """Whether a second row of a subject is rejected."""
        return self.unique if self.unique is not None else self.long is None and self.time is None

    def id_in_name(self, path: Path) -> str | None:
        """Return the subject's id in a file's name, or None if a column has it.

        Raises:
            UnreadableText: the name does not have the pattern of the mapping.
        """
        if not self.subject.startswith(_IN_NAME):
            return None
        found = re.search(self.subject.removeprefix(_IN_NAME), path.name)
        if found is None or not found[1]:
            raise UnreadableText("no subject", "rename the file, or correct the mapping's subject: file to find its id")
        return found[1]

    def names(self) -> set[str]:
        """Return the columns of the table used by the mapping."""
        facts = [*self.columns.values(), *(self.long.codes.values() if self.long else ())]
        times = [self.time, self.birth, *(fact.time for fact in facts)]
        used = {self.subject, *self.columns, *(time.column for time in times if time)}
        used |= {fact.units.column for fact in facts if fact.units and fact.units.column}
        if self.long:
            used |= {self.long.code, self.long.value, *([self.long.unit] if self.long.unit else [])}
        return used


def _has_one_group(pattern: str) -> bool:
    try:
        return re.compile(pattern).groups == 1
    except re.error:
        return False


def load_mapping(path: Path) -> TableMapping:
    """Read a mapping from a YAML file.

    Raises:
        IngestError: the mapping is invalid; the message has file, line, key and choices of every error.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        raise IngestError(f"mapping {path.name} cannot be read: give a YAML file in UTF-8") from None
    except UnicodeDecodeError as error:
        likely = likely_encoding(error.object)
        looks = f": it looks like {likely}" if likely else ""
        raise IngestError(f"mapping {path.name} is not UTF-8 text{looks}: save it as UTF-8") from None
    text = composed(text)  # as the names of columns
    value, lines = parse(text, path.name, IngestError)
    if not isinstance(value, dict):
        raise IngestError(f"{path.name} line 1: a mapping is keys with values: subject, time, columns")
    check_answered(value, lines, path.name)
    try:
        return TableMapping.model_validate(value)
    except ValidationError as error:
        raise IngestError(describe(error, TableMapping, lines, path.name)) from None
