"""Measures of one circle, or one column, at a time. Arrays come back as float64 `(dim,)`, one number per column."""

import math
from statistics import NormalDist

import numpy as np
from keras import ops

from torusae._internal import checks
from torusae._internal.checks import Tensor
from torusae.angles import wrap_angles
from torusae.metrics._arrays import angle_rows, float_rows

# Means for `num` independent points of the distribution compared with, times `sqrt(num)`.
KUIPER_CHANCE = 1.25
RAYLEIGH_CHANCE = math.sqrt(math.pi) / 2
SMIRNOV_CHANCE = 0.869


def arc_counts(angles: Tensor, num_arcs: int) -> Tensor:
    """The number of angles in each of `num_arcs` equal arcs, the first from -π on.

    Counts of several batches can be added.

    Args:
        angles: Float tensor `(batch, dim)`, radians.
        num_arcs: Integer, at least 1.

    Returns:
        float32 tensor `(dim, num_arcs)`.

    Raises:
        TypeError: If `angles` are not floating-point numbers, or `num_arcs` is not an integer.
        ValueError: If `angles` are not of rank 2, or `num_arcs` is below 1.

    Example:

    >>> import keras, torusae
    >>> keras.ops.convert_to_numpy(torusae.metrics.arc_counts(keras.ops.zeros((10, 1)), 4)).tolist()
    [[0.0, 0.0, 10.0, 0.0]]
    """
    angles = checks.float_tensor("arc_counts", "angles", angles, 2, "(batch, dim)")
    num_arcs = checks.positive_int("arc_counts", "num_arcs", num_arcs)
    turns = wrap_angles(angles) / (2 * math.pi) + 0.5
    index = ops.minimum(ops.cast(ops.floor(turns * num_arcs), "int32"), num_arcs - 1)
    return ops.sum(ops.one_hot(index, num_arcs, dtype="float32"), axis=0)


def kuiper_of_counts(counts: Tensor) -> Tensor:
    """Kuiper's statistic from counts in equal arcs. It underestimates `kuiper_statistic` by at most `2 / num_arcs`.

    Args:
        counts: Float tensor `(dim, num_arcs)`, as `arc_counts` returns.

    Returns:
        Tensor `(dim,)`. It is 0 where nothing was counted.

    Example:

    >>> import keras, torusae
    >>> counts = torusae.metrics.arc_counts(keras.ops.zeros((10, 1)), 4)
    >>> keras.ops.convert_to_numpy(torusae.metrics.kuiper_of_counts(counts)).tolist()
    [0.75]
    """
    num_arcs = counts.shape[-1]
    total = ops.sum(counts, axis=-1, keepdims=True)
    uniform = ops.convert_to_tensor(np.arange(1, num_arcs + 1) / num_arcs, dtype=counts.dtype)
    above = ops.cumsum(counts, axis=-1) / ops.maximum(total, 1.0) - uniform
    kuiper = ops.maximum(ops.max(above, axis=-1), 0.0) - ops.minimum(ops.min(above, axis=-1), 0.0)
    return ops.where(total[..., 0] > 0, kuiper, ops.zeros_like(kuiper))


def kuiper_statistic(angles: Tensor) -> np.ndarray:
    """Kuiper's statistic of every circle of angles `(num, dim)`: the range of the empirical CDF minus the uniform CDF.

    0 means uniform, 1 means all angles equal. Independent uniform angles give `1.25 / sqrt(num)` on average, and exceed
    `1.62 / sqrt(num)` one time in ten. It does not depend on where the circle is cut.

    Example:

    >>> import numpy as np, torusae
    >>> even = np.linspace(-np.pi, np.pi, 100, endpoint=False)[:, None]
    >>> torusae.metrics.kuiper_statistic(even).round(2).tolist()
    [0.01]

    Reference:
        Kuiper (1960), Tests concerning random points on a circle.
    """
    turns = np.sort(angle_rows("kuiper_statistic", angles) / (2 * math.pi) + 0.5, axis=0)
    steps = np.arange(1, len(turns) + 1)[:, None] / len(turns)
    return (steps - turns).max(axis=0) + (turns - steps + 1 / len(turns)).max(axis=0)


def rayleigh_statistic(angles: Tensor) -> np.ndarray:
    """The mean resultant length `|mean e^{iφ}|` of every circle of angles `(num, dim)`, radians.

    0 means balanced, 1 all angles equal. Independent uniform angles give `sqrt(π / (4 num)) = 0.886 / sqrt(num)` on
    average. It detects a circle that is heavier on one side, and no other unevenness.

    Example:

    >>> import numpy as np, torusae
    >>> torusae.metrics.rayleigh_statistic(np.zeros((10, 1))).tolist()
    [1.0]

    Reference:
        Mardia & Jupp (2000), Directional Statistics, section 6.3.
    """
    return np.abs(np.exp(1j * angle_rows("rayleigh_statistic", angles)).mean(axis=0))


def watson_statistic(angles: Tensor) -> np.ndarray:
    """Watson's `U²` of every circle of angles `(num, dim)`, radians: `num / 12` times `circular_wasserstein_loss`.

    Formula, with the angles in turns, sorted: `U² = n Var(u_s - (s - ½) / n) + 1 / (12 n)`. Independent uniform angles
    give `1 / 12` on average for every `num`, and exceed 0.152 one time in ten. Equal angles give `num / 12`.

    Example:

    >>> import numpy as np, torusae
    >>> torusae.metrics.watson_statistic(np.zeros((24, 1))).round(6).tolist()
    [2.0]

    Reference:
        Watson (1961), Goodness-of-fit tests on a circle.
    """
    turns = np.sort(angle_rows("watson_statistic", angles) / (2 * math.pi), axis=0)
    num = len(turns)
    steps = (np.arange(num)[:, None] + 0.5) / num
    return num * np.var(turns - steps, axis=0) + 1 / (12 * num)


def kolmogorov_smirnov(values: Tensor, mean: float = 1.0, stddev: float = 0.1) -> np.ndarray:
    """Kolmogorov-Smirnov statistic of every column against a normal distribution. The default is the prior of radii.

    Independent normal values give `0.869 / sqrt(num)` on average, and exceed `1.22 / sqrt(num)` one time in ten.

    Args:
        values: Float tensor `(num, dim)`, for example radii.
        mean: Float. Defaults to `1.0`.
        stddev: Positive float. Defaults to `0.1`.

    Example:

    >>> import numpy as np, torusae
    >>> torusae.metrics.kolmogorov_smirnov(np.full((10, 1), 1.0)).tolist()
    [0.5]

    Reference:
        Kolmogorov (1933); Smirnov (1948).
    """
    stddev = checks.positive_float("kolmogorov_smirnov", "stddev", stddev)
    values = np.sort(float_rows("kolmogorov_smirnov", "values", values), axis=0)
    cdf = np.vectorize(NormalDist(mean, stddev).cdf, otypes=["float64"])(values)
    steps = np.arange(1, len(values) + 1)[:, None] / len(values)
    return np.maximum((steps - cdf).max(axis=0), (cdf - steps + 1 / len(values)).max(axis=0))
