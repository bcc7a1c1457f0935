"""A triangular map of the torus onto itself: each angle by a circular spline that depends on the angles before it.

Positions are in turns, `[0, 1)`, one column for each circle. A network for each circle reads cosines and sines of the
positions before it and returns the parameters of its spline. The functions take NumPy arrays and tensors.
"""

import itertools
import math
from typing import Any

import numpy as np
from keras import ops

from torusae._internal.checks import Tensor
from torusae.densities import _splines

WEIGHTS: dict[str, tuple[str | int, ...]] = {
    "kernel_1": ("dim", "2 * dim", "units"),
    "bias_1": ("dim", 1, "units"),
    "kernel_2": ("dim", "units", "units"),
    "bias_2": ("dim", 1, "units"),
    "kernel_3": ("dim", "units", "3 * num_bins"),
    "bias_3": ("dim", 1, "3 * num_bins"),
}
"""The weights by name, with their axes."""


def identity(dim: int, units: int, num_bins: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Weights of the identity: the last layer returns 0."""
    sizes = [2 * dim, units, units, 3 * num_bins]
    weights = []
    for inputs, outputs in itertools.pairwise(sizes):
        weights += [rng.normal(0, math.sqrt(2 / inputs), (dim, inputs, outputs)), np.zeros((dim, 1, outputs))]
    weights[-2] *= 0
    return weights


def forward(turns: np.ndarray, weights: list[np.ndarray]) -> np.ndarray:
    """The images of positions `(num, dim)`, which are read modulo 1."""
    of = _splines.spline(_parameters(turns, weights))
    return np.transpose(_splines.forward(np.transpose(turns), of)[0] + _splines.turn(of))


def inverse(turns: np.ndarray, weights: list[np.ndarray]) -> np.ndarray:
    """The positions whose images are `turns`, circle by circle in closed form."""
    turns = turns.copy()
    for circle in range(turns.shape[1]):
        of = _splines.spline(_parameters(turns, weights, slice(circle, circle + 1)))
        turns[:, circle] = _splines.inverse((turns[:, circle] - _splines.turn(of)) % 1.0, of)[0]
    return turns


def log_density(turns: Tensor, weights: list[Tensor]) -> Tensor:
    """The log density per radian of what the map makes uniform, at positions `(num, dim)`: `(num,)`."""
    xp = _splines.library(turns)
    of = _splines.spline(_parameters(turns, weights))
    return xp.sum(_splines.forward(xp.transpose(turns), of)[1], axis=0) - turns.shape[1] * math.log(2 * math.pi)


def _parameters(turns: Tensor, weights: list[Tensor], circles: slice = slice(None)) -> Tensor:
    """The parameters of the splines of some circles, `(circles, num, 3 * num_bins)`."""
    xp = _splines.library(turns)
    kernel_1, bias_1, kernel_2, bias_2, kernel_3, bias_3 = (array[circles] for array in weights)
    phases = 2 * math.pi * turns
    features = xp.concatenate([xp.cos(phases), xp.sin(phases)], axis=-1)
    before = np.tile(np.tril(np.ones((turns.shape[1],) * 2, "float32"), -1), 2)[circles, :, None]
    kernel_1 = kernel_1 * (before if xp is np else ops.convert_to_tensor(before))
    hidden = _swish(xp, xp.matmul(features, kernel_1) + bias_1)
    hidden = hidden + _swish(xp, xp.matmul(hidden, kernel_2) + bias_2)
    return xp.matmul(hidden, kernel_3) + bias_3


def _swish(xp: Any, values: Tensor) -> Tensor:
    # A smooth activation, so that the map is smooth in all angles. The hyperbolic tangent does not overflow.
    return values * (0.5 + 0.5 * xp.tanh(values / 2))
