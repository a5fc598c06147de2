"""Electrocardiograms: leads by name, resampled to one rate and length."""
