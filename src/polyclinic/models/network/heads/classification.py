"""Heads for classification."""

from jaxtyping import Float
from torch import Tensor

from polyclinic.models.network.heads.head import Head, log_odds


class BinaryHead(Head):
    """One logit; predicts the probability of the event."""

    def activate(self, logits: Float[Tensor, "... 1"]) -> Float[Tensor, "... 1"]:
        """Return the probability."""
        return logits.sigmoid()

    def logits_of(self, rates: Float[Tensor, " output"]) -> Float[Tensor, " output"]:
        """Return the logit of the rate."""
        return log_odds(rates)


class MultilabelHead(BinaryHead):
    """One logit per label; labels are not exclusive."""


class MulticlassHead(Head):
    """One logit per class; classes are exclusive."""

    def activate(self, logits: Float[Tensor, "... class"]) -> Float[Tensor, "... class"]:
        """Return the probabilities, which add up to 1."""
        return logits.softmax(dim=-1)

    def logits_of(self, rates: Float[Tensor, " class"]) -> Float[Tensor, " class"]:
        """Return logits whose softmax is `rates`."""
        return rates.clamp_min(1e-3).log()
