"""Images in a grid."""

import itertools
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from torusae._internal import checks
from torusae._internal.checks import Tensor
from torusae.plots import _style

CELL = 0.62  # inches, side of an image


def plot_samples(samples: Tensor | Mapping[str, Tensor], columns: int = 12) -> _style.Figure:
    """Images in a grid: samples of a model, or several sets of images row by row, such as data and reconstructions.

    Args:
        samples: Float tensor `(num, *image_shape)`. Images have the layout of `keras.config.image_data_format()`, or no
            channel axis. Or a dict from names to such tensors of one shape: their rows alternate.
        columns: Integer, images in a row. Images after the last full row are left out. Defaults to `12`.

    Example:

    >>> import numpy as np, torusae.plots
    >>> digits = np.zeros((24, 28, 28, 1))
    >>> figure = torusae.plots.plot_samples({"data": digits, "reconstruction": digits})
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['data', 'reconstruction', 'data', 'reconstruction']
    """
    owner = "plot_samples"
    columns = checks.positive_int(owner, "columns", columns)
    named = dict(samples) if isinstance(samples, Mapping) else {"": samples}
    sets = {str(name): checks.numpy_array(owner, str(name or "samples"), values) for name, values in named.items()}
    shapes = {values.shape for values in sets.values()}
    if len(shapes) != 1 or min(shape[0] if shape else 0 for shape in shapes) == 0:
        received = ", ".join(f"{name or 'samples'}.shape={values.shape}" for name, values in sets.items())
        raise ValueError(
            f"{owner}: `samples` must hold at least one image, and all sets must be of one shape. "
            f"Received: {received or samples!r}."
        )
    (shape,) = shapes
    tops = {name: float(np.max(values)) for name, values in sets.items() if values.dtype.kind in "iuf"}
    if tops and max(tops.values()) > 1.5 and min(tops.values()) < max(tops.values()) / 50:
        received = ", ".join(f"{name!r} up to {top:.3g}" for name, top in tops.items())
        warnings.warn(
            f"{owner}: all sets are drawn on one scale. Received: {received}. Divide pixels of 0 to 255 by 255.",
            stacklevel=checks.users_level(),
        )
    columns = min(columns, shape[0])
    rows = shape[0] // columns
    stacked = np.stack([values[: rows * columns] for values in sets.values()])
    stacked = stacked.reshape(len(sets), rows, columns, *shape[1:])
    alternating = np.swapaxes(stacked, 0, 1).reshape(rows * len(sets), columns, *shape[1:])
    images = image_rows(owner, alternating, least_columns=1)
    if images.ndim != 5:
        raise ValueError(
            f"{owner}: `samples` must be images, of shape (num, height, width) or with a channel axis. "
            f"Received: shape={shape}. For vectors use plot_morph."
        )
    figure = _style.new_figure(owner, max(4.5, CELL * columns + 1.3), CELL * len(images) + 0.6)
    axes = figure.add_subplot()
    mosaic = Mosaic(axes, images)
    axes.set_yticks(mosaic.row_middles(), list(sets) * rows)
    axes.set_xticks([])
    drawn = f"{rows * columns} of {shape[0]}" if rows * columns < shape[0] else f"{shape[0]}"
    axes.set_xlabel(f"{drawn} images{' of each' if len(sets) > 1 else ''}{mosaic.scale}")
    return figure


def image_rows(owner: str, samples: Any, least_columns: int) -> np.ndarray:
    """Images as `(rows, columns, height, width, 1 or 3)`; vectors as `(rows, columns, size)`."""
    samples = checks.numpy_array(owner, "samples", samples).astype("float32")  # pixels of 0 to 255 too
    checks.finite_array(owner, "samples", samples)
    shape = samples.shape
    if samples.ndim not in (3, 4, 5) or 0 in shape or shape[1] < least_columns:
        raise ValueError(
            f"{owner}: `samples` must have shape (num_paths, num_steps, *sample_shape) with images or vectors as "
            f"samples and at least {least_columns} steps, as TorusAutoencoder.morph returns. "
            f"Received: samples.shape={shape}."
        )
    if samples.ndim == 4:
        return samples[..., None]
    return _style.image_channels_last(owner, samples) if samples.ndim == 5 else samples


class Mosaic:
    """Images `(rows, columns, height, width, channels)` as one picture: an axes for each image would be slow.

    The range of values is that of `of`, by default of the images themselves.

    Attributes:
        tile: Height and width of an image with the white gap after it, pixels.
        gap: Width of the gap, pixels.
        size: Height and width of the picture, pixels.
        scale: Remark on the range of values, empty for [0, 1].
    """

    def __init__(self, axes: _style.Axes, images: np.ndarray, of: np.ndarray | None = None):
        rows, columns, height, width, channels = images.shape
        of = images if of is None else of
        low, high = min(0.0, float(of.min())), max(1.0, float(of.max()))
        images = (images - low) / (high - low)
        self.gap = max(1, round(min(height, width) / 14))
        self.tile = (height + self.gap, width + self.gap)
        self.size = (rows * self.tile[0] - self.gap, columns * self.tile[1] - self.gap)
        self.scale = "" if (low, high) == (0.0, 1.0) else f" (black to white: {low:.3g} to {high:.3g})"
        self._counts = (rows, columns)
        picture = np.ones((*self.size, channels), "float32")
        for row, column in itertools.product(range(rows), range(columns)):
            top, left = row * self.tile[0], column * self.tile[1]
            picture[top : top + height, left : left + width] = images[row, column]
        if channels == 1:
            axes.imshow(picture[..., 0], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        else:
            axes.imshow(picture, interpolation="nearest")
        axes.tick_params(length=0)
        axes.set_frame_on(False)

    def row_middles(self) -> list[float]:
        """The vertical position of the middle of each row."""
        return [row * self.tile[0] + (self.tile[0] - self.gap - 1) / 2 for row in range(self._counts[0])]

    def column_middle(self, column: int) -> float:
        """The horizontal position of the middle of a column."""
        return column * self.tile[1] + (self.tile[1] - self.gap - 1) / 2
