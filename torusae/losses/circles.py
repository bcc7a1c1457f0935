"""Losses of circles: Wasserstein distance to uniform, any loss along integer directions, first moments of pairs."""

import math
from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from torusae._internal import checks, units
from torusae._internal.checks import Tensor
from torusae._internal.sorting import sort_columns
from torusae._internal.tensors import batch_size, columns, direct_ops, positions
from torusae.angles import primitive_directions, wrap_angles
from torusae.losses import _random
from torusae.losses.base import LatentLoss


def circular_wasserstein_loss(angles: Tensor) -> Tensor:
    """Squared 2-Wasserstein distance of a batch to the uniform circle over its largest value, mean over the circles.

    A global force where the spring is a local one: it moves a whole crowd across a circle.

    Formula, with the angles of a circle in turns, sorted: `v_s = u_s - (s - ½) / S`, `W = 12 Var(v) + 1 / S²`. The
    variance is the least over all rotations of the circle.

    Args:
        angles: Float tensor `(batch, dim)`, radians, read modulo 2π.

    Returns:
        Scalar tensor: `1 / batch²` = evenly spaced, `1 / batch` = uniform on average, 1 = all in one point.

    Example:

    >>> import keras, torusae
    >>> round(float(torusae.losses.circular_wasserstein_loss(keras.ops.zeros((4, 1)))), 4)
    1.0

    Reference:
        Bonet et al. (2023), Spherical Sliced-Wasserstein, arXiv:2206.08780, proposition 1.
    """
    angles = units.angle_tensor("circular_wasserstein_loss", angles)
    size = batch_size(angles)
    phi = sort_columns(wrap_angles(angles))  # (dim, batch)
    even = (ops.cast(positions(angles), phi.dtype) + 0.5) * (2 * math.pi / size)
    v, xp = phi - even, direct_ops(phi)
    v = v - xp.mean(v, -1)[:, None]
    return 3 / math.pi**2 * xp.mean(v * v) + 1 / size**2


def sliced_loss(angles: Tensor, directions: Tensor, loss: Callable[[Tensor], Tensor] | None = None) -> Tensor:
    """A loss of single circles along integer directions of the torus: `mean over k of loss(k·φ)`.

    Points are uniform on the torus if and only if `k·φ` is uniform on the circle for every primitive integer `k`.

    Args:
        angles: Float tensor `(batch, dim)`, radians.
        directions: Integer tensor or array `(num_directions, dim)`, no row of zeros, such as
            `primitive_directions(dim)`.
        loss: Function from angles `(batch, num_directions)` to a scalar that is a mean over its columns. Defaults to
            `None`, `circular_wasserstein_loss`.

    Raises:
        TypeError: If `directions` are not integers.
        ValueError: If a shape does not fit or a direction is zero.

    Example:

    >>> import keras, torusae
    >>> angles = keras.ops.convert_to_tensor([[0.0, 0.0], [3.14159265, 3.14159265]])
    >>> round(float(torusae.losses.sliced_loss(angles, [[1, 0], [1, -1]])), 4)
    0.625

    Reference:
        Cuesta-Albertos, Fraiman & Ransford (2007) for projections; Weyl (1916) for integer directions.
    """
    angles = units.angle_tensor("sliced_loss", angles)
    if not ops.is_tensor(directions):
        directions = np.asarray(checks.as_array("sliced_loss", "directions", directions))
        if directions.ndim == 2 and not np.all(np.any(directions != 0, axis=-1)):
            row = int(np.argmin(np.any(directions != 0, axis=-1)))
            raise ValueError(f"sliced_loss: `directions` must hold no row of zeros. Received: zeros in row {row}.")
    if "int" not in str(directions.dtype):
        raise TypeError(
            f"sliced_loss: `directions` must be integers, else k·φ jumps where an angle passes π. "
            f"Received: dtype={directions.dtype}. Use torusae.angles.primitive_directions(dim)."
        )
    if len(directions.shape) != 2 or directions.shape[1] != angles.shape[1]:
        raise ValueError(
            f"sliced_loss: `directions` must have shape (num_directions, {angles.shape[1]}). "
            f"Received: directions.shape={tuple(directions.shape)}."
        )
    k = ops.cast(ops.convert_to_tensor(directions), angles.dtype)
    return (loss or circular_wasserstein_loss)(wrap_angles(angles) @ ops.transpose(k))


