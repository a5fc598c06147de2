"""Golden outputs: what shipped encoders, and a bundle for a synthetic patient, must compute on every machine."""
