"""Plots of explanations, for notebooks; each function returns axes."""

from polyclinic.explain.display.ecg import ecg
from polyclinic.explain.display.plots import heat_map, modalities, series, waterfall, words

__all__ = ["ecg", "heat_map", "modalities", "series", "waterfall", "words"]
