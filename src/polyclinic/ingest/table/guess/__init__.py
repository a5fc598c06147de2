"""Guess the mapping of a table: `guess_mapping`."""

from polyclinic.ingest.table.guess.table import guess_mapping

__all__ = ["guess_mapping"]
