"""What Polyclinic costs and what it achieves, measured; `python -m benchmarks` runs it."""
