"""Sex, dates of birth, admission, discharge and death, and outcomes are recognised in seven languages."""

from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polyclinic.ingest import IngestError
from polyclinic.ingest.table.guess.lines import quoted
from polyclinic.ingest.table.guess.outcome_names import at_discharge, is_death, is_outcome
from polyclinic.ingest.table.guess.roles import is_birth, unit_since_start
from tests.ingest.sinks import read_table
from tests.ingest.table.guess.tables import guess_of, line_of, mapping_of

relaxed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)


class Language(NamedTuple):
    """Names of columns, and pairs of texts for female and male."""

    sex: list[str]
    pairs: list[tuple[str, str]]
    births: list[str]
    admissions: list[str]
    discharges: list[str]
    deaths: list[str]
    outcomes: list[str]


LANGUAGES = {
    "en": Language(
        ["sex", "Gender", "patient_sex"], [("F", "M"), ("female", "male"), ("Woman", "Man"), ("Feminine", "Masculine")],
        ["dob", "date_of_birth"], ["admittime", "admission_date"], ["dischtime", "discharge_date"],
        ["deathtime", "dod", "date_of_death"], ["hospital_expire_flag", "los", "readmission", "alive"],
    ),
    "de": Language(
        ["Geschlecht", "geschlecht", "Patient_Geschlecht"], [("w", "m"), ("W", "M"), ("weiblich", "männlich"),
        ("Frau", "Mann"), ("F", "M")], ["Geburtsdatum", "GebDat", "Geburtstag"],
        ["Aufnahmedatum", "Aufnahme", "Aufnahmezeitpunkt"], ["Entlassung", "Entlassungsdatum", "Entl_Datum"],
        ["Todesdatum", "Sterbedatum", "verstorben_am", "Tod"],
        ["Verweildauer", "Liegedauer", "Entlassungsart", "verstorben", "Wiederaufnahme", "Überlebt", "Sterblichkeit"],
    ),
    "fr": Language(
        ["sexe", "Sexe", "sexe_patient"], [("F", "H"), ("F", "M"), ("femme", "homme"), ("Féminin", "Masculin")],
        ["date_naissance", "Date de naissance", "DDN", "date_nais", "Né le"],
        ["date_entree", "Date d'entrée", "entrée", "date_admission"], ["sortie", "date_sortie", "Date de sortie"],
        ["date_deces", "Date de décès", "date_mort"],
        ["durée_séjour", "durée de séjour", "mode_sortie", "décédé", "réadmission", "réhospitalisation", "survie"],
    ),
    "es": Language(
        ["sexo", "Sexo", "género"], [("M", "H"), ("F", "M"), ("mujer", "hombre"), ("Femenino", "Masculino")],
        ["fecha_nacimiento", "FechaNacimiento", "fec_nac", "Fecha de nacimiento", "f_nac"],
        ["fecha_ingreso", "Fecha de ingreso", "FechaIngreso"], ["fecha_alta", "alta", "Fecha de alta", "fecha_egreso"],
        ["fecha_defuncion", "fecha_muerte", "Fecha de fallecimiento"],
        ["dias_estancia", "estancia", "motivo_alta", "fallecido", "reingreso", "mortalidad", "éxitus"],
    ),
    "it": Language(
        ["sesso", "Sesso", "genere"], [("F", "M"), ("femmina", "maschio"), ("D", "U"), ("Donna", "Uomo")],
        ["data_nascita", "Data di nascita", "nato_il"], ["data_ricovero", "data_ingresso", "Data di ricovero"],
        ["dimissione", "data_dimissione", "Data di dimissione"], ["data_decesso", "data_morte"],
        ["giorni_degenza", "durata_degenza", "deceduto", "modalita_dimissione", "riammissione", "sopravvivenza"],
    ),
    "pt": Language(
        ["sexo", "Sexo", "gênero"], [("F", "M"), ("feminino", "masculino"), ("Mulher", "Homem")],
        ["data_nascimento", "Data de nascimento", "dt_nasc", "data_nasc"],
        ["data_internacao", "data_admissão", "Data de internação"], ["data_alta", "alta", "data_saida", "Data da alta"],
        ["data_obito", "data_óbito", "data_falecimento"],
        ["dias_internacao", "tempo_internação", "motivo_alta", "óbito", "reinternação", "sobrevida"],
    ),
    "nl": Language(
        ["geslacht", "Geslacht"], [("V", "M"), ("v", "m"), ("vrouw", "man"), ("Vrouw", "Man")],
        ["geboortedatum", "geboren_op", "Geboortedatum"], ["opnamedatum", "datum_opname", "opname"],
        ["ontslag", "ontslagdatum", "datum_ontslag"], ["overlijdensdatum", "sterfdatum"],
        ["opnameduur", "ligduur", "overleden", "ontslagbestemming", "heropname", "overleving"],
    ),
}  # fmt: skip
OTHERS = [
    "tension_alta", "alta_dosis", "gradiente_tracto_salida", "pression", "todo", "method", "cortex", "motorik",
    "Mortadella", "mesure", "famille_décès", "antecedentes_familiares_muerte", "donor", "nacional", "economia",
    "expired_tidal_volume", "expired CO2", "disposable_income", "survivin", "Survivin_ng_ml",
]  # fmt: skip


