"""The OpenI reader, on reports written here and on the 3,955 real ones if available."""

import io
import tarfile
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from polyclinic.ingest import IngestError, ingest
from tests.images import film

AT, READ, INDEXED, LABELLED = (datetime(2000, 1, 1, hour) for hour in range(4))
TEXT = {"COMPARISON": "None.", "INDICATION": "Cough", "FINDINGS": "Clear\n  lungs.", "IMPRESSION": "Normal chest."}


def report(
    identity: str = "CXR1", text: dict[str, str] = TEXT, major=("normal",), automatic=(), images=(), head: str = ""
) -> str:
    sections = "".join(f'<AbstractText Label="{label}">{words}</AbstractText>' for label, words in text.items())
    mesh = "".join(
        f"<{kind}>{term}</{kind}>" for kind, terms in (("major", major), ("automatic", automatic)) for term in terms
    )
    parents = "".join(f'<parentImage id="{image}"><caption>PA and lateral</caption></parentImage>' for image in images)
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n{head}<eCitation><uId id="{identity}"/><articleDate>2013-08-01'
        f"</articleDate><MedlineCitation><Article><Abstract>{sections}</Abstract></Article></MedlineCitation>"
        f"<MeSH>{mesh}</MeSH>{parents}</eCitation>"
    )


def folder_of(path: Path, **reports: str | bytes) -> Path:
    path.mkdir(exist_ok=True)
    for name, content in reports.items():
        (path / f"{name}.xml").write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_events_of_a_normal_report(tmp_path, ingested):
    done = ingested("indiana", folder_of(tmp_path / "source", a=report()))
    assert {code: done.of("CXR1", code) for code in set(done.events["code"])} == {
        "NOTE//comparison": [(AT, "None.")],
        "NOTE//indication": [(AT, "Cough")],
        "NOTE//findings": [(READ, "Clear lungs.")],
        "NOTE//impression": [(READ, "Normal chest.")],
        "OUTCOME//normal": [(LABELLED, "1.0")],
    }
    assert done.rejects == []


def test_terms_become_findings(tmp_path, ingested):
    terms = {"major": ("Cardiomegaly/mild", "Opacity/lung"), "automatic": ("Cardiomegaly", "Cardiomegaly")}
    done = ingested("indiana", folder_of(tmp_path / "source", a=report(**terms)))
    assert sorted(done.of("CXR1", "FINDING//mesh")) == [(INDEXED, "Cardiomegaly/mild"), (INDEXED, "Opacity/lung")]
    assert done.of("CXR1", "FINDING//mesh_automatic") == [(INDEXED, "Cardiomegaly")]
    assert done.of("CXR1", "OUTCOME//normal") == [(LABELLED, "0.0")]


@pytest.mark.parametrize("major", [(), ("No Indexing",), ("Technical Quality of Image Unsatisfactory ",)])
def test_normal_is_unknown_without_indexing(major, tmp_path, ingested):
    done = ingested("indiana", folder_of(tmp_path / "source", a=report(major=major)))
    assert done.of("CXR1", "OUTCOME//normal") == []
    assert done.of("CXR1", "FINDING//mesh") == []


def test_images_in_the_folder_of_the_reports(tmp_path, ingested):
    source = folder_of(tmp_path / "source", a=report(images=("CXR1_1_IM-1", "CXR1_1_IM-2")))
    (source / "png").mkdir()
    Image.fromarray(film(9)).save(source / "png" / "CXR1_1_IM-2.png")
    done = ingested("indiana", source)
    assert done.pixels("CXR1", "IMAGE//CR//UNKNOWN") == [film(9).tolist()]
    assert done.of("CXR1", "IMAGE//CR//UNKNOWN")[0][0] == AT
    assert done.rejects == []


def test_missing_and_broken_images_are_rejected_if_images_were_given(tmp_path, ingested):
    source = folder_of(tmp_path / "source", a=report(images=("here", "broken", "nowhere")))
    images = tmp_path / "images"
    images.mkdir()
    Image.fromarray(film(9)).save(images / "here.png")
    (images / "broken.png").write_text("text")
    done = ingested("indiana", source, images=images)
    assert done.pixels("CXR1", "IMAGE//CR//UNKNOWN") == [film(9).tolist()]
    assert done.rejects == [("a.xml", None, "missing file"), ("a.xml", None, "not a readable image")]


