"""Distances between the points of a batch, and the loss of Duda's Gaussian autoencoder on them."""

import math
from functools import lru_cache

import keras
import numpy as np
from keras import ops

from torusae._internal import checks
from torusae._internal.checks import Tensor
from torusae._internal.sorting import sort_columns
from torusae._internal.tensors import positions
from torusae.losses.base import LatentLoss

# The table of chi-square quantiles by the normal score of their probability; 6 is a probability of 1e-9.
_TABLE_LIMIT = 6.0
_TABLE_STEP = 1 / 64


def squared_norms(values: Tensor) -> Tensor:
    """`|x_s|²`, `(batch,)`."""
    return ops.sum(ops.square(values), axis=-1)


def pair_distances(values: Tensor) -> Tensor:
    """`|x_s - x_u|²` of all pairs, `(batch, batch)`, exactly 0 on the diagonal."""
    # Centred: far from the origin, |a|² + |b|² - 2ab cancels the digits of the difference.
    centred = values - ops.stop_gradient(ops.mean(values, axis=0))
    norms = squared_norms(centred)
    # Without the (batch, batch, dim) differences, which would not fit in memory for large batches.
    distances = ops.relu(norms[:, None] + norms[None, :] - 2.0 * (centred @ ops.transpose(centred)))
    place = positions(values)
    return ops.where(place[:, None] == place[None, :], ops.zeros_like(distances), distances)


@lru_cache(maxsize=16)
def chi_square_quantiles(count: int, dim: int) -> np.ndarray:
    """Quantiles of chi-square at the middles of `count` equal shares, float64 `(count,)`."""
    from scipy import special

    quantiles = 2 * special.gammaincinv(dim / 2, (np.arange(count) + 0.5) / count)
    quantiles.setflags(write=False)  # one array serves every caller
    return quantiles


@lru_cache(maxsize=64)
def _chi_square_table(dim: int) -> np.ndarray:
    """Quantiles of chi-square and their slopes by the normal score `z` of the probability, `(2, number of scores)`."""
    from scipy import special

    z = np.arange(-_TABLE_LIMIT, _TABLE_LIMIT + _TABLE_STEP, _TABLE_STEP)
    a, tail = dim / 2, special.ndtr(-abs(z))  # the smaller one of the two: exact to rounding
    x = 2 * np.where(z < 0, special.gammaincinv(a, tail), special.gammainccinv(a, tail))
    log_density = (a - 1) * np.log(x) - x / 2 - a * math.log(2) - math.lgamma(a)
    return np.stack([x, np.exp(-(z**2) / 2 - log_density) / math.sqrt(2 * math.pi)])


def _traced_chi_square_quantiles(probabilities: Tensor, dim: int) -> Tensor:
    """`chi_square_quantiles` inside a graph that does not know its batch size, to 1e-9 of the largest.

    Cubics through the values and slopes at both ends of a step of the table.
    """
    z = math.sqrt(2.0) * ops.erfinv(2.0 * probabilities - 1.0)
    steps = (ops.clip(z, -_TABLE_LIMIT, _TABLE_LIMIT) + _TABLE_LIMIT) / _TABLE_STEP
    x, slopes = (ops.convert_to_tensor(row, dtype=steps.dtype) for row in _chi_square_table(dim))
    place = ops.minimum(ops.cast(steps, "int32"), x.shape[0] - 2)
    offset = steps - ops.cast(place, steps.dtype)
    x0, x1, d0, d1 = (ops.take(row, at) for row in (x, slopes * _TABLE_STEP) for at in (place, place + 1))
    rise = x1 - x0
    return x0 + offset * (d0 + offset * (3 * rise - 2 * d0 - d1 + offset * (d0 + d1 - 2 * rise)))


def gaussian_distance_loss(values: Tensor) -> Tensor:
    """Duda's Gaussian autoencoder: squared norms and squared distances of pairs, of a batch `(batch, dim)`.

    For points of N(0, I), `|z|²` and `|z - z'|² / 2` are chi-square with `dim` degrees of freedom.

    Formula, with the squared norms `n` of a batch of size `S` and the halved squared distances `h` of its
    `P = S (S - 1) / 2` pairs, both sorted, and quantiles `q` of their counts:
    `L = 1 / (dim (dim + 2)) [ 1 / S Σ_s (n_s - q_s)² + 1 / P Σ_p (h_p - q_p)² ]`. The divisor is the mean square of
    chi-square: each half is near 1 with all points in one place.

    Notes:
        Cost `O(batch² (dim + log batch))`.

    Example:

    >>> import keras, torusae
    >>> round(float(torusae.losses.gaussian_distance_loss(keras.ops.zeros((8, 2)))), 3)
    1.747

    Reference:
        Duda (2018), arXiv:1811.04751. The squares and the divisor are torusae choices.
    """
    values = checks.float_tensor("gaussian_distance_loss", "values", values, 2, "(batch, dim)")
    dim, num = int(values.shape[1]), values.shape[0]
    norms = sort_columns(squared_norms(values)[:, None])[0]
    halves = 0.5 * ops.reshape(pair_distances(values), (-1,))
    if isinstance(num, int):
        quantiles = ops.convert_to_tensor(chi_square_quantiles(num, dim), dtype=values.dtype)
        loss = ops.mean(ops.square(norms - quantiles))
        if num > 1:
            rows, columns = np.triu_indices(num, 1)
            halves = sort_columns(ops.take(halves, rows * num + columns)[:, None])[0]
            quantiles = ops.convert_to_tensor(chi_square_quantiles(len(rows), dim), dtype=values.dtype)
            loss = loss + ops.mean(ops.square(halves - quantiles))
        return loss / (dim * (dim + 2))
    place = positions(values)
    size = ops.sum(ops.ones_like(place))
    quantiles = ops.cast(_traced_chi_square_quantiles((place + 0.5) / size, dim), values.dtype)
    loss = ops.mean(ops.square(norms - quantiles))
    # The diagonal sorts to the front and has no weight; behind it each pair occurs twice.
    diagonal = ops.reshape(place[:, None] == place[None, :], (-1,))
    halves = sort_columns(ops.where(diagonal, -ops.ones_like(halves), halves)[:, None])[0]
    rank = positions(halves[:, None]) - size
    num_pairs = ops.maximum(size * (size - 1.0) / 2.0, 1.0)
    probabilities = ops.where(rank < 0, ops.full_like(rank, 0.5), (ops.floor(rank / 2.0) + 0.5) / num_pairs)
    quantiles = ops.cast(_traced_chi_square_quantiles(probabilities, dim), values.dtype)
    squares = ops.where(rank < 0, ops.zeros_like(halves), ops.square(halves - quantiles))
    return (loss + ops.sum(squares) / ops.cast(2.0 * num_pairs, values.dtype)) / (dim * (dim + 2))


@keras.saving.register_keras_serializable(package="torusae")
class GaussianDistanceLoss(LatentLoss):
    """`gaussian_distance_loss` as an object. It reads points."""

    reads = "point"
    default_weight = 10.0

    def __init__(self, name: str = "radius_distance"):
        super().__init__(name)

    def call(self, values):
        return gaussian_distance_loss(values)
