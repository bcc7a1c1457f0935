"""Densities along the data: the formula with loops, and SciPy's values."""

import numpy as np
import pytest
from scipy import special, stats
from shared.torus_points import angles_of, points_of, ring

from torusae import densities


def neighbor_covariances(points, k, scale):
    """The covariance of the noise of each point's angles and of all its coordinates, from the formula, with loops."""
    angles, radii = angles_of(points), np.hypot(*np.split(points, 2, axis=1))
    dim = angles.shape[1]
    of_angles, of_both = [], []
    for i in range(len(points)):
        nearest = sorted((j for j in range(len(points)) if j != i), key=lambda j: np.sum((points[j] - points[i]) ** 2))[
            :k
        ]
        steps = [np.concatenate([np.angle(np.exp(1j * (angles[j] - angles[i]))), radii[j] - radii[i]]) for j in nearest]
        both = scale**2 / k * sum(np.outer(step, step) for step in steps)
        both[:dim, :dim] += scale**2 / k * sum(step[:dim] @ step[:dim] for step in steps) / (10 * dim) * np.eye(dim)
        of_angles.append(both[:dim, :dim])
        of_both.append(both)
    return of_angles, of_both


def test_neighbor_density_is_the_mean_of_normal_distributions():
    points = ring(2, 40).astype("float32").astype("float64")
    density = densities.TorusNeighborDensity(num_neighbors=3, scale=0.7).fit(points)
    tested = np.random.default_rng(1).uniform(-np.pi, np.pi, (10, 2))
    covariances, _ = neighbor_covariances(points, 3, 0.7)
    for point in tested:
        logs = [
            stats.multivariate_normal.logpdf(np.angle(np.exp(1j * (point - centre))), cov=covariance)
            for centre, covariance in zip(angles_of(points), covariances, strict=True)
        ]
        expected = special.logsumexp(logs) - np.log(40)
        assert density.log_density(points_of(point[None]))[0] == pytest.approx(expected, rel=1e-6)


def test_samples_of_a_neighbor_density_move_along_the_data():
    points = ring(2, 12, seed=1)
    points[:, :2] *= 1 + np.linspace(0, 3, 12)[:, None]  # radii far apart: no sample comes near another point
    points[:, 2:] *= 1 + np.linspace(0, 3, 12)[:, None]
    samples = densities.TorusNeighborDensity(num_neighbors=2, scale=0.05).fit(points).sample(60000, seed=0)
    _, covariances = neighbor_covariances(points, 2, 0.05)
    # All points are as likely: the mean over them of the noise's covariance, by the nearest point of each sample.
    nearest = ((samples[:, None] - points) ** 2).sum(axis=2).argmin(axis=1)
    arcs = np.angle(np.exp(1j * (angles_of(samples) - angles_of(points)[nearest])))
    rises = np.hypot(*np.split(samples, 2, axis=1)) - np.hypot(*np.split(points, 2, axis=1))[nearest]
    found = np.cov(np.concatenate([arcs, rises], axis=1).T)
    np.testing.assert_allclose(found, np.mean(covariances, axis=0), atol=0.03 * np.mean(covariances, axis=0).max())


def test_neighbor_density_names_too_few_codes():
    with pytest.raises(ValueError, match=r"at least 6 points\. Received: 5\. Lower num_neighbors"):
        densities.TorusNeighborDensity().fit(ring(2, 5))