def test_a_missing_folder_of_images_is_an_error(tmp_path):
    source = folder_of(tmp_path / "source", a=report())
    with pytest.raises(IngestError, match="no folder"):
        ingest("indiana", source, tmp_path / "cohort", images=tmp_path / "nowhere")


BOMB = '<!DOCTYPE b [<!ENTITY a "haha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
FETCH = '<!DOCTYPE b [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
REJECTED = {
    "cut off": (report()[:-30], "broken XML"),
    "text": ("no XML at all", "broken XML"),
    "empty": ("", "broken XML"),
    "binary": (b"\0\1\2\xff", "broken XML"),
    "unknown encoding": (report().replace("utf-8", "klingon"), "broken XML"),
    "wrong encoding": (report(text={"FINDINGS": "d\xe9j\xe0"}).encode("latin-1"), "broken XML"),
    "entity bomb": (report(text={"FINDINGS": "&b;"}, head=BOMB), "forbidden XML"),
    "external entity": (report(text={"FINDINGS": "&x;"}, head=FETCH), "forbidden XML"),
    "no id": (report(identity=" "), "no subject"),
    "another document": ("<html><body>uId</body></html>", "no subject"),
    "empty abstract": (report(text={"FINDINGS": " ", "OTHER": "x"}), "empty report"),
    "duplicate id": (report("CXR0", text={"FINDINGS": "another"}), "duplicate subject"),
    "too large": (b" " * 10_000_001, "file too large"),
}


@pytest.mark.parametrize("case", REJECTED)
def test_invalid_reports_are_rejected(case, tmp_path, ingested):
    content, reason = REJECTED[case]
    done = ingested("indiana", folder_of(tmp_path / "source", a=report("CXR0"), b=content, c=report("CXR2")))
    assert done.rejects == [("b.xml", None, reason)]
    assert set(done.events["source_id"]) == {"CXR0", "CXR2"}
    assert done.of("CXR0", "NOTE//findings") == [(READ, "Clear lungs.")]


def archive(path: Path, **reports: str) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in reports.items():
            member = tarfile.TarInfo(f"ecgen-radiology/{name}.xml")
            member.size = len(content.encode())
            tar.addfile(member, io.BytesIO(content.encode()))
        link = tarfile.TarInfo("ecgen-radiology/link.xml")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    return path


def test_archive_and_folder_give_equal_events(tmp_path, ingested):
    reports = {"a": report("CXR1"), "b": report("CXR2", major=("Opacity",)), "c": "broken"}
    done = ingested("indiana", archive(tmp_path / "reports.tgz", **reports))
    assert done.rejects == [("ecgen-radiology/c.xml", None, "broken XML")]
    direct = ingested("indiana", folder_of(tmp_path / "source", **reports))  # into the same cohort
    assert direct.events.equals(done.events)


def test_reports_before_the_damage_of_an_archive_are_read(tmp_path, ingested):
    # Random text compresses to a stream whose start can be read without its end.
    noise = np.random.default_rng(0).bytes(200_000).hex()
    path = archive(tmp_path / "reports.tgz", a=report(), b=report("CXR2", text={"FINDINGS": noise}))
    path.write_bytes(path.read_bytes()[:100_000])
    done = ingested("indiana", path)
    assert set(done.events["source_id"]) == {"CXR1"}
    assert [reason for _, _, reason in done.rejects] == ["damaged archive"]


def test_nothing_readable_is_an_error(tmp_path):
    (tmp_path / "reports.tgz").write_text("no archive")
    with pytest.raises(IngestError, match="damaged archive: 1"):
        ingest("indiana", tmp_path / "reports.tgz", tmp_path / "cohort")


@pytest.mark.real_data
def test_real_reports(real_reports, ingested):
    done = ingested("indiana", real_reports)
    counts = dict(done.events.group_by("code").len().rows())
    assert done.report.rejects == {"empty report": 3}  # of 3,955: without text and images
    assert done.report.subjects == 3952
    assert {code: n for code, n in counts.items() if not code.startswith("FINDING")} == {
        "NOTE//comparison": 3333,
        "NOTE//indication": 3865,
        "NOTE//findings": 3425,
        "NOTE//impression": 3921,
        "OUTCOME//normal": 3851,
    }
    assert done.events.filter(code="OUTCOME//normal")["numeric_value"].sum() == 1388
    assert done.of("CXR1", "NOTE//indication") == [(AT, "Positive TB test")]
