"""Head for survival curves: discrete-time hazards (Gensheimer & Narasimhan 2019, arXiv 1805.00917)."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from polyclinic.models.network.config import HeadConfig
from polyclinic.models.network.heads.head import Head, log_odds


class TimeToEventHead(Head):
    """One logit per time bin: the log-odds of the hazard, the risk of the event in the bin if it has not happened yet.

    Bin i runs from the end of bin i − 1 (0 for the first) to `bins[i]`, in the task's unit of time.
    """

    ends: Tensor

    def __init__(self, config: HeadConfig, width: int) -> None:
        super().__init__(config, width)
        self.register_buffer("ends", torch.tensor(config.bins), persistent=False)

    def activate(self, logits: Float[Tensor, "... bin"]) -> Float[Tensor, "... bin"]:
        """Return the cumulative risk of the event at the end of each bin; non-decreasing."""
        return 1 - self.survival(logits)

    def survival(self, logits: Float[Tensor, "... bin"]) -> Float[Tensor, "... bin"]:
        """Return the survival probability at the end of each bin: S = Π (1 − hazard), computed in logarithms."""
        return functional.logsigmoid(-logits).cumsum(dim=-1).exp()

    def logits_of(self, rates: Float[Tensor, " bin"]) -> Float[Tensor, " bin"]:
        """Return the logits of hazards."""
        return log_odds(rates)
