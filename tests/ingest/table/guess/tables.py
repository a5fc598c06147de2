"""Guess the mapping of a table given as text."""

from pathlib import Path

from polyclinic.ingest import guess_mapping
from polyclinic.ingest.table.mapping import TableMapping, load_mapping


def guess_of(folder: Path, text: str, name: str = "t.csv") -> str:
    """Return the guess of a table, which is left in the folder."""
    (folder / name).write_text(text, encoding="utf-8")
    return guess_mapping(folder / name)


def mapping_of(folder: Path, guess: str) -> TableMapping:
    """Load a guess."""
    (folder / "guess.yaml").write_text(guess, encoding="utf-8")
    return load_mapping(folder / "guess.yaml")


def line_of(guess: str, start: str) -> str:
    """Return the line of a guess that starts with a text."""
    return next((line for line in guess.splitlines() if line.strip().startswith(start)), "")
