"""Folders of DICOM images."""
