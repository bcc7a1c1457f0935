"""Measures of uniformity, independence, dimension and sample quality: functions over arrays, and Keras metrics.

- `circles`: one circle, or one column, at a time.
- `joint`: several circles together.
- `dimension`: the number of dimensions that points fill.
- `frechet`: the distance of two sets of features.
- `streamed`: Keras metrics that add up over batches.

Angles are in radians; any real value is accepted and read modulo 2π.
"""

from torusae.metrics.circles import (
    arc_counts,
    kolmogorov_smirnov,
    kuiper_of_counts,
    kuiper_statistic,
    rayleigh_statistic,
    watson_statistic,
)
from torusae.metrics.dimension import intrinsic_dimension
from torusae.metrics.frechet import frechet_distance
from torusae.metrics.joint import (
    cell_occupancy,
    circular_correlation,
    diaphony,
    direction_kuiper,
    max_moment,
    moment_spectrum,
)
from torusae.metrics.streamed import CellDivergence, KuiperStatistic, LargestMoment

__all__ = [
    "CellDivergence",
    "KuiperStatistic",
    "LargestMoment",
    "arc_counts",
    "cell_occupancy",
    "circular_correlation",
    "diaphony",
    "direction_kuiper",
    "frechet_distance",
    "intrinsic_dimension",
    "kolmogorov_smirnov",
    "kuiper_of_counts",
    "kuiper_statistic",
    "max_moment",
    "moment_spectrum",
    "rayleigh_statistic",
    "watson_statistic",
]
