import json
from contextlib import contextmanager

import polars as pl
import pytest

from polyclinic.demo import write_sources
from polyclinic.demo.patients import CAUSES, FINDINGS, FIRST_PATIENT
from tests.demo.conftest import SEED, files_in


class Interrupted(Exception):  # noqa: N818
    pass


class InterruptedProgress:
    """Fails at the first radiograph."""

    @contextmanager
    def task(self, description, total=None):
        def advance(steps):
            if "radiographs" in description:
                raise Interrupted

        yield advance


class CountingProgress:
    """Records the progress of each bar."""

    def __init__(self):
        self.done = {}

    @contextmanager
    def task(self, description, total=None):
        self.done[description] = [0, total]

        def advance(steps):
            self.done[description][0] += steps

        yield advance


def test_same_seed_gives_same_bytes_and_no_other_files(demo, tmp_path):
    again = write_sources(tmp_path, patients=40, seed=SEED)
    assert files_in(demo.sources) == files_in(again.sources)
    assert files_in(demo.truth) == files_in(again.truth)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sources", "truth"]


def test_another_seed_gives_other_patients(demo, tmp_path):
    other = write_sources(tmp_path, patients=40, seed=SEED + 1, radiographs=False)
    assert (other.sources / "labs.csv").read_bytes() != (demo.sources / "labs.csv").read_bytes()


def test_patients_do_not_depend_on_their_number(demo, tmp_path):
    fewer = write_sources(tmp_path, patients=12, seed=SEED)
    ids = pl.int_range(FIRST_PATIENT, FIRST_PATIENT + 12, eager=True).to_list()
    for table in sorted(fewer.sources.glob("*.csv")):
        of_all = pl.read_csv(demo.sources / table.name, infer_schema=False)
        expected = of_all.filter(pl.col("patient_id").cast(int).is_in(ids))
        assert pl.read_csv(table, infer_schema=False).equals(expected), table.name
    everything = files_in(demo.sources)
    for folder in ("radiographs", "ecg"):
        few = files_in(fewer.sources / folder)
        assert few
        assert all(everything[f"{folder}/{name}"] == content for name, content in few.items())


def test_truth_lists_all_radiographs_and_boxes(demo):
    pictures, boxes = (pl.read_parquet(demo.truth / f"{name}.parquet") for name in ("pictures", "boxes"))
    patients = pl.read_parquet(demo.truth / "patients.parquet")
    assert {f"radiographs/{name}" for name in pictures["file"]} == {
        name for name in files_in(demo.sources) if name.startswith("radiographs/")
    }
    assert demo.radiographs == pictures.height
    inside = boxes.join(pictures, on="file", validate="m:1")
    assert inside.height == boxes.height
    assert inside.select(((pl.col("x0") >= 0) & (pl.col("x1") <= pl.col("columns"))).all()).item()
    assert inside.select(((pl.col("y0") >= 0) & (pl.col("y1") <= pl.col("rows"))).all()).item()
    for finding in FINDINGS:
        having = patients.filter(pl.col(f"has_{finding}") & pl.col("has_image"))["patient"]
        assert set(boxes.filter(pl.col("finding") == finding)["patient_id"]) == set(having)


def test_causes_are_written(demo):
    written = json.loads((demo.truth / "causes.json").read_text())
    assert [cause["variable"] for cause in written["causes"]] == [cause.variable for cause in CAUSES]


def test_file_names_contain_no_patient_ids(demo):
    names = " ".join(files_in(demo.sources))
    assert not any(str(FIRST_PATIENT + i) in names for i in range(40))


def test_without_radiographs_other_files_are_unchanged(demo, tmp_path):
    plain = write_sources(tmp_path, patients=40, seed=SEED, radiographs=False)
    assert not (plain.sources / "radiographs").exists()
    assert plain.radiographs == 0
    assert "dicom" not in {step.reader for step in plain.steps}
    assert not pl.read_parquet(plain.truth / "patients.parquet")["has_image"].any()
    for name in ("vitals.csv", "notes.csv", "outcomes.csv"):
        assert (plain.sources / name).read_bytes() == (demo.sources / name).read_bytes()


@pytest.mark.slow
def test_an_interrupted_run_can_be_repeated(tmp_path):
    write_sources(tmp_path, patients=2, seed=1)
    before = files_in(tmp_path)
    with pytest.raises(Interrupted):
        write_sources(tmp_path, patients=5, seed=2, progress=InterruptedProgress())
    assert {name: content for name, content in files_in(tmp_path).items() if not name.startswith(".")} == before
    repeated = write_sources(tmp_path, patients=5, seed=2)
    assert json.loads((repeated.truth / "demo.json").read_text())["patients"] == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sources", "truth"]


def test_a_folder_of_other_content_is_unchanged(tmp_path):
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="choose another folder"):
        write_sources(tmp_path, patients=1, seed=1)
    assert (tmp_path / "sources" / "mine.txt").read_text() == "mine"


@pytest.mark.slow
def test_empty_sources_have_no_step(tmp_path):
    steps = [write_sources(tmp_path / str(seed), patients=1, seed=seed).steps for seed in range(12)]
    assert len({len(seed_steps) for seed_steps in steps}) > 1
    for step in (step for seed_steps in steps for step in seed_steps):
        rows = pl.read_csv(step.path).height if step.reader == "table" else len(list(step.path.iterdir()))
        assert rows > 0


@pytest.mark.parametrize(("patients", "seed"), [(0, 1), (-3, 1), (1, -1)])
def test_invalid_arguments_are_rejected(tmp_path, patients, seed):
    with pytest.raises(ValueError, match="at least"):
        write_sources(tmp_path, patients=patients, seed=seed)


def test_progress_reaches_its_totals(tmp_path):
    progress = CountingProgress()
    written = write_sources(tmp_path, patients=5, seed=1, progress=progress)
    assert len(progress.done) == 2
    assert all(done == total for done, total in progress.done.values())
    assert progress.done["Drawing radiographs"][1] == written.radiographs


def test_the_truth_holds_the_recorded_ecgs(demo):
    ecgs = pl.read_parquet(demo.truth / "ecgs.parquet")
    recorded = pl.read_csv(demo.sources / "ecg.csv")
    assert ecgs["patient"].to_list() == recorded["patient_id"].to_list()
    assert all((demo.sources / f"{record}.dat").is_file() for record in recorded["record"])
