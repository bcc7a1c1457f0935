"""Known actions on data, for `Action`: rotations and shifts. Amounts may be any real numbers: values are interpolated.

All are differentiable functions of `keras.ops`. Images have the layout of `keras.config.image_data_format()`.
"""

import keras
from keras import ops

from torusae._internal import units
from torusae._internal.checks import Tensor


@keras.saving.register_keras_serializable(package="torusae")
def rotate_images(images: Tensor, angles: Tensor) -> Tensor:
    """Images turned about their centre, counter-clockwise, with bilinear interpolation; zeros come in at the corners.

    Args:
        images: Float tensor `(batch, height, width, channels)`.
        angles: Float tensor `(batch,)`, radians.

    Example:

    >>> import numpy as np, torusae
    >>> image = np.zeros((1, 3, 3, 1), "float32")
    >>> image[0, 1, 2] = 1  # right of the centre
    >>> turned = torusae.supervision.rotate_images(image, np.array([np.pi / 2], "float32"))
    >>> np.round(np.asarray(turned)[0, :, :, 0]).astype(int).tolist()
    [[0, 1, 0], [0, 0, 0], [0, 0, 0]]
    """
    units.check_radians("rotate_images", "angles", angles)
    images, angles = ops.convert_to_tensor(images), ops.cast(angles, "float32")
    images = _last(images)
    height, width = images.shape[1:3]
    rows, columns = (ops.arange(size, dtype="float32") - (size - 1) / 2 for size in (height, width))
    rows, columns = rows[None, :, None], columns[None, None, :]
    cosine, sine = (function(angles)[:, None, None] for function in (ops.cos, ops.sin))
    # The place that comes here: turned back. Rows count downwards.
    from_rows = cosine * rows + sine * columns + (height - 1) / 2
    from_columns = cosine * columns - sine * rows + (width - 1) / 2
    inside = (from_rows > -1) & (from_rows < height) & (from_columns > -1) & (from_columns < width)
    first_row, first_column = ops.floor(from_rows), ops.floor(from_columns)
    down, right = from_rows - first_row, from_columns - first_column
    channels = images.shape[3]
    pixels = ops.reshape(images, (-1, height * width, channels))
    total = None
    for row, row_share in ((first_row, 1 - down), (first_row + 1, down)):
        for column, column_share in ((first_column, 1 - right), (first_column + 1, right)):
            there = inside & (row >= 0) & (row < height) & (column >= 0) & (column < width)
            index = ops.clip(row, 0, height - 1) * width + ops.clip(column, 0, width - 1)
            index = ops.reshape(ops.cast(index, "int32"), (-1, height * width, 1))
            values = ops.take_along_axis(pixels, ops.repeat(index, channels, axis=2) if channels > 1 else index, axis=1)
            share = ops.reshape(ops.where(there, row_share * column_share, 0.0), (-1, height * width, 1))
            total = values * share if total is None else total + values * share
    return _restored(ops.reshape(total, (-1, height, width, channels)))


@keras.saving.register_keras_serializable(package="torusae")
def shift_images(images: Tensor, shifts: Tensor) -> Tensor:
    """Images shifted cyclically, down and to the right; parts of a pixel by linear interpolation.

    Args:
        images: Float tensor `(batch, height, width, channels)`.
        shifts: Float tensor `(batch, 2)`, pixels down and to the right.

    Example:

    >>> import numpy as np, torusae
    >>> image = np.eye(3, dtype="float32")[None, :, :, None]
    >>> moved = torusae.supervision.shift_images(image, np.array([[0.0, 1.0]], "float32"))
    >>> np.asarray(moved)[0, :, :, 0].astype(int).tolist()
    [[0, 1, 0], [0, 0, 1], [1, 0, 0]]
    """
    images, shifts = _last(ops.convert_to_tensor(images)), ops.cast(shifts, "float32")
    height, width, channels = images.shape[1:]
    down = _shifted(ops.reshape(images, (-1, height, width * channels)), shifts[:, 0])
    turned = ops.transpose(ops.reshape(down, (-1, height, width, channels)), (0, 2, 1, 3))
    across = _shifted(ops.reshape(turned, (-1, width, height * channels)), shifts[:, 1])
    return _restored(ops.transpose(ops.reshape(across, (-1, width, height, channels)), (0, 2, 1, 3)))


@keras.saving.register_keras_serializable(package="torusae")
def shift_series(series: Tensor, shifts: Tensor) -> Tensor:
    """Series shifted cyclically in time, to later steps; parts of a step by linear interpolation.

    Args:
        series: Float tensor `(batch, steps)` or `(batch, steps, columns)`.
        shifts: Float tensor `(batch,)`, steps.

    Example:

    >>> import numpy as np, torusae
    >>> series = np.array([[4.0, 0.0, 0.0, 2.0]], "float32")
    >>> moved = torusae.supervision.shift_series(series, np.array([1.5], "float32"))
    >>> np.asarray(moved)[0].tolist()
    [1.0, 3.0, 2.0, 0.0]
    """
    series, shifts = ops.convert_to_tensor(series), ops.cast(shifts, "float32")
    if len(series.shape) == 2:
        return _shifted(series[:, :, None], shifts)[:, :, 0]
    return _shifted(series, shifts)


def _shifted(rows: Tensor, shifts: Tensor) -> Tensor:
    """The second axis of `(batch, steps, columns)` shifted cyclically, by a matrix of shares.

    A product of matrices is several times as fast as a gather on all backends.
    """
    steps = rows.shape[1]
    places = ops.arange(steps, dtype="float32")
    # The distance on the cycle from where a value lands to each place: its share is 1 - distance.
    distance = places[None, :, None] - places[None, None, :] - shifts[:, None, None]
    distance = ops.abs(distance - steps * ops.round(distance / steps))
    return ops.matmul(ops.cast(ops.relu(1.0 - distance), rows.dtype), rows)


def _last(images: Tensor) -> Tensor:
    """Images with their channels last."""
    if len(images.shape) != 4:
        raise ValueError(
            f"rotate_images, shift_images: images must have four axes, the batch, height, width and channels. "
            f"Received: shape={tuple(images.shape)}. For images without channels use images[..., None]."
        )
    return images if keras.config.image_data_format() == "channels_last" else ops.transpose(images, (0, 2, 3, 1))


def _restored(images: Tensor) -> Tensor:
    """Images in the layout of the configuration, from channels last."""
    return images if keras.config.image_data_format() == "channels_last" else ops.transpose(images, (0, 3, 1, 2))
