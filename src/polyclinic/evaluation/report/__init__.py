"""Tables, plots, model card and page of what was measured."""
