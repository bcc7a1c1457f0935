"""How uniform angles are and how well they fill the torus: functions over arrays, and counts taken in training.

Angles are in radians, `[-π, π)`; any real input means its value modulo 2π.
"""

import itertools
import math

import keras
import numpy as np
from keras import ops

from torusae import _checks
from torusae._checks import Tensor
from torusae.angles import wrap_angles


def arc_counts(angles: Tensor, num_arcs: int) -> Tensor:
    """The number of a batch's angles in each of `num_arcs` equal arcs that start at -π.

    Args:
        angles: Float tensor `(batch, dim)`, radians.
        num_arcs: Integer, at least 1.

    Returns:
        float32 tensor `(dim, num_arcs)`. Counts of several batches add up.
    """
    turns = wrap_angles(angles) / (2 * math.pi) + 0.5
    index = ops.minimum(ops.cast(ops.floor(turns * num_arcs), "int32"), num_arcs - 1)
    return ops.sum(ops.one_hot(index, num_arcs, dtype="float32"), axis=0)


def kuiper_of_counts(counts: Tensor) -> Tensor:
    """Kuiper's statistic against the uniform circle, out of counts in equal arcs: low by one arc at most.

    Args:
        counts: Float tensor `(dim, num_arcs)`.

    Returns:
        Tensor `(dim,)`; 0 where nothing was counted.
    """
    num_arcs = counts.shape[-1]
    total = ops.maximum(ops.sum(counts, axis=-1, keepdims=True), 1.0)
    uniform = ops.convert_to_tensor(np.arange(1, num_arcs + 1) / num_arcs, dtype=counts.dtype)
    above = ops.cumsum(counts, axis=-1) / total - uniform
    kuiper = ops.maximum(ops.max(above, axis=-1), 0.0) - ops.minimum(ops.min(above, axis=-1), 0.0)
    return ops.where(ops.sum(counts, axis=-1) > 0, kuiper, ops.zeros_like(kuiper))


def _angle_array(owner: str, angles: Tensor) -> np.ndarray:
    """`(num, dim)` float64 in `[-π, π)`, finite."""
    angles = keras.ops.convert_to_numpy(_checks.float_tensor(owner, "angles", angles, 2, "(num, dim)"))
    angles = angles.astype("float64")
    if len(angles) == 0:
        raise ValueError(f"{owner}: `angles` must hold at least one row. Received: angles.shape={angles.shape}.")
    _checks.finite_array(owner, "angles", angles)
    return (angles + math.pi) % (2 * math.pi) - math.pi


def kuiper_statistic(angles: Tensor) -> np.ndarray:
    """Kuiper's statistic of every angle: the range of the empirical CDF minus that of the uniform circle.

    It does not depend on where the circle is cut. 0 = uniform, 1 = all in one point. Independent uniform points give
    `1.25 / sqrt(num)` on average, and more than `1.62 / sqrt(num)` one time in ten.

    Args:
        angles: Float tensor `(num, dim)`, radians.

    Returns:
        NumPy array `(dim,)`, float64.

    Raises:
        ValueError: If `angles` are not of rank 2, empty, or hold NaN or infinity.

    Example:

    >>> import numpy as np, torusae
    >>> even = np.linspace(-np.pi, np.pi, 100, endpoint=False)[:, None]
    >>> torusae.kuiper_statistic(even).round(2).tolist()
    [0.01]

    Reference:
        Kuiper (1960), Tests concerning random points on a circle.
    """
    turns = np.sort(_angle_array("kuiper_statistic", angles) / (2 * math.pi) + 0.5, axis=0)
    steps = np.arange(1, len(turns) + 1)[:, None] / len(turns)
    return (steps - turns).max(axis=0) + (turns - steps + 1 / len(turns)).max(axis=0)


