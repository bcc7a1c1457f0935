"""The springs between the sorted angles of a batch."""

import math

import numpy as np

from torusae._internal import checks, units
from torusae._internal.arrays import float_array
from torusae._internal.checks import Tensor
from torusae.losses import spring_loss
from torusae.plots import _style

_COILS = 7


def plot_spring(angles: Tensor, period: float = 2 * math.pi) -> _style.Figure:
    """The spring loss: the sorted angles of a batch on a circle, with a spring between neighbours.

    Colour shows the length of a spring. The mark in the colour bar is the length when the angles are evenly spaced.

    Args:
        angles: Float tensor `(batch,)` or `(batch, 1)`, in the unit of `period`.
        period: Positive float. Defaults to `2π`, radians.

    Example:

    >>> import numpy as np, torusae.plots
    >>> torusae.plots.plot_spring(np.array([0.0, 1.0, 3.0])).axes[0].get_title()
    'spring loss, normalized: 1.20\\n(1 = evenly spaced, 3 = all in one point)'

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, fig. 2 and eq. 2.
    """
    owner = "plot_spring"
    period = checks.period(owner, period)
    values = float_array(owner, "angles", angles)
    if values.ndim not in (1, 2) or (values.ndim == 2 and values.shape[1] != 1) or values.size == 0:
        raise ValueError(
            f"{owner}: `angles` must have shape (batch,) or (batch, 1), the angles of one circle. "
            f"Received: angles.shape={values.shape}. Choose a circle with angles[:, 0]."
        )
    in_radians = math.isclose(period, 2 * math.pi, rel_tol=1e-6)
    if in_radians:
        units.check_radians(owner, "angles", values, "plot_spring(angles, ")
    figure = _style.new_figure(owner, 6.4, 5.4)
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.collections import LineCollection
    from matplotlib.colors import LinearSegmentedColormap, Normalize
    from matplotlib.lines import Line2D

    batch = values.size
    turns = np.sort(values.reshape(-1) / period % 1.0)
    gaps = np.diff(turns, append=turns[0] + 1.0)
    loss = float(spring_loss((period * turns[:, None]).astype("float32"), period, "normalized"))
    unit = " rad" if in_radians else ""

    axes = figure.add_subplot(aspect="equal", xlim=(-1.15, 1.15), ylim=(-1.15, 1.15))
    axes.set_axis_off()
    circle = _draw_circle(axes, period, in_radians)
    # The pale end of the map would be invisible on white paper.
    heat = LinearSegmentedColormap.from_list("heat", colormaps["YlOrRd"](np.linspace(0.3, 1, 64)))
    scale = Normalize(0.0, period * float(gaps.max()))
    springs = LineCollection(_springs(turns, gaps), cmap=heat, norm=scale, linewidth=1.3, zorder=2, array=gaps * period)
    axes.add_collection(springs)
    (dots,) = axes.plot(
        np.cos(2 * np.pi * turns),
        np.sin(2 * np.pi * turns),
        "o",
        color="black",
        markersize=max(2.5, min(6.0, 150 / batch)),
        zorder=3,
        label=f"angle of a sample ({batch})",
    )
    bar = figure.colorbar(ScalarMappable(scale, heat), ax=axes, shrink=0.85)
    bar.set_label("length of a spring (rad)" if in_radians else f"length of a spring (period = {period:g})")
    even = bar.ax.axhline(period / batch, color="black", linewidth=2, label=f"even spacing, {period / batch:.3g}{unit}")
    axes.set_title(f"spring loss, normalized: {loss:.2f}\n(1 = evenly spaced, {batch} = all in one point)")
    spring = Line2D([], [], color=heat(0.5), linewidth=1.3, label="spring to the next angle")
    figure.legend(handles=[circle, dots, spring, even], loc="outside lower center", ncols=2, frameon=False)
    return figure


def _draw_circle(axes: _style.Axes, period: float, in_radians: bool) -> object:
    """A grey circle with marks at its quarters; the circle's line is returned."""
    turn = 2 * np.pi * np.linspace(0, 1, 361)
    (line,) = axes.plot(np.cos(turn), np.sin(turn), color="0.85", linewidth=5, zorder=1, label="circle")
    names = ["0 rad", "π/2", "±π", "-π/2"]
    if not in_radians:
        names = [f"{'±' if share == 0.5 else ''}{share * period:g}" for share in (0, 0.25, 0.5, -0.25)]
    for quarter, name in enumerate(names):
        x, y = math.cos(quarter * math.pi / 2), math.sin(quarter * math.pi / 2)
        axes.plot([0.86 * x, 0.9 * x], [0.86 * y, 0.9 * y], color="0.4", linewidth=1, zorder=1)
        axes.text(0.7 * x, 0.74 * y, name, ha="center", va="center", color="0.3")
    return line


def _springs(turns: np.ndarray, gaps: np.ndarray) -> list[np.ndarray]:
    """One zigzag line `(points, 2)` a spring. All have the same number of coils; a stretched spring is thinner."""
    even = 1 / len(turns)
    widest = min(0.075, 2.2 * even)
    share = np.linspace(0, 1, 24 * _COILS + 1)
    taper = np.clip(10 * np.minimum(share, 1 - share), 0, 1)  # both ends lie on the circle
    lines = []
    for start, gap in zip(turns, gaps, strict=True):
        amplitude = min(widest / (1 + gap / (6 * even)), 2 * np.pi * gap) * taper
        radius = 1 + amplitude * np.sin(2 * np.pi * _COILS * share)
        angle = 2 * np.pi * (start + gap * share)
        lines.append(np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]))
    return lines
