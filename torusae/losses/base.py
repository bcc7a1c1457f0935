"""What the losses share: batch statistics as Keras losses, and sorting with equal gradients on every backend."""

from typing import Any

import keras
from keras import ops

from torusae._checks import Tensor

REDUCTIONS = ("sum", "normalized")


def batch_size(values: Tensor) -> int | Tensor:
    """The number of rows: a Python int where it is known while tracing, else a tensor of the values' dtype."""
    if isinstance(values.shape[0], int):
        return values.shape[0]
    # Counting ones works with TensorFlow's unknown batch and with torch.compile, which can't cast a symbolic int.
    return ops.sum(ops.ones_like(values[:, 0]))


def sort_rows(values: Tensor) -> Tensor:
    """Sorts `(batch, dim)` along the batch and returns `(dim, batch)`.

    argsort is stable on every backend where sort is not (torch), so equal values get the same gradients everywhere.
    """
    values = ops.transpose(values)
    order = ops.argsort(ops.stop_gradient(values), axis=-1)
    return ops.take_along_axis(values, order, axis=-1)


class _ReplicaMean(keras.losses.Loss):
    """Hands a number to Keras as a loss of shape (1,), so that each replica of TensorFlow counts its share of it."""

    def __init__(self):
        super().__init__(name="replica_mean")

    def call(self, y_true, y_pred):
        return ops.reshape(y_pred, (1,))


def replica_mean(value: Tensor) -> Tensor:
    """A scalar shared out over the replicas of a distributed run, as Keras does with the losses of `compile`."""
    return _ReplicaMean()(value, value)


class LatentLoss(keras.losses.Loss):
    """Base class of losses that are one number for a whole batch of latent variables.

    A subclass sets `part`, the part of a code that it reads, `default_weight`, and implements `call(values)`.
    An instance is called on one tensor, `loss(values)`, or as Keras does in `compile(loss={"angles": loss})`,
    `loss(y_true, y_pred)`, where `y_true` is ignored.

    Args:
        name: String, the name of the term in logs.
    """

    part = "angles"
    """What the loss reads of a code: for `Torus`, `"angles"`, `"radii"` or `"squared_radii"`."""

    default_weight = 1.0
    """The weight, relative to the reconstruction, that the term rises to unless `loss_weights` says otherwise."""

    seed_generator: keras.random.SeedGenerator | None = None
    """Where a loss that draws random numbers takes them from; `Latent` tracks it, so that it works compiled."""

    def __init__(self, name: str):
        super().__init__(name=name)

    def __call__(self, y_true, y_pred=None, sample_weight=None):
        """Returns the loss of one batch, a scalar tensor."""
        if sample_weight is not None:
            raise ValueError(
                f"{type(self).__name__}: takes no `sample_weight`, since it is one statistic of a whole batch. "
                f"Received: sample_weight of shape {tuple(sample_weight.shape)}. Pass a dict of sample weights that "
                f"leaves out this output."
            )
        if y_pred is None:
            return self.call(y_true)
        return replica_mean(self.call(y_pred))

    def call(self, values: Tensor) -> Tensor:  # type: ignore[override]
        """Returns the loss of `values`, `(batch, dim)`, a scalar tensor."""
        raise NotImplementedError

    def state_shape(self, dim: int) -> tuple[int, ...] | None:
        """The shape of what the loss remembers from batch to batch, for values of `dim` columns; `None` is nothing."""
        return None

    def call_with_state(self, values: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the loss of `values` given what is remembered, which begins as zeros, and what to remember next."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"name": self.name}
