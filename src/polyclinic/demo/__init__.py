"""A synthetic cohort with known truth, written as source files and ingested like any other.

`patients` is the model of the patients; `labs_and_vitals`, `notes` (with `phrases`), `ecg`, `radiographs` (with
`phantom` and `dicom`) and `tables` observe them; `sources` writes the files; `best_possible` computes the upper bound
of discrimination.
"""

from polyclinic.demo.best_possible import Oracle, oracle
from polyclinic.demo.sources import DemoSources, Step, write_sources

__all__ = ["DemoSources", "Oracle", "Step", "oracle", "write_sources"]
