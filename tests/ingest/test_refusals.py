"""A refused source creates no files, and leaves an existing cohort unchanged to the bit."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from PIL import Image

from polyclinic.ingest import READERS, IngestError, RejectsError, ingest
from tests.images import film

TABLE = "id,age\n1,70\n2,old\n"
MAPPING = "subject: id\ncolumns:\n  age: {code: DEMOGRAPHIC//age//years, type: numeric}\n"
IMAGES = "subject: id\ncolumns:\n  image: {code: IMAGE//CR//PA, type: image}\n"
REPORT = '<eCitation><uId id="CXR1"/><AbstractText Label="FINDINGS">Clear.</AbstractText></eCitation>'
RECORD = "Time,Parameter,Value\n00:00,RecordID,1\n00:00,Age,54\n"


class Refused(NamedTuple):
    """A source as files (an image if the content is None), its options, and the expected message."""

    source: str
    files: Mapping[str, str | None]
    message: str
    options: Mapping[str, str | bool] = {}
    path: str = ""  # within the source's folder


CASES = {
    "a missing table": Refused("table", {"m.yaml": MAPPING}, "does not exist", {"mapping": "m.yaml"}, "t.csv"),
    "a table without a mapping": Refused("table", {"t.csv": TABLE}, "needs a mapping"),
    "a missing mapping": Refused("table", {"t.csv": TABLE}, "cannot be read", {"mapping": "m.yaml"}),
    "a mapping that is not YAML": Refused(
        "table", {"t.csv": TABLE, "m.yaml": "subject: ["}, "not YAML", {"mapping": "m.yaml"}
    ),
    "a mapping with a wrong key": Refused(
        "table", {"t.csv": TABLE, "m.yaml": MAPPING + "tme: x\n"}, "m.yaml line 4", {"mapping": "m.yaml"}
    ),
    "a folder without tables": Refused("table", {"m.yaml": MAPPING}, "no table in", {"mapping": "m.yaml"}),
    "a table without a mapped column": Refused(
        "table", {"t.csv": "a,b\n1,2\n", "m.yaml": MAPPING}, "column not in the table: 1", {"mapping": "m.yaml"}
    ),
    "an option of another reader": Refused("dicom", {"x.dcm": "text"}, "has no option mapping", {"mapping": "m.yaml"}),
    "records without their outcomes": Refused(
        "physionet2012", {"1.txt": RECORD}, "--outcomes", {"outcomes": "Outcomes-a.txt"}
    ),
    "no record": Refused("physionet2012", {"1.txt": "no record"}, "not a record of the challenge: 1"),
    "no metadata": Refused("covid-cxr", {"other.csv": TABLE}, "no metadata.csv"),
    "metadata of something else": Refused("covid-cxr", {"metadata.csv": TABLE}, "no column 'patientid'"),
    "metadata that is empty": Refused("covid-cxr", {"metadata.csv": ""}, "empty file: 1"),
    "no database": Refused("ptbxl", {"other.csv": TABLE}, r"no ptbxl_database\.csv"),
    "no report": Refused("indiana", {"a.xml": "no XML"}, "broken XML: 1"),
    "missing images": Refused("indiana", {"a.xml": REPORT}, "--images", {"images": "images"}),
    "no DICOM": Refused("dicom", {"x.dcm": "text"}, "nothing readable"),
    "no waveform": Refused("wfdb", {"x.hea": "text"}, "damaged WFDB header: 1"),
    "a strict ingest with events": Refused(
        "table", {"t.csv": TABLE, "m.yaml": MAPPING}, "has rejects", {"mapping": "m.yaml", "strict": True}
    ),
    "a strict ingest with images": Refused(
        "table",
        {"t.csv": "id,image\n1,new.png\n2,none.png\n", "new.png": None, "m.yaml": IMAGES},
        "missing file: 1",
        {"mapping": "m.yaml", "strict": True},
    ),
}


def write(folder: Path, files: Mapping[str, str | None], grey: int = 7) -> None:
    folder.mkdir()
    for name, content in files.items():
        if content is None:
            Image.fromarray(film(grey)).save(folder / name)
        else:
            (folder / name).write_text(content)


def refuse(case: Refused, folder: Path, into: Path) -> None:
    if not folder.exists():
        write(folder, case.files)
    paths = {name: folder / value for name, value in case.options.items() if isinstance(value, str)}
    with pytest.raises(IngestError, match=case.message):
        ingest(case.source, folder / case.path, into, **(dict(case.options) | paths))


def everything(folder: Path) -> dict[str, tuple]:
    """Return the state of a folder: link targets, file contents and modification times."""
    found = {}
    for path in sorted(folder.rglob("*")):
        state = path.lstat()
        content = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[str(path.relative_to(folder))] = (content, state.st_mode, None if path.is_dir() else state.st_mtime_ns)
    return found


@pytest.fixture
def cohort(tmp_path) -> Path:
    """Return a cohort with an image."""
    files = {"t.csv": "id,image\n1,x.png\n", "x.png": None, "m.yaml": IMAGES}
    write(tmp_path / "earlier", files, grey=20)
    ingest("table", tmp_path / "earlier", tmp_path / "cohort", mapping=tmp_path / "earlier" / "m.yaml")
    return tmp_path / "cohort"


def test_cases_cover_every_reader():
    assert {case.source for case in CASES.values()} == set(READERS)


@pytest.mark.parametrize("case", CASES)
def test_no_cohort_is_created(case, tmp_path):
    refuse(CASES[case], tmp_path / "source", tmp_path / "cohorts" / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


@pytest.mark.parametrize("case", CASES)
def test_an_existing_folder_is_unchanged(case, tmp_path):
    write(tmp_path / "mine", {"notes.txt": "mine"})
    before = everything(tmp_path / "mine")
    refuse(CASES[case], tmp_path / "source", tmp_path / "mine")
    assert everything(tmp_path / "mine") == before


@pytest.mark.parametrize("case", CASES)
def test_an_existing_cohort_is_unchanged(case, tmp_path, cohort):
    before = everything(cohort)
    refuse(CASES[case], tmp_path / "source", cohort)
    assert everything(cohort) == before


def test_a_corrected_source_can_be_ingested(tmp_path):
    case, into = CASES["a strict ingest with images"], tmp_path / "cohort"
    refuse(case, tmp_path / "source", into)
    (tmp_path / "source" / "t.csv").write_text("id,image\n1,new.png\n")
    report = ingest("table", tmp_path / "source", into, mapping=tmp_path / "source" / "m.yaml", strict=True)
    assert (report.events, report.blobs) == (1, 1)


def test_strict_refusal_raises_rejects_error(tmp_path):
    case = CASES["a strict ingest with events"]
    write(tmp_path / "source", case.files)
    with pytest.raises(RejectsError):
        ingest("table", tmp_path / "source", tmp_path / "new", mapping=tmp_path / "source" / "m.yaml", strict=True)
