import numpy as np
import pytest

from polyclinic.models.ensemble.link_functions import LINKS, observed_targets
from polyclinic.models.network.heads import HeadConfig, build_head

ANSWERS = {
    "binary": np.array([[0.2], [0.9]]),
    "multilabel": np.array([[0.2, 0.5], [0.9, 0.1]]),
    "multiclass": np.array([[0.2, 0.5, 0.3], [0.9, 0.05, 0.05]]),
    "regression": np.array([[-20.0], [3.5]]),
    "time_to_event": np.array([[0.1, 0.1, 0.6], [0.0, 0.4, 0.9]]),
}


@pytest.mark.parametrize("kind", LINKS)
def test_links_are_invertible(kind):
    link = LINKS[kind]
    np.testing.assert_allclose(link.answers(link.scores(ANSWERS[kind])), ANSWERS[kind], atol=1e-5)


@pytest.mark.parametrize("kind", [kind for kind in LINKS if kind != "regression"])
def test_probabilities_of_0_and_1_have_finite_scores(kind):
    certain = np.ones_like(ANSWERS[kind])
    certain[:, 0] = kind == "binary"
    assert np.isfinite(LINKS[kind].scores(certain)).all()
    assert np.isfinite(LINKS[kind].scores(1 - certain)).all()


def test_scores_equal_the_heads_logits():
    import torch

    for kind, extra in (("binary", {}), ("time_to_event", {"outputs": 3, "bins": (1.0, 2.0, 4.0)})):
        head = build_head(HeadConfig(kind=kind, **extra), 4)
        logits = torch.randn(5, head.config.outputs, generator=torch.Generator().manual_seed(0)).double()
        np.testing.assert_allclose(LINKS[kind].scores(head.activate(logits).numpy()), logits.numpy(), atol=1e-9)


def test_known_bins_of_time_to_event():
    targets = np.array([[1.5, 1], [1.5, 0], [1.4, 0], [9.0, 1], [2.0, 1]])
    what = observed_targets("time_to_event", targets, np.array([True, True, True, True, False]), bins=(1.0, 2.0, 4.0))
    assert what.happened.tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 1, 0]]
    known = [[True, True, False], [True, True, False], [True, False, False], [True, True, True], [False] * 3]
    assert what.known.tolist() == known
