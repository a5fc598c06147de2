"""The bundle: a trained model with all it needs, as a folder of files."""
