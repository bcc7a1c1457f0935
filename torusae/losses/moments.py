"""Trigonometric moments of a batch, `mean e^{ik·φ}` for integer vectors k: the weighted sum of their squares.

Weights depend on the entries' sizes alone, so each k is taken together with all vectors that differ from it in signs.
For `m` entries `n_1..n_m` that are not zero, the addition theorems give

    Σ_signs |mean e^{i (±n_1 φ_1 ... ± n_m φ_m)}|² = 2^m Σ_f (mean f_1(n_1 φ_1) ... f_m(n_m φ_m))²

with each `f_j` cosine or sine. Means of products of waves are products of matrices: far less work than a cosine for
each point and each k.
"""

import math
from functools import lru_cache, reduce
from itertools import accumulate
from typing import Any

import keras
import numpy as np
from keras import ops

from torusae._internal.checks import Tensor
from torusae._internal.tensors import batch_size, columns, constant, direct_ops, native_ops

MOST_VECTORS = 1 << 16


def weighted_moments(angles: Tensor, max_frequency: int, interactions: int, decay: float) -> Tensor:
    """`Σ_k w_k |mean e^{ik·φ}|² / Σ_k w_k` with `w_k = Π_j max(1, |k_j|)^-decay`, over the k of `num_vectors`."""
    dim, xp, dtype = angles.shape[1], direct_ops(angles), keras.backend.standardize_dtype(angles.dtype)
    waves = _waves(xp, angles, constant(_frequencies(max_frequency, dtype), angles))
    if interactions == dim:
        *others, last = ops.unstack(waves, axis=0)
        products = reduce(_products, others) if others else waves[0, :1]
        weights = _weights_of_all(dim, max_frequency, decay, dtype)
    else:
        waves = waves[:, 1:]
        products = _products_of_few(ops.unstack(waves, axis=0), interactions - 1)
        last = xp.reshape(waves, (2 * max_frequency * dim, -1))
        weights = _weights_of_few(dim, max_frequency, interactions, decay, dtype)
    sums = products @ xp.swapaxes(last, 0, 1)
    return xp.sum(constant(weights, angles) * sums * sums) / batch_size(angles) ** 2


def moments_gradient(angles: Tensor, max_frequency: int, decay: float) -> Tensor:
    """The gradient of `weighted_moments` with `interactions` equal to `dim`, `(batch, dim)`."""
    dim, xp, dtype = angles.shape[1], native_ops, keras.backend.standardize_dtype(angles.dtype)
    frequencies = constant(_frequencies(max_frequency, dtype), angles)
    waves = _waves(xp, angles, frequencies)
    *others, last = ops.unstack(waves, axis=0)
    products = [*accumulate(others, _products)] or [waves[0, :1]]
    weighted = constant(_weights_of_all(dim, max_frequency, decay, dtype), angles) * (
        products[-1] @ xp.swapaxes(last, 0, 1)
    )
    # The derivatives by all products, and out of these by the waves of each circle, the last circle first.
    by_products, by_waves = weighted @ last, [xp.swapaxes(weighted, 0, 1) @ products[-1]]
    for before, own in zip(products[-2::-1], others[:0:-1], strict=True):
        by_products = xp.reshape(by_products, (before.shape[0], own.shape[0], -1))
        by_waves.append(xp.sum(by_products * before[:, None], 0))
        by_products = xp.sum(by_products * own, 1)
    by_waves = xp.stack([by_products, *by_waves[::-1]][-dim:])
    cos, sin = slice(1, max_frequency + 1), slice(max_frequency + 1, None)
    by_phases = by_waves[:, sin] * waves[:, cos] - by_waves[:, cos] * waves[:, sin]
    by_angles = xp.sum(by_phases * frequencies, 1)
    return xp.swapaxes(by_angles, 0, 1) * (2 / batch_size(angles) ** 2)


def _waves(xp: Any, angles: Tensor, frequencies: Tensor) -> Tensor:
    """1, the cosines and the sines of `n φ` for each frequency `n`, `(dim, 2 * frequencies + 1, batch)`."""
    phases = columns(angles)[:, None] * frequencies
    return xp.concatenate([xp.ones_like(phases[:, :1]), xp.cos(phases), xp.sin(phases)], axis=1)


def _products(a: Tensor, b: Tensor) -> Tensor:
    """Each row of `a` times each row of `b`."""
    return direct_ops(a).reshape(a[:, None] * b, (a.shape[0] * b.shape[0], -1))


def _products_of_few(waves: list[Tensor], most: int) -> Tensor:
    """All products of waves of at most so many different circles, the last circle left out, and a row of ones first."""
    join = direct_ops(waves[0]).concatenate
    rows, products = list(waves[:-1]), [ops.ones_like(waves[0][:1])]
    for number in range(1, most + 1):
        if number > 1:  # by the last circle in a product: it meets all products of the circles before it
            rows = [_products(waves[j], join(rows[: j - number + 2])) for j in range(number - 1, len(waves) - 1)]
        products += rows
    return join(products) if len(products) > 1 else products[0]


@lru_cache(maxsize=32)
def _frequencies(max_frequency: int, dtype: str) -> np.ndarray:
    return np.arange(1, max_frequency + 1, dtype=dtype)[:, None]


def _wave_weights(max_frequency: int, decay: float) -> np.ndarray:
    """The weights of the cosines and sines of one circle."""
    return 2.0 * np.tile(np.arange(1.0, max_frequency + 1) ** -decay, 2)


def _total(dim: int, max_frequency: int, interactions: int, decay: float) -> float:
    """`Σ_k w_k`."""
    of_circle = _wave_weights(max_frequency, decay).sum() / 2
    return sum(math.comb(dim, m) * of_circle**m for m in range(1, interactions + 1))


@lru_cache(maxsize=32)
def _weights_of_all(dim: int, max_frequency: int, decay: float, dtype: str) -> np.ndarray:
    """The weights of products of a wave, or of 1, of every circle; the product of all ones, `k = 0`, has none."""
    of_circle = np.concatenate([[1.0], _wave_weights(max_frequency, decay)])
    weights = reduce(np.multiply.outer, [of_circle] * dim).reshape(-1, len(of_circle))
    weights[0, 0] = 0
    return (weights / _total(dim, max_frequency, dim, decay)).astype(dtype)


@lru_cache(maxsize=32)
def _weights_of_few(dim: int, max_frequency: int, interactions: int, decay: float, dtype: str) -> np.ndarray:
    """The weights of `_products_of_few` times each wave.

    0 unless the circle of the wave comes after those in the product: each set of circles counts once.
    """
    wave = _wave_weights(max_frequency, decay)
    parts, last_circle = [np.ones(1)], [-np.ones(1, int)]
    rows: list[np.ndarray] = [wave] * (dim - 1)
    for number in range(1, interactions):
        if number > 1:
            rows = [np.outer(wave, np.concatenate(rows[: j - number + 2])).ravel() for j in range(number - 1, dim - 1)]
        parts += rows
        last_circle += [np.full(len(row), number - 1 + j) for j, row in enumerate(rows)]
    weights = np.outer(np.concatenate(parts), np.tile(wave, dim))
    weights *= np.concatenate(last_circle)[:, None] < np.repeat(np.arange(dim), len(wave))
    return (weights / _total(dim, max_frequency, interactions, decay)).astype(dtype)
