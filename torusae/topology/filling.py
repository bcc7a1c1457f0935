"""Whether the circles of data fill a torus together, or are loops that meet or lie apart."""

import itertools

import numpy as np

from torusae._internal.arrays import angle_rows
from torusae._internal.checks import Tensor

_POINTS_PER_CELL = 6
_MOST_CELLS = 12  # along each circle
_NUM_SHUFFLES = 3
# Of two loops that meet in a point, half of the rows have the constant angle of the other loop: some 0.2 of the cells
# that shuffled angles fill. Angles of a torus whose density varies fill 0.8 and more.
LEAST_FILLING = 0.6


def filling(angles: Tensor, seed: int = 0) -> float:
    """The share of a torus that angles fill together, in comparison with independent angles of the same margins.

    Formula: the number of cells that hold a point, over the same number, in the mean of three, for angles whose columns
    are shuffled each by itself. Cells divide each circle into equal arcs, at most 12, so that a cell holds six points
    on average. No basis of the angles changes much.

    Args:
        angles: Float tensor `(num, dim)`, radians, such as those of `find_circles`.
        seed: Integer, seed of the shuffles. Defaults to `0`.

    Returns:
        Float: about 1 for the angles of a filled torus and for a single angle, small where one angle is a function of
        the others, and for loops that meet in a point or lie apart.

    Example:

    >>> import numpy as np
    >>> from torusae.topology.filling import filling
    >>> angles = np.random.default_rng(0).uniform(-np.pi, np.pi, (2000, 2))
    >>> loops = angles * (np.arange(2000)[:, None] % 2 == [0, 1])  # each at rest while the other goes around
    >>> bool(filling(angles) > 0.9), bool(filling(loops) < 0.3)
    (True, True)
    """
    angles = angle_rows("filling", angles)
    num, dim = angles.shape
    if dim < 2:
        return 1.0
    cells = int(np.clip((num / _POINTS_PER_CELL) ** (1 / dim), 2, _MOST_CELLS))
    index = np.minimum(((angles / (2 * np.pi) + 0.5) % 1 * cells).astype(int), cells - 1)
    rng = np.random.default_rng(seed)
    shuffled = [len(np.unique(rng.permuted(index, axis=0), axis=0)) for _ in range(_NUM_SHUFFLES)]
    return float(len(np.unique(index, axis=0)) / np.mean(shuffled))


def meeting(angles: Tensor) -> tuple[tuple[int, int], ...]:
    """Pairs of columns of angles `(num, dim)` that fill no torus together: their `filling` is below 0.6."""
    pairs = itertools.combinations(range(np.shape(angles)[1]), 2)
    return tuple(pair for pair in pairs if filling(np.asarray(angles)[:, pair]) < LEAST_FILLING)
