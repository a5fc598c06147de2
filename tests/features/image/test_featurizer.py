"""The image featurizer: which pictures, the laws of featurizers, the cache, and clear errors."""

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
from polyclinic.features.cache.encoder_cache import EncoderCache, MissingEntryError
from polyclinic.features.featurizer import NotFittedError
from polyclinic.features.image.featurizer import ImageFeaturizer, ImageOptions
from polyclinic.features.image.preprocessing import PictureError
from polyclinic.files import sha256

START = datetime(2020, 1, 1)
SMALL = ImageOptions(side=64, outputs=("tokens", "pooled", "pixels"))


def png(seed: int, white: int = 255) -> bytes:
    """A picture of smooth random shapes."""
    coarse = Image.fromarray(np.random.default_rng(seed).integers(0, white, (6, 5)).astype(np.uint8))
    buffer = io.BytesIO()
    coarse.resize((75, 90), Image.Resampling.BICUBIC).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def blobs(tmp_path):
    """A folder of blobs, and the function that adds one and gives its name."""
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
    """Subject 1 has three pictures, 2 one without a time, 3 none; 1 and 2 share a picture."""
    shared = blobs(png(0))
    return events(
        (1, 0, "IMAGE//CR//PA", shared),
        (1, 1, "IMAGE//CR//LATERAL", blobs(png(1))),
        (1, 5, "IMAGE//CR//PA", blobs(png(2))),
        (2, None, "IMAGE//CR//AP", shared),
        (3, 0, "LAB//lactate//mmol/L", None),
    )


ASKED = samples((1, 2), (2, 2), (3, 2), (1, 9))


def fitted(record, blobs, cache, options=SMALL, asked=ASKED):
    featurizer = ImageFeaturizer(lambda name: blobs.folder / name, options, cache=cache)
    return featurizer.fit(known_at(record, asked), asked)


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name, array in first.items():
        np.testing.assert_array_equal(np.asarray(array), np.asarray(second[name]), err_msg=name)


def test_arrays(record, blobs, cache):
    featurizer = fitted(record, blobs, cache)
    arrays = featurizer.transform(known_at(record, ASKED), ASKED)
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


def test_tokens_are_the_networks_maps_of_the_pixels(record, blobs, cache):
    arrays = fitted(record, blobs, cache).transform(known_at(record, ASKED), ASKED)
    tokens, pixels = arrays["tokens"][0], torch.from_numpy(arrays["pixels"][0])
    with torch.inference_mode():
        maps = efficientnet_lite0.load().fine(efficientnet_lite0.canonical_to_input(pixels[:2]))
    np.testing.assert_allclose(tokens[:2], maps.flatten(2).transpose(1, 2).numpy(), rtol=2e-3, atol=4e-3)
    assert not tokens[2].any()
    exact = tokens.astype(np.float64)
    both = np.concatenate([exact.mean(axis=1), exact.std(axis=1)], axis=1)
    np.testing.assert_allclose(arrays["pooled"][0], both, rtol=1e-4, atol=1e-5)


def test_the_newest_views_are_kept_oldest_first(record, blobs, cache):
    options = ImageOptions(side=64, max_views=2)
    arrays = fitted(record, blobs, cache, options).transform(known_at(record, ASKED), ASKED)
    times = {blob: hours for _, hours, blob in record.select("subject_id", "time", "blob").rows() if hours}
    newest = sorted((blob for blob in times if blob), key=times.get)[1:]
    assert arrays["blob"][3].tolist() == newest


def test_a_picture_recorded_twice_counts_once(record, blobs, cache):
    double = pl.concat([record, record.filter(subject_id=2).with_columns(time=pl.lit(START, pl.Datetime("us")))])
    arrays = fitted(record, blobs, cache).transform(known_at(double, ASKED), ASKED)
    assert arrays["view_mask"][1].tolist() == [True, False, False]


def test_an_unknown_view_is_known_to_be_unknown(record, blobs, cache):
    featurizer = fitted(record, blobs, cache)
    renamed = record.with_columns(pl.col("code").str.replace("//AP", "//OBLIQUE"))
    arrays = featurizer.transform(known_at(renamed, ASKED), ASKED)
    assert featurizer.views[arrays["view_code"][1, 0]] == "unknown"
    assert arrays["view_mask"][1, 0]


