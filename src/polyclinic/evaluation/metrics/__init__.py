"""Metrics as pure functions of truth, prediction and weights."""
