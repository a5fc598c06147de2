import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from polyclinic.demo.best_possible import auroc, oracle


def test_auroc_equals_scikit_learns_with_ties():
    rng = np.random.default_rng(0)
    score, positive = rng.integers(0, 9, 500).astype(float), rng.random(500) < 0.3
    assert auroc(score, positive) == pytest.approx(roc_auc_score(positive, score), abs=1e-12)


def test_a_single_class_is_rejected():
    with pytest.raises(ValueError, match="make more patients"):
        auroc(np.arange(3.0), np.zeros(3, bool))


def test_oracle_reads_the_folder_and_prints_all_subsets(demo):
    found = oracle(demo.truth)
    assert found == oracle(pl.read_parquet(demo.truth / "patients.parquet"))
    assert len(found.auroc) == 15
    assert "structured + series + note + image" in str(found)


def test_missing_modalities_reduce_discrimination(truth):
    found = oracle(truth)
    assert found.auroc_recorded < found.auroc["structured", "series", "note", "image"] - 0.01
    assert found.naive_difference > 0 > found.average_effect
