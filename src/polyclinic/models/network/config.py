"""Configuration of a network; frozen, and saved with its weights."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, field_validator, model_validator

from polyclinic.modalities import MODALITIES, in_order, load

TaskKind = Literal["binary", "multiclass", "multilabel", "regression", "time_to_event"]


class Frozen(BaseModel):
    """Immutable, and forbids unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Sizes(Frozen):
    """What an encoder must know of the arrays of its modality's featurizer (`Featurizer.sizes`)."""

    @classmethod
    def smallest(cls) -> Self:
        """Return the sizes of the smallest encoder, to check that one can be built."""
        return cls()


class StructuredSizes(Sizes):
    """Sizes of the structured featurizer's arrays."""

    features: int = Field(ge=1)
    groups: tuple[int, ...] = ()  # of each feature, from 0; one token per group. Empty: one token per feature

    @classmethod
    def smallest(cls) -> Self:
        """Return one feature."""
        return cls(features=1)

    @model_validator(mode="after")
    def _groups_every_feature(self) -> "StructuredSizes":
        if self.groups and (len(self.groups) != self.features or set(self.groups) != set(range(max(self.groups) + 1))):
            raise ValueError(
                f"groups must give each of the {self.features} features a group, numbered from 0 without gaps"
            )
        return self


class SeriesSizes(Sizes):
    """Sizes of the series featurizer's arrays."""

    codes: int = Field(ge=1)  # of the triplets, with the padding code 0
    channels: int = Field(ge=1)  # of the grid

    @classmethod
    def smallest(cls) -> Self:
        """Return one code."""
        return cls(codes=2, channels=1)


class NoteSizes(Sizes):
    """Sizes of the note featurizer's arrays."""

    words: int = Field(ge=2)  # in the vocabulary, with padding 0 and unknown 1
    sections: int = Field(ge=1)
    sentence_width: int = Field(384, ge=1)

    @classmethod
    def smallest(cls) -> Self:
        """Return a vocabulary of padding and unknown."""
        return cls(words=2, sections=1)


class ImageSizes(Sizes):
    """Sizes of the image featurizer's arrays."""

    views: int = Field(1, ge=1)  # view codes known
    channels: int = Field(112, ge=1)  # of a cached token
    cells: int = Field(196, ge=1)  # cached tokens of an image
    pixels: int = Field(224, ge=32)  # side of an image


class WaveformSizes(Sizes):
    """Of the waveform featurizer's arrays."""

    leads: int = Field(12, ge=1)


class EncoderConfig(Frozen):
    """Which encoder reads a modality, the sizes of its inputs, and its own options."""

    name: str
    sizes: SerializeAsAny[Sizes]
    options: dict[str, Any] = {}


class HeadConfig(Frozen):
    """Configuration of one task's head."""

    kind: TaskKind
    outputs: int = Field(1, ge=1)  # classes, labels, numbers or bins
    bins: tuple[float, ...] = ()  # of time_to_event: the end of each bin, in the task's unit of time, ascending
    positive_weight: float = Field(1.0, gt=0)  # of a positive against a negative in the loss of a binary task

    @model_validator(mode="after")
    def _outputs_fit_the_kind(self) -> "HeadConfig":
        if self.kind == "binary" and self.outputs != 1:
            raise ValueError("a binary head has one output")
        if self.kind == "multiclass" and self.outputs < 2:
            raise ValueError("a multiclass head needs at least two outputs, one per class")
        if (self.kind == "time_to_event") != bool(self.bins) or (self.bins and len(self.bins) != self.outputs):
            raise ValueError("a time_to_event head, and no other, needs the end of each bin: one per output")
        if any(end <= start for start, end in zip((0.0, *self.bins), self.bins, strict=False)):
            raise ValueError("the ends of the bins must be positive and ascending")
        return self


class ModelConfig(Frozen):
    """Configuration of a network; saved with its weights.

    Example:
        >>> config = ModelConfig(
        ...     encoders={"structured": EncoderConfig(name="mlp", sizes=StructuredSizes(features=12))},
        ...     heads={"died": HeadConfig(kind="binary")},
        ... )
        >>> ModelConfig.model_validate_json(config.model_dump_json()) == config
        True
    """

    encoders: dict[str, EncoderConfig] = Field(min_length=1)  # by modality
    heads: dict[str, HeadConfig] = Field(min_length=1)  # by task
    fusion: str = "cross_attention"
    width: int = Field(64, ge=8)  # of the tokens and of the shared latent; the number of attention heads follows
    dropout: float = Field(0.3, ge=0, lt=1)
    shortcut: bool = True  # adds unimodal logits; see UnifiedModel

    @field_validator("encoders", mode="before")
    @classmethod
    def _sizes_by_modality(cls, encoders: Any) -> Any:
        """Read saved sizes as those of the modality."""
        if not isinstance(encoders, dict):
            return encoders
        return {name: _with_sizes(name, config) for name, config in encoders.items()}

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities in their fixed order."""
        return in_order(self.encoders)


def _with_sizes(modality: str, config: Any) -> Any:
    if modality not in MODALITIES or not isinstance(config, dict) or not isinstance(config.get("sizes"), dict):
        return config
    return config | {"sizes": load(MODALITIES[modality].sizes).model_validate(config["sizes"])}
