"""Throughput of the PhysioNet 2012 reader, from the archive to the committed cohort: events per second, peak memory.

Set A (`POLYCLINIC_DATA`, by default ../shared/data) is read as it is, and at several times its size by repeating its
records under new ids, to show that the cost of an event does not grow. Every run has a process and a folder of its own.

    python -m benchmarks ingest_physionet --scales 1 2 4 8 12 --repeats 3
"""

import argparse
import gzip
import io
import json
import statistics
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import DATA, parser, peak_mb, real_data, run_apart
from polyclinic.ingest import ingest

NAME = "physionet2012_a"
GOAL = 320_000  # events per second; PyHealth 2.1's own reader: 31,700
STEP = 1_000_000  # between the ids of a record and of its next copy


def replicate(times: int, into: Path) -> Path:
    """Write `times` copies of set A under new ids into one archive, with their outcomes, and return the folder."""
    with tarfile.open(DATA / NAME / "set-a.tar.gz") as source:
        members = [(m.name, source.extractfile(m).read()) for m in source if m.isfile()]  # type: ignore[union-attr]
    into.mkdir()
    with (
        gzip.open(into / "set-a.tar.gz", "wb", compresslevel=1) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for copy in range(times):
            for name, content in members:
                stem = Path(name).stem
                renamed = str(int(stem) + copy * STEP)
                text = content.replace(f"RecordID,{stem}\n".encode(), f"RecordID,{renamed}\n".encode())
                info = tarfile.TarInfo(f"set-a/{renamed}.txt")
                info.size = len(text)
                archive.addfile(info, io.BytesIO(text))
    header, *rows = (DATA / NAME / "Outcomes-a.txt").read_text().splitlines()
    cells = [row.split(",", 1) for row in rows]
    copies = (f"{int(stay) + copy * STEP},{rest}" for copy in range(times) for stay, rest in cells)
    (into / "Outcomes-a.txt").write_text("\n".join([header, *copies, ""]))
    return into


def measure(source: Path) -> dict[str, float]:
    """Ingest `source` into a new cohort, in this process."""
    with tempfile.TemporaryDirectory(prefix="ingest-physionet-") as folder:
        begin = time.perf_counter()
        report = ingest("physionet2012", source, Path(folder) / "cohort")
        seconds = time.perf_counter() - begin
    return {"events": report.events, "rejected": report.rejected, "seconds": seconds, "peak_mb": peak_mb()}


def apart(source: Path) -> dict[str, float]:
    """Measure in a new process, so that peak memory is of this measurement only."""
    return run_apart("benchmarks.ingest_physionet", "--one", str(source.resolve()))


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--scales", type=int, nargs="+", default=[1, 2, 4, 8, 12])
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    chosen = options.parse_args(arguments)
    if chosen.one:
        print(json.dumps(measure(chosen.one)))
        return
    data = real_data(NAME)
    if data is None:
        return
    print(f"goal: {GOAL:,} events/s under 1,000 MB at scale 1, and a flat cost per event")
    print("scale      events  rejected    events/s median (min-max)    µs/event  peak MB")
    for scale in chosen.scales:
        with tempfile.TemporaryDirectory(prefix="physionet-copies-") as folder:
            source = data if scale == 1 else replicate(scale, Path(folder) / "copies")
            runs = [apart(source) for _ in range(chosen.repeats)]
        events = runs[0]["events"]
        seconds = [run["seconds"] for run in runs]
        middle = statistics.median(seconds)
        print(
            f"{scale:5} {events:11,} {runs[0]['rejected']:9,}  {events / middle:9,.0f} "
            f"({events / max(seconds):,.0f}-{events / min(seconds):,.0f})  {1e6 * middle / events:10.3f}  "
            f"{max(run['peak_mb'] for run in runs):7,.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
