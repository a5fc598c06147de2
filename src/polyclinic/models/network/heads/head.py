"""Base class of heads."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polyclinic.models.network.config import HeadConfig


class Head(nn.Module):
    """Latent → one task's logits, by one linear layer.

    Linear, so that the logits of a mean latent are the mean logits (see late fusion). The loss is in `training`.
    """

    def __init__(self, config: HeadConfig, width: int) -> None:
        super().__init__()
        self.config = config
        self.linear = nn.Linear(width, config.outputs)
        nn.init.normal_(self.linear.weight, std=0.02)
        nn.init.zeros_(self.linear.bias)

    def forward(self, latent: Float[Tensor, "batch width"]) -> Float[Tensor, "batch output"]:
        """Return the logits."""
        logits: Tensor = self.linear(latent)
        return logits

    def activate(self, logits: Float[Tensor, "... output"]) -> Float[Tensor, "... output"]:
        """Convert logits to probabilities or estimates."""
        raise NotImplementedError

    def start_at(self, rates: Float[Tensor, " output"]) -> None:
        """Initialise the bias, e.g. by the rate of the outcome in training subjects."""
        with torch.no_grad():
            self.linear.bias.copy_(self.logits_of(rates.to(self.linear.bias)))

    def logits_of(self, rates: Float[Tensor, " output"]) -> Float[Tensor, " output"]:
        """Return the logits that `activate` turns into `rates`."""
        raise NotImplementedError


def log_odds(rates: Tensor) -> Tensor:
    """Return the logit of each rate, clipped to 0.001 … 0.999."""
    return torch.logit(rates, eps=1e-3)
