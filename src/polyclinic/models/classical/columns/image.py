"""Images as columns."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Int

from polyclinic.features import Arrays
from polyclinic.models.classical.columns.base import DesignOptions, ModalityColumns, Part, component_part
from polyclinic.models.classical.pooling import pooled_images
from polyclinic.models.classical.principal_components import Components


@dataclass(frozen=True)
class ImageColumns(ModalityColumns):
    """Components of the mean feature map."""

    adds_presence: ClassVar[bool] = True
    components: Components

    @classmethod
    def fit(
        cls,
        arrays: Arrays,
        names: Sequence[str],  # noqa: ARG003
        rows: Int[np.ndarray, " row"],
        options: DesignOptions,
    ) -> ImageColumns:
        """Fit the components."""
        return cls(Components.fit(pooled_images(arrays, rows[arrays["present"][rows]]), options.image_components))

    def parts(self, arrays: Arrays, others: Collection[str]) -> list[Part]:  # noqa: ARG002
        """Return one block."""
        return [component_part("image", self.components, pooled_images(arrays))]

    def state(self) -> dict[str, Any]:
        """Return the components."""
        return {"components": self.components.state()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> ImageColumns:
        """Rebuild columns from their state."""
        return cls(Components.from_state(state["components"]))
