"""How long one assessment takes, from the files of a cohort to the finished object, with cached encoders.

The bundle is as a study makes it by default, briefly trained; patients are synthetic and have every input. Each figure
is a median over patients, with a 95 % bootstrap interval. With --explained also what the answers rest on is assessed,
of so many patients. Run it with

    python -m benchmarks assessment --patients 300 --repeats 30 --explained 0
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.common import Table, alternated, demo_cohort, median, parser, verdict
from benchmarks.one_prediction import DEFAULT, Patients
from polyclinic import Bundle
from polyclinic.assess import assess
from polyclinic.features.cache import EncoderCache
from polyclinic.training.fit import fit

GOAL_MS = 60


def main(arguments: Sequence[str] | None = None) -> None:
    asked = parser(__doc__)
    asked.add_argument("--patients", type=int, default=300)
    asked.add_argument("--repeats", type=int, default=30, help="patients who are assessed")
    asked.add_argument("--explained", type=int, default=0, help="patients whose assessment is also explained")
    chosen = asked.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="assessment-") as folder:
        cohort = demo_cohort(Path(folder) / "demo", chosen.patients)
        cache = EncoderCache(Path(folder) / "cache")
        bundle = Bundle.load(fit(DEFAULT, cohort, cache=cache).bundle.save(Path(folder) / "bundle"), cache)
        some = Patients(cohort, bundle, chosen.repeats)
        ids = [int(sample["subject_id"][0]) for sample in some.samples]
        works = (
            lambda place: assess(bundle, cohort, ids[place], explain=False),
            lambda place: some.answer(bundle, place),
        )
        alternated(min(len(ids), 3), *works)
        seconds = 1e3 * alternated(len(ids), *works)
        title = f"{torch.get_num_threads()} threads, {chosen.patients} patients, {len(ids)} assessed"
        table = Table(title, "what", "median (95 % interval)", "goal", "", first=44)
        whole, answer = median(seconds[:, 0]), median(seconds[:, 1])
        table.row("one assessment, ms", whole.shown(".1f"), f"≤ {GOAL_MS}", verdict(whole.value <= GOAL_MS))
        table.row("the answer alone, events in memory, ms", answer.shown(".1f"))
        if chosen.explained:
            few = ids[: chosen.explained]
            told = alternated(len(few), lambda place: assess(bundle, cohort, few[place]))
            table.row("one assessment, explained, s", median(told[:, 0]).shown(".1f"))


if __name__ == "__main__":
    main()
