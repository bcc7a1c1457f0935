"""Angle arithmetic: wrap, difference, polar and Cartesian forms, integer directions. Pure functions.

Angles are in radians, `[-π, π)`; any real input means its value modulo 2π. Points of circles are Cartesian coordinates:
all x values, then all y values. Results are float32 (float64 for float64 input). Input that is not floating-point is a
TypeError; shapes that do not broadcast and an odd or empty last axis of points are a ValueError.
"""

import itertools
import math
from collections.abc import Sequence
from functools import lru_cache

import keras
import numpy as np
from keras import ops

from torusae._internal import checks, units
from torusae._internal.checks import Tensor
from torusae._internal.tensors import constant, direct_ops
from torusae._internal.vectors import MIN_SQUARED_RADIUS, plane_angles

_TURN = 2 * math.pi
_MOST_VECTORS = 1 << 20


def wrap_angles(angles: Tensor, period: float | Sequence[float] = _TURN) -> Tensor:
    """Wraps angles into `[-π, π)`. The gradient is one everywhere. `+π`, as the dtype rounds it, becomes `-π`.

    Args:
        angles: Float tensor of any shape, radians.
        period: Positive float, or one for each column, the entries of the last axis. The result lies in
            `[-period / 2, period / 2)`. Defaults to `2π`.

    Notes:
        Accuracy in float32: exact in `[-π, π)`; up to 500 rad to 4e-7 rad; beyond, to about half a step of float32 at
        the input, 3e-5 rad at 1e3, 0.03 rad at 1e6, 0.5 rad at 1e7. From 1e8, where a step is longer than a period, the
        result is in range, but has no meaning.

    Example:

    >>> import keras, torusae
    >>> wrapped = torusae.wrap_angles(keras.ops.convert_to_tensor([0.5, 6.0, -10.0]))
    >>> [round(float(a), 4) for a in keras.ops.convert_to_numpy(wrapped)]
    [0.5, -0.2832, 2.5664]
    """
    angles = checks.float_tensor("wrap_angles", "angles", angles)
    return _wrap(angles, checks.periods("wrap_angles", period, "angles", angles.shape))


def _wrap(angles: Tensor, period: float | tuple[float, ...]) -> Tensor:
    fixed = ops.stop_gradient(angles)
    # The value has no gradient; a term of value zero has gradient one. So fewer operations are differentiated.
    return _wrapped(fixed, period) + (angles - fixed)


def _wrapped(angles: Tensor, period: float | tuple[float, ...]) -> Tensor:
    xp, dtype = direct_ops(angles), keras.backend.standardize_dtype(angles.dtype)
    if isinstance(period, tuple):
        rows = np.stack([_constants(each, dtype) for each in period], axis=1)
        per_period, leading, rest, half, last = (constant(row, angles) for row in rows)
    else:
        per_period, leading, rest, half, last = _constants(period, dtype)
    turns = xp.round(angles * per_period)  # 0 within [-half, half]
    wrapped = (angles - turns * leading) - turns * rest
    # Near an odd multiple of half a period, the rounded number of turns can be off by one.
    wrapped = xp.where(wrapped >= half, wrapped - 2 * half, wrapped)
    wrapped = xp.where(wrapped < -half, wrapped + 2 * half, wrapped)
    return xp.clip(wrapped, -half, last)


@lru_cache(maxsize=64)
def _constants(period: float, dtype: str) -> tuple[float, ...]:
    """`1 / period`, the period in two parts, half of it, and the last number below that half; for one dtype.

    The leading part has 8 significant bits (Cody & Waite 1980), so that `turns * leading` is exact up to 2^16 turns in
    float32. A period rounded to float32 adds an error with every turn.
    """
    mantissa, exponent = math.frexp(period)
    leading = math.ldexp(math.floor(math.ldexp(mantissa, 8)), exponent - 8)
    half = np.dtype(dtype).type(period / 2)
    # A little below 1 / period: half a period must round down to 0 turns, whichever way the product is rounded.
    per_period = (1 - 2 * float(np.finfo(dtype).eps)) / period
    return per_period, leading, period - leading, float(half), float(np.nextafter(half, np.zeros_like(half)))


