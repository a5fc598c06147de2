"""COVID-19 from images, masked notes and facts of 156 patients: 5 times 5-fold cross-validation by patient.

Compares the unified model with models of each single input, and with the figures of simple models. A figure is the mean
over the repeats of the AUROC of out-of-fold predictions; its interval comes from resampling patients, the same for all
models, so that differences are paired. Reads the folder POLYCLINIC_DATA.

    python -m benchmarks covid_cxr --repeats 5 --folds 5
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.common import Interval, Table, parser, real_cohort, real_data, verdict
from benchmarks.crossvalidation import UNIFIED, out_of_fold
from polyclinic import Cohort, Study
from polyclinic.evaluation import Bootstrap, auroc
from polyclinic.features.cache.encoder_cache import EncoderCache

TASK = "covid_cxr_covid19"
INPUTS = ("structured", "note", "image")
NETWORK = "its network only"
GOAL = 0.83
FLOORS = {
    "simple model of image": 0.668,
    "simple model of note": 0.796,
    "simple model of structured": 0.675,
    "their mean": 0.793,
    "their concatenation": 0.737,
}


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--folds", type=int, default=5)
    options.add_argument("--config", type=Path, help="a study's YAML instead of the default study")
    options.add_argument("--patients", type=int, help="only the first N, to try it")
    chosen = options.parse_args(arguments)
    source = real_data("covid_cxr")
    if source is None:
        return
    study = Study.load(chosen.config) if chosen.config else Study(tasks=(TASK,), inputs=INPUTS)
    with real_cohort("covid-cxr", source, chosen.patients) as (cohort, folder):
        cache = EncoderCache(folder / "cache")
        repeats: list[Mapping[str, np.ndarray]] = []
        for repeat in range(chosen.repeats):
            predictions = cross_validated(study, cohort, cache, chosen.folds, repeat)
            repeats.append(predictions.answers)
            print(f"repeat {repeat + 1} of {chosen.repeats} is done", flush=True)
    answers = {name: np.stack([of_repeat[name] for of_repeat in repeats]) for name in repeats[0]}
    show(predictions.truth, answers, study.modalities)


class Predictions(NamedTuple):
    """Out-of-fold predictions of one repeat."""

    truth: np.ndarray  # Boolean [patient]
    answers: Mapping[str, np.ndarray]  # by model [patient]


def cross_validated(study: Study, cohort: Cohort, cache: EncoderCache, folds: int, seed: int) -> Predictions:
    """Cross-validate the study, and the same study of each single input."""
    answers: dict[str, np.ndarray] = {}
    for inputs in (study.modalities, *((name,) for name in study.modalities)):
        found = out_of_fold(study.model_copy(update={"inputs": inputs}), cohort, folds, seed, cache)
        name = UNIFIED if inputs == study.modalities else f"{inputs[0]} only"
        answers[name] = found.answers[UNIFIED]
        if name == UNIFIED and "network" in found.answers:
            answers[NETWORK] = found.answers["network"]
    return Predictions(found.truth > 0.5, answers)


def show(truth: np.ndarray, answers: Mapping[str, np.ndarray], inputs: Sequence[str]) -> None:
    """Print the mean AUROC of each model over the repeats, and how much better the unified model is."""
    table = Table(
        f"n = {len(truth)}, {truth.sum()} with COVID-19; means over {len(answers[UNIFIED])} repeats, 95 % intervals",
        *("", "AUROC".rjust(24), "unified is better by".rjust(27), "goal".rjust(6), ""),
        first=28,
    )
    for name, predicted in answers.items():
        found = measured(truth, predicted)
        met = found.value >= GOAL
        ahead = "" if name == UNIFIED else measured(truth, answers[UNIFIED], predicted).shown("+.3f")
        table.row(name, found.shown(), ahead, *((f"{GOAL}", verdict(met)) if name == UNIFIED else ()))
    for name, floor in FLOORS.items():
        table.row(name, f"{floor:.3f}".ljust(24))
    singles = [measured(truth, answers[f"{name} only"]).value for name in inputs]
    print(f"never below the best single input: {verdict(measured(truth, answers[UNIFIED]).value >= max(singles))}")


def measured(truth: np.ndarray, predicted: np.ndarray, than: np.ndarray | None = None) -> Interval:
    """Return the mean AUROC over the repeats `[repeat, patient]`, or its difference from that of others."""

    def mean(weights: np.ndarray) -> np.ndarray:
        own: np.ndarray = np.mean([auroc(truth, repeat, weights) for repeat in predicted], axis=0)
        return own if than is None else own - np.mean([auroc(truth, repeat, weights) for repeat in than], axis=0)

    low, high = np.nanquantile(Bootstrap().draws(mean, len(truth)), [0.025, 0.975])
    return Interval(float(mean(np.ones((1, len(truth))))[0]), float(low), float(high))


if __name__ == "__main__":
    main()
