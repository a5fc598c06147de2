"""`polyclinic ingest`, and `summary` of what went in."""

import polars as pl
import pytest

from polyclinic.cohort import Cohort, CohortWriter

MAPPING = """
subject: patient
time: {column: taken_at, format: "%Y-%m-%d"}
columns:
  lactate: {code: LAB//lactate//mmol/L, type: numeric}
  inr: {code: "LAB//antithrombin//[iU]/L", type: numeric}
"""
GOOD = "patient,taken_at,lactate,inr\n1,2020-01-01,1.5,2\n2,2020-01-02,2.5,3\n"
SECRET = "Jane-Doe-4711"
BAD = GOOD + f"3,2020-01-03,{SECRET},1\n{SECRET},{SECRET},1,1\n"


@pytest.fixture
def table(tmp_path):
    """A table, its mapping, and where its cohort shall be."""
    (tmp_path / "labs.yaml").write_text(MAPPING)
    (tmp_path / "labs.csv").write_text(GOOD)
    return tmp_path / "labs.csv"


@pytest.fixture
def ingest(polyclinic, table):
    def call(*more):
        into = table.parent / "cohort"
        return polyclinic("ingest", "table", table, "--mapping", table.parent / "labs.yaml", "--into", into, *more)

    return call


def subjects(table):
    return Cohort.open(table.parent / "cohort").subjects["subject_id"].to_list()


def test_a_table_becomes_a_cohort(ingest, table):
    done = ingest()
    assert done.code == 0
    assert "4 events of 2 subjects" in done.out
    assert "Rejected" not in done.out
    assert subjects(table) == [1, 2]


def test_json_is_one_value(ingest):
    done = ingest("--json")
    assert done.code == 0
    assert (done.json["events"], done.json["subjects"], done.json["rejected"]) == (4, 2, 0)


def test_rejects_are_counted_and_never_quoted(ingest, table):
    table.write_text(BAD)
    done = ingest()
    assert done.code == 0
    assert "not a number" in done.out
    assert "rejects.parquet" in done.out
    assert SECRET not in done.out + done.err
    assert subjects(table) == [1, 2, 3]


def test_the_share_of_rejected_rows_is_printed(ingest, table):
    table.write_text(BAD + "\n4,2020-01-04,1\n5,2020-02-30,,\n6,x,y,z\n,,,\n")
    done = ingest()
    assert "4 of 7 rows (57 %) were rejected, wholly or in part: see" in " ".join(done.out.split())
    counted = ingest("--json").json
    assert (counted["rows"], counted["rejected_rows"]) == (7, 4)
    table.write_text(GOOD + "".join(f"{patient},2020-01-01,1,1\n" for patient in range(9, 400)) + "8,x,1,1\n")
    assert "1 of 394 rows (< 1 %)" in ingest().out


def test_warnings_are_printed_with_their_counts(ingest, table):
    table.write_text(GOOD + '3.0,2020-01-03,<5,1\n"=""4""",2020-01-03,6,1\n03,2020-01-04,7,1\n')
    done = " ".join(ingest().out.split())
    assert 'warning: 2 × id written as 10006.0 or ="10006", and read as 10006' in done
    assert "warning: 2 × id that differs from another only in leading zeros" in done
    warnings = ingest("--json").json["warnings"]
    assert sorted(warnings.values()) == [1, 2, 2]
    assert "limit" in min(warnings, key=warnings.get)


def test_a_strict_ingest_with_rejects_exits_with_1_and_leaves_the_cohort(ingest, table):
    ingest()
    table.write_text(BAD)
    done = ingest("--strict")
    assert (done.code, done.out) == (1, "")
    (line,) = [line for line in done.err.splitlines() if not line.endswith(" …")]
    assert line.startswith("refused: labs.csv has rejects (")
    assert SECRET not in done.err
    assert subjects(table) == [1, 2]
    done = ingest("--strict", "--json")
    assert done.code == 1
    assert done.json["refused"].startswith("labs.csv has rejects")


def test_a_strict_ingest_without_rejects_succeeds(ingest, table):
    assert ingest("--strict").code == 0


@pytest.mark.parametrize(
    "content", [b"", b"\x00\x01\x02", b"patient,taken_at,lactate,inr\n", f"patient\n{SECRET}\n".encode()]
)
def test_nothing_readable_exits_with_2(content, ingest, table):
    table.write_bytes(content)
    refusal = ingest().refusal
    assert "labs.csv" in refusal
    assert SECRET not in refusal
    assert not (table.parent / "cohort" / "current").exists()


def test_an_unknown_source_is_refused_with_the_choices(polyclinic, table):
    refusal = polyclinic("ingest", "tabel", table, "--into", table.parent / "cohort").refusal
    assert refusal == "unknown source 'tabel': choose from covid-cxr, dicom, indiana, physionet2012, ptbxl, table, wfdb"


def test_a_missing_file_is_refused(ingest, table):
    table.unlink()
    assert "labs.csv does not exist" in ingest().refusal


@pytest.mark.parametrize("mapping", ["subject: [", "subject: patient\ncolumns: {lactate: {code: 3, tipe: numeric}}\n"])
def test_an_unreadable_mapping_is_refused(mapping, ingest, table):
    (table.parent / "labs.yaml").write_text(mapping)
    assert "labs.yaml" in ingest().refusal


