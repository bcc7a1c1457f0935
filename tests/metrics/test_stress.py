"""Kruskal's stress beside loops and closed forms."""

import math
import re

import numpy as np
import pytest
from shared.tensors import to_tensor

from torusae import metrics


def loops(a, b):
    mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
    above = sum((x / mean_a - y / mean_b) ** 2 for x, y in zip(a, b, strict=True))
    return math.sqrt(above / sum((x / mean_a) ** 2 for x in a))


def test_stress_matches_the_loop(rng):
    a, b = rng.uniform(0, 3, (2, 50))
    assert metrics.geodesic_stress(a, b) == pytest.approx(loops(a, b), rel=1e-12)
    # A tensor holds float32, 6e-8 of a distance.
    assert metrics.geodesic_stress(to_tensor(a), to_tensor(b)) == pytest.approx(loops(a, b), rel=1e-6)


def test_closed_forms(rng):
    a = rng.uniform(0, 3, 50)
    assert metrics.geodesic_stress(a, a) == 0
    assert metrics.geodesic_stress(a, 7 * a) < 1e-15
    variance = a.var() / a.mean() ** 2
    assert metrics.geodesic_stress(a, np.ones(50)) == pytest.approx(math.sqrt(variance / (1 + variance)))
    assert metrics.geodesic_stress(a, np.zeros(50)) == 1
    assert metrics.geodesic_stress(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == pytest.approx(math.sqrt(2))


@pytest.mark.parametrize(("dim", "expected"), [(1, math.sqrt(1 / 2)), (2, 0.49), (3, 0.39)])
def test_unrelated_distances_of_uniform_angles_give_what_is_stated(rng, dim, expected):
    a, b = np.linalg.norm(rng.uniform(-math.pi, math.pi, (2, 100_000, dim)), axis=-1)
    # The values are rounded to two digits; the error of the means is below 0.002.
    assert metrics.geodesic_stress(a, b) == pytest.approx(expected, abs=0.007)


def test_bad_distances_are_named():
    for a, b, error, message in [
        (np.ones(3), np.ones(4), ValueError, "as many distances, at least one. Received: 3 and 4."),
        (np.ones(0), np.ones(0), ValueError, "as many distances, at least one. Received: 0 and 0."),
        (np.zeros(3), np.ones(3), ValueError, "those of `a` not all 0. Received: min(a)=0.0"),
        (np.ones(3), -np.ones(3), ValueError, "must not be negative"),
        (np.ones((3, 1)), np.ones(3), ValueError, "`a` must have shape (num_pairs,). Received: a.shape=(3, 1)"),
        (np.ones(2), np.array([1.0, np.nan]), ValueError, "`b` must hold finite numbers only. Received: nan"),
        (np.ones(2, int), np.ones(2), TypeError, "`a` must be a tensor of floating-point numbers"),
    ]:
        with pytest.raises(error, match="geodesic_stress: .*" + re.escape(message)):
            metrics.geodesic_stress(a, b)
