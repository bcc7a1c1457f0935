"""Maximum mean discrepancy to the standard normal distribution, the penalty of the Wasserstein autoencoder (WAE)."""

import math
from collections.abc import Sequence
from functools import lru_cache

import keras
import numpy as np
from keras import ops

from torusae._internal import checks
from torusae._internal.checks import Tensor
from torusae._internal.tensors import batch_size, constant
from torusae.losses.base import LatentLoss
from torusae.losses.distances import pair_distances, squared_norms

_SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


@lru_cache(maxsize=64)
def _imq_nodes(dim: int, widths: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray, float]:
    """Factors `a` and rates `b` of `E k(x, z) = Σ a exp(-b |x|²)`, and `E k(z, z')`, for z, z' from N(0, I).

    `C / (C + d²) = ∫ C exp(-(C + d²) t) dt`, and for each t the expectation is closed:
    `E exp(-t |x - z|²) = (1 + 2t)^(-dim/2) exp(-t |x|² / (1 + 2t))`. The trapezoidal rule in log t is exact to 1e-9.
    """
    step = 0.3
    t = np.exp(np.arange(math.log(1e-10 / max(widths)), math.log(50.0 / min(widths)), step))
    weights = sum(width * np.exp(-width * t) for width in widths) * t * step
    between = float(np.sum(weights * (1 + 4 * t) ** (-dim / 2)))
    factors, rates = weights * (1 + 2 * t) ** (-dim / 2), t / (1 + 2 * t)
    keep = factors > 1e-12 * factors.max()
    return factors[keep], rates[keep], between


def maximum_mean_discrepancy(values: Tensor) -> Tensor:
    """Maximum mean discrepancy between a batch and N(0, I), the penalty of the Wasserstein autoencoder (WAE-MMD).

    Formula, with `k(a, b) = Σ_scales C / (C + |a - b|²)`, `C = 2 dim scale`, for a batch of size `S`:
    `L = 1 / (S (S - 1)) Σ_{s≠u} k(x_s, x_u) + E k(z, z') - 2 / S Σ_s E k(x_s, z)` with `z`, `z'` from N(0, I).
    Unbiased: 0 on average for points of N(0, I), and negative for some.

    The scales are 0.1, 0.2, 0.5, 1, 2, 5 and 10. The expectations over N(0, I) are exact to 1e-9.

    Args:
        values: Float tensor `(batch, dim)`. A batch of one has no pairs: their sum is 0.

    Raises:
        ValueError: If `values` are not of rank 2.

    Notes:
        Cost `O(batch² (dim + scales))`.

    Example:

    >>> import keras, torusae
    >>> round(float(torusae.losses.maximum_mean_discrepancy(keras.ops.zeros((8, 2)))), 3)
    1.584

    Reference:
        Tolstikhin et al. (2018), arXiv:1711.01558, algorithm 2. The closed prior terms are a torusae choice.
    """
    values = checks.float_tensor("maximum_mean_discrepancy", "values", values, 2, "(batch, dim)")
    dim = int(values.shape[1])
    widths = tuple(2.0 * dim * scale for scale in _SCALES)
    factors, rates, between = _imq_nodes(dim, widths)
    kernels = ops.exp(-constant(rates, values) * squared_norms(values)[:, None])
    cross = ops.sum(constant(factors, values) * kernels) / batch_size(values)
    return _mean_of_pairs(values, widths) + between - 2.0 * cross


def _mean_of_pairs(values: Tensor, widths: Sequence[float]) -> Tensor:
    """The mean over pairs of different rows of the sum of inverse multiquadric kernels `C / (C + d²)`."""
    num = batch_size(values)
    num_pairs = num * (num - 1)
    distances = pair_distances(values)
    kernels = sum(width / (width + distances) for width in widths)
    total = ops.sum(kernels) - len(widths) * num  # the diagonal holds one for each width
    return total / (max(num_pairs, 1) if isinstance(num_pairs, int) else ops.maximum(num_pairs, 1.0))


@keras.saving.register_keras_serializable(package="torusae")
class MMDLoss(LatentLoss):
    """`maximum_mean_discrepancy` as an object. It reads points.

    Example:

    >>> import keras, torusae
    >>> round(float(torusae.losses.MMDLoss()(keras.ops.zeros((8, 2)))), 3)
    1.584
    """

    reads = "point"
    default_weight = 3.0

    def __init__(self, name: str = "mmd"):
        super().__init__(name)

    def call(self, values):
        return maximum_mean_discrepancy(values)
