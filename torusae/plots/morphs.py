"""Morphs: one row for each path, from start to end."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from torusae._internal import checks
from torusae._internal.checks import Tensor
from torusae.plots import _style
from torusae.plots.images import CELL, Mosaic, image_rows

START_COLOUR, END_COLOUR = "tab:blue", "tab:red"
_SMALL_CELL = 0.34  # inches, side of an image where several morphs share a figure


def plot_morph(samples: Tensor, windings: Tensor | None = None) -> _style.Figure:
    """A morph from `TorusAutoencoder.morph`: one row for each path around the torus, from start to end.

    Images are drawn as images, grey for one channel and RGB for three; vectors as lines, one panel a path.

    Args:
        samples: Float tensor `(num_paths, num_steps, *sample_shape)`. Images have the layout of
            `keras.config.image_data_format()`, or no channel axis.
        windings: Integer tensor `(num_paths, dim)`, written beside the rows as `k = (0, -1, 0)`. Defaults to `None`.

    Example:

    >>> import numpy as np, torusae.plots
    >>> figure = torusae.plots.plot_morph(np.zeros((2, 12, 28, 28, 1)), [[0, 0], [0, -1]])
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['k = (0, 0)', 'k = (0, -1)']

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, fig. 4.
    """
    return _morph_figure("plot_morph", [(samples, windings)], columns=1)


def plot_morphs(morphs: Sequence[Any], columns: int = 3) -> _style.Figure:
    """Several morphs in one figure, such as the nine of the paper. See `plot_morph`.

    Args:
        morphs: List of `samples`, or of pairs `(samples, windings)`.
        columns: Integer, morphs side by side. Defaults to `3`.

    Example:

    >>> import numpy as np, torusae.plots
    >>> len(torusae.plots.plot_morphs([np.zeros((8, 12, 28, 28, 1))] * 9).axes)
    9
    """
    owner = "plot_morphs"
    if not isinstance(morphs, (list, tuple)):
        raise TypeError(
            f"{owner}: `morphs` must be a list of `samples` or of pairs (samples, windings). "
            f"Received: {type(morphs).__name__}. For a single morph use plot_morph."
        )
    if not morphs:
        raise ValueError(f"{owner}: `morphs` must hold at least one morph. Received: an empty list.")
    columns = checks.positive_int(owner, "columns", columns)
    pairs = [tuple(morph) if isinstance(morph, (list, tuple)) else (morph, None) for morph in morphs]
    for number, pair in enumerate(pairs):
        if len(pair) != 2:
            raise ValueError(
                f"{owner}: morphs[{number}] must be a pair (samples, windings). Received: {len(pair)} elements."
            )
    return _morph_figure(owner, pairs, columns)


def _morph_figure(owner: str, morphs: Sequence[tuple[Any, Any]], columns: int) -> _style.Figure:
    checked = [checked_morph(owner, samples, windings) for samples, windings in morphs]
    figure = _style.new_figure(owner, *morph_size([samples for samples, _ in checked], columns))
    draw_morphs(figure, checked, columns)
    return figure


def morph_size(morphs: Sequence[np.ndarray], columns: int = 1) -> tuple[float, float]:
    """Width and height of a figure of morphs, inches."""
    rows, columns = _style.grid(len(morphs), columns)
    sizes = [_size(samples, _SMALL_CELL if len(morphs) > 1 else CELL) for samples in morphs]
    width = columns * min(12.0 if columns == 1 else 6.0, max(w for w, _ in sizes))
    return max(width, 4.5), rows * min(14.0, max(h for _, h in sizes)) + 0.4


def draw_morphs(
    figure: _style.Figure, morphs: list[tuple[np.ndarray, list[str]]], columns: int = 1, steps: Any = None
) -> None:
    """Draws pairs of `checked_morph` in a grid; `steps` are those that are drawn, by default all."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    cells = figure.subfigures(*_style.grid(len(morphs), columns), squeeze=False)
    for cell, (samples, names) in zip(cells.flat, morphs, strict=False):
        draw = _draw_image_morph if samples.ndim == 5 else _draw_vector_morph
        draw(cell, samples, names, "x-small" if len(morphs) > 1 else "small", steps or range(samples.shape[1]))
    ends = (("start", START_COLOUR), ("end", END_COLOUR))
    if all(samples.ndim == 5 for samples, _ in morphs):
        handles: list[Any] = [Patch(facecolor="none", edgecolor=c, linewidth=1.6, label=end) for end, c in ends]
    else:
        handles = [Line2D([], [], color=c, linewidth=1.6, label=end) for end, c in ends]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)


