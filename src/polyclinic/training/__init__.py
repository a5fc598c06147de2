"""Losses, fitting, cross-fitting, comparison: from a study and a cohort to a bundle and its figures."""
