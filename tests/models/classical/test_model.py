import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save_file

from polyclinic.models.classical import Block, ClassicalConfig, ClassicalModel, NotFittedError, UntrustedModelError
from polyclinic.models.classical.estimators import FAMILIES
from tests.properties import examples

COLUMNS = tuple(f"LAB//analyte{place}//mmol/L last" for place in range(6))
KINDS = {"binary": 1, "multiclass": 3, "multilabel": 2, "regression": 2}
EVERY = [(name, kind) for name in FAMILIES for kind in KINDS]


def data_of(kind: str, n: int = 120, seed: int = 0):
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, 6))
    truth = x[:, :3] + 0.3 * random.normal(size=(n, 3))
    x[random.random(x.shape) < 0.1] = np.nan
    match kind:
        case "binary":
            y = (truth[:, :1] > 0).astype(float)
        case "multiclass":
            y = np.eye(3)[truth.argmax(axis=1)]
        case "multilabel":
            y = (truth[:, :2] > 0).astype(float)
        case _:
            y = 100 + 10 * truth[:, :2]
    return x, y, np.ones(n, dtype=bool)


def config(name: str, kind: str, **changes) -> ClassicalConfig:
    return ClassicalConfig(**({"name": name, "kind": kind, "outputs": KINDS[kind]} | changes))


@pytest.fixture(scope="module")
def fitted():
    """Fit each model once."""
    kept: dict[tuple[str, str], ClassicalModel] = {}

    def get(name: str, kind: str) -> ClassicalModel:
        if (name, kind) not in kept:
            kept[name, kind] = ClassicalModel(config(name, kind), COLUMNS).fit(*data_of(kind))
        return kept[name, kind]

    return get


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_learns(fitted, name, kind):
    x, y, _ = data_of(kind, seed=1)
    answers = fitted(name, kind).predict_proba(x)
    assert answers.shape == y.shape
    assert answers.dtype == np.float64
    if kind == "regression":
        assert np.abs(answers - y).mean() < 0.75 * np.abs(y - y.mean(axis=0)).mean()
        return
    assert ((answers >= 0) & (answers <= 1)).all()
    if kind == "multiclass":
        np.testing.assert_allclose(answers.sum(axis=1), 1)
        assert (answers.argmax(axis=1) == y.argmax(axis=1)).mean() > 0.6
    else:
        assert ((answers > 0.5) == (y > 0.5)).mean() > 0.7


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_save_and_load_preserve_predictions(fitted, tmp_path, name, kind):
    model, (x, _, _) = fitted(name, kind), data_of(kind, seed=1)
    model.save(tmp_path / "model.safetensors")
    again = ClassicalModel.load(tmp_path / "model.safetensors")
    assert np.array_equal(again.predict_proba(x), model.predict_proba(x))
    assert (again.config, again.columns, again.blocks) == (model.config, model.columns, model.blocks)
    assert again.options == model.options


@pytest.mark.parametrize("name", FAMILIES)
def test_samples_are_independent(fitted, name):
    model, (x, _, _) = fitted(name, "multiclass"), data_of("multiclass", seed=1)
    batched = model.predict_proba(x)
    single = np.concatenate([model.predict_proba(x[row : row + 1]) for row in range(len(x))])
    np.testing.assert_allclose(single, batched, rtol=1e-12)


@pytest.mark.parametrize("name", FAMILIES)
def test_fitting_is_reproducible(fitted, name):
    again = ClassicalModel(config(name, "binary"), COLUMNS).fit(*data_of("binary"))
    x, _, _ = data_of("binary", seed=1)
    assert np.array_equal(again.predict_proba(x), fitted(name, "binary").predict_proba(x))


@pytest.mark.parametrize("name", FAMILIES)
def test_unobserved_targets_have_no_influence(name):
    x, y, _ = data_of("binary")
    observed = np.arange(len(x)) % 4 > 0
    with_nan = np.where(observed[:, None], y, np.nan)
    first = ClassicalModel(config(name, "binary"), COLUMNS).fit(x, y, observed)
    second = ClassicalModel(config(name, "binary"), COLUMNS).fit(x, with_nan, observed)
    assert np.array_equal(first.predict_proba(x), second.predict_proba(x))


@pytest.mark.parametrize("name", FAMILIES)
def test_constant_label_gets_a_constant_uncertain_prediction(name):
    x, y, observed = data_of("multilabel")
    y[:, 1] = 0
    model = ClassicalModel(config(name, "multilabel"), COLUMNS).fit(x, y, observed)
    np.testing.assert_allclose(model.predict_proba(x)[:, 1], 1 / (len(x) + 1))


@pytest.mark.parametrize("name", FAMILIES)
def test_class_absent_in_training_has_probability_zero(name):
    x, y, _ = data_of("multiclass")
    model = ClassicalModel(config(name, "multiclass"), COLUMNS).fit(x, y, y[:, 1] == 0)
    answers = model.predict_proba(x)
    assert not answers[:, 1].any()
    np.testing.assert_allclose(answers.sum(axis=1), 1)


