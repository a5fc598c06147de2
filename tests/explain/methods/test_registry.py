"""Every method satisfies the common interface."""

import numpy as np
import pytest

from polyclinic.explain.attribution import Attribution
from polyclinic.explain.methods.registry import EXPLAINERS, attribute
from polyclinic.explain.sample import ExplanationError
from polyclinic.models.bundle.bundle import BundleError
from tests.explain.conftest import empty

TASK = "demo_deterioration"
OPTIONS = {"integrated_gradients": {"most_steps": 9}, "attention_rollout": {"modality": "note"}}


@pytest.fixture
def subject(bundle, other_bundle, sample_of):
    """A bundle that a method can explain, and a sample with all of its inputs."""

    def chosen(method):
        chosen = other_bundle("sentences") if method == "attention_rollout" else bundle
        return chosen, next(one for one in (sample_of(chosen, n) for n in range(24)) if one.present == chosen.inputs)

    return chosen


@pytest.mark.parametrize("method", EXPLAINERS)
def test_every_method_names_itself_and_scores_only_present_inputs(subject, method):
    bundle, sample = subject(method)
    found = attribute(bundle, sample, TASK, method=method, **OPTIONS.get(method, {}))
    assert isinstance(found, Attribution)
    assert (found.method, found.task, found.output) == (method, TASK, "yes")
    assert (found.subject_id, found.prediction_time) == (sample.subject_id, sample.prediction_time)
    assert found.by_modality
    assert set(found.by_modality) <= set(sample.present)
    assert np.isfinite(list(found.by_modality.values())).all()
    assert (found.completeness is None) == (found.baseline is None) == (method != "integrated_gradients")


@pytest.mark.parametrize("method", EXPLAINERS)
def test_every_method_is_deterministic(subject, method):
    options = OPTIONS.get(method, {})
    bundle, sample = subject(method)
    one, other = (attribute(bundle, sample, TASK, method=method, **options) for _ in range(2))
    assert one.by_modality == other.by_modality


@pytest.mark.parametrize("method", EXPLAINERS)
def test_every_method_rejects_what_it_cannot_explain(bundle, with_inputs, method):
    with pytest.raises(BundleError, match="has no task"):
        attribute(bundle, with_inputs(), "sepsis", method=method)
    with pytest.raises(ExplanationError, match="has no output"):
        attribute(bundle, with_inputs(), TASK, "no", method=method)
    with pytest.raises(ExplanationError, match="nothing is known"):
        attribute(bundle, empty(with_inputs()), TASK, method=method)


def test_an_unknown_method_lists_the_choices(bundle, with_inputs):
    with pytest.raises(ExplanationError, match="unknown method 'lime': choose from integrated_gradients, grad_cam"):
        attribute(bundle, with_inputs(), TASK, method="lime")
