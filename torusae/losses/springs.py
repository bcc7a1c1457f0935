"""The paper's spring loss on angles, eq. 2."""

import math

import keras
from keras import ops

from torusae._internal import checks, units
from torusae._internal.checks import Tensor
from torusae._internal.sorting import sort_columns
from torusae._internal.tensors import batch_size, direct_ops, positions
from torusae.angles import wrap_angles
from torusae.losses.base import REDUCTIONS, LatentLoss


def spring_loss(angles: Tensor, period: float = 2 * math.pi, reduction: str = "sum", neighbor: int = 1) -> Tensor:
    """Spring loss: the sum of squared gaps between neighbouring angles of a batch on every circle.

    Springs join the angles in a ring. Their lengths sum to one period, so the sum of squares is least when all lengths
    are equal. In statistics this is Greenwood's statistic (1946).

    Formula, with the angles of each circle sorted along the batch of size `S`:
    `L = Σ_i [(φ_i,1 + τ - φ_i,S)² + Σ_{s<S} (φ_i,s - φ_i,s+1)²]`.

    Args:
        angles: Float tensor `(batch, dim)`, in the unit of `period`, read modulo the period.
        period: Positive float `τ`. Defaults to `2π`, radians.
        reduction: `"sum"` is eq. 2 as printed; `"normalized"` divides it by its minimum. Defaults to `"sum"`.
        neighbor: Integer `m`, at least 1: springs between `m`-th neighbours. The paper has `m = 1`; a larger `m`
            reacts more to slow unevenness. Defaults to `1`.

    Returns:
        Scalar tensor, as `"sum"` with `m = 1`, or `"normalized"`:

        - angles that are evenly spaced: `dim τ² / S`, or 1
        - independent, uniform, on average: `2 dim τ² / (S + 1)`, or `(m + 1) / m · S / (S + 1)`
        - all in one point: `dim τ²`, or `S` for `m = 1`

    Raises:
        ValueError: If `angles` are not of rank 2, a number is out of range, or `reduction` is unknown.

    Notes:
        - The gradient of the sum falls as `1 / batch²`; that of the normalized form as `1 / batch`, as in a mean loss.
        - With at most `m` angles the `m`-th neighbour lies full turns away.

    Example:

    >>> import keras, torusae
    >>> angles = keras.ops.convert_to_tensor([[0.0], [3.14159265]])
    >>> float(torusae.spring_loss(angles, reduction="normalized"))
    1.0

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, eq. 2; Cressie (1976) for `m`-th neighbours. The normalized form is a
        torusae choice.
    """
    neighbor = checks.positive_int("spring_loss", "neighbor", neighbor)
    period = checks.period("spring_loss", period)
    checks.option("spring_loss", "reduction", reduction, REDUCTIONS)
    angles = units.angle_tensor("spring_loss", angles, period)
    phi = sort_columns(wrap_angles(angles, period))  # (batch, dim) -> (dim, batch)
    # In turns, so that evenly spaced angles give exactly 1. The difference comes before the division: it is exact.
    # Added: how often the way from an angle to its m-th neighbour crosses ±period/2.
    size, xp = batch_size(angles), direct_ops(angles)
    crossings = xp.floor((ops.cast(positions(angles), angles.dtype) + (neighbor + 0.5)) / size)
    gaps = (ops.roll(phi, -neighbor, axis=-1) - phi) / period + crossings
    loss = xp.sum(gaps * gaps)
    if reduction == "normalized":
        return loss * (size / (angles.shape[1] * neighbor**2))
    return loss * period**2


@keras.saving.register_keras_serializable(package="torusae")
class SpringLoss(LatentLoss):
    """`spring_loss` as an object: spaces the angles of a batch evenly around each circle. It reads angles.

    Args:
        period: Positive float. Defaults to `2π`.
        reduction: `"normalized"` or `"sum"`. Defaults to `"normalized"`.
        name: String. Defaults to `"spring"`.
        neighbor: Integer `m`: springs join `m`-th neighbours. Defaults to `1`.

    Example:

    >>> import keras, torusae
    >>> float(torusae.SpringLoss()(keras.ops.zeros((4, 1))))
    4.0
    """

    default_weight = 0.5

    def __init__(
        self, period: float = 2 * math.pi, reduction: str = "normalized", name: str = "spring", neighbor: int = 1
    ):
        super().__init__(name)
        self.neighbor = checks.positive_int("SpringLoss", "neighbor", neighbor)
        self.period = checks.period("SpringLoss", period)
        self.reduction = checks.option("SpringLoss", "reduction", reduction, REDUCTIONS)

    def call(self, values):
        return spring_loss(values, self.period, self.reduction, self.neighbor)
