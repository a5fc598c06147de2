"""Time saved by the cache of frozen encoders: the first and a later epoch, one patient, many entries.

Images and reports are generated; each measurement is repeated with an empty cache. Run it with

    python -m benchmarks feature_cache --subjects 60 --repeats 3
"""

import hashlib
import io
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import polars as pl
import torch
from PIL import Image

from benchmarks.common import clocked, parser
from polyclinic.cohort import POLARS_EVENTS, known_at
from polyclinic.features import EncoderCache, ImageFeaturizer, NoteFeaturizer
from polyclinic.features.backbones import efficientnet_lite0, minilm
from polyclinic.features.cache.encoder_cache import Encoding, Shelf
from polyclinic.features.note.tokenizer import sentences
from polyclinic.files import sha256

START = datetime(2000, 1, 1)
BATCH = 64
WORDS = [
    *("no", "small", "large", "left", "right", "effusion", "nodule", "opacity", "lobe", "upper", "lower", "clear"),
    *("heart", "normal", "acute", "mild", "chronic"),
]


class Record:
    """Subjects with one image and one report each."""

    def __init__(self, folder: Path, subjects: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.folder = folder
        self.samples = pl.DataFrame(
            {"sample": range(subjects), "subject_id": range(subjects), "prediction_time": [START] * subjects},
            schema={"sample": pl.UInt32, "subject_id": pl.Int64, "prediction_time": pl.Datetime("us")},
        )
        self.reports = [report(rng) for _ in range(subjects)]
        rows: list[tuple[int, str, str | None, str | None]]
        rows = [(n, "NOTE//findings", text, None) for n, text in enumerate(self.reports)]
        rows += [(n, "IMAGE//CR//PA", None, self.add_picture(rng)) for n in range(subjects)]
        events = pl.DataFrame(rows, schema=["subject_id", "code", "text_value", "blob"], orient="row").with_columns(
            time=pl.lit(START - timedelta(hours=1)), numeric_value=pl.lit(None)
        )
        self.known = known_at(
            events.select(pl.col(name).cast(kind) for name, kind in POLARS_EVENTS.items()), self.samples
        )

    def add_picture(self, rng: np.random.Generator) -> str:
        """Write a radiograph-sized image of smooth shapes and noise, and return its name."""
        shapes = Image.fromarray(rng.integers(40, 200, (9, 8)).astype(np.uint8)).resize(
            (512, 512), Image.Resampling.BICUBIC
        )
        noisy = np.asarray(shapes) + rng.normal(0, 4, (512, 512))
        buffer = io.BytesIO()
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(buffer, "PNG", compress_level=3)
        name = f"{sha256(buffer.getvalue())}.png"
        self.blob(name).write_bytes(buffer.getvalue())
        return name

    def blob(self, name: str) -> Path:
        """Return the file of an image."""
        return self.folder / name


def report(rng: np.random.Generator) -> str:
    """Write a report of five sentences."""
    return " ".join(" ".join(rng.choice(WORDS, rng.integers(4, 14))).capitalize() + "." for _ in range(5))


def epoch(record: Record, cache: EncoderCache) -> float:
    """Return the seconds of reading all batches of a study's frozen inputs, cached or not."""
    featurizers = (ImageFeaturizer(record.blob, cache=cache), NoteFeaturizer(cache=cache))
    for featurizer in featurizers:
        featurizer.fit(record.known, record.samples)
    begin = time.perf_counter()
    arrays = [featurizer.transform(record.known, record.samples) for featurizer in featurizers]
    read_in_batches(arrays, len(record.samples))
    return time.perf_counter() - begin


def read_in_batches(arrays: list[dict[str, np.ndarray]], samples: int) -> None:
    """Read every array in random batches, as training does."""
    order = np.random.default_rng(0).permutation(samples)
    for start in range(0, samples, BATCH):
        for of_modality in arrays:
            for array in of_modality.values():
                np.array(array[order[start : start + BATCH]])


def later_epoch(record: Record, cache: EncoderCache) -> float:
    """Return the seconds of an epoch with the arrays in memory."""
    image = ImageFeaturizer(record.blob, cache=cache).fit(record.known, record.samples)
    note = NoteFeaturizer(cache=cache).fit(record.known, record.samples)
    arrays = [one.transform(record.known, record.samples) for one in (image, note)]
    begin = time.perf_counter()
    read_in_batches(arrays, len(record.samples))
    return time.perf_counter() - begin


def one_subject(record: Record, cache: EncoderCache) -> tuple[list[float], list[float]]:
    """Return the seconds of transforming each single subject, of images and of notes, all cached."""
    image = ImageFeaturizer(record.blob, cache=cache).fit(record.known, record.samples)
    note = NoteFeaturizer(cache=cache).fit(record.known, record.samples)
    times: tuple[list[float], list[float]] = ([], [])
    for row in range(len(record.samples)):
        sample = record.samples[row : row + 1]
        known = record.known.filter(pl.col("sample") == sample["sample"][0])
        for featurizer, seconds in zip((image, note), times, strict=True):
            begin = time.perf_counter()
            for array in featurizer.transform(known, sample).values():
                np.asarray(array)
            seconds.append(time.perf_counter() - begin)
    return times


def bare_backbones(record: Record, times: int) -> dict[str, list[float]]:
    """Return the seconds of the networks only, one image and one report at a time."""
    picture = efficientnet_lite0.canonical_to_input(torch.rand(1, 1, 224, 224))
    plain, folded = efficientnet_lite0.load(), efficientnet_lite0.load().fold()
    folded.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    in_channels_last = picture.contiguous(memory_format=torch.channels_last)
    network, tokenizer = minilm.load(), minilm.SentenceTokenizer()
    split = [[sentence.text for sentence in sentences(text)] for text in record.reports[:times]]
    with torch.inference_mode():
        return {
            "EfficientNet-lite0, per image": repeated(lambda _: plain.features(picture), times),
            "the same, batch norms folded, channels last": repeated(lambda _: folded.features(in_channels_last), times),
            "MiniLM, per report of 5 sentences": repeated(
                lambda n: minilm.embed(network, tokenizer, split[n]), len(split)
            ),
            "MiniLM, per report of a batch of reports": [
                seconds / len(split)
                for seconds in repeated(lambda _: minilm.embed(network, tokenizer, [*chain(*split)]), 3)
            ],
        }


def many_entries(entries: int, folder: Path) -> dict[str, float]:
    """Return the seconds of writing, opening and reading a shelf of many sentences."""
    keys = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(entries)]
    values = np.random.default_rng(0).standard_normal((entries, 384)).astype(np.float16)
    encoding = Encoding("benchmark", "", "v1", (384,))
    shelf = EncoderCache(folder).shelf(encoding)
    fresh = EncoderCache(folder).shelf(encoding)
    return {
        "write, 64 at a time": clocked(lambda: write(shelf, keys, values)),
        "open and check every entry": clocked(lambda: fresh.positions(keys)),
        "read all": clocked(lambda: fresh.read(keys)),
        "read 64": statistics.median(repeated(lambda n: fresh.read(keys[n * 64 : n * 64 + 64]), 50)),
    }


