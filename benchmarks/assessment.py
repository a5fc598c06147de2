"""How long one assessment takes, from the files of a cohort to the finished object, with cached encoders.

The bundle is as a study makes it by default, of the demo's five tasks, briefly trained; patients are synthetic and have
every input. Each figure is a median over patients, with a 95 % bootstrap interval. With --explained
assessments of so many patients are also explained, and integrated gradients are compared with the forward and backward
passes that they need: as many points of the same path, through the same networks, in a plain loop. --bundle and
--cohort measure an existing bundle, such as that of `make demo`. Run it with

    python -m benchmarks assessment --patients 300 --repeats 30 --explained 6
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.common import Interval, Table, alternated, median, ratio, verdict
from benchmarks.demo_bundle import bundle_parser, chosen_bundle
from benchmarks.one_prediction import Patients
from polyclinic import Bundle, Cohort
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

GOAL_MS = 60
GOAL_EXPLAINED_S = 6
GOAL_RATIO = 1.15


def main(arguments: Sequence[str] | None = None) -> None:
    options = bundle_parser(__doc__)
    options.add_argument("--repeats", type=int, default=30, help="patients who are assessed")
    options.add_argument("--explained", type=int, default=6, help="patients whose assessment is also explained")
    with tempfile.TemporaryDirectory(prefix="assessment-") as folder:
        chosen, *paths = chosen_bundle(options, arguments, Path(folder))
        bundle, cohort = Bundle.load(paths[0]), Cohort.open(paths[1])
        some = Patients(cohort, bundle, chosen.repeats)
        ids = list(dict.fromkeys(int(sample["subject_id"][0]) for sample in some.samples))
        title = f"{torch.get_num_threads()} threads, {len(bundle.tasks)} tasks, {len(ids)} patients assessed"
        table = Table(title, "what", "median (95 % interval)", "goal", "", first=58)
        _answers(table, bundle, cohort, some, ids)
        if chosen.explained:
            _explained(table, bundle, cohort, ids[: chosen.explained])


def _answers(table: Table, bundle: Bundle, cohort: Cohort, some: Patients, ids: Sequence[int]) -> None:
    works = (
        lambda place: assess(bundle, cohort, ids[place], explain=False),
        lambda place: some.answer(bundle, place),
    )
    alternated(min(len(ids), 3), *works)
    seconds = 1e3 * alternated(len(ids), *works)
    whole, answer = median(seconds[:, 0]), median(seconds[:, 1])
    table.row("one assessment, ms", whole.shown(".1f"), f"≤ {GOAL_MS}", verdict(whole.value <= GOAL_MS))
    table.row("the prediction only, events in memory, ms", answer.shown(".1f"))


def _explained(table: Table, bundle: Bundle, cohort: Cohort, ids: Sequence[int]) -> None:
    assess(bundle, cohort, ids[0])  # computes the latents of similar patients, once for all
    explained = median(alternated(len(ids), lambda place: assess(bundle, cohort, ids[place]))[:, 0])
    met = verdict(explained.value <= GOAL_EXPLAINED_S)
    table.row("one assessment, explained, s", explained.shown(".1f"), f"≤ {GOAL_EXPLAINED_S}", met)
    found = [assess_with_evidence(bundle, cohort, subject) for subject in ids]
    page = alternated(
        len(ids),
        lambda place: assessment_page(found[place].assessment, evidence_of(bundle, cohort, *found[place])),
    )
    table.row("its page, s", median(page[:, 0]).shown(".1f"))
    one, each = _passes(bundle, cohort, ids)
    met = verdict(one.value <= GOAL_RATIO)
    table.row("integrated gradients of one answer / their passes", one.shown(".2f"), f"≤ {GOAL_RATIO}", met)
    table.row("of all answers at once / the passes of each", each.shown(".2f"))


def _passes(bundle: Bundle, cohort: Cohort, ids: Sequence[int]) -> tuple[Interval, Interval]:
    """Compare integrated gradients with their passes: of one answer, and of all answers about a patient."""
    requests, usual = [_request(bundle, cohort, subject) for subject in ids], usual_of(bundle.reference)

    def one(place: int) -> None:
        sample, outputs = requests[place]
        integrated_gradients(bundle, sample, *outputs[0][:2])

    def each(place: int) -> None:
        integrated_gradients_of_each(bundle.ensemble.networks, *requests[place], usual)

    single = [[(out[0], _steps(integrated_gradients(bundle, sample, *out[0][:2])))] for sample, out in requests]
    together = [
        [
            (one, _steps(found))
            for one, found in zip(
                out, integrated_gradients_of_each(bundle.ensemble.networks, sample, out, usual), strict=True
            )
        ]
        for sample, out in requests
    ]
    works = (
        one,
        lambda place: _bare(bundle, requests[place][0], single[place]),
        each,
        lambda place: _bare(bundle, requests[place][0], together[place]),
    )
    seconds = alternated(len(ids), *works)
    return ratio(seconds[:, 0], seconds[:, 1]), ratio(seconds[:, 2], seconds[:, 3])


def _request(bundle: Bundle, cohort: Cohort, subject: int) -> tuple[Sample, list[Output]]:
    """Return the sample and the most probable outputs of a patient, at the first prediction time."""
    plain = assess(bundle, cohort, subject, explain=False)
    answers = [one for one in plain.answers if one.outputs]
    at = answers[0].prediction_time
    assert at is not None
    sample = Sample.of(bundle, cohort.subject(subject), subject, at, cohort.blob)
    same = [one for one in answers if one.prediction_time == at]
    best = [(one.task, max(one.outputs, key=lambda output: output.value).output) for one in same]
    return sample, [output_of(bundle, task, output) for task, output in best]


def _steps(found: Attribution) -> int:
    assert found.completeness is not None
    return found.completeness.steps


def _bare(bundle: Bundle, sample: Sample, outputs: Sequence[tuple[Output, int]]) -> None:
    """Run the forward and backward passes at as many points for each output."""
    function = LogitFunction(bundle.ensemble.networks, sample, outputs[0][0], usual_of(bundle.reference))
    for output, steps in outputs:
        for shares in torch.split(torch.linspace(0, 1, steps), PICTURES_AT_ONCE):
            points = {name: point.requires_grad_() for name, point in function.between(shares).items()}
            (logit,) = function.logits(points, (output,))
            torch.autograd.grad(logit.sum(), list(points.values()))


if __name__ == "__main__":
    main()
