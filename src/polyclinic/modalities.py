"""The modalities: one row for each, through which everything that the program knows of it is reached.

What belongs to higher layers is named by reference (`module:attribute`, within `polyclinic`) and imported when it is
first used, so that this table stands below them all and costs nothing to import. `tests/test_modalities.py` resolves
every reference and checks it against its protocol. To add a modality: a featurizer, an encoder, its columns for
classical models, its explanation, its part of the synthetic patient, a section of the page, tests, and a row here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Modality:
    """One kind of input, from the codes of its events to the section of the page that shows its attributions."""

    name: str
    noun: str  # for readers, as in "not recorded: notes"
    kinds: tuple[str, ...]  # kinds of codes whose events belong to it alone; see `cohort.codes`
    featurizer: str  # a `features.featurizer.Featurizer`
    sizes: str  # what an encoder must know of the arrays: a `models.network.config.Sizes`
    encoders: Mapping[str, str]  # factories of encoders by name; the first is the default
    columns: str  # what classical models read: a `models.classical.columns.base.ModalityColumns`
    explanation: str  # an `explain.inputs.base.ModalityExplanation`
    kept: str  # which scores an assessment keeps: an `assess.kept_scores.KeptScores`
    synthetic: str  # its part of a bundle's synthetic patient: a `verification.synthetic_patient.Synthesis`
    section: str  # of the assessment's page: an `exchange.html.sections.Section`
    view: str  # how `polyclinic explain` prints and draws it: a `cli.explain.formatting.View`
    methods: tuple[str, ...] = ("integrated_gradients",)  # of `polyclinic explain`, the default first


class References(Mapping[str, Any]):
    """Objects by name, each imported when it is first asked for."""

    def __init__(self, references: Mapping[str, str]) -> None:
        self.references = references

    def __getitem__(self, name: str) -> Any:
        return load(self.references[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.references)

    def __len__(self) -> int:
        return len(self.references)


def load(reference: str) -> Any:
    """Import what a reference names."""
    module, _, attribute = reference.partition(":")
    return getattr(import_module(f"polyclinic.{module}"), attribute)


_ENCODERS = "models.network.encoders."

MODALITIES: Mapping[str, Modality] = {
    row.name: row
    for row in (
        Modality(
            name="structured",
            noun="structured record",
            kinds=(),  # all that no other modality claims
            featurizer="features.structured.featurizer:StructuredFeaturizer",
            sizes="models.network.config:StructuredSizes",
            encoders={
                "mlp": f"{_ENCODERS}structured_mlp:StructuredMLP",
                "feature_tokens": f"{_ENCODERS}feature_tokens:FeatureTokens",
            },
            columns="models.classical.columns.structured:StructuredColumns",
            explanation="explain.inputs.structured:EXPLANATION",
            kept="assess.kept_scores:STRUCTURED",
            synthetic="verification.synthetic_patient:structured",
            section="exchange.html.structured_section:sections",
            view="cli.explain.structured:view",
            methods=("integrated_gradients", "shapley", "counterfactual"),
        ),
        Modality(
            name="series",
            noun="measurements over time",
            kinds=(),  # timed numbers, which the structured record holds too
            featurizer="features.series.featurizer:SeriesFeaturizer",
            sizes="models.network.config:SeriesSizes",
            encoders={
                "code_attention": f"{_ENCODERS}code_attention:CodeAttention",
                "gru_d": f"{_ENCODERS}gru_d:GRUD",
                "triplet": f"{_ENCODERS}triplets:TripletTransformer",
            },
            columns="models.classical.columns.series:SeriesColumns",
            explanation="explain.inputs.series:EXPLANATION",
            kept="assess.kept_scores:SERIES",
            synthetic="verification.synthetic_patient:series",
            section="exchange.html.series_section:sections",
            view="cli.explain.series:view",
        ),
        Modality(
            name="note",
            noun="notes",
            kinds=("NOTE",),
            featurizer="features.note.featurizer:NoteFeaturizer",
            sizes="models.network.config:NoteSizes",
            encoders={
                "bag_of_words": f"{_ENCODERS}bag_of_words:BagOfWords",
                "minilm": f"{_ENCODERS}sentences:SentenceEncoder",
                "cnn": f"{_ENCODERS}word_cnn:WordCNN",
                "bilstm_attention": f"{_ENCODERS}bilstm_attention:BiLSTMAttention",
            },
            columns="models.classical.columns.note:NoteColumns",
            explanation="explain.inputs.note:EXPLANATION",
            kept="assess.kept_scores:NOTE",
            synthetic="verification.synthetic_patient:note",
            section="exchange.html.note_section:sections",
            view="cli.explain.note:view",
            methods=("integrated_gradients", "attention_rollout"),
        ),
        Modality(
            name="image",
            noun="images",
            kinds=("IMAGE",),
            featurizer="features.image.featurizer:ImageFeaturizer",
            sizes="models.network.config:ImageSizes",
            encoders={
                "efficientnet_lite0": f"{_ENCODERS}efficientnet_lite0:efficientnet_lite0",
                "densenet121": f"{_ENCODERS}densenet121:DenseNetEncoder",
                "vit": f"{_ENCODERS}vit:ViTEncoder",
            },
            columns="models.classical.columns.image:ImageColumns",
            explanation="explain.inputs.image:EXPLANATION",
            kept="assess.kept_scores:IMAGE",
            synthetic="verification.synthetic_patient:image",
            section="exchange.html.image_section:sections",
            view="cli.explain.image:view",
            methods=("integrated_gradients", "map_gradients", "grad_cam", "attention_rollout"),
        ),
        Modality(
            name="waveform",
            noun="electrocardiograms",
            kinds=("WAVEFORM",),
            featurizer="features.waveform.featurizer:WaveformFeaturizer",
            sizes="models.network.config:WaveformSizes",
            encoders={"xresnet1d": f"{_ENCODERS}xresnet1d:XResNet1d"},
            columns="models.classical.columns.waveform:WaveformColumns",
            explanation="explain.inputs.waveform:EXPLANATION",
            kept="assess.kept_scores:WAVEFORM",
            synthetic="verification.synthetic_patient:waveform",
            section="exchange.html.waveform_section:sections",
            view="cli.explain.waveform:view",
        ),
    )
}
"""By name, in the order of modalities wherever one is needed."""


def in_order(modalities: Iterable[str]) -> tuple[str, ...]:
    """Sort modalities as `MODALITIES` has them; unknown ones follow by name."""
    places = {name: place for place, name in enumerate(MODALITIES)}
    return tuple(sorted(modalities, key=lambda name: (places.get(name, len(places)), name)))


def noun(modality: str) -> str:
    """Return what a modality is called in a sentence."""
    return MODALITIES[modality].noun if modality in MODALITIES else modality
