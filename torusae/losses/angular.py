"""The loss of a periodic target."""

import math

from keras import ops

from torusae._internal import checks, units
from torusae._internal.checks import Tensor
from torusae._internal.tensors import direct_ops
from torusae.angles import to_radians


def angular_loss(targets: Tensor, angles: Tensor, period: float = 2 * math.pi) -> Tensor:
    """How far angles are from their targets: `1 - cos(target - angle)`, 0 where they agree, 2 at the antipode.

    Up to a constant and the concentration `κ` it is the negative log-likelihood of a von Mises distribution.

    Args:
        targets: Float tensor `(..., dim)`, in the unit of `period`, read modulo the period.
        angles: Float tensor of the same shape and unit.
        period: Positive float: `2π` for radians, 24 for hours. Defaults to `2π`.

    Returns:
        Tensor `(...)`, the mean over the last axis.

    Raises:
        ValueError: If the shapes differ or `period` is not positive.

    Example:

    >>> import keras, torusae
    >>> midnight, noon = keras.ops.zeros((1, 1)), keras.ops.full((1, 1), 12.0)
    >>> float(torusae.losses.angular_loss(midnight, noon, period=24.0)[0])
    2.0

    Reference:
        Mardia & Jupp (2000), Directional Statistics, section 3.5.4.
    """
    period = checks.period("angular_loss", period)
    given, targets = targets, checks.float_tensor("angular_loss", "targets", targets)
    if period == 2 * math.pi:
        units.check_radians("angular_loss", "targets", given, "angular_loss(targets, angles, ")
    angles = checks.float_tensor("angular_loss", "angles", angles)
    if not checks.shapes_agree(targets.shape, angles.shape):
        raise ValueError(
            f"angular_loss: `targets` and `angles` must have the same shape. Received: targets.shape="
            f"{tuple(targets.shape)}, angles.shape={tuple(angles.shape)}. For one angle per row give both (batch, 1)."
        )
    targets, angles = checks.same_dtype(targets, angles)
    difference = to_radians(targets, period) - to_radians(angles, period)
    return 1.0 - ops.mean(direct_ops(difference).cos(difference), axis=-1)
