"""Golden outputs: what shipped encoders, and a bundle of a patient who is nobody, must compute wherever they run."""
