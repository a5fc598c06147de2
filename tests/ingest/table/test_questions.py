"""A question left in a mapping stops the ingest, with file, line and what to write."""

import doctest

import pytest

from polyclinic.ingest import IngestError
from polyclinic.ingest.table import questions
from polyclinic.ingest.table.mapping import load_mapping
from polyclinic.ingest.table.questions import count_questions


def load(tmp_path, text: str):
    (tmp_path / "m.yaml").write_text(text)
    return load_mapping(tmp_path / "m.yaml")


COLUMNS = "columns:\n  crp: {code: LAB//crp, type: numeric}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f'subject: "?"\n{COLUMNS}', "m.yaml line 1: subject: . is a question .*: name the column of the patient's id"),
        (
            f'subject: id\ntime: "?"\n{COLUMNS}',
            "m.yaml line 2: time: .* or write null if every fact holds from the start",
        ),
        (f'subject: id\ntime: {{column: t, format: "?"}}\n{COLUMNS}', "line 2: time.format: .*such as %d/%m/%Y"),
        (f'subject: id\ntime: {{column: t, unit: "?"}}\n{COLUMNS}', "line 2: time.unit: .*write seconds, minutes"),
        (
            'subject: id\ncolumns: {sexo: {code: DEMOGRAPHIC//sex, type: categorical, values: "?"}}\n',
            "line 2: columns.sexo.values: .*write what each text means, such as {F: female, M: male}",
        ),
        (f'subject: id\ndecimal: "?"\n{COLUMNS}', "line 2: decimal: "),
        (
            'subject: id\ncolumns:\n  crp: {code: LAB//crp, type: numeric, time: {column: t, format: "?"}}\n',
            "line 3: columns.crp.time.format: ",
        ),
        (
            'subject: id\nlong:\n  code: "?"\n  value: v\n  codes: {a: {code: LAB//a, type: numeric}}',
            "line 3: long.code: ",
        ),
    ],
)
def test_a_question_is_refused(tmp_path, text, message):
    with pytest.raises(IngestError, match=message):
        load(tmp_path, text)
    assert count_questions(text) == 1


def test_every_question_is_named(tmp_path):
    with pytest.raises(IngestError) as error:
        load(tmp_path, f'subject: "?"\ntime: {{column: t, format: "?"}}\n{COLUMNS}')
    assert len(str(error.value).splitlines()) == 2


def test_a_question_mark_may_be_a_missing_text_or_a_value(tmp_path):
    text = 'subject: id\nmissing: ["?"]\ncolumns:\n  "?": {code: LAB//a, type: categorical, values: {"?": unclear}}\n'
    mapping = load(tmp_path, text)
    assert mapping.columns["?"].values == {"?": "unclear"}
    assert count_questions(text) == 0


def test_examples_in_docstrings():
    assert doctest.testmod(questions) == (0, 1)
