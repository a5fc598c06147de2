"""DICOM: `reader` of folders, `image` of one object, `header` values, `intensity` and `orientation` of pixels."""
