"""Augmentation: bounded and reproducible."""

import pytest
import torch

from polyclinic.features.image.augmentation import Augment, Augmentation

NO_CHANGE = {"rotation_degrees": 0.0, "shift": 0.0, "zoom": 0.0, "brightness": 0.0, "contrast": 0.0, "noise": 0.0}


@pytest.fixture
def pixels():
    """Two images of a bright spot, off the centre, on grey; black at the edges."""
    grid = torch.linspace(-1, 1, 96)
    spot = torch.exp(-(((grid[:, None] + 0.3) ** 2) + (grid - 0.4) ** 2) / 0.01)
    image = (0.3 + 0.6 * spot)[None, None].repeat(2, 1, 1, 1)
    image[..., :4] = image[..., -4:] = image[..., :4, :] = image[..., -4:, :] = 0
    return image


def brightest(image: torch.Tensor) -> tuple[int, int]:
    """Row and column of the spot."""
    row, column = divmod(int(image.argmax()), image.shape[-1])
    return row, column


def test_reproducible_and_independent_per_image(pixels):
    augment = Augment()
    first, again, other = (augment(pixels, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first, pixels)


def test_global_generator_is_not_used(pixels):
    before = torch.random.get_rng_state()
    Augment()(pixels, torch.Generator().manual_seed(1))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_evaluation_mode_and_empty_batch(pixels):
    assert Augment().eval()(pixels) is pixels
    assert Augment()(pixels[:0]).shape == (0, 1, 96, 96)


def test_images_stay_canonical_and_similar(pixels):
    many = pixels[:1].expand(64, -1, -1, -1)
    changed = Augment()(many, torch.Generator().manual_seed(0))
    assert changed.min() >= 0
    assert changed.max() <= 1
    row, column = brightest(pixels[0])
    for image in changed:
        new_row, new_column = brightest(image)
        assert abs(new_row - row) <= 14
        assert abs(new_column - column) <= 14


def test_zero_limits_change_nothing(pixels):
    torch.testing.assert_close(Augment(Augmentation(**NO_CHANGE))(pixels), pixels, atol=1e-5, rtol=0)


def test_black_stays_black(pixels):
    bright = Augment(Augmentation(**{**NO_CHANGE, "brightness": 0.3, "noise": 0.1, "contrast": 0.3}))
    changed = bright(pixels, torch.Generator().manual_seed(0))
    assert not changed[..., 0].any()
    assert (changed[..., 8:-8, 8:-8] != pixels[..., 8:-8, 8:-8]).float().mean() > 0.9


@pytest.mark.parametrize(
    ("limit", "within"), [({"rotation_degrees": 20.0}, 20), ({"shift": 0.1}, 10), ({"zoom": 0.3}, 12)]
)
def test_each_transformation_stays_within_its_limit(pixels, limit, within):
    augment = Augment(Augmentation(**{**NO_CHANGE, **limit}))
    moved = augment(pixels[:1].expand(40, -1, -1, -1), torch.Generator().manual_seed(0))
    row, column = brightest(pixels[0])
    distances = [max(abs(r - row), abs(c - column)) for r, c in map(brightest, moved)]
    assert 2 < max(distances) <= within


def test_rotation_does_not_distort_wide_images():
    wide = torch.zeros(1, 1, 60, 120)
    wide[..., 30, 20:100] = 1  # a horizontal line of 80 pixels
    turned = Augment(Augmentation(**{**NO_CHANGE, "rotation_degrees": 45.0}))(wide, torch.Generator().manual_seed(1))
    rows, columns = (turned[0, 0] > 0.3).nonzero(as_tuple=True)
    length = ((rows.max() - rows.min()).square() + (columns.max() - columns.min()).square()).sqrt()
    assert rows.max() - rows.min() > 10
    assert 74 <= length.item() <= 84


def test_flips_follow_the_probability(pixels):
    many = pixels[:1].expand(30, -1, -1, -1)
    _, column = brightest(pixels[0])
    for flip, least, most in ((0.0, 0, 0), (1.0, 30, 30), (0.5, 5, 25)):
        changed = Augment(Augmentation(**{**NO_CHANGE, "flip": flip}))(many, torch.Generator().manual_seed(0))
        swapped = sum(abs(brightest(image)[1] - (95 - column)) <= 1 for image in changed)
        assert least <= swapped <= most


def test_gradients_pass_through(pixels):
    differentiable = pixels.clone().requires_grad_()
    Augment()(differentiable, torch.Generator().manual_seed(0)).sum().backward()
    assert differentiable.grad.abs().sum() > 0
