"""Note features of each sample: words and sentences with their sections, and TF-IDF for classical models."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, cast

import numpy as np
import polars as pl

from polyclinic.cohort import name
from polyclinic.compute.resources import Resources
from polyclinic.features.cache.encoder_cache import EncoderCache
from polyclinic.features.featurizer import Arrays, Featurizer, NotFittedError, Request
from polyclinic.features.note.embeddings import WIDTH, SentenceEncodings
from polyclinic.features.note.layout import Note, NoteLayout, Piece, in_reading_order, note_events
from polyclinic.features.note.tfidf import Terms, Tfidf
from polyclinic.features.note.tokenizer import words
from polyclinic.progress import SILENT, Progress

if TYPE_CHECKING:
    from scipy import sparse

Output = Literal["words", "sentences"]
OUTPUTS: tuple[Output, ...] = ("words", "sentences")

PADDING, UNKNOWN = 0, 1
"""Codes of padding, and of a word or section absent in training."""


@dataclass(frozen=True)
class NoteOptions:
    """Options of the notes."""

    outputs: tuple[Output, ...] = OUTPUTS
    max_words: int = 512  # per sample: the last, so that the newest notes are kept
    max_sentences: int = 48  # likewise
    min_count: int = 2  # of a vocabulary word in training notes
    max_vocabulary: int = 20_000  # the most frequent words
    tfidf: tuple[Terms, ...] = ("word",)  # kinds of TF-IDF terms: word, char, both or none

    def __post_init__(self) -> None:
        unknown = set(self.outputs) - set(OUTPUTS)
        if unknown or not self.outputs:
            raise ValueError(f"outputs of notes are {', '.join(OUTPUTS)}, not {', '.join(sorted(unknown)) or 'none'}")
        if min(self.max_words, self.max_sentences, self.min_count) < 1:
            raise ValueError("notes need max_words, max_sentences and min_count of at least 1")
        Tfidf(self.tfidf)


@dataclass(frozen=True)
class _State:
    """State fitted on training subjects."""

    words: dict[str, int]
    sections: dict[str, int]
    word_columns: int
    sentence_columns: int
    tfidf: Tfidf


class NoteFeaturizer(Featurizer):
    """Concatenate all notes of a sample, the oldest first.

    Arrays, besides `present`, by `options.outputs`: `words` int64 `[sample, word]`, an index into `vocabulary` (0 =
    none, 1 = unknown), `word_section` likewise into `sections`, and `word_denied` Boolean (negated; see `negation`);
    `sentences` float32 `[sample, sentence, 384]`, embeddings by the frozen all-MiniLM-L6-v2, memory-mapped, with
    `sentence_mask` Boolean and `sentence_section` int64 `[sample, sentence]`. `layouts` returns their positions in the
    notes.
    """

    modality: ClassVar[str] = "note"

    def __init__(self, options: NoteOptions | None = None, *, cache: EncoderCache | None = None) -> None:
        self.options = options or NoteOptions()
        self.cache = cache or EncoderCache()
        self.resources = Resources()
        self._state: _State | None = None

    @classmethod
    def of(cls, options: Any, cache: EncoderCache) -> Self:
        """Return an unfitted featurizer."""
        return cls(options, cache=cache)

    @classmethod
    def options_for(cls, request: Request) -> NoteOptions:
        """Return options with the terms of the request."""
        return NoteOptions(tfidf=request.terms)  # type: ignore[arg-type]

    @property
    def column_names(self) -> list[str]:
        """The terms."""
        return self.terms

    def sizes(self, arrays: Arrays) -> dict[str, Any]:  # noqa: ARG002
        """Return the number of words and of sections."""
        return {"words": len(self.vocabulary), "sections": len(self.sections)}

    @property
    def vocabulary(self) -> list[str]:
        """The words by code: padding, unknown, and the most frequent of the training subjects."""
        return ["", "unknown", *self._fitted().words]

    @property
    def sections(self) -> list[str]:
        """The sections by code: padding, unknown, and those of the training subjects."""
        return ["", "unknown", *self._fitted().sections]

    @property
    def terms(self) -> list[str]:
        """The term of each column of `tfidf`."""
        return self._fitted().tfidf.names

    def fit(self, known: pl.DataFrame, samples: pl.DataFrame) -> Self:
        """Fit vocabulary, sections, TF-IDF terms and the numbers of columns."""
        events = note_events(known).join(samples.select("sample"), on="sample", how="semi")
        layouts = [NoteLayout.of(notes) for notes in in_reading_order(events, samples)]
        notes = events.unique(["subject_id", "time", "code", "text_value"])  # count a note shared by samples once
        counts = Counter(word.text for text in notes["text_value"] for word in words(text) if _has_letters(word.text))
        frequent = sorted((-count, word) for word, count in counts.items() if count >= self.options.min_count)
        self._state = _State(
            words=_codes(word for _, word in frequent[: self.options.max_vocabulary]),
            sections=_codes(sorted({name(code) for code in notes["code"]})),
            word_columns=_longest(self.options.max_words, (layout.words for layout in layouts)),
            sentence_columns=_longest(self.options.max_sentences, (layout.sentences for layout in layouts)),
            tfidf=Tfidf(self.options.tfidf).fit([_texts(layout.notes) for layout in layouts]),
        )
        return self

    def transform(self, known: pl.DataFrame, samples: pl.DataFrame, classical: bool = False) -> Arrays:
        """Return the arrays of `samples`, in their order; sentences missing from the cache are encoded first.

        With `classical` also `tfidf`, the sparse result of `tfidf()`.
        """
        layouts = self.layouts(known, samples)
        arrays: Arrays = {"present": np.array([bool(layout.words) for layout in layouts], dtype=bool)}
        if "words" in self.options.outputs:
            arrays |= self._words(layouts)
        if "sentences" in self.options.outputs:
            arrays |= self._sentences(layouts)
        if classical:
            arrays["tfidf"] = cast(np.ndarray, self._tfidf([layout.notes for layout in layouts]))
        return arrays

    def prepare(self, known: pl.DataFrame, samples: pl.DataFrame, progress: Progress = SILENT) -> int:
        """Encode in advance the sentences that `transform` needs, and return the number newly encoded."""
        if "sentences" not in self.options.outputs:
            return 0
        sentences = [sentence.text for layout in self.layouts(known, samples) for sentence in layout.sentences]
        return self._encodings().prepare(sentences, progress)

    def use(self, resources: Resources) -> None:
        """Encode with these resources from now on."""
        self.resources = resources

    def layouts(self, known: pl.DataFrame, samples: pl.DataFrame) -> list[NoteLayout]:
        """Return each sample's notes, with the positions of the words and sentences in the arrays' columns."""
        fitted = self._fitted()
        return [
            NoteLayout.of(notes).last(fitted.word_columns, fitted.sentence_columns)
            for notes in in_reading_order(note_events(known), samples)
        ]

    def tfidf(self, known: pl.DataFrame, samples: pl.DataFrame) -> "sparse.csr_array":
        """Return the TF-IDF of whole notes, float32 `[sample, term]`; rows of samples without notes are zero."""
        return self._tfidf(in_reading_order(note_events(known), samples))

    def state(self) -> dict[str, Any]:
        """Return options, vocabulary, sections, sizes and terms as JSON values."""
        fitted = self._fitted()
        return {
            "options": asdict(self.options)
            | {"outputs": list(self.options.outputs), "tfidf": list(self.options.tfidf)},
            "words": list(fitted.words),
            "sections": list(fitted.sections),
            "word_columns": fitted.word_columns,
            "sentence_columns": fitted.sentence_columns,
            "tfidf": fitted.tfidf.state(),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], *, cache: EncoderCache | None = None) -> Self:
        """Rebuild a featurizer from its state."""
        saved = state["options"]
        options = NoteOptions(**saved | {"outputs": tuple(saved["outputs"]), "tfidf": tuple(saved["tfidf"])})
        featurizer = cls(options, cache=cache)
        featurizer._state = _State(
            words=_codes(state["words"]),
            sections=_codes(state["sections"]),
            word_columns=state["word_columns"],
            sentence_columns=state["sentence_columns"],
            tfidf=Tfidf.from_state(state["tfidf"]),
        )
        return featurizer

    def _tfidf(self, notes: Iterable[Iterable[Note]]) -> "sparse.csr_array":
        return self._fitted().tfidf.transform([_texts(of_sample) for of_sample in notes])

    def _words(self, layouts: Sequence[NoteLayout]) -> Arrays:
        fitted = self._fitted()
        codes = _columns(
            [[fitted.words.get(word.text, UNKNOWN) for word in layout.words] for layout in layouts],
            fitted.word_columns,
        )
        sections = [self._section_codes(layout, layout.words) for layout in layouts]
        return {
            "words": codes,
            "word_section": _columns(sections, fitted.word_columns),
            "word_denied": _columns(
                [[layout.is_negated(word) for word in layout.words] for layout in layouts], fitted.word_columns
            ).astype(bool),
        }

    def _sentences(self, layouts: Sequence[NoteLayout]) -> Arrays:
        sections = _columns(
            [self._section_codes(layout, layout.sentences) for layout in layouts], self._fitted().sentence_columns
        )
        mask = sections != PADDING
        vectors: np.ndarray = np.zeros((*mask.shape, WIDTH), dtype=np.float32)
        if mask.any():
            texts = [sentence.text for layout in layouts for sentence in layout.sentences]
            vectors = cast(np.ndarray, self._encodings().gather(texts, mask))
        return {"sentences": vectors, "sentence_mask": mask, "sentence_section": sections}

    def _section_codes(self, layout: NoteLayout, pieces: Iterable[Piece]) -> list[int]:
        codes = [self._fitted().sections.get(note.section, UNKNOWN) for note in layout.notes]
        return [codes[piece.note] for piece in pieces]

    def _encodings(self) -> SentenceEncodings:
        return SentenceEncodings(self.cache, self.resources)

    def _fitted(self) -> _State:
        if self._state is None:
            raise NotFittedError(self)
        return self._state


def _has_letters(word: str) -> bool:
    """Return whether a word is not just a number or a sign; a given number is too rare for the vocabulary."""
    return any(letter.isalpha() for letter in word)


def _codes(names: Iterable[str]) -> dict[str, int]:
    return {name: code for code, name in enumerate(names, UNKNOWN + 1)}


def _columns(rows: Sequence[Sequence[int]], columns: int) -> np.ndarray:
    """Pad rows at the end to `columns`, int64 `[row, columns]`."""
    codes = np.full((len(rows), columns), PADDING, dtype=np.int64)
    for number, row in enumerate(rows):
        codes[number, : len(row)] = row
    return codes


def _longest(limit: int, rows: Iterable[Sequence[Piece]]) -> int:
    return min(max((len(row) for row in rows), default=0) or 1, limit)


def _texts(notes: Iterable[Note]) -> list[str]:
    return [note.text for note in notes]
