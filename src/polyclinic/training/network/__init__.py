"""Fit the unified network."""
