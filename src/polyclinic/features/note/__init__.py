"""Clinical notes: words with negation, sentences, TF-IDF."""
