"""The note featurizer: words, sentences, sections, properties of featurizers, the cache, TF-IDF."""

import json
import os
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polyclinic.features.backbones import minilm
from polyclinic.features.cache.encoder_cache import EncoderCache
from polyclinic.features.featurizer import NotFittedError
from polyclinic.features.note.featurizer import NoteFeaturizer, NoteOptions
from polyclinic.features.note.tokenizer import words
from tests.features.records import PREDICTION_HOUR, events, known_of, samples_of

RECORD = [
    (1, 5.0, "NOTE//impression", "Small effusion."),
    (1, 5.0, "NOTE//findings", "There is a small left effusion. No pneumothorax."),
    (1, 1.0, "NOTE//indication", "Cough and fever."),
    (1, 3.0, "LAB//a//u", 4.0),
    (2, None, "NOTE//indication", "Fever, no cough."),
    (2, 9.0, "NOTE//findings", "No effusion. No pneumothorax. Heart is large."),
    (3, 2.0, "NOTE//findings", "Lungs are clear. No effusion or pneumothorax."),
    (4, 2.0, "NOTE//findings", "..."),
    (4, 2.0, "NOTE//comparison", None),
    (5, 2.0, "NOTE//letter", "Unheard of granuloma."),
]
ALL = samples_of([5, 1, 2, 3, 4])
TRAIN = ALL[1:4]  # subjects 1 to 3


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return EncoderCache(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def fitted(cache):
    return NoteFeaturizer(cache=cache).fit(known_of(RECORD, TRAIN), TRAIN)


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name, array in first.items():
        assert array.dtype == second[name].dtype
        np.testing.assert_array_equal(array, second[name], err_msg=name)


def transform(featurizer, record, samples=ALL):
    return featurizer.transform(known_of(record, samples), samples)


def test_presence(fitted):
    assert transform(fitted, RECORD)["present"].tolist() == [True, True, True, True, False]


def test_words_in_reading_order_with_their_sections(fitted):
    arrays = transform(fitted, RECORD)
    row = [fitted.vocabulary[code] for code in arrays["words"][1] if code]
    text = "cough and fever there is a small left effusion no pneumothorax small effusion"
    assert row == [word if word in fitted.vocabulary else "unknown" for word in text.split()]
    sections = [fitted.sections[code] for code in arrays["word_section"][1] if code]
    assert sections == ["indication"] * 3 + ["findings"] * 8 + ["impression"] * 2
    assert arrays["words"].dtype == arrays["word_section"].dtype == np.int64
    assert ((arrays["words"] > 0) == (arrays["word_section"] > 0)).all()


def test_vocabulary_needs_two_occurrences_in_training(fitted):
    assert fitted.vocabulary[:2] == ["", "unknown"]
    assert fitted.vocabulary[2:4] == ["no", "effusion"]  # most frequent: five times and four
    assert {"pneumothorax", "cough", "fever", "small", "is"} <= set(fitted.vocabulary)
    assert {"heart", "clear", "granuloma"}.isdisjoint(fitted.vocabulary)
    assert fitted.sections == ["", "unknown", "findings", "impression", "indication"]


def test_numbers_are_not_in_the_vocabulary(cache):
    record = [(subject, 1.0, "NOTE//letter", "Aged 71, on 5 mg, T12 < 90 %") for subject in (1, 2, 3)]
    featurizer = NoteFeaturizer(cache=cache).fit(known_of(record, TRAIN), TRAIN)
    assert featurizer.vocabulary[2:] == ["aged", "mg", "on", "t12"]


def test_negated_words(fitted):
    arrays = transform(fitted, RECORD)
    layouts = fitted.layouts(known_of(RECORD, ALL), ALL)
    negated = [
        [word.text for word, is_negated in zip(layout.words, row, strict=False) if is_negated]
        for layout, row in zip(layouts, arrays["word_denied"], strict=True)
    ]
    assert negated == [
        [],
        ["pneumothorax"],
        ["cough", "effusion", "pneumothorax"],
        ["effusion", "or", "pneumothorax"],
        [],
    ]
    assert arrays["word_denied"].dtype == bool
    assert not arrays["word_denied"][arrays["words"] == 0].any()


def test_sentences_are_embedded_by_the_encoder(fitted):
    arrays = transform(fitted, RECORD)
    assert arrays["sentences"].dtype == np.float32
    assert arrays["sentence_mask"].sum(axis=1).tolist() == [1, 4, 4, 2, 0]
    sections = [fitted.sections[code] for code in arrays["sentence_section"][2] if code]
    assert sections == ["indication", "findings", "findings", "findings"]
    texts = ["Fever, no cough.", "No effusion.", "No pneumothorax.", "Heart is large."]
    expected = minilm.embed(minilm.load(), minilm.SentenceTokenizer(), texts)
    np.testing.assert_allclose(arrays["sentences"][2, :4], expected, atol=2e-4)
    assert not arrays["sentences"][~arrays["sentence_mask"]].any()
    assert arrays["sentences"].nbytes == 8 * arrays["sentence_mask"].size, "embeddings stay in the cache's files"


def test_unknown_words_and_sections(fitted):
    arrays = transform(fitted, RECORD)
    assert arrays["words"][0, :3].tolist() == [1, 1, 1]
    assert arrays["sentence_section"][0, 0] == 1


def test_newest_words_and_sentences_are_kept(cache):
    options = NoteOptions(max_words=4, max_sentences=2, outputs=("words",))
    featurizer = NoteFeaturizer(options, cache=cache).fit(known_of(RECORD, TRAIN), TRAIN)
    arrays = transform(featurizer, RECORD)
    assert arrays.keys() == {"present", "words", "word_section", "word_denied"}
    assert [featurizer.vocabulary[code] for code in arrays["words"][1]] == ["no", "pneumothorax", "small", "effusion"]
    layout = featurizer.layouts(known_of(RECORD, ALL), ALL)[1]
    assert [sentence.text for sentence in layout.sentences] == ["No pneumothorax.", "Small effusion."]


def test_layouts_give_positions_in_the_notes(fitted):
    known = known_of(RECORD, ALL)
    arrays = fitted.transform(known, ALL)
    for row, layout in enumerate(fitted.layouts(known, ALL)):
        assert len(layout.words) == (arrays["words"][row] > 0).sum()
        assert len(layout.sentences) == arrays["sentence_mask"][row].sum()
        for word, code in zip(layout.words, arrays["word_section"][row], strict=False):
            assert layout.notes[word.note].text[word.start : word.end].lower() == word.text
            assert layout.section(word) == fitted.sections[code] or code == 1
        for sentence in layout.sentences:
            assert layout.notes[sentence.note].text[sentence.start : sentence.end] == sentence.text


TEXTS = st.sampled_from(["No effusion.", "Fever. Cough?", "Large heart, 5.5 cm", "...", "", "Ö 37 °C"])
ROWS = st.lists(
    st.tuples(
        st.sampled_from([1, 2, 3, 4, 5]),
        st.none() | st.sampled_from([1.0, 5.0, PREDICTION_HOUR]),
        st.sampled_from(["NOTE//findings", "NOTE//impression", "NOTE//other"]),
        TEXTS,
    ),
    max_size=12,
)
LATER = st.lists(
    st.tuples(
        st.sampled_from([1, 2, 3]),
        st.floats(PREDICTION_HOUR + 0.001, 1e4),
        st.sampled_from(["NOTE//findings", "NOTE//new"]),
        TEXTS,
    ),
    max_size=6,
)
quickly = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class TestLaws:
    """Properties of every featurizer."""

    @quickly
    @given(rows=ROWS, later=LATER)
    def test_later_notes_have_no_influence(self, cache, rows, later):
        known, with_later = (known_of([*RECORD, *more], ALL) for more in (rows, [*later, *rows]))
        plain, again = (NoteFeaturizer(cache=cache).fit(record, ALL) for record in (known, with_later))
        assert plain.state() == again.state()
        assert_same(plain.transform(known, ALL), again.transform(with_later, ALL))
        assert (plain.tfidf(known, ALL) != again.tfidf(with_later, ALL)).nnz == 0

    @quickly
    @given(held_out=ROWS.map(lambda rows: [row for row in rows if row[0] > 3]))
    def test_held_out_subjects_do_not_affect_the_state(self, cache, fitted, held_out):
        record = [*RECORD, *held_out, (4, 1.0, "NOTE//findings", "granuloma granuloma granuloma")]
        for samples in (TRAIN, ALL):
            assert NoteFeaturizer(cache=cache).fit(known_of(record, samples), TRAIN).state() == fitted.state()

    @quickly
    @given(rows=ROWS, data=st.data())
    def test_order_of_events_has_no_influence(self, cache, rows, data):
        rows = [*RECORD, *rows]
        shuffled = known_of(data.draw(st.permutations(rows)), ALL).sample(fraction=1, shuffle=True, seed=1)
        featurizer = NoteFeaturizer(cache=cache).fit(known_of(rows, ALL), TRAIN)
        assert NoteFeaturizer(cache=cache).fit(shuffled, TRAIN).state() == featurizer.state()
        assert_same(featurizer.transform(shuffled, ALL), transform(featurizer, rows))

    @quickly
    @given(rows=ROWS)
    def test_arrays_do_not_depend_on_other_samples(self, cache, fitted, rows):
        known = known_of([*RECORD, *rows], ALL)
        batch, sparse = fitted.transform(known, ALL), fitted.tfidf(known, ALL)
        for row, number in enumerate(ALL["sample"]):
            of_sample, sample = known.filter(pl.col("sample") == number), ALL[row : row + 1]
            single = fitted.transform(of_sample, sample)
            assert_same(single, {name: array[row : row + 1] for name, array in batch.items()})
            assert (fitted.tfidf(of_sample, sample) != sparse[[row]]).nnz == 0

    @quickly
    @given(rows=ROWS)
    def test_classical_adds_tfidf_of_whole_notes(self, cache, fitted, rows):
        known = known_of([*RECORD, *rows], ALL)
        both = fitted.transform(known, ALL, classical=True)
        assert (both.pop("tfidf") != fitted.tfidf(known, ALL)).nnz == 0
        assert_same(both, fitted.transform(known, ALL))

    def test_state_round_trips_through_json(self, cache, fitted):
        options = NoteOptions(max_words=9, tfidf=("word", "char"))
        for featurizer in (fitted, NoteFeaturizer(options, cache=cache).fit(known_of(RECORD, TRAIN), TRAIN)):
            state = json.loads(json.dumps(featurizer.state(), allow_nan=False, sort_keys=True))
            rebuilt = NoteFeaturizer.from_state(state, cache=cache)
            assert rebuilt.options == featurizer.options
            assert rebuilt.state() == featurizer.state()
            assert rebuilt.terms == featurizer.terms
            assert_same(transform(rebuilt, RECORD), transform(featurizer, RECORD))

    def test_no_samples_and_no_events(self, cache, fitted):
        assert {len(array) for array in transform(fitted, RECORD, TRAIN[:0]).values()} == {0}
        assert fitted.tfidf(known_of([], TRAIN), TRAIN[:0]).shape == (0, len(fitted.terms))
        without_notes = NoteFeaturizer(cache=cache).fit(known_of([(1, 1.0, "LAB//a//u", 1.0)], TRAIN), TRAIN)
        arrays = transform(without_notes, RECORD)
        assert arrays["present"].tolist() == [True, True, True, True, False]
        assert (arrays["words"] <= 1).all()
        assert not transform(without_notes, [])["present"].any()

    def test_notes_after_the_prediction_time_raise(self, fitted):
        record = events([*RECORD, (1, PREDICTION_HOUR + 1, "NOTE//findings", "New effusion.")]).join(
            ALL, on="subject_id"
        )
        with pytest.raises(ValueError, match="known_at"):
            fitted.transform(record, ALL)

    def test_use_before_fit_raises(self, cache):
        with pytest.raises(NotFittedError, match="NoteFeaturizer is not fitted"):
            transform(NoteFeaturizer(cache=cache), RECORD)


def test_several_samples_of_one_subject(fitted):
    """Each sample has the notes of its own time; a shared note is counted once in the vocabulary."""
    early, late = samples_of([3], hours=1.0), samples_of([3], hours=9.0).with_columns(sample=pl.lit(101, pl.UInt32))
    both = pl.concat([early, late])
    arrays = fitted.transform(known_of(RECORD, both), both)
    assert arrays["present"].tolist() == [False, True]
    twice = pl.concat([late, late.with_columns(sample=pl.lit(102, pl.UInt32))])
    only = NoteFeaturizer(NoteOptions(outputs=("words",))).fit(known_of(RECORD[6:7], twice), twice)
    assert only.vocabulary == ["", "unknown"]


class TestCache:
    """Each sentence is encoded once."""

    def test_prepare_returns_the_number_newly_encoded(self, tmp_path):
        featurizer = NoteFeaturizer(cache=EncoderCache(tmp_path)).fit(known_of(RECORD, TRAIN), TRAIN)
        known = known_of(RECORD, ALL)
        different = {sentence.text for layout in featurizer.layouts(known, ALL) for sentence in layout.sentences}
        assert featurizer.prepare(known, ALL) == len(different) == 10
        assert featurizer.prepare(known, ALL) == 0
        other = NoteFeaturizer(NoteOptions(max_words=3), cache=EncoderCache(tmp_path)).fit(known, ALL)
        assert other.prepare(known, ALL) == 0

    def test_cache_does_not_contain_text(self, tmp_path):
        featurizer = NoteFeaturizer(cache=EncoderCache(tmp_path)).fit(known_of(RECORD, TRAIN), TRAIN)
        transform(featurizer, RECORD)
        stored = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
        assert len(stored) > 10 * 384 * 2
        assert b"effusion" not in stored.lower()

    @pytest.mark.slow
    def test_cached_sentences_do_not_import_torch(self, tmp_path, fitted, cache):
        """A fitted featurizer loads no network if all sentences are cached."""
        transform(fitted, RECORD)
        (tmp_path / "state.json").write_text(json.dumps(fitted.state()))
        known_of(RECORD, ALL).write_parquet(tmp_path / "known.parquet")
        ALL.write_parquet(tmp_path / "samples.parquet")
        code = (
            "import json, sys, polars as pl\n"
            "from polyclinic.features.note.featurizer import NoteFeaturizer\n"
            "featurizer = NoteFeaturizer.from_state(json.load(open('state.json')))\n"
            "arrays = featurizer.transform(pl.read_parquet('known.parquet'), pl.read_parquet('samples.parquet'))\n"
            "assert arrays['sentence_mask'].sum() == 11\n"
            "assert 'torch' not in sys.modules and 'transformers' not in sys.modules\n"
        )
        environment = os.environ | {"POLYCLINIC_CACHE": str(cache.folder)}
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)


