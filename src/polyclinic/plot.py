"""Plots of explanations, for notebooks; each function returns axes."""

from polyclinic.explain.display.plots import heat_map, modalities, series, waterfall, words

__all__ = ["heat_map", "modalities", "series", "waterfall", "words"]
