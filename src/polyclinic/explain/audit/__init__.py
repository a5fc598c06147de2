"""Measure whether explanations are faithful, and whether heat maps find lesions of known position."""
