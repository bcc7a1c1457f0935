"""The paper's quantile loss on radii, eq. 3 to 5."""

import math
from collections.abc import Callable
from functools import lru_cache

import keras
import numpy as np
from keras import ops

from torusae._internal import checks
from torusae._internal.checks import Tensor
from torusae._internal.sorting import at_ranks, sort_columns
from torusae._internal.tensors import batch_size, constant, counting_dtype, direct_ops
from torusae.losses.base import REDUCTIONS, LatentLoss


def normal_quantiles(count: int, mean: float = 1.0, stddev: float = 0.1) -> np.ndarray:
    """The `count` quantiles of a normal distribution at the middles of equal shares of probability.

    Formula: `q_s = CDF⁻¹((s - ½) / S)` for `s = 1..S`, `CDF⁻¹(z) = μ + √2 σ erf⁻¹(2z - 1)`.

    Args:
        count: Integer, at least 1, `S`.
        mean: Float `μ`. Defaults to `1.0`.
        stddev: Positive float `σ`. Defaults to `0.1`.

    Returns:
        NumPy array `(count,)`, float64, ascending.

    Raises:
        ValueError: If a number is out of range.

    Example:

    >>> import torusae
    >>> torusae.normal_quantiles(3).round(4).tolist()
    [0.9033, 1.0, 1.0967]

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, eq. 3 and 4.
    """
    from scipy import special

    count = checks.positive_int("normal_quantiles", "count", count)
    mean = checks.finite_float("normal_quantiles", "mean", mean)
    stddev = checks.positive_float("normal_quantiles", "stddev", stddev)
    return mean + stddev * special.ndtri((np.arange(count) + 0.5) / count)


def quantile_loss(values: Tensor, quantiles: Tensor, reduction: str = "sum") -> Tensor:
    """Squared distances between the sorted values of a batch and the quantiles of a distribution.

    Formula, with the values of each column sorted along the batch of size `S`: `L = Σ_i Σ_s (r_i,s - q_s)²`. Divided by
    `S` it is the squared 2-Wasserstein distance between the batch and the quantiles.

    Args:
        values: Float tensor `(batch, dim)`.
        quantiles: Float tensor `(batch,)`, ascending, for example `normal_quantiles(batch)`.
        reduction: `"sum"` for eq. 5 as printed, `"normalized"` for the mean over batch and dim. Defaults to `"sum"`.

    Raises:
        ValueError: If a shape does not fit or `reduction` is unknown.

    Example:

    >>> import keras, torusae
    >>> radii = keras.ops.convert_to_tensor([[1.5], [0.5]])
    >>> round(float(torusae.quantile_loss(radii, [0.5, 1.0])), 4)
    0.25

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, eq. 5; footnote 1 for squares.
    """
    checks.option("quantile_loss", "reduction", reduction, REDUCTIONS)
    values = checks.float_tensor("quantile_loss", "values", values, 2, "(batch, dim)")
    quantiles = checks.float_tensor("quantile_loss", "quantiles", quantiles, 1, "(batch,)")
    batch, count = values.shape[0], quantiles.shape[0]
    if isinstance(batch, int) and isinstance(count, int) and batch != count:
        raise ValueError(
            f"quantile_loss: `quantiles` must hold one number per row of `values`. Received: "
            f"quantiles.shape={(count,)}, values.shape={tuple(values.shape)}. Use normal_quantiles({batch})."
        )
    differences = sort_columns(values) - ops.cast(quantiles, values.dtype)  # (dim, batch)
    xp = direct_ops(differences)
    return (xp.sum if reduction == "sum" else xp.mean)(differences * differences)


