"""`polyclinic assess`: text, page, JSON and refusals."""

import polars as pl
import pytest

from polyclinic import Bundle
from polyclinic.assess import Assessment, assess
from polyclinic.cohort import Cohort, CohortWriter
from polyclinic.training.fit import fit_study
from tests.hospital import SIMPLE, rewritten

TASK = "demo_deterioration"


@pytest.fixture(scope="module")
def simple(hospital, cache, tmp_path_factory):
    """Folder of a bundle with fast explanations."""
    return fit_study(SIMPLE, hospital, cache=cache).bundle.save(tmp_path_factory.mktemp("simple") / "bundle")


@pytest.fixture(scope="module")
def subject(hospital):
    return hospital.subjects_in("held_out")[0]


def test_output_has_answer_interval_threshold_inputs_and_cautions(simple, hospital, subject, polyclinic):
    done = polyclinic("assess", simple, hospital.path, subject)
    found = assess(Bundle.load(simple), hospital, subject)
    estimate = found[TASK].outputs[0]
    assert done.code == 0
    assert f"patient {subject}, {found.records[0].prediction_time:%Y-%m-%d %H:%M}" in done.out
    assert "recorded: structured, note; missing: nothing" in done.out
    assert "Will this patient deteriorate within seven days?" in done.out
    assert f"{estimate.value:.1%}" in done.out
    assert f"{estimate.low:.1%} to {estimate.high:.1%}" in done.out
    assert str(estimate.operating.ppv) in done.out
    assert "cannot be excluded at 90% confidence: " in done.out
    assert "without any input; " in done.out
    assert "caution: The bundle was not measured on held-out subjects" in done.out
    assert found.fingerprints.bundle[:12] in done.out


def test_every_kind_of_task_is_printed(every_kind, hospital, subject, polyclinic):
    done = polyclinic("assess", every_kind.folder, hospital.path, subject, "--no-explain")
    assert done.code == 0
    for word in ("estimate, days", "sepsis", "effusion", "above", "within "):
        assert word in done.out


def test_json_is_the_assessment(simple, hospital, subject, polyclinic):
    done = polyclinic("assess", simple, hospital.path, subject, "--json")
    assert done.code == 0
    assert Assessment.from_json(done.out) == assess(Bundle.load(simple), hospital, subject)
    done = polyclinic("assess", simple, hospital.path, subject, "--json", "--no-explain")
    assert done.json["answers"][0]["explanation"] is None


def test_the_prediction_time_can_be_given(simple, hospital, subject, polyclinic):
    time = assess(Bundle.load(simple), hospital, subject, explain=False).records[0].prediction_time.isoformat()
    done = polyclinic("assess", simple, hospital.path, subject, "--at", time, "--json")
    assert done.json["at"] == done.json["answers"][0]["prediction_time"] == time


def test_abstention_is_a_result(simple, hospital, subject, polyclinic, tmp_path):
    mine = pl.col("subject_id") == subject
    blind = rewritten(
        hospital,
        tmp_path,
        lambda events: events.with_columns(
            code=pl.when(mine).then(pl.lit("LAB//theirs//g")).otherwise("code"), blob=pl.when(~mine).then("blob")
        ),
    )
    done = polyclinic("assess", simple, blind.path, subject)
    assert done.code == 0
    assert "ABSTAINS: Nothing that the model reads (structured, note) was recorded by then." in done.out
    assert "recorded: nothing; missing: structured, note" in done.out
    assert "not known from training, not read: " in done.out


def test_a_patient_is_asked_for_by_the_hospitals_own_id(simple, hospital, subject, polyclinic, tmp_path):
    """And the number stays accepted."""
    with CohortWriter(tmp_path / "c", source="table") as writer:
        theirs = hospital.subject(subject).drop("subject_id", "blob")
        writer.add(theirs.with_columns(pl.col("code").cast(pl.String), source_id=pl.lit("P-07")))
    number = Cohort.open(tmp_path / "c").find_subject("P-07")
    for verb, options in (("assess", ("--no-explain",)), ("explain", ("--modality", "structured"))):
        by_name = polyclinic(verb, simple, tmp_path / "c", "P-07", *options)
        assert by_name.code == 0
        assert f"patient P-07 ({number}), " in by_name.out
        assert polyclinic(verb, simple, tmp_path / "c", number, *options).out == by_name.out


def test_refusals(simple, hospital, subject, polyclinic, tmp_path):
    words = ("assess", simple, hospital.path)
    assert polyclinic(*words, 7).refusal.startswith(f"no such subject in {hospital.path}")
    assert "before the subject's first event" in polyclinic(*words, subject, "--at", "1999-12-31").refusal
    assert "not a time: write it as 2024-03-05T08:15" in polyclinic(*words, subject, "--at", "yesterday").usage
    assert polyclinic("assess", tmp_path, hospital.path, subject).refusal.startswith(f"no bundle at {tmp_path}")
    assert polyclinic("assess", simple, tmp_path, subject).refusal.startswith(f"no cohort at {tmp_path}")


def test_a_page_is_written_in_addition_to_the_output(simple, hospital, subject, polyclinic, tmp_path):
    page = tmp_path / "page.html"
    done = polyclinic("assess", simple, hospital.path, subject, "--html", page, "--json")
    assert done.code == 0
    assert Assessment.from_json(done.out)  # and nothing else is printed
    text = page.read_text(encoding="utf-8")
    assert f"<h1>Subject {subject}</h1>" in text
    assert "Contribution of each kind of input" in text
    done = polyclinic("assess", simple, hospital.path, subject, "--no-explain", "--html", page)
    assert str(page) in "".join(done.out.split())
    assert "Contribution of each kind of input" not in page.read_text(encoding="utf-8")
    done = polyclinic("assess", simple, hospital.path, subject, "--html", tmp_path)
    assert done.code != 0
    assert "is a folder: name a file" in " ".join(done.err.split())
