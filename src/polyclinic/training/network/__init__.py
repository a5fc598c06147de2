"""Training of the unified network."""
