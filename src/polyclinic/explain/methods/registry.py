"""Attribution methods behind one interface. To add one: its module, and this table."""

from collections.abc import Callable, Mapping
from typing import Any

from polyclinic.explain.attribution import Attribution
from polyclinic.explain.methods.attention_rollout import ROLLOUT, attention_rollout
from polyclinic.explain.methods.grad_cam import GRAD_CAM, grad_cam
from polyclinic.explain.methods.integrated_gradients import METHOD, integrated_gradients
from polyclinic.explain.methods.saliency_maps import MAP_GRADIENTS, saliency_map
from polyclinic.explain.sample import ExplanationError, Sample
from polyclinic.models.bundle.bundle import Bundle

EXPLAINERS: Mapping[str, Callable[..., Attribution]] = {
    METHOD: integrated_gradients,
    GRAD_CAM: grad_cam,
    ROLLOUT: attention_rollout,
    MAP_GRADIENTS: saliency_map,
}
"""By name; the first is the default, and the only one whose scores satisfy completeness."""


def attribute(
    bundle: Bundle, sample: Sample, task: str, output: str | None = None, *, method: str = METHOD, **options: Any
) -> Attribution:
    """Attribute one output by a method, with its own options.

    Raises:
        BundleError: the bundle does not answer the task.
        ExplanationError: there is no such method or output, nothing is present, or the method does not suit the model.
    """
    if method not in EXPLAINERS:
        raise ExplanationError(f"unknown method {method!r}: choose from {', '.join(EXPLAINERS)}")
    return EXPLAINERS[method](bundle, sample, task, output, **options)
