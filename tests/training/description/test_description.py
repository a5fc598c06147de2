"""What the card says of a trained bundle, checked against the cohort by other means."""

import json
import re

import numpy as np
import polars as pl
import pytest

from polyclinic import Bundle
from polyclinic.evaluation.report.about import About
from polyclinic.evaluation.report.card import model_card
from polyclinic.evaluation.report.card_document import CardDocument
from polyclinic.evaluation.report.development_shift import development_shift
from polyclinic.evaluation.sample_size import METHODS
from polyclinic.features.known_record import known_record
from polyclinic.tasks import samples
from polyclinic.training.cross_validation import cross_validate
from polyclinic.training.description.characteristics import recorded
from polyclinic.training.description.development import about_of, development_facts, state
from polyclinic.training.evaluation.evaluate import evaluate
from polyclinic.training.fit import fit_checked_study
from tests.hospital import SIMPLE, rewritten
from tests.little_training import no_pictures

TASK = "demo_deterioration"


def test_the_flow_adds_up(trained, hospital):
    facts = trained.report[TASK].card.description.measured
    flow = facts.flow
    sampled = samples(hospital, SIMPLE.tasks)
    assert facts.same_cohort
    assert flow.subjects == hospital.subjects.height
    assert flow.eligible_samples == flow.labelled_samples + sum(flow.unlabelled.values())
    assert flow.subjects == flow.eligible_subjects + sum(flow.excluded.values())
    assert [part.name for part in flow.parts] == ["Development", "Measured (held_out)"]
    assert sum(part.labelled for part in flow.parts) == flow.labelled_samples == sampled.frame.height
    target = sampled.take(sampled.rows(hospital.subjects_in("held_out"))).targets[TASK]
    cases = int(target.values[target.observed].sum())
    assert flow.parts[1].cases == (cases if cases >= 5 else None)


def test_the_sources_have_their_subjects(trained, hospital):
    facts = development_facts(trained.bundle(), TASK).cohort
    assert {source.name for source in facts.sources} == set(hospital.sources["name"])
    assert {source.name: source.subjects for source in facts.sources} == hospital.subjects_by_source()


def test_the_baseline_is_that_of_the_record(trained, hospital):
    facts = development_facts(trained.bundle(), TASK)
    sampled = samples(hospital, SIMPLE.tasks)
    development = sampled.take(sampled.rows([*hospital.subjects_in("train"), *hospital.subjects_in("tuning")]))
    known = known_record(hospital.events(), development.frame, SIMPLE.tasks)
    code = "LAB//creatinine//umol/L"
    (variable,) = [own for own in facts.baseline.variables if own.name == code]
    own = known.filter((pl.col("code") == code) & pl.col("numeric_value").is_not_null()).sort("sample", "time")
    latest = own.group_by("sample", maintain_order=True).agg(pl.col("numeric_value").last())["numeric_value"]
    cell = variable.rows[0][0]
    assert (cell.n, cell.median) == (len(latest), pytest.approx(latest.median()))
    assert facts.recorded[code] == pytest.approx(own["sample"].n_unique() / development.frame.height)


def test_nothing_after_the_prediction_time_is_described(trained, hospital, tmp_path, cache):
    later = pl.col("time") > pl.col("time").min().over("subject_id") + pl.duration(hours=48)
    is_lab = pl.col("code").cast(pl.String).str.starts_with("LAB//") & later
    shifted = rewritten(
        hospital,
        tmp_path / "later",
        lambda events: events.with_columns(
            numeric_value=pl.when(is_lab).then(pl.col("numeric_value") * 1000).otherwise("numeric_value")
        ),
    )
    before, after = (
        development_facts(fit_checked_study(SIMPLE, cohort, cache=cache).bundle, TASK) for cohort in (hospital, shifted)
    )
    assert after.baseline == before.baseline


def test_the_members_are_those_of_the_ensemble(trained):
    bundle = trained.bundle()
    facts = development_facts(bundle, TASK)
    assert {member.name for member in facts.members} == {"network", *bundle.ensemble.tasks[TASK].members}
    complete = " + ".join(bundle.inputs)
    assert sum(member.weights.get(complete, 0) for member in facts.members) == pytest.approx(1)
    assert facts.members[0].hyperparameters["width"] == bundle.study.network.width


