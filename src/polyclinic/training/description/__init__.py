"""Gather the facts of a card: cohort, flow, baseline characteristics, predictors, members, sample size."""
