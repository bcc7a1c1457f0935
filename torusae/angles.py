"""Angle arithmetic: wrap, difference, polar and Cartesian forms, integer directions. Pure functions on `keras.ops`.

Angles are in radians, `[-π, π)`; any real input means its value modulo 2π.
"""

import itertools
import math
from functools import lru_cache

import keras
import numpy as np
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
    if _all_within(angles, period / 2):
        return angles
    # The value by itself, and the gradient, which is one, from a term of value zero: fewer operations to differentiate.
    return _wrapped(ops.stop_gradient(angles), period) + (angles - ops.stop_gradient(angles))


def _all_within(angles: Tensor, half: float) -> bool:
    """Whether nothing is to be wrapped, as with angles of `to_polar`, where that is cheap to know.

    torch on the CPU computes each operation when it is called: this asks with three of them, and saves twenty.
    """
    if keras.backend.backend() != "torch" or not ops.is_tensor(angles) or angles.device.type != "cpu":
        return False
    return bool((ops.abs(angles) < half).all())


def _wrapped(angles: Tensor, period: float) -> Tensor:
    half = ops.convert_to_tensor(period / 2, dtype=angles.dtype)
    turns = ops.cast(ops.floor(angles / period + 0.5), angles.dtype)  # Keras on torch makes float32 of every floor
    # The division rounds: without this, the last number before +π would count as the next turn. +π itself is exactly
    # -π by the first `where` below.
    turns = ops.where(ops.abs(angles) <= half, ops.zeros_like(turns), turns)
    # The period in two parts (Cody & Waite 1980): the first has 8 significant bits, so that turns * leading is exact up
    # to 2**16 turns; with the period rounded to float32 the error would grow with every turn.
    mantissa, exponent = math.frexp(period)
    leading = math.ldexp(math.floor(math.ldexp(mantissa, 8)), exponent - 8)
    wrapped = (angles - turns * leading) - turns * (period - leading)
    # Rounding can leave a value one step outside either end. Whole periods are added.
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
    radii = ops.where(at_origin, 0.0, ops.sqrt(ops.where(at_origin, 1.0, r2)))
    angles = ops.arctan2(ops.where(at_origin, 0.0, y), ops.where(at_origin, 1.0, x))
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


def integer_vectors(dim: int, order: int = 1, interactions: int | None = None, most: int = 1 << 20) -> np.ndarray:
    """Integer vectors with small entries, one of each pair `k` and `-k`, the shortest first.

    Args:
        dim: Integer, at least 1, the number of circles.
        order: Integer, at least 1, the largest entry. Defaults to `1`.
        interactions: Integer, at least 1, or `None`: the most entries that are not zero. Defaults to `None`, `dim`.
        most: Integer, how many vectors are allowed. Defaults to 2**20.

    Returns:
        int32 array `(num, dim)`; the first entry of a row that is not zero is positive.

    Raises:
        TypeError: If a number is not an integer.
        ValueError: If a number is below 1, or there would be more than `most` vectors.

    Example:

    >>> from torusae.angles import integer_vectors
    >>> integer_vectors(2).tolist()
    [[0, 1], [1, 0], [1, -1], [1, 1]]
    """
    return _integer_vectors("integer_vectors", dim, order, interactions, most).copy()


def primitive_directions(dim: int, order: int = 1, interactions: int | None = None) -> np.ndarray:
    """Integer directions of a torus, no two on one line: the vectors whose entries have no common divisor.

    A distribution on the torus is uniform if and only if `k·φ` is uniform on the circle along all of them.

    Args:
        dim: Integer, at least 1, the number of circles.
        order: Integer, at least 1, the largest entry. Defaults to `1`.
        interactions: Integer, at least 1, or `None`: the most entries that are not zero. Defaults to `None`, `dim`.

    Returns:
        int32 array `(num_directions, dim)`, the shortest first; `[[1]]` at `dim` 1.

    Raises:
        TypeError: If a number is not an integer.
        ValueError: If a number is below 1, or there would be more than 2**20 vectors.

    Example:

    >>> import torusae
    >>> torusae.primitive_directions(2).tolist()
    [[0, 1], [1, 0], [1, -1], [1, 1]]

    Reference:
        Weyl (1916), Über die Gleichverteilung von Zahlen mod. Eins.
    """
    vectors = _integer_vectors("primitive_directions", dim, order, interactions, 1 << 20)
    return vectors[np.gcd.reduce(vectors, axis=1) == 1]


@lru_cache(maxsize=32)
def _integer_vectors(owner: str, dim: int, order: int, interactions: int | None, most: int) -> np.ndarray:
    dim = _checks.positive_int(owner, "dim", dim)
    order = _checks.positive_int(owner, "order", order)
    interactions = dim if interactions is None else _checks.positive_int(owner, "interactions", interactions)
    sizes = range(1, min(interactions, dim) + 1)
    count = sum(math.comb(dim, m) * (2 * order) ** m for m in sizes) // 2
    if count > most:
        raise ValueError(
            f"{owner}: `dim`={dim}, `order`={order} and `interactions`={interactions} ask for {count} vectors, more "
            f"than {most}. Use fewer interactions or a smaller order."
        )
    rows = np.zeros((count, dim), dtype="int32")
    start = 0
    entries = [value for value in range(-order, order + 1) if value]
    for m in sizes:
        values = np.array([row for row in itertools.product(entries, repeat=m) if row[0] > 0], dtype="int32")
        for columns in itertools.combinations(range(dim), m):
            rows[start : start + len(values), columns] = values
            start += len(values)
    return rows[np.lexsort((*rows.T[::-1], (rows**2).sum(axis=1)))]
