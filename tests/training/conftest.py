import numpy as np
import pytest

from polyclinic.models import EncoderConfig, HeadConfig, ModelConfig
from polyclinic.models.network.config import NoteSizes, StructuredSizes
from polyclinic.tasks import Targets
from polyclinic.training.data.dataset import Examples

WIDTH = 384


@pytest.fixture(scope="session")
def config() -> ModelConfig:
    return ModelConfig(
        encoders={
            "structured": EncoderConfig(name="mlp", sizes=StructuredSizes(features=4)),
            "note": EncoderConfig(name="minilm", sizes=NoteSizes(words=3, sections=2)),
        },
        heads={"died": HeadConfig(kind="binary"), "stay": HeadConfig(kind="regression")},
        width=16,
    )


@pytest.fixture(scope="session")
def examples() -> Examples:
    """120 samples whose death depends on a table and a note, some lacking one or the other; a third unlabelled."""
    draw = np.random.default_rng(0)
    n = 120
    values = draw.normal(size=(n, 4)).astype(np.float32)
    sentences = draw.normal(size=(n, 2, WIDTH)).astype(np.float32)
    risk = values[:, 0] + 4 * sentences[:, 0, 0]
    return Examples(
        arrays={
            "structured": {"values": values, "known": np.ones((n, 4), bool), "present": draw.random(n) < 0.9},
            "note": {
                "sentences": sentences,
                "sentence_mask": np.ones((n, 2), bool),
                "sentence_section": np.zeros((n, 2), np.int64),
                "present": draw.random(n) < 0.8,
            },
        },
        targets={
            "died": Targets((risk > 0).astype(float)[:, None], draw.random(n) < 0.7),
            "stay": Targets(5 + 2 * risk[:, None], np.ones(n, bool)),
        },
        subjects=np.arange(n),
    )
