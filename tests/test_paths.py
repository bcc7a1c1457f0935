"""Windings, and paths of eq. 6 beside a loop."""

import itertools
import re

import keras
import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from shared.tensors import to_numpy, to_tensor

import torusae

TAU = reference.TAU


def code_of(radii, angles):
    return to_numpy(torusae.to_cartesian(to_tensor(radii), to_tensor(angles)))


def random_points(rng, dim):
    return [code_of(rng.uniform(0.5, 1.5, dim), rng.uniform(-np.pi, np.pi, dim)) for _ in range(2)]


def polar_of(point):
    """Radii and angles of one point, float64, without the library."""
    x, y = np.split(np.asarray(point, "float64"), 2, axis=-1)
    return np.hypot(x, y), np.arctan2(y, x)


@pytest.mark.parametrize(("dim", "max_winding"), [(1, 0), (1, 1), (3, 1), (2, 2)])
def test_windings_are_every_vector_once(dim, max_winding):
    k = to_numpy(torusae.windings(dim, max_winding))
    assert k.dtype == np.int32
    assert k.shape == ((2 * max_winding + 1) ** dim, dim)
    assert {tuple(row) for row in k} == set(itertools.product(range(-max_winding, max_winding + 1), repeat=dim))


@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_shortest_winding_is_the_shortest_of_all(seed, dim):
    start, end = random_points(np.random.default_rng(seed), dim)
    k = to_numpy(torusae.shortest_winding(to_tensor(start), to_tensor(end)))
    assert k.dtype == np.int32
    arcs = polar_of(end)[1] - polar_of(start)[1]
    lengths = np.abs(arcs + TAU * np.array([[-1], [0], [1]]))
    np.testing.assert_array_equal(k, lengths.argmin(axis=0) - 1)


@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_two_way_windings_take_every_circle_both_ways(seed, dim):
    start, end = (to_tensor(point) for point in random_points(np.random.default_rng(seed), dim))
    k = to_numpy(torusae.two_way_windings(start, end))
    assert k.dtype == np.int32
    assert k.shape == (2**dim, dim)
    assert set(k.ravel()) <= {-1, 0, 1}
    assert len({tuple(row) for row in k}) == 2**dim
    np.testing.assert_array_equal(k[0], to_numpy(torusae.shortest_winding(start, end)))
    arcs = polar_of(to_numpy(end))[1] - polar_of(to_numpy(start))[1] + TAU * k
    for i in range(dim):
        short, long = arcs[0, i], arcs[-1, i]
        assert abs(short) <= abs(long)
        assert short * long < 0
        # The two ways together go once around.
        assert abs(short) + abs(long) == pytest.approx(TAU)
    # The last circle alternates fastest.
    np.testing.assert_array_equal(k[::2, -1], np.full(2 ** (dim - 1), k[0, -1]))


def test_windings_of_equal_and_of_opposite_points():
    here, opposite = to_tensor(code_of([1.0], [0.0])), to_tensor([-1.0, 0.0])
    assert to_numpy(torusae.shortest_winding(here, here)).tolist() == [0]
    assert to_numpy(torusae.two_way_windings(here, here)).tolist() == [[0], [-1]]
    assert to_numpy(torusae.shortest_winding(here, opposite)).tolist() == [0]  # both ways are equally long
    assert to_numpy(torusae.two_way_windings(here, opposite)).tolist() == [[0], [1]]
    assert to_numpy(torusae.two_way_windings(opposite, here)).tolist() == [[0], [-1]]


@pytest.mark.parametrize(("dim", "num_steps"), [(1, 2), (1, 12), (3, 7)])
def test_paths_match_the_reference(rng, dim, num_steps):
    start, end = random_points(rng, dim)
    k = to_numpy(torusae.windings(dim))
    paths = to_numpy(torusae.morph_paths(to_tensor(start), to_tensor(end), k, num_steps))
    expected = [reference.morph_path(polar_of(start), polar_of(end), row, num_steps) for row in k]
    assert paths.shape == (len(k), num_steps, 2 * dim)
    # Angles of up to 3π, rounded to 1e-6, times radii of up to 1.5.
    np.testing.assert_allclose(paths, expected, atol=3e-6)


