"""What every head promises."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polyclinic.models.network.config import HeadConfig


class Head(nn.Module):
    """Latent → one task's logits, by one linear layer; what the logits mean is the kind's matter.

    The layer is linear so that the mean of several latents has the mean of their logits (see late fusion). The loss
    lives in `training`.
    """

    def __init__(self, config: HeadConfig, width: int) -> None:
        super().__init__()
        self.config = config
        self.linear = nn.Linear(width, config.outputs)
        nn.init.normal_(self.linear.weight, std=0.02)
        nn.init.zeros_(self.linear.bias)

    def forward(self, latent: Float[Tensor, "batch width"]) -> Float[Tensor, "batch output"]:
        """Give the logits."""
        logits: Tensor = self.linear(latent)
        return logits

    def activate(self, logits: Float[Tensor, "... output"]) -> Float[Tensor, "... output"]:
        """Turn logits into probabilities or estimates."""
        raise NotImplementedError

    def start_at(self, rates: Float[Tensor, " output"]) -> None:
        """Begin with what is known without any input, e.g. the rate of the outcome in training subjects."""
        with torch.no_grad():
            self.linear.bias.copy_(self.logits_of(rates.to(self.linear.bias)))

    def logits_of(self, rates: Float[Tensor, " output"]) -> Float[Tensor, " output"]:
        """Give the logits that `activate` turns into `rates`."""
        raise NotImplementedError


def log_odds(rates: Tensor) -> Tensor:
    """Give the logit of each rate, kept 0.1 % away from 0 and 1."""
    return torch.logit(rates, eps=1e-3)
