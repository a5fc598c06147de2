"""The columns of an event: those of MEDS, and `blob`, the name of an image or waveform under `blobs/`.

https://github.com/Medical-Event-Data-Standard/meds (version 0.4, `DataSchema`).
"""

from collections.abc import Mapping
from datetime import datetime

import polars as pl
import pyarrow as pa

#: Origin of time for sources without dates.
NOMINAL_ORIGIN = datetime(2000, 1, 1)

#: The clocks of a cohort's times: UTC, or local time of one unstated zone.
UTC, LOCAL = "UTC", "local"

#: One event per row, columns in file order; a null time means a static fact.
EVENTS: pa.Schema = pa.schema(
    [
        pa.field("subject_id", pa.int64(), nullable=False),
        pa.field("time", pa.timestamp("us")),
        pa.field("code", pa.string(), nullable=False),
        pa.field("numeric_value", pa.float32()),
        pa.field("text_value", pa.large_string()),
        pa.field("blob", pa.string()),
    ]
)

#: The same columns as polars types.
POLARS_EVENTS: Mapping[str, pl.DataType] = {
    "subject_id": pl.Int64(),
    "time": pl.Datetime("us"),
    "code": pl.String(),
    "numeric_value": pl.Float32(),
    "text_value": pl.String(),
    "blob": pl.String(),
}
