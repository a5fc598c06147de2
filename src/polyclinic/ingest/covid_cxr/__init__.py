"""The COVID-19 image data collection: `reader` of its metadata and images, `diagnosis_mask` for its notes."""