def cell_occupancy(angles: Tensor, cells: int = 8) -> dict[str, float]:
    """How the points fill the torus: a grid of `cells**dim` equal cells.

    Args:
        angles: Float tensor `(num, dim)`, radians.
        cells: Integer, at least 2, cells along each circle. Defaults to `8`.

    Returns:
        Dict of `empty`, the share of cells without a point; `kl`, the Kullback-Leibler divergence of the cells'
        frequencies to the uniform ones, nats; and what as many independent uniform points give on average,
        `expected_empty` = `(1 - 1 / C)^num` and `expected_kl` ≈ `(C - 1) / (2 num)`, for `C` cells.

    Raises:
        ValueError: If `angles` are not of rank 2, empty, hold NaN, or there would be more than 2**24 cells.

    Example:

    >>> import numpy as np, torusae
    >>> torusae.cell_occupancy(np.zeros((10, 1)), cells=4)["empty"]
    0.75
    """
    cells = _checks.positive_int("cell_occupancy", "cells", cells, least=2)
    angles = _angle_array("cell_occupancy", angles)
    num, dim = angles.shape
    num_cells = cells**dim
    if num_cells > 1 << 24:
        raise ValueError(
            f"cell_occupancy: `cells`={cells} at dim {dim} makes {num_cells} cells, more than {1 << 24}. "
            f"Use fewer cells, or some columns of `angles` at a time."
        )
    index = np.minimum(((angles / (2 * math.pi) + 0.5) * cells).astype(int), cells - 1)
    counts = np.bincount(np.ravel_multi_index(tuple(index.T), (cells,) * dim), minlength=num_cells)
    frequencies = counts[counts > 0] / num
    return {
        "empty": float((counts == 0).mean()),
        "kl": float((frequencies * np.log(frequencies * num_cells)).sum()),
        "expected_empty": float((1 - 1 / num_cells) ** num),
        "expected_kl": (num_cells - 1) / (2 * num),
    }


def max_moment(angles: Tensor, order: int = 3) -> float:
    """The largest `|mean e^{ik·φ}|` over integer vectors `k` with entries up to `order`: 0 on a uniform torus.

    Independent uniform points give about `sqrt(log(number of k) / num)`.

    Args:
        angles: Float tensor `(num, dim)`, radians.
        order: Integer, at least 1. Defaults to `3`.

    Returns:
        Float between 0 and 1.

    Raises:
        ValueError: If `angles` are not of rank 2, hold NaN, or there would be more than 2**20 vectors.

    Example:

    >>> import numpy as np, torusae
    >>> torusae.max_moment(np.zeros((10, 2)))
    1.0
    """
    order = _checks.positive_int("max_moment", "order", order)
    angles = _angle_array("max_moment", angles)
    dim = angles.shape[1]
    if (2 * order + 1) ** dim > 1 << 20:
        raise ValueError(
            f"max_moment: `order`={order} at dim {dim} asks for {2 * order + 1}**{dim} vectors, more than {1 << 20}. "
            f"Use a smaller order, or some columns of `angles` at a time."
        )
    largest = 0.0
    for k in itertools.product(range(-order, order + 1), repeat=dim):
        if k > (0,) * dim:  # k and -k have the same modulus
            largest = max(largest, abs(np.exp(1j * (angles @ np.array(k))).mean()))
    return float(largest)


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Fréchet distance of two sets of feature vectors, each taken for normal: 0 where means and covariances agree.

    Formula: `|μ_a - μ_b|² + tr(Σ_a + Σ_b - 2 (Σ_a Σ_b)^½)`.

    Args:
        a: Float tensor `(num_a, num_features)`, at least two rows. Below some ten rows for each feature the covariance,
            and with it the distance, is poorly known.
        b: Float tensor `(num_b, num_features)`, at least two rows.

    Returns:
        Float, not negative, in the square of the features' unit.

    Raises:
        TypeError: If an argument does not hold floating-point numbers.
        ValueError: If an argument is not of rank 2, has fewer than two rows, holds NaN or infinity, or the numbers of
            features differ.

    Example:

    >>> import numpy as np, torusae
    >>> square = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> round(torusae.frechet_distance(square, square + [3.0, 4.0]), 6)
    25.0

    Reference:
        Dowson & Landau (1982); Heusel et al. (2017), arXiv:1706.08500, for features of images.
    """
    moments = []
    for name, features in (("a", a), ("b", b)):
        features = _checks.float_tensor("frechet_distance", name, features, 2, "(num, num_features)")
        features = ops.convert_to_numpy(features).astype("float64")
        if len(features) < 2:
            raise ValueError(f"frechet_distance: `{name}` must hold at least two rows. Received: {len(features)}.")
        _checks.finite_array("frechet_distance", name, features)
        moments.append((features.mean(axis=0), np.atleast_2d(np.cov(features.T))))
    (mean_a, cov_a), (mean_b, cov_b) = moments
    if mean_a.shape != mean_b.shape:
        raise ValueError(
            f"frechet_distance: `a` and `b` must have as many features. Received: {len(mean_a)} and {len(mean_b)}."
        )
    # The eigenvalues of Σ_a Σ_b are those of the symmetric Σ_a^½ Σ_b Σ_a^½.
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ cov_b @ root), 0)).sum()
    distance = np.sum((mean_a - mean_b) ** 2) + np.trace(cov_a) + np.trace(cov_b) - 2 * cross
    return float(max(distance, 0.0))