def checked_morph(owner: str, samples: Any, windings: Any) -> tuple[np.ndarray, list[str]]:
    """Checked samples, see `image_rows`, and the names of the rows."""
    samples = image_rows(owner, samples, least_columns=2)
    num_paths = len(samples)
    if windings is None:
        return samples, [f"path {row}" for row in range(num_paths)]
    k = checks.numpy_array(owner, "windings", windings, numbers=False)
    if k.dtype.kind not in "iu":
        raise TypeError(f"{owner}: `windings` must be integers. Received: dtype={k.dtype}.")
    if k.ndim != 2 or len(k) != num_paths:
        raise ValueError(
            f"{owner}: `windings` must have shape ({num_paths}, dim), one row for each path of `samples`. "
            f"Received: windings.shape={k.shape}."
        )
    return samples, [f"k = ({', '.join(str(int(value)) for value in row)})" for row in k]


def _size(samples: np.ndarray, cell: float) -> tuple[float, float]:
    """Width and height of one morph, inches."""
    num_paths, num_steps = samples.shape[:2]
    if samples.ndim != 5:
        return 5.2, 0.95 * num_paths + 1.0
    height, width = samples.shape[2:4]
    return cell * num_steps * max(1.0, width / height) + 1.3, cell * num_paths + 0.9


def _draw_image_morph(
    cell: _style.Figure, samples: np.ndarray, names: list[str], font: str, steps: Sequence[int]
) -> None:
    from matplotlib.patches import Rectangle

    count = len(steps)
    axes = cell.add_subplot()
    mosaic = Mosaic(axes, samples[:, steps], of=samples)
    axes.set_yticks(mosaic.row_middles(), names, fontsize=font)
    ticks = sorted({0, (count - 1) // 2, count - 1}) if count % 2 else [0, count - 1]
    axes.set_xticks(
        [mosaic.column_middle(column) for column in ticks],
        [f"t = {steps[column] / (samples.shape[1] - 1):.3g}" for column in ticks],
        fontsize=font,
    )
    axes.set_xlabel(f"share t of the path{mosaic.scale}", fontsize=font)
    for column, colour in ((0, START_COLOUR), (count - 1, END_COLOUR)):
        corner = (column * mosaic.tile[1] - 0.5 - mosaic.gap / 2, -0.5 - mosaic.gap / 2)
        height = mosaic.size[0] + mosaic.gap
        axes.add_patch(
            Rectangle(corner, mosaic.tile[1], height, fill=False, edgecolor=colour, linewidth=1.6, clip_on=False)
        )


def _draw_vector_morph(
    cell: _style.Figure, samples: np.ndarray, names: list[str], font: str, steps: Sequence[int]
) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    num_paths, num_steps, size = samples.shape
    mapping = ScalarMappable(Normalize(0, 1), "viridis")
    panels = list(cell.subplots(num_paths, 1, squeeze=False, sharex=True, sharey=True).flat)
    columns = np.arange(size)
    for axes, path, name in zip(panels, samples, names, strict=True):
        for step in steps:
            end = {0: START_COLOUR, num_steps - 1: END_COLOUR}.get(step)
            # The ends are wider and on top: all paths share them.
            axes.plot(
                columns,
                path[step],
                color=end or mapping.to_rgba(step / (num_steps - 1)),
                linewidth=1.6 if end else 0.8,
                zorder=3 if end else 2,
                marker="." if size < 40 else None,
            )
        axes.update_datalim([(1, samples.min()), (size, samples.max())])  # steps that are not drawn included
        axes.set_title(name, fontsize=font, loc="left", pad=2)
        axes.tick_params(labelsize=font)
    panels[-1].autoscale_view()
    panels[-1].set_xlabel("column of the sample", fontsize=font)
    cell.supylabel("value", fontsize=font)
    cell.colorbar(mapping, ax=panels, aspect=40, pad=0.02).set_label("share t of the path", fontsize=font)
