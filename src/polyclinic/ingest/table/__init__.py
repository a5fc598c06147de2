"""Tables (CSV, TSV, Parquet, Excel) described by a mapping."""
