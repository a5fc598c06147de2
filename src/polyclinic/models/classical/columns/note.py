"""Notes as columns."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Int

from polyclinic.features import Arrays
from polyclinic.models.classical.columns.base import DesignOptions, ModalityColumns, Part, component_part, part
from polyclinic.models.classical.pooling import pooled_sentences
from polyclinic.models.classical.principal_components import Components


@dataclass(frozen=True)
class NoteColumns(ModalityColumns):
    """TF-IDF of the terms, and components of the mean sentence embedding, if available."""

    adds_presence: ClassVar[bool] = True
    names: tuple[str, ...]  # of the selected terms
    terms: Int[np.ndarray, " term"]  # their indices among the featurizer's terms
    components: Components | None

    @classmethod
    def fit(
        cls, arrays: Arrays, names: Sequence[str], rows: Int[np.ndarray, " row"], options: DesignOptions
    ) -> NoteColumns:
        """Choose the most frequent terms, and fit the components."""
        terms, components = np.zeros(0, dtype=np.int64), None
        if "tfidf" in arrays:
            terms = _frequent(arrays["tfidf"][rows], options.terms)
        if "sentences" in arrays:
            pooled = pooled_sentences(arrays, rows[arrays["present"][rows]])
            components = Components.fit(pooled, options.sentence_components)
        own = tuple(f"note {names[term]}" if names else f"note term {term}" for term in terms.tolist())
        return cls(own, terms, components)

    def parts(self, arrays: Arrays, others: Collection[str]) -> list[Part]:  # noqa: ARG002
        """Return the blocks `terms` and `sentence`."""
        parts = []
        if len(self.terms):
            tfidf: Any = arrays["tfidf"]  # sparse
            parts.append(part("terms", list(self.names), tfidf[:, self.terms].toarray(), alike=True))
        if self.components is not None:
            parts.append(component_part("sentence", self.components, pooled_sentences(arrays)))
        return parts

    def state(self) -> dict[str, Any]:
        """Return terms and components."""
        components = None if self.components is None else self.components.state()
        return {"names": list(self.names), "terms": self.terms.tolist(), "components": components}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> NoteColumns:
        """Rebuild columns from their state."""
        components = None if state["components"] is None else Components.from_state(state["components"])
        return cls(tuple(state["names"]), np.array(state["terms"], dtype=np.int64), components)


def _frequent(tfidf: Any, most: int) -> np.ndarray:
    """Return the indices of the most frequent terms that are not in all documents, sorted; the first in a tie."""
    documents = np.asarray((tfidf > 0).sum(axis=0)).ravel()
    non_empty = int((np.asarray(tfidf.sum(axis=1)).ravel() > 0).sum())
    informative = np.flatnonzero((documents >= 2) & (documents < non_empty))
    order = np.argsort(-documents[informative], kind="stable")
    return np.sort(informative[order[:most]]).astype(np.int64)
