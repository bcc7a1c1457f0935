"""One policy for units: a warning where no angle in radians explains the numbers. It says what to do."""

import warnings
from typing import Any

import numpy as np

from torusae._internal import checks

_TURN = 2 * np.pi
# Below the one no unit can be told; shuffled numbers of more than the other are no angles.
_FEW_TURNS, _MANY_TURNS = 2, 6
_PERIODS = (24, 60, 360, 365, 366)  # hours, minutes, degrees, days of a year
_FEW_POINTS, _NEAR = 20, 0.2  # points less far from radius 1 on average are points of a torus
_FILLED = 0.95  # share of a period between the least and the largest of some numbers of that period


def check_radians(owner: str, name: str, values: Any, period_of: str = "", period: float | None = None) -> None:
    """Warns if a column of `values`, `(..., columns)` or `(num,)`, NaN where missing, looks like another unit.

    A backend's tensor passes: it may be one of a training step. `period_of` is what the `period` is an argument of,
    such as `"Anchor("`; without one the warning names `to_radians`.
    """
    if period is not None or not isinstance(values, (np.ndarray, list, tuple, int, float)):
        return
    array = np.asarray(values, "float64")
    for column in array.reshape(-1, array.shape[-1] if array.ndim > 1 else 1).T:
        known = column[np.isfinite(column)]
        if _is_in_another_unit(known):
            found = float(known[np.abs(known).argmax()])
            unit = "degrees" if abs(found) > 24 else "degrees or hours"
            fix = (
                f"Give {period_of}period=360) for degrees, {period_of}period=24) for hours, or "
                f"{period_of}period=2 * math.pi) if they are radians."
                if period_of
                else f"Use torusae.angles.to_radians({name}, period=360) for degrees, period=24 for hours, or "
                f"torusae.wrap_angles({name}) if they are radians."
            )
            warnings.warn(
                f"{owner}: {name} must be radians. Received: {found:g}, which looks like {unit}. {fix}",
                stacklevel=checks.users_level(),
            )
            return


def check_no_points(owner: str, name: str, rows: np.ndarray) -> None:
    """Warns if rows `(num, columns)` where angles are meant are points around circles of radius 1."""
    if len(rows) >= _FEW_POINTS and rows.shape[1] % 2 == 0:
        x, y = np.split(rows, 2, axis=1)
        near = np.abs(np.hypot(x, y) - 1).mean(axis=0) < _NEAR  # of each circle
        if (near & (np.hypot(x.mean(axis=0), y.mean(axis=0)) < 1 - _NEAR)).all():
            warnings.warn(
                f"{owner}: {name} must be angles. Received: {rows.shape[1]} columns that look like points of "
                f"{rows.shape[1] // 2} circles, all x and then all y. Use torusae.to_polar({name})[1].",
                stacklevel=checks.users_level(),
            )


def _is_in_another_unit(known: np.ndarray) -> bool:
    """Whether numbers `(num,)` are no angles in radians, nor the turns of one: in order, or few and in any order."""
    largest = np.abs(known).max(initial=0.0)
    if largest <= _FEW_TURNS * _TURN or largest >= 1 << 52:  # larger floats are all whole
        return False
    if (2 * known == np.rint(2 * known)).all():  # whole and half numbers
        return True
    if len(known) == 1 or largest > max(_PERIODS):
        return False
    low, high = known.min(), known.max()
    least = -180 if high <= 180 < high - low else 0  # degrees from -180 to 180
    if any(_FILLED * p <= high - low <= p and least <= low and high <= least + p for p in _PERIODS):
        return len(known) > 8
    is_far = largest > _MANY_TURNS * _TURN
    if np.ptp(np.diff(known)) < _TURN and (not is_far or abs(known[0]) <= _TURN or high - low > _FEW_TURNS * _TURN):
        return False  # even steps, or short ones: turns counted on
    if is_far:
        return True
    # Turns counted on from zero lie in the first one too: hours of the working day do not.
    expected = _TURN / largest
    return low >= 0 and expected * len(known) > 8 and (np.abs(known) <= _TURN).mean() < expected / 4


def angle_tensor(owner: str, angles: Any, period: float = _TURN) -> checks.Tensor:
    """Angles `(batch, dim)` as a float tensor; a user's NumPy arrays are checked for their unit too."""
    tensor = checks.float_tensor(owner, "angles", angles, 2, "(batch, dim)")
    if period == _TURN and tensor is not angles:  # the tensor of a training step passes as it is
        check_radians(owner, "angles", checks.as_array(owner, "angles", angles))
    return tensor


def radians(owner: str, name: str, value: Any) -> np.ndarray:
    """Returns angles to turn by as a float64 array, any shape, after checking that they are numbers."""
    array = checks.numpy_array(owner, name, value).astype("float64")
    checks.finite_array(owner, name, array)
    check_radians(owner, name, array)
    return array
