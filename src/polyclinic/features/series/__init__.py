"""Time series of measurements: triplets and grids."""
