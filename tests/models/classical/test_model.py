import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from skops import io

from polyclinic.models.classical import Block, ClassicalConfig, ClassicalModel, NotFittedError, UntrustedModelError
from polyclinic.models.classical.estimators import FAMILIES

COLUMNS = tuple(f"LAB//analyte{place}//mmol/L last" for place in range(6))
KINDS = {"binary": 1, "multiclass": 3, "multilabel": 2, "regression": 2}
EVERY = [(name, kind) for name in FAMILIES for kind in KINDS]


def data(kind: str, n: int = 120, seed: int = 0):
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
            kept[name, kind] = ClassicalModel(config(name, kind), COLUMNS).fit(*data(kind))
        return kept[name, kind]

    return get


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_learns(fitted, name, kind):
    x, y, _ = data(kind, seed=1)
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
def test_predictions_equal_scikit_learn(fitted, name, kind):
    """Compare the simultaneous evaluation of trees with the estimators' own methods."""
    model, (x, _, _) = fitted(name, kind), data(kind, seed=1)
    prepared = model.prepared(x)
    own = []
    for estimator in model._estimators:
        if kind == "regression":
            own.append(estimator.predict(prepared)[:, None])
        else:
            chances = estimator.predict_proba(prepared)
            own.append(chances if kind == "multiclass" else chances[:, 1:])
    np.testing.assert_allclose(model.predict_proba(x), np.hstack(own), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_save_and_load_preserve_predictions(fitted, tmp_path, name, kind):
    model, (x, _, _) = fitted(name, kind), data(kind, seed=1)
    model.save(tmp_path / "model.skops")
    again = ClassicalModel.load(tmp_path / "model.skops")
    assert np.array_equal(again.predict_proba(x), model.predict_proba(x))
    assert (again.config, again.columns, again.blocks) == (model.config, model.columns, model.blocks)
    assert again.options == model.options


@pytest.mark.parametrize("name", FAMILIES)
def test_samples_are_independent(fitted, name):
    model, (x, _, _) = fitted(name, "multiclass"), data("multiclass", seed=1)
    batched = model.predict_proba(x)
    single = np.concatenate([model.predict_proba(x[row : row + 1]) for row in range(len(x))])
    np.testing.assert_allclose(single, batched, rtol=1e-12)


@pytest.mark.parametrize("name", FAMILIES)
def test_fitting_is_reproducible(fitted, name):
    again = ClassicalModel(config(name, "binary"), COLUMNS).fit(*data("binary"))
    x, _, _ = data("binary", seed=1)
    assert np.array_equal(again.predict_proba(x), fitted(name, "binary").predict_proba(x))


@pytest.mark.parametrize("name", FAMILIES)
def test_unobserved_targets_have_no_influence(name):
    x, y, _ = data("binary")
    observed = np.arange(len(x)) % 4 > 0
    with_nan = np.where(observed[:, None], y, np.nan)
    first = ClassicalModel(config(name, "binary"), COLUMNS).fit(x, y, observed)
    second = ClassicalModel(config(name, "binary"), COLUMNS).fit(x, with_nan, observed)
    assert np.array_equal(first.predict_proba(x), second.predict_proba(x))


@pytest.mark.parametrize("name", FAMILIES)
def test_constant_label_gets_a_constant_uncertain_prediction(name):
    x, y, observed = data("multilabel")
    y[:, 1] = 0
    model = ClassicalModel(config(name, "multilabel"), COLUMNS).fit(x, y, observed)
    np.testing.assert_allclose(model.predict_proba(x)[:, 1], 1 / (len(x) + 1))


@pytest.mark.parametrize("name", FAMILIES)
def test_class_absent_in_training_has_probability_zero(name):
    x, y, _ = data("multiclass")
    model = ClassicalModel(config(name, "multiclass"), COLUMNS).fit(x, y, y[:, 1] == 0)
    answers = model.predict_proba(x)
    assert not answers[:, 1].any()
    np.testing.assert_allclose(answers.sum(axis=1), 1)


@pytest.mark.parametrize("name", FAMILIES)
def test_balanced_classes_have_equal_weight(name):
    x, _, observed = data("binary")
    y = (np.nan_to_num(x[:, :1]) + np.random.default_rng(1).normal(size=(120, 1)) > 1.5).astype(float)
    plain, balanced = (
        ClassicalModel(config(name, "binary", balanced=balance), COLUMNS).fit(x, y, observed).predict_proba(x).mean()
        for balance in (False, True)
    )
    assert balanced > plain


@pytest.mark.parametrize("name", ["logistic_regression", "decision_tree"])
def test_hyperparameter_search_is_grouped_by_subject(name):
    x, y, observed = data("binary")
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
    model, (x, y, observed) = ClassicalModel(config("decision_tree", "binary"), COLUMNS), data("binary")
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


def saved(path: Path, fitted) -> dict:
    fitted.save(path)
    return io.loads(path.read_bytes(), trusted=io.get_untrusted_types(data=path.read_bytes()))


class Stranger:
    """A type that no classical model has."""

    def __init__(self) -> None:
        self.content = 1


def test_untrusted_type_raises(fitted, tmp_path):
    path = tmp_path / "model.skops"
    content = saved(path, fitted("decision_tree", "binary"))
    path.write_bytes(io.dumps(content | {"estimators": [Stranger()]}))
    with pytest.raises(UntrustedModelError, match="types that no classical model has"):
        ClassicalModel.load(path)


def test_another_file_or_version_raises(fitted, tmp_path):
    path = tmp_path / "model.skops"
    content = saved(path, fitted("decision_tree", "binary"))
    path.write_bytes(io.dumps(content | {"version": 99}))
    with pytest.raises(UntrustedModelError, match="fit it again"):
        ClassicalModel.load(path)
    path.write_bytes(io.dumps(DummyClassifier().fit([[0]], [0])))
    with pytest.raises(UntrustedModelError, match="fit it again"):
        ClassicalModel.load(path)
    path.write_bytes(b"not a model")
    with pytest.raises(UntrustedModelError, match="is not a saved classical model"):
        ClassicalModel.load(path)


@pytest.mark.parametrize("name", ["decision_tree", "random_forest", "gradient_boosting"])
@pytest.mark.parametrize("attack", ["outside", "backwards", "column"])
def test_invalid_tree_nodes_raise(fitted, tmp_path, name, attack):
    """skops checks types only; scikit-learn would read out of bounds."""
    path = tmp_path / "model.skops"
    fitted(name, "binary").save(path)
    _tamper(path, attack)
    with pytest.raises(UntrustedModelError, match="out of bounds"):
        ClassicalModel.load(path)


def _tamper(path: Path, attack: str) -> None:
    """Modify the node arrays inside the archive, as an attacker would."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    tampered = 0
    for name, content in files.items():
        if not name.endswith(".npy"):
            continue
        nodes = _npy(content)
        if nodes.dtype.names is None:
            continue
        left, column = ("left_child", "feature") if "left_child" in nodes.dtype.names else ("left", "feature_idx")
        nodes[column if attack == "column" else left][0] = {"outside": 10**6, "backwards": 0, "column": 10**6}[attack]
        files[name] = _bytes(nodes)
        tampered += 1
    assert tampered
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def _npy(content: bytes) -> np.ndarray:
    from io import BytesIO

    return np.load(BytesIO(content), allow_pickle=False).copy()


def _bytes(array: np.ndarray) -> bytes:
    from io import BytesIO

    buffer = BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def test_file_contains_no_pickle(fitted, tmp_path):
    fitted("gradient_boosting", "binary").save(tmp_path / "model.skops")
    with zipfile.ZipFile(tmp_path / "model.skops") as archive:
        assert all(name.endswith((".npy", ".json", ".npz")) for name in archive.namelist())
        assert json.loads(archive.read("schema.json"))
        for name in archive.namelist():
            if name.endswith(".npy"):
                _npy(archive.read(name))  # raises for object arrays, which need pickle
