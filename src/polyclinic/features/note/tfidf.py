"""TF-IDF of documents, for classical models (Salton & Buckley 1988).

The weight of a term is (1 + ln count) · (ln((1 + n) / (1 + documents with it)) + 1), each row of L2 norm 1: equal to
scikit-learn's vectoriser with sublinear counts, but with a state of JSON values.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal, Self

import numpy as np
from scipy import sparse

from polyclinic.features.note.tokenizer import words

Terms = Literal["word", "char"]
Texts = Sequence[str]
"""A document: the texts of its notes. Terms do not cross notes."""


def word_terms(texts: Texts) -> Iterable[str]:
    """Yield words and bigrams, so that `no effusion` is a term."""
    for text in texts:
        unigrams = [word.text for word in words(text)]
        yield from unigrams
        yield from (f"{first} {second}" for first, second in pairwise(unigrams))


def char_terms(texts: Texts) -> Iterable[str]:
    """Yield character 3-, 4- and 5-grams within words padded by spaces: robust to typing errors."""
    for text in texts:
        for word in words(text):
            padded = f" {word.text} "
            for size in (3, 4, 5):
                yield from (padded[start : start + size] for start in range(max(len(padded) - size + 1, 1)))
                if size >= len(padded):
                    break


TERMS: Mapping[Terms, Callable[[Texts], Iterable[str]]] = {"word": word_terms, "char": char_terms}


class Tfidf:
    """TF-IDF of one or more kinds of terms, those found in at least `min_documents` training documents."""

    def __init__(self, kinds: Sequence[Terms] = ("word",), min_documents: int = 2, max_terms: int = 20_000) -> None:
        unknown = set(kinds) - set(TERMS)
        if unknown:
            raise ValueError(f"unknown terms {', '.join(sorted(unknown))}: choose from {', '.join(TERMS)}")
        self.kinds = tuple(kinds)
        self.min_documents = min_documents
        self.max_terms = max_terms  # per kind: the most frequent
        self._weights: dict[Terms, dict[str, float]] = {}

    @property
    def names(self) -> list[str]:
        """The term of each column, such as `word no effusion`."""
        return [f"{kind} {term}" for kind, weights in self._weights.items() for term in weights]

    def fit(self, documents: Sequence[Texts]) -> Self:
        """Fit the terms and their inverse document frequencies."""
        for kind in self.kinds:
            counts = Counter(term for texts in documents for term in set(TERMS[kind](texts)))
            kept = sorted((-count, term) for term, count in counts.items() if count >= self.min_documents)
            idf = {term: math.log((1 + len(documents)) / (1 - count)) + 1 for count, term in kept[: self.max_terms]}
            self._weights[kind] = dict(sorted(idf.items()))
        return self

    def transform(self, documents: Sequence[Texts]) -> sparse.csr_array:
        """Return the weights, float32 `[document, term]`; per kind, rows have norm 1, or are zero."""
        blocks = [_block(TERMS[kind], weights, documents) for kind, weights in self._weights.items()]
        if len(blocks) == 1:
            return blocks[0]
        empty = sparse.csr_array((len(documents), 0), dtype=np.float32)
        return sparse.csr_array(sparse.hstack([empty, *blocks], format="csr"))

    def state(self) -> dict[str, Any]:
        """Return terms and weights as JSON values."""
        return {
            "min_documents": self.min_documents,
            "max_terms": self.max_terms,
            "kinds": [
                {"kind": kind, "terms": list(weights), "weights": list(weights.values())}
                for kind, weights in self._weights.items()
            ],
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Rebuild a fitted TF-IDF from its state."""
        fitted = cls([kind["kind"] for kind in state["kinds"]], state["min_documents"], state["max_terms"])
        fitted._weights = {
            kind["kind"]: dict(zip(kind["terms"], kind["weights"], strict=True)) for kind in state["kinds"]
        }
        return fitted


def _block(
    terms: Callable[[Texts], Iterable[str]], weights: Mapping[str, float], documents: Sequence[Texts]
) -> sparse.csr_array:
    columns = {term: column for column, term in enumerate(weights)}
    ends, indices, values = [0], [], []
    for texts in documents:
        counts = Counter(term for term in terms(texts) if term in columns)
        row = sorted((columns[term], (1 + math.log(count)) * weights[term]) for term, count in counts.items())
        norm = math.sqrt(sum(value * value for _, value in row))
        indices += [column for column, _ in row]
        values += [value / norm for _, value in row]
        ends.append(len(indices))
    entries = (np.array(values, dtype=np.float32), np.array(indices, dtype=np.int32), np.array(ends, dtype=np.int32))
    return sparse.csr_array(entries, shape=(len(documents), len(weights)))
