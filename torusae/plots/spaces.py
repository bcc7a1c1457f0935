"""One picture of points of a space in given axes."""

import functools
import math

import numpy as np
from keras import ops

from torusae._internal.arrays import angle_rows, float_rows
from torusae._internal.checks import Tensor
from torusae.plots import _style
from torusae.plots.angles import draw_pair, edge_handles
from torusae.plots.radii import normal_density
from torusae.spaces import SO3, Interval, KleinBottle, MobiusBand, Product, ProjectiveSpace, Space, Sphere, Torus


def draw_points(space: Space, axes: _style.Axes, points: Tensor) -> None:
    """Draws points of a space into matplotlib axes.

    The first two angles of a torus, or the distribution of a single one; longitude and height of a sphere, a map of
    equal areas; where rotations take the z axis; a Klein bottle and a Möbius band with side edges that are one, turned
    over; the histogram of an interval; the first factor of a product; of other spaces the first two columns of the
    decoder input. `draw_points.register(MySpace)` decorates a function that draws a space of your own.

    Args:
        space: `Space`.
        axes: `matplotlib.axes.Axes`.
        points: Float array `(num, space.point_size)`.

    Example:

    >>> import numpy as np, torusae
    >>> from matplotlib.figure import Figure
    >>> axes = Figure().add_subplot()
    >>> torusae.plots.draw_points(torusae.Torus(2), axes, np.ones((1, 4)))
    >>> axes.get_xlabel()
    'φ₀ (rad)'
    """
    points = float_rows("draw_points", "points", points).astype("float32")
    if points.shape[1] != space.point_size:
        raise ValueError(
            f"draw_points: `points` must have shape (num, {space.point_size}), points of {space!r}. "
            f"Received: points.shape={points.shape}. Give what encode(x) returns."
        )
    _draw(space, axes, points)


@functools.singledispatch
def _draw(space: Space, axes: _style.Axes, points: np.ndarray) -> None:
    draw_plane(axes, space.decoder_input(ops.convert_to_tensor(points)))


draw_points.register = _draw.register  # type: ignore[attr-defined]


@_draw.register
def _(space: Torus, axes, points):
    draw_angles(axes, space.angles(points))


@_draw.register
def _(space: Sphere, axes, points):
    if space.n == 1:
        draw_angles(axes, space.angles(points))
    else:  # height is the last coordinate, and longitude is that of the first two
        draw_globe(axes, points[:, [0, 1, -1]])


@_draw.register
def _(space: ProjectiveSpace, axes, points):
    _draw(space.cover, axes, np.where(points[:, -1:] < 0, -points, points))


@_draw.register
def _(space: SO3, axes, points):
    draw_globe(axes, points[:, 2::3], "where the rotations take the z axis")


@_draw.register
def _(space: Interval, axes, points):
    bins = np.linspace(-1, 1, 33)
    _draw_density(axes, points[:, 0], bins, np.full(33, 0.5), "uniform")
    axes.set(xlabel="t", ylabel="density")


@_draw.register
def _(space: KleinBottle, axes, points):
    draw_band(axes, space.chart(points), turns_over="b")


@_draw.register
def _(space: MobiusBand, axes, points):
    draw_band(axes, space.chart(points), turns_over="t")


@_draw.register
def _(space: Product, axes, points):
    _draw(space.factors[0], axes, space.split(points)[0])


def draw_angles(axes: _style.Axes, angles: Tensor) -> None:
    """Draws angles `(num, dim)`, radians: the first two circles as a scatter plot, one circle as a histogram."""
    angles = angle_rows("draw_angles", angles)
    num, dim = angles.shape
    if dim == 1:
        _draw_density(axes, angles[:, 0], np.linspace(-math.pi, math.pi, 37), np.full(37, 0.5 / math.pi), "uniform")
        _style.pi_axis(axes.xaxis, "φ₀")
        axes.set_ylabel("density (1/rad)")
        return
    from matplotlib.colors import to_rgba
    from matplotlib.lines import Line2D

    drawn = _style.choose_rows(num, _style.MAX_POINTS)
    draw_pair(axes, angles[drawn][:, :2], np.tile(to_rgba("tab:blue"), (len(drawn), 1)), ("φ₀", "φ₁"))
    label = _points_label(num, len(drawn))
    points = Line2D([], [], marker="o", linestyle="", color="tab:blue", label=label)
    _legend_below(axes, [points, *edge_handles()])
    if dim > 2:
        axes.set_title(f"the first 2 of {dim} circles", fontsize="small")


