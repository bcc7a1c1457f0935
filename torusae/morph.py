"""Windings and paths between two points of a torus (Mikulski & Duda 2019, section 4). Pure functions on `keras.ops`.

A code is a float tensor `(2 * dim,)`; codes of other shapes are a ValueError. Angles are in radians, `[-π, π)`.
"""

import itertools
import math

import numpy as np
from keras import ops

from torusae import _checks
from torusae._checks import Tensor
from torusae.angles import to_cartesian, to_polar

_MAX_PATHS = 1 << 20  # more windings than this are a mistake (3 to the power of 13), not a picture


def _arcs(owner: str, start: Tensor, end: Tensor) -> Tensor:
    """`Φ⁽²⁾ - Φ⁽¹⁾` of two codes, in (-2π, 2π)."""
    start = _checks.code_tensor(owner, "start", start, rank=1)
    end = _checks.code_tensor(owner, "end", end, rank=1, dim=start.shape[0] // 2)
    start, end = _checks.same_dtype(start, end)
    return to_polar(end)[1] - to_polar(start)[1]


def windings(dim: int, order: int = 1) -> Tensor:
    """Every winding `k` in `{-order..order}^dim`: how many extra turns a path takes around each circle.

    Args:
        dim: Integer, the number of circles.
        order: Integer, at least 0, the largest number of turns. Defaults to `1`.

    Returns:
        int32 tensor `((2 * order + 1)**dim, dim)`, at most 2**20 rows.

    Example:

    >>> import keras, torusae
    >>> keras.ops.convert_to_numpy(torusae.windings(1)).tolist()
    [[-1], [0], [1]]

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, eq. 6.
    """
    dim = _checks.positive_int("windings", "dim", dim)
    order = _checks.positive_int("windings", "order", order, least=0)
    if dim > _MAX_PATHS or dim * math.log2(2 * order + 1) > math.log2(_MAX_PATHS):
        raise ValueError(
            f"windings: `dim` and `order` ask for {2 * order + 1}**{dim} windings, more than {_MAX_PATHS}. "
            f"Use two_way_windings, shortest_winding, or rows of your own."
        )
    return ops.convert_to_tensor(list(itertools.product(range(-order, order + 1), repeat=dim)), dtype="int32")


def shortest_winding(start: Tensor, end: Tensor) -> Tensor:
    """The winding of the shortest path between two codes; 0 where both ways are equally long.

    Returns:
        int32 tensor `(dim,)`, the `k` that minimizes `|Φ⁽²⁾ - Φ⁽¹⁾ + 2πk|` on each circle.

    Example:

    >>> import keras, torusae
    >>> start = torusae.to_cartesian(keras.ops.ones(1), keras.ops.full((1,), 3.0))
    >>> end = torusae.to_cartesian(keras.ops.ones(1), keras.ops.full((1,), -3.0))
    >>> keras.ops.convert_to_numpy(torusae.shortest_winding(start, end)).tolist()
    [1]
    """
    arcs = _arcs("shortest_winding", start, end)
    return ops.where(arcs > math.pi, -1, ops.where(arcs < -math.pi, 1, ops.zeros_like(arcs, dtype="int32")))


def two_way_windings(start: Tensor, end: Tensor) -> Tensor:
    """The `2**dim` windings that take each circle the short or the long way; the first row is the shortest path.

    Returns:
        int32 tensor `(2**dim, dim)`, values in {-1, 0, 1}, at most 2**20 rows. The last circle alternates fastest.

    Example:

    >>> import keras, torusae
    >>> start = torusae.to_cartesian(keras.ops.ones(2), keras.ops.zeros(2))
    >>> end = torusae.to_cartesian(keras.ops.ones(2), keras.ops.ones(2))
    >>> keras.ops.convert_to_numpy(torusae.two_way_windings(start, end)).tolist()
    [[0, 0], [0, -1], [-1, 0], [-1, -1]]

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, fig. 4: eight rows for three circles.
    """
    arcs = _arcs("two_way_windings", start, end)
    dim = arcs.shape[0]
    if 2**dim > _MAX_PATHS:
        raise ValueError(
            f"two_way_windings: {dim} circles have 2**{dim} two-way paths, more than {_MAX_PATHS}. "
            f"Choose rows of your own."
        )
    short = shortest_winding(start, end)
    # The other way round: one turn against the direction of the short way.
    long = ops.where(arcs + 2 * math.pi * ops.cast(short, arcs.dtype) < 0, short + 1, short - 1)
    takes_long = np.array(list(itertools.product([False, True], repeat=dim)))
    return ops.where(ops.convert_to_tensor(takes_long), long, short)


def morph_paths(start: Tensor, end: Tensor, windings: Tensor, num_steps: int = 12) -> Tensor:
    """Codes along the straight paths between two codes of a torus, one path for each winding.

    Formula, for `t` in `[0, 1]`: `R(t) = (1 - t) R⁽¹⁾ + t R⁽²⁾`, `Φ(t) = (1 - t) Φ⁽¹⁾ + t (Φ⁽²⁾ + 2kπ)`.

    Args:
        start: Code.
        end: Code.
        windings: Integer tensor `(num_paths, dim)`, the rows `k`, for example from `two_way_windings`.
        num_steps: Integer, at least 2, points on each path, the two ends among them. Defaults to `12`.

    Returns:
        Tensor `(num_paths, num_steps, 2 * dim)`. The first and the last step are exactly `start` and `end`.

    Example:

    >>> import keras, torusae
    >>> code = torusae.to_cartesian(keras.ops.ones(1), keras.ops.zeros(1))
    >>> path = torusae.morph_paths(code, code, [[1]], num_steps=5)
    >>> keras.ops.convert_to_numpy(path)[0, 2].round(2).tolist()[0]
    -1.0

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, eq. 6.
    """
    num_steps = _checks.positive_int("morph_paths", "num_steps", num_steps, least=2)
    start = _checks.code_tensor("morph_paths", "start", start, rank=1)
    dim = start.shape[0] // 2
    end = ops.cast(_checks.code_tensor("morph_paths", "end", end, rank=1, dim=dim), start.dtype)
    k = _checks.as_array("morph_paths", "windings", windings)
    if "int" not in str(k.dtype):
        raise TypeError(
            f"morph_paths: `windings` must be integers, the extra turns around each circle. Received: dtype={k.dtype}."
        )
    k = ops.convert_to_tensor(k)
    if len(k.shape) != 2 or k.shape[1] != dim:
        raise ValueError(
            f"morph_paths: `windings` must have shape (num_paths, {dim}) for codes of {dim} circles. "
            f"Received: windings.shape={tuple(k.shape)}."
        )
    (radii_1, angles_1), (radii_2, angles_2) = to_polar(start), to_polar(end)
    t = ops.convert_to_tensor(np.linspace(0, 1, num_steps)[1:-1, None], dtype=start.dtype)  # (num_steps - 2, 1)
    turns = 2 * math.pi * ops.cast(k, start.dtype)[:, None, :]  # (num_paths, 1, dim)
    radii = (1 - t) * radii_1 + t * radii_2
    angles = (1 - t) * angles_1 + t * (angles_2 + turns)  # (num_paths, num_steps - 2, dim)
    inner = to_cartesian(ops.broadcast_to(radii, ops.shape(angles)), angles)
    ends = (int(k.shape[0]), 1, 2 * dim)
    return ops.concatenate([ops.broadcast_to(start, ends), inner, ops.broadcast_to(end, ends)], axis=1)
