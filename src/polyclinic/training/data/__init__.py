"""Datasets in memory, and folds."""
