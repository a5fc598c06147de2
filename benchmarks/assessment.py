"""How long one assessment takes, from the files of a cohort to the finished object, with cached encoders.

The bundle is as a study makes it by default, of the demo's five tasks, briefly trained; patients are synthetic and have
every input. Each figure is a median over patients, with a 95 % bootstrap interval. With --explained also what the
answers rest on is assessed, of so many patients, and integrated gradients are held against the bare forward and
backward passes that they need: as many points of the same path, through the same networks, in a plain loop. A bundle
that was trained before, such as that of `make demo`, is measured with --bundle and --cohort. Run it with

    python -m benchmarks assessment --patients 300 --repeats 30 --explained 6
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.common import Interval, Table, alternated, demo_cohort, median, parser, ratio, verdict
from benchmarks.one_prediction import Patients
from polyclinic import Bundle, Cohort, Study
from polyclinic.assess import assess, assess_with_evidence
from polyclinic.exchange.html import assessment_page, evidence_of
from polyclinic.explain.attribution import Attribution
from polyclinic.explain.inputs.baseline import usual_of
from polyclinic.explain.inputs.logit_function import LogitFunction
from polyclinic.explain.methods.integrated_gradients import (
    PICTURES_AT_ONCE,
    integrated_gradients,
    integrated_gradients_of_each,
)
from polyclinic.explain.sample import Output, Sample, output_of
from polyclinic.features.cache.encoder_cache import EncoderCache
from polyclinic.study import Network
from polyclinic.training.fit import fit_study

TASKS = ("demo_deterioration", "demo_diagnosis", "demo_findings", "demo_stay", "demo_survival")
GOAL_MS = 60
GOAL_EXPLAINED_S = 6
GOAL_RATIO = 1.15


def main(arguments: Sequence[str] | None = None) -> None:
    asked = parser(__doc__)
    asked.add_argument("--patients", type=int, default=300)
    asked.add_argument("--repeats", type=int, default=30, help="patients who are assessed")
    asked.add_argument("--explained", type=int, default=6, help="patients whose assessment is also explained")
    asked.add_argument("--tasks", nargs="+", default=TASKS, help="of the bundle that is trained")
    asked.add_argument("--bundle", type=Path, help="one that is there")
    asked.add_argument("--cohort", type=Path, help="that it is asked about")
    chosen = asked.parse_args(arguments)
    if (chosen.bundle is None) != (chosen.cohort is None):
        asked.error("a bundle needs a cohort, and a cohort its bundle: give both --bundle and --cohort, or neither")
    with tempfile.TemporaryDirectory(prefix="assessment-") as folder:
        if chosen.bundle is None:
            bundle, cohort = _trained(Path(folder), chosen.patients, chosen.tasks)
        else:
            bundle, cohort = Bundle.load(chosen.bundle), Cohort.open(chosen.cohort)
        some = Patients(cohort, bundle, chosen.repeats)
        ids = list(dict.fromkeys(int(sample["subject_id"][0]) for sample in some.samples))
        title = f"{torch.get_num_threads()} threads, {len(bundle.tasks)} tasks, {len(ids)} patients assessed"
        table = Table(title, "what", "median (95 % interval)", "goal", "", first=58)
        _answers(table, bundle, cohort, some, ids)
        if chosen.explained:
            _explained(table, bundle, cohort, ids[: chosen.explained])


def _trained(folder: Path, patients: int, tasks: Sequence[str]) -> tuple[Bundle, Cohort]:
    cohort = demo_cohort(folder / "demo", patients)
    cache = EncoderCache(folder / "cache")
    study = Study(tasks=tuple(tasks), network=Network(epochs=2))
    return Bundle.load(fit_study(study, cohort, cache=cache).bundle.save(folder / "bundle"), cache), cohort


def _answers(table: Table, bundle: Bundle, cohort: Cohort, some: Patients, ids: Sequence[int]) -> None:
    works = (
        lambda place: assess(bundle, cohort, ids[place], explain=False),
        lambda place: some.answer(bundle, place),
    )
    alternated(min(len(ids), 3), *works)
    seconds = 1e3 * alternated(len(ids), *works)
    whole, answer = median(seconds[:, 0]), median(seconds[:, 1])
    table.row("one assessment, ms", whole.shown(".1f"), f"≤ {GOAL_MS}", verdict(whole.value <= GOAL_MS))
    table.row("the answer alone, events in memory, ms", answer.shown(".1f"))


def _explained(table: Table, bundle: Bundle, cohort: Cohort, ids: Sequence[int]) -> None:
    assess(bundle, cohort, ids[0])  # places those who are alike, once for all patients
    told = median(alternated(len(ids), lambda place: assess(bundle, cohort, ids[place]))[:, 0])
    met = verdict(told.value <= GOAL_EXPLAINED_S)
    table.row("one assessment, explained, s", told.shown(".1f"), f"≤ {GOAL_EXPLAINED_S}", met)
    found = [assess_with_evidence(bundle, cohort, subject) for subject in ids]
    page = alternated(
        len(ids),
        lambda place: assessment_page(found[place].assessment, evidence_of(bundle, cohort, *found[place])),
    )
    table.row("its page, s", median(page[:, 0]).shown(".1f"))
    one, each = _passes(bundle, cohort, ids)
    met = verdict(one.value <= GOAL_RATIO)
    table.row("integrated gradients of one answer / their bare passes", one.shown(".2f"), f"≤ {GOAL_RATIO}", met)
    table.row("of all answers at once / the bare passes of each", each.shown(".2f"))


def _passes(bundle: Bundle, cohort: Cohort, ids: Sequence[int]) -> tuple[Interval, Interval]:
    """Hold integrated gradients against their bare passes: of one answer, and of all answers about a patient."""
    asked, usual = [_asked(bundle, cohort, subject) for subject in ids], usual_of(bundle.reference)

    def one(place: int) -> None:
        sample, outputs = asked[place]
        integrated_gradients(bundle, sample, *outputs[0][:2])

    def each(place: int) -> None:
        integrated_gradients_of_each(bundle.ensemble.networks, *asked[place], usual)

    alone = [[(out[0], _steps(integrated_gradients(bundle, sample, *out[0][:2])))] for sample, out in asked]
    together = [
        [
            (one, _steps(found))
            for one, found in zip(
                out, integrated_gradients_of_each(bundle.ensemble.networks, sample, out, usual), strict=True
            )
        ]
        for sample, out in asked
    ]
    works = (
        one,
        lambda place: _bare(bundle, asked[place][0], alone[place]),
        each,
        lambda place: _bare(bundle, asked[place][0], together[place]),
    )
    seconds = alternated(len(ids), *works)
    return ratio(seconds[:, 0], seconds[:, 1]), ratio(seconds[:, 2], seconds[:, 3])


def _asked(bundle: Bundle, cohort: Cohort, subject: int) -> tuple[Sample, list[Output]]:
    """Give the sample and the most probable outputs that are explained of a patient, at the first time asked."""
    plain = assess(bundle, cohort, subject, explain=False)
    answers = [one for one in plain.answers if one.outputs]
    at = answers[0].prediction_time
    assert at is not None
    sample = Sample.of(bundle, cohort.subject(subject), subject, at, cohort.blob)
    same = [one for one in answers if one.prediction_time == at]
    best = [(one.task, max(one.outputs, key=lambda said: said.value).output) for one in same]
    return sample, [output_of(bundle, task, output) for task, output in best]


def _steps(found: Attribution) -> int:
    assert found.completeness is not None
    return found.completeness.steps


def _bare(bundle: Bundle, sample: Sample, asked: Sequence[tuple[Output, int]]) -> None:
    """Go forward and back at as many points for each output, and do nothing with what comes out."""
    function = LogitFunction(bundle.ensemble.networks, sample, asked[0][0], usual_of(bundle.reference))
    for output, steps in asked:
        for shares in torch.split(torch.linspace(0, 1, steps), PICTURES_AT_ONCE):
            points = {name: point.requires_grad_() for name, point in function.between(shares).items()}
            (said,) = function.logits(points, (output,))
            torch.autograd.grad(said.sum(), list(points.values()))


if __name__ == "__main__":
    main()
