"""Paths that keep to a Gaussian: SciPy's formulas, and the distribution of the points on paths of random ends."""

import numpy as np
import pytest
import scipy.spatial
import scipy.stats
from shared.tensors import compiled_on_jax, to_numpy, to_tensor

from torusae import paths

SHARES = np.array([0.0, 0.1, 0.5, 0.8, 1.0], "float32")


def points(name, start, end, t):
    """The points as a NumPy array."""
    compute = compiled_on_jax(lambda start, end, t: paths.interpolate(start, end, t, name))
    return to_numpy(compute(to_tensor(start), to_tensor(end), to_tensor(np.asarray(t, "float32"))))


def ends(num=None, dim=3):
    rng = np.random.default_rng(0)
    return rng.normal(size=(2, dim) if num is None else (2, num, dim)).astype("float32")


@pytest.mark.parametrize("way", paths.INTERPOLATIONS)
def test_a_path_begins_and_stops_at_its_ends(way):
    start, end = ends()
    path = points(way, start, end, SHARES)
    np.testing.assert_allclose(path[[0, -1]], [start, end], rtol=1e-6, atol=1e-6)
    backwards = points(way, end, start, 1 - SHARES)
    np.testing.assert_allclose(path, backwards, rtol=1e-4, atol=1e-5)
    assert path.dtype == np.float32
    rows = points(way, np.stack([start, end]), np.stack([end, start]), [0.1, 0.9])
    np.testing.assert_allclose(rows, np.stack([path[1]] * 2), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("way", ["variance_preserving", "slerp"])
def test_points_between_draws_of_the_prior_are_draws_of_the_prior(way):
    # 400 coordinates: in few, spherical paths do not keep to the prior.
    start, end = ends(50, 400)
    line = points("linear", start, end, 0.5)
    assert line.std() == pytest.approx(np.sqrt(0.5), rel=0.02)  # 20,000 numbers: four standard errors
    for share in (0.3, 0.5):
        drawn = points(way, start, end, share)
        assert scipy.stats.kstest(drawn.ravel(), scipy.stats.norm.cdf).pvalue > 1e-3


def test_spherical_paths_of_unit_vectors_are_those_of_scipy():
    start, end = (each / np.linalg.norm(each) for each in ends(dim=5).astype("float64"))
    expected = scipy.spatial.geometric_slerp(start, end, SHARES)
    np.testing.assert_allclose(points("slerp", start, end, SHARES), expected, atol=1e-6)


def test_spherical_paths_between_equal_and_opposite_directions_are_lines():
    start = ends()[0]
    for factor in (1.0, 3.0, -1.0, -2.0):
        path = points("slerp", start, factor * start, SHARES)
        expected = (1 + (factor - 1) * SHARES.astype("float64"))[:, None] * start
        np.testing.assert_allclose(path, expected, rtol=1e-3, atol=1e-3)
    zero = np.zeros(3, "float32")
    np.testing.assert_allclose(points("slerp", zero, start, SHARES), SHARES[:, None] * start, atol=1e-6)


def test_bad_input():
    with pytest.raises(
        ValueError, match=r"interpolate: `start` and `end` must have shape \(\.\.\., dim\).*\(3,\).*\(1,\)"
    ):
        paths.interpolate(np.ones(3, "float32"), np.ones(1, "float32"), 0.5)
    with pytest.raises(TypeError, match="interpolate: `t` must be a tensor of floating-point numbers"):
        paths.interpolate(np.ones(3, "float32"), np.ones(3, "float32"), [0, 1])
    with pytest.raises(ValueError, match=r"interpolate: `t` must have a shape that broadcasts.*\(5,\).*t\[:, None\]"):
        paths.interpolate(np.ones((2, 3), "float32"), np.ones(3, "float32"), SHARES)
    with pytest.raises(ValueError, match=r"`interpolation` must be one of .*Did you mean 'slerp'"):
        paths.interpolate(np.ones(3, "float32"), np.ones(3, "float32"), SHARES, "slurp")
