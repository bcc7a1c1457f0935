"""Figures of angles, springs, morphs, occupancy, radii and learning curves, with matplotlib.

Every function returns a `matplotlib.figure.Figure` that belongs to no window: save it with `figure.savefig("x.png")`,
or let a notebook display it. matplotlib is imported when a figure is made: `pip install "torusae[plots]"`.

Angles are in radians, `[-π, π)`; any real input means its value modulo 2π. Circles are numbered from 1 in the figures,
as in the paper: φ₁ is column 0.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from torusae import _checks
from torusae._checks import Tensor
from torusae.diagnostics import Diagnosis
from torusae.losses import spring_loss
from torusae.metrics import _angle_array, cell_occupancy

# A matplotlib Figure; named so that type checkers and readers need no matplotlib.
Figure = Any

_PI_TICKS = [-math.pi, -math.pi / 2, 0.0, math.pi / 2, math.pi]
_PI_LABELS = ["-π", "-π/2", "0", "π/2", "π"]
_MARGIN = 0.5  # radians beyond ±π that repeat the neighbouring copies: enough to see a cluster go on across the edge
_MAX_PAIRS = 6
_MAX_PANELS = 16  # more panels in one figure can't be read
_MAX_CLASSES = 20  # as many colours as the eye, and matplotlib's largest qualitative map, can tell apart
_EMPTY_COLOUR = "#f2b8b5"
_MISSING_COLOUR = "#d0d0d0"  # lighter than the grey among the classes' colours


def _figure(owner: str, width: float, height: float, **kwargs: Any) -> Figure:
    """An empty figure in inches, outside pyplot, which would keep it alive and might open a window."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(f'{owner}: needs matplotlib. Install it with: pip install "torusae[plots]"') from error
    return Figure(figsize=(width, height), layout="constrained", **kwargs)


def _host(value: Any) -> np.ndarray:
    """A tensor of any backend, an array or a list as a NumPy array."""
    return np.asarray(keras.ops.convert_to_numpy(value)) if hasattr(value, "dtype") else np.asarray(value)


def _single(value: Any) -> Any:
    """A NumPy array of float64 as float32, which a picture can't tell from it; JAX warns when it is given float64."""
    return value.astype("float32") if isinstance(value, np.ndarray) and value.dtype == np.float64 else value


def _angles(owner: str, angles: Any) -> np.ndarray:
    """`(num, dim)` float64 in `[-π, π)`, finite."""
    if isinstance(angles, np.ndarray) and angles.dtype == np.float64:  # wrapped before it loses digits
        finite = np.isfinite(angles)
        angles = np.where(finite, np.remainder(np.where(finite, angles, 0.0), 2 * math.pi), angles)
    return _angle_array(owner, _single(angles))


def _subscript(number: int) -> str:
    return str(number).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))


def _phi(column: int) -> str:
    return f"φ{_subscript(column + 1)}"


def _pi_axis(axis: Any, label: str) -> None:
    axis.set_ticks(_PI_TICKS, _PI_LABELS)
    axis.set_label_text(label)