def product_moment_loss(angles: Tensor) -> Tensor:
    """How far angles `(batch, dim)`, radians, are from independent in their first moments.

    The mean of a product of independent variables is the product of the means. The paper proposes to use this; here on
    the cosines and sines of every pair of circles. The loss sees no other dependence, and no single circle.

    Formula: mean over pairs of circles of `2 Σ_{f,g ∈ {cos, sin}} (mean f(φ_i) g(φ_j) - mean f(φ_i) mean g(φ_j))²`.

    Returns:
        Scalar tensor between 0 and 1: `2 (batch - 1) / batch²` on average for independent uniform points, 1 for
        `φ_j = ±φ_i`, 0 at `dim` 1.

    Example:

    >>> import numpy as np, torusae
    >>> turn = np.linspace(0, 2 * np.pi, 8, endpoint=False, dtype="float32")
    >>> round(float(torusae.losses.product_moment_loss(np.stack([turn, turn], axis=1))), 4)
    1.0

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, section 5.
    """
    angles = units.angle_tensor("product_moment_loss", angles)
    dim, xp = angles.shape[1], direct_ops(angles)
    if dim == 1:
        return ops.sum(angles) * 0.0
    rows = columns(angles)
    waves = xp.concatenate([xp.cos(rows), xp.sin(rows)], axis=0)  # (2 * dim, batch)
    centred = waves - ops.mean(waves, axis=1, keepdims=True)
    covariance = (centred @ ops.transpose(centred)) / batch_size(angles)
    circle = np.arange(2 * dim) % dim
    between = ops.convert_to_tensor(circle[:, None] != circle[None, :], dtype=angles.dtype)
    # Each pair of circles occurs twice in the matrix.
    return xp.sum(covariance * covariance * between) / (dim * (dim - 1) / 2)


@keras.saving.register_keras_serializable(package="torusae")
class CircularWassersteinLoss(LatentLoss):
    """`circular_wasserstein_loss` as an object. It reads angles."""

    default_weight = 2.0

    def __init__(self, name: str = "circular_wasserstein"):
        super().__init__(name)

    def call(self, values):
        return circular_wasserstein_loss(values)


@keras.saving.register_keras_serializable(package="torusae")
class SlicedLoss(LatentLoss):
    """A loss of single circles along random primitive integer directions. It reads angles. See `sliced_loss`.

    The directions are a hash of the batch and the seed: any other batch has others.

    Args:
        loss: A `LatentLoss` on angles, normalized. Defaults to `None`, `CircularWassersteinLoss()`.
        num_directions: Integer, directions of a batch, drawn with replacement. Defaults to `32`.
        max_frequency: Integer, the largest entry of a direction. Defaults to `2`.
        interactions: Integer or `None`: the most entries that are not zero. Defaults to `3`.
        seed: Integer. Defaults to `0`.

    Raises:
        ValueError: If `loss` does not read angles or a number is out of range.

    Example:

    >>> import keras, torusae
    >>> loss = torusae.losses.SlicedLoss(torusae.SpringLoss(), num_directions=4)
    >>> float(loss(keras.ops.zeros((8, 3))))
    8.0
    """

    default_weight = 20.0

    def __init__(
        self,
        loss: LatentLoss | None = None,
        num_directions: int = 32,
        max_frequency: int = 2,
        interactions: int | None = 3,
        seed: int = 0,
        name: str = "sliced",
    ):
        super().__init__(name)
        self.loss = CircularWassersteinLoss() if loss is None else loss
        if not isinstance(self.loss, LatentLoss):
            raise TypeError(f"SlicedLoss: `loss` must be a LatentLoss such as SpringLoss(). Received: loss={loss!r}.")
        if self.loss.reads != "angles":
            raise ValueError(
                f"SlicedLoss: `loss` must read angles, as SpringLoss() does. Received: {self.loss.name!r}, which reads "
                f"{self.loss.reads!r}."
            )
        self.num_directions = checks.positive_int("SlicedLoss", "num_directions", num_directions)
        self.max_frequency = checks.positive_int("SlicedLoss", "max_frequency", max_frequency)
        self.interactions = interactions and checks.positive_int("SlicedLoss", "interactions", interactions)
        self.seed = checks.positive_int("SlicedLoss", "seed", seed, least=0, most=None)

    def call(self, values):
        values = checks.float_tensor("SlicedLoss", "values", values, 2, "(batch, dim)")
        table = primitive_directions(values.shape[1], self.max_frequency, self.interactions)
        rows = _random.integers(values, self.seed, self.num_directions, len(table))
        directions = ops.take(ops.convert_to_tensor(table, dtype="int32"), rows, axis=0)
        return sliced_loss(values, directions, self.loss)


@keras.saving.register_keras_serializable(package="torusae")
class ProductMomentLoss(LatentLoss):
    """`product_moment_loss` as an object. It reads angles."""

    def __init__(self, name: str = "product_moment"):
        super().__init__(name)

    def call(self, values):
        return product_moment_loss(values)
