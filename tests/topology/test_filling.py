"""Whether angles fill a torus together."""

import numpy as np
import pytest

from torusae.topology.filling import LEAST_FILLING, filling, meeting

pytestmark = pytest.mark.host


def loops(num, dim, rng):
    """Angles of loops that meet in one point: each rests while another goes around."""
    turning = rng.integers(dim, size=num)[:, None] == np.arange(dim)
    return np.where(turning, rng.uniform(-np.pi, np.pi, (num, dim)), 0.1 * rng.normal(size=(num, dim)))


@pytest.mark.parametrize("num", [200, 2000])
@pytest.mark.parametrize("dim", [2, 3])
def test_independent_angles_fill_whatever_their_margins(num, dim, rng):
    assert filling(rng.uniform(-np.pi, np.pi, (num, dim))) == pytest.approx(1, abs=0.1)
    assert filling(rng.vonmises(1, 1.5, (num, dim))) > 0.8
    assert meeting(rng.vonmises(1, 1.5, (num, dim))) == ()
    assert filling(rng.uniform(-np.pi, np.pi, (num, 1))) == 1


def test_dependent_angles_whose_density_alone_varies_fill(rng):
    first = rng.uniform(-np.pi, np.pi, 2000)
    assert filling(np.stack([first, first + rng.vonmises(0, 2, 2000)], axis=1)) > 0.8


@pytest.mark.parametrize("num", [300, 2000])
def test_loops_that_meet_fill_little_in_any_basis(num, rng):
    angles = loops(num, 2, rng)
    for basis in ([[1, 0], [0, 1]], [[1, 1], [0, 1]], [[1, -1], [1, 0]]):
        assert filling(angles @ np.transpose(basis)) < LEAST_FILLING - 0.1
    assert meeting(loops(num, 3, rng)) == ((0, 1), (0, 2), (1, 2))


def test_a_pair_is_named_and_an_angle_that_others_give_is_seen_in_all(rng):
    angles = np.concatenate([rng.uniform(-np.pi, np.pi, (3000, 1)), loops(3000, 2, rng)], axis=1)
    assert meeting(angles) == ((1, 2),)
    first, second = rng.uniform(-np.pi, np.pi, (2, 4000))
    together = np.stack([first, second, first + second], axis=1)  # each pair is independent
    assert meeting(together) == ()
    assert filling(together) < 0.5
    assert filling(np.stack([first, 2 * first], axis=1)) < LEAST_FILLING
