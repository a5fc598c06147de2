"""Shared bundles and patients."""

import pytest

from polyclinic.tasks import prediction_times
from polyclinic.training.fit import fit_study
from tests.hospital import SIMPLE


@pytest.fixture(scope="package")
def simple(hospital, cache, tmp_path_factory):
    """A bundle of structured data and notes, without a network, and not measured."""
    bundle = fit_study(SIMPLE, hospital, cache=cache).bundle
    bundle.save(tmp_path_factory.mktemp("simple") / "bundle")
    return bundle


@pytest.fixture(scope="session")
def times(hospital):
    """The prediction time of each subject."""
    return dict(prediction_times(hospital, SIMPLE.tasks[0]).iter_rows())


@pytest.fixture(scope="session")
def held_out(hospital):
    """Ids of the held-out patients."""
    return hospital.subjects_in("held_out")
