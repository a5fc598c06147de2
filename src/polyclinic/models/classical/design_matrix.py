"""The matrix that classical models read, made of what the featurizers give the network."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from polyclinic.features import Arrays
from polyclinic.models.classical.imputation_and_scaling import Block
from polyclinic.models.classical.pooling import pooled_pictures, pooled_sentences, series_summaries, summary_names
from polyclinic.models.classical.principal_components import Components
from polyclinic.models.network.batch import in_order


@dataclass(frozen=True)
class DesignOptions:
    """How many columns the sources of many numbers may have."""

    terms: int = 2000  # of the notes' TF-IDF, those in most training documents
    sentence_components: int = 64
    image_components: int = 64


LINEAR = DesignOptions()
"""For linear models, which bear many columns."""
TREES = DesignOptions(terms=200, sentence_components=16, image_components=16)
"""For trees, which look at one column at a time and are lost among many."""


THERE = " present"
"""What the name of the column ends with that tells whether a sample has a modality."""
_MODALITIES = {"terms": "note", "sentence": "note"}
"""Of the blocks that are not named after their modality."""


class Part(NamedTuple):
    """Neighbouring columns from one source."""

    block: Block
    names: list[str]
    values: Float[np.ndarray, "sample column"]  # NaN where the sample lacks the modality


@dataclass(frozen=True)
class Design:
    """Columns, their names, and what was learnt from training samples to make them.

    Structured features come raw, in their own units, with NaN where unknown; series as a summary of each code, unless
    structured features summarise them already; notes as TF-IDF of their terms and components of the mean sentence;
    pictures as components of the mean map. A sample that lacks a modality has NaN in its columns, and its column
    `… present` says so.
    """

    options: DesignOptions
    modalities: tuple[str, ...]
    names: dict[str, list[str]]  # of structured features, series' codes, and the notes' terms that are columns
    terms: Int[np.ndarray, " term"] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    components: dict[str, Components] = field(default_factory=dict)  # by source: sentence, image
    blocks: tuple[Block, ...] = ()
    columns: tuple[str, ...] = ()

    @classmethod
    def fit(
        cls,
        arrays: Mapping[str, Arrays],
        names: Mapping[str, Sequence[str]],
        rows: Int[np.ndarray, " row"] | None = None,
        options: DesignOptions = LINEAR,
    ) -> Design:
        """Learn from the training samples `rows` of the arrays.

        `names` are those of the structured features, the series' codes and the notes' TF-IDF terms, by modality. Of the
        arrays it reads `raw` (or `values` and `known`), triplets, `tfidf`, `sentences`, and `pooled` (or `tokens`),
        whichever are there.
        """
        modalities = in_order(arrays)
        rows = np.arange(len(arrays[modalities[0]]["present"])) if rows is None else rows
        terms, components = np.zeros(0, dtype=np.int64), {}
        if "note" in arrays:
            note = arrays["note"]
            if "tfidf" in note:
                terms = _frequent(note["tfidf"][rows], options.terms)
            if "sentences" in note:
                pooled = pooled_sentences(note, rows[note["present"][rows]])
                components["sentence"] = Components.fit(pooled, options.sentence_components)
        if "image" in arrays:
            pooled = pooled_pictures(arrays["image"], rows[arrays["image"]["present"][rows]])
            components["image"] = Components.fit(pooled, options.image_components)
        own = {modality: list(names.get(modality, ())) for modality in modalities}
        if "note" in own:
            own["note"] = [f"note {own['note'][term]}" if own["note"] else f"note term {term}" for term in terms]
        bare = cls(options, modalities, own, terms, components)
        parts = bare._parts({m: {name: array[:1] for name, array in arrays[m].items()} for m in modalities})
        columns = tuple(name for part in parts for name in part.names)
        return cls(options, modalities, own, terms, components, tuple(part.block for part in parts), columns)

    def matrix(self, arrays: Mapping[str, Arrays]) -> Float[np.ndarray, "sample column"]:
        """Give the matrix, float32, with NaN where something is unknown."""
        return np.hstack([part.values.astype(np.float32) for part in self._parts(arrays)])

    def without(
        self, matrix: Float[np.ndarray, "sample column"], absent: Collection[str]
    ) -> Float[np.ndarray, "sample column"]:
        """Give a copy of a matrix as if the modalities `absent` had not been recorded."""
        result, start = matrix.copy(), 0
        for block in self.blocks:
            end = start + block.columns
            source = block.name.removesuffix(THERE)
            if _MODALITIES.get(source, source) in absent:
                result[:, start:end] = 0 if block.name.endswith(THERE) else np.nan
            start = end
        return result

    def able(self, arrays: Mapping[str, Arrays]) -> Bool[np.ndarray, " sample"]:
        """Tell which samples have any of the modalities."""
        some: np.ndarray = np.any([arrays[modality]["present"] for modality in self.modalities], axis=0)
        return some

    def state(self) -> dict[str, Any]:
        """Give the state as JSON values."""
        return {
            "options": asdict(self.options),
            "modalities": list(self.modalities),
            "names": self.names,
            "terms": self.terms.tolist(),
            "components": {source: components.state() for source, components in self.components.items()},
            "blocks": [asdict(block) for block in self.blocks],
            "columns": list(self.columns),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Design:
        """Rebuild the design that gave `state`."""
        return cls(
            DesignOptions(**state["options"]),
            tuple(state["modalities"]),
            dict(state["names"]),
            np.array(state["terms"], dtype=np.int64),
            {source: Components.from_state(one) for source, one in state["components"].items()},
            tuple(Block(**block) for block in state["blocks"]),
            tuple(state["columns"]),
        )

    def _parts(self, arrays: Mapping[str, Arrays]) -> list[Part]:
        parts: list[Part] = []
        for modality in self.modalities:
            given, made = arrays[modality], _MAKERS[modality](self, arrays[modality])
            absent = ~np.asarray(given["present"])
            for part in made:
                part.values[absent] = np.nan
            parts += made
            if modality in ("note", "image") and made:
                there = given["present"][:, None].astype(np.float32)
                parts.append(Part(Block(f"{modality}{THERE}", 1), [f"{modality}{THERE}"], there))
        return parts

    def _structured(self, arrays: Arrays) -> list[Part]:
        values = arrays["raw"] if "raw" in arrays else np.where(arrays["known"], arrays["values"], np.nan)
        return [_part("structured", self._named("structured", values.shape[1]), np.array(values))]

    def _series(self, arrays: Arrays) -> list[Part]:
        if "structured" in self.modalities:
            return []
        codes = self.names["series"]
        return [_part("series", summary_names(codes), series_summaries(arrays, len(codes)))]

    def _note(self, arrays: Arrays) -> list[Part]:
        parts = []
        if len(self.terms):
            tfidf: Any = arrays["tfidf"]  # sparse
            parts.append(_part("terms", self.names["note"], tfidf[:, self.terms].toarray(), alike=True))
        if "sentence" in self.components:
            parts.append(self._components("sentence", pooled_sentences(arrays)))
        return parts

    def _image(self, arrays: Arrays) -> list[Part]:
        return [self._components("image", pooled_pictures(arrays))]

    def _components(self, source: str, pooled: np.ndarray) -> Part:
        values = self.components[source](pooled)
        return _part(source, [f"{source} component {i + 1}" for i in range(values.shape[1])], values, alike=True)

    def _named(self, modality: str, count: int) -> list[str]:
        names = self.names[modality] or [f"{modality} {place + 1}" for place in range(count)]
        if len(names) != count:
            raise ValueError(f"{len(names)} names were given for the {count} {modality} features")
        return names


_MAKERS: Mapping[str, Any] = {
    "structured": Design._structured,
    "series": Design._series,
    "note": Design._note,
    "image": Design._image,
}


def _part(name: str, names: list[str], values: np.ndarray, alike: bool = False) -> Part:
    return Part(Block(name, len(names), alike), names, values.astype(np.float64))


def _frequent(tfidf: Any, most: int) -> np.ndarray:
    """Give the terms in most documents, but not in all, as sorted columns; of equals the first."""
    documents = np.asarray((tfidf > 0).sum(axis=0)).ravel()
    written = int((np.asarray(tfidf.sum(axis=1)).ravel() > 0).sum())
    telling = np.flatnonzero((documents >= 2) & (documents < written))
    order = np.argsort(-documents[telling], kind="stable")
    return np.sort(telling[order[:most]]).astype(np.int64)