def draw_plane(axes: _style.Axes, points: Tensor) -> None:
    """Draws the first two columns of points `(num, dim)` beside circles that hold 39 % and 86 % of N(0, 1).

    One column is a histogram beside the normal density. Of more than 5000 points a random choice is drawn.
    """
    points = float_rows("draw_plane", "points", points)
    dim = points.shape[1]
    if dim == 1:
        limit = max(4.0, float(np.abs(points).max()))
        bins = np.linspace(-limit, limit, 65)
        _draw_density(axes, points[:, 0], bins, normal_density(bins, 0.0, 1.0), "N(0, 1)")
        axes.set(xlabel="z₀ (deviations)", ylabel="density")
        return
    _scatter(axes, *points[:, :2].T)
    circle = np.linspace(0, 2 * math.pi, 181)
    for radius, style in ((1, "-"), (2, "--")):
        share = 1 - math.exp(-(radius**2) / 2)
        label = f"{share:.0%} of N(0, 1)"
        axes.plot(radius * np.cos(circle), radius * np.sin(circle), "k", linestyle=style, linewidth=1, label=label)
    axes.set(aspect="equal", xlabel="z₀ (deviations)", ylabel="z₁ (deviations)")
    axes.set_adjustable("datalim")
    _legend_below(axes, axes.get_legend_handles_labels()[0])
    if dim > 2:
        axes.set_title(f"the first 2 of {dim} coordinates", fontsize="small")


def draw_globe(axes: _style.Axes, points: np.ndarray, title: str = "") -> None:
    """Draws unit vectors `(num, 3)` by longitude and height, a map of equal areas (Lambert's cylindrical one).

    Of more than 5000 points a random choice is drawn.
    """
    _scatter(axes, np.arctan2(points[:, 1], points[:, 0]), points[:, 2])
    _style.pi_axis(axes.xaxis, "longitude")
    axes.set(ylabel="height", xlim=(-math.pi, math.pi))
    axes.set_title(title, fontsize="small")
    for edge in (-math.pi, math.pi):
        axes.axvline(edge, color="k", linestyle="--", linewidth=1, label="one line" if edge > 0 else None)
    _legend_below(axes, axes.get_legend_handles_labels()[0])


def draw_band(axes: _style.Axes, points: np.ndarray, turns_over: str) -> None:
    """Draws a in [-π/2, π/2) and a second coordinate, `(num, 2)`. The side edges are one, turned over.

    Of more than 5000 points a random choice is drawn.
    """
    _scatter(axes, *points.T)
    axes.set_xticks([-math.pi / 2, 0, math.pi / 2], ["-π/2", "0", "π/2"])
    axes.set(xlabel="a (rad)", ylabel=turns_over, xlim=(-math.pi / 2, math.pi / 2))
    top = 1.0
    if turns_over == "b":
        top = math.pi
        _style.pi_axis(axes.yaxis, "b")
    # Arrows that point up on one side and down on the other, as on a paper model.
    for edge, way in ((-math.pi / 2, 1), (math.pi / 2, -1)):
        ends = {"xy": (edge, way * top), "xytext": (edge, -way * top)}
        axes.annotate("", **ends, arrowprops={"arrowstyle": "->", "color": "k"}, annotation_clip=False)
    axes.set_title("the side edges are one, turned over", fontsize="small")
    axes.set_ylim(-top, top)
    _legend_below(axes, axes.get_legend_handles_labels()[0])


def _scatter(axes: _style.Axes, x: np.ndarray, y: np.ndarray) -> None:
    """Points, of more than 5000 a random choice."""
    drawn = _style.choose_rows(len(x), _style.MAX_POINTS)
    style, opacity = _style.marks(len(drawn))
    axes.scatter(x[drawn], y[drawn], alpha=opacity, label=_points_label(len(x), len(drawn)), **style)


def _draw_density(axes: _style.Axes, values: np.ndarray, bins: np.ndarray, chance: np.ndarray, name: str) -> None:
    """A histogram beside the density of the prior at the edges of its bins."""
    axes.hist(values, bins, density=True, color="tab:blue", alpha=0.6, label="points")
    axes.plot(bins, chance, "k--", linewidth=1, label=name)
    axes.legend(fontsize="x-small")


def _points_label(num: int, drawn: int) -> str:
    return f"{num} points" if drawn == num else f"{drawn} of {num} points"


def _legend_below(axes: _style.Axes, handles: list) -> None:
    """A legend under the axes, where it covers no points."""
    axes.legend(handles=handles, fontsize="x-small", loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
