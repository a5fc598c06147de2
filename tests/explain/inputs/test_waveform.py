import numpy as np
import pytest
import torch

from polyclinic.explain.inputs.waveform import WaveformInput, waveform_parts
from polyclinic.features.waveform.leads import LEADS
from polyclinic.models.network.config import WaveformSizes
from polyclinic.models.network.encoders.xresnet1d import XResNet1d
from tests.models.inputs import encode, pooled

TIME, HZ = 160, 100.0


@pytest.fixture
def arrays():
    """One sample, the second of whose three recordings is padding; lead V6 is missing."""
    random = np.random.default_rng(0)
    valid = np.ones((1, 3, 12, TIME), dtype=bool)
    valid[:, 1], valid[:, :, 11], valid[0, 2, 0, 20:40] = False, False, False
    signal = np.where(valid, random.standard_normal(valid.shape), 0).astype(np.float16)
    return {
        "present": np.ones(1, dtype=bool),
        "signal": signal,
        "valid": valid,
        "log_scale": random.standard_normal((1, 3, 12)).astype(np.float32),
        "age_hours": np.array([[2, 0, 5]], dtype=np.float32),
        "age_known": np.array([[True, False, False]]),
        "blob": np.array([["a", "", "b"]]),
    }


@pytest.fixture
def network():
    torch.manual_seed(0)
    return XResNet1d(WaveformSizes(leads=12), 16, 0.0, stem=8, channels=(8, 12)).eval()


def test_the_end_of_the_path_is_what_the_encoder_reads(arrays, network):
    input_ = WaveformInput(arrays, HZ)
    read = {name: torch.from_numpy(array) for name, array in arrays.items() if name in network.reads}
    whole = pooled(encode(network, read))
    own = pooled(encode(network, input_.tensors(input_.end[None])))
    torch.testing.assert_close(own[0], whole[0, [0, 1, 4, 5]])
    assert not input_.start.any()


def test_scores_add_up_to_the_difference_and_are_0_where_nothing_was_recorded(arrays, network):
    input_, steps = WaveformInput(arrays, HZ), 600
    even = (torch.arange(steps) + 0.5) / steps
    shares, weights = even**3, 3 * even**2 / steps  # denser towards the flat line, where gradients change most

    def output(x):
        return pooled(encode(network, input_.tensors(x))).sum(dim=1) @ torch.linspace(-1, 1, 16)

    gradient = torch.zeros_like(input_.end)
    for part, weight in zip(shares.split(50), weights.split(50), strict=True):
        x = (part.view(-1, 1, 1, 1) * input_.end).requires_grad_()
        gradient += torch.autograd.grad(output(x) @ weight, x)[0].sum(dim=0)
    scores = gradient * (input_.end - input_.start)
    with torch.no_grad():
        difference = float(output(input_.end[None])[0] - output(input_.start[None])[0])
    assert abs(difference) > 0.01
    assert float(scores.sum()) == pytest.approx(difference, rel=0.02)
    assert not scores[~input_.fixed["valid"]].any()

    first, second = waveform_parts(input_, scores, HZ)
    assert first.total + second.total == pytest.approx(float(scores.sum()), rel=1e-4)
    assert (first.blob, second.blob, first.hours) == ("a", "b", 2)
    assert np.isnan(second.hours)
    assert first.leads == second.leads == LEADS[:11]
    assert np.isnan(second.trace[0, 20:40]).all()
    millivolts = arrays["signal"][0, 0, 4].astype(float) * np.exp(arrays["log_scale"][0, 0, 4])
    np.testing.assert_allclose(first.trace[4], millivolts, rtol=1e-5)


def test_segments_are_units_that_can_be_removed(arrays):
    input_ = WaveformInput(arrays, HZ)
    units = input_.units(None)
    valid = input_.fixed["valid"].numpy()
    assert len(units) == len(np.unique(units.owner[units.owner >= 0]))
    whole = units.tensors(torch.ones(1, len(units), dtype=torch.bool))["signal"][0]
    assert torch.equal(whole, input_.end)
    none = units.tensors(torch.zeros(1, len(units), dtype=torch.bool))["signal"][0].numpy()
    assert not none[valid].any()
    scores = torch.arange(input_.end.numel(), dtype=torch.float64).reshape(input_.end.shape)
    recorded = units.owner.reshape(valid.shape) >= 0
    assert units.gathered(scores).sum() == pytest.approx(float(scores.numpy()[recorded].sum()))


def test_noise_leaves_what_was_not_recorded(arrays):
    input_ = WaveformInput(arrays, HZ)
    changed = input_.noisy(torch.Generator().manual_seed(1))
    differs = (changed.end != input_.end).numpy()
    assert differs.any()
    assert not differs[~input_.fixed["valid"].numpy()].any()