def _grid(count: int, columns: int) -> tuple[int, int]:
    columns = min(count, columns)
    return -(-count // columns), columns


def _panels(figure: Figure, count: int, columns: int, **kwargs: Any) -> list[Any]:
    """`count` axes in a grid, the surplus of the last row removed."""
    axes = list(figure.subplots(*_grid(count, columns), squeeze=False, **kwargs).flat)
    for surplus in axes[count:]:
        surplus.remove()
    return axes[:count]


def _pairs(owner: str, pairs: Any, dim: int) -> tuple[list[tuple[int, int]], str]:
    """The pairs of columns to draw, and a remark where they are not all there are."""
    every = list(itertools.combinations(range(dim), 2))
    if pairs is None:
        if len(every) <= _MAX_PAIRS:
            return every, ""
        # Neighbours show more circles than the first few of the list, which all contain φ₁.
        chosen = [(i, (i + 1) % dim) for i in range(dim)][:_MAX_PAIRS]
        return chosen, f"{len(chosen)} of {len(every)} pairs of circles, neighbours only"
    array = np.asarray(pairs)
    if array.ndim != 2 or array.shape[1] != 2 or array.dtype.kind not in "iu" or len(array) == 0:
        raise ValueError(
            f"{owner}: `pairs` must be a list of pairs of columns such as [(0, 1), (0, 2)]. Received: pairs={pairs!r}."
        )
    if array.min() < 0 or array.max() >= dim or (array[:, 0] == array[:, 1]).any():
        raise ValueError(
            f"{owner}: `pairs` must name two different columns of `angles`, 0 to {dim - 1}. Received: pairs={pairs!r}."
        )
    if len(array) > _MAX_PANELS:
        raise ValueError(
            f"{owner}: `pairs` holds {len(array)} pairs, more than the {_MAX_PANELS} that one figure can show. "
            f"Make several figures."
        )
    return [(int(i), int(j)) for i, j in array], f"{len(array)} of {len(every)} pairs of circles"


def _classes(owner: str, labels: np.ndarray) -> tuple[list[Any], np.ndarray, list[Any]]:
    """The classes in order, the index of each label in them, and a colour for each."""
    from matplotlib import colormaps

    classes, index = np.unique(labels, return_inverse=True)
    if len(classes) > _MAX_CLASSES:
        raise ValueError(
            f"{owner}: `labels` hold {len(classes)} different values, more than the {_MAX_CLASSES} classes that "
            f'colours can tell apart. For a quantity use label_kind="number", or "angle" for one in radians.'
        )
    missing = labels.dtype.kind == "i" and classes[0] == -1  # a missing label of a `Head`
    palette = colormaps["tab10" if len(classes) - missing <= 10 else "tab20"]
    colours: list[Any] = [palette(i) for i in range(len(classes) - missing)]
    if missing:
        colours.insert(0, _MISSING_COLOUR)
    return classes.tolist(), index.reshape(-1), colours


def _class_name(value: Any) -> str:
    return "no label" if value == -1 else str(value)


def plot_spring(angles: Tensor, period: float = 2 * math.pi) -> Figure:
    """The construction of the spring loss: the sorted angles of a batch on a circle, a spring between neighbours.

    The closing spring from the last angle to the first belongs to it. A spring is coloured by its length; the mark in
    the colour bar is the length of all of them when the angles are evenly spaced.

    Args:
        angles: Float tensor `(batch,)` or `(batch, 1)`, radians, or any real values of another `period`.
        period: Positive float. Defaults to `2π`.

    Returns:
        `matplotlib.figure.Figure`.

    Raises:
        ImportError: If matplotlib is not installed.
        TypeError: If `angles` are not floating-point numbers.
        ValueError: If `angles` are of another shape, empty, or hold NaN or infinity, or `period` is not positive.

    Example:

    >>> import numpy as np, torusae.plots
    >>> torusae.plots.plot_spring(np.array([0.0, 1.0, 3.0])).axes[0].get_title()
    'spring loss, normalized: 1.20\\n(1 = evenly spaced, 3 = all in one point)'

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, fig. 2 and eq. 2.
    """
    owner = "plot_spring"
    period = _checks.positive_float(owner, "period", period)
    values = _host(_checks.float_tensor(owner, "angles", _single(angles))).astype("float64")
    if values.ndim not in (1, 2) or (values.ndim == 2 and values.shape[1] != 1) or values.size == 0:
        raise ValueError(
            f"{owner}: `angles` must have shape (batch,) or (batch, 1), the angles of one circle. "
            f"Received: angles.shape={values.shape}. Choose a circle with angles[:, 0]."
        )
    _checks.finite_array(owner, "angles", values)
    figure = _figure(owner, 6.4, 5.4)
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.collections import LineCollection
    from matplotlib.colors import LinearSegmentedColormap, Normalize
    from matplotlib.lines import Line2D

    batch = values.size
    turns = np.sort(values.reshape(-1) / period % 1.0)
    gaps = np.diff(turns, append=turns[0] + 1.0)  # the last one closes the circle
    loss = float(keras.ops.convert_to_numpy(spring_loss(values.reshape(-1, 1).astype("float32"), period, "normalized")))

    axes = figure.add_subplot(aspect="equal")
    axes.set_axis_off()
    circle = 2 * np.pi * np.linspace(0, 1, 361)
    axes.plot(np.cos(circle), np.sin(circle), color="0.85", linewidth=5, zorder=1, label="circle")
    for turn, label, fraction in zip(
        (0, 0.25, 0.5, 0.75), ("0", "π/2", "±π", "-π/2"), (0, 1 / 4, 1 / 2, -1 / 4), strict=True
    ):
        if not math.isclose(period, 2 * math.pi, rel_tol=1e-6):
            label = f"{'±' if turn == 0.5 else ''}{fraction * period:g}"
        elif turn == 0:
            label = "0 rad"
        x, y = math.cos(2 * math.pi * turn), math.sin(2 * math.pi * turn)
        axes.plot([0.86 * x, 0.9 * x], [0.86 * y, 0.9 * y], color="0.4", linewidth=1, zorder=1)
        axes.text(0.7 * x, 0.74 * y, label, ha="center", va="center", color="0.3")

    # A spring keeps its windings when it is stretched, and gets thinner.
    coils, even = 7, 1 / batch
    widest = min(0.075, 2.2 * even)
    segments = []
    for start, gap in zip(turns, gaps, strict=True):
        s = np.linspace(0, 1, 24 * coils + 1)
        amplitude = min(widest / (1 + gap / (6 * even)), 2 * np.pi * gap) * np.clip(10 * np.minimum(s, 1 - s), 0, 1)
        radius = 1 + amplitude * np.sin(2 * np.pi * coils * s)
        phi = 2 * np.pi * (start + gap * s)
        segments.append(np.column_stack([radius * np.cos(phi), radius * np.sin(phi)]))
    # Without the pale end of the map, which white paper would swallow.
    heat = LinearSegmentedColormap.from_list("heat", colormaps["YlOrRd"](np.linspace(0.3, 1, 64)))
    scale = Normalize(0.0, period * max(float(gaps.max()), even))
    springs = LineCollection(segments, cmap=heat, norm=scale, linewidth=1.3, zorder=2)
    springs.set_array(gaps * period)
    axes.add_collection(springs)
    axes.plot(
        np.cos(2 * np.pi * turns),
        np.sin(2 * np.pi * turns),
        "o",
        color="black",
        markersize=max(2.5, min(6.0, 150 / batch)),
        zorder=3,
        label=f"angle of a sample ({batch})",
    )
    axes.set_xlim(-1.15, 1.15)
    axes.set_ylim(-1.15, 1.15)
    radians = math.isclose(period, 2 * math.pi, rel_tol=1e-6)
    bar = figure.colorbar(ScalarMappable(scale, heat), ax=axes, shrink=0.85)
    bar.set_label("length of a spring (rad)" if radians else f"length of a spring (period = {period:g})")
    bar.ax.axhline(period * even, color="black", linewidth=2)
    even_mark = bar.ax.lines[-1]
    even_mark.set_label(f"even spacing, {period * even:.3g}{' rad' if radians else ''}")
    axes.set_title(f"spring loss, normalized: {loss:.2f}\n(1 = evenly spaced, {batch} = all in one point)")
    figure.legend(
        handles=[
            axes.lines[0],
            axes.lines[-1],
            Line2D([], [], color=heat(0.5), linewidth=1.3, label="spring to the next angle"),
            even_mark,
        ],
        loc="outside lower center",
        ncols=2,
        frameon=False,
    )
    return figure


def plot_angles(
    angles: Tensor,
    labels: Any = None,
    label_kind: str | None = None,
    label_name: str = "class",
    pairs: Sequence[tuple[int, int]] | None = None,
    max_points: int = 5000,
    seed: int = 0,
) -> Figure:
    """Scatter plots of pairs of angles, coloured by label; for a single angle a histogram around its circle.

    A dashed square marks ±π. Beyond it the neighbouring copies are repeated faintly: a cluster that leaves on one side
    comes back on the other. All pairs are shown up to six (`dim` up to 4), beyond that the first six pairs of
    neighbouring circles unless `pairs` says otherwise.

    Args:
        angles: Float tensor `(num, dim)`, radians.
        labels: `(num,)` integers, strings or booleans for classes, where the integer -1 is a missing label; real
            numbers for a quantity. Defaults to `None`, one colour.
        label_kind: `"classes"`, `"number"`, or `"angle"` for labels in radians, which get a cyclic colour scale.
            Defaults to `None`: `"number"` for real labels, else `"classes"`.
        label_name: String, title of the legend or the colour bar. Defaults to `"class"`.
        pairs: Pairs of columns, at most 16. Defaults to `None`.
        max_points: Integer: of more points than this a seeded choice is drawn; the title says so. Defaults to `5000`.
        seed: Integer, seed of that choice and of the order in which points cover each other. Defaults to `0`.

    Returns:
        `matplotlib.figure.Figure`.

    Raises:
        ImportError: If matplotlib is not installed.
        TypeError: If `angles` are not floating-point numbers.
        ValueError: If `angles` are not of rank 2, empty, or hold NaN; if `labels` do not fit, are of more than 20
            classes, or `label_kind` is unknown; if `pairs` names columns that are not there.

    Example:

    >>> import numpy as np, torusae.plots
    >>> figure = torusae.plots.plot_angles(np.zeros((5, 3)), labels=[0, 1, 2, 1, 0])
    >>> [axes.get_xlabel() for axes in figure.axes]
    ['φ₁ (rad)', 'φ₁ (rad)', 'φ₂ (rad)']

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, fig. 3 and 5.
    """
    owner = "plot_angles"
    angles = _angles(owner, angles)
    num, dim = angles.shape
    max_points = _checks.positive_int(owner, "max_points", max_points)
    generator = np.random.default_rng(_checks.positive_int(owner, "seed", seed, least=0))
    kind, labels = _labels(owner, labels, label_kind, num)
    chosen, remark = _pairs(owner, pairs, dim) if dim > 1 or pairs is not None else ([], "")
    if dim == 1:
        return _rose(owner, angles[:, 0], kind, labels, label_name)

    drawn = generator.permutation(num)[:max_points]  # shuffled, so that no class lies on top of the others
    angles = angles[drawn]
    rows, columns = _grid(len(chosen), 3)
    figure = _figure(owner, 3.3 * columns + (1.9 if kind in (None, "classes") else 0.8), 3.3 * rows + 0.5)
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize, to_rgba
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = []
    bar = None
    if kind == "classes":
        classes, index, palette = _classes(owner, labels)
        colours = np.array([to_rgba(colour) for colour in palette])[index[drawn]]
        handles = [
            Line2D([], [], marker="o", linestyle="", color=colour, label=_class_name(value))
            for value, colour in zip(classes, palette, strict=True)
        ]
    elif kind is None:
        colours = np.array([to_rgba("tab:blue")] * len(drawn))
        handles = [Line2D([], [], marker="o", linestyle="", color="tab:blue", label="sample")]
    else:
        if kind == "angle":
            labels = _angles(owner, labels[:, None].astype("float64"))[:, 0]
            bar = ScalarMappable(Normalize(-math.pi, math.pi), "hsv")  # other cyclic maps pass through white
        else:
            bar = ScalarMappable(Normalize(float(labels.min()), float(labels.max())), "viridis")
        colours = bar.to_rgba(labels[drawn])

    count = len(drawn)
    size = float(np.clip(6000 / count, 4, 22))
    opacity = float(np.clip(2500 / count, 0.45, 0.85))
    limit = math.pi + _MARGIN
    panels = _panels(figure, len(chosen), 3)
    for axes, (i, j) in zip(panels, chosen, strict=True):
        _square(axes, limit)
        for x_turn, y_turn in itertools.product((-1, 0, 1), repeat=2):
            x, y = angles[:, i] + 2 * math.pi * x_turn, angles[:, j] + 2 * math.pi * y_turn
            inside = (np.abs(x) <= limit) & (np.abs(y) <= limit)
            if not inside.any():
                continue
            copy = (x_turn, y_turn) != (0, 0)
            shades = colours[inside].copy()
            shades[:, 3] = opacity * (0.3 if copy else 1.0)
            axes.scatter(
                x[inside],
                y[inside],
                s=size,
                c=shades,
                linewidths=0,
                rasterized=True,  # keeps vector files small
                zorder=3,
                gid="copy" if copy else "points",
            )
        _pi_axis(axes.xaxis, f"{_phi(i)} (rad)")
        _pi_axis(axes.yaxis, f"{_phi(j)} (rad)")
    handles += [
        Line2D([], [], color="0.25", linestyle="--", linewidth=1, label="edge ±π"),
        Patch(facecolor="0.93", edgecolor="0.8", label="beyond the edge:\nthe other side again"),
    ]
    if bar is not None:
        scale = figure.colorbar(bar, ax=panels, shrink=0.9, aspect=30)
        scale.set_label(f"{label_name} (rad)" if kind == "angle" else label_name)
        if kind == "angle":
            scale.set_ticks(_PI_TICKS, labels=_PI_LABELS)
    figure.legend(
        handles=handles,
        loc="outside right upper" if bar is None else "outside lower center",
        ncols=1 if bar is None else 2,
        title=label_name if kind == "classes" else None,
        frameon=False,
    )
    title = f"{num} points" if count == num else f"{count} of {num} points, chosen at random"
    figure.suptitle(", ".join(part for part in (title, remark) if part), fontsize="medium")
    return figure


def _labels(owner: str, labels: Any, kind: str | None, num: int) -> tuple[str | None, np.ndarray]:
    """What the labels are and the labels as `(num,)`."""
    if kind is not None:
        _checks.option(owner, "label_kind", kind, ("classes", "number", "angle"))
    if labels is None:
        return None, np.zeros(num)
    array = _host(labels)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.shape != (num,):
        raise ValueError(
            f"{owner}: `labels` must have shape ({num},), one label per row of `angles`. "
            f"Received: labels.shape={array.shape}."
        )
    if kind is None:
        kind = "number" if array.dtype.kind == "f" else "classes"
    if kind != "classes":
        if array.dtype.kind not in "iuf":
            raise TypeError(f"{owner}: `labels` of label_kind={kind!r} must be numbers. Received: dtype={array.dtype}.")
        _checks.finite_array(owner, "labels", array)
    return kind, array


def _square(axes: Any, limit: float) -> None:
    """The torus as a square with dashed edges inside a grey margin."""
    axes.set_aspect("equal")
    axes.set_xlim(-limit, limit)
    axes.set_ylim(-limit, limit)
    axes.set_facecolor("0.93")
    edge = [-math.pi, math.pi]
    axes.fill_between(edge, -math.pi, math.pi, color="white", linewidth=0, zorder=1)
    axes.plot(
        [-math.pi, math.pi, math.pi, -math.pi, -math.pi],
        [-math.pi, -math.pi, math.pi, math.pi, -math.pi],
        color="0.25",
        linestyle="--",
        linewidth=1,
        zorder=2,
        gid="edge",
    )


def _rose(owner: str, angles: np.ndarray, kind: str | None, labels: np.ndarray, label_name: str) -> Figure:
    """A histogram around one circle, stacked by class. Quantities have no stack, so they are refused."""
    if kind in ("number", "angle"):
        raise ValueError(
            f"{owner}: one circle is drawn as a histogram, so its `labels` must be classes. "
            f"Received: label_kind={kind!r}. Leave `labels` out, or group them into classes."
        )
    figure = _figure(owner, 6.2, 5.0)
    from matplotlib.ticker import MaxNLocator

    arcs = 36
    edges = np.linspace(-math.pi, math.pi, arcs + 1)
    middles, width = (edges[1:] + edges[:-1]) / 2, 2 * math.pi / arcs
    axes = figure.add_subplot(projection="polar")
    groups = [("sample", "tab:blue", np.ones(len(angles), bool))]
    if kind == "classes":
        classes, index, palette = _classes(owner, labels)
        groups = [(_class_name(c), palette[i], index == i) for i, c in enumerate(classes)]
    bottom = np.zeros(arcs)
    for name, colour, member in groups:
        counts = np.histogram(angles[member], edges)[0]
        axes.bar(middles, counts, width, bottom=bottom, color=colour, edgecolor="white", linewidth=0.3, label=name)
        bottom = bottom + counts
    circle = np.linspace(-math.pi, math.pi, 361)
    uniform = len(angles) / arcs
    axes.plot(circle, np.full(361, uniform), color="0.25", linestyle="--", linewidth=1, label="uniform")
    top = max(float(bottom.max()), 1.3 * uniform) * 1.05
    axes.set_ylim(-0.35 * top, top)  # a hole, so that bars of equal counts have nearly equal areas
    axes.set_xticks([0, math.pi / 2, math.pi, 3 * math.pi / 2], ["0", "π/2", "±π", "-π/2"])
    axes.set_rlabel_position(math.degrees(float(middles[bottom.argmin()])))  # where bars leave most room for numbers
    axes.set_yticks([tick for tick in MaxNLocator(3, integer=True).tick_values(0, top) if 0 < tick <= top])
    axes.set_xlabel(f"{_phi(0)} (rad); radius: points per arc of 2π/{arcs}")
    axes.set_title(f"{len(angles)} points")
    figure.legend(title=label_name if kind == "classes" else None, loc="outside right upper", frameon=False)
    return figure


def plot_morph(samples: Tensor, windings: Tensor | None = None) -> Figure:
    """A morph as `TorusAutoencoder.morph` returns it: one row for each way around the torus, from start to end.

    Images are drawn as images, grey for one channel and RGB for three; vectors as lines, one panel for each path. Both
    ends are the same in all rows.

    Args:
        samples: Float tensor `(num_paths, num_steps, *sample_shape)`; images in the layout of
            `keras.config.image_data_format()`, or without a channel axis.
        windings: Integer tensor `(num_paths, dim)`, written at the rows as `k = (0, -1, 0)`. Defaults to `None`.

    Returns:
        `matplotlib.figure.Figure`.

    Raises:
        ImportError: If matplotlib is not installed.
        TypeError: If `samples` are not floating-point, or `windings` not integers.
        ValueError: If a shape does not fit, or `samples` hold NaN.

    Example:

    >>> import numpy as np, torusae.plots
    >>> figure = torusae.plots.plot_morph(np.zeros((2, 12, 28, 28, 1)), [[0, 0], [0, -1]])
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['k = (0, 0)', 'k = (0, -1)']

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, fig. 4.
    """
    return _morph_figure("plot_morph", [(samples, windings)], columns=1)


def plot_morphs(morphs: Sequence[Any], columns: int = 3) -> Figure:
    """Several morphs in one figure, as the paper's nine examples. See `plot_morph`.

    Args:
        morphs: List of `samples`, or of pairs `(samples, windings)`.
        columns: Integer, at least 1, morphs side by side. Defaults to `3`.

    Returns:
        `matplotlib.figure.Figure`.

    Raises:
        ImportError: If matplotlib is not installed.
        TypeError: If `morphs` is not a list, or an element is of the wrong type.
        ValueError: If `morphs` is empty, or a shape does not fit.

    Example:

    >>> import numpy as np, torusae.plots
    >>> len(torusae.plots.plot_morphs([np.zeros((8, 12, 28, 28, 1))] * 9).axes)
    9

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, fig. 4.
    """
    owner = "plot_morphs"
    if not isinstance(morphs, (list, tuple)):
        raise TypeError(
            f"{owner}: `morphs` must be a list of `samples` or of pairs (samples, windings). "
            f"Received: {type(morphs).__name__}. For a single morph use plot_morph."
        )
    if not morphs:
        raise ValueError(f"{owner}: `morphs` must hold at least one morph. Received: an empty list.")
    columns = _checks.positive_int(owner, "columns", columns)
    pairs = [tuple(morph) if isinstance(morph, (list, tuple)) else (morph, None) for morph in morphs]
    for number, pair in enumerate(pairs):
        if len(pair) != 2:
            raise ValueError(f"{owner}: morphs[{number}] must be a pair (samples, windings). Received: {len(pair)}.")
    return _morph_figure(owner, pairs, columns)


def plot_samples(samples: Tensor | Mapping[str, Tensor], columns: int = 12) -> Figure:
    """Images in a grid: samples of a model, or several sets of images row by row, such as data and reconstructions.

    Args:
        samples: Float tensor `(num, *image_shape)`, images in the layout of `keras.config.image_data_format()` or
            without a channel axis; or a dict from a name to such tensors, all of one shape, drawn in turn with the
            names at the rows.
        columns: Integer, at least 1, images side by side. Images beyond the last full row are left out, and the label
            says how many are drawn. Defaults to `12`.

    Returns:
        `matplotlib.figure.Figure`.

    Raises:
        ImportError: If matplotlib is not installed.
        TypeError: If `samples` are not floating-point.
        ValueError: If a shape does not fit, or `samples` hold NaN.

    Example:

    >>> import numpy as np, torusae.plots
    >>> digits = np.zeros((24, 28, 28, 1))
    >>> figure = torusae.plots.plot_samples({"data": digits, "reconstruction": digits})
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['data', 'reconstruction', 'data', 'reconstruction']
    """
    owner = "plot_samples"
    columns = _checks.positive_int(owner, "columns", columns)
    sets = (
        {str(name): _host(_single(values)) for name, values in samples.items()} if isinstance(samples, Mapping) else {}
    )
    sets = sets or {"": _host(_single(samples))}
    shapes = {values.shape for values in sets.values()}
    received = ", ".join(f"{name or 'samples'}.shape={values.shape}" for name, values in sets.items())
    if len(shapes) > 1 or min(shape[0] if shape else 0 for shape in shapes) == 0:
        raise ValueError(
            f"{owner}: `samples` must hold at least one image, and all sets must be of one shape. Received: {received}."
        )
    num = len(next(iter(sets.values())))
    columns = min(columns, num)
    rows = num // columns
    stacked = np.stack([values[: rows * columns] for values in sets.values()])
    stacked = stacked.reshape(len(sets), rows, columns, *stacked.shape[2:])
    images = np.swapaxes(stacked, 0, 1).reshape(rows * len(sets), columns, *stacked.shape[3:])  # the sets in turn
    images, _, is_image = _morph(owner, images, None, least_steps=1)
    if not is_image:
        raise ValueError(
            f"{owner}: `samples` must be images, of shape (num, height, width) or with a channel axis. "
            f"Received: shape={next(iter(shapes))}. For vectors use plot_morph."
        )
    cell = 0.62
    figure = _figure(owner, max(4.5, cell * columns + 1.3), cell * len(images) + 0.6)
    axes = figure.add_subplot()
    height = images.shape[2]
    tile_height, _, _, _, scale = _draw_mosaic(axes, images)
    axes.set_yticks([row * tile_height + (height - 1) / 2 for row in range(len(images))], list(sets) * rows)
    axes.set_xticks([])
    drawn = f"{rows * columns} of {num}" if rows * columns < num else f"{num}"
    axes.set_xlabel(f"{drawn} images{' of each' if len(sets) > 1 else ''}{scale}")
    return figure


def _morph_figure(owner: str, morphs: Sequence[tuple[Any, Any]], columns: int) -> Figure:
    checked = [_morph(owner, samples, windings) for samples, windings in morphs]
    rows, columns = _grid(len(checked), columns)
    sizes = []
    for samples, _, is_image in checked:
        num_paths, num_steps = samples.shape[:2]
        if is_image:
            height, width = samples.shape[2:4]
            cell = 0.62 if len(checked) == 1 else 0.34
            sizes.append((cell * num_steps * max(1.0, width / height) + 1.3, cell * num_paths + 0.9))
        else:
            sizes.append((5.2, 0.95 * num_paths + 1.0))
    width = columns * min(12.0 if columns == 1 else 6.0, max(w for w, _ in sizes))
    height = rows * min(14.0, max(h for _, h in sizes))
    figure = _figure(owner, max(width, 4.5), height + 0.4)
    from matplotlib.patches import Patch

    cells = figure.subfigures(rows, columns, squeeze=False)
    for cell, (samples, names, is_image) in zip(cells.flat, checked, strict=False):
        (_draw_image_morph if is_image else _draw_vector_morph)(cell, samples, names, small=len(checked) > 1)
    handles: list[Any] = [
        Patch(facecolor="none", edgecolor=colour, linewidth=1.6, label=end)
        for end, colour in (("start", _START_COLOUR), ("end", _END_COLOUR))
    ]
    if not all(is_image for *_, is_image in checked):
        from matplotlib.lines import Line2D

        handles = [Line2D([], [], color=h.get_edgecolor(), linewidth=1.6, label=h.get_label()) for h in handles]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
    return figure


_START_COLOUR, _END_COLOUR = "tab:blue", "tab:red"


def _morph(owner: str, samples: Any, windings: Any, least_steps: int = 2) -> tuple[np.ndarray, list[str], bool]:
    """Images `(num_paths, num_steps, height, width, 1 or 3)` or vectors, names of the rows, whether they are images."""
    samples = _host(_checks.float_tensor(owner, "samples", _single(samples))).astype("float32")
    shape = samples.shape
    if samples.ndim not in (3, 4, 5) or 0 in shape or shape[1] < least_steps:
        raise ValueError(
            f"{owner}: `samples` must have shape (num_paths, num_steps, *sample_shape) with images or vectors as "
            f"samples and at least {least_steps} steps, as TorusAutoencoder.morph returns. "
            f"Received: samples.shape={shape}."
        )
    _checks.finite_array(owner, "samples", samples)
    if samples.ndim == 4:
        samples = samples[..., None]
    elif samples.ndim == 5 and keras.config.image_data_format() == "channels_first":
        samples = np.moveaxis(samples, 2, -1)
    if samples.ndim == 5 and samples.shape[-1] not in (1, 3):
        raise ValueError(
            f"{owner}: images in `samples` must have 1 channel (grey) or 3 (RGB), in the layout "
            f"{keras.config.image_data_format()!r} of keras.config.image_data_format(). "
            f"Received: samples.shape={shape}. Choose the channels to draw."
        )
    if windings is None:
        return samples, [f"path {row + 1}" for row in range(shape[0])], samples.ndim == 5
    k = _host(windings)
    if k.dtype.kind not in "iu":
        raise TypeError(f"{owner}: `windings` must be integers. Received: dtype={k.dtype}.")
    if k.ndim != 2 or len(k) != shape[0]:
        raise ValueError(
            f"{owner}: `windings` must have shape ({shape[0]}, dim), one row for each path of `samples`. "
            f"Received: windings.shape={k.shape}."
        )
    names = [f"k = ({', '.join(str(int(value)) for value in row)})" for row in k]
    return samples, names, samples.ndim == 5


def _draw_mosaic(axes: Any, images: np.ndarray) -> tuple[int, int, int, tuple[int, int], str]:
    """One mosaic instead of an axes for each image: nine morphs would need hundreds of axes.

    Returns height and width of a tile, the gap between tiles, the size of the mosaic, and a remark on its scale.
    """
    num_rows, num_columns, height, width, channels = images.shape
    low, high = min(0.0, float(images.min())), max(1.0, float(images.max()))
    images = (images - low) / (high - low)
    gap = max(1, round(min(height, width) / 14))  # white lines between the images
    tile_height, tile_width = height + gap, width + gap
    mosaic = np.ones((num_rows * tile_height - gap, num_columns * tile_width - gap, channels), "float32")
    for row, column in itertools.product(range(num_rows), range(num_columns)):
        top, left = row * tile_height, column * tile_width
        mosaic[top : top + height, left : left + width] = images[row, column]
    if channels == 1:
        axes.imshow(mosaic[..., 0], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    else:
        axes.imshow(mosaic, interpolation="nearest")
    axes.tick_params(length=0)
    axes.set_frame_on(False)
    scale = "" if (low, high) == (0.0, 1.0) else f" (black to white: {low:.3g} to {high:.3g})"
    return tile_height, tile_width, gap, mosaic.shape[:2], scale


def _draw_image_morph(cell: Any, samples: np.ndarray, names: list[str], small: bool) -> None:
    from matplotlib.patches import Rectangle

    num_paths, num_steps, height, width, _ = samples.shape
    axes = cell.add_subplot()
    tile_height, tile_width, gap, size, scale = _draw_mosaic(axes, samples)
    font = "x-small" if small else "small"
    axes.set_yticks([path * tile_height + (height - 1) / 2 for path in range(num_paths)], names, fontsize=font)
    ticks = sorted({0, (num_steps - 1) // 2, num_steps - 1}) if num_steps % 2 else [0, num_steps - 1]
    axes.set_xticks(
        [step * tile_width + (width - 1) / 2 for step in ticks],
        [f"t = {step / (num_steps - 1):g}" for step in ticks],
        fontsize=font,
    )
    axes.set_xlabel(f"share t of the path{scale}", fontsize=font)
    for step, colour in ((0, _START_COLOUR), (num_steps - 1, _END_COLOUR)):
        corner = (step * tile_width - 0.5 - gap / 2, -0.5 - gap / 2)
        axes.add_patch(
            Rectangle(corner, tile_width, size[0] + gap, fill=False, edgecolor=colour, linewidth=1.6, clip_on=False)
        )


def _draw_vector_morph(cell: Any, samples: np.ndarray, names: list[str], small: bool) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    num_paths, num_steps, size = samples.shape
    mapping = ScalarMappable(Normalize(0, 1), "viridis")
    font = "x-small" if small else "small"
    panels = list(cell.subplots(num_paths, 1, squeeze=False, sharex=True, sharey=True).flat)
    columns = np.arange(1, size + 1)
    marker = "." if size < 40 else None
    for axes, path, name in zip(panels, samples, names, strict=True):
        for step, values in enumerate(path):
            end = {0: _START_COLOUR, num_steps - 1: _END_COLOUR}.get(step)
            colour = end or mapping.to_rgba(step / (num_steps - 1))
            # The ends lie on top and are wider: they are the same in all rows.
            axes.plot(
                columns, values, color=colour, linewidth=1.6 if end else 0.8, zorder=3 if end else 2, marker=marker
            )
        axes.set_title(name, fontsize=font, loc="left", pad=2)
        axes.tick_params(labelsize=font)
    panels[-1].set_xlabel("column of the sample", fontsize=font)
    cell.supylabel("value", fontsize=font)
    cell.colorbar(mapping, ax=panels, aspect=40, pad=0.02).set_label("share t of the path", fontsize=font)


def plot_occupancy(angles: Tensor, cells: int = 8, pairs: Sequence[tuple[int, int]] | None = None) -> Figure:
    """How much of the torus is left empty: counts in equal cells, the empty ones in a colour of their own.

    Three circles are drawn whole, as slices along φ₃. More are drawn as pairs of circles, all up to six pairs, beyond
    that the first six pairs of neighbouring circles. One circle is drawn as a row of arcs.

    Args:
        angles: Float tensor `(num, dim)`, radians.
        cells: Integer, at least 2, cells along each circle; at most 16 for slices. Defaults to `8`.
        pairs: Pairs of columns to draw as such, whatever `dim`, at most 16. Defaults to `None`.

    Returns:
        `matplotlib.figure.Figure`. The titles give the share of empty cells and the Kullback-Leibler divergence to
        uniform in nats, and in brackets what as many independent uniform points give on average.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If `angles` are not of rank 2, empty, or hold NaN; `cells` is too small or too large; `pairs` names
            columns that are not there.

    Example:

    >>> import numpy as np, torusae.plots
    >>> figure = torusae.plots.plot_occupancy(np.zeros((10, 3)))
    >>> figure.get_suptitle().split(",")[0]
    '10 points in 8³ cells: 99.8 % empty (uniform: 98.1 %)'

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, section 5 and fig. 5: the blank areas.
    """
    owner = "plot_occupancy"
    angles = _angles(owner, angles)
    cells = _checks.positive_int(owner, "cells", cells, least=2)
    num, dim = angles.shape
    sliced = dim == 3 and pairs is None
    if sliced and cells > _MAX_PANELS:
        raise ValueError(
            f"{owner}: `cells`={cells} makes as many slices of three circles, more than the {_MAX_PANELS} that one "
            f"figure can show. Use fewer cells, or pairs=[(0, 1), (0, 2), (1, 2)]."
        )
    edges = np.linspace(-math.pi, math.pi, cells + 1)
    remark = ""
    if sliced:
        counts = np.histogramdd(angles, [edges] * 3)[0]
        panels = [(counts[:, :, c], 0, 1, f"{_phi(2)} {_interval(c, cells)}") for c in range(cells)]
        columns = 4
    elif dim == 1 and pairs is None:
        panels = [(np.histogram(angles[:, 0], edges)[0][:, None], 0, -1, "")]
        columns = 1
    else:
        chosen, remark = _pairs(owner, pairs, dim)
        panels, columns = [], 3
        for i, j in chosen:
            counts = np.histogram2d(angles[:, i], angles[:, j], [edges] * 2)[0]
            text = "" if dim == 2 else _share_text(cell_occupancy(_single(angles[:, [i, j]]), cells), "\n")
            panels.append((counts, i, j, text))
    if dim <= 3 and (sliced or (len(panels) == 1 and dim < 3)):
        separator = ", " if sliced else "\n"
        power = {1: "", 2: "²", 3: "³"}[dim]
        title = (
            f"{num} points in {cells}{power} cells: {_share_text(cell_occupancy(_single(angles), cells), separator)}"
        )
    else:
        title = f"{num} points in {cells}² cells for each pair; in brackets: independent uniform points"
        title += f"\n{remark}" if remark else ""

    rows, columns = _grid(len(panels), columns)
    flat = panels[0][2] < 0
    figure = _figure(owner, max((2.5 if sliced else 3.2) * columns + 1.2, 6.6), 2.7 if flat else 2.9 * rows + 0.9)
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import PowerNorm
    from matplotlib.patches import Patch

    cmap = colormaps["viridis"].with_extremes(bad=_EMPTY_COLOUR)
    most = max(float(counts.max()) for counts, *_ in panels)
    # The square root tells small counts apart beside a crowded cell.
    mapping = ScalarMappable(PowerNorm(0.5, 0.0, most), cmap)
    drawn = _panels(figure, len(panels), columns)
    for axes, (counts, i, j, text) in zip(drawn, panels, strict=True):
        axes.imshow(
            np.ma.masked_equal(counts, 0).T,
            origin="lower",
            extent=(-math.pi, math.pi, -math.pi, math.pi) if not flat else (-math.pi, math.pi, 0, 1),
            cmap=cmap,
            norm=mapping.norm,
            interpolation="nearest",
            aspect="equal" if not flat else "auto",
        )
        axes.set_title(text, fontsize="small")
        _pi_axis(axes.xaxis, f"{_phi(i)} (rad)")
        if flat:
            axes.set_yticks([])
        else:
            _pi_axis(axes.yaxis, f"{_phi(j)} (rad)")
        if sliced:
            axes.label_outer()
    figure.colorbar(mapping, ax=drawn, aspect=30 if not flat else 5, pad=0.02).set_label(
        "points in a cell (square-root scale)"
    )
    expected = num / cells ** (3 if sliced else 1 if flat else 2)
    mean_colour: Any = cmap(mapping.norm(expected))
    figure.legend(
        handles=[
            Patch(facecolor=_EMPTY_COLOUR, edgecolor="0.6", label="empty cell"),
            Patch(facecolor=mean_colour, edgecolor="0.6", label=f"mean, {expected:.3g} points in a cell"),
        ],
        loc="outside lower center",
        ncols=2,
        frameon=False,
    )
    figure.suptitle(title, fontsize="medium")
    return figure


def _share_text(found: dict[str, float], separator: str) -> str:
    return (
        f"{100 * found['empty']:.1f} % empty (uniform: {100 * found['expected_empty']:.1f} %){separator}"
        f"KL to uniform {found['kl']:.3f} nats (uniform: {found['expected_kl']:.3f})"
    )


def _interval(cell: int, cells: int) -> str:
    """`in [-π, -3π/4)` for the first of 8 arcs."""

    def edge(number: int) -> str:
        numerator, denominator = 2 * number - cells, cells
        divisor = math.gcd(numerator, denominator) or 1
        numerator, denominator = numerator // divisor, denominator // divisor
        if numerator == 0:
            return "0"
        text = ("-" if numerator < 0 else "") + (str(abs(numerator)) if abs(numerator) != 1 else "") + "π"
        return text if denominator == 1 else f"{text}/{denominator}"

    return f"in [{edge(cell)}, {edge(cell + 1)})"


def plot_radii(radii: Tensor, mean: float = 1.0, stddev: float = 0.1) -> Figure:
    """Histograms of the radii of each circle beside the normal density that they should follow.

    Args:
        radii: Float tensor `(num, dim)`, for example `torusae.to_polar(code)[0]`. Of more than 16 circles the first 16
            are drawn; the title says so.
        mean: Float, mean of the target. Defaults to `1.0`.
        stddev: Positive float, its standard deviation. Defaults to `0.1`.

    Returns:
        `matplotlib.figure.Figure`.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If `radii` are not of rank 2, empty, or hold NaN, or `stddev` is not positive.

    Example:

    >>> import numpy as np, torusae.plots
    >>> radii = torusae.normal_quantiles(100)[:, None]
    >>> torusae.plots.plot_radii(radii).axes[0].get_title()
    'r₁: mean 1.000, deviation 0.099'

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, section 2.2.
    """
    owner = "plot_radii"
    stddev = _checks.positive_float(owner, "stddev", stddev)
    mean = float(mean)
    values = _host(_checks.float_tensor(owner, "radii", _single(radii), 2, "(num, dim)")).astype("float64")
    if values.size == 0:
        raise ValueError(f"{owner}: `radii` must hold at least one number. Received: radii.shape={values.shape}.")
    _checks.finite_array(owner, "radii", values)
    num, dim = values.shape
    shown = min(dim, _MAX_PANELS)
    rows, columns = _grid(shown, 4)
    figure = _figure(owner, max(2.7 * columns + 0.3, 4.6), 2.4 * rows + 0.8)
    low = min(float(values[:, :shown].min()), mean - 4 * stddev)
    high = max(float(values[:, :shown].max()), mean + 4 * stddev)
    x = np.linspace(low, high, 400)
    density = np.exp(-(((x - mean) / stddev) ** 2) / 2) / (stddev * math.sqrt(2 * math.pi))
    bins = np.linspace(low, high, min(120, max(24, round((high - low) / (stddev / 3)))) + 1)
    panels = _panels(figure, shown, 4, sharex=True, sharey=True)
    for circle, axes in enumerate(panels):
        r = values[:, circle]
        axes.hist(r, bins, density=True, color="tab:blue", alpha=0.6, label="radii")
        axes.plot(x, density, color="black", linewidth=1.2, label=f"target N({mean:g}, {stddev:g})")
        axes.set_title(f"r{_subscript(circle + 1)}: mean {r.mean():.3f}, deviation {r.std():.3f}", fontsize="small")
        axes.set_xlabel("radius (code units)")
        axes.set_ylabel("density")
        axes.label_outer()
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    title = f"radii of {num} points" + (f", the first {shown} of {dim} circles" if shown < dim else "")
    figure.suptitle(title, fontsize="medium")
    return figure


def plot_history(history: Any) -> Figure:
    """Learning curves: one panel for each term, training and validation in the same axes.

    An axis is logarithmic where all values are positive and the largest is at least ten times the smallest.

    Args:
        history: What `fit` returns, or its `history`: a dict from a name to one number per epoch; names that begin with
            `val_` belong to the validation data.

    Returns:
        `matplotlib.figure.Figure`.

    Raises:
        ImportError: If matplotlib is not installed.
        TypeError: If `history` is neither a `keras.callbacks.History` nor a dict of numbers.
        ValueError: If `history` is empty.

    Example:

    >>> import torusae.plots
    >>> figure = torusae.plots.plot_history({"loss": [3.0, 1.0, 0.1], "val_loss": [3.5, 2.0, 1.0]})
    >>> figure.axes[0].get_yscale()
    'log'
    """
    owner = "plot_history"
    curves = history.history if isinstance(history, keras.callbacks.History) else history
    if not isinstance(curves, Mapping):
        raise TypeError(
            f"{owner}: `history` must be what `fit` returned, or a dict from names to lists of numbers. "
            f"Received: {type(history).__name__}."
        )
    if not curves:
        raise ValueError(f"{owner}: `history` is empty. Train at least one epoch before plotting.")
    series = {}
    for name, values in curves.items():
        try:
            array = np.asarray([float(value) for value in values])
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"{owner}: history[{name!r}] must be a list of numbers, one per epoch. Received: {values!r}."
            ) from error
        if array.size == 0:
            raise ValueError(f"{owner}: history[{name!r}] is empty. Train at least one epoch before plotting.")
        series[str(name)] = array
    terms = list(dict.fromkeys(name.removeprefix("val_") for name in series))
    # "loss" is the sum of the others, so it comes first.
    terms.sort(key=lambda term: term != "loss")
    rows, columns = _grid(len(terms), 3)
    figure = _figure(owner, max(3.2 * columns + 0.2, 4.4), 2.5 * rows + 0.5)
    from matplotlib.ticker import MaxNLocator

    panels = _panels(figure, len(terms), 3)
    handles: dict[str, Any] = {}
    for axes, term in zip(panels, terms, strict=True):
        shown = []
        for label, key, colour, style in (
            ("training", term, "tab:blue", "-"),
            ("validation", f"val_{term}", "tab:orange", "--"),
        ):
            if key in series:
                values = series[key]
                marker = "o" if len(values) < 20 else None
                epochs = np.arange(1, len(values) + 1)
                (handles[label],) = axes.plot(
                    epochs, values, style, color=colour, marker=marker, markersize=3, label=label
                )
                shown.append(values)
        together = np.concatenate(shown)
        together = together[np.isfinite(together)]
        if together.size and together.min() > 0 and together.max() >= 10 * together.min():
            axes.set_yscale("log")
        axes.set_xlabel("epoch")
        axes.set_ylabel(f"{term}, log scale" if axes.get_yscale() == "log" else term)
        if max(map(len, shown)) == 1:
            axes.set_xlim(0.5, 1.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6, min_n_ticks=1))
        axes.grid(True, color="0.9", linewidth=0.6)
    ordered = [handles[label] for label in ("training", "validation") if label in handles]
    figure.legend(handles=ordered, loc="outside lower center", ncols=2, frameon=False)
    return figure


def plot_diagnosis(diagnosis: Diagnosis) -> Figure:
    """What `diagnose` looked at: angles and radii beside their priors, the largest moments, the circles' correlations.

    Args:
        diagnosis: What `diagnose` returned.

    Returns:
        `matplotlib.figure.Figure`. The title holds the names of the problems.

    Raises:
        ImportError: If matplotlib is not installed.

    Example:

    >>> import torusae
    >>> codes = torusae.Torus(2).sample(1000, seed=0)
    >>> figure = torusae.plots.plot_diagnosis(torusae.diagnose(codes))
    >>> figure.get_suptitle()
    '1000 points on 2 circles: nothing wrong found'
    """
    owner = "plot_diagnosis"
    num, dim = diagnosis.angles.shape
    figure = _figure(owner, 11, 7.5)
    angles_axis, radii_axis, moments_axis, ties_axis = figure.subplots(2, 2).flat
    shown = min(dim, 8)  # more lines than this can't be told apart
    edges = np.linspace(-math.pi, math.pi, 33)
    for i in range(shown):
        shares = np.histogram(diagnosis.angles[:, i], edges)[0] / num / (edges[1] - edges[0])
        angles_axis.stairs(shares, edges, label=_phi(i))
    angles_axis.axhline(1 / (2 * math.pi), color="black", linestyle=":", label="uniform")
    _pi_axis(angles_axis.xaxis, "angle, rad")
    angles_axis.set_ylabel("density, 1/rad")
    angles_axis.set_ylim(bottom=0)
    angles_axis.legend(fontsize=8, ncols=2)
    top = max(2.0, float(diagnosis.radii.max()))
    for i in range(shown):
        bins, name = np.linspace(0, top, 80), f"r{_subscript(i + 1)}"
        radii_axis.hist(diagnosis.radii[:, i], bins, density=True, histtype="step", label=name)
    r = np.linspace(0, top, 400)
    radii_axis.plot(r, np.exp(-((r - 1) ** 2) / 0.02) / math.sqrt(0.02 * math.pi), "k:", label="N(1, 0.1)")
    radii_axis.set_xlabel("radius")
    radii_axis.set_ylabel("density")
    radii_axis.legend(fontsize=8, ncols=2)
    k, moduli = diagnosis.statistics["directions"], diagnosis.statistics["moments"]
    largest = np.argsort(-moduli)[:10]
    names = [", ".join(f"{n}{_phi(j)}" for j, n in enumerate(row) if n) for row in k[largest]]
    moments_axis.barh(range(len(largest)), moduli[largest], color="tab:blue", label="measured")
    moments_axis.set_yticks(range(len(largest)), names, fontsize=8)
    moments_axis.invert_yaxis()
    moments_axis.axvline(diagnosis.statistics["expected moment"], color="black", linestyle=":", label="uniform, mean")
    moments_axis.set_xlabel("|mean exp(i k·φ)|, the ten largest")
    moments_axis.legend(fontsize=8, loc="lower right")
    image = ties_axis.imshow(diagnosis.statistics["correlation"], cmap="RdBu_r", vmin=-1, vmax=1)
    ticks = range(0, dim, max(1, dim // 8))
    ties_axis.set_xticks(ticks, [_phi(i) for i in ticks])
    ties_axis.set_yticks(ticks, [_phi(i) for i in ticks])
    figure.colorbar(image, ax=ties_axis, label="circular correlation (Fisher & Lee)")
    found = ", ".join(dict.fromkeys(problem.name for problem in diagnosis.problems)) or "nothing wrong found"
    remark = f"; the first {shown} circles are drawn" if shown < dim else ""
    figure.suptitle(f"{num} points on {dim} circle{'s' if dim > 1 else ''}: {found}{remark}")
    return figure
