"""Losses of each kind of task, over the observed samples only.

Sources: discrete-time survival likelihood, Gensheimer & Narasimhan 2019 (arXiv 1805.00917); weights of several tasks
by learnt uncertainty, Kendall et al. 2018 (arXiv 1705.07115).
"""

from collections.abc import Callable, Mapping
from typing import cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from polyclinic.models.network.heads import Head, RegressionHead, TimeToEventHead


def binary_loss(
    head: Head, logits: Float[Tensor, "row label"], values: Float[Tensor, "row label"]
) -> Float[Tensor, "row label"]:
    """Cross-entropy of each label; a positive weighs `positive_weight` times a negative."""
    weight = logits.new_tensor(head.config.positive_weight)
    return functional.binary_cross_entropy_with_logits(logits, values, pos_weight=weight, reduction="none")


def multiclass_loss(
    head: Head,  # noqa: ARG001
    logits: Float[Tensor, "row class"],
    values: Float[Tensor, "row class"],
) -> Float[Tensor, " row"]:
    """Cross-entropy; `values` is one-hot."""
    return functional.cross_entropy(logits, values, reduction="none")


def regression_loss(
    head: Head, logits: Float[Tensor, "row output"], values: Float[Tensor, "row output"]
) -> Float[Tensor, "row output"]:
    """Huber loss in units of the training targets' spread, robust to outliers."""
    return functional.smooth_l1_loss(logits, cast(RegressionHead, head).standardise(values), reduction="none")


def time_to_event_loss(
    head: Head, logits: Float[Tensor, "row bin"], values: Float[Tensor, "row 2"]
) -> Float[Tensor, " row"]:
    """Negative log-likelihood of discrete hazards; `values` holds the duration and 1 for an event, 0 for censoring.

    A sample counts in the bins that it is known to have survived, and in the bin of its event. A sample censored
    within a bin has survived it if it was followed for at least half of it.
    """
    ends = cast(TimeToEventHead, head).ends
    starts = torch.cat([ends.new_zeros(1), ends[:-1]])
    duration, event = values[:, :1], values[:, 1:] > 0.5
    at_event = event & (duration <= ends) & (duration > starts)
    at_event |= event & (duration <= 0) & (starts == 0)
    survived = torch.where(event, duration > ends, duration >= (starts + ends) / 2)
    log_likelihood = functional.logsigmoid(torch.where(at_event, logits, -logits))
    return -log_likelihood.masked_fill(~(at_event | survived), 0).sum(dim=1)


LOSSES: Mapping[str, Callable[[Head, Tensor, Tensor], Tensor]] = {
    "binary": binary_loss,
    "multiclass": multiclass_loss,
    "multilabel": binary_loss,
    "regression": regression_loss,
    "time_to_event": time_to_event_loss,
}


def task_loss(
    head: Head,
    logits: Float[Tensor, "batch output"],
    values: Float[Tensor, "batch number"],
    observed: Bool[Tensor, " batch"],
) -> Float[Tensor, ""]:
    """Return the mean loss over the observed samples; 0 where there are none."""
    losses = LOSSES[head.config.kind](head, logits[observed], values[observed])
    return losses.sum() / max(1, losses.numel())


def divergence(
    head: Head, teacher: Float[Tensor, "batch output"], student: Float[Tensor, "batch output"]
) -> Float[Tensor, ""]:
    """Return KL(stop-gradient(teacher) ‖ student), averaged over the batch; for regression the squared distance."""
    teacher = teacher.detach()
    match head.config.kind:
        case "multiclass":
            log_student, log_teacher = student.log_softmax(-1), teacher.log_softmax(-1)
            return functional.kl_div(log_student, log_teacher, log_target=True, reduction="batchmean")
        case "regression":
            return functional.mse_loss(student, teacher)
        case _:
            p = teacher.sigmoid()
            positive = functional.logsigmoid(teacher) - functional.logsigmoid(student)
            negative = functional.logsigmoid(-teacher) - functional.logsigmoid(-student)
            return (p * positive + (1 - p) * negative).mean()


class UncertaintyBalance(nn.Module):
    """Weights the losses of several tasks by learnt uncertainties: Σ exp(−s) · loss + s; a single loss is unchanged."""

    def __init__(self, tasks: list[str]) -> None:
        super().__init__()
        self.tasks = tasks
        self.log_variance = nn.Parameter(torch.zeros(len(tasks)))

    def forward(self, losses: Mapping[str, Tensor]) -> Float[Tensor, ""]:
        """Return the weighted sum."""
        if len(self.tasks) == 1:
            return losses[self.tasks[0]]
        stacked = torch.stack([losses[task] for task in self.tasks])
        return ((-self.log_variance).exp() * stacked + self.log_variance).sum()
