"""Measures of one circle, or one column, at a time. Arrays come back as float64 `(dim,)`, one number per column."""

import math

import numpy as np

from torusae._internal import checks
from torusae._internal.arrays import angle_rows, float_rows
from torusae._internal.checks import Tensor

# Means for `num` independent points of the distribution compared with, times `sqrt(num)`.
KUIPER_CHANCE = 1.25
MOMENT_CHANCE = math.sqrt(math.pi) / 2
SMIRNOV_CHANCE = 0.869


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
    from scipy import stats

    values = float_rows("kolmogorov_smirnov", "values", values)
    # The statistic alone: exact probabilities of many values would take seconds.
    return stats.ks_1samp(values, stats.norm(mean, stddev).cdf, method="asymp", axis=0).statistic
