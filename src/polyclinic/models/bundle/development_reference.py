"""Summary of the development samples stored in a bundle, to put a prediction in context.

It contains sums, quantiles and scores: no records and no identities. It is optional.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from jaxtyping import Float
from safetensors.numpy import load_file, save_file

from polyclinic.files import replacing, write_json
from polyclinic.models.bundle.outliers import Novelty
from polyclinic.models.bundle.value_ranges import ValueRange
from polyclinic.models.ensemble.answer_spread import AnswerSpread
from polyclinic.models.ensemble.calibration import Calibrator

FILES = ("reference.json", "reference.safetensors")
USUAL = ("usual_picture", "usual_words")


@dataclass(frozen=True, eq=False)
class Conformity:
    """Nonconformity scores of the true labels of some subjects (see `evaluation.metrics.conformal`).

    Of each output with its own set, and of each answer, those of the subjects of whom it is the truth, ascending. A
    number has one such row.
    """

    scores: tuple[tuple[Float[np.ndarray, " subject"], ...], ...]
    split: str | None  # reserved for them; None: out-of-fold predictions of development subjects


@dataclass(frozen=True, eq=False)
class Reference:
    """Predictions and recorded inputs of the development samples."""

    subjects: int
    samples: int
    codes: Mapping[str, float]  # usually recorded: share of the samples that have them
    calibrators: Mapping[str, tuple[Calibrator, ...]]  # by task: fitted on resampled subjects
    spreads: Mapping[str, AnswerSpread]  # by task: how much an answer would vary over refits
    conformity: Mapping[str, Conformity]  # by task
    operating: Mapping[str, tuple[Mapping[str, Any], ...]]  # by task, of each output: metrics at the threshold
    novelty: Novelty | None
    ranges: Mapping[str, ValueRange] = field(default_factory=dict)  # by code: usual values
    usual_picture: Float[np.ndarray, "cell channel"] | None = None  # mean feature map of images
    usual_words: Float[np.ndarray, "2 word"] | None = None  # share of the notes with each word, affirmed and negated

    def save(self, folder: Path) -> tuple[str, ...]:
        """Write to a bundle's folder, and return the file names."""
        index = {
            "subjects": self.subjects,
            "samples": self.samples,
            "codes": dict(self.codes),
            "ranges": {code: own._asdict() for code, own in self.ranges.items()},
            "calibrators": {task: [one.state() for one in own] for task, own in self.calibrators.items()},
            "spreads": {task: spread.state() for task, spread in self.spreads.items()},
            "conformity": {
                task: {"split": one.split, "answers": [len(own) for own in one.scores]}
                for task, one in self.conformity.items()
            },
            "operating": {task: list(map(dict, figures)) for task, figures in self.operating.items()},
        }
        arrays = {
            f"conformity/{task}/{number}/{answer}": scores
            for task, of_task in self.conformity.items()
            for number, own in enumerate(of_task.scores)
            for answer, scores in enumerate(own)
        }
        if self.novelty is not None:
            arrays |= {f"novelty/{name}": array for name, array in self.novelty.arrays().items()}
        arrays |= {name: getattr(self, name) for name in USUAL if getattr(self, name) is not None}
        write_json(folder / FILES[0], index)
        with replacing(folder / FILES[1]) as temporary:
            save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, temporary)
        return FILES

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the files written by `save`."""
        index = json.loads((folder / FILES[0]).read_text(encoding="utf-8"))
        arrays = load_file(folder / FILES[1])
        novelty = {name.removeprefix("novelty/"): a for name, a in arrays.items() if name.startswith("novelty/")}
        return cls(
            subjects=index["subjects"],
            samples=index["samples"],
            codes=index["codes"],
            ranges={code: ValueRange.from_dict(own) for code, own in index["ranges"].items()},
            calibrators={
                task: tuple(Calibrator.from_state(one) for one in states)
                for task, states in index["calibrators"].items()
            },
            spreads={task: AnswerSpread.from_state(state) for task, state in index["spreads"].items()},
            conformity={
                task: Conformity(
                    tuple(
                        tuple(arrays[f"conformity/{task}/{number}/{answer}"] for answer in range(answers))
                        for number, answers in enumerate(one["answers"])
                    ),
                    one["split"],
                )
                for task, one in index["conformity"].items()
            },
            operating={task: tuple(figures) for task, figures in index["operating"].items()},
            novelty=Novelty.from_arrays(novelty) if novelty else None,
            **{name: arrays.get(name) for name in USUAL},
        )
