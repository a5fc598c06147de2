"""Numbers that stand for nothing are missing, or asked for, and numbers that may be measured are neither."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polyclinic.ingest import IngestError
from tests.ingest.sinks import read_table
from tests.ingest.table.guess.tables import guess_of, line_of, mapping_of

relaxed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
NAMES = ["crp", "age", "weight", "bmi", "sofa", "grade"]
NEGATIVE = ["-9", "-99", "-999", "-9999", "-9.0", "-99.0", "-8"]
POSITIVE = ["999", "9999", "999.0", "888", "99999"]


def table(name: str, cells: list[str]) -> str:
    rows = "".join(f"P{n};2024-03-05;{text}\n" for n, text in enumerate(cells))
    return f"patient_id;taken_at;{name}\n{rows}"


@relaxed
@given(
    name=st.sampled_from(NAMES),
    numbers=st.lists(st.one_of(st.integers(0, 250), st.floats(0, 250).map(lambda x: round(x, 2))), min_size=5),
    sentinels=st.lists(st.sampled_from(NEGATIVE), min_size=1, max_size=2, unique=True),
    comma=st.booleans(),
)
def test_a_negative_number_among_others_that_are_none_is_missing(tmp_path, name, numbers, sentinels, comma):
    cells = [*map(str, numbers), *sentinels, "1.25"]
    cells = [text.replace(".", ",") for text in cells] if comma else cells
    guess = guess_of(tmp_path, table(name, cells))
    assert "mean not recorded?" in line_of(guess, name)
    kept = read_table(tmp_path / "t.csv", guess)
    assert (len(kept.events), kept.rejects) == (len(numbers) + 1, [])
    assert min(event[3] for event in kept.events) >= 0


@relaxed
@given(
    name=st.sampled_from(NAMES),
    numbers=st.lists(st.integers(0, 250), min_size=5).filter(any),
    sentinel=st.sampled_from(POSITIVE),
)
def test_a_repeated_number_far_above_the_others_is_asked_for(tmp_path, name, numbers, sentinel):
    guess = guess_of(tmp_path, table(name, [*map(str, numbers), sentinel, sentinel]))
    with pytest.raises(IngestError, match=rf"columns\.{name}\.missing: \? is a question .* list the texts"):
        mapping_of(tmp_path, guess)
    for answer, events in ((f'["{sentinel}"]', len(numbers)), ("[]", len(numbers) + 2)):
        answered = guess.replace('missing: "?"', f"missing: {answer}")
        assert len(read_table(tmp_path / "t.csv", answered).events) == events


@pytest.mark.parametrize(
    "cells",
    [
        ["-9", "-3", "4", "5", "12"],
        ["0", "1", "-1", "0", "1"],
        ["-1", "0", "1", "2"],
        ["999", "640", "805", "999"],
        ["9999", "12", "14"],
        ["99", "98", "97", "99"],
        ["-9.5", "4", "5"],
    ],
)
def test_other_numbers_are_measured(tmp_path, cells):
    guess = guess_of(tmp_path, table("be", cells * 1))
    assert mapping_of(tmp_path, guess).columns["be"].missing == ()
    assert len(read_table(tmp_path / "t.csv", guess).events) == len(cells)


def test_minus_one_beside_many_numbers_is_missing(tmp_path):
    guess = guess_of(tmp_path, table("gcs", ["-1", *map(str, range(3, 16))]))
    assert mapping_of(tmp_path, guess).columns["gcs"].missing == ("-1",)


@pytest.mark.parametrize(("name", "code"), [("smoker", "FINDING//smoker"), ("delirium_30d", "OUTCOME//delirium_30d")])
def test_answers_beside_one_stay_answers(tmp_path, name, code):
    column = mapping_of(tmp_path, guess_of(tmp_path, table(name, ["0", "1", "-9"] * 4))).columns[name]
    assert (column.code, column.missing) == (code, ("-9",))


def test_those_of_a_long_table_are_missing_by_parameter(tmp_path):
    rows = "".join(
        f"P{n};2024-03-05;{'be' if n % 2 else 'crp'};{n - 20 if n % 2 else n if n % 8 else -9}\n" for n in range(40)
    )
    guess = guess_of(tmp_path, f"patient_id;taken_at;parameter;value\n{rows}")
    codes = mapping_of(tmp_path, guess).long.codes
    assert (codes["crp"].missing, codes["be"].missing) == (("-9",), ())
