"""MNIST from a file, the Keras cache, the network, or the bundled subset."""

import contextlib
import hashlib
import http.client
import io
import os
import urllib.request
import uuid
import warnings
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from torusae.datasets import _files

# The same file as keras.datasets.mnist, whose downloader takes no time-out.
_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
_SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"
_TIMEOUT = 10.0  # seconds without an answer
_KEYS = ("x_train", "y_train", "x_test", "y_test")
_KIND = "an npz file as keras.datasets.mnist keeps it"


@dataclass(frozen=True, eq=False, repr=False)
class Mnist:
    """MNIST's images and labels, and their source.

    Attributes:
        x_train: float32 array in [0, 1], `(num_train, 28, 28, 1)`, or `(num_train, 1, 28, 28)` where
            `keras.config.image_data_format()` is `"channels_first"`.
        y_train: int32 array `(num_train,)`, the digits 0 to 9.
        x_test: As `x_train`, the test images.
        y_test: As `y_train`, the test labels.
        source: A sentence: the source, the numbers of images, and the sources that failed before it.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    source: str

    def __repr__(self) -> str:
        return f"Mnist(x_train.shape={self.x_train.shape}, x_test.shape={self.x_test.shape}, source={self.source!r})"


def load_mnist(path: str | os.PathLike[str] | None = None, download: bool = True) -> Mnist:
    """MNIST from the file `path`, or else from the first source that there is.

    The sources are:

    - `datasets/mnist.npz` in `$KERAS_HOME` or `~/.keras`;
    - the download, checked by its SHA-256 and then kept in that cache;
    - `load_mnist_subset()`.

    A damaged cache and a failed download give a warning.

    Args:
        path: An npz file with the arrays `x_train`, `y_train`, `x_test`, `y_test`, as Keras keeps it: images
            `(num, 28, 28)` uint8, labels `(num,)` integers 0 to 9. Defaults to `None`.
        download: Boolean, whether to use the network. Defaults to `True`.

    Raises:
        FileNotFoundError: If there is no file at `path`.
        ValueError: If the file at `path` is damaged or does not hold MNIST's arrays.

    Example:

    >>> import torusae.datasets
    >>> mnist = torusae.datasets.load_mnist(download=False)
    >>> mnist.y_train.dtype, float(mnist.x_train.max())
    (dtype('int32'), 1.0)

    Reference:
        LeCun, Cortes & Burges, The MNIST database of handwritten digits.
    """
    if path is not None:
        alternative = "Leave `path` out to use the Keras cache, a download, or the bundled subset."
        file = _files.existing_file("load_mnist", path, "an npz file", alternative)
        return _mnist(file.read_bytes(), str(file), f"the file {file}")

    missed = []
    cached = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "datasets" / "mnist.npz"
    if cached.is_file():
        try:
            return _mnist(cached.read_bytes(), str(cached), f"the Keras cache, {cached}")
        except (OSError, ValueError) as error:
            missed.append(f"the Keras cache can't be used ({error})")
            warnings.warn(f"load_mnist: {missed[-1]}", stacklevel=2)
    else:
        missed.append(f"no file in the Keras cache at {cached}")

    if not download:
        return _subset("; ".join([*missed, "download=False"]))
    try:
        content = _download()
    except (OSError, http.client.HTTPException, ValueError) as error:
        missed.append(f"the download failed ({type(error).__name__}: {error})")
        warnings.warn(
            f"load_mnist: {missed[-1]}, so the bundled subset of 8000 training and 2000 test images is used. "
            f"Pass `path` for the full set, or call load_mnist_subset() for the subset without this warning.",
            stacklevel=2,
        )
        return _subset("; ".join(missed))
    try:
        _keep(content, cached)
    except OSError as error:
        warnings.warn(
            f"load_mnist: the download can't be kept in the Keras cache ({error}). Set KERAS_HOME to a folder that can "
            f"be written.",
            stacklevel=2,
        )
    return _mnist(content, _URL, f"the download of {_URL}")


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
    return _subset("")


def _subset(note: str) -> Mnist:
    content = _files.bundled("mnist_subset.npz").read_bytes()
    return _mnist(content, "the bundled subset", "the subset bundled with torusae", note)


def _mnist(content: bytes, where: str, source: str, note: str = "") -> Mnist:
    """The arrays of an npz file in the form that models read: [0, 1], with a channel axis."""
    arrays = _read(content, where)
    axis = 1 if keras.config.image_data_format() == "channels_first" else -1
    x_train, x_test = (np.expand_dims(arrays[key].astype("float32") / 255, axis) for key in ("x_train", "x_test"))
    y_train, y_test = (arrays[key].astype("int32") for key in ("y_train", "y_test"))
    source = f"MNIST from {source}: {len(x_train)} training and {len(x_test)} test images"
    return Mnist(x_train, y_train, x_test, y_test, source + (f" ({note})." if note else "."))


def _download() -> bytes:
    """The npz file from the network, checked."""
    with urllib.request.urlopen(_URL, timeout=_TIMEOUT) as response:
        content = response.read()
    found = hashlib.sha256(content).hexdigest()
    if found != _SHA256:
        raise ValueError(
            f"{len(content)} bytes from {_URL} with another SHA-256 than expected, {found}: cut off, altered, or the "
            f"page of a proxy"
        )
    return content


def _keep(content: bytes, target: Path) -> None:
    """Writes `target`, which appears whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"mnist-{uuid.uuid4().hex}.part")  # another process may write at the same time
    try:
        partial.write_bytes(content)
        partial.replace(target)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def _read(content: bytes, where: str) -> dict[str, np.ndarray]:
    """The four arrays of an npz file, checked. Every error is a ValueError that names the file."""
    members = _files.read_archive("load_mnist", content, where, _KIND)
    missing = [key for key in _KEYS if f"{key}.npy" not in members]
    if missing:
        found = sorted(name.removesuffix(".npy") for name in members)
        raise ValueError(
            f"load_mnist: {where} must hold the arrays {list(_KEYS)}. Found: {found}, without {missing}. "
            f"It must be {_KIND}."
        )
    arrays = {}
    for key in _KEYS:
        try:
            arrays[key] = np.lib.format.read_array(io.BytesIO(members[f"{key}.npy"]), allow_pickle=False)
        except (ValueError, EOFError, MemoryError) as error:  # Python objects, or fewer numbers than its shape says
            raise ValueError(
                f"load_mnist: array {key!r} of {where} can't be read ({error}). Copy or download it again."
            ) from error
    for part in ("train", "test"):
        _check_digits(where, part, arrays[f"x_{part}"], arrays[f"y_{part}"])
    return arrays


def _check_digits(where: str, part: str, x: np.ndarray, y: np.ndarray) -> None:
    if x.ndim != 3 or x.shape[1:] != (28, 28) or x.dtype != np.uint8 or len(x) == 0:
        raise ValueError(
            f"load_mnist: array 'x_{part}' of {where} must hold images of shape (num, 28, 28) with dtype uint8. "
            f"Found: shape {x.shape}, dtype {x.dtype}. Save the original 0 to 255 values without a channel axis."
        )
    if y.shape != x.shape[:1] or y.dtype.kind not in "iu":
        raise ValueError(
            f"load_mnist: array 'y_{part}' of {where} must hold one integer an image, shape ({len(x)},). "
            f"Found: shape {y.shape}, dtype {y.dtype}. Save class numbers, not one-hot rows."
        )
    if int(y.min()) < 0 or int(y.max()) > 9:
        raise ValueError(
            f"load_mnist: array 'y_{part}' of {where} must hold the digits 0 to 9. "
            f"Found: values from {int(y.min())} to {int(y.max())}. Is it another data set?"
        )
