"""Gradient balancing: the gradient of latent losses, in the size of the gradient that arrives from the rest of a model.

`fork` makes two copies of the values: one for the model, one for the losses. `join` ties a loss of the second copy to
the first. In the backward pass, `fork` then has both gradients and adds them up.
"""

import math

import keras
from keras import ops

from torusae import distribution
from torusae._internal.backend import direct_ops
from torusae._internal.checks import Tensor


def fork(values: Tensor, limit: float) -> tuple[Tensor, Tensor]:
    """Two copies of `values`, `(batch, columns)`. The gradient is `g + G · p / max(1, |p| / limit)`.

    `g` arrives at the first copy, `p` at the second. With `S` rows, over all replicas, `G = sqrt(S Σ g²)` and
    `|p| = sqrt(S Σ p²)`. For the gradients of mean losses these are root mean squares, over the samples, of each
    sample's own gradient. `limit` is the largest size of the added gradient, relative to `G`.
    """

    @ops.custom_gradient
    def doubled(values):
        def gradient(*arguments, upstream=None):
            return _balanced(arguments[-1] if upstream is None else upstream, limit)

        return direct_ops(values).stack([values, values]), gradient

    # One tensor, not two: Keras on torch takes the gradient of a single output.
    return ops.unstack(doubled(values), 2)


def add(values: Tensor, p: Tensor, limit: float) -> Tensor:
    """Returns `values`. The gradient is that of `fork`, with a `p` that is known."""

    @ops.custom_gradient
    def added(values):
        def gradient(*arguments, upstream=None):
            return _balanced(direct_ops(p).stack([arguments[-1] if upstream is None else upstream, p]), limit)

        return values, gradient

    return added(values)


def _balanced(both: Tensor, limit: float) -> Tensor:
    """The sum of `fork` from the two gradients, `(2, batch, columns)`."""
    xp, size, squares = direct_ops(both), both.shape[1], as_float32(both)
    squares = xp.sum(squares * squares, (1, 2))
    if distribution.num_replicas() > 1 or not isinstance(size, int):
        size = distribution.sum_over_replicas(ops.cast(ops.shape(both)[1], "float32"))
        squares = distribution.sum_over_replicas(squares)
    norms = (size * squares) ** 0.5
    scale = norms[0] / xp.clip(norms[1] / limit, 1.0, math.inf)
    return both[0] + both[1] * (scale if scale.dtype == both.dtype else ops.cast(scale, both.dtype))


def join(values: Tensor, loss: Tensor) -> Tensor:
    """Returns `values`. The gradient of `loss`, a scalar, is 1, as if it were a loss of its own."""

    @ops.custom_gradient
    def joined(values, loss):
        def gradient(*arguments, upstream=None):
            g = arguments[-1] if upstream is None else upstream
            # Each replica has the loss of all rows: the gathered gradients add up to as many times that of one loss.
            return g, direct_ops(loss).full_like(loss, 1.0 / distribution.num_replicas())

        return values, gradient

    return joined(values, loss)


def as_float32(value: Tensor) -> Tensor:
    """A tensor as float32. A cast that changes nothing would cost as much as an operation on torch."""
    return value if keras.backend.standardize_dtype(value.dtype) == "float32" else ops.cast(value, "float32")
