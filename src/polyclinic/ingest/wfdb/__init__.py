"""Folders of WFDB records."""