def test_the_seed_defaults_to_the_cohorts_own(ingest, table):
    with CohortWriter(table.parent / "cohort", source="earlier", seed=7) as writer:
        writer.add(pl.DataFrame({"subject_id": range(100, 200), "code": "DIAGNOSIS//gout"}))
    before = Cohort.open(table.parent / "cohort").splits
    assert ingest().code == 0
    after = Cohort.open(table.parent / "cohort").splits
    assert after.filter(pl.col("subject_id") >= 100).equals(before)
    assert ingest("--seed", 7).code == 0
    assert "seed" in ingest("--seed", 8).refusal


def test_a_guessed_mapping_is_never_overwritten(polyclinic, table):
    done = polyclinic("ingest", "table", table, "--guess")
    guessed = table.with_suffix(".mapping.yaml")
    assert done.code == 0
    assert done.out == f"polyclinic ingest table {table} --mapping {guessed} --into COHORT\n"
    assert "lactate" in guessed.read_text()
    assert "exists: name another file with --to" in polyclinic("ingest", "table", table, "--guess").refusal
    for option in ("--to", "--mapping"):
        other = table.parent / "mappings" / f"{option}.yaml"
        done = polyclinic("ingest", "table", table, "--guess", option, other, "--json")
        assert done.json == {"mapping": str(other)}
        assert other.read_text() == guessed.read_text()


def test_where_a_guess_is_written_is_checked_first(polyclinic, table):
    words = ("ingest", "table", table, "--guess", "--to")
    assert "name the mapping to write once" in polyclinic(*words, "a.yaml", "--mapping", "b.yaml").usage
    assert polyclinic(*words, table / "x.yaml").refusal.endswith("; --to names the file to write")
    assert "add --guess" in polyclinic("ingest", "table", table, "--to", "a.yaml", "--into", "c").usage


def test_questions_of_a_guess_are_counted_and_stop_the_ingest(polyclinic, table):
    table.write_text("taken_at,lactate\n5. März 2024,1.5\n6. März 2024,2.5\n", encoding="utf-8")
    done = polyclinic("ingest", "table", table, "--guess")
    assert '2 of its lines ask for what could not be known: replace each "?" first' in done.err
    mapping = table.with_suffix(".mapping.yaml")
    refusal = polyclinic("ingest", "table", table, "--mapping", mapping, "--into", table.parent / "c").refusal
    assert "line 2: subject: ? is a question" in refusal
    assert "line 3: time.format: ? is a question" in refusal
    assert not (table.parent / "c").exists()


def test_a_mapping_guessed_from_a_folder_reads_it(polyclinic, table, monkeypatch):
    (folder := table.parent / "tables").mkdir()
    for name, day in (("may.csv", "2020-05-01"), ("june.csv", "2020-06-01")):
        (folder / name).write_text(f"patient,taken_at,lactate\n{name},{day},1.5\n")
    monkeypatch.chdir(folder)
    done = polyclinic("ingest", "table", ".", "--guess")
    assert done.code == 0
    assert done.out == "polyclinic ingest table . --mapping mapping.yaml --into COHORT\n"
    assert "the first by name of 2 tables in tables" in (folder / "mapping.yaml").read_text()
    done = polyclinic(*done.out.split()[1:-1], table.parent / "cohort")
    assert "2 events of 2 subjects" in done.out
    assert "no table in empty" in polyclinic("ingest", "table", _empty(table.parent / "empty"), "--guess").refusal


def _empty(folder):
    folder.mkdir()
    return folder


def test_a_guess_names_the_given_cohort_and_refuses_unused_options(polyclinic, table):
    words = ("ingest", "table", table, "--guess")
    for ignored in (["--strict"], ["--seed", 3], ["--outcomes", "x"], ["--images", "x"], ["--zone", "x"]):
        assert f"omit {ignored[0]}" in polyclinic(*words, *ignored).usage
    assert not table.with_suffix(".mapping.yaml").exists()
    assert polyclinic(*words, "--into", "cohorts/labs").out.endswith(" --into cohorts/labs\n")


@pytest.mark.parametrize(
    ("option", "value"), [("--outcomes", "labs.csv"), ("--images", "pictures"), ("--mapping", "labs.yaml")]
)
def test_an_option_of_another_source_is_refused(option, value, polyclinic, table):
    refusal = polyclinic("ingest", "dicom", table, "--into", table.parent / "cohort", option, value).refusal
    assert refusal == f"source 'dicom' has no option {option[2:]}: its options are: none"


def test_a_summary_prints_codes_with_brackets_unchanged(ingest, polyclinic, table):
    ingest()
    done = polyclinic("summary", table.parent / "cohort")
    assert done.code == 0
    assert "2 subjects, 4 events, 2 codes, 2020-01-01 to 2020-01-02" in done.out
    assert "LAB//antithrombin//[iU]/L" in done.out
    assert "antithrombin" not in polyclinic("summary", table.parent / "cohort", "--codes", 0).out
    counted = polyclinic("summary", table.parent / "cohort", "--json").json
    assert (counted["subjects"], counted["events"], len(counted["per_code"])) == (2, 4, 2)
    few = polyclinic("summary", table.parent / "cohort", "--codes", 1, "--json").json
    assert few["per_code"] == counted["per_code"][:1]


def test_a_summary_counts_rejects(ingest, polyclinic, table):
    table.write_text(BAD)
    ingest()
    done = polyclinic("summary", table.parent / "cohort")
    assert "rejected: 1 × not a number" in done.out
    assert SECRET not in done.out


def test_a_missing_cohort_is_refused_with_the_remedy(polyclinic, tmp_path):
    assert polyclinic("summary", tmp_path).refusal == (
        f"no cohort at {tmp_path}: make one with `polyclinic ingest` or `polyclinic demo`"
    )
