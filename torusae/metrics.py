"""How uniform angles are and how well they fill the torus: functions over arrays, and counts taken in training.

Angles are in radians, `[-π, π)`; any real input means its value modulo 2π.
"""

import math
from statistics import NormalDist

import keras
import numpy as np
from keras import ops

from torusae import _checks
from torusae._checks import Tensor
from torusae.angles import integer_vectors, primitive_directions, wrap_angles


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
    """Kuiper's statistic against the uniform circle, out of counts in equal arcs: low by two arcs at most.

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


def _finite_rows(owner: str, name: str, values: Tensor, least: int = 1) -> np.ndarray:
    """`(num, dim)` float64, finite, of at least so many rows."""
    values = ops.convert_to_numpy(_checks.float_tensor(owner, name, values, 2, "(num, dim)")).astype("float64")
    if len(values) < least:
        rows = "one row" if least == 1 else f"{least} rows"
        raise ValueError(f"{owner}: `{name}` must hold at least {rows}. Received: {name}.shape={values.shape}.")
    _checks.finite_array(owner, name, values)
    return values


def _angle_array(owner: str, angles: Tensor, least: int = 1) -> np.ndarray:
    """As `_finite_rows`, in `[-π, π)`."""
    return (_finite_rows(owner, "angles", angles, least) + math.pi) % (2 * math.pi) - math.pi


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
    return float(_spectrum("max_moment", angles, order, None)[1].max())


def rayleigh_statistic(angles: Tensor) -> np.ndarray:
    """The mean resultant length `|mean e^{iφ}|` of every angle: 0 = balanced, 1 = all in one point.

    Independent uniform points give `sqrt(π / (4 num)) = 0.886 / sqrt(num)` on average. It sees one side of a circle
    being heavier than the other, nothing else.

    Args:
        angles: Float tensor `(num, dim)`, radians.

    Returns:
        NumPy array `(dim,)`, float64.

    Raises:
        ValueError: If `angles` are not of rank 2, empty, or hold NaN or infinity.

    Example:

    >>> import numpy as np, torusae
    >>> torusae.rayleigh_statistic(np.zeros((10, 1))).tolist()
    [1.0]

    Reference:
        Mardia & Jupp (2000), Directional Statistics, section 6.3.
    """
    return np.abs(np.exp(1j * _angle_array("rayleigh_statistic", angles)).mean(axis=0))


def watson_statistic(angles: Tensor) -> np.ndarray:
    """Watson's `U²` of every angle against the uniform circle.

    Formula, with the angles in turns, sorted: `U² = n Var(u_s - (s - ½) / n) + 1 / (12 n)`. It is `num / 12` times the
    value of `circular_wasserstein_loss`. Independent uniform points give `1 / 12` on average, whatever `num`, and more
    than 0.152 one time in ten; all in one point give `num / 12`.

    Args:
        angles: Float tensor `(num, dim)`, radians.

    Returns:
        NumPy array `(dim,)`, float64.

    Raises:
        ValueError: If `angles` are not of rank 2, empty, or hold NaN or infinity.

    Example:

    >>> import numpy as np, torusae
    >>> torusae.watson_statistic(np.zeros((24, 1))).round(6).tolist()
    [2.0]

    Reference:
        Watson (1961), Goodness-of-fit tests on a circle.
    """
    turns = np.sort(_angle_array("watson_statistic", angles) / (2 * math.pi), axis=0)
    num = len(turns)
    steps = (np.arange(num)[:, None] + 0.5) / num
    return num * np.var(turns - steps, axis=0) + 1 / (12 * num)


def moment_spectrum(angles: Tensor, order: int = 3, interactions: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """`|mean e^{ik·φ}|` for every integer vector `k` with small entries: all 0 on a uniform torus.

    Independent uniform points give `0.886 / sqrt(num)` on average for each `k`.

    Args:
        angles: Float tensor `(num, dim)`, radians.
        order: Integer, at least 1, the largest entry of `k`. Defaults to `3`.
        interactions: Integer, at least 1, or `None`: the most entries that are not zero. Defaults to `None`, all.

    Returns:
        The pair of the vectors, an integer array `(num_vectors, dim)` with one of `k` and `-k`, and of the moduli,
        float64 `(num_vectors,)`.

    Raises:
        ValueError: If `angles` are not of rank 2, empty, hold NaN, or there would be more than 2**20 vectors.

    Example:

    >>> import numpy as np, torusae
    >>> k, moduli = torusae.moment_spectrum(np.zeros((10, 2)), order=1)
    >>> k.tolist(), moduli.tolist()
    ([[0, 1], [1, 0], [1, -1], [1, 1]], [1.0, 1.0, 1.0, 1.0])
    """
    return _spectrum("moment_spectrum", angles, order, interactions)


def _spectrum(owner: str, angles: Tensor, order: int, interactions: int | None) -> tuple[np.ndarray, np.ndarray]:
    order = _checks.positive_int(owner, "order", order)
    angles = _angle_array(owner, angles)
    k = integer_vectors(angles.shape[1], order, interactions)
    return k, np.array([abs(np.exp(1j * (angles @ row)).mean()) for row in k])


def diaphony(angles: Tensor, interactions: int | None = None, max_points: int = 20000, seed: int = 0) -> float:
    """Zinterhof's diaphony of points on the torus, over its largest value: the root of `diaphony_loss`, in float64.

    0 = uniform, 1 = all in one point; independent uniform points give `1 / sqrt(num)`, in the root of the mean square.

    Args:
        angles: Float tensor `(num, dim)`, radians.
        interactions: Integer, at least 1, or `None`: as in `diaphony_loss`. Defaults to `None`.
        max_points: Integer, at least 2. Of more points, so many are drawn; the square is then expected to be larger by
            `1 / max_points - 1 / num`. The cost is the square of it. Defaults to `20000`.
        seed: Integer, seed of that draw. Defaults to `0`.

    Returns:
        Float between 0 and 1.

    Raises:
        ValueError: If `angles` are not of rank 2, empty, hold NaN, or a number is out of its range.

    Example:

    >>> import numpy as np, torusae
    >>> round(torusae.diaphony(np.zeros((10, 3))), 6)
    1.0

    Reference:
        Zinterhof (1976).
    """
    angles = _angle_array("diaphony", angles)
    max_points = _checks.positive_int("diaphony", "max_points", max_points, least=2)
    if len(angles) > max_points:
        angles = angles[np.random.default_rng(seed).choice(len(angles), max_points, replace=False)]
    num, dim = angles.shape
    most = dim if interactions is None else min(_checks.positive_int("diaphony", "interactions", interactions), dim)
    turns = angles / (2 * math.pi)
    total = 0.0
    rows = max(1, (1 << 21) // num)
    for start in range(0, num, rows):
        E = [1.0] + [0.0] * most  # the elementary symmetric polynomials, as in diaphony_loss
        for column in turns.T:
            d = np.abs(column[start : start + rows, None] - column)
            b = 2 * math.pi**2 * (d * d - d + 1 / 6)
            E = [1.0] + [E[m] + b * E[m - 1] for m in range(1, most + 1)]
        total += float(np.sum(sum(E[1:])))
    largest = sum(math.comb(dim, m) * (math.pi**2 / 3) ** m for m in range(1, most + 1))
    return math.sqrt(max(total / num**2 / largest, 0.0))


def intrinsic_dimension(angles: Tensor, max_points: int = 4000, seed: int = 0) -> float:
    """How many dimensions points on the torus fill, from the distances to their two nearest neighbours.

    Independent uniform points on `dim` circles give `dim`, with a deviation of `dim / sqrt(num)`; points on a surface
    within the torus give the dimension of the surface.

    Formula: `(num - 1) / Σ_i log(r_i2 / r_i1)`, with the distances `r_i1 <= r_i2` of point i to its neighbours, along
    the shortest arcs.

    Args:
        angles: Float tensor `(num, dim)`, radians, at least 3 different points.
        max_points: Integer, at least 3. Of more points, so many are drawn. The cost is the square of it. Defaults to
            `4000`.
        seed: Integer, seed of that draw. Defaults to `0`.

    Returns:
        Float, a number of dimensions; points that lie on others are left out.

    Raises:
        ValueError: If `angles` are not of rank 2, hold NaN or fewer than three different points, or a number is out of
            its range.

    Example:

    >>> import numpy as np, torusae
    >>> t = np.random.default_rng(0).uniform(-np.pi, np.pi, (2000, 1))
    >>> round(torusae.intrinsic_dimension(np.concatenate([t, 2 * t, -t], axis=1)))  # a curve on a torus of three
    1

    Reference:
        Facco, d'Errico, Rodriguez & Laio (2017), Estimating the intrinsic dimension of datasets by a minimal
        neighborhood information; here as the estimate of largest likelihood.
    """
    angles = _angle_array("intrinsic_dimension", angles)
    max_points = _checks.positive_int("intrinsic_dimension", "max_points", max_points, least=3)
    angles = np.unique(angles, axis=0)
    if len(angles) < 3:
        raise ValueError(
            f"intrinsic_dimension: `angles` must hold at least 3 different points. Received: {len(angles)}."
        )
    if len(angles) > max_points:
        angles = angles[np.random.default_rng(seed).choice(len(angles), max_points, replace=False)]
    num = len(angles)
    total = 0.0
    rows = max(1, (1 << 20) // num)
    for start in range(0, num, rows):
        squares = np.zeros((len(angles[start : start + rows]), num))
        for column in angles.T:
            arcs = column[start : start + rows, None] - column
            arcs -= 2 * math.pi * np.round(arcs / (2 * math.pi))
            squares += arcs * arcs
        squares[np.arange(len(squares)), start + np.arange(len(squares))] = np.inf
        nearest = np.partition(squares, 1, axis=1)[:, :2]
        total += 0.5 * float(np.log(nearest[:, 1] / nearest[:, 0]).sum())
    return (num - 1) / total if total else math.inf


def direction_kuiper(angles: Tensor, order: int = 2, interactions: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Kuiper's statistic of `k·φ` along primitive integer directions: all 0 on a uniform torus.

    Args:
        angles: Float tensor `(num, dim)`, radians.
        order: Integer, at least 1, the largest entry of `k`. Defaults to `2`.
        interactions: Integer, at least 1, the most entries that are not zero. Defaults to `2`.

    Returns:
        The pair of the directions, an integer array `(num_directions, dim)`, and of the statistics, float64
        `(num_directions,)`. Independent uniform points give `1.25 / sqrt(num)` on average for each.

    Raises:
        ValueError: If `angles` are not of rank 2, empty, hold NaN, or there would be more than 2**20 directions.

    Example:

    >>> import numpy as np, torusae
    >>> even = np.linspace(-np.pi, np.pi, 100, endpoint=False)
    >>> directions, statistics = torusae.direction_kuiper(np.stack([even, even], axis=1), order=1)
    >>> directions[statistics.argmax()].tolist()
    [1, -1]

    Reference:
        Kuiper (1960); Weyl (1916).
    """
    angles = _angle_array("direction_kuiper", angles)
    directions = primitive_directions(angles.shape[1], order, interactions)
    chunks = np.array_split(directions, max(1, directions.shape[0] * len(angles) >> 22))
    return directions, np.concatenate([kuiper_statistic(angles @ chunk.T) for chunk in chunks])


