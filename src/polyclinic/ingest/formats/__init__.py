"""File formats that several readers share: delimited text, workbooks, images, waveforms."""
