"""Sliced Wasserstein distance to the standard normal distribution (SWAE)."""

import keras
from keras import ops

from torusae._internal import checks
from torusae._internal.checks import Tensor
from torusae._internal.vectors import unit
from torusae.losses import _random
from torusae.losses.base import LatentLoss
from torusae.losses.quantiles import QuantileLoss, quantile_loss

_NORMAL = QuantileLoss(mean=0.0, stddev=1.0)


def sliced_wasserstein_loss(values: Tensor, directions: Tensor) -> Tensor:
    """Sliced Wasserstein distance between a batch and N(0, I): `quantile_loss` of projections, mean over directions.

    Formula, with the projections `p_d,s = θ_d · x_s` of a batch of size `S` on each of `D` unit vectors sorted along
    the batch: `L = 1 / (D S) Σ_d Σ_s (p_d,s - q_s)²` with the quantiles `q` of N(0, 1).

    Args:
        values: Float tensor `(batch, dim)`.
        directions: Float tensor `(num_directions, dim)`, rows of any length from 1e-15 to 1e18; they are made unit
            vectors. Rows beyond that have no finite square in float32, and count as 0.

    Notes:
        Cost `O(num_directions batch (dim + log batch))`.

    Example:

    >>> import keras, torusae
    >>> values = keras.ops.convert_to_tensor(torusae.normal_quantiles(4, 0.0, 1.0)[:, None], "float32")
    >>> round(float(torusae.losses.sliced_wasserstein_loss(values, [[2.0], [-1.0]])), 4)
    0.0

    Reference:
        Kolouri et al. (2018), arXiv:1804.01947. Quantiles in place of sorted samples of the prior are a torusae choice:
        the same limit with less noise.
    """
    owner = "sliced_wasserstein_loss"
    values = checks.float_tensor(owner, "values", values, 2, "(batch, dim)")
    directions = checks.float_tensor(owner, "directions", directions, 2, "(num_directions, dim)")
    checks.same_columns(owner, directions=directions, values=values)
    projections = values @ ops.transpose(unit(ops.cast(directions, values.dtype)))  # (batch, num_directions)
    return quantile_loss(projections, _NORMAL.quantiles(projections), "normalized")


@keras.saving.register_keras_serializable(package="torusae")
class SlicedWassersteinLoss(LatentLoss):
    """`sliced_wasserstein_loss` along random directions as an object. It reads points.

    The directions are a hash of the batch and the seed: any other batch has others.

    Args:
        num_directions: Integer. Defaults to `50`.
        seed: Integer. Defaults to `0`.

    Example:

    >>> import keras, torusae
    >>> round(float(torusae.losses.SlicedWassersteinLoss()(keras.ops.zeros((2, 3)))), 4)
    0.4549
    """

    reads = "point"
    default_weight = 3.0

    def __init__(self, num_directions: int = 50, seed: int = 0, name: str = "sliced_wasserstein"):
        super().__init__(name)
        self.num_directions = checks.positive_int("SlicedWassersteinLoss", "num_directions", num_directions)
        self.seed = checks.positive_int("SlicedWassersteinLoss", "seed", seed, least=0, most=None)

    def call(self, values):
        values = checks.float_tensor("SlicedWassersteinLoss", "values", values, 2, "(batch, dim)")
        # Directions of normal points are uniform on the sphere.
        directions = _random.normal(values, self.seed, (self.num_directions, values.shape[1]))
        return sliced_wasserstein_loss(values, directions)
