"""The number of dimensions that points on a torus fill."""

import math

import numpy as np

from torusae import _checks
from torusae._checks import Tensor
from torusae.metrics._arrays import angle_rows, some_rows


def intrinsic_dimension(angles: Tensor, max_points: int = 4000, seed: int = 0) -> float:
    """The number of dimensions that points on the torus fill, from the distances to their two nearest neighbours.

    Independent uniform points on `dim` circles give `dim`, with a standard deviation of `dim / sqrt(num)`. Points on a
    surface within the torus give the dimension of the surface.

    Formula: `(num - 1) / Σ_i log(r_i2 / r_i1)`, with the distances `r_i1 <= r_i2` from point i to its two nearest
    neighbours, along the shortest arcs.

    Args:
        angles: Float tensor `(num, dim)`, radians, at least 3 different points. Repeated points count once.
        max_points: Integer, at least 3. A random choice of this size replaces a larger number of points; the cost grows
            as its square. Defaults to `4000`.
        seed: Integer, seed of that choice. Defaults to `0`.

    Raises:
        ValueError: If there are fewer than three different points.

    Example:

    >>> import numpy as np, torusae
    >>> t = np.random.default_rng(0).uniform(-np.pi, np.pi, (2000, 1))
    >>> round(torusae.metrics.intrinsic_dimension(np.concatenate([t, 2 * t, -t], axis=1)))  # a curve
    1

    Reference:
        Facco, d'Errico, Rodriguez & Laio (2017), Estimating the intrinsic dimension of datasets by a minimal
        neighborhood information. Here as the estimate of maximum likelihood.
    """
    angles = np.unique(angle_rows("intrinsic_dimension", angles), axis=0)
    max_points = _checks.positive_int("intrinsic_dimension", "max_points", max_points, least=3)
    if len(angles) < 3:
        raise ValueError(
            f"intrinsic_dimension: `angles` must hold at least 3 different points. Received: {len(angles)}. "
            f"Give more points."
        )
    angles = some_rows("intrinsic_dimension", angles, max_points, seed)
    num = len(angles)
    total = 0.0
    block = max(1, (1 << 20) // num)
    for start in range(0, num, block):
        rows = np.arange(start, min(start + block, num))
        squares = np.zeros((len(rows), num))
        for column in angles.T:
            arcs = column[rows, None] - column
            arcs -= 2 * math.pi * np.round(arcs / (2 * math.pi))
            squares += arcs * arcs
        squares[rows - start, rows] = np.inf
        nearest = np.partition(squares, 1, axis=1)[:, :2]
        total += 0.5 * float(np.log(nearest[:, 1] / nearest[:, 0]).sum())
    return (num - 1) / total if total else math.inf
