"""Evaluate a bundle on a cohort."""
