"""Formulas that spaces share: great circles, straight lines, rotation matrices, actions."""

import math
from functools import lru_cache
from typing import Any

import numpy as np
from keras import ops

from torusae._internal.checks import Tensor
from torusae._internal.tensors import constant
from torusae._internal.vectors import length
from torusae.paths import interpolate
from torusae.spaces.base import Space, path_rows, point_tensors

_NO_DIRECTION = 1e-6  # of a float32 arc: its direction is rounding error
_HALVINGS, _ORDER = 5, 8  # with 32 parts of a turn, eight powers are exact to float32


class GreatCircles(Space):
    """Base of spaces whose shortest paths are great circles of unit vectors: see `on_sphere` and `from_sphere`."""

    num_windings = 1
    turn = 2 * math.pi
    """The angle on the sphere, radians, that an extra turn adds."""

    @staticmethod
    def on_sphere(start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The unit vectors of two points, `(rows, columns)`."""
        return start, end

    @staticmethod
    def from_sphere(points: np.ndarray) -> np.ndarray:
        """The points of unit vectors, `(rows, steps, point_size)`."""
        return points

    def windings(self, start, end):
        """`[[0], [-1]]`: extra turns along the great circle. 0 is the short way, -1 the way around the other side."""
        return ops.convert_to_tensor([[0], [-1]], dtype="int32")

    def paths(self, start, end, windings, num_steps=12):
        """Great circles. A winding is a number of extra turns. Equal or opposite points have any circle of theirs."""
        windings, t = path_rows(f"{type(self).__name__}.paths", windings, 1, num_steps)
        start, end = (np.tile(each, (len(windings), 1)) for each in host(start, end))
        return self._along(start, end, windings[:, 0], t)

    def shortest(self, start, end, t):
        """Points on the shorter arcs of great circles."""
        start, end, t = host(start, end, t)
        return self._along(start, end, 0, t[:, None])[:, 0]

    def _along(self, start: np.ndarray, end: np.ndarray, turns: Any, t: np.ndarray) -> Tensor:
        """Points on the great circles of pairs `(rows, columns)`, with extra turns, at shares `(rows or 1, steps)`."""
        start, end = self.on_sphere(start, end)
        across = end - np.sum(start * end, axis=1, keepdims=True) * start
        # Equal or opposite points lie on many great circles: any will do.
        other = np.eye(start.shape[1])[np.argmin(np.abs(start), axis=1)]
        other = other - np.sum(start * other, axis=1, keepdims=True) * start
        across = np.where(np.linalg.norm(across, axis=1, keepdims=True) < _NO_DIRECTION, other, across)
        across = across / np.linalg.norm(across, axis=1, keepdims=True)
        angle = 2 * np.arctan2(np.linalg.norm(start - end, axis=1), np.linalg.norm(start + end, axis=1))
        steps = ((angle + self.turn * turns)[:, None] * t)[..., None]
        points = self.from_sphere(np.cos(steps) * start[:, None] + np.sin(steps) * across[:, None])
        return ops.convert_to_tensor(points.astype("float32"))


class StraightLines(Space):
    """Base of spaces of numbers whose shortest paths are straight lines."""

    interpolation = "linear"

    def distance(self, a, b):
        """The length of the straight line between points, `(batch,)`."""
        a, b = point_tensors(self, "distance", a=a, b=b)
        return length(a - b)

    def paths(self, start, end, windings, num_steps=12):
        """The path of `interpolation`, once per row of `windings`, which has no columns."""
        windings, t = path_rows(f"{type(self).__name__}.paths", windings, 0, num_steps)
        path = interpolate(start, end, t[0].astype("float32"), self.interpolation)
        return ops.tile(path[None], (len(windings), 1, 1))

    def shortest(self, start, end, t):
        """Points on straight lines."""
        return start + t[:, None] * (end - start)


def rotation_matrices(angles: Tensor, size: int) -> Tensor:
    """`exp` of skew matrices, `(..., size, size)`. Entries are angles in the planes (0, 1), (0, 2), ..., (1, 2), ...

    A single angle in the plane (i, j) turns axis i towards axis j. Negative angles give the inverse.
    """
    angles = ops.convert_to_tensor(angles)
    skew = ops.matmul(angles, constant(_skew_basis(size) / 2.0**_HALVINGS, angles))  # of rank 1 or 2
    skew = ops.reshape(skew, (size, size) if len(angles.shape) == 1 else (-1, size, size))
    identity = constant(np.eye(size), angles)
    turned = identity
    for power in range(_ORDER, 0, -1):
        turned = identity + ops.matmul(skew, turned) / power
    for _ in range(_HALVINGS):
        turned = ops.matmul(turned, turned)
    return turned


@lru_cache(maxsize=32)
def _skew_basis(size: int) -> np.ndarray:
    """One matrix per plane, `(size (size - 1) / 2, size²)`."""
    rows, columns = np.triu_indices(size, 1)
    basis = np.zeros((len(rows), size, size))
    planes = np.arange(len(rows))
    basis[planes, columns, rows], basis[planes, rows, columns] = 1, -1
    return basis.reshape(len(rows), size * size)


def turned(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Matrices `(size, size)` or `(batch, size, size)` times rows of vectors, `(batch, size)`."""
    return ops.matmul(matrices, vectors[..., None])[..., 0]


def host(*points: Tensor) -> list[np.ndarray]:
    """Points as float64 arrays."""
    return [np.asarray(ops.convert_to_numpy(each), "float64") for each in points]
