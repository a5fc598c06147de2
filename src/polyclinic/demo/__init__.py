"""A synthetic cohort with known truth, written as source files and ingested like any other.

`clinic` is the model of the patients; `measurements`, `notes`, `ecg`, `films` and `tables` observe them; `sources`
writes the files; `oracle` says what could be known at best.
"""

from polyclinic.demo.best_possible import Oracle, oracle
from polyclinic.demo.sources import DemoSources, Step, write_sources

__all__ = ["DemoSources", "Oracle", "Step", "oracle", "write_sources"]
