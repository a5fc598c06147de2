"""Diagnostic superclasses of PTB-XL from ECGs: 5-fold cross-validation by patient, with and without age and sex.

Compares the unified model, its network, and logistic regression on a summary of the ECG. The cross-fitting within each
fold takes `--cross-fitting` parts, fewer than by default, to save time. Reads the folder POLYCLINIC_DATA.

    python -m benchmarks ptbxl --folds 5 --repeats 1
"""

import time
from collections.abc import Sequence

from benchmarks.common import Table, parser, real_cohort, real_data
from polyclinic import Study
from polyclinic.evaluation import Evaluation, Multilabel, evaluate
from polyclinic.features.cache.encoder_cache import EncoderCache
from polyclinic.tasks import samples
from polyclinic.tasks.targets import Targets
from polyclinic.training.cross_validation import cross_validate
from polyclinic.training.evaluation.evaluate import UNIFIED, Report

TASK = "ptbxl_superclass"
INPUTS = (("waveform",), ("structured", "waveform"))
CLASSICAL = "logistic_regression"


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--folds", type=int, default=5)
    options.add_argument("--repeats", type=int, default=1)
    options.add_argument("--cross-fitting", type=int, default=2)
    options.add_argument("--epochs", type=int, help="instead of the default, to try it")
    options.add_argument("--patients", type=int, help="only the first N, to try it")
    chosen = options.parse_args(arguments)
    source = real_data("ptbxl")
    if source is None:
        return
    with real_cohort("ptbxl", source, chosen.patients) as (cohort, folder):
        cache = EncoderCache(folder / "cache")
        for inputs in INPUTS:
            study = Study(tasks=(TASK,), inputs=inputs, classical=(CLASSICAL,), folds=chosen.cross_fitting)
            if chosen.epochs and study.network:
                network = study.network.model_copy(update={"epochs": chosen.epochs})
                study = study.model_copy(update={"network": network})
            started = time.perf_counter()
            report = cross_validate(
                study,
                cohort,
                folder / "-".join(inputs),
                folds=chosen.folds,
                repeats=chosen.repeats,
                cache=cache,
            )
            targets = samples(cohort, study.tasks).targets[TASK]
            show(report, targets, inputs, time.perf_counter() - started)


def show(report: Report, targets: Targets, inputs: Sequence[str], seconds: float) -> None:
    """Print macro AUROC and AUROC by superclass of each model, in the first repeat."""
    measured = report[TASK]
    models = {UNIFIED: measured.answers} | dict(measured.predictions.members)
    evaluated: dict[str, Evaluation] = {}
    for name, answers in models.items():
        if ":" not in name:
            evaluated[name] = evaluate(
                Multilabel(measured.task.outputs),
                targets.values,
                answers,
                subjects=report.samples["subject_id"].to_numpy(),
                observed=targets.observed,
            )
    first = evaluated[UNIFIED]
    table = Table(
        f"{' + '.join(inputs)}: {first.n} prediction times of {first.subjects} patients; "
        f"AUROC, 95 % intervals; {seconds / 60:.0f} min",
        *("", *(name.rjust(22) for name in evaluated)),
        first=20,
    )
    table.row("macro", *(str(each["macro_auroc"]) for each in evaluated.values()))
    for place, row in enumerate(first.classes):
        label = f"{row.level} ({row.cases})"
        table.row(label, *(str(each.classes[place].figures["auroc"]) for each in evaluated.values()))


if __name__ == "__main__":
    main()
