"""In-memory data sets, and folds."""
