"""The image featurizer: selection, properties of featurizers, the cache, and errors."""

import io
import json
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image

from polyclinic.cohort import POLARS_EVENTS, Cohort, CohortWriter, known_at
from polyclinic.features.backbones import efficientnet_lite0
from polyclinic.features.blobs import UNUSABLE, unusable_blobs
from polyclinic.features.cache.encoder_cache import EncoderCache, MissingEntryError
from polyclinic.features.featurizer import NotFittedError
from polyclinic.features.image.featurizer import ImageFeaturizer, ImageOptions
from polyclinic.files import sha256

START = datetime(2020, 1, 1)
SMALL = ImageOptions(side=64, outputs=("tokens", "pooled", "pixels"))


def png(seed: int, white: int = 255) -> bytes:
    """An image of smooth random shapes."""
    coarse = Image.fromarray(np.random.default_rng(seed).integers(0, white, (6, 5)).astype(np.uint8))
    buffer = io.BytesIO()
    coarse.resize((75, 90), Image.Resampling.BICUBIC).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def blobs(tmp_path):
    """A function that adds a blob to a folder and returns its name."""
    folder = tmp_path / "blobs"
    folder.mkdir()

    def add(content: bytes) -> str:
        name = f"{sha256(content)}.png"
        (folder / name).write_bytes(content)
        return name

    add.folder = folder
    return add


@pytest.fixture
def cache(tmp_path):
    return EncoderCache(tmp_path / "cache")


def events(*rows: tuple[int, float | None, str, str | None]) -> pl.DataFrame:
    """Events from (subject, hours or None, code, blob)."""
    frame = pl.DataFrame(
        [
            (subject, None if hours is None else START + timedelta(hours=hours), code, blob)
            for subject, hours, code, blob in rows
        ],
        schema={"subject_id": pl.Int64, "time": pl.Datetime("us"), "code": pl.String, "blob": pl.String},
        orient="row",
    )
    return frame.with_columns(numeric_value=pl.lit(None, pl.Float32), text_value=pl.lit(None, pl.String)).select(
        pl.col(name).cast(dtype) for name, dtype in POLARS_EVENTS.items()
    )


def samples(*rows: tuple[int, float]) -> pl.DataFrame:
    """Samples from (subject, hours)."""
    return pl.DataFrame(
        {
            "sample": pl.Series(range(len(rows)), dtype=pl.UInt32),
            "subject_id": pl.Series([subject for subject, _ in rows], dtype=pl.Int64),
            "prediction_time": pl.Series(
                [START + timedelta(hours=hours) for _, hours in rows], dtype=pl.Datetime("us")
            ),
        }
    )


@pytest.fixture
def record(blobs):
    """Subject 1 has three images, 2 one without a time, 3 none; 1 and 2 share an image."""
    shared = blobs(png(0))
    return events(
        (1, 0, "IMAGE//CR//PA", shared),
        (1, 1, "IMAGE//CR//LATERAL", blobs(png(1))),
        (1, 5, "IMAGE//CR//PA", blobs(png(2))),
        (2, None, "IMAGE//CR//AP", shared),
        (3, 0, "LAB//lactate//mmol/L", None),
    )


SAMPLES = samples((1, 2), (2, 2), (3, 2), (1, 9))


def fitted(record, blobs, cache, options=SMALL, batch=SAMPLES):
    featurizer = ImageFeaturizer(lambda name: blobs.folder / name, options, cache=cache)
    return featurizer.fit(known_at(record, batch), batch)


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name, array in first.items():
        np.testing.assert_array_equal(np.asarray(array), np.asarray(second[name]), err_msg=name)


def test_arrays(record, blobs, cache):
    featurizer = fitted(record, blobs, cache)
    arrays = featurizer.transform(known_at(record, SAMPLES), SAMPLES)
    assert arrays["present"].tolist() == [True, True, False, True]
    assert arrays["view_mask"].tolist() == [[True, True, False], [True, False, False], [False] * 3, [True] * 3]
    codes = [[featurizer.views[code] for code in row] for row in arrays["view_code"]]
    assert codes == [
        ["CR//PA", "CR//LATERAL", ""],
        ["CR//AP", "", ""],
        ["", "", ""],
        ["CR//PA", "CR//LATERAL", "CR//PA"],
    ]
    assert arrays["blob"][0, 0] == arrays["blob"][1, 0] != ""
    assert (arrays["tokens"].shape, arrays["tokens"].dtype) == ((4, 3, 16, 112), np.float16)
    assert (arrays["pooled"].shape, arrays["pooled"].dtype) == ((4, 3, 224), np.float32)
    assert (arrays["pixels"].shape, arrays["pixels"].dtype) == ((4, 3, 1, 64, 64), np.float32)


