"""Head for regression."""

import torch
from jaxtyping import Float
from torch import Tensor

from polyclinic.models.network.config import HeadConfig
from polyclinic.models.network.heads.head import Head


class RegressionHead(Head):
    """One number per output; logits and loss are standardised by `location` and `scale`.

    Both are those of the training targets, and saved with the weights.
    """

    location: Tensor
    scale: Tensor

    def __init__(self, config: HeadConfig, width: int) -> None:
        super().__init__(config, width)
        self.register_buffer("location", torch.zeros(config.outputs))
        self.register_buffer("scale", torch.ones(config.outputs))

    def activate(self, logits: Float[Tensor, "... output"]) -> Float[Tensor, "... output"]:
        """Return the estimates in the target's unit."""
        return logits * self.scale + self.location

    def standardise(self, targets: Float[Tensor, "... output"]) -> Float[Tensor, "... output"]:
        """Convert targets to logits: the inverse of `activate`."""
        return (targets - self.location) / self.scale

    def fit_scale(self, targets: Float[Tensor, "sample output"]) -> None:
        """Fit location and scale to observed training targets; a constant target has scale 1."""
        spread = targets.std(dim=0, correction=0)
        self.location.copy_(targets.mean(dim=0))
        self.scale.copy_(torch.where(spread > 0, spread, 1.0))

    def logits_of(self, rates: Float[Tensor, " output"]) -> Float[Tensor, " output"]:
        """Return the logits of mean targets."""
        return self.standardise(rates)
