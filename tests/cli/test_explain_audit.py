"""`polyclinic explain-audit`."""

import pytest

from polyclinic import Study
from polyclinic.explain.audit.record import AUDIT, PAGE
from polyclinic.training.fit import fit_study
from tests.hospital import SIMPLE, SMALL


@pytest.fixture(scope="module")
def bundle(hospital, cache, tmp_path_factory):
    """A bundle of few inputs, hardly trained."""
    study = Study(tasks=("demo_deterioration",), inputs=("structured",), network=SMALL, folds=2, classical=())
    return fit_study(study, hospital, cache=cache).bundle.save(tmp_path_factory.mktemp("audited") / "bundle")


def test_it_prints_tables_and_writes_page_and_verdicts(bundle, hospital, polyclinic, tmp_path):
    truth = hospital.path.parent / "truth"
    words = ("explain-audit", bundle, hospital.path, "--split", "all", "--truth", truth, "--limit", 3)
    done = polyclinic(*words)
    result = polyclinic(*words, "--json", "--html", tmp_path / "page.html")
    failed = [one["method"] for one in result.json["verdicts"] if not one["passed"]]
    assert done.code == result.code == int("integrated_gradients" in failed)
    assert "3 subjects of all" in done.out
    assert "deletion beats a random order" in done.out
    assert "share of scores" in done.out
    assert f"→ {bundle / AUDIT}" in done.out
    assert "explaining demo_deterioration …" in done.err
    assert "skipped: the bundle reads no pictures" in done.err
    assert {one["order"] for one in result.json["courses"]} >= {"integrated_gradients", "random order"}
    assert (bundle / PAGE).read_text(encoding="utf-8") == (tmp_path / "page.html").read_text(encoding="utf-8")


def test_refusals(bundle, hospital, polyclinic, tmp_path):
    assert "no truth in" in polyclinic("explain-audit", bundle, hospital.path, "--truth", tmp_path).refusal
    assert "unknown split 'nights'" in polyclinic("explain-audit", bundle, hospital.path, "--split", "nights").refusal
    assert "has no task 'weather'" in polyclinic("explain-audit", bundle, hospital.path, "--task", "weather").refusal
    fit_study(SIMPLE, hospital).bundle.save(tmp_path / "simple")
    assert "no network" in polyclinic("explain-audit", tmp_path / "simple", hospital.path).refusal
