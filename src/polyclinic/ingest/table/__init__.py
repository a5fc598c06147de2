"""Tables (CSV, TSV, Parquet, Excel): `reader`, the `mapping` that describes a table, and `guess` to write one."""
