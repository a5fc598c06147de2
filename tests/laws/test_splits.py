"""Splits and folds are disjoint by subject and by picture."""

import numpy as np
import polars as pl
import pytest

from polyclinic.training.data.folds import folds, groups_of
from tests.hospital import NOISE, NOISE_NAMES, rewritten, times_of

SHARED = 24
"""Subjects in couples who share a picture."""


@pytest.fixture(scope="module")
def couples(hospital, tmp_path_factory):
    """The hospital with a picture for each couple of subjects, and a chain through the first three couples."""

    def change(events):
        subjects = times_of(hospital)["subject_id"].to_list()
        shared = [(subject, NOISE_NAMES[place // 2]) for place, subject in enumerate(subjects[:SHARED])]
        shared += [(subjects[0], NOISE_NAMES[1]), (subjects[0], NOISE_NAMES[2])]
        new = pl.DataFrame(shared, schema=["subject_id", "blob"], orient="row").with_columns(
            code=pl.lit("IMAGE//CR//PA"),
            time=pl.lit(None, dtype=pl.Datetime("us")),
            numeric_value=pl.lit(None, dtype=pl.Float32()),
            text_value=pl.lit(None, dtype=pl.String()),
        )
        return pl.concat([events, new.select(events.columns).cast(dict(events.schema))])

    return rewritten(hospital, tmp_path_factory.mktemp("couples"), change, NOISE[: SHARED // 2])


def pictures(cohort):
    """Give the subjects who have each picture."""
    return cohort.events().filter(pl.col("blob").is_not_null()).select("subject_id", "blob").unique().collect()


def test_the_test_has_pictures_of_several_subjects(couples):
    counts = pictures(couples).group_by("blob").len()["len"]
    assert (counts > 1).sum() == SHARED // 2


def test_a_subject_is_in_one_split(couples):
    assert couples.splits["subject_id"].is_unique().all()
    assert set(couples.splits["subject_id"]) == set(couples.events().collect()["subject_id"])


def test_a_picture_is_in_one_split(couples):
    sides = pictures(couples).join(couples.splits, on="subject_id").group_by("blob").agg(pl.col("split").n_unique())
    assert (sides["split"] == 1).all()


@pytest.mark.parametrize("number", [2, 5])
def test_a_subject_and_a_picture_are_on_one_side_of_each_fold(couples, number):
    subjects = np.repeat(times_of(couples)["subject_id"].to_numpy(), 2)  # each asked twice
    of_picture = pictures(couples)
    for fold in folds(groups_of(couples, subjects), np.arange(len(subjects)) % 2, number, seed=0):
        training, validation = set(subjects[fold.training].tolist()), set(subjects[fold.validation].tolist())
        assert not training & validation
        assert len(training | validation) == 72
        seen = [
            set(of_picture.filter(pl.col("subject_id").is_in(list(side)))["blob"]) for side in (training, validation)
        ]
        assert not seen[0] & seen[1]
