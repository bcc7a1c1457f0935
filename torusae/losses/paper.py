"""The paper's losses: the spring on angles and the quantiles of radii, eq. 2 to 5."""

import math
from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist

import keras
import numpy as np
from keras import ops

from torusae import _checks
from torusae._checks import Tensor
from torusae.angles import wrap_angles
from torusae.losses.base import REDUCTIONS, LatentLoss, batch_size, sort_rows


def spring_loss(angles: Tensor, period: float = 2 * math.pi, reduction: str = "sum", order: int = 1) -> Tensor:
    """Spring loss: the sum of squared gaps between neighbouring angles of a batch on every circle.

    Springs joined in a ring around a cylinder: the gaps sum to one period, so their squares are least when they are
    equal. Known in statistics as Greenwood's statistic (1946).

    Formula, with the angles of each circle sorted along the batch of size `S`:
    `L = Σ_i [(φ_i,1 + τ - φ_i,S)² + Σ_{s<S} (φ_i,s - φ_i,s+1)²]`.

    Angles are in radians; any real value is accepted and read modulo the period.

    Args:
        angles: Float tensor `(batch, dim)`, batch at least 1.
        period: Positive float `τ`. Defaults to `2π`.
        reduction: `"sum"` for eq. 2 as printed: between `dim τ² / batch` (evenly spaced) and `dim τ²` (all in one
            point). `"normalized"` divides by the minimum: 1 = evenly spaced, `2 batch / (batch + 1)` = independent
            uniform points on average, `batch` = all in one point. The gradient of the sum falls as `1 / batch²`, that
            of the normalized form as `1 / batch`, as in any mean loss. Defaults to `"sum"`.
        order: Integer `m`, at least 1: springs between `m`-th neighbours, which see slow unevenness that the paper's
            `m = 1` hardly does. The sum is then least at `dim m² τ² / batch`, and the normalized form of independent
            uniform points `(m + 1) / m · batch / (batch + 1)` on average. Defaults to `1`.

    Returns:
        Scalar tensor, float32 (float64 for float64 input).

    Raises:
        TypeError: If `angles` are not floating-point numbers, or `order` not an integer.
        ValueError: If `angles` are not of rank 2, `period` is not positive, `order` is below 1 or `reduction` is
            unknown.

    Notes:
        The value couples the whole batch. In a batch of at most `m` angles an `m`-th neighbour lies full turns away.
        Cost `O(dim batch log batch)`. Among equal angles the order in the batch
        decides which one gets which part of the gradient.

    Example:

    >>> import keras, torusae
    >>> angles = keras.ops.convert_to_tensor([[0.0], [3.14159265]])
    >>> float(torusae.spring_loss(angles, reduction="normalized"))
    1.0

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, eq. 2; Cressie (1976) for `m`-th neighbours. The normalized form is a
        torusae choice.
    """
    order = _checks.positive_int("spring_loss", "order", order)
    period = _checks.positive_float("spring_loss", "period", period)
    _checks.option("spring_loss", "reduction", reduction, REDUCTIONS)
    angles = _checks.float_tensor("spring_loss", "angles", angles, 2, "(batch, dim)")
    dim = angles.shape[1]
    phi = sort_rows(wrap_angles(angles, period))  # (batch, dim) -> (dim, batch)
    # In turns, so that evenly spaced angles give 1 without the rounding of period²; a gap of neighbours is exact, and
    # would not be as a difference of turns. `roll` has a roll as its gradient, where slices would fill up zeros.
    ways = (ops.roll(phi, -order, axis=-1) - phi) / period + _turns_to_neighbour(angles, order)
    loss = ops.sum(ops.square(ways))
    if reduction == "normalized":
        return loss * batch_size(angles) / (dim * order**2)
    return loss * period**2


