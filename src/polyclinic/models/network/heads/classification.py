"""Heads that answer with probabilities of classes or labels."""

from jaxtyping import Float
from torch import Tensor

from polyclinic.models.network.heads.head import Head, log_odds


class BinaryHead(Head):
    """One logit; the probability of the event."""

    def activate(self, logits: Float[Tensor, "... 1"]) -> Float[Tensor, "... 1"]:
        """Give the probability."""
        return logits.sigmoid()

    def logits_of(self, rates: Float[Tensor, " output"]) -> Float[Tensor, " output"]:
        """Give the logit of the rate."""
        return log_odds(rates)


class MultilabelHead(BinaryHead):
    """One logit for each label; any number of labels may hold."""


class MulticlassHead(Head):
    """One logit for each class; exactly one class holds."""

    def activate(self, logits: Float[Tensor, "... class"]) -> Float[Tensor, "... class"]:
        """Give the probabilities, which add up to 1."""
        return logits.softmax(dim=-1)

    def logits_of(self, rates: Float[Tensor, " class"]) -> Float[Tensor, " class"]:
        """Give logits whose softmax is the rates."""
        return rates.clamp_min(1e-3).log()
