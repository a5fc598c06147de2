"""Time of one prediction against the frozen encoders' forward passes: a part of `speed`."""

from pathlib import Path

import numpy as np
import torch

from benchmarks.common import Interval, alternated, median, ratio
from polyclinic import Bundle, Cohort, Study
from polyclinic.features.backbones import efficientnet_lite0, minilm
from polyclinic.features.cache.encoder_cache import EncoderCache
from polyclinic.features.image.preprocessing import canonical, read_image
from polyclinic.features.known_record import known_record
from polyclinic.features.note.featurizer import NoteFeaturizer
from polyclinic.study import Network
from polyclinic.tasks import renumber_samples, samples
from polyclinic.training.fit import fit_study

TASK = "demo_deterioration"
DEFAULT = Study(tasks=(TASK,), network=Network(epochs=2))
"""As a study is by default, but briefly trained: its folds' networks, and the classical models combined with them."""
THREE_INPUTS = Study(tasks=(TASK,), network=Network(epochs=2), inputs=("structured", "note", "image"))
SIDE = 224


class Patients:
    """The events, in memory, of patients with every input, and their images and sentences."""

    def __init__(self, cohort: Cohort, bundle: Bundle, most: int) -> None:
        self.cohort = cohort
        frame = samples(cohort, bundle.tasks).frame
        arrays = bundle.arrays(cohort, frame)
        whole = np.flatnonzero(np.all([one["present"] for one in arrays.values()], axis=0))[:most]
        self.samples = [renumber_samples(frame[int(row)]) for row in whole]
        self.events = [cohort.subject(sample["subject_id"][0]) for sample in self.samples]
        self.pictures = [[name for name in arrays["image"]["blob"][row] if name] for row in whole]
        self.sentences = [self._sentences(bundle, place) for place in range(len(whole))]

    def __len__(self) -> int:
        return len(self.samples)

    def _sentences(self, bundle: Bundle, place: int) -> list[str]:
        known = known_record(self.events[place].lazy(), self.samples[place], bundle.tasks)
        notes = bundle.features.featurizers["note"]
        assert isinstance(notes, NoteFeaturizer)
        (layout,) = notes.layouts(known, self.samples[place])
        return sorted({sentence.text for sentence in layout.sentences})

    def answer(self, bundle: Bundle, place: int) -> None:
        """Predict for one patient from its events in memory."""
        bundle.answer(self.events[place], self.samples[place], self.cohort.blob)


class Encoders:
    """EfficientNet-lite0 and MiniLM only, on images and sentences that are already tensors."""

    def __init__(self, patients: Patients, folded: bool = False) -> None:
        self._network, self._memory = efficientnet_lite0.load(), torch.contiguous_format
        if folded:
            self._network, self._memory = self._network.fold(), torch.channels_last
            self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._sentence_network, tokenizer = minilm.load(), minilm.SentenceTokenizer()
        self._pixels = [self._read(patients.cohort, names) for names in patients.pictures]
        self._pieces = [tokenizer(texts) for texts in patients.sentences]

    def _read(self, cohort: Cohort, names: list[str]) -> torch.Tensor:
        pictures = [read_image(cohort.blob(name).read_bytes(), name, SIDE) for name in names]
        pixels = torch.from_numpy(canonical(np.stack(pictures)))[:, None]
        return efficientnet_lite0.canonical_to_input(pixels).contiguous(memory_format=self._memory)

    def __call__(self, place: int) -> None:
        """Run both on what one patient has."""
        with torch.inference_mode():
            self._network.features(self._pixels[place])
            self._sentence_network.sentence_vectors(self._pieces[place])


def uncached(cohort: Cohort, folder: Path, patients: int) -> dict[str, Interval]:
    """Return the ratios of one prediction to the encoders' passes, and its milliseconds, with an empty cache."""
    cache = EncoderCache(folder / "one prediction")
    bundle = Bundle.load(fit_study(THREE_INPUTS, cohort, cache=cache).bundle.save(folder / "three inputs"), cache)
    some = Patients(cohort, bundle, patients)
    plain, folded = Encoders(some), Encoders(some, folded=True)
    ways = (lambda place: some.answer(bundle, place), plain, folded)
    alternated(2, *ways, before=cache.clear)
    seconds = alternated(len(some), *ways, before=cache.clear)
    return {
        "one prediction, nothing cached, ms": median(1e3 * seconds[:, 0]),
        "the encoders' passes, ms": median(1e3 * seconds[:, 1]),
        "one prediction / the encoders' passes": ratio(seconds[:, 0], seconds[:, 1]),
        "one prediction / the encoders with folded norms": ratio(seconds[:, 0], seconds[:, 2]),
    }


def cached(cohort: Cohort, folder: Path, patients: int) -> Interval:
    """Return the milliseconds of one prediction by a default bundle, with everything cached."""
    cache = EncoderCache(folder / "cached")
    bundle = Bundle.load(fit_study(DEFAULT, cohort, cache=cache).bundle.save(folder / "default"), cache)
    some = Patients(cohort, bundle, patients)
    alternated(len(some), lambda place: some.answer(bundle, place))
    seconds = [alternated(len(some), lambda place: some.answer(bundle, place))[:, 0] for _ in range(5)]
    return median(1e3 * np.median(seconds, axis=0))
