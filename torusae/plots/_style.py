"""What all figures share: checked arrays, empty figures, panels, axes in units of π, pairs of circles."""

import functools
import io
import itertools
import math
from typing import Any

import keras
import numpy as np

from torusae._internal import checks

# matplotlib's Figure and Axes. Their own types would import matplotlib.
Figure = Any
Axes = Any

PI_TICKS = [-math.pi, -math.pi / 2, 0.0, math.pi / 2, math.pi]
PI_LABELS = ["-π", "-π/2", "0", "π/2", "π"]
MAX_PANELS = 16  # more panels in one figure are too small to read
MAX_POINTS = 5000  # more points hide each other
_MAX_CLASSES = 20  # the size of matplotlib's largest qualitative map
_MAX_PAIRS = 6


def new_figure(owner: str, width: float, height: float) -> Figure:
    """An empty figure, size in inches. pyplot would keep it alive and might open a window."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(f"{owner}: needs matplotlib. Install it with: pip install matplotlib") from error
    figure: Any = Figure(figsize=(width, height), layout="constrained")
    figure._repr_png_ = functools.partial(_png, figure)
    return figure


def _png(figure: Figure) -> bytes:
    """The picture that a notebook shows. IPython itself shows a figure only where pyplot was imported."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def choose_rows(num: int, most: int, seed: int = 0) -> np.ndarray:
    """At most `most` of `num` row numbers in random order, so that no class covers the others."""
    return np.random.default_rng(seed).permutation(num)[:most]


def known_labels(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which labels are known, and these: numbers, or texts.

    Missing are masked ones, NaN, NaT, None and NA of pandas, empty texts, and the integer -1 of a `Head`.
    """
    known, values = ~np.ma.getmaskarray(labels), np.asarray(labels)
    if "float" in str(values.dtype):  # bfloat16 too
        values = values.astype("float64")
    if values.dtype.kind in "OSU":
        known &= np.array([each is not None and str(each) not in ("", "nan", "NaT", "<NA>") for each in values], bool)
        texts = not all(isinstance(each, (int, float, np.number)) for each in values[known])
        return known, np.array([str(each) if texts else each for each in values[known]])
    known &= values != -1 if values.dtype.kind == "i" else values == values
    return known, values[known]


def marks(num: int) -> tuple[dict[str, Any], float]:
    """The style of `num` points, and their opacity: the more, the smaller and the fainter."""
    style = {"s": float(np.clip(6000 / num, 4, 22)), "linewidths": 0, "rasterized": True}  # vector files stay small
    return style, float(np.clip(2500 / num, 0.45, 0.85))


def classes(owner: str, labels: np.ndarray) -> tuple[list[str], np.ndarray, bool]:
    """The names of classes in order, the class number of each label, and whether the first is the missing label."""
    known, values = known_labels(labels)
    values, places = np.unique(values, return_inverse=True)
    if len(values) > _MAX_CLASSES:
        raise ValueError(
            f"{owner}: `labels` must hold at most {_MAX_CLASSES} classes, the number of colours that can be told "
            f"apart. Received: {len(values)} different values. For a quantity give floating-point labels."
        )
    missing, index = not known.all(), np.zeros(len(labels), int)
    index[known] = places.reshape(-1) + missing
    return ["no label"] * missing + [str(value) for value in values.tolist()], index, missing


def image_channels_last(owner: str, images: np.ndarray) -> np.ndarray:
    """Images `(..., height, width, channels)` from the layout of Keras, after a check of their 1 or 3 channels."""
    layout = keras.config.image_data_format()
    if layout == "channels_first":
        images = np.moveaxis(images, -3, -1)
    if images.shape[-1] not in (1, 3):
        raise ValueError(
            f"{owner}: images must have 1 channel (grey) or 3 (RGB), in the layout {layout!r} of "
            f"keras.config.image_data_format(). Received: {images.shape[-1]} channels."
        )
    return images


def subscript(number: int) -> str:
    """`₁₂` for 12."""
    return str(number).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))


def phi(column: int) -> str:
    """`φ₀` for column 0."""
    return f"φ{subscript(column)}"


def pi_axis(axis: Any, label: str, period: float | None = None) -> None:
    """Ticks at multiples of π/2, in radians or in the units of a period, and the label."""
    axis.set_ticks(PI_TICKS, PI_LABELS if period is None else period_labels(period))
    axis.set_label_text(f"{label} (rad)" if period is None else label)


def period_labels(period: float) -> list[str]:
    """What stands at `PI_TICKS` in the units of a period: 12, 18, 0, 6, 12 for hours."""
    return [f"{tick % (2 * math.pi) * period / (2 * math.pi):g}" for tick in PI_TICKS]


def cyclic_colours() -> Any:
    """Matplotlib's twilight, even and without ends, a fifth darker: its lightest colour has to show on white."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    return ListedColormap(0.8 * colormaps["twilight"](np.linspace(0, 1, 510))[:, :3])


def grid(count: int, columns: int) -> tuple[int, int]:
    """Rows and columns for `count` panels."""
    columns = min(count, columns)
    return -(-count // columns), columns


def panels(figure: Figure, count: int, columns: int, **kwargs: Any) -> list[Axes]:
    """`count` axes in a grid; the unused ones of the last row are removed."""
    axes = list(figure.subplots(*grid(count, columns), squeeze=False, **kwargs).flat)
    for unused in axes[count:]:
        unused.remove()
    return axes[:count]


def choose_pairs(owner: str, pairs: Any, dim: int) -> tuple[list[tuple[int, int]], str]:
    """The pairs of columns to draw, and a remark if some pairs are left out."""
    every = list(itertools.combinations(range(dim), 2))
    if pairs is None:
        if len(every) <= _MAX_PAIRS:
            return every, ""
        # Neighbours show more circles than the first pairs of the list, which all contain φ₀.
        chosen = [(i, (i + 1) % dim) for i in range(dim)][:_MAX_PAIRS]
        return chosen, f"{len(chosen)} of {len(every)} pairs of circles, neighbours only"
    array = checks.numpy_array(owner, "pairs", pairs, numbers=False)
    if array.ndim != 2 or array.shape[1] != 2 or array.dtype.kind not in "iu" or len(array) == 0:
        raise ValueError(
            f"{owner}: `pairs` must be a list of pairs of columns such as [(0, 1), (0, 2)]. Received: pairs={pairs!r}."
        )
    if array.min() < 0 or array.max() >= dim or (array[:, 0] == array[:, 1]).any():
        raise ValueError(
            f"{owner}: `pairs` must name two different columns of `angles`, 0 to {dim - 1}. Received: pairs={pairs!r}."
        )
    if len(array) > MAX_PANELS:
        raise ValueError(
            f"{owner}: `pairs` must hold at most {MAX_PANELS} pairs. Received: {len(array)} pairs. "
            f"Make several figures."
        )
    return [(int(i), int(j)) for i, j in array], f"{len(array)} of {len(every)} pairs of circles"
