"""The featurizers of a study, fitted, saved and applied together."""

import json

import numpy as np
import polars as pl
import pytest

from polyclinic.features.feature_set import FEATURIZERS, FeatureSet
from polyclinic.features.image.featurizer import ImageOptions
from polyclinic.features.known_record import known_record
from polyclinic.features.note.featurizer import NoteOptions
from polyclinic.tasks import number_samples
from tests.hospital import EVERY_KIND, times_of


@pytest.fixture(scope="module")
def samples(hospital):
    return number_samples(times_of(hospital))


@pytest.fixture(scope="module")
def known(hospital, samples):
    return known_record(hospital.events(), samples, EVERY_KIND.tasks)


@pytest.fixture(scope="module")
def fitted(hospital, cache, samples, known):
    return FeatureSet.of(FEATURIZERS, {}, cache).set_blobs(hospital.blob).fit(known, samples)


def test_unknown_input_raises_with_the_choices(cache):
    with pytest.raises(ValueError, match="unknown input 'genome': choose from structured, series, note, image"):
        FeatureSet.of(["genome"], {}, cache)


def test_inputs_have_a_canonical_order(cache):
    assert FeatureSet.of(["image", "structured", "note"], {}, cache).modalities == ("structured", "note", "image")


def test_options_are_passed_to_their_featurizer(cache):
    options = {"image": ImageOptions(max_views=2), "note": NoteOptions(tfidf=("char",))}
    made = FeatureSet.of(["image", "note"], options, cache).featurizers
    assert made["image"].options.max_views == 2
    assert made["note"].options.tfidf == ("char",)


def test_every_modality_has_arrays_with_one_row_per_sample(fitted, known, samples):
    arrays = fitted.transform(known, samples)
    assert list(arrays) == list(FEATURIZERS)
    for of_modality in arrays.values():
        assert of_modality["present"].dtype == bool
        assert {array.shape[0] for array in of_modality.values()} == {samples.height}


def test_classical_arrays_are_optional(fitted, known, samples):
    with_classical, without = (fitted.transform(known, samples, classical=classical) for classical in (True, False))
    assert {"raw"} == with_classical["structured"].keys() - without["structured"].keys()
    assert {"tfidf"} == with_classical["note"].keys() - without["note"].keys()
    assert with_classical["structured"]["raw"].shape[1] == len(fitted.names()["structured"])
    assert with_classical["note"]["tfidf"].shape[1] == len(fitted.names()["note"])


def test_save_and_from_state_preserve_arrays(fitted, known, samples, cache, hospital, tmp_path):
    fitted.save(tmp_path / "features.json")
    state = json.loads((tmp_path / "features.json").read_text())
    again = FeatureSet.from_state(state, cache).set_blobs(hospital.blob)
    assert again.modalities == fitted.modalities
    assert again.names() == fitted.names()
    before, after = (features.transform(known, samples, classical=False) for features in (fitted, again))
    for modality, arrays in before.items():
        for name, array in arrays.items():
            assert np.asarray(array).tobytes() == np.asarray(after[modality][name]).tobytes(), f"{modality} {name}"
    again.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "features.json").read_bytes()


def test_ignored_codes_are_those_unused_by_every_featurizer(fitted, known):
    assert fitted.ignored(known) == {}
    renamed = known.with_columns(
        code=pl.col("code").replace({"VITAL//spo2//%": "VITAL//o2//%", "DEMOGRAPHIC//sex": "DEMOGRAPHIC//gender"})
    )
    counts = dict(renamed.group_by("code").len().iter_rows())
    assert fitted.ignored(renamed) == {code: counts[code] for code in ("VITAL//o2//%", "DEMOGRAPHIC//gender")}
