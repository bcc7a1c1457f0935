"""A normalizing flow on the torus: a density that is also a map onto the uniform torus."""

import math
from collections.abc import Callable
from typing import Any, ClassVar

import keras
import numpy as np

from torusae._internal import checks
from torusae._internal.arrays import angle_rows, blocks, cartesian, polar, wrap
from torusae.densities import _triangular
from torusae.densities._flow_training import Training
from torusae.densities.base import TorusDensity, directions, optional_seed

_LEAST_POINTS = 10


@keras.saving.register_keras_serializable(package="torusae")
class TorusFlow(TorusDensity):
    """A density on a torus that is also a map onto the uniform torus: a triangular flow of circular splines.

    Each angle goes through its distribution function given the angles before it, a monotone spline of the circle. A
    small network for each circle reads the cosines and sines of the angles before it and returns the spline.
    `to_uniform` makes the fitted angles uniform and independent, `from_uniform` is its inverse. Both are
    diffeomorphisms of the torus and keep winding numbers.

    Formula: `log p(Φ) = Σ_c log f_c'(Φ_c | Φ_1 … Φ_{c-1}) - dim log 2π`. Adam maximises it over nine tenths of the
    points. The other tenth, at least 500 points where these are at most a quarter, is held out: the weights with the
    largest likelihood of it are kept, and the fit goes back to them, with a smaller rate, when it has overfitted. They
    are kept after Ctrl-C too.

    A sample has the radii of the fitted point whose angles are nearest. The fit runs on the backend in float32; all
    other methods are NumPy in float64.

    Args:
        num_bins: Integer, at least 2, bins of each spline. Defaults to `12`.
        units: Integer, units of both hidden layers. Defaults to `None`: 64 up to four circles and 128 for more.
        epochs: Integer, the largest number of passes over the points, each of at least 50 steps. Defaults to `20`.
        max_points: Integer, number of points that are kept for their radii, a random choice. Defaults to `20000`.
        seed: Integer; one seed gives one fit on one backend. Defaults to `None`, a random seed.
        verbose: Boolean, whether `fit` shows its progress. Defaults to `False`.

    Example:

    >>> import numpy as np, torusae
    >>> angles = np.random.default_rng(0).vonmises(1, 2, (2000, 1))
    >>> points = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    >>> uniform = torusae.densities.TorusFlow(epochs=5, seed=0).fit(points).to_uniform(angles)
    >>> bool(torusae.metrics.kuiper_statistic(uniform) < 0.06 < torusae.metrics.kuiper_statistic(angles))
    True

    Reference:
        Rezende et al. (2020), Normalizing flows on tori and spheres, arXiv:2002.02428; Durkan et al. (2019),
        arXiv:1906.04032, for the splines. The turn of each map, `_splines.turn`, is a torusae choice.
    """

    _state: ClassVar = {**_triangular.WEIGHTS, "points": ("num", "2 * dim")}
    _dtype = "float32"
    _block = 1 << 11

    held_out: float | None = None
    """The mean log density of the points that `fit` held out, nats. `None` before `fit` and after loading."""

    def __init__(
        self,
        num_bins: int = 12,
        units: int | None = None,
        epochs: int = 20,
        max_points: int = 20000,
        seed: int | None = None,
        verbose: bool = False,
    ):
        owner = "TorusFlow"
        self.num_bins = checks.positive_int(owner, "num_bins", num_bins, least=2)
        self.units = checks.optional_int(owner, "units", units)
        self.epochs = checks.positive_int(owner, "epochs", epochs)
        self.max_points = checks.positive_int(owner, "max_points", max_points)
        self.seed = optional_seed(owner, seed)
        self.verbose = bool(verbose)

    def to_uniform(self, angles: Any) -> np.ndarray:
        """Maps angles `(num, dim)`, radians, onto the uniform torus: float64 `(num, dim)`, radians, `[-π, π)`.

        Angles that follow the density become independent and uniform.
        """
        return self._mapped("to_uniform", angles, _triangular.forward)

    def from_uniform(self, angles: Any) -> np.ndarray:
        """The inverse of `to_uniform`, in closed form. Uniform angles become samples of the density."""
        return self._mapped("from_uniform", angles, _triangular.inverse)

    def to_uniform_points(self, points: Any) -> np.ndarray:
        """Points `(num, 2 * dim)` with their angles mapped by `to_uniform`, float32. Radii stay."""
        radii, angles = polar(self._checked("to_uniform_points", points))
        return cartesian(radii, self.to_uniform(angles)).astype("float32")

    def from_uniform_points(self, points: Any) -> np.ndarray:
        """Points `(num, 2 * dim)` with their angles mapped by `from_uniform`, float32. Radii stay."""
        radii, angles = polar(self._checked("from_uniform_points", points))
        return cartesian(radii, self.from_uniform(angles)).astype("float32")

    def _summary(self):
        return f"dim {self.dim}"

    def _least_points(self):
        return _LEAST_POINTS, "Encode more samples."

    def _fit(self, points):
        training = Training(
            _turns(polar(points)[1]), self.num_bins, self.units, checks.generator("TorusFlow.fit", self.seed)
        )
        try:
            training.run(self.epochs, self.verbose)
        except KeyboardInterrupt:
            if training.epoch >= 0:  # else an earlier fit stays
                self._keep(training, points)
                self._prepare()
                self.is_fitted = True
            raise
        self._keep(training, points)

    def _keep(self, training: Training, points: np.ndarray) -> None:
        """Sets what a training found."""
        self.held_out = training.score
        for name, array in zip(_triangular.WEIGHTS, training.weights, strict=True):
            setattr(self, name, array)
        super()._fit(points)

    def _prepare(self):
        self.dim = len(self.kernel_1)
        self._weights = [getattr(self, name) for name in _triangular.WEIGHTS]

    def _log_density(self, points):
        return _triangular.log_density(_turns(polar(points)[1]), self._weights)

    def _sample(self, num_samples, rng):
        angles = self.from_uniform(rng.uniform(-np.pi, np.pi, (num_samples, self.dim)))
        rows, kept = cartesian(np.ones(1), angles), directions(self.points).T
        nearest = np.concatenate([np.argmax(rows[block] @ kept, axis=1) for block in blocks(num_samples, self._block)])
        return cartesian(polar(self.points)[0][nearest], angles)

    def _mapped(self, method: str, angles: Any, function: Callable[..., np.ndarray]) -> np.ndarray:
        """The images of angles, checked, under a function of turns and weights."""
        self._check_fitted(method)
        owner = f"TorusFlow.{method}"
        angles = angle_rows(owner, angles)
        if angles.shape[1] != self.dim:
            raise ValueError(
                f"{owner}: `angles` must have shape (num, {self.dim}). Received: angles.shape={angles.shape}. "
                f"Give what TorusAutoencoder.angles(x) returns."
            )
        turns = _turns(angles)
        images = [function(turns[rows], self._weights) for rows in blocks(len(turns), self._block)]
        return wrap(2 * math.pi * (np.concatenate(images) - 0.5))


def _turns(angles: np.ndarray) -> np.ndarray:
    return wrap(angles) / (2 * math.pi) + 0.5
