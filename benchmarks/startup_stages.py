"""Seconds of each stage from a new process to one patient's answer: a part of `startup`, run in a process of its own.

python -m benchmarks.startup_stages BUNDLE COHORT SUBJECT

prints a JSON object: wall time by stage, and processor time by stage with `, processor`. Nothing is imported before the
clock runs.
"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

STAGES = ("imports", "loading", "cohort", "features", "answer", "assessment")


class Stages:
    """The wall and processor time of each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Measure what is done inside."""
        wall, processor = time.perf_counter(), time.process_time()
        yield
        self.seconds[stage] = time.perf_counter() - wall
        self.seconds[f"{stage}, processor"] = time.process_time() - processor


def main() -> None:
    bundle_path, cohort_path, text = sys.argv[1:]
    stages = Stages()
    with stages.measure("imports"):
        from polyclinic.cohort import Cohort
        from polyclinic.models.bundle.bundle import Bundle
        from polyclinic.tasks import number_samples, prediction_times
    with stages.measure("loading"):
        bundle = Bundle.load(bundle_path)
    with stages.measure("cohort"):
        cohort = Cohort.open(cohort_path)
        subject = cohort.find_subject(text)
        samples = number_samples(prediction_times(cohort, bundle.tasks[0], [subject]))
    with stages.measure("features"):
        arrays = bundle.arrays(cohort, samples)
    with stages.measure("answer"):
        bundle.ensemble.answer(arrays)
    with stages.measure("assessment"):
        from polyclinic.assess import assess

        assess(bundle, cohort, subject)
    print(json.dumps(stages.seconds))


if __name__ == "__main__":
    main()