def test_tfidf(fitted):
    tfidf = fitted.tfidf(known_of(RECORD, ALL), ALL)
    assert tfidf.shape == (5, len(fitted.terms))
    assert {"word no pneumothorax", "word effusion"} <= set(fitted.terms)
    assert tfidf[[4]].nnz == 0
    column = fitted.terms.index("word no pneumothorax")
    assert (tfidf[:, [column]].toarray()[:, 0] > 0).tolist() == [False, True, True, False, False]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"outputs": ("word",)}, "words, sentences, not word"),
        ({"outputs": ()}, "not none"),
        ({"max_words": 0}, "at least 1"),
        ({"tfidf": ("sentence",)}, "choose from word, char"),
    ],
)
def test_invalid_options_raise(wrong, message):
    with pytest.raises(ValueError, match=message):
        NoteOptions(**wrong)


@pytest.mark.real_data
def test_real_notes(real_data, tmp_path):
    table = pl.read_csv(real_data("covid_cxr") / "metadata.csv", infer_schema_length=None)
    texts = table["clinical_notes"].drop_nulls().to_list()[:40]
    record = [(number, 1.0, "NOTE//clinical", text) for number, text in enumerate(texts)]
    samples = samples_of(list(range(len(texts))))
    featurizer = NoteFeaturizer(cache=EncoderCache(tmp_path)).fit(known_of(record, samples), samples)
    arrays = featurizer.transform(known_of(record, samples), samples)
    assert arrays["present"].all()
    assert (arrays["words"] > 0).sum() == sum(len(words(text)) for text in texts)
    assert 0.05 < (arrays["words"] == 1).sum() / (arrays["words"] > 0).sum() < 0.5
    lengths = np.linalg.norm(arrays["sentences"][arrays["sentence_mask"]], axis=1)
    np.testing.assert_allclose(lengths, 1, atol=2e-3)
