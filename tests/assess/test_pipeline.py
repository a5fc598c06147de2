"""Content of an assessment: predictions, times, intervals, completeness and fingerprints."""

from datetime import UTC, timedelta, timezone
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.special import logit

from polyclinic.assess import Assessment, AssessmentError, assess
from polyclinic.cohort import Cohort
from polyclinic.cohort.storage.digest import digest
from polyclinic.features.cache.encoder_cache import EncoderCache
from polyclinic.files import sha256
from polyclinic.ingest.formats.waveform import Waveform
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.models.ensemble.ensemble import Ensemble
from polyclinic.tasks import Exclusion
from polyclinic.training.fit import fit_study
from tests.hospital import SIMPLE, build_hospital, rewritten

TASK = "demo_deterioration"


def of_subjects(cohort, subjects, into, change):
    """Write a cohort with changed events of some subjects."""
    return rewritten(
        cohort, into, lambda events: change(events, pl.col("subject_id").is_in(pl.Series(list(subjects)).implode()))
    )


def renamed(events, rows):
    return events.with_columns(
        code=pl.when(rows).then(pl.lit("LAB//theirs//g")).otherwise("code"), blob=pl.when(~rows).then("blob")
    )


def test_outputs_equal_batch_predictions(every_kind, hospital, held_out):
    bundle = every_kind.bundle()
    predicted = bundle.predict(hospital, subjects=held_out).frame
    for subject in held_out[:4]:
        found = assess(bundle, hospital, subject, explain=False)
        answers = {(a.task, o.output): (a.prediction_time, o.value) for a in found.answers for o in a.outputs}
        for row in predicted.filter(subject_id=subject).iter_rows(named=True):
            p, number = row["predicted_boolean_probability"], row["predicted_float_value"]
            time, value = answers.pop((row["task"], row["output"]))
            assert time == row["prediction_time"]
            assert value == pytest.approx(number if p is None else p, abs=1e-6)
        assert not answers


def test_outputs_equal_predict_for_one_patient_exactly(every_kind, hospital, held_out):
    bundle = every_kind.bundle()
    found = assess(bundle, hospital, held_out[0], explain=False)
    frame = bundle.predict(hospital, subjects=held_out[:1]).frame
    predicted = frame.select(pl.coalesce("predicted_boolean_probability", "predicted_float_value")).to_series()
    assert [one.value for answer in found.answers for one in answer.outputs] == predicted.to_list()


def test_calls_are_made_at_the_threshold(trained, hospital, held_out):
    bundle = trained.bundle()
    threshold = bundle.ensemble.tasks[TASK].thresholds[0]
    for subject in held_out:
        (output,) = assess(bundle, hospital, subject, explain=False)[TASK].outputs
        assert output.operating.threshold == threshold
        assert output.operating.positive == (output.value >= threshold)


def test_json_round_trip(every_kind, hospital, held_out):
    found = assess(every_kind.bundle(), hospital, held_out[0], explain=False)
    assert Assessment.from_json(found.to_json()) == found
    assert Assessment.from_json(found.to_json(indent=None).encode()) == found


def test_assessments_are_immutable(simple, hospital, held_out):
    found = assess(simple, hospital, held_out[0])
    with pytest.raises(ValueError, match="frozen"):
        found.subject_id = 3
    with pytest.raises(ValueError, match="frozen"):
        found[TASK].outputs[0].value = 0.5


def test_other_formats_and_damaged_texts_are_rejected(simple, hospital, held_out):
    text = assess(simple, hospital, held_out[0]).to_json()
    with pytest.raises(AssessmentError, match="an assessment of format 2: this version reads format 1; assess"):
        Assessment.from_json(text.replace('"format": 1', '"format": 2'))
    with pytest.raises(AssessmentError, match="this is no assessment"):
        Assessment.from_json("[]")
    with pytest.raises(AssessmentError, match="this is not JSON"):
        Assessment.from_json("{")
    with pytest.raises(AssessmentError, match="damaged at subject_id") as refused:
        Assessment.from_json(text.replace(f'"subject_id": {held_out[0]}', '"subject_id": "Mary"'))
    assert "Mary" not in str(refused.value)


