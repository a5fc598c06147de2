"""The cache on disk of what frozen encoders computed."""
