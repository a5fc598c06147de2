"""One model of the whole patient: multimodal clinical machine learning, measured honestly."""