def test_the_sample_size_is_that_of_each_kind(every_kind):
    bundle = every_kind.bundle()
    for task in bundle.tasks:
        found = development_facts(bundle, task.name).sample_size
        assert found.method == METHODS[task.kind]
        assert found.r2 is not None
        assert (found.shrinkage is None) == (found.needed is None) == bool(found.reason) == (found.r2 <= 0)
        assert found.outcome in (task.classes or ("",))


def test_every_input_has_its_codes(trained):
    facts = development_facts(trained.bundle(), TASK)
    assert set(facts.predictors) == set(trained.bundle().inputs)
    assert all(facts.predictors.values())
    assert not any(code.startswith("WAVEFORM") for code in facts.recorded), "it is no input"
    assert not any(code.startswith("OUTCOME") for own in facts.predictors.values() for code in own)


def test_the_card_is_written_and_holds_no_patient(trained, hospital):
    plain = json.loads((trained.folder / "card.json").read_text())
    document = CardDocument.model_validate(plain)
    assert document.tasks[0].development.out_of_fold["auroc"].n > 0
    text = (trained.folder / "card.md").read_text() + json.dumps(plain)
    ids = hospital.subjects.select(pl.col("subject_id").cast(pl.String), "source_id")
    found = set(re.findall(r"(?<![\d.])\d+(?![\d.])|[\w-]+", text))
    assert not found & {own for column in ids.iter_columns() for own in column if len(own) > 5}
    for heading in ("Data source and flow", "Baseline characteristics", "Predictors", "Models and their weights"):
        assert f"## {heading}" in text


def test_statements_are_kept_in_the_bundle_and_replaced_by_others(hospital, trained, tmp_path, cache):
    bundle = state(trained.bundle(), About(developer="A", setting="ward"))
    loaded = Bundle.load(bundle.save(tmp_path / "stated"), cache)
    assert about_of(loaded) == About(developer="A", setting="ward")
    report = evaluate(loaded, hospital, every_subset=False, resamples=100, about=About(developer="B"))
    assert report[TASK].card.description.about == About(developer="B", setting="ward")
    assert state(loaded, None) is loaded


def test_another_cohort_is_an_external_validation(hospital, trained, tmp_path, cache):
    other = rewritten(hospital, tmp_path / "other", lambda events: events.filter(pl.col("subject_id") % 3 != 0))
    card = evaluate(trained.bundle(), other, None, every_subset=False, resamples=100)[TASK].card
    assert card.description.external
    text = model_card(card)
    assert "### Development cohort" in text
    assert "### Measured cohort" in text
    assert "Measured on all subjects given, without refitting" in text
    held = card.description.measured
    assert held.cohort.subjects == other.subjects.height
    assert held.baseline.columns[0].name == "all"


def test_cross_validation_measures_everyone(hospital, tmp_path, cache, monkeypatch):
    no_pictures(monkeypatch)
    report = cross_validate(SIMPLE, hospital, tmp_path / "cv", folds=2, cache=cache, about=About(developer="A"))
    described = report[TASK].card.description
    parts = described.measured.flow.parts
    assert [part.name for part in parts] == ["Development", "Measured (2-fold cross-validation)"]
    assert parts[0].labelled == parts[1].labelled == described.measured.flow.labelled_samples
    assert described.about == About(developer="A")


def test_levels_and_shares_without_records(trained, hospital):
    sampled = samples(hospital, SIMPLE.tasks)
    known = known_record(hospital.events(), sampled.frame, SIMPLE.tasks).clear()
    n = sampled.frame.height
    found = recorded(known, sampled.frame, [None] * n, [None] * n, trained.bundle().features)
    assert set(found.shares) == trained.bundle().features.codes_read
    assert set(found.shares.values()) == {0}
    assert found.baseline(SIMPLE.tasks[0], sampled.targets[TASK]).variables == ()
    assert np.array_equal(found.values.subjects, sampled.frame["subject_id"].to_numpy())


def test_the_shift_is_measured_from_development(trained):
    described = trained.report[TASK].card.description
    found = {own.name: own for own in development_shift(described.development, described.measured)}
    own = found["recorded: LAB//creatinine//umol/L"]
    assert own.development == described.development.recorded["LAB//creatinine//umol/L"]
    assert own.measured == described.measured.recorded["LAB//creatinine//umol/L"]
    assert "## Shift from development" in model_card(trained.report[TASK].card)
