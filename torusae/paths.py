"""Windings and paths between two points of a torus (Mikulski & Duda 2019, section 4), and paths of Gaussian spaces.

Pure functions. Points of a torus are float tensors `(2 * dim,)`, all x values first; other shapes are a ValueError.
Angles are in radians, `[-π, π)`.
"""

import itertools
import math

import numpy as np
from keras import ops

from torusae._internal import checks
from torusae._internal.checks import Tensor
from torusae._internal.vectors import arc, length
from torusae.angles import to_cartesian, to_polar

_MAX_PATHS = 1 << 20  # more windings than this are a mistake (3 to the power of 13), not a picture
_NO_ARC = 1e-4  # below this sine of the angle between two vectors, float32 holds no direction of their arc
INTERPOLATIONS = ("linear", "variance_preserving", "slerp")


def _arcs(owner: str, start: Tensor, end: Tensor) -> Tensor:
    """`Φ⁽²⁾ - Φ⁽¹⁾` of two points, in (-2π, 2π)."""
    start = checks.circle_points(owner, "start", start, rank=1)
    end = checks.circle_points(owner, "end", end, rank=1, dim=start.shape[0] // 2)
    start, end = checks.same_dtype(start, end)
    return to_polar(end)[1] - to_polar(start)[1]


def windings(dim: int, max_winding: int = 1) -> Tensor:
    """Every winding `k` in `{-m..m}^dim`, `m` the `max_winding`: how many extra turns a path takes around each circle.

    Args:
        dim: Integer, the number of circles.
        max_winding: Integer, at least 0, the largest number of turns. Defaults to `1`.

    Returns:
        int32 tensor `((2 * max_winding + 1)**dim, dim)`, at most 2**20 rows.

    Example:

    >>> import keras, torusae
    >>> keras.ops.convert_to_numpy(torusae.windings(1)).tolist()
    [[-1], [0], [1]]

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, eq. 6.
    """
    dim = checks.positive_int("windings", "dim", dim)
    max_winding = checks.positive_int("windings", "max_winding", max_winding, least=0)
    if dim > _MAX_PATHS or dim * math.log2(2 * max_winding + 1) > math.log2(_MAX_PATHS):
        raise ValueError(
            f"windings: `dim` and `max_winding` ask for {2 * max_winding + 1}**{dim} windings, more than {_MAX_PATHS}. "
            f"Use two_way_windings, shortest_winding, or rows of your own."
        )
    turns = range(-max_winding, max_winding + 1)
    return ops.convert_to_tensor(list(itertools.product(turns, repeat=dim)), dtype="int32")


def shortest_winding(start: Tensor, end: Tensor) -> Tensor:
    """The winding of the shortest path between two points; 0 where both ways are equally long.

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
    """Points along the straight paths between two points of a torus, one path for each winding.

    Formula, for `t` in `[0, 1]`: `R(t) = (1 - t) R⁽¹⁾ + t R⁽²⁾`, `Φ(t) = (1 - t) Φ⁽¹⁾ + t (Φ⁽²⁾ + 2kπ)`.

    Args:
        start: Point.
        end: Point.
        windings: Integer tensor `(num_paths, dim)`, the rows `k`, for example from `two_way_windings`.
        num_steps: Integer, at least 2, points on each path, the two ends among them. Defaults to `12`.

    Returns:
        Tensor `(num_paths, num_steps, 2 * dim)`. The first and the last step are exactly `start` and `end`.

    Example:

    >>> import keras, torusae
    >>> point = torusae.to_cartesian(keras.ops.ones(1), keras.ops.zeros(1))
    >>> path = torusae.morph_paths(point, point, [[1]], num_steps=5)
    >>> keras.ops.convert_to_numpy(path)[0, 2].round(2).tolist()[0]
    -1.0

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, eq. 6.
    """
    num_steps = checks.positive_int("morph_paths", "num_steps", num_steps, least=2)
    start = checks.circle_points("morph_paths", "start", start, rank=1)
    dim = start.shape[0] // 2
    end = ops.cast(checks.circle_points("morph_paths", "end", end, rank=1, dim=dim), start.dtype)
    k = checks.as_array("morph_paths", "windings", windings, numbers=False)
    if "int" not in str(k.dtype):
        raise TypeError(
            f"morph_paths: `windings` must be integers, the extra turns around each circle. Received: dtype={k.dtype}."
        )
    k = ops.convert_to_tensor(k)
    if len(k.shape) != 2 or k.shape[1] != dim:
        raise ValueError(
            f"morph_paths: `windings` must have shape (num_paths, {dim}) for points of {dim} circles. "
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


def interpolate(start: Tensor, end: Tensor, t: Tensor, interpolation: str = "linear") -> Tensor:
    """Points on paths through Gaussian coordinates, `(..., dim)`.

    - `"linear"`: `(1 - t) start + t end`, straight lines. Where both ends are independent draws of N(0, I), the points
      are not: halfway they are as near to the origin as N(0, I / 2).
    - `"variance_preserving"`: straight lines, stretched: `((1 - t) start + t end) / sqrt((1 - t)² + t²)`. Of
      independent ends from N(0, I) each point is from N(0, I) exactly.
    - `"slerp"`: arcs about the origin, `(sin((1 - t) Ω) start + sin(t Ω) end) / sin Ω`, Ω the angle between the ends.
      Of independent ends from N(0, I) with many coordinates each point is nearly from N(0, I). Where an end is 0, or
      the directions are equal or opposite, it is the line.

    Args:
        start: Float tensor `(..., dim)`.
        end: Float tensor `(..., dim)`.
        t: Float tensor `(...)`, from 0, the start, to 1, the end. Leading axes broadcast.
        interpolation: `"linear"`, `"variance_preserving"` or `"slerp"`. Defaults to `"linear"`.

    Raises:
        ValueError: If shapes do not broadcast, or `interpolation` is another name.

    Example:

    >>> from torusae.paths import interpolate
    >>> [round(float(value), 4) for value in interpolate([2.0, 0.0], [0.0, 2.0], 0.5, "slerp")]
    [1.4142, 1.4142]

    Reference:
        Agustsson et al. (2019), arXiv:1711.01970, table 1; White (2016), arXiv:1609.04468, section 2.1.
    """
    checks.option("interpolate", "interpolation", interpolation, INTERPOLATIONS)
    start, end = checks.float_pair("interpolate", start=start, end=end)
    if not len(start.shape) or start.shape[-1:] != end.shape[-1:]:
        raise ValueError(
            f"interpolate: `start` and `end` must have shape (..., dim) with one dim. Received: "
            f"start.shape={tuple(start.shape)}, end.shape={tuple(end.shape)}."
        )
    t = ops.cast(checks.float_tensor("interpolate", "t", t), start.dtype)
    try:
        np.broadcast_shapes(start.shape[:-1], end.shape[:-1], t.shape)
    except ValueError as error:
        raise ValueError(
            f"interpolate: `t` must have a shape that broadcasts with the leading axes of `start` and `end`. Received: "
            f"t.shape={tuple(t.shape)}, leading axes {tuple(start.shape[:-1])} and {tuple(end.shape[:-1])}. "
            f"Use t[:, None] for a path of each row."
        ) from error
    t = t[..., None]
    line = (1 - t) * start + t * end
    if interpolation == "linear":
        return line
    if interpolation == "variance_preserving":
        return line / ops.sqrt((1 - t) ** 2 + t**2)
    sizes = [length(each)[..., None] for each in (start, end)]
    a, b = (each / ops.where(size > 0, size, 1.0) for each, size in zip((start, end), sizes, strict=True))
    omega = arc(a, b)[..., None]
    sine = ops.sin(omega)
    is_arc = ops.logical_and(sine > _NO_ARC, sizes[0] * sizes[1] > 0)
    turned = (ops.sin((1 - t) * omega) * start + ops.sin(t * omega) * end) / ops.where(is_arc, sine, 1.0)
    return ops.where(is_arc, turned, line)
