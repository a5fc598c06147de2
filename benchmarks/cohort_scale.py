"""Cost of writing and summarising a cohort as it grows: events per second, peak memory, cost per event.

Synthetic laboratory values and vital signs come in long-form frames, as readers give them; each measurement runs in a
process of its own, writes to a temporary folder and removes it. Run it with

    python -m benchmarks cohort_scale --millions 1 5 20 --repeats 3
"""

import argparse
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.common import parser, peak_mb, run_apart
from polyclinic.cohort import Cohort, CohortWriter

EVENTS_PER_SUBJECT = 400
CODES = pl.Series([f"LAB//analyte {i}//mmol/L" for i in range(150)] + [f"VITAL//sign {i}//bpm" for i in range(50)])
SPAN_US = 5 * 365 * 86_400 * 1_000_000


def frames(events: int, order: str, rows: int = 100_000) -> Iterator[pl.DataFrame]:
    """Yield `events` random events, a frame at a time.

    Ordered by "subject" each frame holds a few whole subjects; by "time" every frame holds events of all subjects,
    which is the hardest to merge.
    """
    rng = np.random.default_rng(0)
    subjects = events // EVENTS_PER_SUBJECT
    for start in range(0, events, rows):
        n = min(rows, events - start)
        if order == "subject":
            subject = np.arange(start, start + n) // EVENTS_PER_SUBJECT
            time_us = rng.integers(0, SPAN_US, n)
        else:
            subject = rng.integers(0, subjects, n)
            time_us = start * (SPAN_US // events) + np.sort(rng.integers(0, rows * (SPAN_US // events), n))
        yield pl.DataFrame(
            {
                "source_id": pl.Series(subject).cast(pl.String),
                "time": pl.Series(time_us).cast(pl.Datetime("us")),
                "code": CODES.gather(rng.integers(0, len(CODES), n)),
                "numeric_value": rng.normal(100, 15, n).astype(np.float32),
            }
        )


def measure(events: int, order: str) -> dict[str, float]:
    """Write, open and summarise a cohort of `events`, in this process."""
    folder = Path(tempfile.mkdtemp(prefix="cohort-scale-"))
    try:
        seconds = 0.0
        with CohortWriter(folder, source="synthetic") as writer:
            for frame in frames(events, order):
                begin = time.perf_counter()
                writer.add(frame)
                seconds += time.perf_counter() - begin
            begin = time.perf_counter()
            writer.commit()
            seconds += time.perf_counter() - begin
        begin = time.perf_counter()
        cohort = Cohort.open(folder)
        opened = time.perf_counter()
        summary = cohort.summary()
        summarised = time.perf_counter()
        assert summary.events > 0.999 * events
        size = sum(file.stat().st_size for file in (folder / "current").rglob("*.parquet"))
        return {
            "write_s": seconds,
            "peak_mb": peak_mb(),
            "open_ms": 1e3 * (opened - begin),
            "summary_ms": 1e3 * (summarised - opened),
            "bytes_per_event": size / events,
        }
    finally:
        shutil.rmtree(folder)


def apart(events: int, order: str) -> dict[str, float]:
    """Measure in a new process, so that peak memory is of this measurement only."""
    return run_apart("benchmarks.cohort_scale", "--one", str(events), "--order", order)


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--millions", type=float, nargs="+", default=[1, 5, 20])
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--order", choices=["subject", "time"], nargs="+", default=["subject", "time"])
    options.add_argument("--one", type=int, help=argparse.SUPPRESS)
    chosen = options.parse_args(arguments)
    if chosen.one:
        print(json.dumps(measure(chosen.one, chosen.order[0])))
        return
    print("order    events      events/s (min-max)         µs/event  peak MB  open ms  summary ms  bytes/event")
    for order in chosen.order:
        for millions in chosen.millions:
            events = int(millions * 1e6)
            runs = [apart(events, order) for _ in range(chosen.repeats)]
            middle = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
            slow, fast = (events / pick(run["write_s"] for run in runs) for pick in (max, min))
            print(
                f"{order:8} {events:10,}  {events / middle['write_s']:9,.0f} ({slow:,.0f}-{fast:,.0f})  "
                f"{1e6 * middle['write_s'] / events:8.3f}  {max(run['peak_mb'] for run in runs):7,.0f}  "
                f"{middle['open_ms']:7.1f}  {middle['summary_ms']:10.1f}  {middle['bytes_per_event']:11.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
