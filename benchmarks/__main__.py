"""List the benchmarks and run them.

python -m benchmarks                       the list, then all that take minutes
python -m benchmarks speed demo            some
python -m benchmarks all                   all, also those that take an hour
python -m benchmarks speed --repeats 3     one, with its own options (see --help after its name)
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

from benchmarks.common import parser


@dataclass(frozen=True)
class Benchmark:
    """What it measures, and about how long it takes on two cores."""

    what: str
    minutes: float


BENCHMARKS: Mapping[str, Benchmark] = {
    "startup": Benchmark("time from the shell to one patient's answer, by stage, in new processes", 6),
    "speed": Benchmark("training steps, one prediction, second epochs", 5),
    "assessment": Benchmark("time of one patient's assessment, from the files to the finished object", 3),
    "demo": Benchmark("time and memory of `polyclinic demo --run`", 6),
    "processes": Benchmark("training and encoding by several processes against one: time and memory", 12),
    "feature_cache": Benchmark("time saved by the cache of frozen encoders' outputs", 1),
    "lesions": Benchmark("localisation of lesions by maps of a trained demo, at the selected sensitivity", 3),
    "triggers": Benchmark("whether the highest-scoring words of a trained demo are those that change the outcome", 6),
    "localisation": Benchmark("time from a heat map to its regions, at several sensitivities", 1),
    "ingest_physionet": Benchmark("throughput of the PhysioNet 2012 reader, and its cost as data grow", 6),
    "cohort_scale": Benchmark("cost of writing and summarising a cohort of up to 20 million events", 8),
    "scale": Benchmark("time and memory of every stage, from sources to predictions, by number of patients", 90),
    "missing_modalities": Benchmark("one model given some inputs, against models trained on these only", 40),
    "covid_cxr": Benchmark("COVID-19 from images, notes and facts: 5 times 5-fold cross-validation", 40),
    "ptbxl": Benchmark("diagnostic superclasses of 500 ECGs of PTB-XL: 5-fold cross-validation", 20),
    "audit": Benchmark("whether sets, abstention and intervals mean what they say, on PhysioNet 2012's set A", 25),
    "physionet2012": Benchmark("death in hospital from 48 hours of intensive care: 5-fold cross-validation", 75),
}
LONG = 15
"""Minutes, above which a benchmark is run only when named."""


def main() -> None:
    names, options = _split(sys.argv[1:])
    if options and len(names) != 1:
        arguments = parser(__doc__)
        arguments.add_argument("names", nargs="*", metavar="name", choices=[*BENCHMARKS, "all"])
        arguments.parse_args(options)
        arguments.error("options belong to one benchmark: name it first")
    if not names:
        _list()
    for name in _chosen(names):
        print(f"\n== {name}: {BENCHMARKS[name].what}", flush=True)
        import_module(f"benchmarks.{name}").main(options)


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """Return the names before the first option, and the rest."""
    first = next((place for place, word in enumerate(words) if word.startswith("-")), len(words))
    return words[:first], words[first:]


def _chosen(names: list[str]) -> list[str]:
    unknown = [name for name in names if name not in (*BENCHMARKS, "all")]
    if unknown:
        sys.exit(f"unknown benchmark {', '.join(unknown)}: choose from {', '.join([*BENCHMARKS, 'all'])}")
    if "all" in names:
        return list(BENCHMARKS)
    return names or [name for name, one in BENCHMARKS.items() if one.minutes <= LONG]


def _list() -> None:
    for name, one in BENCHMARKS.items():
        named = "" if one.minutes <= LONG else "; run it by its name"
        print(f"{name:20} {one.what} (about {one.minutes:g} min{named})")


if __name__ == "__main__":
    main()
