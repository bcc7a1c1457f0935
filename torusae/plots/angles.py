"""Scatter plots of pairs of angles, and a histogram around one circle."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from torusae._internal import checks, units
from torusae._internal.arrays import angle_rows
from torusae._internal.checks import Tensor
from torusae.plots import _style

_MARGIN = 0.5  # radians drawn beyond ±π: enough to see a cluster continue across the edge
_MISSING_COLOUR = "#d0d0d0"  # lighter than the grey among the colours of classes
_ARCS = 36
_BLUE = (31 / 255, 119 / 255, 180 / 255, 1.0)  # matplotlib's tab:blue


def plot_angles(
    angles: Tensor,
    labels: Any = None,
    label_kind: str | None = None,
    label_name: str = "class",
    pairs: Sequence[tuple[int, int]] | None = None,
    max_points: int = 5000,
    seed: int = 0,
    standard_error: Tensor | None = None,
    period: float | None = None,
) -> _style.Figure:
    """Scatter plots of pairs of angles, coloured by label. One circle is drawn beside its labels, or as a histogram.

    A dashed square marks ±π. The grey margin repeats the opposite side faintly, so that a cluster on the edge is whole.
    One circle whose labels are numbers or angles is drawn against them: a line of slope ±1 is an angle that follows
    them. Without labels, or with classes, it is a histogram around the circle.

    Args:
        angles: Float tensor `(num, dim)`, radians.
        labels: `(num,)`. Integers, strings or booleans are classes, at most 20. Real numbers are a quantity. Missing
            ones are grey: the integer -1, NaN, `None`, empty strings, masked ones. Defaults to `None`, one colour.
        label_kind: `"classes"`, `"number"`, or `"angle"` (with a cyclic colour scale). Defaults to `None`: `"angle"`
            with a period, `"number"` for real labels, else `"classes"`.
        label_name: String, title of the legend or the colour bar. Defaults to `"class"`.
        pairs: Pairs of columns, at most 16. Defaults to `None`: up to six all, of more six of neighbouring circles.
        max_points: Integer. Of more points, a random choice of this size is drawn. Defaults to `5000`.
        seed: Integer, seed of that choice and of the drawing order. Defaults to `0`.
        standard_error: Float tensor `(num, dim)`, radians, such as that of a `Posterior`, drawn as bars. A histogram
            has none. Defaults to `None`.
        period: Positive float, the period of labels that are angles: 24 for hours. Defaults to `None`, radians.

    Example:

    >>> import numpy as np, torusae.plots
    >>> figure = torusae.plots.plot_angles(np.zeros((5, 3)), labels=[0, 1, 2, 1, 0])
    >>> [axes.get_xlabel() for axes in figure.axes]
    ['φ₀ (rad)', 'φ₀ (rad)', 'φ₁ (rad)']

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, fig. 3 and 5.
    """
    owner = "plot_angles"
    angles = angle_rows(owner, angles)
    units.check_no_points(owner, "angles", angles)
    num, dim = angles.shape
    max_points = checks.positive_int(owner, "max_points", max_points)
    seed = checks.positive_int(owner, "seed", seed, least=0, most=None)
    if period is not None:
        period, label_kind = checks.period(owner, period), label_kind or "angle"
    kind, labels = _labels(owner, labels, label_kind, num, period)
    chosen, remark = _style.choose_pairs(owner, pairs, dim) if dim > 1 or pairs is not None else ([], "")
    errors = _errors(owner, standard_error, angles)
    if dim == 1 and kind not in ("number", "angle"):
        if errors is not None:
            raise ValueError(
                f"{owner}: a histogram of one circle has no bars of errors. Received: `standard_error` without labels "
                f"that are numbers. Give `labels`, such as known hours with `period=24`."
            )
        return _rose_figure(owner, angles[:, 0], kind, labels, label_name)

    drawn = _style.choose_rows(num, max_points, seed)
    if dim == 1:
        return _label_figure(owner, angles, errors, kind, labels, label_name, period, drawn)
    rows, columns = _style.grid(len(chosen), 3)
    figure = _style.new_figure(owner, 3.3 * columns + (1.9 if kind in (None, "classes") else 0.8), 3.3 * rows + 0.5)
    colours, handles, bar = _colours(owner, kind, labels, num, period)
    panels = _style.panels(figure, len(chosen), 3)
    for axes, (i, j) in zip(panels, chosen, strict=True):
        draw_pair(axes, angles[drawn][:, [i, j]], colours[drawn], (_style.phi(i), _style.phi(j)))
        if errors is not None:
            draw_errors(axes, angles[drawn][:, [i, j]], errors[drawn][:, [i, j]], colours[drawn])
    handles += edge_handles()
    if bar is not None:
        scale = figure.colorbar(bar, ax=panels, shrink=0.9, aspect=30)
        if kind == "angle":
            _style.pi_axis(scale.ax.yaxis, label_name, period)
        else:
            scale.set_label(label_name)
    figure.legend(
        handles=handles,
        loc="outside right upper" if bar is None else "outside lower center",
        ncols=1 if bar is None else 2,
        title=label_name if kind == "classes" else None,
        frameon=False,
    )
    title = f"{num} points" if len(drawn) == num else f"{len(drawn)} of {num} points, chosen at random"
    figure.suptitle(", ".join(part for part in (title, remark) if part), fontsize="medium")
    return figure


def draw_pair(
    axes: _style.Axes, pair: np.ndarray, colours: np.ndarray, names: tuple[str, str], is_torus: bool = True
) -> None:
    """Points `(num, 2)` of two circles, RGBA `(num, 4)`, with the opposite sides repeated in the margin.

    Where it is no torus, the first column is a number that has no other side.
    """
    limit = math.pi + _MARGIN
    least, most = (-math.pi, math.pi) if is_torus else _range(pair[:, 0])
    axes.set(xlim=(-limit, limit) if is_torus else (least, most), ylim=(-limit, limit), facecolor="0.93")
    axes.set_aspect("equal" if is_torus else "auto")
    axes.fill_between([least, most], -math.pi, math.pi, color="white", linewidth=0, zorder=1)
    corners = np.array([[least, -math.pi], [most, -math.pi], [most, math.pi], [least, math.pi], [least, -math.pi]])
    axes.plot(*corners.T, color="0.25", linestyle="--", linewidth=1, zorder=2, gid="edge")
    style, opacity = _style.marks(len(pair))
    for turns in itertools.product((-1, 0, 1) if is_torus else (0,), (-1, 0, 1)):
        shifted = pair + 2 * math.pi * np.array(turns)
        inside = (np.abs(shifted[:, 0 if is_torus else 1 :]) <= limit).all(axis=1)
        if not inside.any():
            continue
        copy = turns != (0, 0)
        shades = colours[inside].copy()
        shades[:, 3] = opacity * (0.3 if copy else 1.0)
        axes.scatter(*shifted[inside].T, c=shades, zorder=3, gid="copy" if copy else "points", **style)
    if is_torus:
        _style.pi_axis(axes.xaxis, names[0])
    else:
        axes.set_xlabel(names[0])
    _style.pi_axis(axes.yaxis, names[1])


def _range(values: np.ndarray) -> tuple[float, float]:
    """From the least to the largest number, with a margin."""
    least, most = float(values.min()), float(values.max())
    margin = 0.05 * (most - least) or 0.5
    return least - margin, most + margin


def draw_errors(axes: _style.Axes, pair: np.ndarray, errors: np.ndarray, colours: np.ndarray) -> None:
    """Bars of the errors `(num, 2)` of points `(num, 2)`: one to each side, at most half a turn."""
    (x, y), (dx, dy) = pair.T, np.minimum(errors, math.pi).T
    axes.hlines(y, x - dx, x + dx, colors=colours, linewidth=0.6, alpha=0.4, zorder=2.5, gid="errors")
    axes.vlines(x, y - dy, y + dy, colors=colours, linewidth=0.6, alpha=0.4, zorder=2.5, gid="errors")


def _errors(owner: str, errors: Tensor | None, angles: np.ndarray) -> np.ndarray | None:
    """Standard errors `(num, dim)`, checked; infinite ones are longer than any bar."""
    if errors is None:
        return None
    errors = checks.numpy_array(owner, "standard_error", errors).astype("float64")
    if errors.shape != angles.shape or not (errors >= 0).all():
        raise ValueError(
            f"{owner}: `standard_error` must have the shape of `angles`, {angles.shape}, and no negative entry. "
            f"Received: standard_error.shape={errors.shape}, least={np.min(errors, initial=np.inf):.4g}."
        )
    return errors


def edge_handles() -> list[Any]:
    """Legend entries for the dashed square and the margin of `draw_pair`."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    return [
        Line2D([], [], color="0.25", linestyle="--", linewidth=1, label="edge ±π"),
        Patch(facecolor="0.93", edgecolor="0.8", label="beyond the edge:\nthe other side again"),
    ]


