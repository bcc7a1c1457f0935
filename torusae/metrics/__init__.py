"""Measures of uniformity, independence, dimension, distances, sample quality: functions over arrays.

Angles `(num, dim)` are in radians, read modulo 2π. Values that are not floating-point are a TypeError; values that are
not of rank 2, empty, NaN or infinite a ValueError.
"""

from torusae.metrics.circles import kolmogorov_smirnov, kuiper_statistic
from torusae.metrics.frechet import frechet_distance
from torusae.metrics.joint import cell_occupancy, direction_kuiper, intrinsic_dimension, max_moment, moment_spectrum
from torusae.metrics.stress import geodesic_stress
