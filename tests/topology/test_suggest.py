"""`suggest_space`: circles that fill a torus, coordinates that angles leave unexplained, and reasons in words."""

import re
import sys

import numpy as np
import pytest

from torusae import topology
from torusae.topology import suggest


def circle_and(rng, more, noise=0.05, num=600):
    """A circle of radius 1 and other columns, turned into ten columns, with the angles."""
    angles = rng.uniform(-np.pi, np.pi, (num, 1))
    x = np.concatenate([np.cos(angles), np.sin(angles), more], axis=1)
    x = x @ np.linalg.qr(rng.normal(size=(10, x.shape[1])))[0].T
    return x + noise * rng.normal(size=x.shape), angles


def test_what_is_left_is_the_variance_along_lines_besides_the_circle(rng):
    for size in (1, 3):
        x, angles = circle_and(rng, rng.uniform(-size, size, (2000, 1)), num=2000)
        found = suggest._shares(x, angles, rng)
        # A circle's directions have the variance 1/2 each, the line size² / 3, less what shuffled columns have of it.
        assert 0.3 < found[0] / (size**2 / 3 / 0.5) < 1
        assert found[1] < 0.05


def test_noise_of_any_size_and_the_waves_of_a_circle_leave_nothing(rng):
    angles = rng.uniform(-np.pi, np.pi, (2000, 1))
    waves = np.cos(angles * [1, 1, 2, 2, 3, 3] - [0, 1, 0, 1, 0, 1])
    for noise in (0.0, 0.3, 1.0):
        x = waves + noise * rng.normal(size=(2000, 6)) * [1, 1, 1, 2, 2, 2]
        assert suggest._shares(x, angles, rng)[0] < 0.05
    found = angles + 0.3 * rng.normal(size=angles.shape)  # rows then vary along the circle, which is no coordinate
    assert suggest._shares(waves, found, rng)[0] < 0.1


def test_the_space_has_a_coordinate_where_data_vary_along_a_line(rng):
    for more, space in (((600, 0), "Torus(1)"), ((600, 1), "Torus(1) * Gaussian(1)")):
        x, angles = circle_and(rng, rng.uniform(-1.5, 1.5, more))
        found = topology.suggest_space(9 * x + 100)
        assert repr(found.space) == space
        assert found.circles.num_circles == 1
        assert topology.align(found.circles.angles, angles).scores > 0.98
        assert str(found).splitlines() == [str(found.circles), f"{space}: {' '.join(found.reasons)}"]


def test_angles_are_those_of_the_nearest_points(rng):
    x, true = circle_and(rng, rng.uniform(-1, 1, (1500, 1)), num=1500)
    found = true + 0.5 * np.sin(2 * true) * np.sign(rng.normal(size=(1500, 1)))  # of two paces
    nearest = suggest._nearest(x, x[:1000], found[:1000], rng)
    assert topology.align(found, true).scores[0] < 0.95
    assert topology.align(nearest, true).scores[0] > 0.96
    kept = suggest._nearest(x, x, true, rng)
    assert topology.align(kept, true).scores[0] > 0.99


def test_angles_are_spread_by_their_ranks_among_rows_on_circles(rng):
    true = rng.uniform(-np.pi, np.pi, (900, 2))
    on = np.arange(900) < 600
    squeezed = np.where(on[:, None], true + 0.9 * np.sin(true), 0.5)  # the others are at rest
    spread = suggest._spread(squeezed, on)
    for column, given in zip(spread.T, squeezed.T, strict=True):
        order = np.argsort(given[:600])
        np.testing.assert_allclose(np.diff(column[:600][order]), 2 * np.pi / 600)
        below = (given[:600] < 0.5).mean()
        np.testing.assert_allclose(column[600:], 2 * np.pi * below - np.pi)
    assert topology.align(spread[:600], true[:600]).scores.min() > 0.99
    assert topology.align(squeezed[:600], true[:600]).scores.max() < 0.95


def test_loops_that_meet_are_said_to_be_no_torus(rng):
    angles = rng.uniform(-np.pi, np.pi, 800)
    first = (np.arange(800) % 2 == 0)[:, None]
    loops = np.column_stack([np.cos(angles) - 1, np.sin(angles)])
    x = np.concatenate([loops * first, loops * ~first], axis=1) + 0.05 * rng.normal(size=(800, 4))
    found = topology.suggest_space(x)
    assert found.circles.num_circles == 2
    assert found.space.num_angles == 1
    for part in (first[:, 0], ~first[:, 0]):  # up to its zero, which is that of the other loop
        agreement = [abs(np.exp(1j * (found.angles[part, 0] - sign * angles[part])).mean()) for sign in (1, -1)]
        assert max(agreement) > 0.97
    assert re.search(r"2 loops fill \d\d % of the cells .*they meet.*dim=1", found.reasons[0])


def test_groups_are_brought_together(rng):
    angles = rng.uniform(-np.pi, np.pi, (400, 1))
    groups = np.array(["a", "b"])[rng.integers(0, 2, 400)]
    x = np.cos(angles - np.arange(4)) * np.where(groups == "a", 1, 5)[:, None] + np.where(groups == "a", 9, 0)[:, None]
    x += 0.02 * rng.normal(size=x.shape)
    for found in (topology.suggest_space(x, groups).circles, topology.find_circles(x, groups=groups)):
        assert found.num_circles == 1
        assert topology.align(found.angles, angles).scores > 0.98


def test_wrong_data_are_named(monkeypatch):
    x = np.random.default_rng(0).normal(size=(120, 3))
    with pytest.raises(ValueError, match=r"suggest_space: `x` must have shape .* at least 60 rows"):
        topology.suggest_space(x[:50])
    with pytest.raises(ValueError, match="suggest_space: `groups` must have shape"):
        topology.suggest_space(x, groups=np.zeros(7))
    with pytest.raises(ValueError, match=r"find_circles: .*one row of 'b'"):
        topology.find_circles(x, groups=["a"] * 119 + ["b"])
    with pytest.raises(ValueError, match="suggest_space: `x` must vary"):
        topology.suggest_space(np.ones((120, 3)))
    monkeypatch.setitem(sys.modules, "ripser", None)
    with pytest.raises(ImportError, match="suggest_space: needs ripser"):
        topology.suggest_space(x)
