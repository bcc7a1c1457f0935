"""What the losses share: batch statistics as Keras losses, and sorting with equal gradients on every backend."""

from functools import lru_cache
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

    The order is stable, so that equal values get the same gradients everywhere.
    """
    values = ops.transpose(values)
    if keras.backend.backend() == "torch":
        # torch's own argsort and gather: between them Keras casts to int32 and back and looks for negative places,
        # which takes as long as half a sort; and torch sorts rows that lie apart in memory more slowly.
        values = values.contiguous()
        return values.gather(-1, values.detach().argsort(dim=-1, stable=True))
    fixed = ops.stop_gradient(values)
    order = _argsort_by_digits(fixed) if _sorts_floats_slowly(fixed) else ops.argsort(fixed, axis=-1)
    return ops.take_along_axis(values, order, axis=-1)


_PLACE_BITS = {15: 2, 20: 3}  # how many bits a place may have, and how many digits are left for the 32 bits of a float


def _sorts_floats_slowly(values: Tensor) -> bool:
    """Whether integers are better: on JAX on the CPU, where XLA compares floats in a total order of its own.

    Only integers without a companion have a fast path there. https://github.com/openxla/xla/issues/35587
    """
    return (
        keras.backend.backend() == "jax"
        and isinstance(values.shape[-1], int)  # Keras builds some models with a batch of symbolic size
        and values.shape[-1] <= 1 << max(_PLACE_BITS)
        and str(values.dtype) == "float32"
        and is_on_cpu(values)
    )


def is_on_cpu(values: Tensor) -> bool:
    """Whether values are computed by a CPU, also while tracing, when they are nowhere."""
    if keras.backend.backend() == "torch":  # where Keras lists no devices
        return values.device.type == "cpu"
    return _has_only_cpus()


@lru_cache(maxsize=1)
def _has_only_cpus() -> bool:
    return all(device.startswith("cpu") for device in keras.distribution.list_devices())


def _argsort_by_digits(values: Tensor) -> Tensor:
    """Stable `argsort` of float32 along the last axis, of at most a million, by sorts of integers: a radix sort.

    Each sorts some bits of a float's order, low ones first, with the place in the bits below them.
    """
    place_bits = next(bits for bits in _PLACE_BITS if values.shape[-1] <= 1 << bits)
    num_digits = _PLACE_BITS[place_bits]
    digit_bits = -(-32 // num_digits)
    # Bits as an integer are in the order of positive floats, and in reverse that of negative ones. -0 is 0.
    bits = ops.view(ops.where(values == 0, ops.zeros_like(values), values), dtype="int32")
    keys = ops.where(bits < 0, ops.bitwise_xor(bits, 0x7FFFFFFF), bits)
    place = ops.arange(values.shape[-1], dtype="int32")
    order = None
    for number in range(num_digits):
        digit = ops.right_shift(keys, number * digit_bits)
        if number < num_digits - 1:  # the last one has the sign
            digit = ops.bitwise_and(digit, (1 << digit_bits) - 1)
        if order is not None:
            digit = ops.take_along_axis(digit, order, axis=-1)
        step = ops.bitwise_and(ops.sort(digit * (1 << place_bits) + place, axis=-1), (1 << place_bits) - 1)
        order = step if order is None else ops.take_along_axis(order, step, axis=-1)
    return order


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