@pytest.mark.parametrize("name", FAMILIES)
def test_balanced_classes_have_equal_weight(name):
    x, _, observed = data_of("binary")
    y = (np.nan_to_num(x[:, :1]) + np.random.default_rng(1).normal(size=(120, 1)) > 1.5).astype(float)
    plain, balanced = (
        ClassicalModel(config(name, "binary", balanced=balance), COLUMNS).fit(x, y, observed).predict_proba(x).mean()
        for balance in (False, True)
    )
    assert balanced > plain


@pytest.mark.parametrize("name", ["logistic_regression", "decision_tree"])
def test_hyperparameter_search_is_grouped_by_subject(name):
    x, y, observed = data_of("binary")
    subjects = np.arange(len(x)) // 2
    model = ClassicalModel(config(name, "binary", inner_folds=3), COLUMNS).fit(x, y, observed, subjects)
    assert model.options in FAMILIES[name].grid


def test_hyperparameter_search_regularises_noise():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(200, 6)), (random.random((200, 1)) < 0.5).astype(float)
    model = ClassicalModel(config("logistic_regression", "binary", inner_folds=4), COLUMNS)
    assert model.fit(x, y, np.ones(200, dtype=bool)).options == {"strength": 0.01}


def test_samples_of_a_subject_are_in_one_fold():
    from polyclinic.models.classical.hyperparameters import _splits

    target, subjects = np.arange(60) % 2, np.repeat(np.arange(20), 3)
    for kind in ("binary", "regression"):
        for fitted_rows, left_out in _splits(config("decision_tree", kind), 4, target, subjects):
            assert not set(subjects[fitted_rows]) & set(subjects[left_out])


def test_rules_name_columns_and_units(fitted):
    rules = fitted("decision_tree", "binary").rules()
    assert "LAB//analyte0//mmol/L last ≤ " in rules
    assert "or unknown" in rules
    leaves = [line for line in rules.splitlines() if "→" in line]
    assert sum(int(line.split("(")[1].split()[0]) for line in leaves) == 120


def test_rules_equal_the_trees_predictions():
    """Unknown values take the branch marked in the rules."""
    x = np.array([[1.0], [2.0], [3.0], [np.nan]]).repeat(10, axis=0)
    y = np.array([[0.0], [0.0], [1.0], [1.0]]).repeat(10, axis=0)
    model = ClassicalModel(config("decision_tree", "binary"), ["lactate"]).fit(x, y, np.ones(40, dtype=bool))
    assert model.rules().splitlines() == [
        "lactate ≤ 2.5",
        "  → 0 % (20 samples)",
        "lactate > 2.5 or unknown",
        "  → 100 % (20 samples)",
    ]


def test_only_trees_have_rules(fitted):
    with pytest.raises(ValueError, match="fit a decision_tree"):
        fitted("random_forest", "binary").rules()


def test_unfitted_model_raises(tmp_path):
    model = ClassicalModel(config("decision_tree", "binary"), COLUMNS)
    for act in (lambda: model.predict_proba(np.zeros((1, 6))), model.rules, lambda: model.save(tmp_path / "m")):
        with pytest.raises(NotFittedError, match="call fit"):
            act()


def test_invalid_data_raise(fitted):
    model, (x, y, observed) = ClassicalModel(config("decision_tree", "binary"), COLUMNS), data_of("binary")
    with pytest.raises(ValueError, match="must have 6 columns"):
        model.fit(x[:, :3], y, observed)
    with pytest.raises(ValueError, match="targets must be"):
        model.fit(x, y[:, 0], observed)
    with pytest.raises(ValueError, match="nothing to fit"):
        model.fit(x, y, ~observed)
    with pytest.raises(ValueError, match="infinite"):
        fitted("decision_tree", "binary").predict_proba(np.full((1, 6), np.inf))
    with pytest.raises(ValueError, match="blocks must contain each"):
        ClassicalModel(config("decision_tree", "binary"), COLUMNS, (Block("half", 3),))
    with pytest.raises(ValueError, match="inner_folds"):
        config("decision_tree", "binary", inner_folds=1)


def test_no_samples(fitted):
    assert fitted("gradient_boosting", "multiclass").predict_proba(np.zeros((0, 6))).shape == (0, 3)


