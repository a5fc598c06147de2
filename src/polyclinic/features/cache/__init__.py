"""Disk cache of the outputs of frozen encoders."""