def test_an_unknown_task_lists_the_choices(simple, hospital, held_out):
    with pytest.raises(KeyError, match="no answer to 'demo_stay': there are demo_deterioration"):
        assess(simple, hospital, held_out[0])["demo_stay"]


def test_prediction_time_may_be_given_in_any_zone_where_times_are_utc(simple, hospital, held_out, times, monkeypatch):
    subject = held_out[0]
    found, at = assess(simple, hospital, subject), times[subject]
    named = assess(simple, hospital, subject, at)
    assert named.model_copy(update={"at": None}) == found
    elsewhere = at.replace(tzinfo=UTC).astimezone(timezone(timedelta(hours=-5)))
    with pytest.raises(AssessmentError, match="local times, of an unstated zone: give the time without offset"):
        assess(simple, hospital, subject, elsewhere)
    monkeypatch.setattr(type(hospital), "clock", "UTC")
    assert assess(simple, hospital, subject, elsewhere) == named


def test_an_earlier_time_reads_fewer_events(simple, hospital, held_out, times):
    subject = held_out[0]
    now = assess(simple, hospital, subject).records[0]
    earlier = assess(simple, hospital, subject, times[subject] - timedelta(hours=24)).records[0]
    assert earlier.events < now.events
    assert earlier.digest != now.digest


def test_an_unknown_subject_is_rejected(simple, hospital):
    with pytest.raises(AssessmentError, match=r"no such subject in .*metadata/subjects\.parquet"):
        assess(simple, hospital, 7)


def test_a_time_before_the_first_event_is_rejected(simple, hospital, held_out, times):
    with pytest.raises(AssessmentError, match="before the subject's first event: give a later one") as refused:
        assess(simple, hospital, held_out[0], times[held_out[0]] - timedelta(days=3))
    assert str(held_out[0]) not in str(refused.value)
    assert assess(simple, hospital, held_out[0], times[held_out[0]] - timedelta(hours=48)).records[0].events > 0


def test_a_cohort_with_other_codes_is_rejected(simple, hospital, held_out, tmp_path):
    foreign = of_subjects(hospital, hospital.subjects["subject_id"], tmp_path, renamed)
    with pytest.raises(AssessmentError, match="has no code that the bundle reads, such as DEMOGRAPHIC//"):
        assess(simple, foreign, held_out[0])


def with_a_damaged(copy: Cohort, held_out, suffix: str) -> tuple[int, list[str]]:
    """Damage the blobs of one held-out subject, and return the subject and their names."""
    of_kind = pl.col("blob").str.ends_with(suffix)
    subject = next(one for one in held_out if copy.subject(one).filter(of_kind).height)
    names = copy.subject(subject).filter(of_kind)["blob"].unique().to_list()
    for name in names:
        copy.blob(name).write_bytes(b"damaged")
    return subject, names


def without(cohort: Cohort, folder: Path, names: list[str]) -> Cohort:
    return rewritten(cohort, folder, lambda events: events.filter(~pl.col("blob").is_in(names).fill_null(False)))


