import numpy as np

from polyclinic.demo.phantom.fields import dome, enlarged, smooth_noise, soft, splat


def test_soft_is_a_smoothstep():
    np.testing.assert_allclose(soft(np.array([-1.0, 0, 0.5, 1, 2])), [0, 0, 0.5, 1, 1])


def test_dome_is_a_hemisphere():
    np.testing.assert_allclose(dome(np.array([0.0, 0.6, 1, 2])), [1, 0.8, 0, 0], atol=1e-6)


def test_enlarged_restores_a_plane():
    y, x = np.mgrid[0:9, 0:13].astype(np.float32)
    plane = 2 * y + 3 * x
    np.testing.assert_allclose(enlarged(plane[::2, ::2], plane.shape), plane)


def test_smooth_noise_has_unit_variance_and_is_smooth():
    fields = [smooth_noise(np.random.default_rng(i), (120, 100), 6) for i in range(40)]
    assert fields[0].shape == (120, 100)
    assert 0.8 < np.std(fields) < 1.2
    assert np.abs(np.diff(fields[0], axis=0)).max() < 0.5


def test_splat_preserves_weight_and_drops_points_outside():
    drawn = splat((10, 12), np.array([3.25, -5, 50]), np.array([4.5, 2, 2]), np.array([2.0, 1, 1]))
    assert drawn.sum() == 2
    np.testing.assert_allclose(drawn[4, 3], 2 * 0.75 * 0.5)
