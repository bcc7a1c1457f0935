"""Gradient balancing: the gradient of latent losses, in the size of the gradient that arrives from the rest of a model.

`fork` makes two copies of the values: one for the model, one for the losses. `join` ties a loss of the second copy to
the first. In the backward pass, `fork` then has both gradients and adds them up.
"""

import dataclasses
import math

from keras import ops

from torusae._internal.checks import Tensor
from torusae._internal.replicas import Replicas
from torusae._internal.tensors import as_float32, native_ops


@dataclasses.dataclass(frozen=True)
class Balance:
    """The balanced gradient `g + G · p / max(1, |p| / limit)` of one step.

    `g` arrives from the rest of the model and `p` from the losses. With `S` rows, over all replicas,
    `G = sqrt(S Σ g²)` and `|p| = sqrt(S Σ p²)`. For the gradients of mean losses these are root mean squares, over the
    samples, of each sample's own gradient.

    Args:
        limit: Float, the largest size of the added gradient, relative to `G`.
        replicas: The `Replicas` of the step.
    """

    limit: float
    replicas: Replicas

    def fork(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Two copies of `values`, `(batch, columns)`. `g` arrives at the first copy, `p` at the second."""

        @ops.custom_gradient
        def doubled(values):
            def gradient(*arguments, upstream=None):
                return self._sum(arguments[-1] if upstream is None else upstream)

            return native_ops.stack([values, values]), gradient

        # One tensor, not two: Keras on torch takes the gradient of a single output.
        return ops.unstack(doubled(values), 2)

    def add(self, values: Tensor, p: Tensor) -> Tensor:
        """Returns `values`. The gradient is that of `fork`, with a `p` that is known."""

        @ops.custom_gradient
        def added(values, p):
            def gradient(*arguments, upstream=None):
                g = arguments[-1] if upstream is None else upstream
                return self._sum(native_ops.stack([g, p])), native_ops.zeros_like(p)

            return values, gradient

        return added(values, p)  # an argument: JAX would let a closure out of a loop that it traces

    def join(self, values: Tensor, loss: Tensor) -> Tensor:
        """Returns `values`. The gradient of `loss`, a scalar, is 1, as if it were a loss of its own."""

        @ops.custom_gradient
        def joined(values, loss):
            def gradient(*arguments, upstream=None):
                g = arguments[-1] if upstream is None else upstream
                # Each replica has the loss of all rows: the gathered gradients add up to as many times that of one.
                return g, native_ops.full_like(loss, 1.0 / self.replicas.size)

            return values, gradient

        return joined(values, loss)

    def _sum(self, both: Tensor) -> Tensor:
        """The balanced sum of `g` and `p`, `(2, batch, columns)`."""
        size, squares = both.shape[1], as_float32(both)
        squares = native_ops.sum(squares * squares, (1, 2))
        if self.replicas.size > 1 or not isinstance(size, int):
            size = self.replicas.sum(ops.cast(ops.shape(both)[1], "float32"))
            squares = self.replicas.sum(squares)
        norms = (size * squares) ** 0.5
        scale = norms[0] / native_ops.clip(norms[1] / self.limit, 1.0, math.inf)
        return both[0] + both[1] * (scale if scale.dtype == both.dtype else ops.cast(scale, both.dtype))