def to_radians(values: Tensor, period: float | Sequence[float] = _TURN) -> Tensor:
    """Values of any period as angles: `2π values / period`, from -π to π up to a rounding.

    Values are wrapped before they are scaled, so that large ones, such as hours since 1970, keep their digits.

    Args:
        values: Float tensor `(..., dim)`, in the unit of `period`; any real value is accepted and read modulo it.
        period: Positive float, or one for each column, the entries of the last axis: 24 for hours, 360 for degrees.
            Defaults to `2π`.

    Returns:
        Tensor of the shape of `values`, radians, float32 (float64 for float64 input).

    Raises:
        TypeError: If `values` are not floating-point numbers.
        ValueError: If a period is not positive, or their number is not that of the columns.

    Example:

    >>> import keras
    >>> from torusae.angles import to_radians
    >>> angles = to_radians(keras.ops.convert_to_tensor([[18.0, 90.0]]), period=(24, 360))
    >>> [round(float(a), 4) for a in keras.ops.convert_to_numpy(angles)[0]]
    [-1.5708, 1.5708]
    """
    return _radians("to_radians", values, period)


def _radians(owner: str, values: Tensor, period: float | Sequence[float]) -> Tensor:
    values = checks.float_tensor(owner, "values", values)
    period = checks.periods(owner, period, "values", values.shape)
    wrapped = _wrap(values, period)
    if isinstance(period, tuple):
        return wrapped * constant(_TURN / np.array(period), wrapped)
    return wrapped if period == _TURN else wrapped * (_TURN / period)


def angle_difference(a: Tensor, b: Tensor) -> Tensor:
    """The shortest signed arc from `b` to `a`, in `[-π, π)`; at the antipode `-π`.

    Args:
        a: Float tensor, radians.
        b: Float tensor that broadcasts with `a`, radians.

    Example:

    >>> import keras, torusae
    >>> arc = torusae.angle_difference(keras.ops.convert_to_tensor([3.0]), keras.ops.convert_to_tensor([-3.0]))
    >>> round(float(keras.ops.convert_to_numpy(arc)[0]), 4)
    -0.2832
    """
    a, b = checks.float_pair("angle_difference", a=a, b=b)
    return wrap_angles(wrap_angles(a) - wrap_angles(b))


def split_coordinates(points: Tensor) -> tuple[Tensor, Tensor]:
    """The x and the y values of points `(..., 2 * dim)`, each `(..., dim)`, in at least float32."""
    points = checks.circle_points("split_coordinates", "points", points)
    dim = points.shape[-1] // 2
    return points[..., :dim], points[..., dim:]


def squared_radii(points: Tensor) -> Tensor:
    """`r² = x² + y²` of every circle of points (Mikulski & Duda 2019, eq. 1), `(..., dim)`; smooth at the origin."""
    x, y = split_coordinates(points)
    return x * x + y * y


def polar_angles(points: Tensor) -> Tensor:
    """The angles of `to_polar` alone, `φ = atan2(y, x)` of every circle, `(..., dim)`, radians, `[-π, π)`."""
    x, y = split_coordinates(points)
    return plane_angles(direct_ops(x), x, y, x * x + y * y < MIN_SQUARED_RADIUS)