@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize("suffix", ["png", "arrow"])
def test_a_damaged_blob_is_as_if_not_recorded(suffix, cached, every_kind, hospital, held_out, tmp_path):
    copy = rewritten(hospital, tmp_path / "copy", lambda events: events)
    bundle = every_kind.bundle() if cached else Bundle.load(every_kind.folder, EncoderCache(tmp_path / "empty cache"))
    if cached:
        bundle.predict(copy, subjects=held_out)
    subject, names = with_a_damaged(copy, held_out, suffix)
    clean = without(hospital, tmp_path / "without", names)
    kind = {"png": "image", "arrow": "waveform"}[suffix]
    found, expected = (assess(bundle, one, subject, explain=False) for one in (copy, clean))
    record = found.records[0]
    assert kind in record.missing
    assert kind in record.unusable
    assert any(reason.startswith(f"{kind} {names[0]} is damaged") for reason in record.unusable_blobs)
    assert [answer.outputs for answer in found.answers] == [answer.outputs for answer in expected.answers]
    if not cached or kind == "waveform":
        predicted, same = bundle.predict(copy, subjects=held_out), bundle.predict(clean, subjects=held_out)
        assert predicted.frame.equals(same.frame)
        assert all(any(name in reason for reason in predicted.unusable) for name in names)
        assert not same.unusable


def test_a_damaged_image_is_explained_as_absent(every_kind, hospital, held_out, tmp_path):
    copy = rewritten(hospital, tmp_path / "copy", lambda events: events)
    bundle = Bundle.load(every_kind.folder, EncoderCache(tmp_path / "empty cache"))
    subject, names = with_a_damaged(copy, held_out, "png")
    explained = assess(bundle, copy, subject)
    assert {answer.task for answer in explained.answers} == {task.name for task in bundle.tasks}
    assert any(names[0] in reason for reason in explained.records[0].unusable_blobs)
    assert Assessment.from_json(explained.to_json()) == explained


def test_a_waveform_without_a_usable_lead_is_absent(every_kind, hospital, held_out, tmp_path):
    """The record has an ECG, but of a signal that no standard lead is: it is as missing as no ECG at all."""
    content, suffix = Waveform(np.ones((1000, 1), dtype=np.float32), 100.0, ("x",), ("mV",)).to_blob()
    name = f"{sha256(content)}{suffix}"
    is_ecg, other = pl.col("code").cast(pl.String).str.starts_with("WAVEFORM"), "WAVEFORM//ABP//mmHg"
    unusable, none = (
        rewritten(hospital, tmp_path / folder, change, {name: content})
        for folder, change in (
            ("unusable", lambda events: events.with_columns(blob=pl.when(is_ecg).then(pl.lit(name)).otherwise("blob"))),
            ("none", lambda events: events.with_columns(code=pl.when(is_ecg).then(pl.lit(other)).otherwise("code"))),
        )
    )
    bundle = every_kind.bundle()
    assert bundle.predict(unusable, subjects=held_out).frame.equals(bundle.predict(none, subjects=held_out).frame)
    with_ecg = unusable.events().filter(is_ecg & pl.col("subject_id").is_in(held_out)).collect()["subject_id"][0]
    assert "waveform" in assess(bundle, unusable, with_ecg, explain=False).records[0].missing


def test_fingerprints_are_of_the_bundle_cohort_and_record(simple, hospital, held_out, times):
    subject = held_out[0]
    found = assess(simple, hospital, subject)
    assert found.fingerprints.cohort == hospital.fingerprint
    assert found.fingerprints.bundle == Bundle.load(simple.folder).digest
    codes = simple.tasks[0].inputs.among(hospital.subject(subject)["code"].unique().to_list())
    read = hospital.subject(subject).filter(
        pl.col("code").is_in(codes) & (pl.col("time").is_null() | (pl.col("time") <= times[subject]))
    )
    assert found.records[0].events == read.height
    assert found.records[0].digest == f"{digest(read.with_columns(pl.col('code').cast(pl.Categorical))):032x}"


def test_present_and_missing_modalities(every_kind, hospital, held_out):
    bundle = every_kind.bundle()
    inputs = dict(bundle.predict(hospital).frame.select("subject_id", "inputs").unique().iter_rows())
    some = [subject for subject in inputs if inputs[subject].count("+") < 3][:2] + held_out[:1]
    for subject in some:
        record = assess(bundle, hospital, subject, explain=False).records[0]
        assert " + ".join(record.present) == inputs[subject]
        assert set(record.present) | set(record.missing) == set(bundle.inputs)
        assert not set(record.present) & set(record.missing)