def draw_rose(axes: _style.Axes, angles: np.ndarray, groups: list[tuple[str, Any, np.ndarray]]) -> None:
    """A histogram around one circle in polar axes, stacked by group: name, colour, mask `(num,)` of members."""
    from matplotlib.ticker import MaxNLocator

    edges = np.linspace(-math.pi, math.pi, _ARCS + 1)
    middles = (edges[1:] + edges[:-1]) / 2
    bottom = np.zeros(_ARCS)
    for name, colour, member in groups:
        counts = np.histogram(angles[member], edges)[0]
        style: dict[str, Any] = {"color": colour, "edgecolor": "white", "linewidth": 0.3}
        axes.bar(middles, counts, 2 * math.pi / _ARCS, bottom=bottom, label=name, **style)
        bottom = bottom + counts
    uniform = len(angles) / _ARCS
    circle = np.linspace(-math.pi, math.pi, 361)
    axes.plot(circle, np.full(361, uniform), color="0.25", linestyle="--", linewidth=1, label="uniform")
    top = max(float(bottom.max()), 1.3 * uniform) * 1.05
    axes.set_ylim(-0.35 * top, top)  # with a hole in the centre, equal counts have nearly equal areas
    axes.set_xticks([0, math.pi / 2, math.pi, 3 * math.pi / 2], ["0", "π/2", "±π", "-π/2"])
    axes.set_rlabel_position(math.degrees(float(middles[bottom.argmin()])))  # numbers where the bars are lowest
    axes.set_yticks([tick for tick in MaxNLocator(3, integer=True).tick_values(0, top) if 0 < tick <= top])
    axes.set_xlabel(f"{_style.phi(0)} (rad); radius: points per arc of 2π/{_ARCS}")