@pytest.mark.parametrize(("dim", "num_steps"), [(1, 2), (2, 9)])
@given(st.integers(0, 2**32 - 1))
def test_paths_start_and_end_exactly_with_linear_radii(dim, num_steps, seed):
    rng = np.random.default_rng(seed)
    start, end = random_points(rng, dim)
    k = rng.integers(-2, 3, (4, dim))
    paths = to_numpy(torusae.morph_paths(to_tensor(start), to_tensor(end), k, num_steps))
    np.testing.assert_array_equal(paths[:, 0], np.broadcast_to(start, (4, 2 * dim)))
    np.testing.assert_array_equal(paths[:, -1], np.broadcast_to(end, (4, 2 * dim)))
    radii, _ = polar_of(paths)
    t = np.linspace(0, 1, num_steps)[:, None]
    np.testing.assert_allclose(
        radii, np.broadcast_to((1 - t) * polar_of(start)[0] + t * polar_of(end)[0], radii.shape), atol=2e-6
    )


def test_paths_turn_as_often_as_asked(rng):
    start, end = random_points(rng, 2)
    k = np.array(list(itertools.product([-2, -1, 0, 1, 2], repeat=2)))
    # Steps of at most 6π / 63 can be unwrapped.
    paths = to_numpy(torusae.morph_paths(to_tensor(start), to_tensor(end), k, num_steps=64))
    unwrapped = np.unwrap(polar_of(paths)[1], axis=1)
    turned = unwrapped[:, -1] - unwrapped[:, 0]
    np.testing.assert_allclose(turned, polar_of(end)[1] - polar_of(start)[1] + TAU * k, atol=1e-5)
    steps = np.diff(unwrapped, axis=1)
    np.testing.assert_allclose(steps, np.broadcast_to(turned[:, None] / 63, steps.shape), atol=1e-5)


def test_paths_from_the_origin_are_finite_and_keep_their_ends():
    start, end = np.zeros(4, "float32"), code_of([1.0, 1.0], [2.0, -2.0])
    paths = to_numpy(torusae.morph_paths(to_tensor(start), to_tensor(end), [[0, 0], [1, -1]], num_steps=5))
    assert np.isfinite(paths).all()
    np.testing.assert_array_equal(paths[:, 0], np.zeros((2, 4)))
    np.testing.assert_array_equal(paths[:, -1], np.stack([end, end]))


@pytest.mark.parametrize("form", [list, np.array, lambda k: keras.ops.convert_to_tensor(k, dtype="int32")])
def test_windings_are_taken_in_any_form(form, rng):
    start, end = (to_tensor(point) for point in random_points(rng, 1))
    assert torusae.morph_paths(start, end, form([[1], [-1], [0]]), 3).shape[0] == 3


def test_error_names_the_rule_and_what_came():
    for call, error, message in [
        (lambda s, e: torusae.windings(0), ValueError, "windings: `dim` must be at least 1. Received: dim=0"),
        (lambda s, e: torusae.windings(1.5), TypeError, "`dim` must be an integer. Received: dim=1.5"),
        (
            lambda s, e: torusae.windings(2, -1),
            ValueError,
            "`max_winding` must be at least 0. Received: max_winding=-1",
        ),
        (lambda s, e: torusae.windings(13), ValueError, "ask for 3**13 windings, more than 1048576"),
        (
            lambda s, e: torusae.two_way_windings(np.ones(42, "float32"), np.ones(42, "float32")),
            ValueError,
            "21 circles have 2**21 two-way paths, more than 1048576",
        ),
        (
            lambda s, e: torusae.shortest_winding(s[None], e),
            ValueError,
            "shortest_winding: `start` must have shape (2 * dim,). Received: start.shape=(1, 4)",
        ),
        (
            lambda s, e: torusae.two_way_windings(s, e[:2]),
            ValueError,
            "so its last axis must be 4. Received: end.shape=(2,)",
        ),
        (lambda s, e: torusae.morph_paths(s[:3], e, [[0]]), ValueError, "Received: start.shape=(3,)"),
        (
            lambda s, e: torusae.morph_paths(s, e, [[0.0, 1.0]]),
            TypeError,
            "morph_paths: `windings` must be integers, the extra turns around each circle. Received: dtype=",
        ),
        (
            lambda s, e: torusae.morph_paths(s, e, [[0], [1]]),
            ValueError,
            "`windings` must have shape (num_paths, 2) for points of 2 circles. Received: windings.shape=(2, 1)",
        ),
        (lambda s, e: torusae.morph_paths(s, e, [0, 1]), ValueError, "Received: windings.shape=(2,)"),
        (
            lambda s, e: torusae.morph_paths(s, e, [[0, 1]], num_steps=1),
            ValueError,
            "`num_steps` must be at least 2. Received: num_steps=1",
        ),
        (lambda s, e: torusae.morph_paths(s, e, [[0, 1]], 2.0), TypeError, "`num_steps` must be an integer"),
    ]:
        with pytest.raises(error, match=re.escape(message)):
            call(np.ones(4, "float32"), np.ones(4, "float32"))
