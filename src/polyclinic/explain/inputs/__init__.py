"""Differentiable inputs: from what was recorded to what an encoder reads, and back to words, values and pixels."""
