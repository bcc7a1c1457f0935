"""NumPy arrays of points, angles and times: checked, wrapped, made even, in polar form, in random rows, in blocks."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from keras import ops

from torusae._internal import checks, units
from torusae._internal.checks import Tensor

_GAP = 1.5  # median steps: two rows farther apart in time lack one between them


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


def agreement_of(angles: np.ndarray, others: np.ndarray) -> np.ndarray:
    """How well each of some angles `(num, dim)` follows each of others, `(dim, num_others)`: 1 is equal up to a shift.

    Formula: the larger one of `|mean exp(i (φ - θ))|`, and the same of both made `even`: a uniform loss stretches
    angles, and ranks of angles that are at rest are noise.
    """
    pairs = ((angles, others), (even(angles), even(others)))
    return np.maximum(*(np.abs(np.exp(-1j * each).T @ np.exp(1j * other)) for each, other in pairs)) / len(angles)


def polar(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The radii and angles of points `(num, 2 * dim)` of a torus, each `(num, dim)`; angles in `[-π, π)`."""
    x, y = np.split(points, 2, axis=1)
    return np.hypot(x, y), wrap(np.arctan2(y, x))


def cartesian(radii: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """The points of a torus that have these radii and angles: all x values, then all y values."""
    return np.concatenate([radii * np.cos(angles), radii * np.sin(angles)], axis=1)


def time_steps(owner: str, times: Any, num: int) -> tuple[np.ndarray, np.ndarray]:
    """Increasing times `(num,)`, and which steps `(num - 1,)` between them are gaps: above 1.5 times the median."""
    times = checks.numpy_array(owner, "times", times, numbers=False)
    if times.dtype.kind not in "iufM":
        raise TypeError(
            f"{owner}: `times` must be numbers or `datetime64`. Received: dtype={times.dtype}. Times of a zone: "
            f"times.tz_convert('UTC').tz_localize(None)."
        )
    if times.shape != (num,):
        raise ValueError(f"{owner}: `times` must have shape ({num},), one a row. Received: shape={times.shape}.")
    steps = np.diff(times if times.dtype.kind == "M" else times.astype("float64"))
    wrong = ~(steps > steps.dtype.type(0))  # of NaN and NaT too
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"{owner}: `times` must increase. Received: {times[row]} in row {row}, then {times[row + 1]}. Sort the "
            f"rows by time, keep one of equal times, and call it once for each series."
        )
    lengths = steps.astype("float64")
    return times, lengths > _GAP * np.median(lengths) if num > 1 else lengths > 0


def random_rows(num: int, most: int, seed: int | np.random.Generator | None) -> np.ndarray:
    """The numbers of all rows, or of a random choice of `most` where there are more, in ascending order."""
    if num <= most:
        return np.arange(num)
    return np.sort(np.random.default_rng(seed).choice(num, most, replace=False))


def blocks(num: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` rows, of one at least: what is computed from them fits into memory."""
    return (slice(start, start + max(size, 1)) for start in range(0, num, max(size, 1)))
