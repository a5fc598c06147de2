import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from polyclinic.features.image.featurizer import pooled as pooled_maps
from polyclinic.models.classical import LINEAR, TREES, Design, DesignOptions, design_options
from polyclinic.models.classical.pooling import BATCH_ROWS, pooled_sentences
from polyclinic.models.classical.principal_components import Components
from tests.properties import examples

N = 30
NAMES = {"structured": ["age last", "lactate last"], "series": ["HR", "MAP"], "note": ["word fever", "word cough"]}


def arrays(seed: int = 0) -> dict:
    random = np.random.default_rng(seed)
    present = random.random((4, N)) < 0.8
    present[:, :4] = True
    raw = random.normal(size=(N, 2)) * 50
    raw[random.random(raw.shape) < 0.2] = np.nan
    code = random.integers(1, 3, (N, 6)) * (np.arange(6) < random.integers(2, 7, (N, 1)))
    mask = random.random((N, 3)) < 0.7
    mask[:, 0] = True
    tfidf = sparse.csr_array((random.random((N, 2)) < 0.5) * random.random((N, 2)).astype(np.float32))
    return {
        "structured": {"present": present[0], "raw": raw, "values": raw / 50, "known": ~np.isnan(raw)},
        "series": {
            "present": present[1],
            "triplet_code": code,
            "triplet_value": random.normal(size=(N, 6)).astype(np.float32) * (code > 0),
            "triplet_time": np.sort(random.random((N, 6)), axis=1)[:, ::-1],
        },
        "note": {
            "present": present[2],
            "tfidf": tfidf,
            "sentences": random.normal(size=(N, 3, 8)).astype(np.float32),
            "sentence_mask": mask,
        },
        "image": {
            "present": present[3],
            "tokens": random.normal(size=(N, 3, 4, 10)).astype(np.float16),
            "view_mask": mask,
        },
    }


SMALL = DesignOptions(terms=5, sentence_components=3, image_components=2)


def test_every_column_has_a_name_and_a_block():
    design = Design.fit(arrays(), NAMES, options=SMALL)
    matrix = design.matrix(arrays())
    assert matrix.shape == (N, len(design.columns))
    assert matrix.dtype == np.float32
    assert sum(block.columns for block in design.blocks) == len(design.columns)
    assert design.columns == (
        "age last",
        "lactate last",
        *("HR share low", "MAP share low", "HR share high", "MAP share high"),
        "note word fever",
        "note word cough",
        *(f"sentence component {place}" for place in (1, 2, 3)),
        "note present",
        *(f"image component {place}" for place in (1, 2)),
        "image present",
    )


def of_one(arrays, sample, code):
    """Return the values and hours of one code of one sample, oldest first."""
    chosen = arrays["triplet_code"][sample] == code
    return arrays["triplet_value"][sample][chosen].astype(float), arrays["triplet_time"][sample][chosen].astype(float)


def equal(found, expected):
    return np.isclose(found, expected, rtol=1e-5, atol=1e-6) or (np.isnan(found) and np.isnan(expected))


@settings(max_examples=examples(20), deadline=None)
@given(st.integers(0, 2**31))
def test_trees_get_the_trend_of_each_code_of_a_series(seed):
    content = arrays(seed)
    design = Design.fit(content, NAMES, options=DesignOptions(trends=True))
    window, series, matrix = design.sources["series"].window_hours, content["series"], design.matrix(content)
    assert 0.9 < window <= 1
    for sample in np.flatnonzero(series["present"]):
        for code, name in enumerate(NAMES["series"], start=1):
            values, hours = of_one(series, sample, code)
            weight = 0.5 ** (hours / (window / 4))
            late = hours <= window / 2
            expected = {
                "recent mean": (values * weight).sum() / weight.sum() if len(values) else np.nan,
                "change": values[late].mean() - values[~late].mean() if late.any() and (~late).any() else np.nan,
                "median": np.median(values) if len(values) else np.nan,
            }
            for what, value in expected.items():
                assert equal(matrix[sample, design.columns.index(f"{name} {what}")], value), what


