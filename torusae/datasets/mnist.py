"""MNIST from a file, from Keras' cache or its download, and a subset that comes with torusae."""

import importlib.resources
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from torusae._internal import files

# The same file as keras.datasets.mnist.
_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
_SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"
_KEYS = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True, eq=False, repr=False)
class Mnist:
    """MNIST's images and labels, and their source.

    Attributes:
        x_train: float32 array in [0, 1], `(num_train, 28, 28, 1)`, or `(num_train, 1, 28, 28)` where
            `keras.config.image_data_format()` is `"channels_first"`.
        y_train: int32 array `(num_train,)`, the digits 0 to 9.
        x_test: As `x_train`, the test images.
        y_test: As `y_train`, the test labels.
        source: A sentence: the source and the numbers of images.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    source: str

    def __repr__(self) -> str:
        return f"Mnist(x_train.shape={self.x_train.shape}, x_test.shape={self.x_test.shape}, source={self.source!r})"


def load_mnist(path: str | os.PathLike[str] | None = None) -> Mnist:
    """All of MNIST: from a file, or from Keras' cache, into which it is downloaded once.

    The download is `keras.utils.get_file`, which compares its SHA-256 and keeps it as `datasets/mnist.npz` in
    `$KERAS_HOME` or `~/.keras`. Without a network, `load_mnist_subset()` has fewer digits.

    Args:
        path: An npz file with the arrays `x_train`, `y_train`, `x_test`, `y_test`, as Keras keeps it: images
            `(num, 28, 28)` uint8, labels `(num,)` integers 0 to 9. Defaults to `None`: the cache.

    Raises:
        OSError: If there is no file at `path`, or it can't be read.
        TypeError: If `path` is no path.
        ValueError: If the file at `path` is damaged or does not hold MNIST's arrays.
        Exception: Keras' own, if the download fails.

    Example:

    >>> import numpy as np
    >>> import torusae.datasets
    >>> images, labels = np.zeros((2, 28, 28), "uint8"), np.array([3, 8])
    >>> np.savez("digits.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    >>> torusae.datasets.load_mnist("digits.npz").x_train.shape
    (2, 28, 28, 1)

    Reference:
        LeCun, Cortes & Burges, The MNIST database of handwritten digits.
    """
    if path is None:
        return _mnist(Path(keras.utils.get_file("mnist.npz", _URL, file_hash=_SHA256)), "Keras' cache")
    file = files.as_path("load_mnist", "path", path)
    return _mnist(file, f"the file {file}")


def load_mnist_subset() -> Mnist:
    """An `Mnist` of 8000 training and 2000 test images that come with torusae, equally many of each digit.

    Example:

    >>> import torusae.datasets
    >>> mnist = torusae.datasets.load_mnist_subset()
    >>> len(mnist.x_train), len(mnist.x_test)
    (8000, 2000)

    Reference:
        Y. LeCun, C. Cortes, C. J. C. Burges; Creative Commons Attribution-Share Alike 3.0.
    """
    bundled = importlib.resources.files("torusae").joinpath("datasets", "files", "mnist_subset.npz")
    with importlib.resources.as_file(bundled) as file:
        return _mnist(file, "the subset bundled with torusae")


def _mnist(file: Path, source: str) -> Mnist:
    """The arrays of an npz file in the form that models read: [0, 1], with a channel axis."""
    try:
        with files.naming("load_mnist", file, "read"), file.open("rb") as stream, np.load(stream) as stored:
            arrays = {key: stored[key] for key in _KEYS}
    except (KeyError, TypeError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:  # NumPy's, of damage
        raise ValueError(
            f"load_mnist: {file} must be an npz file with the arrays {', '.join(_KEYS)}. Received: "
            f"{type(error).__name__}: {error} Copy or download it again."
        ) from error
    for part in ("train", "test"):
        _check_digits(file, part, arrays[f"x_{part}"], arrays[f"y_{part}"])
    axis = 1 if keras.config.image_data_format() == "channels_first" else -1
    x_train, x_test = (np.expand_dims(arrays[key].astype("float32") / 255, axis) for key in ("x_train", "x_test"))
    y_train, y_test = (arrays[key].astype("int32") for key in ("y_train", "y_test"))
    counts = f"{len(x_train)} training and {len(x_test)} test images"
    return Mnist(x_train, y_train, x_test, y_test, f"MNIST from {source}: {counts}.")


def _check_digits(file: Path, part: str, x: np.ndarray, y: np.ndarray) -> None:
    images = x.shape == (len(y), 28, 28) and x.dtype == np.uint8 and len(y)
    if not images or y.ndim != 1 or y.dtype.kind not in "iu" or int(y.min()) < 0 or int(y.max()) > 9:
        raise ValueError(
            f"load_mnist: {file} must hold images 'x_{part}' of shape (num, 28, 28), uint8 from 0 to 255, and labels "
            f"'y_{part}' of shape (num,), integers from 0 to 9. Received: x_{part}.shape={x.shape}, dtype={x.dtype}, "
            f"y_{part}.shape={y.shape}, dtype={y.dtype}."
        )
