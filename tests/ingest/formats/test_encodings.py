"""Marked encodings are read, others are refused with the name of the likely one; names are compared composed."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.ingest import IngestError
from polyclinic.ingest.formats.encodings import likely_encoding
from polyclinic.ingest.formats.text import WRONG_ENCODING, UnreadableText
from polyclinic.ingest.table.mapping import load_mapping
from tests.ingest.formats.test_delimited import rows
from tests.ingest.sinks import read_table

GERMAN = st.lists(
    st.sampled_from(["Größe", "Erguß", "Übelkeit", "Ärztin", "müde", "schön", "Fieber", "Öl", "über 38 °C"]), min_size=1
)
SAMPLES = {
    "cp1252": "Größe;Übelkeit;Erguß;naïve café",
    "cp850": "Größe;Übelkeit;Erguß",
    "mac_roman": "Größe;Übelkeit;Erguß",
    "cp1250": "Gdańsk;żółć;świąd;choroba wieńcowa;łagodny",
    "cp1251": "пациент;давление;без особенностей",
    "koi8-r": "пациент;давление;без особенностей",
    "cp1253": "ασθενής;πίεση;χωρίς ευρήματα",
    "gb18030": "患者病情稳定;无发热",
    "utf-16-le": "Größe;Übelkeit;Erguß",
    "utf-16-be": "Größe;Übelkeit;Erguß",
    "utf-32-le": "Größe;Übelkeit;Erguß",
    "utf-32": "Größe;Übelkeit;Erguß",
}


@pytest.mark.parametrize("encoding", SAMPLES)
def test_the_likely_encoding_is_named(encoding):
    text = f"{SAMPLES[encoding]}\n{SAMPLES[encoding]}\n"
    assert likely_encoding(text.encode(encoding)) == encoding
    with pytest.raises(UnreadableText) as error:
        rows(text.encode(encoding))
    assert error.value.reason == WRONG_ENCODING
    assert f"encoding: {encoding})" in error.value.remedy
    read, kept = rows(text.encode(encoding), encoding=encoding)
    assert (len(read), kept.rejects) == (1, [])


@given(GERMAN.filter(lambda words: not "".join(words).isascii()))
def test_words_of_a_line_name_the_encoding(words):
    content = f"a,b\nx,{' '.join(words)}\n".encode("cp1252")
    read, kept = rows(content)
    assert (read, [reject.reason for reject in kept.rejects]) == ([], [WRONG_ENCODING])
    assert "cp1252" in kept.rejects[0].remedy


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@given(words=GERMAN)
def test_marked_encodings_and_line_ends_are_read(encoding, end, words):
    content = end.join(["a;b", *(f"{word};x" for word in words)]).encode(encoding)
    assert [cells[0] for _, cells in rows(content)[0]] == words


def test_a_damaged_line_of_utf8_text_is_rejected_alone():
    read, kept = rows("a,b\n1,Größe\n".encode() + b"2,caf\xe9\n" + "3,Öl\n".encode())
    assert [line for line, _ in read] == [2, 4]
    assert kept.reasons == [(3, WRONG_ENCODING)]


MAPPING = """
subject: Patient
columns:
  Größe: {code: LAB//x, type: numeric}
  Übel: {code: FINDING//y, type: categorical, values: {schön: yes}}
"""


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("other", ["NFC", "NFD"])
def test_names_and_categories_are_found_in_composed_and_decomposed_letters(tmp_path, form, other):
    text = "Patient;Größe;Übel\nmüller;172;schön\n"
    (tmp_path / "t.csv").write_text(unicodedata.normalize(form, text), encoding="utf-8")
    kept = read_table(tmp_path / "t.csv", unicodedata.normalize(other, MAPPING))
    assert kept.events == [("müller", None, "FINDING//y", "yes"), ("müller", None, "LAB//x", 172.0)]
    assert kept.rejects == []


def test_a_mapping_in_another_encoding_is_refused_with_its_name(tmp_path):
    (tmp_path / "m.yaml").write_text(MAPPING, encoding="cp1252")
    with pytest.raises(IngestError, match=r"m\.yaml is not UTF-8 text: it looks like cp1252: save it as UTF-8"):
        load_mapping(tmp_path / "m.yaml")


def test_parameters_of_the_long_form_are_found_in_decomposed_letters(tmp_path):
    text = unicodedata.normalize("NFD", "id,what,value\n1,Größe,172\n")
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    mapping = "subject: id\nlong: {code: what, value: value, codes: {Größe: {code: LAB//x, type: numeric}}}\n"
    assert read_table(tmp_path / "t.csv", mapping).events == [("1", None, "LAB//x", 172.0)]


def test_invisible_signs_in_names_are_shown(tmp_path):
    (tmp_path / "t.csv").write_text("Patient,Body\u00a0weight\n1,2\n", encoding="utf-8")
    mapping = "subject: Patient\ncolumns:\n  Body weight: {code: LAB//x, type: numeric}\n"
    [reject] = read_table(tmp_path / "t.csv", mapping).rejects
    assert reject.remedy == "the mapping names Body weight; the table's columns are Patient, Body\\xa0weight"
