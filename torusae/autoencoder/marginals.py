"""What probabilities on a grid of angles say: a direction, an error, an arc, a number of modes. NumPy, float64.

The grid has `size` angles `-π + 2π k / size`, one cell around each. Rows of probabilities `(num, size)` sum to 1.
"""

import numpy as np

from torusae._internal.arrays import wrap

_TURN = 2 * np.pi
_STARTS, _FINER = 32, 8  # shares of the mass at which arcs begin, and those between two of them
LEAST_MASS = 0.05  # of a mode worth naming
_VALLEY = 0.5  # the density between two modes, as a share of the lower one, below which they are two
_RIPPLE = 1e-4  # of the highest density: what lies lower is no mode


def angles_of(size: int) -> np.ndarray:
    """The angles of a grid, `(size,)`, radians."""
    return -np.pi + _TURN / size * np.arange(size)


def finer(rows: np.ndarray, times: int) -> np.ndarray:
    """The same densities on a grid so many times finer, by trigonometric interpolation, `(num, times * size)`."""
    size = rows.shape[1]
    waves = np.fft.rfft(rows, axis=1)
    waves[:, -1] *= 1 if size % 2 else 0.5  # the highest one of an even size stands for two
    found = np.maximum(np.fft.irfft(waves, times * size, axis=1), 0.0)
    return found / found.sum(axis=1, keepdims=True)


def direction_and_error(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean directions and circular standard deviations `sqrt(-2 log R)`, `(num,)` each, radians.

    `R` is the length of the mean of the unit vectors. Mardia and Jupp (2000), Directional Statistics, section 2.3.
    """
    angles = angles_of(rows.shape[1])
    mean = np.arctan2(rows @ np.sin(angles), rows @ np.cos(angles))
    # 1 - R as a mean of positive numbers: it keeps its digits where R is nearly 1.
    lost = np.einsum("ng,ng->n", rows, np.square(np.sin((angles - mean[:, None]) / 2))) * 2
    with np.errstate(divide="ignore"):
        return wrap(mean), np.sqrt(-2 * np.log1p(-np.clip(lost, 0.0, 1.0)))


def smallest_arcs(rows: np.ndarray, level: float) -> np.ndarray:
    """The start and the end of the smallest arc that holds a share of the mass, `(num, 2)`, radians.

    The mass of a cell is spread evenly over it. Starts lie in `[-π, π)`, and ends are not before them.
    """
    num, size = rows.shape
    below = np.concatenate([np.zeros((num, 1)), np.cumsum(rows, axis=1, dtype="float64")], axis=1)
    below /= below[:, -1:]
    flat, first = (below[:, 1:] + np.arange(num)[:, None]).ravel(), np.arange(num)[:, None]

    def places(shares):  # in cells, of shares of the mass counted on over the turns
        turns = np.floor(shares)
        shares = shares - turns
        cell = np.clip(np.searchsorted(flat, shares + first) - first * size, 0, size - 1)
        low, mass = np.take_along_axis(below, cell, 1), np.take_along_axis(rows, cell, 1)
        inside = np.divide(shares - low, mass, out=np.zeros_like(shares), where=mass > 0)
        return cell + np.clip(inside, 0.0, 1.0) + size * turns

    shares = np.broadcast_to(np.arange(_STARTS) / _STARTS, (num, _STARTS))
    for step in (1 / _STARTS / _FINER, 1 / _STARTS / _FINER**2):
        lengths = places(shares + level) - places(shares)
        best = np.take_along_axis(shares, lengths.argmin(axis=1)[:, None], 1)
        shares = best + step * np.arange(-_FINER, _FINER + 1)
    start, end = places(shares), places(shares + level)
    index = (end - start).argmin(axis=1)[:, None]
    start, end = (np.take_along_axis(each, index, 1)[:, 0] for each in (start, end))
    begin = wrap((start - 0.5) * (_TURN / size) - np.pi)
    return np.stack([begin, begin + np.minimum(np.maximum(end - start, 0.0), size) * (_TURN / size)], axis=1)


def num_modes(rows: np.ndarray) -> np.ndarray:
    """The number of modes of a mass worth naming, `(num,)`: between two of them the density falls to half of the lower.

    It is counted around the circle from where the density is least.
    """
    num, size = rows.shape
    order = (rows.argmin(axis=1)[:, None] + np.arange(size + 1)) % size
    columns = np.ascontiguousarray(np.take_along_axis(rows, order, 1).T)
    floor = _RIPPLE * columns.max(axis=0)
    falls = np.zeros(num, bool)  # whether the density has fallen from a mode
    extreme, mass, count = columns[0].copy(), np.zeros(num), np.zeros(num, int)
    for values in columns[1:]:
        extreme = np.where(falls, np.minimum(extreme, values), np.maximum(extreme, values))
        turns = np.where(falls, values * _VALLEY > np.maximum(extreme, floor), values < _VALLEY * extreme)
        rises = turns & falls
        count += rises & (mass >= LEAST_MASS)
        mass = np.where(rises, 0.0, mass) + values
        extreme = np.where(turns, values, extreme)
        falls = falls ^ turns
    return np.maximum(count + (mass >= LEAST_MASS), 1)