def write(shelf: Shelf, keys: list[str], values: np.ndarray) -> None:
    """Write entries as an encoder does."""
    for start in range(0, len(keys), BATCH):
        shelf.write(dict(zip(keys[start : start + BATCH], values[start : start + BATCH], strict=True)))


def repeated(work: Callable[[int], object], times: int) -> list[float]:
    """Return the seconds of `work` on 0, 1 …, after one warm-up."""
    work(0)
    return [clocked(partial(work, number)) for number in range(times)]


def line(label: str, seconds: list[float]) -> None:
    """Print the median and the range that holds 95 %, in milliseconds."""
    low, middle, high = (1e3 * float(np.percentile(seconds, share)) for share in (2.5, 50, 97.5))
    print(f"{label:48} {middle:9.2f} ms  ({low:.2f}-{high:.2f}, n = {len(seconds)})", flush=True)


@contextmanager
def empty_cache() -> Iterator[EncoderCache]:
    """Return a temporary cache."""
    with tempfile.TemporaryDirectory(prefix="feature-cache-") as folder:
        yield EncoderCache(Path(folder))


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--subjects", type=int, default=60)
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--entries", type=int, default=100_000)
    chosen = options.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="feature-cache-") as folder:
        record = Record(Path(folder), chosen.subjects, seed=0)
        for label, seconds in bare_backbones(record, chosen.subjects).items():
            line(label, seconds)
        first, other_study, later = [], [], []
        for _ in range(chosen.repeats):
            with empty_cache() as cache:
                first.append(epoch(record, cache))
                other_study.append(epoch(record, EncoderCache(cache.folder)))
                later.append(later_epoch(record, cache))
                pictures, notes = one_subject(record, cache)
        line(f"first epoch of {chosen.subjects} subjects", first)
        line("first epoch of another study, same cache", other_study)
        line("second epoch", later)
        ratios = [after / before for after, before in zip(later, first, strict=True)]
        verdict = "goal met" if max(ratios) <= 1 / 20 else "GOAL MISSED"
        print(
            f"second / first epoch: {statistics.median(ratios):.4f} (at most {max(ratios):.4f}; goal 0.05: {verdict})"
        )
        line("one subject's image, cached", pictures)
        line("one subject's report, cached", notes)
    with empty_cache() as cache:
        for label, took in many_entries(chosen.entries, cache.folder).items():
            print(f"{chosen.entries:,} sentences: {label:30} {1e3 * took:9.2f} ms", flush=True)


if __name__ == "__main__":
    main()
