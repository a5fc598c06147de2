"""The table of modalities: every reference resolves, and names an object that keeps its protocol."""

import inspect
import subprocess
import sys

import pytest

from polyclinic import modalities
from polyclinic.assess.kept_scores import KeptScores
from polyclinic.cohort import MODALITY_OF_KIND
from polyclinic.explain.inputs.base import ModalityExplanation
from polyclinic.features.cache.encoder_cache import EncoderCache
from polyclinic.features.featurizer import Featurizer, Request
from polyclinic.modalities import MODALITIES, in_order, load
from polyclinic.models.classical.columns.base import ModalityColumns
from polyclinic.models.network.config import Sizes
from polyclinic.models.network.encoders import ENCODERS

ROWS = list(MODALITIES.values())


def lacking(given: type, protocol: type) -> list[str]:
    """List the methods of a protocol without a body that a class does not define."""

    def method(owner: type, name: str) -> object:
        found = inspect.getattr_static(owner, name, None)
        return getattr(found, "__func__", found)

    methods = {name: method(protocol, name) for name in vars(protocol) if not name.startswith("_")}
    required = [
        name
        for name, found in methods.items()
        if inspect.isfunction(found) and inspect.getsource(found).rstrip().endswith("...")
    ]
    assert required
    return [name for name in required if method(given, name) in (None, methods[name])]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_reference_fits_its_protocol(row, tmp_path):
    featurizer, sizes, columns = load(row.featurizer), load(row.sizes), load(row.columns)
    assert featurizer.modality == row.name
    assert not lacking(featurizer, Featurizer)
    assert not lacking(columns, ModalityColumns)
    assert not lacking(type(load(row.explanation)), ModalityExplanation)
    assert not lacking(type(load(row.kept)), KeptScores)
    assert all(callable(load(each)) for each in (row.synthetic, row.section, row.view))
    assert issubclass(sizes, Sizes)
    assert isinstance(sizes.smallest(), sizes)
    made = featurizer.of(featurizer.options_for(Request()), EncoderCache(tmp_path))
    assert isinstance(made, featurizer)


def test_inherited_methods_without_a_body_are_lacking():
    class Empty(Featurizer):
        pass

    assert {"fit", "transform", "state", "from_state"} <= set(lacking(Empty, Featurizer))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_encoders_take_the_sizes_of_their_modality(row):
    for name in row.encoders:
        factory = ENCODERS[row.name][name]
        assert {"sizes", "width", "dropout"} <= set(inspect.signature(factory).parameters)


def test_no_two_modalities_claim_a_kind_of_code():
    claimed = [kind for row in ROWS for kind in row.kinds]
    assert len(claimed) == len(set(claimed))
    assert {MODALITY_OF_KIND[kind] for kind in claimed} == {row.name for row in ROWS if row.kinds}


def test_modalities_are_sorted_as_in_the_table_and_unknown_ones_follow():
    assert in_order(["genome", *reversed(MODALITIES)]) == (*MODALITIES, "genome")


def test_nouns_are_for_readers():
    assert modalities.noun("note") == "notes"
    assert modalities.noun("genome") == "genome"


def test_the_table_imports_nothing_that_it_names():
    code = "import sys, polyclinic.modalities; print(*{'numpy', 'torch', 'polars'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""