@keras.saving.register_keras_serializable(package="torusae")
class QuantileLoss(LatentLoss):
    """`quantile_loss` as an object: draws values to a distribution, normal by default, in batches of any size.

    It reads radii, or squared radii where `squared` is true.

    Args:
        mean: Float, mean of the normal distribution. Defaults to `1.0`.
        stddev: Positive float, its standard deviation. Defaults to `0.1`.
        quantile_function: A function from probabilities in (0, 1) to quantiles, in place of the normal distribution. It
            receives a NumPy array where the batch size is known while compiling, else (TensorFlow in `fit`) a float64
            tensor: written with `keras.ops` it works in both cases. To save a model with it, register it with
            `keras.saving.register_keras_serializable`. Defaults to `None`.
        squared: Boolean, whether the values are squares, to compare with squared quantiles. On a latent, the loss then
            reads squared radii, whose gradient is finite at zero. Defaults to `False`.
        reduction: `"normalized"` or `"sum"`. Defaults to `"normalized"`.

    Raises:
        ValueError: If `stddev` is not positive or `reduction` is unknown.

    Example:

    >>> import keras, torusae
    >>> round(float(torusae.QuantileLoss(mean=0.0, stddev=1.0)(keras.ops.zeros((1, 3)))), 4)
    0.0
    """

    def __init__(
        self,
        mean: float = 1.0,
        stddev: float = 0.1,
        quantile_function: Callable[[Tensor], Tensor] | None = None,
        squared: bool = False,
        reduction: str = "normalized",
        name: str = "quantile",
    ):
        super().__init__(name)
        if quantile_function is not None and not callable(quantile_function):
            raise TypeError(
                f"QuantileLoss: `quantile_function` must be None or a function from probabilities to quantiles. "
                f"Received: quantile_function={quantile_function!r}."
            )
        self.mean = float(mean)
        self.stddev = checks.positive_float("QuantileLoss", "stddev", stddev)
        self.quantile_function = quantile_function
        self.squared = bool(squared)
        self.reduction = checks.option("QuantileLoss", "reduction", reduction, REDUCTIONS)
        self.reads = "squared_radii" if self.squared else "radii"

    def quantiles(self, values: Tensor) -> Tensor:
        """The quantiles for a batch of the size of `values`, a float tensor `(batch, dim)`: `(batch,)`."""
        batch, dtype = values.shape[0], keras.backend.standardize_dtype(values.dtype)
        if isinstance(batch, int):
            if self.quantile_function is None:
                return constant(_sorted_quantiles(batch, self.mean, self.stddev, self.squared, dtype), values)
            quantiles = self.quantile_function((np.arange(batch) + 0.5) / batch)
        else:
            quantiles = self._traced_quantiles(ops.cast(values[:, 0], counting_dtype()))
        quantiles = ops.convert_to_tensor(quantiles, dtype=dtype)
        return ops.sort(quantiles * quantiles) if self.squared else quantiles

    def _traced_quantiles(self, column: Tensor) -> Tensor:
        """Eq. 3 and 4 inside a graph that does not know its batch size, in float64."""
        ones = ops.ones_like(column)
        s = ops.cast(ops.cumsum(ones), ones.dtype)  # Keras on torch makes float32 of every cumsum
        probabilities = (s - 0.5) / ops.sum(ones)
        if self.quantile_function is None:
            return self.mean + math.sqrt(2.0) * self.stddev * ops.erfinv(2.0 * probabilities - 1.0)
        try:
            return self.quantile_function(probabilities)
        except Exception as error:
            raise TypeError(
                f"QuantileLoss: `quantile_function` failed on a tensor of probabilities ({error}). The batch size is "
                f"unknown while this model compiles, so the function must be written with keras.ops."
            ) from error

    def call(self, values):
        values = checks.float_tensor("QuantileLoss", "values", values, 2, "(batch, dim)")
        return quantile_loss(values, self.quantiles(values), self.reduction)

    def gradient(self, values):
        factor = 2.0 if self.reduction == "sum" else 2.0 / (batch_size(values) * values.shape[1])
        return factor * (values - at_ranks(self.quantiles(values), values))


@lru_cache(maxsize=64)
def _sorted_quantiles(count: int, mean: float, stddev: float, squared: bool, dtype: str) -> np.ndarray:
    quantiles = normal_quantiles(count, mean, stddev)
    # Squares of quantiles below zero are not ascending.
    return (np.sort(quantiles**2) if squared else quantiles).astype(dtype)