def kolmogorov_smirnov(values: Tensor, mean: float = 1.0, stddev: float = 0.1) -> np.ndarray:
    """Kolmogorov-Smirnov statistic of every column against a normal distribution, the prior of radii by default.

    Independent values of that distribution give `0.869 / sqrt(num)` on average, and more than `1.22 / sqrt(num)` one
    time in ten.

    Args:
        values: Float tensor `(num, dim)`, for example radii.
        mean: Float. Defaults to `1.0`.
        stddev: Positive float. Defaults to `0.1`.

    Returns:
        NumPy array `(dim,)`, float64, between 0 and 1.

    Raises:
        ValueError: If `values` are not of rank 2, empty, hold NaN, or `stddev` is not positive.

    Example:

    >>> import numpy as np, torusae
    >>> torusae.kolmogorov_smirnov(np.full((10, 1), 1.0)).tolist()
    [0.5]

    Reference:
        Kolmogorov (1933); Smirnov (1948).
    """
    stddev = _checks.positive_float("kolmogorov_smirnov", "stddev", stddev)
    values = np.sort(_finite_rows("kolmogorov_smirnov", "values", values), axis=0)
    cdf = np.vectorize(NormalDist(mean, stddev).cdf, otypes=["float64"])(values)
    steps = np.arange(1, len(values) + 1)[:, None] / len(values)
    return np.maximum((steps - cdf).max(axis=0), (cdf - steps + 1 / len(values)).max(axis=0))


