"""TF-IDF, compared with scikit-learn's vectoriser."""

import json

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from polyclinic.features.note.tfidf import Tfidf, char_terms, word_terms
from polyclinic.features.note.tokenizer import words

DOCUMENTS = [
    ["No pleural effusion. No pneumothorax.", "Heart size normal."],
    ["Small left pleural effusion, no pneumothorax."],
    ["Cough and fever for 3 days."],
    ["Cough, no fever.", "No effusion."],
    [],
    ["No no no effusion"],
]


@pytest.mark.parametrize(("kind", "terms"), [("word", word_terms), ("char", char_terms)])
def test_equals_scikit_learn(kind, terms):
    theirs = TfidfVectorizer(analyzer=lambda texts: list(terms(texts)), min_df=2, sublinear_tf=True)
    expected = theirs.fit_transform(DOCUMENTS)
    ours = Tfidf((kind,)).fit(DOCUMENTS)
    assert [name.split(" ", 1)[1] for name in ours.names] == theirs.get_feature_names_out().tolist()
    np.testing.assert_allclose(ours.transform(DOCUMENTS).toarray(), expected.toarray(), atol=1e-6)


def test_terms_equal_scikit_learns():
    text = "Small (left) effusion of 3.5 cm, x-ray: no PTX"
    split = " ".join(word.text for word in words(text))
    pairs = TfidfVectorizer(ngram_range=(1, 2), tokenizer=str.split, token_pattern=None).build_analyzer()
    parts = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5)).build_analyzer()
    assert sorted(word_terms([text])) == sorted(pairs(split))
    assert set(char_terms([text])) == set(parts(split))


def test_bigrams_do_not_cross_notes():
    names = Tfidf(min_documents=1).fit(DOCUMENTS).names
    assert "word pleural effusion" in names
    assert "word pneumothorax heart" not in names


def test_rows_are_normalised():
    weights = Tfidf(("word", "char")).fit(DOCUMENTS).transform(DOCUMENTS)
    assert (weights.format, weights.dtype) == ("csr", np.float32)
    assert weights[[4]].nnz == 0
    norms = np.sqrt(weights.multiply(weights).sum(axis=1))
    np.testing.assert_allclose(norms[[0, 1, 2, 3, 5]], np.sqrt(2), rtol=1e-6)  # each kind of terms has norm 1


def test_most_frequent_terms_are_kept():
    kept = Tfidf(min_documents=1, max_terms=3).fit(DOCUMENTS)
    assert set(kept.names) == {"word no", "word effusion", "word cough"}


def test_state_round_trips_through_json():
    fitted = Tfidf(("word", "char")).fit(DOCUMENTS)
    rebuilt = Tfidf.from_state(json.loads(json.dumps(fitted.state(), sort_keys=True)))
    assert rebuilt.names == fitted.names
    assert rebuilt.state() == fitted.state()
    assert (rebuilt.transform(DOCUMENTS) != fitted.transform(DOCUMENTS)).nnz == 0


def test_no_kinds_of_terms():
    assert Tfidf(()).fit(DOCUMENTS).transform(DOCUMENTS).shape == (6, 0)


def test_unknown_terms_raise_with_the_choices():
    with pytest.raises(ValueError, match="choose from word, char"):
        Tfidf(("sentence",))
