"""Image features of each sample: views, pixels, and feature maps of a frozen network."""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Self, cast

import numpy as np
import polars as pl
from jaxtyping import Float32, Shaped

from polyclinic.compute.resources import Resources
from polyclinic.features.backbones import backbone
from polyclinic.features.blobs import UNUSABLE, unusable_lines
from polyclinic.features.cache.encoder_cache import EncoderCache, Gathered
from polyclinic.features.featurizer import Arrays, Blobs, Featurizer, NotFittedError, Request, sample_rows
from polyclinic.features.image.embeddings import CanvasSize, ImageEncodings, Kind
from polyclinic.features.image.preprocessing import FITS, Fit
from polyclinic.features.measurements import hours_before
from polyclinic.progress import SILENT, Progress

Output = Literal["tokens", "pooled", "pixels"]
OUTPUTS: tuple[Output, ...] = ("tokens", "pooled", "pixels")

KIND = "IMAGE//"
PADDING, UNKNOWN = 0, 1
"""View codes of padding, and of a view absent in training."""

ViewedImage = tuple[str, str]
"""View, and name of the blob."""

_BATCH = 64


@dataclass(frozen=True)
class ImageOptions:
    """Options of the images."""

    outputs: tuple[Output, ...] = ("tokens",)
    max_views: int = 4  # per sample: the newest
    side: int = 224  # of the square canvas, in pixels
    fit: Fit = "letterbox"
    backbone: str = "efficientnet_lite0"

    def __post_init__(self) -> None:
        unknown = set(self.outputs) - set(OUTPUTS)
        if unknown or not self.outputs:
            raise ValueError(f"outputs of images are {', '.join(OUTPUTS)}, not {', '.join(sorted(unknown)) or 'none'}")
        if self.fit not in FITS:
            raise ValueError(f"unknown fit {self.fit!r}: choose from {', '.join(FITS)}")
        if self.max_views < 1 or self.side < 32:
            raise ValueError("images need max_views of at least 1 and a side of at least 32 pixels")
        backbone(self.backbone)


class UsableImages(NamedTuple):
    """The images of samples that can be used, and why others cannot."""

    chosen: list[list[ViewedImage]]  # of each sample, oldest first
    reasons: list[list[str]]  # of each sample
    encoded: int  # images that were missing from the cache


