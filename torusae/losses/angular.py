"""The loss of a periodic target."""

import math

import keras
from keras import ops

from torusae._internal import checks
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
    targets = checks.float_tensor("angular_loss", "targets", targets)
    angles = checks.float_tensor("angular_loss", "angles", angles)
    if not checks.shapes_agree(targets.shape, angles.shape):
        raise ValueError(
            f"angular_loss: `targets` and `angles` must have the same shape. Received: targets.shape="
            f"{tuple(targets.shape)}, angles.shape={tuple(angles.shape)}. For one angle per row give both (batch, 1)."
        )
    targets, angles = checks.same_dtype(targets, angles)
    difference = to_radians(targets, period) - to_radians(angles, period)
    return 1.0 - ops.mean(direct_ops(difference).cos(difference), axis=-1)


@keras.saving.register_keras_serializable(package="torusae")
class AngularLoss(keras.losses.Loss):
    """`angular_loss` as an object, for `compile` or a head.

    Targets `(batch,)` fit outputs `(batch, 1)`, and the other way round, as in Keras' own losses.

    Args:
        period: Positive float, the period of targets and outputs. Defaults to `2π`, radians.
        reduction: Keras reduction over the batch. Defaults to `"sum_over_batch_size"`.

    Example:

    >>> import keras, torusae
    >>> loss = torusae.losses.AngularLoss(period=24.0)
    >>> round(float(loss(keras.ops.zeros((2, 1)), keras.ops.full((2, 1), 6.0))), 4)
    1.0
    """

    def __init__(self, period: float = 2 * math.pi, reduction: str = "sum_over_batch_size", name: str = "angular"):
        super().__init__(name=name, reduction=reduction)
        self.period = checks.period("AngularLoss", period)

    def call(self, y_true, y_pred):
        # Keras does this in its own losses alone, not for subclasses of Loss.
        ranks = len(y_true.shape), len(y_pred.shape)
        if ranks == (1, 2) and y_pred.shape[1] == 1:
            y_true = y_true[:, None]
        elif ranks == (2, 1) and y_true.shape[1] == 1:
            y_pred = y_pred[:, None]
        return angular_loss(y_true, y_pred, self.period)

    def get_config(self):
        return {**super().get_config(), "period": self.period}