@pytest.fixture
def content(fitted, tmp_path):
    """A saved model to modify: its header and arrays, and the function that writes them and loads the model."""

    class Content:
        def __init__(self, name: str, kind: str) -> None:
            self.path = tmp_path / "model.safetensors"
            fitted(name, kind).save(self.path)
            with safe_open(self.path, framework="numpy") as file:
                self.header = json.loads(file.metadata()["model"])
                self.arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118

        def load(self) -> ClassicalModel:
            save_file(self.arrays, self.path, metadata={"model": json.dumps(self.header)})
            return ClassicalModel.load(self.path)

    return Content


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_files_are_reproducible(fitted, content, name, kind):
    before = content(name, kind)
    saved = before.path.read_bytes()
    ClassicalModel.load(before.path).save(before.path)
    assert before.path.read_bytes() == saved
    assert before.load().columns == COLUMNS


def test_another_file_or_version_raises(content):
    model = content("decision_tree", "binary")
    model.header["version"] = 99
    with pytest.raises(UntrustedModelError, match="is not a classical model of version 2: train the bundle again"):
        model.load()
    save_file(model.arrays, model.path)
    with pytest.raises(UntrustedModelError, match="is not a saved classical model"):
        ClassicalModel.load(model.path)


@pytest.mark.parametrize("content_", [b"", b"not a model", b"\x80\x04K\x01.", b"PK\x03\x04"])
def test_a_foreign_file_raises(tmp_path, content_):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content_)
    with pytest.raises(UntrustedModelError, match="or is damaged: copy the bundle again, or train it again"):
        ClassicalModel.load(path)


@settings(max_examples=examples(200), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), cut=st.booleans())
def test_a_damaged_file_is_refused_or_has_other_numbers(content, place, bit, cut):
    """Whatever bit is wrong, and wherever the file ends: no other error, and no access beyond the arrays."""
    model = content("random_forest", "binary")
    data = bytearray(model.path.read_bytes())
    at = int(place * len(data))
    data[at] ^= 1 << bit
    model.path.write_bytes(data[:at] if cut else data)
    try:
        loaded = ClassicalModel.load(model.path)
    except UntrustedModelError as error:
        assert "again" in str(error)  # noqa: PT017
    else:
        assert not cut
        assert loaded.predict_proba(data_of("binary")[0][:3, : len(loaded.columns)]).shape == (3, 1)


TREES = ("decision_tree", "random_forest", "gradient_boosting")


def inner(arrays):
    """Return the nodes that are no leaves."""
    return np.flatnonzero(arrays["0.children"][:, 0] != np.arange(len(arrays["0.children"])))


HARMS = {
    "outside": lambda arrays: arrays["0.children"].__setitem__((0, 0), 10**6),
    "cycle": lambda arrays: arrays["0.children"].__setitem__((0, 0), 0),
    "backwards": lambda arrays: arrays["0.children"].__setitem__(inner(arrays)[-1], 0),
    "negative child": lambda arrays: arrays["0.children"].__setitem__((0, 0), -1),
    "column": lambda arrays: arrays["0.column"].__setitem__(0, 10**6),
    "negative column": lambda arrays: arrays["0.column"].__setitem__(0, -1),
    "root": lambda arrays: arrays["0.roots"].__setitem__(0, 10**6),
    "no trees": lambda arrays: arrays.update({"0.roots": arrays["0.roots"][:0]}),
    "fewer nodes": lambda arrays: arrays.update({"0.threshold": arrays["0.threshold"][:-1]}),
    "outputs": lambda arrays: arrays.update({"0.value": arrays["0.value"].repeat(3, axis=1)}),
    "NaN": lambda arrays: arrays["0.value"].__setitem__((0, 0), np.nan),
    "weight": lambda arrays: arrays["0.weight"].__setitem__(0, 0),
    "classes": lambda arrays: arrays["0.classes"].__setitem__(1, 7),
    "no classes": lambda arrays: arrays.pop("0.classes"),
    "no array": lambda arrays: arrays.pop("0.unknown_left"),
    "another array": lambda arrays: arrays.update({"0.more": arrays["0.roots"]}),
}


@pytest.mark.parametrize("name", TREES)
@pytest.mark.parametrize("harm", HARMS)
def test_arrays_that_are_no_trees_raise(content, name, harm):
    model = content(name, "binary")
    HARMS[harm](model.arrays)
    with pytest.raises(UntrustedModelError, match=r"holds no usable model .*: copy the bundle again"):
        model.load()


@pytest.mark.parametrize("array", ["0.weights", "0.shift", "0.classes", "preparation.fill", "preparation.scale"])
def test_arrays_of_another_linear_model_raise(content, array):
    model = content("logistic_regression", "multiclass")
    model.arrays[array] = model.arrays[array][:-1]
    with pytest.raises(UntrustedModelError, match="holds no usable model"):
        model.load()


@pytest.mark.parametrize(
    ("key", "value"),
    [("config", {"name": "x"}), ("columns", []), ("estimators", []), ("estimators", ["pickle"]), ("blocks", [["a"]])],
)
def test_a_header_of_no_model_raises(content, key, value):
    model = content("logistic_regression", "binary")
    model.header[key] = value
    with pytest.raises(UntrustedModelError, match="holds no usable model"):
        model.load()