def to_polar(points: Tensor) -> tuple[Tensor, Tensor]:
    """Polar form of points: `r = sqrt(x² + y²)`, `φ = atan2(y, x)`.

    Value and gradient are finite everywhere. Closer to the origin than `1e-6` both the radius and the angle are 0, with
    gradient 0: the direction of such a point is not known.

    Args:
        points: Float tensor `(..., 2 * dim)`.

    Returns:
        The pair `(radii, angles)`, each `(..., dim)`; radians, `[-π, π)`.

    Example:

    >>> import keras, torusae
    >>> radii, angles = torusae.to_polar(keras.ops.convert_to_tensor([[0.0, 2.0]]))
    >>> float(keras.ops.convert_to_numpy(radii)[0, 0]), round(float(keras.ops.convert_to_numpy(angles)[0, 0]), 4)
    (2.0, 1.5708)

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, eq. 1. The guard at the origin is a torusae choice: the derivative of
        atan2 is NaN there on JAX and TensorFlow.
    """
    x, y = split_coordinates(points)
    xp = direct_ops(x)
    r2 = x * x + y * y
    at_origin = r2 < MIN_SQUARED_RADIUS
    radii = xp.where(at_origin, 0.0, xp.sqrt(xp.where(at_origin, 1.0, r2)))
    return radii, plane_angles(xp, x, y, at_origin)


def to_cartesian(radii: Tensor, angles: Tensor) -> Tensor:
    """The points `(r cos φ, r sin φ)` of radii and angles, `(..., 2 * dim)`.

    Args:
        radii: Float tensor `(..., dim)`.
        angles: Float tensor that broadcasts with `radii`, radians.

    Example:

    >>> import keras, torusae
    >>> points = torusae.to_cartesian(keras.ops.ones((1, 2)), keras.ops.zeros((1, 2)))
    >>> keras.ops.convert_to_numpy(points).tolist()
    [[1.0, 1.0, 0.0, 0.0]]

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, section 4.
    """
    pair = checks.float_pair("to_cartesian", radii=radii, angles=angles)
    units.check_radians("to_cartesian", "angles", angles)
    radii, angles = pair
    return ops.concatenate([radii * ops.cos(angles), radii * ops.sin(angles)], axis=-1)


def harmonics(values: Tensor, num_harmonics: int = 1, period: float | Sequence[float] = _TURN) -> Tensor:
    """Cosines and sines of the multiples `k φ` of angles `φ = 2π values / period`, `k` from 1 to `num_harmonics`.

    All cosines come first, then all sines; within each half, harmonic 1 of all columns, then harmonic 2 of all, and so
    on: points of `num_harmonics * dim` circles with radius 1, whose halves `split_coordinates` returns.

    Args:
        values: Float tensor `(..., dim)`, in the unit of `period`; any real value is accepted and read modulo it.
        num_harmonics: Integer, at least 1. Defaults to `1`.
        period: Positive float, or one for each column, the entries of the last axis: `(24, 7)` for hours and weekdays.
            Defaults to `2π`, radians.

    Returns:
        Tensor `(..., 2 * num_harmonics * dim)`, float32 (float64 for float64 input). NaN and infinity give NaN in their
        own columns.

    Raises:
        TypeError: If `values` are not floating-point numbers, or an argument is of the wrong type.
        ValueError: If a period is not positive, their number is not that of the columns, or `num_harmonics` is below 1.

    Example:

    >>> import keras
    >>> from torusae.angles import harmonics
    >>> waves = harmonics(keras.ops.convert_to_tensor([[6.0]]), num_harmonics=2, period=24)
    >>> [round(float(wave)) + 0 for wave in keras.ops.convert_to_numpy(waves)[0]]  # cos, cos, sin, sin
    [0, -1, 1, 0]

    Reference:
        Hyndman & Athanasopoulos (2021), Forecasting: Principles and Practice, section 7.4 (Fourier terms).
    """
    num_harmonics = checks.positive_int("harmonics", "num_harmonics", num_harmonics)
    angles = _radians("harmonics", values, period)
    if not len(angles.shape):
        raise ValueError("harmonics: `values` must have shape (..., dim). Received: a single number. Give [number].")
    if num_harmonics > 1:
        angles = ops.concatenate([k * angles for k in range(1, num_harmonics + 1)], axis=-1)
    return to_cartesian(ops.ones_like(angles), angles)


