"""Columns of the design matrix by modality; see `polyclinic.modalities`."""
