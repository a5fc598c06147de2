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
    """Fails at the first picture."""

    @contextmanager
    def task(self, description, total=None):
        def advance(steps):
            if "radiographs" in description:
                raise Interrupted

        yield advance


class Counting:
    """Remembers how far each bar came."""

    def __init__(self):
        self.done = {}

    @contextmanager
    def task(self, description, total=None):
        self.done[description] = [0, total]

        def advance(steps):
            self.done[description][0] += steps

        yield advance


def test_same_seed_same_bytes_and_nothing_left_over(demo, tmp_path):
    again = write_sources(tmp_path, patients=40, seed=SEED)
    assert files_in(demo.sources) == files_in(again.sources)
    assert files_in(demo.truth) == files_in(again.truth)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sources", "truth"]


def test_another_seed_other_patients(demo, tmp_path):
    other = write_sources(tmp_path, patients=40, seed=SEED + 1, radiographs=False)
    assert (other.sources / "labs.csv").read_bytes() != (demo.sources / "labs.csv").read_bytes()


def test_a_patient_is_the_same_however_many_there_are(demo, tmp_path):
    fewer = write_sources(tmp_path, patients=12, seed=SEED)
    wanted = pl.int_range(FIRST_PATIENT, FIRST_PATIENT + 12, eager=True).to_list()
    for table in sorted(fewer.sources.glob("*.csv")):
        of_all = pl.read_csv(demo.sources / table.name, infer_schema=False)
        expected = of_all.filter(pl.col("patient_id").cast(int).is_in(wanted))
        assert pl.read_csv(table, infer_schema=False).equals(expected), table.name
    everything = files_in(demo.sources)
    for folder in ("radiographs", "ecg"):
        few = files_in(fewer.sources / folder)
        assert few
        assert all(everything[f"{folder}/{name}"] == content for name, content in few.items())


def test_the_truth_knows_every_picture_and_box(demo):
    pictures, boxes = (pl.read_parquet(demo.truth / f"{name}.parquet") for name in ("pictures", "boxes"))
    patients = pl.read_parquet(demo.truth / "patients.parquet")
    assert {f"radiographs/{name}" for name in pictures["file"]} == {
        name for name in files_in(demo.sources) if name.startswith("radiographs/")
    }
    assert demo.pictures == pictures.height
    inside = boxes.join(pictures, on="file", validate="m:1")
    assert inside.height == boxes.height
    assert inside.select(((pl.col("x0") >= 0) & (pl.col("x1") <= pl.col("columns"))).all()).item()
    assert inside.select(((pl.col("y0") >= 0) & (pl.col("y1") <= pl.col("rows"))).all()).item()
    for finding in FINDINGS:
        having = patients.filter(pl.col(f"has_{finding}") & pl.col("has_image"))["patient"]
        assert set(boxes.filter(pl.col("finding") == finding)["patient_id"]) == set(having)


def test_causes_are_written_down(demo):
    written = json.loads((demo.truth / "causes.json").read_text())
    assert [cause["variable"] for cause in written["causes"]] == [cause.variable for cause in CAUSES]


def test_file_names_tell_nothing_of_the_patient(demo):
    names = " ".join(files_in(demo.sources))
    assert not any(str(FIRST_PATIENT + i) in names for i in range(40))


def test_without_radiographs_nobody_has_an_image_and_the_rest_is_the_same(demo, tmp_path):
    plain = write_sources(tmp_path, patients=40, seed=SEED, radiographs=False)
    assert not (plain.sources / "radiographs").exists()
    assert plain.pictures == 0
    assert "dicom" not in {step.reader for step in plain.steps}
    assert not pl.read_parquet(plain.truth / "patients.parquet")["has_image"].any()
    for name in ("vitals.csv", "notes.csv", "outcomes.csv"):
        assert (plain.sources / name).read_bytes() == (demo.sources / name).read_bytes()


def test_an_interrupted_run_changes_nothing_and_can_be_repeated(tmp_path):
    write_sources(tmp_path, patients=2, seed=1)
    before = files_in(tmp_path)
    with pytest.raises(Interrupted):
        write_sources(tmp_path, patients=5, seed=2, progress=InterruptedProgress())
    assert {name: content for name, content in files_in(tmp_path).items() if not name.startswith(".")} == before
    repeated = write_sources(tmp_path, patients=5, seed=2)
    assert json.loads((repeated.truth / "demo.json").read_text())["patients"] == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sources", "truth"]


def test_a_folder_of_somebody_else_is_left_alone(tmp_path):
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="choose another folder"):
        write_sources(tmp_path, patients=1, seed=1)
    assert (tmp_path / "sources" / "mine.txt").read_text() == "mine"


def test_there_is_no_step_for_what_is_empty(tmp_path):
    steps = [write_sources(tmp_path / str(seed), patients=1, seed=seed).steps for seed in range(12)]
    assert len({len(some) for some in steps}) > 1
    for step in (step for some in steps for step in some):
        rows = pl.read_csv(step.path).height if step.reader == "table" else len(list(step.path.iterdir()))
        assert rows > 0


@pytest.mark.parametrize(("patients", "seed"), [(0, 1), (-3, 1), (1, -1)])
def test_senseless_numbers_are_refused(tmp_path, patients, seed):
    with pytest.raises(ValueError, match="at least"):
        write_sources(tmp_path, patients=patients, seed=seed)


def test_progress_reaches_its_totals(tmp_path):
    progress = Counting()
    written = write_sources(tmp_path, patients=5, seed=1, progress=progress)
    assert len(progress.done) == 2
    assert all(done == total for done, total in progress.done.values())
    assert progress.done["Drawing radiographs"][1] == written.pictures
