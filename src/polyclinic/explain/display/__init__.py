"""Attributions as summaries, labels and plots for readers."""