def _label_figure(
    owner: str,
    angles: np.ndarray,
    errors: np.ndarray | None,
    kind: str | None,
    labels: Any,
    label_name: str,
    period: float | None,
    drawn: np.ndarray,
) -> _style.Figure:
    """One circle against labels, which are numbers or angles. Rows whose label is missing are not there."""
    known, values = _style.known_labels(labels)
    rows = drawn[known[drawn]]
    every = np.zeros(len(known))
    every[known] = values
    figure = _style.new_figure(owner, 6.2, 5.0)
    axes = figure.add_subplot()
    pair, colours = np.stack([every[rows], angles[rows, 0]], axis=1), np.tile(_BLUE, (len(rows), 1))
    if kind == "angle":
        pair[:, 0] = _in_radians(owner, pair[:, 0], period)
    draw_pair(axes, pair, colours, (label_name, _style.phi(0)), kind == "angle")
    if kind == "angle":
        _style.pi_axis(axes.xaxis, label_name, period)
    if errors is not None:
        draw_errors(axes, pair, np.stack([np.zeros(len(rows)), errors[rows, 0]], axis=1), colours)
    figure.legend(handles=edge_handles(), loc="outside lower center", ncols=2, frameon=False)
    missing = "" if known.all() else f", {int((~known).sum())} without a label"
    axes.set_title(f"{len(rows)} of {len(known)} points{missing}" if len(rows) < len(known) else f"{len(rows)} points")
    return figure


