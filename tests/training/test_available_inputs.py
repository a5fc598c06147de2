"""Inputs of a study that names none."""

import polars as pl
import pytest

from polyclinic import Study
from polyclinic.features.known_record import known_record
from polyclinic.modalities import MODALITIES
from polyclinic.study import StudyError
from polyclinic.tasks import samples
from polyclinic.training.available_inputs import resolve_inputs
from polyclinic.training.fit import fit_study
from tests.hospital import SIMPLE, rewritten

BY_DEFAULT = SIMPLE.model_copy(update={"inputs": None})
CODE = pl.col("code").cast(pl.String)
NOTE, IMAGE, SERIES = (CODE.str.contains(f"^({kinds})//") for kinds in ("NOTE", "IMAGE", "LAB|VITAL|MEDICATION"))


class Lines:
    """Keeps the messages."""

    def __init__(self):
        self.printed = []

    def message(self, text):
        self.printed.append(text)


def resolved(study, cohort):
    lines, frame = Lines(), samples(cohort, study.tasks).frame
    known = known_record(cohort.events(), frame, study.tasks)
    return resolve_inputs(study, known, frame, lines).inputs, lines.printed


def without(cohort, rows, into):
    return rewritten(cohort, into, lambda events: events.filter(~rows))


def test_all_modalities_where_the_cohort_has_them(hospital):
    assert resolved(BY_DEFAULT, hospital) == (tuple(MODALITIES), [f"inputs: {', '.join(MODALITIES)}"])


def test_absent_modalities_are_left_out_and_printed(hospital, tmp_path):
    fewer = without(hospital, NOTE | SERIES, tmp_path)
    assert resolved(BY_DEFAULT, fewer) == (
        ("structured", "image", "waveform"),
        ["inputs: structured, image, waveform (absent or too rare: series, note)"],
    )


def test_what_is_recorded_after_the_prediction_time_does_not_count(hospital, tmp_path):
    later = rewritten(
        hospital, tmp_path, lambda events: events.with_columns(time=pl.col("time") + pl.duration(days=900 * NOTE))
    )
    assert "note" not in resolved(BY_DEFAULT, later)[0]


def test_timed_numbers_of_any_kind_are_series(hospital, tmp_path):
    of_scores = rewritten(
        hospital,
        tmp_path,
        lambda events: events.with_columns(
            code=CODE.str.replace("^(LAB|VITAL|MEDICATION)//", "SCORE//").cast(events.schema["code"])
        ),
    )
    assert "series" in resolved(BY_DEFAULT, of_scores)[0]


def test_series_too_rare_to_be_fitted_are_left_out(hospital, tmp_path):
    one = hospital.events().select("subject_id").first().collect().item()
    rare = without(hospital, SERIES & (pl.col("subject_id") != one), tmp_path)
    assert "series" not in resolved(BY_DEFAULT, rare)[0]


def test_named_inputs_stay_as_they_are(hospital, tmp_path):
    assert resolved(SIMPLE, without(hospital, NOTE, tmp_path)) == (SIMPLE.inputs, [])


def test_a_cohort_without_any_input_is_refused(hospital, tmp_path):
    study = Study(tasks=("demo_deterioration",))
    frame = samples(hospital, study.tasks).frame
    outcomes = without(hospital, ~CODE.str.starts_with("OUTCOME//"), tmp_path)
    with pytest.raises(StudyError, match="no sample has any input"):
        resolve_inputs(study, known_record(outcomes.events(), frame, study.tasks), frame)


def test_a_fit_saves_the_inputs_that_it_took(hospital, cache, tmp_path):
    bundle = fit_study(BY_DEFAULT, without(hospital, IMAGE, tmp_path), cache=cache).bundle
    assert bundle.inputs == ("structured", "series", "note", "waveform")
    assert bundle.study.inputs == ("structured", "series", "note", "waveform")
