"""A kernel density on the torus."""

import math
from typing import ClassVar

import keras
import numpy as np

from torusae._internal import checks
from torusae.densities._bessel import log_i0
from torusae.densities.base import TorusDensity, cartesian, directions, log_sum_exp, optional_seed, polar

_BANDWIDTHS = np.geomspace(0.02, 2.0, 30)
_POINTS_FOR_CHOICE = 2000  # enough to choose one number
_BLOCK = 500  # rows at a time against all kept points: bounds the memory


@keras.saving.register_keras_serializable(package="torusae")
class TorusKernelDensity(TorusDensity):
    """A kernel density on a torus: a sample is a fitted point whose angles move by von Mises noise.

    Formula: `p(Φ) = 1/n Σ_i Π_c exp(κ cos(Φ_c - Φ_ic)) / (2π I0(κ))` with `κ = 1 / bandwidth²`. A sample keeps the
    radii of the point that it starts at.

    Args:
        bandwidth: Float, scale of the noise in radians. `None` chooses, among 30 values from 0.02 to 2, the one with
            the largest leave-one-out likelihood. Defaults to `None`.
        max_points: Integer, at least 2. Of more points a random choice of this size is kept. Defaults to `5000`.
        seed: Integer, seed of that choice. Defaults to `None`, a random seed.

    Example:

    >>> import torusae
    >>> density = torusae.densities.TorusKernelDensity(0.3).fit(torusae.Torus(2).sample(100, seed=0))
    >>> density.sample(5, seed=0).shape
    (5, 4)

    Reference:
        Hall, Watson & Cabrera (1987), Kernel density estimation with spherical data.
    """

    _arguments = ("bandwidth", "max_points", "seed")
    _state: ClassVar = {"points": "float32", "kappa": "float64"}

    kappa: float  # the concentration of the noise, 1 / bandwidth²

    def __init__(self, bandwidth: float | None = None, max_points: int = 5000, seed: int | None = None):
        owner = "TorusKernelDensity"
        self.bandwidth = bandwidth if bandwidth is None else checks.positive_float(owner, "bandwidth", bandwidth)
        self.max_points = checks.positive_int(owner, "max_points", max_points, least=2)
        self.seed = optional_seed(owner, seed)

    def _summary(self):
        return f"{len(self.points)} points, dim {self.dim}, bandwidth {1 / math.sqrt(self.kappa):.3g}"

    def _least_points(self):
        return 2, "The bandwidth needs a neighbour."

    def _fit(self, points):
        super()._fit(points)
        self.kappa = self._choose() if self.bandwidth is None else self.bandwidth**-2

    def _prepare(self):
        self.dim = self.points.shape[1] // 2
        self.kappa = float(self.kappa)
        self._directions = directions(self.points)

    def _choose(self) -> float:
        """The κ with the largest mean leave-one-out log density."""
        kappas = _BANDWIDTHS**-2.0
        rows = directions(self.points)
        step = max(1, len(rows) // _POINTS_FOR_CHOICE)
        judged = np.arange(0, len(rows), step)
        totals = np.zeros(len(kappas))
        for index in np.array_split(judged, max(1, len(rows) // step // 200)):
            cosines = rows[index] @ rows.T
            cosines[np.arange(len(index)), index] = -np.inf
            for each, kappa in enumerate(kappas):
                totals[each] += log_sum_exp(kappa * cosines).sum() / len(judged)
        return float(kappas[np.argmax(totals - rows.shape[1] // 2 * log_i0(kappas))])

    def _log_density(self, points):
        constant = math.log(len(self.points)) + self.dim * (math.log(2 * math.pi) + log_i0(np.array(self.kappa)))
        blocks = np.array_split(directions(points), max(1, len(points) // _BLOCK))
        return np.concatenate([log_sum_exp(self.kappa * (block @ self._directions.T)) for block in blocks]) - constant

    def _sample(self, num_samples, rng):
        radii, angles = polar(self.points[rng.integers(len(self.points), size=num_samples)])
        return cartesian(radii, rng.vonmises(angles, self.kappa))
