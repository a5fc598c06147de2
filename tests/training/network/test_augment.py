import numpy as np
import torch

from polyclinic.models import EncoderConfig, HeadConfig, ImageSizes, ModelConfig, UnifiedModel
from polyclinic.study import Network
from polyclinic.tasks import Targets
from polyclinic.training.data.dataset import Examples
from polyclinic.training.network.lightning_module import UnifiedModule

SIDE = 32


def image_examples() -> Examples:
    draw = np.random.default_rng(0)
    pixels = draw.random((4, 2, 1, SIDE, SIDE)).astype(np.float32)
    mask = np.array([[True, True], [True, False], [True, True], [False, False]])
    arrays = {"pixels": pixels, "view_mask": mask, "view_code": np.ones((4, 2), np.int64), "present": mask.any(axis=1)}
    return Examples({"image": arrays}, {"ill": Targets(np.ones((4, 1)), np.ones(4, bool))}, np.arange(4))


def module(augment: bool) -> UnifiedModule:
    encoder = EncoderConfig(name="vit", sizes=ImageSizes(pixels=SIDE), options={})
    config = ModelConfig(encoders={"image": encoder}, heads={"ill": HeadConfig(kind="binary")}, width=16)
    return UnifiedModule(UnifiedModel(config), Network(augment=augment), seed=0)


def test_only_recorded_images_are_augmented_and_only_in_training():
    batch = image_examples().labelled(np.arange(4)).batch
    before = batch.inputs["image"]["pixels"].clone()
    trained = module(augment=True).train()
    changed = trained._augmented(batch).inputs["image"]["pixels"]
    recorded = batch.inputs["image"]["view_mask"]
    assert (changed[recorded] != before[recorded]).flatten(1).any(dim=1).all()
    assert torch.equal(changed[~recorded], before[~recorded])
    assert torch.equal(batch.inputs["image"]["pixels"], before)
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert torch.equal(trained.eval()._augmented(batch).inputs["image"]["pixels"], before)


def test_augmentation_can_be_switched_off():
    batch = image_examples().labelled(np.arange(4)).batch
    assert module(augment=False).train()._augmented(batch) is batch
