"""Angle arithmetic: wrap, difference, polar and Cartesian forms. Pure functions on `keras.ops`.

Angles are in radians, `[-π, π)`; any real input means its value modulo 2π.
"""

import math

from keras import ops

from torusae import _checks
from torusae._checks import Tensor

# atan2 and the square root have no finite derivative at the origin. Where r² is below this bound, the point is taken
# for (1, 0) before atan2, so the gradient is zero there and at most 1e6 elsewhere. A comparison with zero would not do:
# XLA and TensorFlow flush subnormal numbers.
_MIN_SQUARED_RADIUS = 1e-12


def wrap_angles(angles: Tensor, period: float = 2 * math.pi) -> Tensor:
    """Wraps angles into `[-π, π)`.

    Angles are in radians; any real value is accepted and read modulo 2π. The gradient is one everywhere. The result is
    never `+π` (as the dtype rounds it): `+π` becomes `-π`.

    Args:
        angles: Float tensor of any shape, radians.
        period: Positive float. The result lies in `[-period / 2, period / 2)`. Defaults to `2π`.

    Returns:
        Tensor of the shape of `angles`, float32 (float64 for float64 input).

    Raises:
        TypeError: If `angles` are not floating-point numbers.
        ValueError: If `period` is not positive.

    Example:

    >>> import keras, torusae
    >>> wrapped = torusae.wrap_angles(keras.ops.convert_to_tensor([0.5, 6.0, -10.0]))
    >>> [round(float(a), 4) for a in keras.ops.convert_to_numpy(wrapped)]
    [0.5, -0.2832, 2.5664]
    """
    period = _checks.positive_float("wrap_angles", "period", period)
    angles = _checks.float_tensor("wrap_angles", "angles", angles)
    half = ops.convert_to_tensor(period / 2, dtype=angles.dtype)
    turns = ops.cast(ops.floor(angles / period + 0.5), angles.dtype)  # Keras on torch makes float32 of every floor
    # The division rounds: without this, the last number before +π would count as the next turn. +π itself is exactly
    # -π by the first `where` below.
    turns = ops.where((angles >= -half) & (angles <= half), ops.zeros_like(turns), turns)
    # The period in two parts (Cody & Waite 1980): the first has 8 significant bits, so that turns * leading is exact up
    # to 2**16 turns; with the period rounded to float32 the error would grow with every turn.
    mantissa, exponent = math.frexp(period)
    leading = math.ldexp(math.floor(math.ldexp(mantissa, 8)), exponent - 8)
    wrapped = (angles - turns * leading) - turns * (period - leading)
    # Rounding can leave a value one step outside either end. Whole periods are added, so that the gradient stays one.
    wrapped = ops.where(wrapped >= half, wrapped - 2 * half, wrapped)
    return ops.where(wrapped < -half, wrapped + 2 * half, wrapped)


def angle_difference(a: Tensor, b: Tensor) -> Tensor:
    """The shortest signed arc from `b` to `a`, in `[-π, π)`.

    Angles are in radians; any real value is accepted and read modulo 2π. At the antipode, where both ways are equally
    long, the result is `-π`.

    Args:
        a: Float tensor, radians.
        b: Float tensor that broadcasts with `a`, radians.

    Returns:
        Tensor of the broadcast shape, `a - b` wrapped.

    Raises:
        TypeError: If `a` or `b` are not floating-point numbers.

    Example:

    >>> import keras, torusae
    >>> arc = torusae.angle_difference(keras.ops.convert_to_tensor([3.0]), keras.ops.convert_to_tensor([-3.0]))
    >>> round(float(keras.ops.convert_to_numpy(arc)[0]), 4)
    -0.2832
    """
    a = wrap_angles(a)
    b = wrap_angles(b)
    return wrap_angles(a - b)


def split_code(code: Tensor) -> tuple[Tensor, Tensor]:
    """The x and the y values of a code, each `(..., dim)`, in at least float32.

    Args:
        code: Float tensor `(..., 2 * dim)`, all x values first, then all y values.

    Returns:
        The pair `(x, y)`.

    Raises:
        ValueError: If the last axis is odd or empty.
    """
    code = _checks.code_tensor("split_code", "code", code)
    dim = code.shape[-1] // 2
    return code[..., :dim], code[..., dim:]


def squared_radii(code: Tensor) -> Tensor:
    """`r² = x² + y²` of every circle (Mikulski & Duda 2019, eq. 1), `(..., dim)`; smooth at the origin.

    Args:
        code: Float tensor `(..., 2 * dim)`.

    Returns:
        Tensor `(..., dim)`.
    """
    x, y = split_code(code)
    return x * x + y * y


def to_polar(code: Tensor) -> tuple[Tensor, Tensor]:
    """Polar form of a code: `r = sqrt(x² + y²)`, `φ = atan2(y, x)`.

    Value and gradient are finite everywhere. Closer to the origin than `1e-6` both the radius and the angle are 0, with
    gradient 0: the direction of such a point is not known.

    Args:
        code: Float tensor `(..., 2 * dim)`, all x values first, then all y values.

    Returns:
        The pair `(radii, angles)`, each `(..., dim)`, float32 (float64 for float64 input); radians, `[-π, π)`. On
        torch, angles of float64 codes hold no more than float32's digits: Keras computes atan2 so there.

    Raises:
        TypeError: If `code` does not hold floating-point numbers.
        ValueError: If the last axis of `code` is odd or empty.

    Example:

    >>> import keras, torusae
    >>> radii, angles = torusae.to_polar(keras.ops.convert_to_tensor([[0.0, 2.0]]))
    >>> float(keras.ops.convert_to_numpy(radii)[0, 0]), round(float(keras.ops.convert_to_numpy(angles)[0, 0]), 4)
    (2.0, 1.5708)

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, eq. 1. The guard at the origin is a torusae choice: the derivative of
        atan2 is NaN there on JAX and TensorFlow.
    """
    x, y = split_code(code)
    r2 = x * x + y * y
    at_origin = r2 < _MIN_SQUARED_RADIUS
    # The guard goes before sqrt and atan2, not only after: the gradient of an unselected NaN is NaN.
    r2 = ops.where(at_origin, ops.ones_like(r2), r2)
    radii = ops.where(at_origin, ops.zeros_like(r2), ops.sqrt(r2))
    angles = ops.arctan2(ops.where(at_origin, ops.zeros_like(y), y), ops.where(at_origin, ops.ones_like(x), x))
    # Keras on torch computes atan2 in float32, whatever it is given.
    return radii, wrap_angles(ops.cast(angles, radii.dtype))


def to_cartesian(radii: Tensor, angles: Tensor) -> Tensor:
    """The code `(r cos φ, r sin φ)` of radii and angles, all x values first, then all y values.

    Angles are in radians; any real value is accepted and read modulo 2π.

    Args:
        radii: Float tensor `(..., dim)`.
        angles: Float tensor that broadcasts with `radii`, radians.

    Returns:
        Tensor `(..., 2 * dim)`.

    Raises:
        TypeError: If `radii` or `angles` are not floating-point numbers.

    Example:

    >>> import keras, torusae
    >>> code = torusae.to_cartesian(keras.ops.ones((1, 2)), keras.ops.zeros((1, 2)))
    >>> keras.ops.convert_to_numpy(code).tolist()
    [[1.0, 1.0, 0.0, 0.0]]

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, section 4.
    """
    radii = _checks.float_tensor("to_cartesian", "radii", radii)
    angles = _checks.float_tensor("to_cartesian", "angles", angles)
    return ops.concatenate([radii * ops.cos(angles), radii * ops.sin(angles)], axis=-1)