def test_usual_codes_that_are_missing_and_unknown_codes(simple, hospital, held_out, tmp_path):
    subject = held_out[0]
    other = of_subjects(
        hospital,
        [subject],
        tmp_path,
        lambda events, rows: events.with_columns(
            code=pl.when(rows & (pl.col("code") == "DEMOGRAPHIC//sex")).then(pl.lit("LAB//new//g")).otherwise("code"),
            numeric_value=pl.when(rows & (pl.col("code") == "DEMOGRAPHIC//sex")).then(1.0).otherwise("numeric_value"),
            text_value=pl.when(~(rows & (pl.col("code") == "DEMOGRAPHIC//sex"))).then("text_value"),
        ),
    )
    before, after = (assess(simple, cohort, subject).records[0] for cohort in (hospital, other))
    lacking = {one.code: one.share for one in after.usually_there}
    assert lacking["DEMOGRAPHIC//sex"] == simple.reference.codes["DEMOGRAPHIC//sex"] > 0.5
    assert set(lacking) - {one.code for one in before.usually_there} == {"DEMOGRAPHIC//sex"}
    assert [(one.code, one.events) for one in after.unknown] == [("LAB//new//g", 1)]


def test_an_atypical_record_abstains(simple, hospital, held_out, tmp_path):
    subject = held_out[0]
    strange = of_subjects(
        hospital,
        [subject],
        tmp_path,
        lambda events, rows: events.with_columns(
            numeric_value=pl.when(rows).then(pl.col("numeric_value") * 1000 + 1000).otherwise("numeric_value")
        ),
    )
    usual, odd = (assess(simple, cohort, subject) for cohort in (hospital, strange))
    assert not usual.records[0].typicality.far
    assert odd.records[0].typicality.far
    assert odd.records[0].typicality.quantile == 1
    assert odd[TASK].abstentions[0].reason == "unlike_development"
    assert odd[TASK].outputs, "the numbers are there, and marked"


def test_a_record_without_inputs_is_not_answered(simple, hospital, held_out, tmp_path):
    blind = of_subjects(hospital, held_out[:1], tmp_path, renamed)
    found = assess(simple, blind, held_out[0])
    answer = found[TASK]
    assert (answer.outputs, answer.sets, answer.explanation) == ((), (), None)
    assert [one.reason for one in answer.abstentions] == ["nothing_recorded"]
    assert "Nothing that the model reads (structured, note) was recorded" in answer.abstentions[0].text
    assert found.record_of(answer).missing == ("structured", "note")
    assert Assessment.from_json(found.to_json()) == found


def test_a_task_that_does_not_apply_abstains_with_the_reason(simple, hospital, held_out, cache):
    bundle = Bundle.load(simple.folder, cache)
    exclusion = Exclusion(had=("DEMOGRAPHIC//sex",))
    excluding = bundle.tasks[0].model_copy(update={"exclusions": (exclusion,)})
    bundle.study = bundle.study.model_copy(update={"tasks": (excluding,)})
    found = assess(bundle, hospital, held_out[0])
    (reason,) = found[TASK].abstentions
    assert reason.reason == "not_asked"
    assert reason.text == "The question is not asked of this patient: had DEMOGRAPHIC//sex."
    assert found[TASK].prediction_time is None
    assert found.records == ()
    assert found.record_of(found[TASK]) is None


def test_a_bundle_without_reference_lists_what_it_lacks(trained, hospital, held_out, tmp_path):
    bundle = trained.bundle()
    bundle.reference = None
    bundle.save(tmp_path / "old")
    found = assess(bundle, hospital, held_out[0], explain=False)
    (output,) = found[TASK].outputs
    assert output.basis == "networks"
    assert found[TASK].sets == ()
    assert found.records[0].typicality is None
    assert output.operating is None, "it was not measured either"
    assert len(found.lacks) == 2
    assert "Train it again" in found.lacks[0]


