"""Trees of every kind, fitted to three classes with missing values."""

import numpy as np
from lightgbm import LGBMClassifier
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import DecisionTreeClassifier

COLUMNS = 4
ESTIMATORS = {
    "tree": lambda: DecisionTreeClassifier(max_depth=5, random_state=0),
    "forest": lambda: RandomForestClassifier(6, random_state=0),
    "regression": lambda: RandomForestRegressor(6, random_state=0),
    "boosting": lambda: HistGradientBoostingClassifier(max_iter=6, min_samples_leaf=4, random_state=0),
    "boosting, random thresholds": lambda: LGBMClassifier(
        n_estimators=6, min_child_samples=4, extra_trees=True, n_jobs=1, verbose=-1
    ),
    "boosted regression": lambda: HistGradientBoostingRegressor(max_iter=6, min_samples_leaf=4, random_state=0),
}
CLASSES = 3
"""Of classifiers: boosting has as many scores."""


def fitted_trees():
    """Return each estimator and the matrix that it was fitted to."""
    random = np.random.default_rng(0)
    x = random.normal(size=(200, COLUMNS)).astype(np.float32).astype(np.float64)
    x[random.random(x.shape) < 0.2] = np.nan
    signs, large = np.nan_to_num(x[:, 0]) * np.nan_to_num(x[:, 1], nan=1.0) > 0, np.nan_to_num(x[:, 2]) > 0.5
    y = signs.astype(int) + large
    assert len(np.unique(y)) == CLASSES
    return {name: (make().fit(x, y), x) for name, make in ESTIMATORS.items()}


def score_count(name):
    """Return the number of scores to which the trees belong in turn."""
    return CLASSES if name.startswith("boosting") else 1
