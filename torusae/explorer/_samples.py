"""Samples as the page shows them: images as pixels, vectors as lines, both in few bytes."""

import base64
import math
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from torusae.plots._style import image_channels_last

_LARGEST_THUMBNAIL = 32  # pixels, height and width
_THUMBNAIL_BYTES = 500_000  # of all thumbnails together, before compression
_OUTLIERS = 0.001  # the share of values below, and above, what is drawn of vectors
_LARGEST_HALF = 65504.0


def base64_text(array: np.ndarray) -> str:
    """The bytes of an array, little-endian, in base64."""
    return base64.b64encode(array.astype(array.dtype.newbyteorder("<")).tobytes()).decode("ascii")


def floats(values: np.ndarray, half: bool = True) -> dict[str, str]:
    """Numbers as float16, or as float32 where float16 has none so large or `half` is `False`."""
    half = half and (not values.size or np.abs(values).max() <= _LARGEST_HALF)
    kind = "float16" if half else "float32"
    return {"type": kind, "data": base64_text(values.astype(kind))}


def png(pixels: np.ndarray) -> bytes:
    """A PNG file of uint8 pixels `(height, width, 1 or 3)`. PNG specification (W3C 2003), sections 5 and 11."""
    height, width, channels = pixels.shape

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 3: 2}[channels], 0, 0, 0)
    rows = np.concatenate([np.zeros((height, 1), "uint8"), pixels.reshape(height, -1)], axis=1)  # 0: no filter
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


class Samples:
    """How samples of one shape are drawn.

    Args:
        owner: String, before each error message.
        shape: Shape of a sample: a vector, an image with 1 or 3 channels, or an image without a channel axis.
    """

    def __init__(self, owner: str, shape: Sequence[int]):
        self.is_image = len(shape) > 1
        self._owner, self._has_channels = owner, len(shape) == 3
        self.channels_first = self._has_channels and keras.config.image_data_format() == "channels_first"
        if len(shape) > 3:
            raise ValueError(
                f"{owner}: samples must be vectors or images. Received: a model of samples of shape {tuple(shape)}."
            )
        shape = self._channels_last(np.empty((0, *shape))).shape[1:]
        self.shape = (*shape, 1)[:3] if self.is_image else (math.prod(shape),)
        self.low, self.high = 0.0, 1.0

    def rows(self, samples: np.ndarray) -> np.ndarray:
        """Samples as `(num, height, width, channels)`, or vectors `(num, size)`."""
        return self._channels_last(samples).reshape(len(samples), *self.shape).astype("float32")

    def _channels_last(self, samples: np.ndarray) -> np.ndarray:
        return image_channels_last(self._owner, samples) if self._has_channels else samples

    def set_range(self, *sets: np.ndarray) -> None:
        """Sets the range that is drawn: of images at least [0, 1], of vectors without outliers."""
        outside = 0.0 if self.is_image else _OUTLIERS
        values = [float(value) for each in sets for value in np.quantile(each, [outside, 1 - outside])]
        values += [0.0, 1.0] if self.is_image else [0.0]
        if values and max(values) > min(values):
            self.low, self.high = min(values), max(values)

    def description(self) -> dict[str, Any]:
        """What the page needs to draw a sample."""
        return {"image": self.is_image, "shape": list(self.shape), "low": self.low, "high": self.high}

    def thumbnails(self, samples: np.ndarray) -> dict[str, Any]:
        """The first samples, as many as the bytes allow; images reduced by a whole factor."""
        rows = self.rows(samples)
        if self.is_image:
            factor = math.ceil(max(self.shape[:2]) / _LARGEST_THUMBNAIL)
            rows = _reduced(rows, factor)
        size = math.prod(rows.shape[1:]) * (1 if self.is_image else 2)
        rows = rows[: max(1, _THUMBNAIL_BYTES // size)]
        return self.packed(rows)

    def packed(self, rows: np.ndarray) -> dict[str, Any]:
        """Images as one PNG with a tile for each, vectors as numbers."""
        if not self.is_image:
            return {"count": len(rows), "values": floats(rows)}
        count, height, width, channels = rows.shape
        columns = math.ceil(math.sqrt(max(1, count)))
        tiles = np.zeros((columns * -(-count // columns), height, width, channels), "uint8")
        tiles[:count] = np.rint(255 * np.clip((rows - self.low) / (self.high - self.low), 0, 1))
        sheet = tiles.reshape(-1, columns, height, width, channels).swapaxes(1, 2)
        picture = png(sheet.reshape(-1, columns * width, channels))
        url = "data:image/png;base64," + base64.b64encode(picture).decode("ascii")
        return {"count": count, "columns": columns, "height": height, "width": width, "url": url}


def _reduced(images: np.ndarray, factor: int) -> np.ndarray:
    """Images `(num, height, width, channels)` with blocks of `factor²` pixels replaced by their mean."""
    if factor == 1:
        return images
    num, height, width, channels = images.shape
    height, width = max(1, height // factor), max(1, width // factor)
    images = images[:, : height * factor, : width * factor]
    return images.reshape(num, height, images.shape[1] // height, width, -1, channels).mean(axis=(2, 4))
