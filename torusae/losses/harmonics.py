"""Moments of spherical harmonics of a batch, on spheres and on rotations: the mean of a kernel over all pairs.

The harmonics `Y` of degree `l` on the sphere S^n obey the addition theorem `Σ Y(x) Y(y) = N_l G_l(x·y)`. `N_l` is their
number, `G_l` the Gegenbauer polynomial with `G_l(1) = 1`. So the squared moments of a degree are a mean over pairs.
"""

import math
from functools import lru_cache

import keras
import numpy as np
from keras import ops

from torusae._internal import checks
from torusae._internal.checks import Tensor
from torusae._internal.tensors import batch_size
from torusae._internal.vectors import unit
from torusae.losses.base import LatentLoss

_MOST_DEGREES = 12  # float32 can't hold the coefficients of a higher polynomial


def harmonic_loss(points: Tensor, degree: int = 4, decay: float = 1.0, even: bool = False) -> Tensor:
    """Squared moments of spherical harmonics: 0 when no harmonic up to a degree tells the batch from a uniform sphere.

    Formula, over the harmonics `Y` of degrees `l` from 1 to `degree` on the sphere S^n:
    `F² = Σ w_l (mean Y(x))² / Σ w_l` with `w_l = l^-decay` and harmonics of mean square 1. By the addition theorem
    `F² = mean_{s,t} Σ_l w_l N_l G_l(x_s·x_t) / Σ_l w_l N_l`. On a circle it is `diaphony_loss` with `degree` as
    `max_frequency` and the same `decay`.

    Args:
        points: Float tensor `(batch, n + 1)`, n at least 1. Their directions count alone.
        degree: Integer from 1 to 12, the largest degree. Defaults to `4`.
        decay: Float, not negative: how fast the weights fall with the degree. Defaults to `1.0`.
        even: Boolean, whether only even degrees count. Then `x` and `-x` are the same: the loss of a projective space.
            Defaults to `False`.

    Returns:
        Scalar tensor, float32 (float64 for float64 input): 1 with all points in one place, `1 / batch` on average for
        independent uniform points.

    Raises:
        TypeError: If `points` are not floating-point numbers, or `degree` is not an integer.
        ValueError: If `points` are not of rank 2 or have one column, `degree` is out of range, or `decay` is negative.

    Notes:
        The value couples the whole batch. Cost `O(batch² (n + degree))`, deterministic, invariant to rotations.

    Example:

    >>> import keras, torusae
    >>> poles = keras.ops.convert_to_tensor([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]])
    >>> round(float(torusae.losses.harmonic_loss(poles, degree=1)), 4)
    0.0
    >>> round(float(torusae.losses.harmonic_loss(poles, degree=2, even=True)), 4)
    1.0

    Reference:
        Schoenberg (1942), Positive definite functions on spheres; Choirat & Seri (2013), Numerical properties of
        generalized discrepancies on spheres of arbitrary dimension.
    """
    owner = "harmonic_loss"
    points = checks.float_tensor(owner, "points", points, 2, "(batch, n + 1)")
    checks.option(owner, "even", even, (False, True))
    degree, decay = _checked(owner, degree, decay, least=2 if even else 1)
    if points.shape[1] < 2:
        raise ValueError(f"{owner}: `points` must have 2 or more columns. Received: points.shape={points.shape}.")
    # The derivative of a direction has no part along the radius, which would count in the size of the gradient and move
    # nothing.
    points = unit(points)
    cosines = points @ ops.transpose(points)
    return _mean_over_pairs(cosines * cosines if even else cosines, points.shape[1] - 1, _degrees(degree, even), decay)


