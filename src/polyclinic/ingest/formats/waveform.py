"""A recorded waveform and its blob format.

The blob is an Arrow IPC file (compressed with Zstandard): one float32 column per lead, with its unit in the field's
metadata and the sampling rate in the schema's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl
import pyarrow as pa
from jaxtyping import Float32

SUFFIX = ".arrow"
MILLIVOLTS = {"mv": 1.0, "uv": 1e-3, "µv": 1e-3, "μv": 1e-3, "v": 1e3}
"""Units of voltage, in lower case, as millivolts."""
_RATE, _UNIT = b"sampling_hz", b"unit"


@dataclass(frozen=True, eq=False)
class Waveform:
    """Signals sampled at one rate; NaN for samples not recorded.

    Raises:
        ValueError: the number of names or units differs from that of signals, or the rate is not positive.
    """

    signals: Float32[np.ndarray, "sample lead"]
    sampling_hz: float
    leads: tuple[str, ...]
    units: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.signals.ndim != 2 or self.signals.dtype != np.float32:
            raise ValueError(f"signals must be float32 [sample, lead], not {self.signals.dtype} {self.signals.shape}")
        if not self.signals.shape[1] == len(self.leads) == len(self.units):
            raise ValueError(f"{self.signals.shape[1]} signals, {len(self.leads)} names, {len(self.units)} units")
        if not 0 < self.sampling_hz < np.inf:
            raise ValueError(f"the sampling rate must be positive, not {self.sampling_hz}")

    @property
    def duration_s(self) -> float:
        """Duration in seconds."""
        return len(self.signals) / self.sampling_hz

    def select(self, leads: Sequence[int]) -> Self:
        """Return the leads with these indices."""
        chosen = [(self.leads[lead], self.units[lead]) for lead in leads]
        names, units = zip(*chosen, strict=True) if chosen else ((), ())
        return type(self)(self.signals[:, list(leads)], self.sampling_hz, names, units)

    def to_blob(self) -> tuple[bytes, str]:
        """Return the blob's content and suffix; equal waveforms give equal bytes."""
        fields = [
            pa.field(name, pa.float32(), metadata={_UNIT: unit})
            for name, unit in zip(self.leads, self.units, strict=True)
        ]
        schema = pa.schema(fields, metadata={_RATE: repr(float(self.sampling_hz))})
        columns = [pa.array(np.ascontiguousarray(column)) for column in self.signals.T]
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
            writer.write_batch(pa.record_batch(columns, schema=schema))
        return sink.getvalue().to_pybytes(), SUFFIX

    @classmethod
    def from_blob(cls, content: bytes) -> Self:
        """Read the content that `to_blob` returned.

        Raises:
            ValueError: the content is not a waveform, or damaged.
        """
        try:
            with pa.ipc.open_file(pa.BufferReader(content)) as reader:
                table = reader.read_all()
            rate = float(table.schema.metadata[_RATE])
            units = tuple(field.metadata[_UNIT].decode() for field in table.schema)
            signals = np.empty((table.num_rows, table.num_columns), dtype=np.float32)
            for lead, column in enumerate(table.columns):
                signals[:, lead] = pl.Series(column).to_numpy()  # that of pyarrow imports pandas
        except (pa.ArrowException, KeyError, TypeError, OSError, ValueError) as error:
            raise ValueError("not a waveform blob: ingest the record again") from error
        return cls(signals, rate, tuple(table.column_names), units)
