"""Points of a torus that the tests of densities share."""

import numpy as np


def points_of(angles, radii=1.0):
    return np.concatenate([radii * np.cos(angles), radii * np.sin(angles)], axis=1)


def angles_of(points):
    x, y = np.split(np.asarray(points, "float64"), 2, axis=1)
    return np.arctan2(y, x)


def wrapped(angles):
    return (angles + np.pi) % (2 * np.pi) - np.pi


def known(num=20000, components=4, dim=3):
    """A mixture with centres far apart, and points drawn from it."""
    rng = np.random.default_rng(3)
    truth = {
        "weights": np.arange(1, components + 1) / np.arange(1, components + 1).sum(),
        "means": wrapped(np.linspace(0, 2 * np.pi, components, endpoint=False)[:, None] + rng.normal(0, 0.2, dim)),
        "concentrations": rng.uniform(8, 40, (components, dim)),
        "radius_means": rng.uniform(0.8, 1.2, (components, dim)),
    }
    chosen = rng.choice(components, num, p=truth["weights"])
    angles = rng.vonmises(truth["means"][chosen], truth["concentrations"][chosen])
    return truth, points_of(angles, rng.normal(truth["radius_means"][chosen], 0.05))


def ring(dim, num=300, seed=0):
    """Codes of several arcs, one across the seam: what one component can't fit."""
    rng = np.random.default_rng(seed)
    centres = rng.choice([-3.1, -1.0, 1.2], (num, dim))
    return points_of(rng.vonmises(centres, 30.0), rng.normal(1, 0.1, (num, dim)))
