"""Measures of several circles together: cells, moments, directions, dimensions."""

import math

import numpy as np

from torusae._internal import checks
from torusae._internal.arrays import angle_rows, random_rows
from torusae._internal.checks import Tensor
from torusae.angles import integer_vectors, primitive_directions
from torusae.metrics.circles import kuiper_statistic


def cell_occupancy(angles: Tensor, cells: int = 8) -> dict[str, float]:
    """Counts points in a grid of `cells**dim` equal cells and compares with a uniform distribution.

    Args:
        angles: Float tensor `(num, dim)`, radians.
        cells: Integer, at least 2, cells along each circle, at most 2**24 in all. Defaults to `8`.

    Returns:
        Dict of floats, with `C` the number of all cells:

        - `empty`: the share of cells without a point.
        - `kl`: the Kullback-Leibler divergence of the cells' frequencies to uniform ones, nats.
        - `expected_empty`, `expected_kl`: both of independent uniform points on average, `(1 - 1 / C)^num` and about
          `(C - 1) / (2 num)`.

    Example:

    >>> import numpy as np, torusae
    >>> torusae.metrics.cell_occupancy(np.zeros((10, 1)), cells=4)["empty"]
    0.75
    """
    cells = checks.positive_int("cell_occupancy", "cells", cells, least=2)
    angles = angle_rows("cell_occupancy", angles)
    num, dim = angles.shape
    num_cells = cells**dim
    if num_cells > 1 << 24:
        raise ValueError(
            f"cell_occupancy: `cells`={cells} at dim {dim} makes {num_cells} cells, more than {1 << 24}. "
            f"Use fewer cells, or fewer columns of `angles`."
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


def max_moment(angles: Tensor, max_frequency: int = 3) -> float:
    """The largest modulus of `moment_spectrum`. Independent uniform points give about `sqrt(log(number of k) / num)`.

    Args:
        angles: Float tensor `(num, dim)`, radians.
        max_frequency: Integer, the largest entry of `k`. Defaults to `3`.

    Example:

    >>> import numpy as np, torusae
    >>> torusae.metrics.max_moment(np.zeros((10, 2)))
    1.0
    """
    return float(_spectrum("max_moment", angles, max_frequency, None)[1].max())


def moment_spectrum(
    angles: Tensor, max_frequency: int = 3, interactions: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """`|mean e^{ik·φ}|` for every integer vector `k` with entries up to `max_frequency`. All are 0 on a uniform torus.

    Independent uniform points give `0.886 / sqrt(num)` on average for each `k`.

    Args:
        angles: Float tensor `(num, dim)`, radians.
        max_frequency: Integer, the largest entry of `k`. Defaults to `3`.
        interactions: Integer, the largest number of nonzero entries of `k`; `None` for `dim`. Defaults to `None`.

    Returns:
        The pair of the vectors, an integer array `(num_vectors, dim)` that holds one of `k` and `-k`, and of the
        moduli, float64 `(num_vectors,)`.

    Raises:
        ValueError: If there would be more than 2**20 vectors.

    Example:

    >>> import numpy as np, torusae
    >>> k, moduli = torusae.metrics.moment_spectrum(np.zeros((10, 2)), max_frequency=1)
    >>> k.tolist(), moduli.tolist()
    ([[0, 1], [1, 0], [1, -1], [1, 1]], [1.0, 1.0, 1.0, 1.0])
    """
    return _spectrum("moment_spectrum", angles, max_frequency, interactions)


def _spectrum(
    owner: str, angles: Tensor, max_frequency: int, interactions: int | None
) -> tuple[np.ndarray, np.ndarray]:
    max_frequency = checks.positive_int(owner, "max_frequency", max_frequency)
    angles = angle_rows(owner, angles)
    k = integer_vectors(angles.shape[1], max_frequency, interactions)
    return k, np.array([abs(np.exp(1j * (angles @ row)).mean()) for row in k])


def direction_kuiper(angles: Tensor, max_frequency: int = 2, interactions: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Kuiper's statistic of `k·φ` along primitive integer directions `k`. All are 0 on a uniform torus.

    Independent uniform points give `1.25 / sqrt(num)` on average for each direction.

    Args:
        angles: Float tensor `(num, dim)`, radians.
        max_frequency: Integer, the largest entry of `k`. Defaults to `2`.
        interactions: Integer, the largest number of nonzero entries of `k`. Defaults to `2`.

    Returns:
        The pair of the directions, an integer array `(num_directions, dim)`, and of the statistics, float64
        `(num_directions,)`.

    Raises:
        ValueError: If there would be more than 2**20 directions.

    Example:

    >>> import numpy as np, torusae
    >>> even = np.linspace(-np.pi, np.pi, 100, endpoint=False)
    >>> directions, statistics = torusae.metrics.direction_kuiper(np.stack([even, even], axis=1), max_frequency=1)
    >>> directions[statistics.argmax()].tolist()
    [1, -1]

    Reference:
        Kuiper (1960); Weyl (1916).
    """
    angles = angle_rows("direction_kuiper", angles)
    directions = primitive_directions(angles.shape[1], max_frequency, interactions)
    blocks = np.array_split(directions, max(1, directions.shape[0] * len(angles) >> 22))
    return directions, np.concatenate([kuiper_statistic(angles @ block.T) for block in blocks])


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
    from scipy.spatial import cKDTree

    angles = np.unique(angle_rows("intrinsic_dimension", angles), axis=0)
    max_points = checks.positive_int("intrinsic_dimension", "max_points", max_points, least=3)
    if len(angles) < 3:
        raise ValueError(
            f"intrinsic_dimension: `angles` must hold at least 3 different points. Received: {len(angles)}. "
            f"Give more points."
        )
    checks.optional_int("intrinsic_dimension", "seed", seed, least=0, most=None)
    turned = (angles[random_rows(len(angles), max_points, seed)] + math.pi) % (2 * math.pi)  # what the tree reads
    distances = cKDTree(turned, boxsize=2 * math.pi).query(turned, k=3)[0]  # the nearest is the point itself
    total = float(np.log(distances[:, 2] / distances[:, 1]).sum())
    return (len(turned) - 1) / total if total else math.inf