class ImageFeaturizer(Featurizer):
    """Select the newest images of each sample, oldest first.

    Arrays, besides `present`: `view_mask` Boolean `[sample, view]`; `view_code` int64 `[sample, view]`, an index into
    `views` (0 = none, 1 = unknown); `blob` text `[sample, view]`; and, by `options.outputs`: `tokens` float16
    `[sample, view, cell, 112]`, `pooled` float32 `[sample, view, 224]` (see `pooled`), `pixels` float32
    `[sample, view, 1, side, side]` from 0 (black) to 1 (white). Rows of `tokens` and `pixels` are read lazily from
    the cache's memory-mapped files; images missing from it are encoded first. An image that cannot be used is absent,
    as if it had not been recorded; `unusable` says why.
    """

    modality: ClassVar[str] = "image"

    def __init__(
        self,
        blobs: Blobs | None = None,
        options: ImageOptions | None = None,
        *,
        cache: EncoderCache | None = None,
    ) -> None:
        self.blobs = blobs  # a cohort's `blob`; may be replaced to read another cohort
        self.options = options or ImageOptions()
        self.cache = cache or EncoderCache()
        self.resources = Resources()
        self._views: dict[str, int] | None = None
        self._width = 0

    @classmethod
    def of(cls, options: Any, cache: EncoderCache) -> Self:
        """Return an unfitted featurizer."""
        return cls(options=options, cache=cache)

    @classmethod
    def options_for(cls, request: Request) -> ImageOptions:
        """Return options with pixels if the encoder reads them, and tokens if it or a classical model does."""
        pixels = "pixels" in request.reads
        outputs: tuple[Any, ...] = ("tokens", "pixels") if pixels and request.classical else ("tokens",)
        return ImageOptions(outputs=("pixels",) if pixels and not request.classical else outputs)

    def read_from(self, blobs: Blobs) -> None:
        """Read images from `blobs` from now on."""
        self.blobs = blobs

    def use(self, resources: Resources) -> None:
        """Encode with these resources from now on."""
        self.resources = resources

    def sizes(self, arrays: Arrays) -> dict[str, Any]:  # noqa: ARG002
        """Return the number of view codes and the side of an image."""
        return {"views": len(self.views), "pixels": self.options.side}

    @property
    def views(self) -> list[str]:
        """The views by code: padding, unknown, and those of the training subjects, such as `CR//PA`."""
        return ["", "unknown", *self._fitted()]

    @property
    def size(self) -> CanvasSize:
        """The canvas."""
        return CanvasSize(self.options.side, self.options.fit)

    def fit(self, known: pl.DataFrame, samples: pl.DataFrame) -> Self:
        """Fit the set of views and the maximum number of images per sample."""
        chosen = [images[-self.options.max_views :] for images in self._found(known, samples)]
        views = sorted({view for images in chosen for view, _ in images})
        self._views = {view: code for code, view in enumerate(views, UNKNOWN + 1)}
        self._width = max((len(images) for images in chosen), default=1) or 1
        return self

    def transform(self, known: pl.DataFrame, samples: pl.DataFrame, classical: bool = False) -> Arrays:
        """Return the arrays of `samples`, in their order; with `classical` also `pooled`, if there are `tokens`."""
        usable = self._usable(self._found(known, samples))
        arrays = self._layout(usable.chosen) | {UNUSABLE: unusable_lines(usable.reasons)}
        encodings = self._encodings()
        encoded = {kind: encodings.gather(kind, arrays["blob"]) for kind in self._kinds()}
        for output in self.options.outputs:
            if output != "pooled":
                arrays[output] = cast(np.ndarray, encoded[output])  # behaves as an array
        if "tokens" in encoded and (classical or "pooled" in self.options.outputs):
            arrays["pooled"] = _pooled(encoded["tokens"])
        return arrays

    def prepare(self, known: pl.DataFrame, samples: pl.DataFrame, progress: Progress = SILENT) -> int:
        """Encode in advance the images that `transform` needs, and return the number newly encoded."""
        return self._usable(self._found(known, samples), progress).encoded

    def state(self) -> dict[str, Any]:
        """Return options, views and the number of columns as JSON values."""
        options = asdict(self.options) | {"outputs": list(self.options.outputs)}
        return {"options": options, "views": list(self._fitted()), "width": self._width}

    @classmethod
    def from_state(
        cls,
        state: dict[str, Any],
        *,
        cache: EncoderCache | None = None,
        blobs: Blobs | None = None,
    ) -> Self:
        """Rebuild a featurizer from its state."""
        options = ImageOptions(**(state["options"] | {"outputs": tuple(state["options"]["outputs"])}))
        featurizer = cls(blobs, options, cache=cache)
        featurizer._views = {view: code for code, view in enumerate(state["views"], UNKNOWN + 1)}
        featurizer._width = int(state["width"])
        return featurizer

    def _found(self, known: pl.DataFrame, samples: pl.DataFrame) -> list[list[ViewedImage]]:
        """Return the images of each sample, oldest first, without duplicates."""
        events = known.filter(pl.col("code").str.starts_with(KIND) & pl.col("blob").is_not_null())
        rows = sample_rows(events, samples)
        if (rows < 0).any():
            events, rows = events.filter(rows >= 0), rows[rows >= 0]
        hours = hours_before(events["time"].to_numpy(), samples, rows)
        hours = np.nan_to_num(hours, nan=np.inf)  # images without a time count as oldest
        found: list[dict[str, ViewedImage]] = [{} for _ in range(len(samples))]
        for row, _, code, blob in sorted(zip(rows.tolist(), -hours, events["code"], events["blob"], strict=True)):
            found[row].pop(blob, None)
            found[row][blob] = (code.removeprefix(KIND), blob)
        return [list(images.values()) for images in found]

    def _usable(self, found: list[list[ViewedImage]], progress: Progress = SILENT) -> UsableImages:
        """Choose and encode the newest usable images of each sample, as many as fitted."""
        self._fitted()
        encodings, encoded, unusable = self._encodings(), 0, dict[str, str]()
        tried: list[dict[str, None]] = [{} for _ in found]
        while True:
            chosen = [[image for image in images if image[1] not in unusable][-self._width :] for images in found]
            for images, names in zip(chosen, tried, strict=True):
                names.update(dict.fromkeys(name for _, name in images))
            every = list(dict.fromkeys(name for images in chosen for _, name in images))
            done = [encodings.prepare(kind, every, progress) for kind in self._kinds()]
            encoded += sum(prepared.encoded for prepared in done)
            newly = {name: reason for prepared in done for name, reason in prepared.unusable.items()}
            if not newly:
                reasons = [[unusable[name] for name in names if name in unusable] for names in tried]
                return UsableImages(chosen, reasons, encoded)
            unusable |= newly  # older images take their places

    def _layout(self, chosen: list[list[ViewedImage]]) -> Arrays:
        """Lay out the images of each sample in columns."""
        views = self._fitted()
        shape = (len(chosen), self._width)
        codes = np.full(shape, PADDING, dtype=np.int64)
        names = np.full(shape, "", dtype="<U80")
        for row, images in enumerate(chosen):
            for column, (view, blob) in enumerate(images):
                codes[row, column] = views.get(view, UNKNOWN)
                names[row, column] = blob
        mask = codes != PADDING
        return {"present": mask.any(axis=1), "view_mask": mask, "view_code": codes, "blob": names}

    def _kinds(self) -> list[Kind]:
        """Return the kinds of cached array that the outputs need."""
        return list(dict.fromkeys("pixels" if output == "pixels" else "tokens" for output in self.options.outputs))

    def _encodings(self) -> ImageEncodings:
        if self.blobs is None:
            raise ValueError("the image featurizer has no source of images: set its blobs to cohort.blob")
        return ImageEncodings(self.blobs, self.size, self.options.backbone, self.cache, self.resources)

    def _fitted(self) -> dict[str, int]:
        if self._views is None:
            raise NotFittedError(self)
        return self._views


def pooled(maps: Shaped[np.ndarray, "*image cell channel"]) -> Float32[np.ndarray, "*image twice"]:
    """Return the mean and the standard deviation over the cells of each map.

    The standard deviation responds to a lesion in few cells: on the demo's radiographs, logistic regression reaches a
    macro AUROC of .93 with both, and .89 with the mean only.
    """
    maps = maps.astype(np.float32)
    return np.concatenate([maps.mean(axis=-2), maps.std(axis=-2)], axis=-1)


def _pooled(tokens: Gathered) -> np.ndarray:
    """Pool each map, in batches of samples."""
    starts = range(0, len(tokens), _BATCH)
    parts = [pooled(tokens[start : start + _BATCH]) for start in starts]
    return np.concatenate(parts) if parts else np.zeros((0, tokens.shape[1], 2 * tokens.shape[3]), dtype=np.float32)
