"""What all tests share."""

import json
import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest

import tests.properties  # noqa: F401 (loads the profile of property-based tests)
from tests.scheduling import LONG, SLOW_TOGETHER, ByFileOrPage, place
from tests.shared import built_once

if TYPE_CHECKING:
    from polyclinic import Cohort
    from polyclinic.features.cache.encoder_cache import EncoderCache
    from tests.hospital import Trained

REAL_DATA = Path(os.environ.get("POLYCLINIC_DATA", Path(__file__).parents[1] / ".." / "shared" / "data")).resolve()
EXPENSIVE = {"hospital", "trained", "every_kind", "demo", "trained_demo", "workplace", "real_data", "real_reports"}
"""Fixtures that make a test slow: they train, read real data, or draw and read a whole hospital."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark long files and tests with expensive fixtures as slow, and put long files first."""
    for item in items:
        if item.nodeid.startswith(LONG + SLOW_TOGETHER) or EXPENSIVE & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
    items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Spread the pages of the documentation over the workers."""
    return ByFileOrPage(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(scope="session", autouse=True)
def schemas_checked_once() -> Iterator[None]:
    """Check MEDS' JSON schema against the schema of schemas once, which takes a third of a small ingest."""
    from jsonschema import Draft202012Validator

    check, checked = Draft202012Validator.check_schema, set()

    def check_once(schema: object) -> None:
        key = json.dumps(schema, sort_keys=True)
        if key not in checked:
            check(schema)
            checked.add(key)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Draft202012Validator, "check_schema", staticmethod(check_once))
        yield


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Return the folder of a real data set by its name, or skip the test where it is not."""

    def folder(name: str) -> Path:
        if not (REAL_DATA / name).exists():
            pytest.skip(f"real data {name!r} is not here: set POLYCLINIC_DATA to the folder that holds it")
        return REAL_DATA / name

    return folder


@pytest.fixture(scope="session")
def real_reports(real_data, tmp_path_factory) -> Path:
    """Return the real OpenI reports: in torchxrayvision, installed or as a wheel in the real data, or by themselves."""
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
    """A cache of encoder outputs that end-to-end tests, the processes that they start and all workers share."""
    from polyclinic.features.cache.encoder_cache import EncoderCache

    folder = built_once(tmp_path_factory, "cache", Path.mkdir)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POLYCLINIC_CACHE", str(folder))
        yield EncoderCache()


@pytest.fixture(scope="session")
def hospital(tmp_path_factory, cache) -> "Cohort":
    """A synthetic cohort of 72 patients with radiographs."""
    from polyclinic import Cohort
    from tests.hospital import build_hospital

    return Cohort.open(built_once(tmp_path_factory, "hospital", build_hospital) / "cohort")


@pytest.fixture(scope="session")
def trained(tmp_path_factory, hospital, cache) -> "Trained":
    """A study of one task, trained and measured."""
    from polyclinic.training.train import train_and_measure
    from tests.hospital import STUDY, Trained

    def build(folder: Path) -> None:
        report = train_and_measure(STUDY, hospital, folder / "bundle", cache=cache)
        assert report is not None
        Trained(folder, cache).keep(report)

    return Trained(built_once(tmp_path_factory, "trained", build), cache)


@pytest.fixture(scope="session")
def every_kind(tmp_path_factory, hospital, cache) -> "Trained":
    """A study with a task of each kind, trained, and measured with few bootstrap resamples."""
    from polyclinic.training.evaluation.evaluate import evaluate
    from polyclinic.training.fit import fit_study
    from tests.hospital import EVERY_KIND, Trained

    def build(folder: Path) -> None:
        bundle = fit_study(EVERY_KIND, hospital, cache=cache).bundle
        bundle.save(folder / "bundle")
        Trained(folder, cache).keep(evaluate(bundle, hospital, resamples=100))

    return Trained(built_once(tmp_path_factory, "every_kind", build), cache)