def circular_correlation(angles: Tensor) -> np.ndarray:
    """How strongly every pair of circles moves together or against each other: Fisher & Lee's T-linear correlation.

    Formula: `Σ_{s<t} sin(α_s - α_t) sin(β_s - β_t) / sqrt(Σ sin²(α_s - α_t) Σ sin²(β_s - β_t))`. It asks for no mean
    direction, which uniform angles do not have.

    Args:
        angles: Float tensor `(num, dim)`, radians, at least 2 rows.

    Returns:
        NumPy array `(dim, dim)`, float64: 1 on the diagonal, -1 to 1 off it, about `±1 / num` for independent uniform
        angles.

    Raises:
        ValueError: If `angles` are not of rank 2, have fewer than 2 rows, or hold NaN or infinity.

    Example:

    >>> import numpy as np, torusae
    >>> turn = np.linspace(0, 6, 50)
    >>> torusae.circular_correlation(np.stack([turn, 1 - turn], axis=1)).round(3).tolist()
    [[1.0, -1.0], [-1.0, 1.0]]

    Reference:
        Fisher & Lee (1983), A correlation coefficient for circular data.
    """
    angles = _angle_array("circular_correlation", angles, least=2)
    cos, sin = np.cos(angles), np.sin(angles)
    # Σ_{s,t} sin(α_s - α_t) sin(β_s - β_t) by products of sums, 2 (AB - CD) in Fisher & Lee's letters.
    products = 2 * ((cos.T @ cos) * (sin.T @ sin) - (cos.T @ sin) * (sin.T @ cos))
    sizes = np.sqrt(np.maximum(np.diag(products), 0))
    # A circle whose angles are all one has no correlation with any other.
    return np.divide(products, np.outer(sizes, sizes), out=np.zeros_like(products), where=np.outer(sizes, sizes) > 0)


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
        features = _finite_rows("frechet_distance", name, features, least=2)
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