def test_tokens_are_the_networks_feature_maps(record, blobs, cache):
    arrays = fitted(record, blobs, cache).transform(known_at(record, SAMPLES), SAMPLES)
    tokens, pixels = arrays["tokens"][0], torch.from_numpy(arrays["pixels"][0])
    with torch.inference_mode():
        maps = efficientnet_lite0.load().fine(efficientnet_lite0.canonical_to_input(pixels[:2]))
    np.testing.assert_allclose(tokens[:2], maps.flatten(2).transpose(1, 2).numpy(), rtol=2e-3, atol=4e-3)
    assert not tokens[2].any()
    exact = tokens.astype(np.float64)
    both = np.concatenate([exact.mean(axis=1), exact.std(axis=1)], axis=1)
    np.testing.assert_allclose(arrays["pooled"][0], both, rtol=1e-4, atol=1e-5)


def test_newest_views_are_kept_oldest_first(record, blobs, cache):
    options = ImageOptions(side=64, max_views=2)
    arrays = fitted(record, blobs, cache, options).transform(known_at(record, SAMPLES), SAMPLES)
    times = {blob: hours for _, hours, blob in record.select("subject_id", "time", "blob").rows() if hours}
    newest = sorted((blob for blob in times if blob), key=times.get)[1:]
    assert arrays["blob"][3].tolist() == newest


def test_duplicate_images_are_dropped(record, blobs, cache):
    double = pl.concat([record, record.filter(subject_id=2).with_columns(time=pl.lit(START, pl.Datetime("us")))])
    arrays = fitted(record, blobs, cache).transform(known_at(double, SAMPLES), SAMPLES)
    assert arrays["view_mask"][1].tolist() == [True, False, False]


def test_view_absent_in_training_is_unknown(record, blobs, cache):
    featurizer = fitted(record, blobs, cache)
    renamed = record.with_columns(pl.col("code").str.replace("//AP", "//OBLIQUE"))
    arrays = featurizer.transform(known_at(renamed, SAMPLES), SAMPLES)
    assert featurizer.views[arrays["view_code"][1, 0]] == "unknown"
    assert arrays["view_mask"][1, 0]


class TestLaws:
    """Properties of every featurizer."""

    def test_later_events_have_no_influence(self, record, blobs, cache):
        featurizer = fitted(record, blobs, cache)
        batch = samples((1, 2), (2, 2))
        expected = featurizer.transform(known_at(record, batch), batch)
        for later in ("IMAGE//CR//PA", "IMAGE//CR//NEW"):
            added = events((1, 2.01, later, blobs(png(7))), (2, 30, later, blobs(b"not an image")))
            changed = pl.concat(
                [record.filter((pl.col("time") <= START + timedelta(hours=2)) | pl.col("time").is_null()), added]
            )
            assert_same(featurizer.transform(known_at(changed, batch), batch), expected)
            assert (
                fitted(changed, blobs, cache, batch=batch).state() == fitted(record, blobs, cache, batch=batch).state()
            )

    def test_order_of_events_has_no_influence(self, record, blobs, cache):
        known = known_at(record, SAMPLES)
        featurizer = fitted(record, blobs, cache)
        shuffled = known.sample(fraction=1, shuffle=True, seed=3)
        assert_same(featurizer.transform(shuffled, SAMPLES), featurizer.transform(known, SAMPLES))
        assert featurizer.fit(shuffled, SAMPLES).state() == fitted(record, blobs, cache).state()

    def test_arrays_do_not_depend_on_other_samples(self, record, blobs, cache):
        featurizer = fitted(record, blobs, cache)
        batch = featurizer.transform(known_at(record, SAMPLES), SAMPLES)
        for row in range(len(SAMPLES)):
            sample = SAMPLES[row : row + 1]
            single = featurizer.transform(known_at(record, sample), sample)
            assert_same(
                {name: array[0] for name, array in single.items()},
                {name: array[row] for name, array in batch.items()},
            )

    def test_state_round_trips_through_json(self, record, blobs, cache):
        featurizer = fitted(record, blobs, cache)
        state = json.loads(json.dumps(featurizer.state(), allow_nan=False))
        rebuilt = ImageFeaturizer.from_state(state, blobs=featurizer.blobs, cache=cache)
        assert rebuilt.state() == featurizer.state()
        known = known_at(record, SAMPLES)
        assert_same(rebuilt.transform(known, SAMPLES), featurizer.transform(known, SAMPLES))

    def test_held_out_views_are_unknown(self, record, blobs, cache):
        training = samples((1, 2))
        featurizer = fitted(record, blobs, cache, batch=training)
        assert featurizer.views == ["", "unknown", "CR//LATERAL", "CR//PA"]
        assert (
            ImageFeaturizer(None, SMALL, cache=cache).fit(known_at(record, SAMPLES), training).state()
            == featurizer.state()
        )

    def test_no_images(self, record, blobs, cache):
        subject = samples((3, 2))
        arrays = fitted(record, blobs, cache, batch=subject).transform(known_at(record, subject), subject)
        assert arrays["present"].tolist() == [False]
        assert arrays["tokens"].shape == (1, 1, 16, 112)
        assert not np.asarray(arrays["tokens"]).any()
        none = SAMPLES.clear()
        assert fitted(record, blobs, cache).transform(known_at(record, none), none)["pooled"].shape == (
            0,
            3,
            224,
        )

    def test_use_before_fit_raises(self, record, cache):
        with pytest.raises(NotFittedError, match="ImageFeaturizer is not fitted"):
            ImageFeaturizer(cache=cache).transform(known_at(record, SAMPLES), SAMPLES)


