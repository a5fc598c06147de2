"""The PhysioNet/CinC Challenge 2012: `reader` of records, `outcomes`, the files in `archive`, and `codes`."""
