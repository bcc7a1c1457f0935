"""Measures of several circles beside loops and closed forms."""

import math

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from shared.tensors import exact_angles

from torusae import metrics
from torusae.angles import primitive_directions

TAU = reference.TAU


@pytest.mark.parametrize(("cells", "dim"), [(2, 1), (8, 1), (4, 2), (3, 3)])
def test_cell_occupancy_matches_the_loop(rng, cells, dim):
    angles = exact_angles(rng, 25, dim) * np.float32(0.7)
    empty, kl = reference.cell_occupancy(angles, cells)
    got = metrics.cell_occupancy(angles, cells)
    assert got["empty"] == pytest.approx(empty, abs=1e-12)
    assert got["kl"] == pytest.approx(kl, abs=1e-12)


def test_cell_occupancy_closed_forms():
    together = metrics.cell_occupancy(np.full((10, 2), 1.0), cells=4)
    assert together["empty"] == 15 / 16
    assert together["kl"] == pytest.approx(math.log(16))
    centres = TAU * (np.arange(4) + 0.5) / 4 - np.pi
    full = metrics.cell_occupancy(np.stack(np.meshgrid(centres, centres), -1).reshape(-1, 2), cells=4)
    assert full["empty"] == 0
    assert full["kl"] == pytest.approx(0, abs=1e-12)


def test_cell_occupancy_expects_what_uniform_points_give(rng):
    got = [metrics.cell_occupancy(rng.uniform(-np.pi, np.pi, (400, 2)), cells=8) for _ in range(200)]
    for name in ("empty", "kl"):
        values = np.array([one[name] for one in got])
        error = 5 * values.std() / math.sqrt(200)
        # (C - 1) / (2 num) is the first term of a series in C / num = 0.16; the next is about that share of it.
        bias = 0.1 * values.mean() if name == "kl" else 0.0
        assert got[0][f"expected_{name}"] == pytest.approx(values.mean(), abs=error + bias)
    assert got[0]["expected_empty"] == pytest.approx((63 / 64) ** 400)
    assert got[0]["expected_kl"] == 63 / 800


@pytest.mark.parametrize(("max_frequency", "dim"), [(1, 1), (3, 1), (2, 2), (1, 3)])
def test_max_moment_matches_the_loop(rng, max_frequency, dim):
    angles = exact_angles(rng, 20, dim)
    assert metrics.max_moment(angles, max_frequency) == pytest.approx(
        reference.max_moment(angles, max_frequency), rel=1e-10
    )


def test_max_moment_sees_a_correlation_that_single_angles_hide():
    first = TAU * np.arange(60) / 60 - np.pi
    locked = np.stack([first, first], axis=-1)  # φ_1 - φ_2 = 0: k = (1, -1)
    assert metrics.max_moment(locked, max_frequency=1) == pytest.approx(1, abs=1e-6)
    assert metrics.max_moment(first[:, None], max_frequency=3) == pytest.approx(0, abs=1e-6)


@given(st.integers(0, 2**32 - 1))
def test_max_moment_does_not_depend_on_rotations(seed):
    rng = np.random.default_rng(seed)
    angles = rng.uniform(-np.pi, np.pi, (10, 2))
    before = metrics.max_moment(angles, 2)
    assert metrics.max_moment(angles + rng.uniform(-3, 3, (1, 2)), 2) == pytest.approx(before, abs=1e-5)


def test_direction_kuiper_is_kuiper_along_each_direction(rng):
    angles = exact_angles(rng, 40, 3)
    directions, statistics = metrics.direction_kuiper(angles, max_frequency=2, interactions=3)
    assert np.array_equal(directions, primitive_directions(3, 2, 3))
    for k, value in list(zip(directions, statistics, strict=True))[::7]:
        assert value == pytest.approx(metrics.kuiper_statistic((angles @ k)[:, None])[0], abs=1e-5)


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_intrinsic_dimension_of_uniform_points_and_of_a_surface(dim, rng):
    angles = rng.uniform(-np.pi, np.pi, (3000, dim))
    allowed = 4 * dim / np.sqrt(3000)  # four deviations
    assert abs(metrics.intrinsic_dimension(angles) - dim) < allowed
    turned = np.concatenate([angles, angles + 1.0, -2 * angles], axis=1)  # linear, so that no distance ratio changes
    assert abs(metrics.intrinsic_dimension(turned) - dim) < allowed
    repeated = np.concatenate([angles, angles[:50]])
    assert metrics.intrinsic_dimension(repeated) == pytest.approx(metrics.intrinsic_dimension(angles), abs=0.01)


def test_intrinsic_dimension_needs_three_points():
    with pytest.raises(ValueError, match="at least 3 different points"):
        metrics.intrinsic_dimension(np.zeros((10, 2)))