class _StreamedMetric(keras.metrics.Metric):
    """Base of metrics of angles that add up over batches: `update_state(angles)`, or `(y_true, y_pred)` as Keras does.

    The one number that is kept is a sum over points, so that memory does not grow with the data.
    """

    def __init__(self, dim: int, shape: tuple[int, ...], name: str):
        super().__init__(name=name, dtype="float32")
        self.dim = dim
        self.total = self.add_variable(shape=shape, initializer="zeros", name="total", aggregation="sum")

    def update_state(self, y_true, y_pred=None, sample_weight=None):
        """Adds a batch of angles, `(batch, dim)`; where two are given, the second, `y_pred`."""
        owner = type(self).__name__
        if sample_weight is not None:
            raise ValueError(f"{owner}: takes no `sample_weight`: it is a statistic of points, each counted once.")
        angles = _checks.float_tensor(owner, "angles", y_true if y_pred is None else y_pred, 2, "(batch, dim)")
        if angles.shape[1] != self.dim:
            raise ValueError(f"{owner}: angles must have {self.dim} columns. Received: shape={tuple(angles.shape)}.")
        self.total.assign(self.total + self.summed(angles))

    def summed(self, angles):
        """What a batch adds to the sum."""
        raise NotImplementedError

    def get_config(self):
        """Returns the constructor's arguments."""
        return {"name": self.name, "dim": self.dim}


@keras.saving.register_keras_serializable(package="torusae")
class KuiperStatistic(_StreamedMetric):
    """The largest Kuiper statistic of any angle, over all batches since the last reset. See `kuiper_statistic`.

    Angles are counted in equal arcs: the result is low by at most `2 / num_arcs`.

    Args:
        dim: Integer, at least 1, the number of circles.
        num_arcs: Integer, at least 2. Defaults to `64`.
        name: String. Defaults to `"kuiper"`.

    Example:

    >>> import keras, torusae
    >>> metric = torusae.KuiperStatistic(2)
    >>> metric.update_state(keras.ops.zeros((10, 2)))
    >>> round(float(metric.result()), 2)
    0.98
    """

    def __init__(self, dim: int, num_arcs: int = 64, name: str = "kuiper"):
        dim = _checks.positive_int("KuiperStatistic", "dim", dim)
        self.num_arcs = _checks.positive_int("KuiperStatistic", "num_arcs", num_arcs, least=2)
        super().__init__(dim, (dim, self.num_arcs), name)

    def summed(self, angles):
        return arc_counts(angles, self.num_arcs)

    def result(self):
        """The largest statistic, a scalar tensor."""
        return ops.max(kuiper_of_counts(self.total.value))

    def get_config(self):
        return {**super().get_config(), "num_arcs": self.num_arcs}


