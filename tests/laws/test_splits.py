"""Splits and folds are disjoint by subject and by image."""

import numpy as np
import polars as pl
import pytest

from polyclinic.training.data.folds import folds, groups_of
from tests.hospital import NOISE_IMAGES, rewritten, times_of

SHARED = 24
"""Subjects in pairs who share an image."""


@pytest.fixture(scope="module")
def pairs(hospital, tmp_path_factory):
    """The hospital with an image shared by each pair of subjects, and a chain through the first three pairs."""

    def change(events):
        names, subjects = list(NOISE_IMAGES), times_of(hospital)["subject_id"].to_list()
        shared = [(subject, names[position // 2]) for position, subject in enumerate(subjects[:SHARED])]
        shared += [(subjects[0], names[1]), (subjects[0], names[2])]
        new = pl.DataFrame(shared, schema=["subject_id", "blob"], orient="row").with_columns(
            code=pl.lit("IMAGE//CR//PA"),
            time=pl.lit(None, dtype=pl.Datetime("us")),
            numeric_value=pl.lit(None, dtype=pl.Float32()),
            text_value=pl.lit(None, dtype=pl.String()),
        )
        return pl.concat([events, new.select(events.columns).cast(dict(events.schema))])

    return rewritten(
        hospital, tmp_path_factory.mktemp("pairs"), change, dict(list(NOISE_IMAGES.items())[: SHARED // 2])
    )


def images(cohort):
    """Return the subjects who have each image."""
    return cohort.events().filter(pl.col("blob").is_not_null()).select("subject_id", "blob").unique().collect()


def test_images_are_shared_in_this_cohort(pairs):
    counts = images(pairs).group_by("blob").len()["len"]
    assert (counts > 1).sum() == SHARED // 2


def test_each_subject_is_in_one_split(pairs):
    assert pairs.splits["subject_id"].is_unique().all()
    assert set(pairs.splits["subject_id"]) == set(pairs.events().collect()["subject_id"])


def test_each_image_is_in_one_split(pairs):
    sides = images(pairs).join(pairs.splits, on="subject_id").group_by("blob").agg(pl.col("split").n_unique())
    assert (sides["split"] == 1).all()


@pytest.mark.parametrize("number", [2, 5])
def test_subjects_and_images_are_on_one_side_of_each_fold(pairs, number):
    subjects = np.repeat(times_of(pairs)["subject_id"].to_numpy(), 2)  # two samples each
    of_image = images(pairs)
    for fold in folds(groups_of(pairs, subjects), np.arange(len(subjects)) % 2, number, seed=0):
        training, validation = set(subjects[fold.training].tolist()), set(subjects[fold.validation].tolist())
        assert not training & validation
        assert len(training | validation) == 72
        seen = [set(of_image.filter(pl.col("subject_id").is_in(list(side)))["blob"]) for side in (training, validation)]
        assert not seen[0] & seen[1]
