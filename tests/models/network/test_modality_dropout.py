import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.models import modality_dropout


@given(
    rows=st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=8),
    p=st.floats(0, 1),
    seed=st.integers(0, 1000),
)
def test_drops_only_present_modalities_and_never_the_last(rows, p, seed):
    present = torch.tensor(rows)
    kept = modality_dropout(present, p, torch.Generator().manual_seed(seed))
    assert not (kept & ~present).any()
    assert torch.equal(kept.any(dim=1), present.any(dim=1))
    assert torch.equal(kept, modality_dropout(present, p, torch.Generator().manual_seed(seed)))


def test_drop_rate():
    present = torch.ones(20_000, 4, dtype=torch.bool)
    kept = modality_dropout(present, 0.3, torch.Generator().manual_seed(0))
    # If all four are dropped, in 0.3⁴ of the samples, one is restored.
    assert (~kept).float().mean().item() == pytest.approx(0.3 - 0.3**4 / 4, abs=0.005)


def test_restored_modality_is_random():
    kept = modality_dropout(torch.ones(9_000, 3, dtype=torch.bool), 1.0, torch.Generator().manual_seed(0))
    assert (kept.sum(dim=1) == 1).all()
    assert kept.float().mean(dim=0).tolist() == pytest.approx([1 / 3] * 3, abs=0.02)


def test_zero_drops_nothing_and_invalid_probability_raises():
    present = torch.tensor([[True, False]])
    assert torch.equal(modality_dropout(present, 0.0), present)
    with pytest.raises(ValueError, match="must be in"):
        modality_dropout(present, 1.5)