@keras.saving.register_keras_serializable(package="torusae")
class LargestMoment(_StreamedMetric):
    """The largest `|mean e^{ik·φ}|` over all batches since the last reset. See `max_moment`.

    Args:
        dim: Integer, at least 1, the number of circles.
        order: Integer, at least 1, the largest entry of `k`. Defaults to `2`.
        interactions: Integer, at least 1, or `None` for all: the most entries that are not zero. Defaults to `2`.
        name: String. Defaults to `"moment"`.

    Example:

    >>> import keras, torusae
    >>> metric = torusae.LargestMoment(2)
    >>> metric.update_state(keras.ops.zeros((10, 2)))
    >>> float(metric.result())
    1.0
    """

    def __init__(self, dim: int, order: int = 2, interactions: int | None = 2, name: str = "moment"):
        dim = _checks.positive_int("LargestMoment", "dim", dim)
        self.order, self.interactions = order, interactions
        self.k = integer_vectors(dim, order, interactions, most=1 << 16)
        super().__init__(dim, (3, len(self.k)), name)

    def summed(self, angles):
        phases = ops.matmul(wrap_angles(angles), ops.convert_to_tensor(self.k.T, dtype=angles.dtype))
        sums = [ops.sum(part, axis=0) for part in (ops.cos(phases), ops.sin(phases), ops.ones_like(phases))]
        return ops.cast(ops.stack(sums), "float32")

    def result(self):
        """The largest modulus, a scalar tensor."""
        cos, sin, count = self.total.value[0], self.total.value[1], ops.maximum(self.total.value[2], 1.0)
        return ops.sqrt(ops.max(ops.square(cos / count) + ops.square(sin / count)))

    def get_config(self):
        return {**super().get_config(), "order": self.order, "interactions": self.interactions}


@keras.saving.register_keras_serializable(package="torusae")
class CellDivergence(_StreamedMetric):
    """Kullback-Leibler divergence of the cells' frequencies to uniform, nats, over all batches. See `cell_occupancy`.

    Args:
        dim: Integer, at least 1, the number of circles.
        cells: Integer, at least 2, cells along each circle; at most 2**20 in all. Defaults to `8`.
        name: String. Defaults to `"cell_kl"`.

    Example:

    >>> import keras, torusae
    >>> metric = torusae.CellDivergence(1, cells=4)
    >>> metric.update_state(keras.ops.zeros((10, 1)))
    >>> round(float(metric.result()), 4)
    1.3863
    """

    def __init__(self, dim: int, cells: int = 8, name: str = "cell_kl"):
        dim = _checks.positive_int("CellDivergence", "dim", dim)
        self.cells = _checks.positive_int("CellDivergence", "cells", cells, least=2)
        if self.cells**dim > 1 << 20:
            raise ValueError(
                f"CellDivergence: `cells`={cells} at dim {dim} makes {self.cells**dim} cells, more than {1 << 20}. "
                f"Use fewer cells."
            )
        super().__init__(dim, (self.cells**dim,), name)

    def summed(self, angles):
        turns = wrap_angles(angles) / (2 * math.pi) + 0.5
        index = ops.minimum(ops.cast(ops.floor(turns * self.cells), "int32"), self.cells - 1)
        places = ops.convert_to_tensor(self.cells ** np.arange(self.dim)[::-1], dtype="int32")
        cell = ops.sum(index * places, axis=-1)
        return ops.segment_sum(ops.ones_like(turns[:, 0]), cell, num_segments=self.cells**self.dim)

    def result(self):
        """The divergence, a scalar tensor; 0 where nothing was counted."""
        share = self.total.value / ops.maximum(ops.sum(self.total.value), 1.0)
        return ops.sum(share * ops.log(ops.maximum(share * self.cells**self.dim, 1e-30)))

    def get_config(self):
        return {**super().get_config(), "cells": self.cells}
