"""Whether the words with the highest scores are those that change the outcome, in notes of unseen patients.

Scores are integrated gradients of deterioration in all inputs, of a trained demo bundle, for unseen patients whose
notes state a history that changes the outcome. Since the demo has few held-out patients, patients of another seed are
added. After `make demo`, run it with

    python -m benchmarks triggers --demo runs/demo --others 300
"""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.common import Table, parser, verdict
from polyclinic import Bundle, Cohort
from polyclinic.demo import write_sources
from polyclinic.explain.attribution import WordScore
from polyclinic.explain.audit.ground_truth import Trigger, Truth
from polyclinic.explain.audit.known_causes import TOP, TRIGGERS
from polyclinic.explain.audit.samples import mean
from polyclinic.explain.methods.integrated_gradients import integrated_gradients
from polyclinic.explain.sample import Sample
from polyclinic.ingest import ingest
from polyclinic.tasks import prediction_times

TASK = "demo_deterioration"
OTHER_SEED = 20_000


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--demo", type=Path, default=Path("runs/demo"), help="folder of a demo with its bundle")
    options.add_argument("--others", type=int, default=300, help="further patients, of another seed; 0: none")
    chosen = options.parse_args(arguments)
    if not (chosen.demo / "bundle").is_dir():
        print(f"skipped: there is no bundle in {chosen.demo}; make one with `make demo`")
        return
    bundle, cohort = Bundle.load(chosen.demo / "bundle"), Cohort.open(chosen.demo / "cohort")
    table = Table(
        f"trigger words among the {TOP} with the highest scores for {TASK}", "notes of", "any", "chance", "goal", ""
    )
    show(table, "held-out patients", bundle, cohort, chosen.demo / "truth", cohort.subjects_in("held_out"))
    if chosen.others:
        with tempfile.TemporaryDirectory(prefix="triggers-") as folder:
            written = write_sources(Path(folder), chosen.others, OTHER_SEED)
            for step in written.steps:
                ingest(step.reader, step.path, Path(folder) / "cohort", mapping=step.mapping)
            others = Cohort.open(Path(folder) / "cohort")
            show(table, "patients of another seed", bundle, others, written.truth, None)


def show(table: Table, whose: str, bundle: Bundle, cohort: Cohort, truth: Path, subjects: Sequence[int] | None) -> None:
    """Print the share of the notes in which a trigger word is among the highest scores."""
    hits, chances = [], []
    for subject, words, triggers in stated(bundle, cohort, truth, subjects):
        meets = np.array([any(one.meets(word.section, word.start, word.end) for one in triggers) for word in words])
        top = np.argsort([-word.score for word in words], kind="stable")[:TOP]
        hits.append((subject, float(meets[top].any())))
        others = len(words) - meets.sum()
        missed = np.prod([(others - k) / (len(words) - k) for k in range(min(TOP, len(words)))])
        chances.append((subject, 1 - max(float(missed), 0.0)))
    found = mean("triggers_in_top_3", hits)
    met = verdict((found.value or 0) >= TRIGGERS)
    table.row(f"{len(hits)} {whose}", found, mean("chance", chances), f"≥ {TRIGGERS}", met)


def stated(
    bundle: Bundle, cohort: Cohort, folder: Path, subjects: Sequence[int] | None
) -> Iterator[tuple[int, Sequence[WordScore], list[Trigger]]]:
    """Yield the scored words of each note that states a cause, and its trigger words."""
    truth = Truth.read(folder, cohort)
    concepts = set(truth.causes["note"])
    (task,) = (one for one in bundle.tasks if one.name == TASK)
    for subject, at in prediction_times(cohort, task).select("subject_id", "prediction_time").rows():
        triggers = [one for one in truth.triggers.get(subject, ()) if one.concept in concepts]
        if not triggers or (subjects is not None and subject not in subjects):
            continue
        sample = Sample.of(bundle, cohort.subject(subject), subject, at, cohort.blob)
        note = integrated_gradients(bundle, sample, TASK)["note"] if sample.present else None
        seen = {word.section for word in note.words} if note else set()
        if note and (read := [one for one in triggers if one.section in seen]):
            yield subject, note.words, read


if __name__ == "__main__":
    main()