def _in_radians(owner: str, labels: np.ndarray, period: float | None) -> np.ndarray:
    """Labels `(num,)` in units of their period, as radians in `[-π, π)`."""
    labels = labels.astype("float64") * (1.0 if period is None else 2 * math.pi / period)
    return angle_rows(owner, labels[:, None], "labels")[:, 0]


def _rose_figure(owner: str, angles: np.ndarray, kind: str | None, labels: Any, label_name: str) -> _style.Figure:
    figure = _style.new_figure(owner, 6.2, 5.0)
    axes = figure.add_subplot(projection="polar")
    names, index, palette = _classes(owner, kind, labels, len(angles))
    draw_rose(axes, angles, [(name, palette[i], index == i) for i, name in enumerate(names)])
    axes.set_title(f"{len(angles)} points")
    figure.legend(title=label_name if kind == "classes" else None, loc="outside right upper", frameon=False)
    return figure


def _labels(owner: str, labels: Any, kind: str | None, num: int, period: float | None) -> tuple[str | None, Any]:
    """The kind of the labels, and the labels as `(num,)`."""
    if kind is not None:
        checks.option(owner, "label_kind", kind, ("classes", "number", "angle"))
    if period is not None and (labels is None or kind != "angle"):
        raise ValueError(f"{owner}: `period` is that of labels that are angles. Received: label_kind={kind!r}.")
    if labels is None:
        return None, None
    labels = checks.label_column(owner, labels, num, "one label a row of `angles`")
    known, values = _style.known_labels(labels)
    if kind is None:
        kind = "number" if values.dtype.kind == "f" else "classes"
    if kind == "classes" or not known.any():
        return "classes", labels
    if values.dtype.kind not in "iuf":
        raise TypeError(
            f"{owner}: `labels` must be numbers for label_kind={kind!r}. Received: dtype={labels.dtype}. "
            f'Use label_kind="classes".'
        )
    checks.finite_array(owner, "labels", values)
    return kind, labels


def _colours(
    owner: str, kind: str | None, labels: Any, num: int, period: float | None
) -> tuple[np.ndarray, list[Any], Any]:
    """RGBA `(num, 4)`, legend entries of the classes and of missing labels, and the colour scale of a quantity."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize, to_rgba
    from matplotlib.lines import Line2D

    bar = None
    if kind in ("number", "angle"):
        known, values = _style.known_labels(labels)
        colours = np.tile(to_rgba(_MISSING_COLOUR), (num, 1))
        if kind == "angle":
            values = _in_radians(owner, values, period)
            bar = ScalarMappable(Normalize(-math.pi, math.pi), _style.cyclic_colours())
        else:
            bar = ScalarMappable(Normalize(float(values.min()), float(values.max())), "viridis")
        colours[known] = bar.to_rgba(values)
        entries = [] if known.all() else [("no label", _MISSING_COLOUR)]
    else:
        names, index, palette = _classes(owner, kind, labels, num)
        colours = np.array([to_rgba(colour) for colour in palette])[index]
        entries = list(zip(names, palette, strict=True))
    handles = [Line2D([], [], marker="o", linestyle="", color=colour, label=name) for name, colour in entries]
    return colours, handles, bar


def _classes(owner: str, kind: str | None, labels: Any, num: int) -> tuple[list[str], np.ndarray, list[Any]]:
    """The names of the classes in order, the class number of each label, and a colour for each class."""
    from matplotlib import colormaps

    if kind is None:
        return ["sample"], np.zeros(num, int), ["tab:blue"]
    names, index, missing = _style.classes(owner, labels)
    palette = colormaps["tab10" if len(names) - missing <= 10 else "tab20"]
    colours = [_MISSING_COLOUR] if missing else []
    return names, index, [*colours, *map(palette, range(len(names) - missing))]