class TestLaws:
    """What every featurizer promises."""

    def test_the_future_never_matters(self, record, blobs, cache):
        featurizer = fitted(record, blobs, cache)
        asked = samples((1, 2), (2, 2))
        expected = featurizer.transform(known_at(record, asked), asked)
        for later in ("IMAGE//CR//PA", "IMAGE//CR//NEW"):
            added = events((1, 2.01, later, blobs(png(7))), (2, 30, later, blobs(b"not a picture")))
            changed = pl.concat(
                [record.filter((pl.col("time") <= START + timedelta(hours=2)) | pl.col("time").is_null()), added]
            )
            assert_same(featurizer.transform(known_at(changed, asked), asked), expected)
            assert (
                fitted(changed, blobs, cache, asked=asked).state() == fitted(record, blobs, cache, asked=asked).state()
            )

    def test_the_order_of_events_does_not_matter(self, record, blobs, cache):
        known = known_at(record, ASKED)
        featurizer = fitted(record, blobs, cache)
        shuffled = known.sample(fraction=1, shuffle=True, seed=3)
        assert_same(featurizer.transform(shuffled, ASKED), featurizer.transform(known, ASKED))
        assert featurizer.fit(shuffled, ASKED).state() == fitted(record, blobs, cache).state()

    def test_each_sample_depends_on_itself_alone(self, record, blobs, cache):
        featurizer = fitted(record, blobs, cache)
        together = featurizer.transform(known_at(record, ASKED), ASKED)
        for row in range(len(ASKED)):
            one = ASKED[row : row + 1]
            alone = featurizer.transform(known_at(record, one), one)
            assert_same(
                {name: array[0] for name, array in alone.items()},
                {name: array[row] for name, array in together.items()},
            )

    def test_the_state_survives_json(self, record, blobs, cache):
        featurizer = fitted(record, blobs, cache)
        state = json.loads(json.dumps(featurizer.state(), allow_nan=False))
        rebuilt = ImageFeaturizer.from_state(state, blobs=featurizer.blobs, cache=cache)
        assert rebuilt.state() == featurizer.state()
        known = known_at(record, ASKED)
        assert_same(rebuilt.transform(known, ASKED), featurizer.transform(known, ASKED))

    def test_held_out_views_are_not_learnt(self, record, blobs, cache):
        training = samples((1, 2))
        featurizer = fitted(record, blobs, cache, asked=training)
        assert featurizer.views == ["", "unknown", "CR//LATERAL", "CR//PA"]
        assert (
            ImageFeaturizer(None, SMALL, cache=cache).fit(known_at(record, ASKED), training).state()
            == featurizer.state()
        )

    def test_no_pictures_at_all(self, record, blobs, cache):
        nobody = samples((3, 2))
        arrays = fitted(record, blobs, cache, asked=nobody).transform(known_at(record, nobody), nobody)
        assert arrays["present"].tolist() == [False]
        assert arrays["tokens"].shape == (1, 1, 16, 112)
        assert not np.asarray(arrays["tokens"]).any()
        none = ASKED.clear()
        assert fitted(record, blobs, cache).transform(known_at(record, none), none)["pooled"].shape == (0, 3, 224)

    def test_unfitted(self, record, cache):
        with pytest.raises(NotFittedError, match="ImageFeaturizer has no state"):
            ImageFeaturizer(cache=cache).transform(known_at(record, ASKED), ASKED)


class TestCache:
    """One picture is encoded once, whoever asks."""

    def test_one_picture_in_two_studies(self, record, blobs, cache):
        known = known_at(record, ASKED)
        assert fitted(record, blobs, cache).prepare(known, ASKED) == 2 * 3  # three pictures, as tokens and as pixels
        tokens_only = ImageOptions(side=64, max_views=1)
        again = ImageFeaturizer(lambda name: blobs.folder / name, tokens_only, cache=EncoderCache(cache.folder))
        assert again.fit(known, ASKED).prepare(known, ASKED) == 0
        assert {size.entries for size in cache.sizes()} == {3}

    def test_another_size_is_another_picture(self, record, blobs, cache):
        known = known_at(record, ASKED)
        fitted(record, blobs, cache).prepare(known, ASKED)
        assert fitted(record, blobs, cache, ImageOptions(side=96)).prepare(known, ASKED) == 3

    def test_a_picture_that_is_not_prepared_is_no_zeros(self, record, blobs, cache):
        encodings = fitted(record, blobs, cache)._encodings()
        with pytest.raises(MissingEntryError, match="1 of 1 entries of pixels-"):
            encodings.gathered("pixels", np.array([[blobs(png(9)), ""]]))

    def test_cached_pictures_are_not_opened_again(self, record, blobs, cache):
        known = known_at(record, ASKED)
        featurizer = fitted(record, blobs, cache)
        expected = featurizer.transform(known, ASKED)
        for file in blobs.folder.iterdir():
            file.unlink()
        assert_same(featurizer.transform(known, ASKED), expected)


