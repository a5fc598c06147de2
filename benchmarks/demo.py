"""Wall time and peak memory of `polyclinic demo --run`: ingestion, training and evaluation of a synthetic hospital.

python -m benchmarks demo --patients 800
"""

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence

import psutil

from benchmarks.common import Table, parser, verdict

LONGEST_S, MOST_MB = 300, 4000
EVERY = 0.2
"""Seconds between two measurements of the memory."""
COMMAND = "import sys; from polyclinic.cli import main; sys.argv = ['polyclinic', *{!r}]; main()"


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--patients", type=int, help="instead of the demo's own number")
    options.add_argument("--show", action="store_true", help="print what the demo prints")
    chosen = options.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        words = ["demo", "--run", "--into", folder]
        words += ["--patients", str(chosen.patients)] if chosen.patients else []
        environment_cache = {"POLYCLINIC_CACHE": f"{folder}/cache"}
        seconds, peak_mb = watched([sys.executable, "-c", COMMAND.format(words)], environment_cache, chosen.show)
    table = Table("polyclinic demo --run, with an empty cache", "what", "measured", "goal", "", first=24)
    table.row("wall time, s", f"{seconds:.0f}", f"≤ {LONGEST_S}", verdict(seconds <= LONGEST_S))
    table.row("peak memory, MB", f"{peak_mb:,.0f}", f"< {MOST_MB:,}", verdict(peak_mb < MOST_MB))


def watched(command: Sequence[str], environment: dict[str, str], show: bool) -> tuple[float, float]:
    """Run a command; return its seconds and the peak memory of it and its children, in MB."""
    import os

    begin = time.perf_counter()
    process = subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=None if show else subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    held = [0.0]
    watcher = threading.Thread(target=_watch, args=(process, held))
    watcher.start()
    _, errors = process.communicate()
    seconds = time.perf_counter() - begin
    watcher.join()
    if process.returncode:
        sys.exit(f"the demo failed:\n{errors.decode()}")
    return seconds, max(held)


def _watch(process: subprocess.Popen[bytes], held: list[float]) -> None:
    while process.poll() is None:
        try:
            family = [psutil.Process(process.pid)]
            family += family[0].children(recursive=True)
            held.append(sum(one.memory_info().rss for one in family) / 1e6)
        except psutil.NoSuchProcess:
            continue
        time.sleep(EVERY)


if __name__ == "__main__":
    main()