@settings(max_examples=examples(20), deadline=None)
@given(st.integers(0, 2**31))
def test_linear_models_get_the_shares_of_low_and_of_high_values(seed):
    content = arrays(seed)
    series, training = content["series"], np.arange(N // 2)
    design = Design.fit(content, NAMES, training)
    matrix = design.matrix(content)
    for code, name in enumerate(NAMES["series"], start=1):
        known = np.concatenate([of_one(series, sample, code)[0] for sample in training if series["present"][sample]])
        low, high = np.quantile(known, [0.1, 0.9])
        for sample in np.flatnonzero(series["present"]):
            values, _ = of_one(series, sample, code)
            shares = ((values < low).mean(), (values > high).mean()) if len(values) else (np.nan, np.nan)
            for what, value in zip(("low", "high"), shares, strict=True):
                assert equal(matrix[sample, design.columns.index(f"{name} share {what}")], value)


def test_a_code_without_training_values_has_no_low_or_high_ones():
    content = arrays()
    training = np.arange(5)
    content["series"]["triplet_code"][training] = np.where(content["series"]["triplet_code"][training] > 0, 1, 0)
    design = Design.fit(content, NAMES, training)
    matrix = design.matrix(content)
    of_second = matrix[:, [design.columns.index(f"MAP share {what}") for what in ("low", "high")]]
    assert np.nanmax(of_second) == 0
    loaded = Design.from_state(json.loads(json.dumps(design.state(), allow_nan=False)))
    np.testing.assert_array_equal(loaded.matrix(content), matrix)


def test_structured_features_are_in_their_units():
    given = arrays()
    present = given["structured"]["present"]
    column = Design.fit(given, NAMES, options=SMALL).matrix(given)[present, 1]
    np.testing.assert_allclose(column, given["structured"]["raw"][present, 1], rtol=1e-6)


def test_scaled_values_are_used_without_raw_ones():
    given = {"structured": {k: v for k, v in arrays()["structured"].items() if k != "raw"}}
    matrix = Design.fit(given, NAMES).matrix(given)
    assert np.array_equal(np.isnan(matrix[:, 0]), ~given["structured"]["known"][:, 0] | ~given["structured"]["present"])


def test_series_are_summarised_without_structured_features():
    given = {"series": arrays()["series"]}
    design = Design.fit(given, NAMES)
    matrix = dict(zip(design.columns, design.matrix(given).T, strict=True))
    row = int(np.flatnonzero(given["series"]["present"])[0])
    values = given["series"]["triplet_value"][row][given["series"]["triplet_code"][row] == 1]
    expected = {
        "last": values[-1],
        "first": values[0],
        "minimum": values.min(),
        "maximum": values.max(),
        "mean": values.mean(),
        "sd": values.std(),
        "count": len(values),
    }
    for name, value in expected.items():
        assert matrix[f"HR {name}"][row] == pytest.approx(value, abs=1e-5)


def test_absent_modality_is_unknown_and_its_values_have_no_influence():
    given, spoilt = arrays(), arrays()
    design = Design.fit(given, NAMES, options=SMALL)
    for modality, of_modality in spoilt.items():
        absent = ~given[modality]["present"]
        for name, array in of_modality.items():
            if name not in ("present", "tfidf") and array.dtype.kind == "f":
                array[absent] = np.nan
    matrix = design.matrix(given)
    assert np.array_equal(matrix, design.matrix(spoilt), equal_nan=True)
    place = design.columns.index("image component 1")
    assert np.array_equal(np.isnan(matrix[:, place]), ~given["image"]["present"])
    assert np.array_equal(matrix[:, design.columns.index("image present")] == 1, given["image"]["present"])


def test_only_training_rows_are_used():
    given, other = arrays(), arrays()
    rows = np.arange(15)
    for array in (other["note"]["sentences"], other["image"]["tokens"]):
        array[15:] *= 10
    first, second = (Design.fit(one, NAMES, rows, SMALL) for one in (given, other))
    assert json.dumps(first.state()) == json.dumps(second.state())


def test_state_round_trips_through_json():
    design = Design.fit(arrays(), NAMES, options=SMALL)
    again = Design.from_state(json.loads(json.dumps(design.state())))
    assert again.columns == design.columns
    assert again.blocks == design.blocks
    assert np.array_equal(again.matrix(arrays(1)), design.matrix(arrays(1)), equal_nan=True)


def test_samples_are_independent():
    given = arrays()
    design = Design.fit(given, NAMES, options=SMALL)
    one = {modality: {name: array[3:4] for name, array in of.items()} for modality, of in given.items()}
    np.testing.assert_allclose(design.matrix(one)[0], design.matrix(given)[3], rtol=1e-5, atol=1e-6)


def test_able_samples_have_any_of_the_modalities():
    given = arrays()
    design = Design.fit({"note": given["note"], "image": given["image"]}, NAMES, options=SMALL)
    assert np.array_equal(design.able(given), given["note"]["present"] | given["image"]["present"])


def test_pooled_maps_replace_tokens():
    given = arrays()
    pooled = {
        "present": given["image"]["present"],
        "view_mask": given["image"]["view_mask"],
        "pooled": pooled_maps(given["image"]["tokens"]),
    }
    first = Design.fit({"image": given["image"]}, {}, options=SMALL)
    second = Design.fit({"image": pooled}, {}, options=SMALL)
    np.testing.assert_allclose(first.matrix(given), second.matrix({"image": pooled}), rtol=1e-4, atol=1e-4)


def test_terms_in_too_few_or_all_documents_are_dropped():
    tfidf = sparse.csr_array(np.array([[1, 1, 0, 1], [1, 1, 0, 0], [1, 0, 1, 1], [1, 1, 0, 1]], dtype=np.float32))
    note = {"note": {"present": np.ones(4, dtype=bool), "tfidf": tfidf}}
    names = {"note": ["everywhere", "often", "once", "sometimes"]}
    assert Design.fit(note, names).columns == ("note often", "note sometimes", "note present")
    assert Design.fit(note, names, options=DesignOptions(terms=1)).columns == ("note often", "note present")


def test_design_options_of_each_family():
    assert design_options("logistic_regression") == LINEAR
    assert design_options("gradient_boosting") == TREES


def test_wrong_number_of_names_raises():
    with pytest.raises(ValueError, match="1 names were given for the 2 structured features"):
        Design.fit({"structured": arrays()["structured"]}, {"structured": ["age"]})


def test_components_are_principal_components():
    random = np.random.default_rng(0)
    rows = (random.normal(size=(200, 12)) * np.geomspace(10, 0.1, 12)).astype(np.float32)
    components = Components.fit(rows, 4)
    _, singular, directions = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(np.abs(components.directions @ directions[:4].T), np.eye(4), atol=1e-3)
    np.testing.assert_allclose(components(rows).std(axis=0), singular[:4] / np.sqrt(200), rtol=1e-3)


def test_few_samples_have_few_components():
    assert Components.fit(np.ones((1, 5)), 4)(np.ones((3, 5))).shape == (3, 0)
    assert Components.fit(np.zeros((0, 5)), 4)(np.ones((3, 5))).shape == (3, 0)


@pytest.mark.parametrize("rows", [1, 7, 13, 72])
def test_components_read_back_project_to_the_same_bits(rows):
    random = np.random.default_rng(rows)
    fitted = Components.fit(random.standard_normal((60, 224)).astype(np.float32), 46)
    read = Components.from_state(json.loads(json.dumps(fitted.state())))
    assert read.directions.flags.f_contiguous == fitted.directions.flags.f_contiguous
    samples = random.standard_normal((rows, 224)).astype(np.float32)
    assert read(samples).tobytes() == fitted(samples).tobytes()


def test_the_mean_of_sentences_does_not_depend_on_the_batch():
    rng, n = np.random.default_rng(0), 2 * BATCH_ROWS + 3
    mask = rng.random((n, 5)) < 0.6
    sentences = rng.normal(size=(n, 5, 7)).astype(np.float32)
    found = pooled_sentences({"sentences": sentences, "sentence_mask": mask})
    at_once = np.where(mask[..., None], sentences, 0).sum(axis=1) / np.maximum(mask.sum(axis=1), 1)[:, None]
    np.testing.assert_array_equal(found, at_once)
    rows = np.array([n - 1, 0, 70])
    chosen = pooled_sentences({"sentences": sentences, "sentence_mask": mask}, rows)
    np.testing.assert_array_equal(chosen, at_once[rows])
    assert pooled_sentences({"sentences": sentences[:0], "sentence_mask": mask[:0]}).shape == (0, 7)