class TestBadPictures:
    """Errors name blobs, never patients, and all that is bad at once."""

    def test_all_bad_pictures_are_named_and_the_good_are_kept(self, blobs, cache):
        good, text, flat = blobs(png(1)), blobs(b"not a picture"), blobs(png(0, white=1))
        gone = blobs(png(3))
        (blobs.folder / gone).unlink()
        known = events(*((4711, hour, "IMAGE//CR//PA", name) for hour, name in enumerate((text, good, flat, gone))))
        asked = samples((4711, 9))
        featurizer = fitted(known, blobs, cache, ImageOptions(side=64), asked)
        with pytest.raises(PictureError) as error:
            featurizer.transform(known_at(known, asked), asked)
        message = str(error.value)
        assert f"{text} is damaged" in message
        assert f"{flat}: all of it is nearly the same grey" in message
        assert f"{gone} cannot be read" in message
        assert good not in message
        assert "4711" not in message.replace(text, "").replace(flat, "").replace(gone, "")
        only_good = known.filter(blob=good)
        assert featurizer.prepare(known_at(only_good, asked), asked) == 0

    def test_content_that_is_not_what_its_name_says(self, blobs, cache):
        name = blobs(png(1))
        (blobs.folder / name).write_bytes(png(2))
        known = events((1, 0, "IMAGE//CR//PA", name))
        with pytest.raises(PictureError, match="not what its name says"):
            fitted(known, blobs, cache).transform(known_at(known, ASKED), ASKED)

    def test_a_file_that_is_not_named_by_its_content(self, blobs, cache):
        known = events((1, 0, "IMAGE//CR//PA", "scan.png"))
        with pytest.raises(PictureError, match=r"scan\.png is not named by its content"):
            fitted(known, blobs, cache).transform(known_at(known, ASKED), ASKED)

    def test_without_blobs(self, record, cache):
        featurizer = ImageFeaturizer(cache=cache).fit(known_at(record, ASKED), ASKED)
        with pytest.raises(PictureError, match=r"set its blobs to cohort\.blob"):
            featurizer.transform(known_at(record, ASKED), ASKED)


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
def test_wrong_options_offer_the_choices(wrong, message):
    with pytest.raises(ValueError, match=message):
        ImageOptions(**wrong)


def test_a_cohorts_own_pictures(tmp_path, cache):
    with CohortWriter(tmp_path / "cohort", source="test") as writer:
        name = writer.add_blob(png(5), "png")
        writer.add(pl.DataFrame({"source_id": ["7"], "time": [START], "code": ["IMAGE//CR//PA"], "blob": [name]}))
        writer.commit()
    cohort = Cohort.open(tmp_path / "cohort")
    asked = samples((7, 1))
    known = known_at(cohort.events(), asked).collect()
    featurizer = ImageFeaturizer(cohort.blob, SMALL, cache=cache).fit(known, asked)
    assert featurizer.transform(known, asked)["present"].tolist() == [True]
    missing = known.with_columns(blob=pl.lit("0" * 64 + ".png"))
    with pytest.raises(PictureError, match="ingest its source again"):
        featurizer.transform(missing, asked)


@pytest.mark.real_data
def test_real_radiographs(real_data, blobs, cache):
    files = sorted((real_data("covid_cxr") / "images").glob("*.jpg"))[:3]
    record = events(*((number, 0, "IMAGE//CR//PA", blobs(file.read_bytes())) for number, file in enumerate(files)))
    asked = samples(*((number, 0) for number in range(len(files))))
    arrays = fitted(record, blobs, cache, ImageOptions(), asked).transform(known_at(record, asked), asked)
    assert arrays["tokens"].shape == (3, 1, 196, 112)
    vectors = np.asarray(arrays["tokens"], dtype=np.float32).mean(axis=(1, 2))
    likeness = np.corrcoef(vectors)
    assert (likeness[~np.eye(3, dtype=bool)] > 0.3).all()  # all are chests
    assert (likeness[~np.eye(3, dtype=bool)] < 0.99).all()  # but not the same
