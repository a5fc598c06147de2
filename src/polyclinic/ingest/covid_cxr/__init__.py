"""The COVID-19 image data collection."""
