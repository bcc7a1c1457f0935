"""A kernel density on the torus whose noise follows the data."""

import math
from typing import ClassVar

import keras
import numpy as np

from torusae._internal import checks
from torusae._internal.arrays import blocks, cartesian, polar, wrap
from torusae.densities.base import TorusDensity, optional_seed

_ACROSS = 0.1  # variance across the data, in parts of the mean variance along all axes
_LEAST_DEVIATION = 1e-3  # radians, across the data: keeps covariances invertible
_BLOCK = 500  # rows at a time against all kept points: bounds the memory


@keras.saving.register_keras_serializable(package="torusae")
class TorusNeighborDensity(TorusDensity):
    """A kernel density on a torus whose noise lies along the data: along the steps to the nearest neighbours.

    From about eight circles on, points of data lie near surfaces of fewer dimensions. Noise of equal width in all
    directions leaves these surfaces. This noise stays close to them. With `scale < 1`, samples lie closer to training
    points than held-out points do.

    Formula: `p(Φ) = 1/n Σ_i N(Φ - Φ_i; C_i)` along the shortest arcs, with
    `C_i = scale²/k (Σ_j δ_ij δ_ijᵀ + tr_i / (10 dim) I)`. The `δ_ij` are the arcs to the `k` nearest neighbours of
    point `i`, and `tr_i = Σ_j |δ_ij|²`. The radii of a sample move by the same shares of the steps.

    Args:
        num_neighbors: Integer, `k`. Defaults to `5`.
        scale: Float, positive, the noise in parts of the distances to the neighbours. Defaults to `0.4`.
        max_points: Integer, above `num_neighbors`. Of more points a random choice is kept. Defaults to `20000`.
        seed: Integer, seed of that choice. Defaults to `None`, a random seed.

    Example:

    >>> import torusae
    >>> density = torusae.densities.TorusNeighborDensity().fit(torusae.Torus(2).sample(100, seed=0))
    >>> density.sample(5, seed=0).shape
    (5, 4)

    Reference:
        Vincent & Bengio (2003), Manifold Parzen Windows. The variance across the data, a tenth, is a torusae choice.
    """

    _arguments = ("num_neighbors", "scale", "max_points", "seed")
    _state: ClassVar = {"points": "float32"}

    def __init__(self, num_neighbors: int = 5, scale: float = 0.4, max_points: int = 20000, seed: int | None = None):
        owner = "TorusNeighborDensity"
        self.num_neighbors = checks.positive_int(owner, "num_neighbors", num_neighbors)
        self.scale = checks.positive_float(owner, "scale", scale)
        self.max_points = checks.positive_int(owner, "max_points", max_points, least=self.num_neighbors + 1)
        self.seed = optional_seed(owner, seed)

    def _summary(self):
        return f"{len(self.points)} points, dim {self.dim}"

    def _least_points(self):
        return self.num_neighbors + 1, "Lower num_neighbors."

    def _prepare(self):
        self.dim = self.points.shape[1] // 2
        self._radii, self._angles = polar(self.points)
        self._factors = None  # of every covariance, computed with the first log density

    def _steps(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The steps from points to their neighbours: arcs and differences of radii, each `(num, k, dim)`."""
        squares = (self.points**2).sum(axis=1)
        k = self.num_neighbors
        neighbors = np.empty((len(chosen), k), dtype="int64")
        for block in blocks(len(chosen), _BLOCK):
            rows = chosen[block]
            distances = squares - 2 * self.points[rows] @ self.points.T
            distances[np.arange(len(rows)), rows] = np.inf
            neighbors[block] = np.argpartition(distances, k - 1)[:, :k]
        arcs = wrap(self._angles[neighbors] - self._angles[chosen][:, None])
        return arcs, self._radii[neighbors] - self._radii[chosen][:, None]

    def _spread(self, arcs: np.ndarray) -> np.ndarray:
        """The variance of the noise across the data, `(num,)`."""
        return np.maximum(_ACROSS * self.scale**2 * (arcs**2).mean(axis=(1, 2)), _LEAST_DEVIATION**2)

    def _log_density(self, points):
        from scipy import special

        if self._factors is None:
            arcs = self._steps(np.arange(len(self.points)))[0]
            covariances = self.scale**2 / self.num_neighbors * np.einsum("nka,nkb->nab", arcs, arcs)
            covariances += self._spread(arcs)[:, None, None] * np.eye(self.dim)
            factors = np.linalg.inv(np.linalg.cholesky(covariances))
            constants = np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)
            self._factors = factors, constants - self.dim * math.log(2 * math.pi) / 2 - math.log(len(self.points))
        factors, constants = self._factors
        logs = []
        for angles in polar(points)[1]:
            arcs = wrap(angles - self._angles)
            logs.append(constants - (np.einsum("nab,nb->na", factors, arcs) ** 2).sum(axis=1) / 2)
        return special.logsumexp(np.stack(logs), axis=1)

    def _sample(self, num_samples, rng):
        chosen = rng.integers(len(self.points), size=num_samples)
        arcs, rises = self._steps(chosen)
        shares = rng.normal(size=(num_samples, self.num_neighbors, 1)) * self.scale / math.sqrt(self.num_neighbors)
        across = rng.normal(size=(num_samples, arcs.shape[2])) * np.sqrt(self._spread(arcs))[:, None]
        angles = self._angles[chosen] + (shares * arcs).sum(axis=1) + across
        return cartesian(np.abs(self._radii[chosen] + (shares * rises).sum(axis=1)), angles)
