"""WFDB records: `reader` of folders of records, with their facts."""
