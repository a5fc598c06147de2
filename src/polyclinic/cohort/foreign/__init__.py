"""MEDS data sets written by other tools, opened as they are: any shards, splits or none, no `blob` column."""