@pytest.mark.slow
@relaxed
@given(language=st.sampled_from(sorted(LANGUAGES)), data=st.data())
def test_each_language_is_recognised_as_english_is(tmp_path, language, data):
    words = LANGUAGES[language]
    sex, birth, admission, discharge, death = (data.draw(st.sampled_from(words[n])) for n in (0, 2, 3, 4, 5))
    pair = data.draw(st.sampled_from(words.pairs))
    outcomes = data.draw(st.lists(st.sampled_from(words.outcomes), min_size=1, unique=True))
    header = data.draw(st.permutations([sex, birth, admission, discharge, death, *outcomes]))
    shown = data.draw(st.lists(st.sampled_from(pair), min_size=6, max_size=6).filter(lambda texts: len(set(texts)) > 1))
    rows = [["patient_id", *header, "crp"]]
    for n, text in enumerate(shown):
        known = {birth: "1950-12-24", admission: f"2024-03-0{n + 1}", discharge: "2024-03-09", death: "2024-04-01"}
        rows.append([f"P{n}", *((known | {sex: text}).get(name, "01"[n % 2]) for name in header), f"{n}.5"])
    guess = guess_of(tmp_path, "\n".join([*map(",".join, rows), ""]))
    mapping = mapping_of(tmp_path, guess)
    assert (mapping.birth.column, mapping.time.column) == (birth, admission)
    assert mapping.columns[sex].code == "DEMOGRAPHIC//sex"
    assert mapping.columns[sex].values == {pair[0]: "female", pair[1]: "male"}
    for name in outcomes:
        assert mapping.columns[name].code.startswith("OUTCOME//")
    for name in (discharge, death):
        assert "known only at discharge or death: never an input" in line_of(guess, f"# {quoted(name)}:")
    assert set(mapping.columns) == {sex, "crp", *outcomes}
    assert read_table(tmp_path / "t.csv", guess).rejects == []


@relaxed
@given(language=st.sampled_from(sorted(LANGUAGES)), data=st.data())
def test_a_sample_of_one_sex_is_read_or_asked_for_but_never_wrong(tmp_path, language, data):
    words = LANGUAGES[language]
    name, pair = data.draw(st.sampled_from(words.sex)), data.draw(st.sampled_from(words.pairs))
    female = data.draw(st.booleans())
    text = pair[not female]
    guess = guess_of(tmp_path, f"patient_id,{name}\n" + "".join(f"P{n},{text}\n" for n in range(6)))
    if '"?"' in line_of(guess, quoted(name)):
        assert text in ("M", "m", "V", "v")
        with pytest.raises(IngestError, match=r"values: \? is a question"):
            mapping_of(tmp_path, guess)
        return
    values = mapping_of(tmp_path, guess).columns[name].values
    assert values[text] == ("female" if female else "male")
    assert values[pair[female]] == ("male" if female else "female")


@pytest.mark.parametrize(
    ("name", "texts"),
    [("sexo", "M"), ("género", "M"), ("sex", "MV"), ("Gender", "FHM"), ("sexe", "FMH"), ("sex", "HV")],
)
def test_letters_that_may_mean_either_are_asked_for(tmp_path, name, texts):
    guess = guess_of(tmp_path, f"patient_id,{name}\n" + "".join(f"P{n},{text}\n" for n, text in enumerate(texts * 3)))
    assert "which is which? write values: {…: female, …: male}" in line_of(guess, quoted(name))
    with pytest.raises(IngestError, match=r"columns\.\w+\.values: \? is a question .*such as \{F: female, M: male\}"):
        mapping_of(tmp_path, guess)


@pytest.mark.parametrize("other", [("d", "other"), ("divers", "other"), ("U", None), ("unbekannt", None)])
def test_other_sexes_are_values_and_unknown_ones_missing(tmp_path, other):
    text, meaning = other
    rows = "".join(f"P{n},{['w', 'm', text][n % 3]}\n" for n in range(9))
    column = mapping_of(tmp_path, guess_of(tmp_path, f"patient_id,Geschlecht\n{rows}")).columns["Geschlecht"]
    assert column.values == {"w": "female", "m": "male"} | ({text: meaning} if meaning else {})
    assert column.missing == (() if meaning else (text,))


def test_many_numbers_under_a_name_with_sex_are_measurements(tmp_path):
    name = "sex_hormone_binding_globulin"
    rows = "".join(f"P{n},{n / 10}\n" for n in range(100))
    assert mapping_of(tmp_path, guess_of(tmp_path, f"patient,{name}\n{rows}")).columns[name].type == "numeric"


@pytest.mark.parametrize("name", OTHERS)
def test_other_words_are_no_outcomes_or_births(name):
    assert (is_outcome(name), at_discharge(name), is_birth(name)) == (False, False, False)


@pytest.mark.parametrize("name", ["todo", "mortadella", "cortex", "modem", "muerdago"])
def test_other_words_are_not_of_death(name):
    assert not is_death(name)


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("Stunden_seit_Aufnahme", "hours"), ("heures_depuis_entrée", "hours"), ("horas_desde_ingreso", "hours"),
        ("giorni_dal_ricovero", "days"), ("dias_desde_internação", "days"), ("uren_sinds_opname", "hours"),
        ("horas_sueño", None), ("jours_fumeur", None),
    ],
)  # fmt: skip
def test_times_counted_from_admission(name, unit):
    assert unit_since_start(name) == unit
