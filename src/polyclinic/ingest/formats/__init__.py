"""File formats shared by readers: text, tables (delimited, Parquet, workbooks), images, waveforms, WFDB records."""
