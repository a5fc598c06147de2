import pytest
import torch
from torch import nn

from polyclinic.models import HeadConfig
from polyclinic.models.network.heads import build_head
from polyclinic.training.network.losses import LOSSES, UncertaintyBalance, divergence, task_loss, time_to_event_loss

CONFIGS = {
    "binary": HeadConfig(kind="binary"),
    "multiclass": HeadConfig(kind="multiclass", outputs=3),
    "multilabel": HeadConfig(kind="multilabel", outputs=2),
    "regression": HeadConfig(kind="regression"),
    "time_to_event": HeadConfig(kind="time_to_event", outputs=3, bins=(1.0, 2.0, 4.0)),
}


def targets(kind: str, rows: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    match kind:
        case "multiclass":
            return torch.eye(3)[torch.randint(3, (rows,), generator=generator)]
        case "regression":
            return torch.randn(rows, 1, generator=generator)
        case "time_to_event":
            return torch.stack([torch.rand(rows, generator=generator) * 5, torch.arange(rows) % 2 * 1.0], dim=1)
        case _:
            return torch.randint(2, (rows, CONFIGS[kind].outputs), generator=generator).float()


@pytest.mark.parametrize("kind", LOSSES)
def test_unobserved_samples_have_no_influence_and_no_gradient(kind):
    head, values = build_head(CONFIGS[kind], 8), targets(kind, 6)
    observed = torch.tensor([True, True, False, True, False, False])
    logits = torch.randn(6, CONFIGS[kind].outputs, requires_grad=True)
    spoiled = values.clone()
    spoiled[~observed] = torch.nan
    loss = task_loss(head, logits, spoiled, observed)
    loss.backward()
    torch.testing.assert_close(loss, task_loss(head, logits[observed], values[observed], observed[observed]))
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad[~observed] == 0).all()


@pytest.mark.parametrize("kind", LOSSES)
def test_loss_is_zero_without_observed_samples(kind):
    head = build_head(CONFIGS[kind], 8)
    logits = torch.randn(4, CONFIGS[kind].outputs, requires_grad=True)
    assert task_loss(head, logits, targets(kind, 4), torch.zeros(4, dtype=torch.bool)) == 0


def test_survival_likelihood_follows_from_the_hazards():
    head = build_head(CONFIGS["time_to_event"], 8)
    logits = torch.tensor([[0.3, -0.5, 1.0]])
    hazard = logits.sigmoid()[0]
    event_in_second = time_to_event_loss(head, logits, torch.tensor([[1.5, 1.0]]))
    torch.testing.assert_close(event_in_second[0], -((1 - hazard[0]) * hazard[1]).log())
    censored_late_in_third = time_to_event_loss(head, logits, torch.tensor([[3.5, 0.0]]))
    torch.testing.assert_close(censored_late_in_third[0], -(1 - hazard).prod().log())
    censored_early_in_second = time_to_event_loss(head, logits, torch.tensor([[1.1, 0.0]]))
    torch.testing.assert_close(censored_early_in_second[0], -(1 - hazard[0]).log())
    event_at_once = time_to_event_loss(head, logits, torch.tensor([[0.0, 1.0]]))
    torch.testing.assert_close(event_at_once[0], -hazard[0].log())


@pytest.mark.parametrize("kind", LOSSES)
def test_divergence_from_itself_is_zero_and_gradients_reach_only_the_student(kind):
    head = build_head(CONFIGS[kind], 8)
    teacher = torch.randn(5, CONFIGS[kind].outputs, requires_grad=True)
    student = torch.randn(5, CONFIGS[kind].outputs, requires_grad=True)
    torch.testing.assert_close(divergence(head, teacher, teacher), torch.tensor(0.0))
    distance = divergence(head, teacher, student)
    distance.backward()
    assert distance > 0
    assert teacher.grad is None
    assert student.grad is not None


def test_a_single_task_keeps_its_weight_and_a_noisy_task_loses_weight():
    assert UncertaintyBalance(["a"])({"a": torch.tensor(2.0)}) == 2
    balance = UncertaintyBalance(["easy", "noisy"])
    optimiser = torch.optim.SGD(balance.parameters(), lr=0.1)
    for _ in range(200):
        optimiser.zero_grad()
        balance({"easy": torch.tensor(0.1), "noisy": torch.tensor(5.0)}).backward()
        nn.utils.clip_grad_norm_(balance.parameters(), 1)
        optimiser.step()
    easy, noisy = (-balance.log_variance).exp()
    assert easy > noisy