def character_loss(rotations: Tensor, degree: int = 2, decay: float = 1.0) -> Tensor:
    """Squared moments of the rotation group's matrix elements: 0 when none tells the batch from Haar measure.

    Formula, with the angle `θ` between two rotations of the batch and the characters `χ_l`:
    `F² = mean_{s,t} Σ_l w_l (2l + 1) χ_l(θ_st) / Σ_l w_l (2l + 1)²`, `χ_l(θ) = sin((2l + 1) θ/2) / sin(θ/2)`,
    `w_l = l^-decay`, `l` from 1 to `degree`. It is `harmonic_loss` of the unit quaternions, even degrees up to
    `2 * degree`.

    Args:
        rotations: Float tensor `(batch, 9)`, rotation matrices row by row.
        degree: Integer from 1 to 6. Defaults to `2`.
        decay: Float, not negative: how fast the weights fall with `l`. Defaults to `1.0`.

    Returns:
        Scalar tensor, float32 (float64 for float64 input): 1 with all rotations equal, `1 / batch` on average for
        independent rotations of Haar measure.

    Raises:
        TypeError: If `rotations` are not floating-point numbers, or `degree` is not an integer.
        ValueError: If `rotations` are not of shape `(batch, 9)`, `degree` is out of range, or `decay` is negative.

    Notes:
        The value couples the whole batch. Cost `O(batch² degree)`, deterministic, invariant to rotations on both sides.

    Example:

    >>> import keras, torusae
    >>> rotations = torusae.spaces.SO3().sample(1, seed=0)
    >>> round(float(torusae.losses.character_loss(rotations)), 4)
    1.0

    Reference:
        Diaconis (1988), Group Representations in Probability and Statistics.
    """
    owner = "character_loss"
    rotations = checks.float_tensor(owner, "rotations", rotations, 2, "(batch, 9)")
    degree, decay = _checked(owner, degree, decay, most=_MOST_DEGREES // 2)
    if rotations.shape[1] != 9:
        raise ValueError(
            f"{owner}: `rotations` must have shape (batch, 9), matrices row by row. "
            f"Received: rotations.shape={tuple(rotations.shape)}."
        )
    # As in `harmonic_loss`. Newton's iteration towards the rotations moves no rotation, and its derivative drops the
    # gradient that leads off them.
    rotations = unit(rotations) * 3**0.5
    matrices = ops.reshape(rotations, (-1, 3, 3))
    cubes = ops.matmul(matrices, ops.matmul(ops.transpose(matrices, (0, 2, 1)), matrices))
    rotations = 1.5 * rotations - 0.5 * ops.reshape(cubes, (-1, 9))
    # The trace of Rᵀ R' is 1 + 2 cos θ, and cos(θ/2) is the cosine between the quaternions.
    squared_cosines = 0.25 * (1.0 + rotations @ ops.transpose(rotations))
    return _mean_over_pairs(squared_cosines, 3, _degrees(2 * degree, True), decay)


def _checked(owner: str, degree: int, decay: float, least: int = 1, most: int = _MOST_DEGREES) -> tuple[int, float]:
    degree = checks.positive_int(owner, "degree", degree, least=least, most=most)
    return degree, checks.positive_float(owner, "decay", decay, zero_allowed=True)


def _mean_over_pairs(variable: Tensor, n: int, degrees: tuple[int, ...], decay: float) -> Tensor:
    """The mean of a kernel over all pairs, of their cosines, or of the squares of these for even degrees."""
    even = all(degree % 2 == 0 for degree in degrees)
    constant, *coefficients = _coefficients(n, degrees, decay)[:: 2 if even else 1]
    values = coefficients[-1] * variable  # by Horner's rule
    for coefficient in coefficients[-2::-1]:
        values = (values + coefficient) * variable
    return ops.sum(values) / batch_size(variable) ** 2 + constant


def _degrees(degree: int, even: bool) -> tuple[int, ...]:
    return tuple(range(2, degree + 1, 2) if even else range(1, degree + 1))


@lru_cache(maxsize=32)
def _coefficients(n: int, degrees: tuple[int, ...], decay: float) -> list[float]:
    """The polynomial `Σ_l w_l N_l G_l(t) / Σ_l w_l N_l` on S^n, the constant first."""
    weights = {degree: (degree / degrees[0]) ** -decay * num_harmonics(n, degree) for degree in degrees}
    variable = np.polynomial.Polynomial([0.0, 1.0])
    gegenbauer = [np.polynomial.Polynomial([1.0]), variable]
    for m in range(1, max(degrees)):
        gegenbauer.append(((2 * m + n - 1) * variable * gegenbauer[m] - m * gegenbauer[m - 1]) / (m + n - 1))
    kernel = sum(weight * gegenbauer[degree] for degree, weight in weights.items()) / sum(weights.values())
    return [float(coefficient) for coefficient in kernel.coef]


def num_harmonics(n: int, degree: int) -> int:
    """The number of spherical harmonics of a degree of at least 1 on S^n."""
    return math.comb(n + degree, n) - (math.comb(n + degree - 2, n) if degree > 1 else 0)


@keras.saving.register_keras_serializable(package="torusae")
class HarmonicLoss(LatentLoss):
    """Squared moments of spherical harmonics as an object. It reads points. See `harmonic_loss`.

    A batch of `S` independent uniform points has the loss `1 / S` on average.

    Args:
        degree: Integer from 1 to 12, the largest degree. Defaults to `4`.
        decay: Float, not negative. Defaults to `1.0`.
        even: Boolean, whether only even degrees count. Defaults to `False`.
        name: String. Defaults to `"harmonics"`.

    Raises:
        TypeError: If `degree` is not an integer.
        ValueError: If `degree` is out of range, or `decay` is negative.

    Example:

    >>> import keras, torusae
    >>> round(float(torusae.losses.HarmonicLoss()(keras.ops.convert_to_tensor([[0.0, 0.6, 0.8]]))), 4)
    1.0

    Reference:
        Schoenberg (1942).
    """

    reads = "point"
    default_weight = 3.0

    def __init__(self, degree: int = 4, decay: float = 1.0, even: bool = False, name: str = "harmonics"):
        super().__init__(name)
        self.even = checks.option("HarmonicLoss", "even", even, (False, True))
        self.degree, self.decay = _checked("HarmonicLoss", degree, decay, least=2 if even else 1)

    def call(self, values):
        return harmonic_loss(values, self.degree, self.decay, self.even)


@keras.saving.register_keras_serializable(package="torusae")
class CharacterLoss(LatentLoss):
    """Squared moments of the rotation group as an object. It reads points. See `character_loss`.

    A batch of `S` independent rotations of Haar measure has the loss `1 / S` on average.

    Args:
        degree: Integer from 1 to 6. Defaults to `2`.
        decay: Float, not negative. Defaults to `1.0`.
        name: String. Defaults to `"characters"`.

    Raises:
        TypeError: If `degree` is not an integer.
        ValueError: If `degree` is out of range, or `decay` is negative.

    Example:

    >>> import keras, torusae
    >>> round(float(torusae.losses.CharacterLoss()(keras.ops.reshape(keras.ops.eye(3), (1, 9)))), 4)
    1.0

    Reference:
        Diaconis (1988).
    """

    reads = "point"
    default_weight = 3.0

    def __init__(self, degree: int = 2, decay: float = 1.0, name: str = "characters"):
        super().__init__(name)
        self.degree, self.decay = _checked("CharacterLoss", degree, decay, most=_MOST_DEGREES // 2)

    def call(self, values):
        return character_loss(values, self.degree, self.decay)
