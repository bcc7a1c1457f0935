"""Counts of points in equal cells of the torus."""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from torusae._internal import checks, units
from torusae._internal.arrays import angle_rows
from torusae._internal.checks import Tensor
from torusae.metrics import cell_occupancy
from torusae.plots import _style

_EMPTY_COLOUR = "#f2b8b5"


def plot_occupancy(angles: Tensor, cells: int = 8, pairs: Sequence[tuple[int, int]] | None = None) -> _style.Figure:
    """Which parts of the torus are empty: counts in equal cells, with a colour of its own for empty cells.

    One circle is a row of arcs, three circles are slices along φ₂, else pairs of circles are drawn. Titles give the
    share of empty cells and the Kullback-Leibler divergence to uniform in nats; in brackets their means for as many
    independent uniform points.

    Args:
        angles: Float tensor `(num, dim)`, radians.
        cells: Integer, at least 2, cells along each circle; at most 16 for slices. Defaults to `8`.
        pairs: Pairs of columns to draw instead, at most 16. Defaults to `None`: at most six.

    Example:

    >>> import numpy as np, torusae.plots
    >>> figure = torusae.plots.plot_occupancy(np.zeros((10, 3)))
    >>> figure.get_suptitle().split(",")[0]
    '10 points in 8³ cells: 99.8 % empty (uniform: 98.1 %)'

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, section 5 and fig. 5: the blank areas.
    """
    owner = "plot_occupancy"
    angles = angle_rows(owner, angles)
    units.check_no_points(owner, "angles", angles)
    cells = checks.positive_int(owner, "cells", cells, least=2)
    num, dim = angles.shape
    edges = np.linspace(-math.pi, math.pi, cells + 1)
    whole = (pairs is None and dim <= 3) or dim == 2  # the panels show every cell of the torus
    remark = ""
    if dim == 1 and pairs is None:
        panels = [(np.histogram(angles[:, 0], edges)[0][:, None], 0, -1, "")]
        power, columns = "", 1
    elif dim == 3 and pairs is None:
        panels, power, columns = _slices(owner, angles, cells, edges), "³", 4
    else:
        chosen, remark = _style.choose_pairs(owner, pairs, dim)
        panels, power, columns = [], "²", 3
        for i, j in chosen:
            counts = np.histogram2d(angles[:, i], angles[:, j], [edges] * 2)[0]
            panels.append((counts, i, j, "" if whole else _shares(angles[:, [i, j]], cells, "\n")))
    if whole:
        separator = ", " if power == "³" else "\n"
        title = f"{num} points in {cells}{power} cells: {_shares(angles, cells, separator)}"
    else:
        title = f"{num} points in {cells}² cells for each pair; in brackets: independent uniform points"
        title += f"\n{remark}" if remark else ""
    expected = num / cells ** {"": 1, "²": 2, "³": 3}[power]
    return _occupancy_figure(owner, panels, columns, expected, title)


def _slices(owner: str, angles: np.ndarray, cells: int, edges: np.ndarray) -> list[tuple[np.ndarray, int, int, str]]:
    """Counts, columns and title of each slice along the third circle."""
    if cells > _style.MAX_PANELS:
        raise ValueError(
            f"{owner}: `cells` must be at most {_style.MAX_PANELS} for three circles, one slice a cell. "
            f"Received: cells={cells}. Use fewer cells, or pairs=[(0, 1), (0, 2), (1, 2)]."
        )
    counts = np.histogramdd(angles, [edges] * 3)[0]
    return [(counts[:, :, c], 0, 1, f"{_style.phi(2)} {_interval(c, cells)}") for c in range(cells)]


def _occupancy_figure(owner: str, panels: list[Any], columns: int, expected: float, title: str) -> _style.Figure:
    """A picture for each panel: counts `(cells, cells)`, columns of x and y (-1: a row of arcs), title."""
    rows, columns = _style.grid(len(panels), columns)
    flat, sliced = panels[0][2] < 0, columns == 4
    width = max((2.5 if sliced else 3.2) * columns + 1.2, 6.6)
    figure = _style.new_figure(owner, width, 2.7 if flat else 2.9 * rows + 0.9)
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import PowerNorm
    from matplotlib.patches import Patch

    cmap = colormaps["viridis"].with_extremes(bad=_EMPTY_COLOUR)
    # The square root shows differences between small counts beside a crowded cell.
    mapping = ScalarMappable(PowerNorm(0.5, 0.0, max(float(counts.max()) for counts, *_ in panels)), cmap)
    drawn = _style.panels(figure, len(panels), columns)
    for axes, (counts, i, j, text) in zip(drawn, panels, strict=True):
        axes.imshow(
            np.ma.masked_equal(counts, 0).T,
            origin="lower",
            extent=(-math.pi, math.pi, *((0, 1) if flat else (-math.pi, math.pi))),
            cmap=cmap,
            norm=mapping.norm,
            interpolation="nearest",
            aspect="auto" if flat else "equal",
        )
        axes.set_title(text, fontsize="small")
        _style.pi_axis(axes.xaxis, _style.phi(i))
        if flat:
            axes.set_yticks([])
        else:
            _style.pi_axis(axes.yaxis, _style.phi(j))
        if sliced:
            axes.label_outer()
    bar = figure.colorbar(mapping, ax=drawn, aspect=5 if flat else 30, pad=0.02)
    bar.set_label("points in a cell\n(square-root scale)" if flat else "points in a cell (square-root scale)")
    mean_colour: Any = cmap(mapping.norm(np.array(expected)))
    handles = [
        Patch(facecolor=_EMPTY_COLOUR, edgecolor="0.6", label="empty cell"),
        Patch(facecolor=mean_colour, edgecolor="0.6", label=f"mean, {expected:.3g} points in a cell"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
    figure.suptitle(title, fontsize="medium")
    return figure


def _shares(angles: np.ndarray, cells: int, separator: str) -> str:
    found = cell_occupancy(angles, cells)
    return (
        f"{100 * found['empty']:.1f} % empty (uniform: {100 * found['expected_empty']:.1f} %){separator}"
        f"KL to uniform {found['kl']:.3f} nats (uniform: {found['expected_kl']:.3f})"
    )


def _interval(cell: int, cells: int) -> str:
    """`in [-π, -3π/4)` for the first of 8 arcs."""

    def edge(number: int) -> str:
        share = Fraction(2 * number - cells, cells)
        text = {1: "π", -1: "-π"}.get(share.numerator, f"{share.numerator}π" if share else "0")
        return text if share.denominator == 1 else f"{text}/{share.denominator}"

    return f"in [{edge(cell)}, {edge(cell + 1)})"
