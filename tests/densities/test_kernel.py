"""Kernel densities: SciPy's values and the choice of the bandwidth."""

import numpy as np
from scipy import special, stats
from shared.torus_points import angles_of, known, points_of, ring

from torusae import densities


def test_kernel_density_is_the_mean_of_kernels():
    points = ring(2, 40)
    density = densities.TorusKernelDensity(bandwidth=0.25).fit(points)
    tested = np.random.default_rng(1).uniform(-np.pi, np.pi, (10, 2))
    kernels = stats.vonmises.logpdf(tested[:, None] - angles_of(points)[None], 16.0).sum(axis=2)
    expected = special.logsumexp(kernels, axis=1) - np.log(40)
    # The density keeps points in float32.
    np.testing.assert_allclose(density.log_density(points_of(tested)), expected, atol=1e-5)


def test_bandwidth_is_chosen_by_likelihood():
    _, points = known(1000, dim=2)
    chosen = densities.TorusKernelDensity().fit(points)
    _, others = known(5000, dim=2)
    best = chosen.log_likelihood(others[2000:])
    for factor in (0.5, 2.0):
        bandwidth = factor / np.sqrt(chosen.kappa)
        assert densities.TorusKernelDensity(bandwidth).fit(points).log_likelihood(others[2000:]) < best
    assert best > -2 * np.log(2 * np.pi)


def test_kernel_density_keeps_some_codes():
    points = ring(1, 500)
    density = densities.TorusKernelDensity(max_points=100, seed=0).fit(points)
    assert density.points.shape == (100, 2)
    assert {tuple(row) for row in density.points} <= {tuple(row) for row in points.astype("float32").astype("float64")}