def test_intervals_without_a_reference_span_the_networks(every_kind, hospital, held_out):
    bundle = every_kind.bundle()
    bundle.reference = None
    outputs = assess(bundle, hospital, held_out[0], explain=False)["demo_survival"].outputs
    alone = []
    bundle.reference = None  # it is of all networks
    for network in bundle.ensemble.networks:
        bundle.ensemble = Ensemble([network], bundle.ensemble.tasks)
        predicted = bundle.predict(hospital, subjects=held_out[:1], tasks=["demo_survival"]).frame
        alone.append(predicted["predicted_boolean_probability"].to_list())
    assert [one.low for one in outputs] == pytest.approx(np.min(alone, axis=0), abs=1e-5)
    assert [one.high for one in outputs] == pytest.approx(np.max(alone, axis=0), abs=1e-5)
    assert {one.basis for one in outputs} == {"networks"}


def test_intervals_hold_the_spread_of_folds_and_of_resampled_calibrations(simple, hospital, held_out):
    (output,) = assess(simple, hospital, held_out[2])[TASK].outputs
    assert output.basis == "refits"
    own, p = simple.ensemble.tasks[TASK].calibrator, []
    for calibrator in simple.reference.calibrators[TASK]:
        simple.ensemble.tasks[TASK].calibrator = calibrator
        p.append(assess(simple, hospital, held_out[2], explain=False)[TASK].outputs[0].value)
    simple.ensemble.tasks[TASK].calibrator = own
    further = logit(np.array(p)).std()
    reach = simple.reference.spreads[TASK].reach(np.zeros((1, 1)), np.full((1, 1), further))[0, 0]
    ends = logit(output.value) - reach, logit(output.value) + reach
    assert (logit(output.low), logit(output.high)) == pytest.approx(ends, rel=1e-3)


@pytest.fixture(scope="module")
def without_radiographs(tmp_path_factory):
    """A synthetic cohort of 400 patients."""
    return build_hospital(tmp_path_factory.mktemp("many"), 400, seed=5, radiographs=False)


@pytest.mark.slow
@pytest.mark.parametrize("folds", [2, 5])
def test_the_interval_holds_the_answer_of_a_refit(folds, without_radiographs, cache):
    """Refits to bootstrapped subjects; the folds are few, and so are the outcomes."""
    cohort = without_radiographs
    everyone = cohort.subjects["subject_id"].sort().to_list()
    learnt, new = everyone[:300], everyone[300:]
    study = SIMPLE.model_copy(update={"folds": folds})
    bundle = fit_study(study, cohort, subjects=learnt, cache=cache, golden=False).bundle
    assessed = {one: assess(bundle, cohort, one, explain=False)[TASK].outputs for one in new}
    outputs = [output for own in assessed.values() for output in own]
    asked = [one for one, own in assessed.items() if own]
    low, high = np.array([(one.low, one.high) for one in outputs]).T
    held = []
    for seed in range(8):
        drawn = np.random.default_rng(seed).choice(learnt, len(learnt)).tolist()
        refit = fit_study(study, cohort, subjects=drawn, cache=cache, golden=False).bundle
        p = refit.predict(cohort, subjects=asked).frame.sort("subject_id")["predicted_boolean_probability"].to_numpy()
        held.append(((p >= low) & (p <= high)).mean())
    assert np.mean(held) >= 0.9


def test_every_interval_contains_its_value(every_kind, hospital, held_out):
    bundle = every_kind.bundle()
    spans = []
    for subject in held_out:
        for answer in assess(bundle, hospital, subject, explain=False).answers:
            spans += [(one.low, one.value, one.high, one.basis) for one in answer.outputs if one.basis]
    assert all(low <= value <= high for low, value, high, _ in spans)
    assert {basis for *_, basis in spans} == {"refits"}
