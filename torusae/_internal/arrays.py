"""NumPy arrays of points and angles: checked, wrapped, made even, in polar form, in random rows, in blocks."""

import math
from collections.abc import Iterator

import numpy as np
from keras import ops

from torusae._internal import checks, units
from torusae._internal.checks import Tensor


def float_array(owner: str, name: str, value: Tensor, rank: int | None = None, layout: str = "") -> np.ndarray:
    """Floating-point numbers as a finite float64 NumPy array."""
    value = checks.as_array(owner, name, value, numbers=False)
    tensor = checks.float_tensor(owner, name, value, rank, layout)
    # A NumPy array skips the tensor: JAX would round it to float32.
    array = np.asarray(value if isinstance(value, np.ndarray) else ops.convert_to_numpy(tensor), "float64")
    checks.finite_array(owner, name, array)
    return array


def float_rows(owner: str, name: str, values: Tensor, least: int = 1) -> np.ndarray:
    """As `float_array`, of shape `(num, dim)`, with at least so many rows."""
    rows = float_array(owner, name, values, 2, "(num, dim)")
    if len(rows) < least:
        raise ValueError(f"{owner}: `{name}` must hold at least {least} rows. Received: {name}.shape={rows.shape}.")
    return rows


def angle_rows(owner: str, angles: Tensor, name: str = "angles") -> np.ndarray:
    """As `float_rows`, in `[-π, π)`, with a warning where they look like degrees or hours."""
    rows = float_rows(owner, name, angles)
    units.check_radians(owner, name, rows)
    return wrap(rows)


def wrap(angles: np.ndarray) -> np.ndarray:
    """Angles in `[-π, π)`, exact where they lie there: `wrap_angles` of float64, whatever the backend."""
    angles = angles - 2 * math.pi * np.round(angles / (2 * math.pi))
    # The number of turns is rounded, and half a turn to an even number: up to either end, or an ulp beyond it.
    return np.where(angles >= math.pi, -math.pi, np.maximum(angles, -math.pi))


def even(angles: np.ndarray) -> np.ndarray:
    """Angles `(num, dim)` made even: their ranks, over a whole turn. Stretched and squeezed circles become the same."""
    ranks = np.argsort(np.argsort(wrap(angles), axis=0, kind="stable"), axis=0, kind="stable")
    return ranks * (2 * math.pi / len(angles)) - math.pi


def polar(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The radii and angles of points `(num, 2 * dim)` of a torus, each `(num, dim)`; angles in `[-π, π)`."""
    x, y = np.split(points, 2, axis=1)
    return np.hypot(x, y), wrap(np.arctan2(y, x))


def cartesian(radii: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """The points of a torus that have these radii and angles: all x values, then all y values."""
    return np.concatenate([radii * np.cos(angles), radii * np.sin(angles)], axis=1)


def random_rows(num: int, most: int, seed: int | np.random.Generator | None) -> np.ndarray:
    """The numbers of all rows, or of a random choice of `most` where there are more, in ascending order."""
    if num <= most:
        return np.arange(num)
    return np.sort(np.random.default_rng(seed).choice(num, most, replace=False))


def blocks(num: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` rows, of one at least: what is computed from them fits into memory."""
    return (slice(start, start + max(size, 1)) for start in range(0, num, max(size, 1)))
