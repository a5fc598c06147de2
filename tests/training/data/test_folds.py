import numpy as np
import pytest

from polyclinic.study import StudyError
from polyclinic.training.data.folds import folds


def test_folds_keep_groups_together_and_validate_every_row_once():
    groups = np.repeat(np.arange(40), 3)
    strata = np.tile([0, 1, 0], 40)
    validated = []
    for fold in folds(groups, strata, 5, seed=0):
        assert not set(groups[fold.training]) & set(groups[fold.validation])
        validated.append(fold.validation)
    assert sorted(np.concatenate(validated)) == list(range(120))


def test_folds_are_stratified_by_a_rare_class():
    strata = (np.arange(200) % 10 == 0).astype(int)
    shares = [strata[fold.validation].mean() for fold in folds(np.arange(200), strata, 5, seed=1)]
    assert shares == pytest.approx([0.1] * 5)


def test_too_few_subjects_are_refused():
    with pytest.raises(StudyError, match="3 subjects are too few for 5 folds"):
        list(folds(np.array([1, 1, 2, 3]), np.zeros(4, int), 5, seed=0))