class TestCache:
    """Each image is encoded once for all featurizers."""

    def test_encodings_are_shared_between_featurizers(self, record, blobs, cache):
        known = known_at(record, SAMPLES)
        assert fitted(record, blobs, cache).prepare(known, SAMPLES) == 2 * 3  # three images, each as tokens and pixels
        tokens_only = ImageOptions(side=64, max_views=1)
        again = ImageFeaturizer(lambda name: blobs.folder / name, tokens_only, cache=EncoderCache(cache.folder))
        assert again.fit(known, SAMPLES).prepare(known, SAMPLES) == 0
        assert {size.entries for size in cache.sizes()} == {3}

    def test_another_size_is_encoded_separately(self, record, blobs, cache):
        known = known_at(record, SAMPLES)
        fitted(record, blobs, cache).prepare(known, SAMPLES)
        assert fitted(record, blobs, cache, ImageOptions(side=96)).prepare(known, SAMPLES) == 3

    def test_gathering_an_unencoded_image_raises(self, record, blobs, cache):
        encodings = fitted(record, blobs, cache)._encodings()
        with pytest.raises(MissingEntryError, match="1 of 1 entries of pixels-"):
            encodings.gather("pixels", np.array([[blobs(png(9)), ""]]))

    def test_cached_images_are_not_read_again(self, record, blobs, cache):
        known = known_at(record, SAMPLES)
        featurizer = fitted(record, blobs, cache)
        expected = featurizer.transform(known, SAMPLES)
        for file in blobs.folder.iterdir():
            file.unlink()
        assert_same(featurizer.transform(known, SAMPLES), expected)


def missing(blobs) -> str:
    name = blobs(png(3))
    (blobs.folder / name).unlink()
    return name


def changed(blobs) -> str:
    name = blobs(png(4))
    (blobs.folder / name).write_bytes(png(5))
    return name


UNUSABLE_KINDS = {
    "is damaged, or not PNG": lambda blobs: blobs(b"not an image"),
    "nearly the same grey": lambda blobs: blobs(png(0, white=1)),
    "cannot be read": missing,
    "content does not match its name": changed,
    "is not named by its content hash": lambda _: "scan.png",
}


