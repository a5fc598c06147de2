"""Series on a grid: GRU-D (Che 2018, arXiv 1606.01865)."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from polyclinic.models.network.config import SeriesSizes
from polyclinic.models.network.encoders.encoder import Encoder
from polyclinic.models.network.layers import Dropout, initialise
from polyclinic.models.network.tokens import Tokens

HOURS = 24.0
"""Times are converted to days, to be of similar size as the other inputs."""


class GRUD(Encoder):
    """A gated recurrent network in which values decay to their mean until measured again, as does the state.

    x̂ = m·x + (1 − m)·(γx·x_last + (1 − γx)·x̄) with γ = exp(−max(0, W·δ + b)), δ the time since the last measurement;
    x̄ is 0, since the featurizer standardises. The input decay is diagonal, the state decay full, as in the paper.
    Only h ← (1 − z)·ĥ + z·h̃ is sequential; the rest is computed for the whole sequence at once. The reset gate applies
    to U·h, as in cuDNN's GRU, so that a step has one matrix product.

    Returns the last state and the mean state as tokens.
    """

    modality = "series"
    reads = ("grid_value", "grid_mask", "grid_since")

    def __init__(self, sizes: SeriesSizes, width: int, dropout: float) -> None:
        super().__init__()
        self.input_decay_weight = nn.Parameter(torch.full((sizes.channels,), 0.1))
        self.input_decay_bias = nn.Parameter(torch.zeros(sizes.channels))
        self.state_decay = nn.Linear(sizes.channels, width)
        self.inputs = nn.Linear(2 * sizes.channels, 3 * width)
        self.recurrent = nn.Linear(width, 3 * width)
        self.dropout = Dropout(dropout)
        self.norm = nn.LayerNorm(width)
        self.apply(initialise)

    def forward(
        self,
        grid_value: Float[Tensor, "batch step channel"],
        grid_mask: Bool[Tensor, "batch step channel"],
        grid_since: Float[Tensor, "batch step channel"],
    ) -> Tokens:
        """Encode; masked values count as not measured."""
        days = grid_since / HOURS
        remaining = torch.exp(-functional.relu(self.input_decay_weight * days + self.input_decay_bias))
        carried = carry_forward(grid_value, grid_mask)
        inputs = torch.where(grid_mask, carried, remaining * carried)
        gates = self.inputs(self.dropout(torch.cat([inputs, grid_mask.to(inputs.dtype)], dim=2)))
        decays = torch.exp(-functional.relu(self.state_decay(days)))
        states = self._recur(gates, decays)
        tokens = self.norm(torch.stack([states[:, -1], states.mean(dim=1)], dim=1))
        return Tokens(tokens, grid_mask.new_ones(tokens.shape[:2]))

    def _recur(
        self, gates: Float[Tensor, "batch step 3*width"], decays: Float[Tensor, "batch step width"]
    ) -> Float[Tensor, "batch step width"]:
        width = decays.shape[2]
        weight, bias = self.recurrent.weight.t(), self.recurrent.bias
        state = decays.new_zeros(len(decays), width)
        states = []
        for gate, decay in zip(gates.unbind(1), decays.unbind(1), strict=True):
            state = state * decay
            from_state = torch.addmm(bias, state, weight)
            update, reset = torch.sigmoid(gate[:, : 2 * width] + from_state[:, : 2 * width]).chunk(2, dim=1)
            candidate = torch.tanh(torch.addcmul(gate[:, 2 * width :], reset, from_state[:, 2 * width :]))
            state = torch.lerp(state, candidate, update)
            states.append(state)
        return torch.stack(states, dim=1)


def carry_forward(
    values: Float[Tensor, "batch step channel"], mask: Bool[Tensor, "batch step channel"]
) -> Float[Tensor, "batch step channel"]:
    """Carry each channel's last measurement forward; 0, the mean, before the first."""
    steps = torch.arange(values.shape[1], device=values.device)[None, :, None]
    last_step = torch.where(mask, steps, -1).cummax(dim=1).values
    carried = values.masked_fill(~mask, 0).gather(1, last_step.clamp_min(0))
    return carried.masked_fill(last_step < 0, 0)
