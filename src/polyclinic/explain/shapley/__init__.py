"""Shapley values: of modalities, and of the features of classical models."""
