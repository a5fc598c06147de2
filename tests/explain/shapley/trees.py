"""Trees of every kind, fitted to three classes with missing values."""

import numpy as np
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.tree import DecisionTreeClassifier

COLUMNS = 4
FEW = {"n_estimators": 6, "min_child_samples": 4, "n_jobs": 1, "verbose": -1}
ESTIMATORS = {
    "tree": lambda: DecisionTreeClassifier(max_depth=5, random_state=0),
    "forest": lambda: RandomForestClassifier(6, random_state=0),
    "regression": lambda: RandomForestRegressor(6, random_state=0),
    "boosting": lambda: LGBMClassifier(**FEW),
    "boosting, random thresholds": lambda: LGBMClassifier(**FEW, extra_trees=True),
    "boosted regression": lambda: LGBMRegressor(**FEW),
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
