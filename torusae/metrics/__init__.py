"""Measures of uniformity, independence, dimension, distances, sample quality: functions over arrays, and Keras metrics.

Angles `(num, dim)` are in radians, read modulo 2π. Values that are not floating-point are a TypeError; values that are
not of rank 2, empty, NaN or infinite a ValueError.
"""

from torusae.metrics.circles import (
    arc_counts,
    kolmogorov_smirnov,
    kuiper_of_counts,
    kuiper_statistic,
    rayleigh_statistic,
    watson_statistic,
)
from torusae.metrics.frechet import frechet_distance
from torusae.metrics.joint import (
    cell_occupancy,
    circular_correlation,
    diaphony,
    direction_kuiper,
    intrinsic_dimension,
    max_moment,
    moment_spectrum,
)
from torusae.metrics.streamed import CellDivergence, KuiperStatistic, LargestMoment
from torusae.metrics.stress import geodesic_stress