def _turns_to_neighbour(angles: Tensor, order: int) -> Tensor:
    """How often the way from each sorted angle to the m-th after it passes the cut, in turns, `(batch,)`."""
    size = batch_size(angles)
    if isinstance(size, int):
        return ops.convert_to_tensor((np.arange(size) + order) // size, dtype=angles.dtype)
    place = ops.cumsum(ops.ones_like(ops.stop_gradient(angles[:, 0]))) - 1
    return ops.floor((place + order + 0.5) / size)


@lru_cache(maxsize=64)
def _standard_normal_quantiles(count: int) -> np.ndarray:
    inverse_cdf = NormalDist().inv_cdf
    quantiles = np.array([inverse_cdf((s - 0.5) / count) for s in range(1, count + 1)])
    quantiles.setflags(write=False)  # one array serves every caller
    return quantiles


def normal_quantiles(count: int, mean: float = 1.0, stddev: float = 0.1) -> np.ndarray:
    """The `count` quantiles of a normal distribution at the middles of equal shares of probability.

    Formula: `q_s = CDF⁻¹((s - ½) / S)` for `s = 1..S`, `CDF⁻¹(z) = μ + √2 σ erf⁻¹(2z - 1)`.

    Args:
        count: Integer, at least 1, the number of quantiles `S`.
        mean: Float `μ`. Defaults to `1.0`.
        stddev: Positive float `σ`. Defaults to `0.1`.

    Returns:
        NumPy array `(count,)`, float64, ascending, exact to float64.

    Raises:
        TypeError: If `count` is not an integer.
        ValueError: If `count` is below 1 or `stddev` is not positive.

    Example:

    >>> import torusae
    >>> torusae.normal_quantiles(3).round(4).tolist()
    [0.9033, 1.0, 1.0967]

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, eq. 3 and 4.
    """
    count = _checks.positive_int("normal_quantiles", "count", count)
    stddev = _checks.positive_float("normal_quantiles", "stddev", stddev)
    return mean + stddev * _standard_normal_quantiles(count)


def quantile_loss(values: Tensor, quantiles: Tensor, reduction: str = "sum") -> Tensor:
    """Quantile loss: squared distances between the sorted values of a batch and the quantiles of a distribution.

    Formula, with the values of each column sorted along the batch of size `S`: `L = Σ_i Σ_s (r_i,s - q_s)²`.
    Divided by `S` it is the squared 2-Wasserstein distance between the batch and the quantiles.

    Args:
        values: Float tensor `(batch, dim)`.
        quantiles: Float tensor `(batch,)`, ascending, for example `normal_quantiles(batch)`.
        reduction: `"sum"` for eq. 5 as printed, `"normalized"` for the mean over batch and dim. Defaults to `"sum"`.

    Returns:
        Scalar tensor, float32 (float64 for float64 input).

    Raises:
        TypeError: If `values` are not floating-point numbers.
        ValueError: If a shape does not fit or `reduction` is unknown.

    Notes:
        The value couples the whole batch. Cost `O(dim batch log batch)`.

    Example:

    >>> import keras, torusae
    >>> radii = keras.ops.convert_to_tensor([[1.5], [0.5]])
    >>> round(float(torusae.quantile_loss(radii, [0.5, 1.0])), 4)
    0.25

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, eq. 5.
    """
    _checks.option("quantile_loss", "reduction", reduction, REDUCTIONS)
    values = _checks.float_tensor("quantile_loss", "values", values, 2, "(batch, dim)")
    quantiles = _checks.float_tensor("quantile_loss", "quantiles", quantiles, 1, "(batch,)")
    batch, count = values.shape[0], quantiles.shape[0]
    if isinstance(batch, int) and isinstance(count, int) and batch != count:
        raise ValueError(
            f"quantile_loss: `quantiles` must hold one number per row of `values`. Received: "
            f"quantiles.shape={(count,)}, values.shape={tuple(values.shape)}. Use normal_quantiles({batch})."
        )
    q = ops.cast(quantiles, values.dtype)
    squares = ops.square(sort_rows(values) - q)  # (dim, batch)
    return ops.sum(squares) if reduction == "sum" else ops.mean(squares)


@keras.saving.register_keras_serializable(package="torusae")
class SpringLoss(LatentLoss):
    """Spring loss as an object: spaces a batch's angles evenly around each circle. See `spring_loss`.

    Args:
        period: Positive float. Defaults to `2π`.
        reduction: `"normalized"` or `"sum"`. Defaults to `"normalized"`.
        name: String. Defaults to `"spring"`.
        order: Integer, at least 1, which neighbours the springs join. Defaults to `1`, as the paper.

    Raises:
        TypeError: If `order` is not an integer.
        ValueError: If `period` is not positive, `order` is below 1 or `reduction` is unknown.

    Example:

    >>> import keras, torusae
    >>> float(torusae.SpringLoss()(keras.ops.zeros((4, 1))))
    4.0

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, eq. 2.
    """

    default_weight = 1.0

    def __init__(
        self, period: float = 2 * math.pi, reduction: str = "normalized", name: str = "spring", order: int = 1
    ):
        super().__init__(name)
        self.order = _checks.positive_int("SpringLoss", "order", order)
        self.period = _checks.positive_float("SpringLoss", "period", period)
        self.form = _checks.option("SpringLoss", "reduction", reduction, REDUCTIONS)

    def call(self, values):
        return spring_loss(values, self.period, self.form, self.order)

    def get_config(self):
        return {**super().get_config(), "period": self.period, "reduction": self.form, "order": self.order}


@keras.saving.register_keras_serializable(package="torusae")
class QuantileLoss(LatentLoss):
    """Quantile loss as an object: pulls values to a distribution, normal by default. See `quantile_loss`.

    Works with any batch size, the last smaller batch included: the quantiles are made for the batch at hand.

    Args:
        mean: Float, mean of the normal distribution. Defaults to `1.0`.
        stddev: Positive float, its standard deviation. Defaults to `0.1`.
        quantile_function: `None` for the normal distribution, else a function from probabilities in (0, 1) to
            quantiles, which replaces it; `mean` and `stddev` are then not used. It is given a NumPy array where the
            batch size is known while compiling, else (TensorFlow in `fit`) a float64 tensor: written with `keras.ops`
            it works in both cases. To save a model with it, register it with
            `keras.saving.register_keras_serializable`. Defaults to `None`.
        squared: Boolean, whether the values are squares and are compared with squared quantiles. On a latent, the loss
            then reads squared radii and avoids the derivative of the root at zero. Defaults to `False`.
        reduction: `"normalized"` or `"sum"`. Defaults to `"normalized"`.
        name: String. Defaults to `"quantile"`.

    Raises:
        TypeError: If `quantile_function` can't be called.
        ValueError: If `stddev` is not positive or `reduction` is unknown.

    Example:

    >>> import keras, torusae
    >>> loss = torusae.QuantileLoss(mean=0.0, stddev=1.0)
    >>> round(float(loss(keras.ops.zeros((1, 3)))), 4)
    0.0

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, eq. 3 to 5 and footnote 1 (`squared`).
    """

    default_weight = 60.0

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
        self.stddev = _checks.positive_float("QuantileLoss", "stddev", stddev)
        self.quantile_function = quantile_function
        self.squared = bool(squared)
        self.form = _checks.option("QuantileLoss", "reduction", reduction, REDUCTIONS)
        self.part = "squared_radii" if self.squared else "radii"

    def quantiles(self, values: Tensor) -> Tensor:
        """The quantiles for a batch of the size of `values`, `(batch,)`."""
        batch = values.shape[0]
        if isinstance(batch, int):
            if self.quantile_function is None:
                quantiles = normal_quantiles(batch, self.mean, self.stddev)
            else:
                quantiles = self.quantile_function((np.arange(batch) + 0.5) / batch)
        else:
            # JAX has no float64 unless its user asks for it; it comes here only for shapes, never for numbers.
            dtype = "float32" if keras.backend.backend() == "jax" else "float64"
            quantiles = self._traced_quantiles(ops.cast(values[:, 0], dtype))
        quantiles = ops.convert_to_tensor(quantiles, dtype=_checks.working_dtype(values.dtype))
        # Sorted again: the squares of quantiles below zero are not ascending.
        return ops.sort(ops.square(quantiles)) if self.squared else quantiles

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
        values = ops.convert_to_tensor(values)
        return quantile_loss(values, self.quantiles(values), self.form)

    def get_config(self):
        return {
            **super().get_config(),
            "mean": self.mean,
            "stddev": self.stddev,
            "quantile_function": keras.saving.serialize_keras_object(self.quantile_function),
            "squared": self.squared,
            "reduction": self.form,
        }

    @classmethod
    def from_config(cls, config):
        """Returns the loss that `get_config` describes."""
        config = dict(config)
        config["quantile_function"] = keras.saving.deserialize_keras_object(config["quantile_function"])
        return cls(**config)
