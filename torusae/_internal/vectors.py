"""Lengths, directions and angles of vectors, with finite gradients everywhere."""

import math
from typing import Any

import numpy as np
from keras import ops

from torusae._internal.checks import Tensor
from torusae._internal.tensors import constant, direct_ops

# Far below the square of any rounding error, far above the subnormal numbers that XLA and TensorFlow flush to zero.
_MIN_SQUARED_LENGTH = 1e-30

# atan2 and the square root have no finite derivative at the origin. A point with r² below this bound is treated as
# (1, 0): the gradient is zero there and at most 1e6 elsewhere. Not zero: XLA and TensorFlow flush subnormal numbers.
MIN_SQUARED_RADIUS = 1e-12


def length(steps: Tensor) -> Tensor:
    """The Euclidean length of each row, with gradient 0 where it is 0."""
    squares = ops.sum(ops.square(steps), axis=-1)
    # The root has no derivative at 0. The guard goes before the root: the gradient of an unselected NaN is NaN.
    at_zero = squares < _MIN_SQUARED_LENGTH
    return ops.where(at_zero, ops.zeros_like(squares), ops.sqrt(ops.where(at_zero, ops.ones_like(squares), squares)))


def unit(values: Tensor) -> Tensor:
    """Rows of length 1. A row of zeros becomes the first axis, with gradient 0."""
    squares = ops.sum(values * values, axis=-1, keepdims=True)
    first = constant(np.eye(1, values.shape[-1]), values)
    values = ops.where(squares < _MIN_SQUARED_LENGTH, first, values)
    return values / ops.sqrt(ops.sum(values * values, axis=-1, keepdims=True))


def arc(a: Tensor, b: Tensor) -> Tensor:
    """The angle between rows of unit vectors, `[0, π]`: `2 atan2(|a - b|, |a + b|)` (Kahan 2006).

    It is exact for all angles, and its gradient is 0 where the vectors are equal or opposite.
    """
    return 2.0 * direct_ops(a).arctan2(length(a - b), length(a + b))


def plane_angles(xp: Any, x: Tensor, y: Tensor, at_origin: Tensor) -> Tensor:
    """`atan2(y, x)` in `[-π, π)`, by the operations `xp`; 0 where a point is at the origin."""
    # The guard goes before atan2, not after it: the gradient of an unselected NaN is NaN.
    angles = xp.arctan2(xp.where(at_origin, 0.0, y), xp.where(at_origin, 1.0, x))
    return angles - ops.cast(angles >= math.pi, angles.dtype) * (2 * math.pi)  # +π becomes -π
