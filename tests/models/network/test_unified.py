import pytest
import torch
from safetensors.torch import load_file, save_file

from polyclinic.modalities import MODALITIES
from polyclinic.models import FUSIONS, Batch, ModelConfig, UnifiedModel, subsets
from tests.models.inputs import batch, inputs, invalid, model_config

MIXED = torch.tensor(
    [
        [True, True, True, True, True],
        [True, False, True, False, True],
        [False, True, False, False, False],
        [False, False, False, True, False],
    ]
)
"""Which modalities four samples have, in the order of `MODALITIES`."""


def model(fusion: str = "cross_attention", seed: int = 0, **changes) -> UnifiedModel:
    torch.manual_seed(seed)
    return UnifiedModel(model_config(fusion, **changes))


def corrupted(present: torch.Tensor) -> Batch:
    """The same batch with invalid values in every absent slot."""
    tensors = inputs(len(present))
    for place, modality in enumerate(MODALITIES):
        for tensor in tensors[modality].values():
            tensor[~present[:, place]] = invalid(tensor[~present[:, place]])
    return Batch(tensors, present)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_task_is_predicted(fusion):
    network = model(fusion).eval()
    outputs = network(batch(4, present=MIXED))
    assert {task: logits.shape[1] for task, logits in outputs.logits.items()} == {
        "died": 1,
        "ward": 3,
        "findings": 2,
        "stay": 1,
        "survival": 3,
    }
    assert outputs.latent.shape == (4, 16)
    assert outputs.unimodal["ward"].shape == (4, len(MODALITIES), 3)
    assert all(answer.isfinite().all() for answer in network.probabilities(outputs).values())


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("shortcut", [True, False])
def test_absent_values_have_no_influence(fusion, shortcut):
    network = model(fusion, shortcut=shortcut).eval()
    clean, dirty = network(batch(4, present=MIXED)), network(corrupted(MIXED))
    assert torch.equal(clean.latent, dirty.latent)
    assert all(torch.equal(clean.logits[task], dirty.logits[task]) for task in clean.logits)
    assert all(torch.equal(clean.unimodal[task], dirty.unimodal[task]) for task in clean.unimodal)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_absent_values_have_no_influence_on_gradients(fusion):
    gradients = []
    for given in (batch(4, present=MIXED), corrupted(MIXED)):
        network = model(fusion).train()
        torch.manual_seed(1)
        outputs = network(given)
        sum(logits.square().sum() for logits in [*outputs.logits.values(), *outputs.unimodal.values()]).backward()
        gradients.append({name: weight.grad for name, weight in network.named_parameters()})
    clean, dirty = gradients
    unused = [name for name in clean if clean[name] is None]
    assert all(name.endswith("score") for name in unused), unused  # pools of modalities with a single token
    for name, gradient in clean.items():
        if gradient is not None:
            assert torch.equal(gradient, dirty[name]), name
            assert gradient.isfinite().all(), name


@pytest.mark.parametrize("fusion", FUSIONS)
def test_any_subset_is_predicted(fusion):
    network, whole = model(fusion).eval(), batch(3)
    answers = {kept: network(whole.restricted_to(kept)).logits["died"] for kept in subsets(MODALITIES)}
    assert len({tuple(answer.flatten().tolist()) for answer in answers.values()}) == 2 ** len(MODALITIES) - 1
    assert network(whole.restricted_to([])).logits["died"].isfinite().all()


def test_modality_missing_from_the_batch_is_absent():
    network, whole = model().eval(), batch(3)
    fewer = Batch({name: whole.inputs[name] for name in ("structured", "note")}, whole.present[:, :2])
    expected = network(whole.restricted_to(["structured", "note"])).logits["died"]
    assert torch.equal(network(fewer).logits["died"], expected)
    swapped = Batch({name: whole.inputs[name] for name in ("note", "structured")}, whole.present[:, :2])
    assert torch.equal(network(swapped).logits["died"], expected)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_samples_are_independent(fusion):
    network, whole = model(fusion).eval(), batch(4, present=MIXED)
    batched = network(whole).logits["ward"]
    for row in range(4):
        torch.testing.assert_close(network(whole.select([row])).logits["ward"][0], batched[row], rtol=1e-4, atol=1e-5)


def test_tokens_can_be_fused_again():
    network, whole = model().eval(), batch(4)
    tokens = network.encode(whole)
    fewer = whole.restricted_to(["series"])
    torch.testing.assert_close(network.fuse(tokens, fewer.present).logits, network(fewer).logits)


def test_unimodal_logits_do_not_depend_on_other_modalities():
    """Unimodal logits are equal with and without other modalities."""
    network, whole = model().eval(), batch(4)
    torch.testing.assert_close(
        network(whole).unimodal["ward"][:, 2], network(whole.restricted_to(["note"])).unimodal["ward"][:, 2]
    )


def test_without_shortcut_only_the_head_is_used():
    network = model(shortcut=False).eval()
    outputs = network(batch(2))
    assert outputs.unimodal == {}
    assert torch.equal(outputs.logits["died"], network.head("died")(outputs.latent))


def test_no_present_modality_gives_the_prior():
    network = model("late").eval()
    network.head("died").start_at(torch.tensor([0.14]))
    outputs = network(batch(2).restricted_to([]))
    torch.testing.assert_close(network.probabilities(outputs)["died"], torch.full((2, 1), 0.14))


def test_configuration_and_weights_rebuild_the_model(tmp_path):
    network = model().eval()
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    again = UnifiedModel(ModelConfig.model_validate_json(network.config.model_dump_json()))
    again.load_state_dict(load_file(tmp_path / "model.safetensors"))
    assert torch.equal(network(batch(3)).latent, again.eval()(batch(3)).latent)


def test_training_is_reproducible():
    def trained() -> torch.Tensor:
        network = model(seed=2).train()
        optimizer = torch.optim.AdamW(network.parameters())
        for _ in range(2):
            optimizer.zero_grad()
            network(batch(4, present=MIXED)).logits["died"].square().sum().backward()
            optimizer.step()
        return torch.cat([weight.flatten() for weight in network.parameters()])

    assert torch.equal(trained(), trained())


def test_reads_lists_the_required_arrays():
    assert model().reads["structured"] == ("values", "known")


def test_empty_batch():
    assert model().eval()(batch(3).select([])).logits["ward"].shape == (0, 3)


@pytest.mark.slow
def test_learns_a_signal_split_between_modalities():
    torch.manual_seed(0)
    network, given = model(dropout=0.0), batch(32)
    first, second = torch.randint(0, 2, (2, 32)).bool()
    given.inputs["structured"]["known"][:, 0] = True
    given.inputs["structured"]["values"][:, 0] = first.float() * 2 - 1
    given.inputs["note"]["words"][:, 0] = 5 + 2 * second
    target = (first & second).float()
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3, weight_decay=0)
    for _ in range(60):
        optimizer.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(network(given).logits["died"][:, 0], target)
        loss.backward()
        optimizer.step()
    assert loss < 0.1
