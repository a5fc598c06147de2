"""Tables, plots, model cards and pages of evaluation results."""
