"""The shared latent of each fold's network."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float

from polyclinic.explain.sample import ExplanationError
from polyclinic.features import Arrays
from polyclinic.models.network.batch import Batch
from polyclinic.models.network.unified import UnifiedModel

ROWS_AT_ONCE = 256


def latents_of(
    networks: Sequence[UnifiedModel], arrays: Mapping[str, Arrays]
) -> Float[np.ndarray, "sample network width"]:
    """Return each network's latent of samples, float32.

    Raises:
        ExplanationError: there is no network.
    """
    if not networks:
        raise ExplanationError("the bundle has no network, and so no latent in which patients could be compared")
    inputs = {m: {name: arrays[m][name] for name in (*names, "present")} for m, names in networks[0].reads.items()}
    count = len(next(iter(inputs.values()))["present"])
    parts = []
    for start in range(0, count, ROWS_AT_ONCE):
        batch = Batch.from_arrays(inputs, np.arange(start, min(start + ROWS_AT_ONCE, count)))
        with torch.inference_mode():
            parts.append(torch.stack([network(batch).latent for network in networks], dim=1).numpy())
    return np.concatenate(parts)


def networks_digest(networks: Iterable[UnifiedModel]) -> str:
    """Return the SHA-256 of the networks' weights, which identifies their latents."""
    digest = hashlib.sha256()
    for network in networks:
        for name, tensor in sorted(network.state_dict().items()):
            digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()
