"""Ids that spreadsheets and programs rewrote are restored, rejected or warned of: no second patient in silence."""

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polyclinic.cohort import Cohort
from polyclinic.ingest import ingest
from polyclinic.ingest.errors import UnreadableRecord
from polyclinic.ingest.missing import NO_PERSON, PADDING
from polyclinic.ingest.subject_ids import ALIKE, EXACT, LOST, RESTORED, count_alike, restored_ids, subject_id
from tests.ingest.sinks import read_table
from tests.properties import examples

NUMBER = st.integers(1, EXACT - 1).map(str) | st.integers(10**5, 10**9).map(str)
PAD = st.text(st.sampled_from(PADDING), max_size=2)
CERTAIN = {
    "float": lambda text: f"{text}.0",
    "float of two decimals": lambda text: f"{text}.00",
    "float with a comma": lambda text: f"{text},0",
    "formula": '="{}"'.format,
    "formula of a number": "={}".format,
    "quoted": '"{}"'.format,
    "text sign of a spreadsheet": "'{}".format,
    "bytes of Python": "b'{}'".format,
}
LOSSY = {
    "general number of a spreadsheet": lambda text: f"{int(text):.2E}",
    "general number with a comma": lambda text: f"{int(text):.5E}".replace(".", ","),
    "floating-point number": lambda text: f"{int(text):.7e}",
    "double of Java": lambda text: f"{text[0]}.{text[1:] or 0}E{len(text) - 1}",
    "thousands": lambda text: f"{int(text) + 1000:,}",
    "narrow column": lambda text: "#" * (1 + len(text)),
}
FORM = {
    "zeros": "00{}".format,
    "case": "P{}".format,
    "space": "p {}".format,
    "punctuation": "p-{}".format,
    "float in the cohort": "{}.0".format,
}


@pytest.mark.parametrize("form", CERTAIN.values(), ids=CERTAIN)
@given(number=NUMBER, before=PAD, after=PAD)
def test_a_form_that_keeps_the_id_is_restored(form, number, before, after):
    assert subject_id(before + form(number) + after) == number
    assert restored_ids(pl.Series([before + form(number) + after])).to_list() == [number]


@pytest.mark.parametrize("form", LOSSY.values(), ids=LOSSY)
@given(number=NUMBER)
def test_a_form_that_loses_the_id_is_rejected(form, number):
    assert restored_ids(pl.Series([form(number)])).to_list() == [None]
    with pytest.raises(UnreadableRecord) as error:
        subject_id(form(number))
    assert error.value.reason == LOST
    assert form(number) not in error.value.remedy


@pytest.mark.parametrize(
    "text",
    ["1E5", "12e3", "P1", "00123", "10.006", "1.2.840.113619", "S-7", "a/b.0", "99999999999999999999", "1.5", "=", "0"],
)
def test_ordinary_ids_stay(text):
    assert subject_id(text) == text
    assert restored_ids(pl.Series([text])).to_list() == [text]


@pytest.mark.parametrize("text", [None, "", " ", "NULL", "<NA>", "-", "?"])
def test_no_id_is_no_subject(text):
    with pytest.raises(UnreadableRecord) as error:
        subject_id(text)
    assert error.value.reason == "no subject"


@given(st.lists(st.integers(10**18, 10**20), min_size=3, max_size=9, unique=True))
def test_long_ids_rounded_to_floating_point_numbers_are_rejected(numbers):
    rounded = [str(int(float(number))) for number in numbers]
    assert set(restored_ids(pl.Series([*rounded, "17"]))) == {None, "17"}
    cut = [str(number)[:15] + "0" * (len(str(number)) - 15) for number in numbers]
    assert set(restored_ids(pl.Series([*cut, "17"]))) == {None, "17"}
    assert restored_ids(pl.Series([f"{number}.0" for number in numbers])).null_count() == len(numbers)


@given(st.integers(10**4, 10**6))
def test_long_ids_with_all_digits_stay(number):
    ids = [str(10**19 + 2 * number + 1), str(10**19 + 4 * number + 3), "17"]
    assert restored_ids(pl.Series(ids)).to_list() == ids


