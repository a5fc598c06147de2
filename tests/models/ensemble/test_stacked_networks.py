from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from polyclinic.models import ENCODERS, FUSIONS, UnifiedModel
from polyclinic.models.ensemble.stacked_networks import StackedNetworks
from tests.models.inputs import SMALL, batch, encoder_config, model_config

DEFAULTS = {modality: encoder_config(modality, next(iter(names))) for modality, names in ENCODERS.items()}
MIXED = torch.tensor(
    [
        [True, True, True, True, True],
        [True, False, True, False, True],
        [False, True, False, False, False],
        [False, False, False, False, False],
    ]
)


def networks(number=3, **changes):
    made = []
    for seed in range(number):
        torch.manual_seed(seed)
        made.append(UnifiedModel(model_config(**changes)).eval())
        made[-1].head("stay").location.fill_(seed)  # of the training targets of each fold
    return made


def assert_equal_outputs(members, inputs):
    stacked_outputs = StackedNetworks(members)(inputs)
    with torch.inference_mode():
        separate = [member.probabilities(member(inputs)) for member in members]
    assert stacked_outputs.keys() == separate[0].keys()
    for task, stacked_output in stacked_outputs.items():
        torch.testing.assert_close(stacked_output, torch.stack([one[task] for one in separate]), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_stacked_networks_equal_separate_networks(fusion):
    members = networks(fusion=fusion)
    assert_equal_outputs(members, batch(4, present=MIXED))
    for row in range(4):
        assert_equal_outputs(members, batch(1, seed=row, present=MIXED[row : row + 1]))


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize(("modality", "name"), SMALL)
def test_stackable_encoders_support_vmap(modality, name):
    members = networks(encoders=DEFAULTS | {modality: encoder_config(modality, name)})
    if StackedNetworks.supports(members):
        assert_equal_outputs(members, batch(4, present=MIXED))
    else:
        with pytest.raises(RuntimeError, match="vmap"):
            StackedNetworks(members)(batch(4))


def test_stacked_networks_are_thread_safe():
    members = networks()
    stacked, inputs = StackedNetworks(members), [batch(1, seed=seed) for seed in range(8)]
    separate = [stacked(one)["died"] for one in inputs]
    with ThreadPoolExecutor(4) as pool:
        stacked_output = list(pool.map(lambda one: stacked(one)["died"], inputs * 4))
    assert all(torch.equal(one, other) for one, other in zip(separate * 4, stacked_output, strict=True))


def test_frozen_tensors_are_stored_once():
    members = networks()
    for member in members:
        member.encoder("structured").requires_grad_(False)
    state = members[0].encoder("structured").state_dict()
    for member in members:
        member.encoder("structured").load_state_dict(state)
    stacked = {name for name in StackedNetworks(members)._stacked if "structured" in name}
    assert not stacked
    assert_equal_outputs(members, batch(2))
