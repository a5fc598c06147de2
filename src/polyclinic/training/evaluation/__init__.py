"""Measure a bundle on a cohort."""