def test_long_ids_of_parquet_are_kept_as_integers_and_rejected_as_floats(tmp_path):
    mapping = "subject: id\nunique: false\ncolumns:\n  x: {code: LAB//x, type: numeric}\n"
    frame = pl.DataFrame({"id": [2**60 + 1, 2**60 + 3], "x": 1})
    frame.write_parquet(tmp_path / "t.parquet")
    assert [event[0] for event in read_table(tmp_path / "t.parquet", mapping).events] == [
        str(2**60 + 1),
        str(2**60 + 3),
    ]
    frame.with_columns(pl.col("id").cast(pl.Float64)).write_parquet(tmp_path / "t.parquet")
    kept = read_table(tmp_path / "t.parquet", mapping)
    assert kept.events == []
    assert kept.reasons == [(1, LOST), (2, LOST)]


@pytest.mark.parametrize("form", FORM.values(), ids=FORM)
@given(number=st.integers(1, 10**6))
def test_two_forms_of_an_id_are_counted(form, number):
    other = f"p{number}" if form("").lower().startswith("p") else str(number)
    assert count_alike([form(str(number)), "x"], ["y"]) == 0
    assert count_alike([form(str(number))], [other]) == (form(str(number)) != other)
    assert count_alike([form(str(number)), other], []) == 2 * (form(str(number)) != other)


@pytest.mark.parametrize(("one", "other"), [("1-23", "12-3"), ("p1_s2", "p12"), ("a0", "a"), ("1", "10")])
def test_different_ids_are_not_alike(one, other):
    assert count_alike([one], [other]) == 0


LABS = "subject: id\nunique: false\ncolumns:\n  crp: {code: LAB//crp//mg/L, type: numeric}\n"
ANY_FORM = [*CERTAIN.values(), *LOSSY.values(), FORM["zeros"], " {}\u00a0".format]


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=examples(40))
@given(number=st.integers(1000, 10**12).map(str), form=st.sampled_from(ANY_FORM), same_file=st.booleans())
def test_no_second_patient_in_silence(tmp_path_factory, number, form, same_file):
    folder = tmp_path_factory.mktemp("t")
    (folder / "m.yaml").write_text(LABS)
    parts = [[number, "other"], [form(number), "last"]]
    reports = []
    for rows in [parts[0] + parts[1]] if same_file else parts:
        pl.DataFrame({"id": rows, "crp": 1.0}).write_csv(folder / "t.csv")
        reports.append(ingest("table", folder / "t.csv", folder / "c", mapping=folder / "m.yaml"))
    subjects = set(Cohort.open(folder / "c").subjects["source_id"])
    assert subjects >= {number, "other", "last"}
    if subjects != {number, "other", "last"}:
        assert reports[-1].warnings[ALIKE] == (2 if same_file else 1)
    else:
        warned = reports[-1].warnings.get(RESTORED, 0)
        assert warned + reports[-1].rejects.get(LOST, 0) == 1 or form(number).strip(PADDING) == number


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(15))
@given(st.sampled_from(NO_PERSON), st.sampled_from([str.upper, str.title, str]), st.sampled_from(["", " ", "\u00a0"]))
def test_records_without_a_person_do_not_become_one_patient(tmp_path_factory, word, written, padding):
    text = f"{padding}{written(word)}{padding}"
    with pytest.raises(UnreadableRecord, match="no subject"):
        subject_id(text)
    folder = tmp_path_factory.mktemp("table")
    (folder / "t.csv").write_text(f"id,lactate\n{text},1\n{text},2\nP1,3\n", encoding="utf-8")
    (folder / "m.yaml").write_text(
        "subject: id\nunique: false\ncolumns:\n  lactate: {code: LAB//lactate//mmol/L, type: numeric}\n"
    )
    report = ingest("table", folder / "t.csv", folder / "cohort", mapping=folder / "m.yaml")
    assert (report.subjects, report.rejects) == (1, {"no subject": 2})
