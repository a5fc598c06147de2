"""What all tests share."""

import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest

if TYPE_CHECKING:
    from polyclinic import Cohort
    from polyclinic.features.cache.encoder_cache import EncoderCache
    from tests.hospital import Trained

REAL_DATA = Path(os.environ.get("POLYCLINIC_DATA", Path(__file__).parents[1] / ".." / "shared" / "data")).resolve()


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Give the folder of a real data set by its name, or skip the test where it is not."""

    def folder(name: str) -> Path:
        if not (REAL_DATA / name).exists():
            pytest.skip(f"real data {name!r} is not here: set POLYCLINIC_DATA to the folder that holds it")
        return REAL_DATA / name

    return folder


@pytest.fixture(scope="session")
def real_reports(real_data, tmp_path_factory) -> Path:
    """Give the real OpenI reports: in torchxrayvision, installed or as a wheel in the real data, or by themselves."""
    within = "torchxrayvision/data/NLMCXR_reports.tgz"
    installed = find_spec("torchxrayvision")
    if installed and installed.origin:
        return Path(installed.origin).parents[1] / within
    folder = real_data("indiana")
    for wheel in folder.glob("torchxrayvision-*.whl"):
        with ZipFile(wheel) as packed:
            return Path(packed.extract(within, tmp_path_factory.mktemp("indiana")))
    archive = folder / "NLMCXR_reports.tgz"
    return archive if archive.exists() else folder


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> "Iterator[EncoderCache]":
    """Give a cache of encoders' outputs that all end-to-end tests share, and the processes that they start."""
    from polyclinic.features.cache.encoder_cache import EncoderCache

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POLYCLINIC_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield EncoderCache()


@pytest.fixture(scope="session")
def hospital(tmp_path_factory, cache) -> "Cohort":
    """Give a synthetic cohort of 72 patients with radiographs."""
    from tests.hospital import build_hospital

    return build_hospital(tmp_path_factory.mktemp("hospital"))


@pytest.fixture(scope="session")
def trained(tmp_path_factory, hospital, cache) -> "Trained":
    """Give a study of one task, trained and measured."""
    from polyclinic.training.train import train_and_measure
    from tests.hospital import STUDY, Trained

    folder = tmp_path_factory.mktemp("trained") / "bundle"
    report = train_and_measure(STUDY, hospital, folder, cache=cache)
    assert report is not None
    return Trained(folder, report, cache)


@pytest.fixture(scope="session")
def every_kind(tmp_path_factory, hospital, cache) -> "Trained":
    """Give a study with a task of each kind, trained and measured with wide intervals."""
    from polyclinic.training.evaluation.evaluate import evaluate
    from polyclinic.training.fit import fit_study
    from tests.hospital import EVERY_KIND, Trained

    bundle = fit_study(EVERY_KIND, hospital, cache=cache).bundle
    report = evaluate(bundle, hospital, resamples=100)
    return Trained(bundle.save(tmp_path_factory.mktemp("every_kind")), report, cache)
