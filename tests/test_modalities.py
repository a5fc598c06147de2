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


def keeps(given: object, protocol: type) -> list[str]:
    """List the members of a protocol that an object lacks."""
    return [name for name in vars(protocol) if not name.startswith("_") and not hasattr(given, name)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_reference_names_what_the_row_says(row, tmp_path):
    featurizer, sizes, columns = load(row.featurizer), load(row.sizes), load(row.columns)
    assert featurizer.modality == row.name
    assert not keeps(featurizer, Featurizer)
    assert not keeps(columns, ModalityColumns)
    assert not keeps(load(row.explanation), ModalityExplanation)
    assert not keeps(load(row.kept), KeptScores)
    assert all(callable(load(each)) for each in (row.synthetic, row.section, row.view))
    assert issubclass(sizes, Sizes)
    assert isinstance(sizes.smallest(), sizes)
    made = featurizer.of(featurizer.options_for(Request()), EncoderCache(tmp_path))
    assert isinstance(made, featurizer)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_encoders_take_the_sizes_of_their_modality(row):
    for name in row.encoders:
        factory = ENCODERS[row.name][name]
        assert {"sizes", "width", "dropout"} <= set(inspect.signature(factory).parameters)


def test_no_two_modalities_claim_a_kind_of_code():
    claimed = [kind for row in ROWS for kind in row.kinds]
    assert len(claimed) == len(set(claimed))
    assert {MODALITY_OF_KIND[kind] for kind in claimed} == {row.name for row in ROWS if row.kinds}


def test_order_is_that_of_the_table_and_unknown_ones_follow():
    assert in_order(["genome", *reversed(MODALITIES)]) == (*MODALITIES, "genome")


def test_nouns_are_for_readers():
    assert modalities.noun("note") == "notes"
    assert modalities.noun("genome") == "genome"


def test_the_table_imports_nothing_that_it_names():
    code = "import sys, polyclinic.modalities; print(*{'numpy', 'torch', 'polars'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""