def integer_vectors(dim: int, max_frequency: int = 1, interactions: int | None = None) -> np.ndarray:
    """Integer vectors with small entries, one of each pair `k` and `-k`, the shortest first.

    Args:
        dim: Integer, at least 1, the number of circles.
        max_frequency: Integer, at least 1, the largest entry. Defaults to `1`.
        interactions: Integer, at least 1, or `None`: the most entries that are not zero. Defaults to `None`, `dim`.

    Returns:
        int32 array `(num, dim)`; the first entry of a row that is not zero is positive.

    Raises:
        TypeError: If an argument is not an integer.
        ValueError: If an argument is below 1, or there would be more than 2**20 vectors.

    Example:

    >>> from torusae.angles import integer_vectors
    >>> integer_vectors(2).tolist()
    [[0, 1], [1, 0], [1, -1], [1, 1]]
    """
    return _integer_vectors("integer_vectors", dim, max_frequency, interactions).copy()


def primitive_directions(dim: int, max_frequency: int = 1, interactions: int | None = None) -> np.ndarray:
    """Integer directions of a torus, no two on one line: the vectors whose entries have no common divisor.

    A distribution on the torus is uniform if and only if `k·φ` is uniform on the circle along all of them. The
    arguments are those of `integer_vectors`.

    Returns:
        int32 array `(num_directions, dim)`, the shortest first.

    Example:

    >>> import torusae
    >>> torusae.angles.primitive_directions(2).tolist()
    [[0, 1], [1, 0], [1, -1], [1, 1]]

    Reference:
        Weyl (1916), Über die Gleichverteilung von Zahlen mod. Eins.
    """
    vectors = _integer_vectors("primitive_directions", dim, max_frequency, interactions)
    return vectors[np.gcd.reduce(vectors, axis=1) == 1]


def _integer_vectors(owner: str, dim: int, max_frequency: int, interactions: int | None) -> np.ndarray:
    dim = checks.positive_int(owner, "dim", dim)
    max_frequency = checks.positive_int(owner, "max_frequency", max_frequency)
    interactions = dim if interactions is None else checks.positive_int(owner, "interactions", interactions)
    interactions = min(interactions, dim)
    # A sum of more binomials than this would itself take long; it has at least 2 ** interactions vectors.
    count = num_vectors(dim, max_frequency, min(interactions, 64))
    if count > _MOST_VECTORS:
        raise ValueError(
            f"{owner}: `dim`={dim}, `max_frequency`={max_frequency} and `interactions`={interactions} ask for more "
            f"than {_MOST_VECTORS} vectors. Use fewer interactions or a smaller max_frequency."
        )
    return _vectors_of(dim, max_frequency, interactions, count)


def num_vectors(dim: int, max_frequency: int, interactions: int) -> int:
    """The number of integer vectors other than 0, one of `k` and `-k`: entries up to `max_frequency`.

    At most `interactions` of them are not zero.

    Example:

    >>> import torusae
    >>> torusae.angles.num_vectors(2, max_frequency=1, interactions=2)
    4
    """
    return sum(math.comb(dim, m) * (2 * max_frequency) ** m for m in range(1, interactions + 1)) // 2


@lru_cache(maxsize=32)
def _vectors_of(dim: int, max_frequency: int, interactions: int, count: int) -> np.ndarray:
    rows = np.zeros((count, dim), dtype="int32")
    start = 0
    entries = [value for value in range(-max_frequency, max_frequency + 1) if value]
    for m in range(1, interactions + 1):
        values = np.array([row for row in itertools.product(entries, repeat=m) if row[0] > 0], dtype="int32")
        for columns in itertools.combinations(range(dim), m):
            rows[start : start + len(values), columns] = values
            start += len(values)
    return rows[np.lexsort((*rows.T[::-1], (rows**2).sum(axis=1)))]
