"""Paths that keep to a Gaussian: SciPy's formulas, and the distribution of the points on paths of random ends."""

import numpy as np
import pytest
import scipy.spatial
import scipy.stats
from shared.tensors import compiled_on_jax, to_numpy, to_tensor

from torusae import paths

WAYS = [paths.straight_path, paths.spherical_path, paths.matched_path, paths.cauchy_path]
KEEPING = WAYS[1:]
SHARES = np.array([0.0, 0.1, 0.5, 0.8, 1.0], "float32")


def points(way, start, end, shares):
    """The points as a NumPy array. That of Cauchy values computes with NumPy and can't be compiled."""
    compute = way if way is paths.cauchy_path else compiled_on_jax(way)
    return to_numpy(compute(to_tensor(start), to_tensor(end), to_tensor(np.asarray(shares, "float32"))))


def ends(num=None, dim=3):
    rng = np.random.default_rng(0)
    return rng.normal(size=(2, dim) if num is None else (2, num, dim)).astype("float32")


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_path_begins_and_stops_at_its_ends(way):
    start, end = ends()
    path = points(way, start, end, SHARES)
    np.testing.assert_allclose(path[[0, -1]], [start, end], rtol=1e-6, atol=1e-6)
    backwards = points(way, end, start, 1 - SHARES)
    np.testing.assert_allclose(path, backwards, rtol=1e-4, atol=1e-5)
    assert path.dtype == np.float32
    rows = points(way, np.stack([start, end]), np.stack([end, start]), [0.1, 0.9])
    np.testing.assert_allclose(rows, np.stack([path[1]] * 2), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("way", KEEPING, ids=lambda way: way.__name__)
def test_points_between_draws_of_the_prior_are_draws_of_the_prior(way):
    # 400 coordinates: in few, spherical paths do not keep to the prior.
    start, end = ends(50, 400)
    line = points(paths.straight_path, start, end, 0.5)
    assert line.std() == pytest.approx(np.sqrt(0.5), rel=0.02)  # 20,000 numbers: four standard errors
    for share in (0.3, 0.5):
        drawn = points(way, start, end, share)
        assert scipy.stats.kstest(drawn.ravel(), scipy.stats.norm.cdf).pvalue > 1e-3


def test_spherical_paths_of_unit_vectors_are_those_of_scipy():
    start, end = (each / np.linalg.norm(each) for each in ends(dim=5).astype("float64"))
    expected = scipy.spatial.geometric_slerp(start, end, SHARES)
    np.testing.assert_allclose(points(paths.spherical_path, start, end, SHARES), expected, atol=1e-6)


def test_spherical_paths_between_equal_and_opposite_directions_are_lines():
    start = ends()[0]
    for factor in (1.0, 3.0, -1.0, -2.0):
        path = points(paths.spherical_path, start, factor * start, SHARES)
        expected = (1 + (factor - 1) * SHARES.astype("float64"))[:, None] * start
        np.testing.assert_allclose(path, expected, rtol=1e-3, atol=1e-3)
    zero = np.zeros(3, "float32")
    np.testing.assert_allclose(points(paths.spherical_path, zero, start, SHARES), SHARES[:, None] * start, atol=1e-6)


def test_cauchy_paths_are_lines_of_cauchy_values():
    start, end = ends().astype("float64")
    values = [scipy.stats.cauchy.ppf(scipy.stats.norm.cdf(each)) for each in (start, end)]
    line = np.outer(1 - SHARES.astype("float64"), values[0]) + np.outer(SHARES.astype("float64"), values[1])
    expected = scipy.stats.norm.ppf(scipy.stats.cauchy.cdf(line))
    np.testing.assert_allclose(points(paths.cauchy_path, start, end, SHARES), expected, atol=1e-5)


@pytest.mark.parametrize("value", [6.0, 15.0, 100.0])
def test_cauchy_paths_reach_far_into_the_tails(value):
    path = points(paths.cauchy_path, [value, -value, 0.0], [value, -value, 0.0], SHARES)
    inner = min(value, 30.0)
    np.testing.assert_allclose(path[1:-1], np.tile([inner, -inner, 0.0], (3, 1)), rtol=1e-5)
    np.testing.assert_array_equal(path[[0, -1], 0], [value, value])


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_bad_input(way):
    name = way.__name__
    with pytest.raises(ValueError, match=rf"{name}: `start` and `end` must have shape \(\.\.\., dim\).*\(3,\).*\(1,\)"):
        way(np.ones(3, "float32"), np.ones(1, "float32"), 0.5)
    with pytest.raises(TypeError, match=rf"{name}: `shares` must be a tensor of floating-point numbers"):
        way(np.ones(3, "float32"), np.ones(3, "float32"), [0, 1])
    with pytest.raises(
        ValueError, match=rf"{name}: `shares` must have a shape that broadcasts.*\(5,\).*shares\[:, None\]"
    ):
        way(np.ones((2, 3), "float32"), np.ones(3, "float32"), SHARES)
