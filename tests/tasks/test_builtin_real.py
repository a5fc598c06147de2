"""The built-in tasks on the public data sets, compared with an independent reading of their raw files."""

import ast
import csv
import re
import tarfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import polars as pl
import pytest

from polyclinic.cohort import Cohort, known_at
from polyclinic.cohort.codes import modality
from polyclinic.ingest import ingest
from polyclinic.tasks import BUILT_IN, Task, label, number_samples, samples
from polyclinic.tasks.labels import UNRECORDED, UNUSABLE
from polyclinic.tasks.validation import CLASS_SEPARATOR

pytestmark = pytest.mark.real_data


def read_csv(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def disagreements(first: Mapping[str, object], second: Mapping[str, object]) -> int:
    """Number of subjects whose labels differ or exist on one side only; a failing test must not print labels."""
    return sum(first.get(subject) != second.get(subject) for subject in {*first, *second})


def labels_of(cohort: Cohort, task: Task, column: str = "boolean_value") -> dict[str, bool | float]:
    """The label of each subject, by the source's id."""
    named = label(cohort, task).frame.join(cohort.subjects, on="subject_id")
    assert named["subject_id"].is_unique().all()
    return dict(named.select("source_id", column).rows())


def inputs(cohort: Cohort, task: Task) -> pl.DataFrame:
    """The input events of the task's samples."""
    numbered = number_samples(label(cohort, task).frame)
    known = known_at(cohort.events(), numbered).collect()
    return known.filter(pl.col("code").map_elements(task.inputs.selects, return_dtype=pl.Boolean))


def test_every_task_of_a_public_data_set_is_tested():
    tested = {"covid_cxr_covid19", "covid_cxr_death", "indiana_normal"}
    tested |= {"physionet2012_death", "physionet2012_stay", "physionet2012_survival", "ptbxl_superclass"}
    assert {name for name in BUILT_IN if not name.startswith("demo_")} == tested


@pytest.fixture(scope="module")
def metadata(real_data) -> Mapping[str, list[dict[str, str]]]:
    """The read_csv of each patient."""
    patients = defaultdict(list)
    for line in read_csv(real_data("covid_cxr") / "metadata.csv"):
        patients[line["patientid"]].append(line)
    return patients


@pytest.fixture(scope="module")
def covid_cohort(real_data, tmp_path_factory) -> Cohort:
    into = tmp_path_factory.mktemp("covid_cxr") / "cohort"
    ingest("covid-cxr", real_data("covid_cxr"), into)
    return Cohort.open(into)


def test_covid_cxr_covid19(covid_cohort, metadata):
    recorded = {patient: any("COVID-19" in row["finding"] for row in rows) for patient, rows in metadata.items()}
    assert disagreements(labels_of(covid_cohort, BUILT_IN["covid_cxr_covid19"]), recorded) == 0
    assert (len(recorded), sum(recorded.values())) == (156, 110)
    assert not label(covid_cohort, BUILT_IN["covid_cxr_covid19"]).unknown


def test_covid_cxr_death_is_unknown_if_survival_is_not_recorded(covid_cohort, metadata):
    recorded = {patient: {row["survival"] for row in rows} for patient, rows in metadata.items()}
    assert set(map(frozenset, recorded.values())) == {frozenset({""}), frozenset({"Y"}), frozenset({"N"})}
    known = {patient: values == {"N"} for patient, values in recorded.items() if values != {""}}
    assert disagreements(labels_of(covid_cohort, BUILT_IN["covid_cxr_death"]), known) == 0
    assert (len(known), sum(known.values())) == (52, 8)
    assert label(covid_cohort, BUILT_IN["covid_cxr_death"]).unknown == {UNRECORDED: len(recorded) - len(known)}


def test_covid_cxr_unknown_labels_are_not_observed(covid_cohort):
    joint = samples(covid_cohort, [BUILT_IN["covid_cxr_covid19"], BUILT_IN["covid_cxr_death"]])
    assert joint.frame.height == 156
    counts = {name: (int(t.observed.sum()), int(t.values.sum())) for name, t in joint.targets.items()}
    assert counts == {"covid_cxr_covid19": (156, 110), "covid_cxr_death": (52, 8)}


def test_no_input_note_contains_the_diagnosis(covid_cohort, metadata):
    labels = {row["finding"] for rows in metadata.values() for row in rows} - {"No Finding"}
    words = {word.lower() for text in labels for word in re.findall("[A-Za-z]{3,}", text)} | {"corona", "sars"}
    assert {"covid", "ards", "pneumonia", "klebsiella", "influenza"} <= words
    prefixes = (word if len(word) > 4 else rf"{word}\b" for word in words)  # colitis is not E. coli
    names = re.compile(rf"\b({'|'.join(prefixes)})", re.IGNORECASE)
    written = {note for rows in metadata.values() for row in rows if (note := row["clinical_notes"].strip())}
    revealing = sum(bool(names.search(note)) for note in written)
    assert revealing > 50  # in the source
    input_notes = inputs(covid_cohort, BUILT_IN["covid_cxr_covid19"]).filter(code="NOTE//clinical")["text_value"]
    assert len(input_notes) >= len(written)
    assert input_notes.str.contains("[diagnosis]", literal=True).sum() >= revealing
    assert sum(bool(names.search(note)) for note in input_notes) == 0


def test_covid_cxr_inputs_exclude_outcomes_and_death_excludes_notes(covid_cohort):
    kinds = {
        name: set(inputs(covid_cohort, BUILT_IN[name])["code"]) for name in ("covid_cxr_covid19", "covid_cxr_death")
    }
    assert not any(code.startswith("OUTCOME//") for codes in kinds.values() for code in codes)
    assert "NOTE//clinical" in kinds["covid_cxr_covid19"]
    assert not any(code.startswith("NOTE//") for code in kinds["covid_cxr_death"])
    assert any(code.startswith("IMAGE//CR//") for code in kinds["covid_cxr_death"])


INDIANA = BUILT_IN["indiana_normal"]


@pytest.fixture(scope="module")
def reports(real_reports) -> Mapping[str, ElementTree.Element]:
    """The reports by their id."""
    roots = [ElementTree.fromstring(content) for content in xml_files(real_reports)]
    return {root.find("uId").get("id"): root for root in roots}


def xml_files(source: Path) -> list[bytes]:
    if source.is_dir():
        return [file.read_bytes() for file in source.rglob("*.xml")]
    with tarfile.open(source) as archive:
        return [archive.extractfile(member).read() for member in archive if member.name.endswith(".xml")]


@pytest.fixture(scope="module")
def indiana_cohort(real_reports, tmp_path_factory) -> Cohort:
    into = tmp_path_factory.mktemp("indiana") / "cohort"
    ingest("indiana", real_reports, into)
    return Cohort.open(into)


def test_indiana_normal_equals_the_index(indiana_cohort, reports):
    known, eligible, readable = {}, set(), set()
    for identity, root in reports.items():
        text = {part.get("Label"): (part.text or "").strip() for part in root.iter("AbstractText")}
        if not any(text.values()) and root.find("parentImage") is None:
            continue  # empty, though indexed as normal
        terms = {"".join(term.itertext()).strip().lower() for term in root.iterfind("MeSH/major")}
        findings = terms - {"", "no indexing", "technical quality of image unsatisfactory"}
        readable.add(identity)
        eligible |= {identity} if text.get("INDICATION") or text.get("COMPARISON") else set()
        known |= {identity: findings == {"normal"}} if findings else {}
    assert (len(reports), len(readable), sum(known.values())) == (3955, 3952, 1388)
    labels = label(indiana_cohort, INDIANA)
    expected = {identity: normal for identity, normal in known.items() if identity in eligible}
    assert disagreements(labels_of(indiana_cohort, INDIANA), expected) == 0
    assert (len(expected), sum(expected.values())) == (3812, 1353)
    assert labels.unknown == {UNRECORDED: len(eligible - set(known))}
    assert sum(labels.excluded.values()) == len(readable - eligible)


def test_indiana_inputs_precede_the_report(indiana_cohort):
    assert set(inputs(indiana_cohort, INDIANA)["code"]) == {"NOTE//indication", "NOTE//comparison"}
    joint = samples(indiana_cohort, [INDIANA])
    assert joint.targets["indiana_normal"].observed.all()
    assert joint.frame.height == 3812


@pytest.fixture(scope="module")
def outcomes(real_data) -> Mapping[str, dict[str, float]]:
    """The outcomes of the stays that have a record, but those of 136022, which contradict each other."""
    folder = real_data("physionet2012_a")
    with tarfile.open(folder / "set-a.tar.gz") as archive:
        stays = {Path(member.name).stem for member in archive if member.name.endswith(".txt")}
    rows = [row for row in read_csv(folder / "Outcomes-a.txt") if row["RecordID"] in stays - {"136022"}]
    return {row["RecordID"]: {name: float(value) for name, value in row.items()} for row in rows}


@pytest.fixture(scope="module")
def icu_cohort(real_data, tmp_path_factory) -> Cohort:
    into = tmp_path_factory.mktemp("physionet2012") / "cohort"
    ingest("physionet2012", real_data("physionet2012_a"), into)
    return Cohort.open(into)


def test_physionet2012_death(icu_cohort, outcomes):
    died = {stay: row["In-hospital_death"] == 1 for stay, row in outcomes.items()}
    assert disagreements(labels_of(icu_cohort, BUILT_IN["physionet2012_death"]), died) == 0
    assert (len(died), sum(died.values())) == (3995, 554)
    assert label(icu_cohort, BUILT_IN["physionet2012_death"]).unknown == {UNRECORDED: 1}


def test_physionet2012_stay(icu_cohort, outcomes):
    days = {stay: row["Length_of_stay"] for stay, row in outcomes.items() if row["Length_of_stay"] >= 0}
    assert disagreements(labels_of(icu_cohort, BUILT_IN["physionet2012_stay"], "float_value"), days) == 0
    assert label(icu_cohort, BUILT_IN["physionet2012_stay"]).unknown == {UNRECORDED: 1 + len(outcomes) - len(days)}


def test_physionet2012_survival(icu_cohort, outcomes):
    """A death on day n is at the middle of that day, n - 1.5 days after hour 48; the others are censored."""
    task, ends, unrecorded = BUILT_IN["physionet2012_survival"], {}, 0
    for stay, row in outcomes.items():
        last = row["Survival"] if row["Survival"] >= 0 else row["Length_of_stay"]
        unrecorded += last < 0
        if last >= 2:
            ends[stay] = last - 1.5
    assert disagreements(labels_of(icu_cohort, task, "float_value"), ends) == 0
    died = {stay: outcomes[stay]["Survival"] >= 0 for stay in ends}
    assert disagreements(labels_of(icu_cohort, task), died) == 0
    unusable = len(outcomes) - len(ends) - unrecorded
    assert label(icu_cohort, task).unknown == {UNRECORDED: 1 + unrecorded, UNUSABLE: unusable}


@pytest.fixture(scope="module")
def ecg_cohort(real_data, tmp_path_factory) -> Cohort:
    into = tmp_path_factory.mktemp("ptbxl") / "cohort"
    ingest("ptbxl", real_data("ptbxl"), into)
    return Cohort.open(into)


def test_ptbxl_superclass(ecg_cohort, real_data):
    task = BUILT_IN["ptbxl_superclass"]
    table = {row[""]: row for row in read_csv(real_data("ptbxl") / "scp_statements.csv")}
    stated: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in read_csv(real_data("ptbxl") / "ptbxl_database.csv"):
        codes = ast.literal_eval(row["scp_codes"])
        key = row["patient_id"].removesuffix(".0"), row["recording_date"]
        stated[key] |= {table[code]["diagnostic_class"] for code in codes if table[code]["diagnostic"] == "1.0"}
    frame = label(ecg_cohort, task).frame.join(ecg_cohort.subjects, on="subject_id")
    classes_of = {
        (patient, str(time)): set(classes.split(CLASS_SEPARATOR))
        for patient, time, classes in frame.select("source_id", "prediction_time", "categorical_value").iter_rows()
    }
    assert disagreements(classes_of, {key: classes for key, classes in stated.items() if classes}) == 0
    assert {modality(code) for code in inputs(ecg_cohort, task)["code"].unique()} == {"structured", "waveform"}
