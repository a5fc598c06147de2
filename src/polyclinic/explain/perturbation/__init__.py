"""Remove parts of the inputs and observe the prediction."""
