"""The loss of a periodic target."""

import keras
from keras import ops

from torusae._checks import Tensor
from torusae.angles import angle_difference


def angular_loss(targets: Tensor, angles: Tensor) -> Tensor:
    """How far angles are from their targets: `1 - cos(target - angle)`, 0 where they agree, 2 at the antipode.

    Up to a constant and the concentration `κ` it is the negative log-likelihood of a von Mises distribution.

    Angles are in radians; any real value is accepted and read modulo 2π.

    Args:
        targets: Float tensor `(batch, dim)`, radians.
        angles: Float tensor of the same shape, radians.

    Returns:
        Tensor `(batch,)`, the mean over the last axis.

    Raises:
        TypeError: If an argument does not hold floating-point numbers.

    Example:

    >>> import keras, torusae
    >>> loss = torusae.angular_loss(keras.ops.zeros((1, 1)), keras.ops.full((1, 1), 3.14159265))
    >>> float(loss[0])
    2.0

    Reference:
        Mardia & Jupp (2000), Directional Statistics, section 3.5.4.
    """
    return ops.mean(1.0 - ops.cos(angle_difference(targets, angles)), axis=-1)


@keras.saving.register_keras_serializable(package="torusae")
class AngularLoss(keras.losses.Loss):
    """Loss of a periodic target as an object, for `compile` or a head: `1 - cos(target - angle)`. See `angular_loss`.

    Args:
        reduction: Keras reduction over the batch. Defaults to `"sum_over_batch_size"`.
        name: String. Defaults to `"angular"`.

    Example:

    >>> import keras, torusae
    >>> float(torusae.AngularLoss()(keras.ops.zeros((2, 1)), keras.ops.zeros((2, 1))))
    0.0
    """

    def __init__(self, reduction: str = "sum_over_batch_size", name: str = "angular"):
        super().__init__(name=name, reduction=reduction)

    def call(self, y_true, y_pred):
        return angular_loss(y_true, y_pred)