class TestUnusableImages:
    """They are absent, with reasons that name blobs and no patients."""

    @pytest.mark.parametrize("outputs", [("tokens", "pooled"), ("pixels",), ("tokens", "pixels")])
    @pytest.mark.parametrize("message", UNUSABLE_KINDS)
    def test_an_unusable_image_is_as_if_not_recorded(self, message, outputs, record, blobs, cache):
        name = UNUSABLE_KINDS[message](blobs)
        added = events((1, 1.5, "IMAGE//CR//PA", name), (3, 1.5, "IMAGE//CR//PA", name), (1, 3, "IMAGE//CR//PA", name))
        with_it = known_at(pl.concat([record, added]), SAMPLES)
        for most in (1, 2, 4):
            options = ImageOptions(side=64, outputs=outputs, max_views=most)
            featurizer = fitted(record, blobs, cache, options)
            arrays = featurizer.transform(with_it, SAMPLES)
            reasons = arrays.pop(UNUSABLE)
            expected = featurizer.transform(known_at(record, SAMPLES), SAMPLES)
            assert not any(expected.pop(UNUSABLE))
            assert_same(arrays, expected)
            newest_is_usable = most == 1  # of the fourth sample
            assert [bool(reason) for reason in reasons] == [True, False, True, not newest_is_usable]
            assert all(name in reason and message in reason for reason in reasons if reason)

    def test_every_reason_is_given_once_without_patients(self, blobs, cache):
        good, names = blobs(png(1)), [make(blobs) for make in UNUSABLE_KINDS.values()]
        known = events(*((4711, hour, "IMAGE//CR//PA", name) for hour, name in enumerate((*names, good))))
        batch = samples((4711, 9), (4711, 10))
        featurizer = fitted(known, blobs, cache, ImageOptions(side=64), batch)
        arrays = featurizer.transform(known_at(known, batch), batch)
        assert arrays["present"].tolist() == [True, True]
        assert [sorted(name for name in row if name) for row in arrays["blob"]] == [[good], [good]]
        reasons = unusable_blobs({"image": arrays})
        assert len(reasons) == len(names)
        for name, message in zip(names, UNUSABLE_KINDS, strict=True):
            (reason,) = [reason for reason in reasons if name in reason]
            assert message in reason
            assert "4711" not in reason.replace(name, "")

    def test_a_sample_of_unusable_images_is_absent(self, blobs, cache):
        known = events((1, 0, "IMAGE//CR//PA", blobs(b"not an image")), (2, 0, "IMAGE//CR//PA", blobs(png(1))))
        batch = samples((1, 2), (2, 2))
        featurizer = fitted(known, blobs, cache, batch=batch)
        assert featurizer.prepare(known_at(known, batch), batch) == 2  # one image, as tokens and pixels
        assert featurizer.transform(known_at(known, batch), batch)["present"].tolist() == [False, True]

    def test_missing_blobs_raise(self, record, cache):
        featurizer = ImageFeaturizer(cache=cache).fit(known_at(record, SAMPLES), SAMPLES)
        with pytest.raises(ValueError, match=r"set its blobs to cohort\.blob"):
            featurizer.transform(known_at(record, SAMPLES), SAMPLES)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"outputs": ("token",)}, "tokens, pooled, pixels, not token"),
        ({"outputs": ()}, "not none"),
        ({"fit": "crop"}, "letterbox, stretch"),
        ({"max_views": 0}, "max_views"),
        ({"backbone": "resnet"}, "choose from efficientnet_lite0"),
    ],
)
def test_invalid_options_raise(wrong, message):
    with pytest.raises(ValueError, match=message):
        ImageOptions(**wrong)


def test_images_of_a_cohort(tmp_path, cache):
    with CohortWriter(tmp_path / "cohort", source="test") as writer:
        name = writer.add_blob(png(5), "png")
        writer.add(pl.DataFrame({"source_id": ["7"], "time": [START], "code": ["IMAGE//CR//PA"], "blob": [name]}))
        writer.commit()
    cohort = Cohort.open(tmp_path / "cohort")
    batch = samples((7, 1))
    known = known_at(cohort.events(), batch).collect()
    featurizer = ImageFeaturizer(cohort.blob, SMALL, cache=cache).fit(known, batch)
    assert featurizer.transform(known, batch)["present"].tolist() == [True]
    missing = known.with_columns(blob=pl.lit("0" * 64 + ".png"))  # in no folder
    arrays = featurizer.transform(missing, batch)
    assert arrays["present"].tolist() == [False]
    assert "ingest its source again" in arrays[UNUSABLE][0]


@pytest.mark.real_data
def test_real_radiographs(real_data, blobs, cache):
    files = sorted((real_data("covid_cxr") / "images").glob("*.jpg"))[:3]
    record = events(*((number, 0, "IMAGE//CR//PA", blobs(file.read_bytes())) for number, file in enumerate(files)))
    batch = samples(*((number, 0) for number in range(len(files))))
    arrays = fitted(record, blobs, cache, ImageOptions(), batch).transform(known_at(record, batch), batch)
    assert arrays["tokens"].shape == (3, 1, 196, 112)
    vectors = np.asarray(arrays["tokens"], dtype=np.float32).mean(axis=(1, 2))
    correlation = np.corrcoef(vectors)
    assert (correlation[~np.eye(3, dtype=bool)] > 0.3).all()  # all are chests
    assert (correlation[~np.eye(3, dtype=bool)] < 0.99).all()  # but different
