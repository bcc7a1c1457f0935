"""Small data whose true angles are known, MNIST from wherever it is at hand, and a classifier of its digits.

Everything is made by NumPy from the caller's seed: the same seed gives the same data on every backend. Angles are in
radians, `[-π, π)`.
"""

import contextlib
import importlib.resources
import io
import itertools
import math
import os
import socket
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import keras
import numpy as np

from torusae import _checks

_KEYS = ("x_train", "y_train", "x_test", "y_test")
_TIMEOUT = 10.0  # seconds that a connection may stay silent: Keras sets none, so an offline machine could wait minutes
_WAVES = 4  # waves in a column of `torus_table`: enough that no column shows one circle alone
# The largest float32 below π: rounding a float64 just below π to float32 lands above it.
_BELOW_PI = np.nextafter(np.float32(math.pi), np.float32(0))


@dataclass(frozen=True, eq=False, repr=False)
class Mnist:
    """MNIST's images and labels, and where they come from.

    Attributes:
        x_train: float32 array in [0, 1], `(num_train, 28, 28, 1)`, or `(num_train, 1, 28, 28)` where
            `keras.config.image_data_format()` is `"channels_first"`.
        y_train: int32 array `(num_train,)`, the digits 0 to 9.
        x_test: As `x_train`, the test images.
        y_test: As `y_train`, the test labels.
        source: A sentence that says which of the sources it was, how many images it holds, and what was not found.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    source: str

    def __repr__(self) -> str:
        return f"Mnist(x_train.shape={self.x_train.shape}, x_test.shape={self.x_test.shape}, source={self.source!r})"


def load_mnist(path: str | os.PathLike[str] | None = None, download: bool = True) -> Mnist:
    """MNIST from a file, else the Keras cache, else the network, else a subset that comes with the library.

    With `path` only that file is read. Without it, in this order: `datasets/mnist.npz` below `$KERAS_HOME` or
    `~/.keras`; the download by `keras.datasets.mnist.load_data()`, which also fills that cache; 8000 training and 2000
    test images that come with torusae. `source` of the result says which one it was. A cached file that can't be used
    and a download that fails are passed over with a warning.

    Args:
        path: An npz file with the arrays `x_train`, `y_train`, `x_test`, `y_test`, as Keras keeps it: images
            `(num, 28, 28)` uint8, labels `(num,)` integers 0 to 9. Defaults to `None`.
        download: Boolean, whether the network may be used. Defaults to `True`.

    Returns:
        `Mnist` with `x_train`, `y_train`, `x_test`, `y_test` and `source`.

    Raises:
        TypeError: If `path` is not a path.
        FileNotFoundError: If there is no file at `path`.
        ValueError: If the file at `path` is damaged, cut off, or does not hold MNIST's arrays.

    Example:

    >>> import torusae.datasets
    >>> mnist = torusae.datasets.load_mnist(download=False)
    >>> mnist.y_train.dtype, float(mnist.x_train.max())
    (dtype('int32'), 1.0)

    Reference:
        LeCun, Cortes & Burges, The MNIST database of handwritten digits.
    """
    if path is not None:
        if not isinstance(path, (str, os.PathLike)):
            raise TypeError(f"load_mnist: `path` must be a path to an npz file or None. Received: path={path!r}.")
        file = Path(path).expanduser()
        if not file.is_file():
            found = "a folder" if file.is_dir() else "nothing"
            raise FileNotFoundError(
                f"load_mnist: `path` must be an npz file. Found {found} at {file}. "
                f"Leave `path` out to use the Keras cache, a download, or the bundled subset."
            )
        return _mnist(_read_file(file), f"the file {file}")

    missed = []
    cached = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "datasets" / "mnist.npz"
    if cached.is_file():
        try:
            return _mnist(_read_file(cached), f"the Keras cache, {cached}")
        except ValueError as error:
            missed.append(f"the Keras cache can't be used ({error})")
            warnings.warn(f"load_mnist: {missed[-1]}", stacklevel=2)
    else:
        missed.append(f"no file in the Keras cache at {cached}")

    if download:
        try:
            with _socket_timeout(_TIMEOUT):
                (x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
            return _mnist((x_train, y_train, x_test, y_test), "the download by keras.datasets.mnist")
        except Exception as error:  # Keras raises a bare Exception for a failed fetch, and sockets raise many others
            missed.append(f"the download failed ({error})")
            warnings.warn(
                f"load_mnist: {missed[-1]}, so the bundled subset of 8000 training and 2000 test images is used. "
                f"Pass `path` for the full set, or download=False to use the subset without this warning.",
                stacklevel=2,
            )
    else:
        missed.append("download=False")

    resource = importlib.resources.files("torusae").joinpath("data/mnist_subset.npz")
    arrays = _read_npz(io.BytesIO(resource.read_bytes()), "the bundled subset")
    return _mnist(arrays, "the subset bundled with torusae", "; ".join(missed))


def load_digit_classifier(path: str | os.PathLike[str] | None = None) -> keras.Model:
    """A small trained classifier of MNIST's digits, for measuring how good generated digits are.

    Its layer `"features"`, 64 units with tanh, is what a Fréchet distance between real and generated digits compares:
    `keras.Model(classifier.inputs, classifier.get_layer("features").output)`. The classifier that comes with torusae
    names 99.24 % of MNIST's 10000 test digits correctly; `examples/digit_classifier.py` trained it, on all of the
    training digits.

    Args:
        path: A `.keras` file as `examples/digit_classifier.py` writes it. Defaults to `None`, the one that comes with
            torusae.

    Returns:
        Keras model, not compiled, from images `(batch, 28, 28, 1)` in [0, 1] to probabilities `(batch, 10)`. It reads
        the channel last, also where `keras.config.image_data_format()` is `"channels_first"`.

    Raises:
        TypeError: If `path` is not a path.
        FileNotFoundError: If there is no file at `path`.
        ValueError: If the model in the file does not map `(batch, 28, 28, 1)` to `(batch, 10)`, or has no layer
            `"features"`.

    Example:

    >>> import torusae.datasets
    >>> classifier = torusae.datasets.load_digit_classifier()
    >>> classifier.output_shape, classifier.get_layer("features").output.shape
    ((None, 10), (None, 64))

    Reference:
        The architecture and the training are torusae choices. Heusel et al. (2017), arXiv:1706.08500, for the distance
        between features.
    """
    owner = "load_digit_classifier"
    if path is None:
        resource = importlib.resources.files("torusae").joinpath("data/digit_classifier.keras")
        with importlib.resources.as_file(resource) as bundled:
            return keras.saving.load_model(bundled, compile=False)
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"{owner}: `path` must be a path to a .keras file or None. Received: path={path!r}.")
    file = Path(path).expanduser()
    if not file.is_file():
        found = "a folder" if file.is_dir() else "nothing"
        raise FileNotFoundError(
            f"{owner}: `path` must be a .keras file. Found {found} at {file}. "
            f"Leave `path` out to use the classifier that comes with torusae."
        )
    model = keras.saving.load_model(file, compile=False)
    shapes = getattr(model, "input_shape", None), getattr(model, "output_shape", None)
    if shapes != ((None, 28, 28, 1), (None, 10)):
        raise ValueError(
            f"{owner}: the model must map images (None, 28, 28, 1) to (None, 10). Found: {shapes[0]} to {shapes[1]} in "
            f"{file}. Train one with examples/digit_classifier.py."
        )
    if "features" not in [layer.name for layer in model.layers]:
        raise ValueError(
            f"{owner}: the model must have a layer named 'features'. Found: {[layer.name for layer in model.layers]} "
            f"in {file}. Train one with examples/digit_classifier.py."
        )
    return model


def _mnist(arrays: tuple[np.ndarray, ...], where: str, note: str = "") -> Mnist:
    """Raw arrays as a model reads them: [0, 1], with a channel axis."""
    x_train, y_train, x_test, y_test = arrays
    axis = 1 if keras.config.image_data_format() == "channels_first" else -1

    def images(x):
        return np.expand_dims(x.astype("float32") / 255, axis)

    source = f"MNIST from {where}: {len(x_train)} training and {len(x_test)} test images" + (f" ({note})" * bool(note))
    return Mnist(images(x_train), y_train.astype("int32"), images(x_test), y_test.astype("int32"), source + ".")


def _read_file(file: Path) -> tuple[np.ndarray, ...]:
    with open(file, "rb") as stream:
        return _read_npz(stream, str(file))


def _read_npz(stream: IO[bytes], where: str) -> tuple[np.ndarray, ...]:
    """The four arrays of an npz file, checked; every way to be wrong is a ValueError that names the file."""
    expected = "It must be an npz file as keras.datasets.mnist keeps it"
    if stream.read(4) != b"PK\x03\x04":
        raise ValueError(f"load_mnist: {where} is not an npz file. {expected}.")
    stream.seek(0)
    try:
        with np.load(stream, allow_pickle=False) as file:
            missing = [key for key in _KEYS if key not in file.files]
            if missing:
                raise ValueError(
                    f"load_mnist: {where} lacks the arrays {missing}. Found: {sorted(file.files)}. "
                    f"{expected}, with {list(_KEYS)}."
                )
            arrays = tuple(_read_array(file, key, where) for key in _KEYS)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise ValueError(f"load_mnist: {where} is damaged or cut off ({error}). Copy or download it again.") from error
    for part in ("train", "test"):
        x, y = (arrays[_KEYS.index(f"{name}_{part}")] for name in "xy")
        _check_digits(where, part, x, y)
    return arrays


def _read_array(file: Any, key: str, where: str) -> np.ndarray:
    try:
        return np.asarray(file[key])
    except ValueError as error:  # an array of Python objects, or one that ends before its stated shape
        raise ValueError(
            f"load_mnist: array {key!r} of {where} can't be read ({error}). Copy or download it again."
        ) from error


def _check_digits(where: str, part: str, x: np.ndarray, y: np.ndarray) -> None:
    if x.ndim != 3 or x.shape[1:] != (28, 28) or x.dtype != np.uint8 or len(x) == 0:
        raise ValueError(
            f"load_mnist: array 'x_{part}' of {where} must hold images of shape (num, 28, 28) with dtype uint8. "
            f"Found: shape {x.shape}, dtype {x.dtype}. Save the original 0 to 255 values without a channel axis."
        )
    if y.shape != x.shape[:1] or y.dtype.kind not in "iu":
        raise ValueError(
            f"load_mnist: array 'y_{part}' of {where} must hold one integer per image, shape ({len(x)},). "
            f"Found: shape {y.shape}, dtype {y.dtype}. Save class numbers, not one-hot rows."
        )
    if int(y.min()) < 0 or int(y.max()) > 9:
        raise ValueError(
            f"load_mnist: array 'y_{part}' of {where} must hold the digits 0 to 9. "
            f"Found: values from {int(y.min())} to {int(y.max())}. Is it another data set?"
        )


@contextlib.contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    """A limit for every connection made meanwhile: Keras' downloader takes no timeout of its own."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _generators(owner: str, seed: Any, count: int) -> list[np.random.Generator]:
    """Independent generators, one per purpose, so that more samples do not change what else is drawn."""
    if isinstance(seed, np.random.Generator):
        return seed.spawn(count)
    if seed is not None:
        seed = _checks.positive_int(owner, "seed", seed, least=0)
    return np.random.default_rng(seed).spawn(count)


def _uniform_angles(generator: np.random.Generator, num_samples: int, dim: int) -> np.ndarray:
    angles = generator.uniform(-math.pi, math.pi, (num_samples, dim)).astype("float32")
    return np.clip(angles, -_BELOW_PI, _BELOW_PI)


def sample_rows(
    data: Any, num_rows: int, seed: int | np.random.Generator | None = None, steps: int | None = None
) -> Any:
    """A random sample of the rows of data that need not fit in memory, in the order that they came.

    For what looks at all points at once: a figure, `diagnose`, or a metric such as `kuiper_statistic`. All sets of
    `num_rows` rows are equally probable, and no more rows are held than those and a batch. What is then measured
    carries the error of `num_rows` independent points: that of a mean of cosines is at most `1 / √num_rows`, that of a
    Kuiper statistic about `1.25 / √num_rows`.

    Args:
        data: A stream of batches, each `x`, `(x, y)` or any nested structure of arrays with one row a sample: a
            `tf.data.Dataset`, `keras.utils.PyDataset`, torch `DataLoader` or generator. Or an array, or a tuple or
            dict of arrays: of memory-mapped files only the rows drawn are read.
        num_rows: Integer, at least 1. Of fewer rows all are given.
        seed: Integer or NumPy generator; the same integer and data give the same rows. Defaults to `None`.
        steps: Integer, how many batches of a stream to draw from, for one that never ends. Defaults to `None`, all.

    Returns:
        What a batch is, with NumPy arrays of at most `num_rows` rows.

    Raises:
        TypeError: If `data` are neither arrays nor a stream.
        ValueError: If the stream has no rows, or never ends and `steps` is `None`, or its batches or their arrays do
            not fit together; the batch is named.

    Example:

    >>> import numpy as np, torusae.datasets
    >>> batches = ((np.full((100, 2), i), np.full(100, i)) for i in range(50))
    >>> x, y = torusae.datasets.sample_rows(batches, 20, seed=0)
    >>> x.shape, y.shape
    ((20, 2), (20,))

    Reference:
        Vitter (1985), Random sampling with a reservoir, here with a random number for every row: the rows with the
        smallest are kept.
    """
    num_rows = _checks.positive_int("sample_rows", "num_rows", num_rows)
    (generator,) = _generators("sample_rows", seed, 1)
    arrays = keras.tree.flatten(data)
    if all(_checks.is_array(array) for array in arrays):
        total = _common_length(arrays, "`data`")
        rows = np.sort(generator.choice(total, min(num_rows, total), replace=False))
        return keras.tree.map_structure(lambda array: np.asarray(_checks.host_array(array)[rows]), data)
    kept: Any = None
    keys = places = np.empty(0)
    seen = 0
    for step, batch in enumerate(_batches(data, steps), start=1):
        batch = keras.tree.map_structure(_checks.host_array, batch)
        length = _common_length(keras.tree.flatten(batch), f"batch {step}")
        if kept is None:
            kept = keras.tree.map_structure(lambda array: array[:0], batch)
        keys = np.concatenate([keys, generator.random(length)])
        places = np.concatenate([places, np.arange(seen, seen + length)])
        seen += length
        few = np.sort(np.argpartition(keys, num_rows - 1)[:num_rows]) if len(keys) > num_rows else slice(None)
        keys, places = keys[few], places[few]
        try:
            kept = keras.tree.map_structure(lambda old, new, few=few: np.concatenate([old, new])[few], kept, batch)
        except (ValueError, TypeError) as error:
            shapes = [keras.tree.map_structure(lambda array: array.shape, each) for each in (kept, batch)]
            raise ValueError(
                f"sample_rows: all batches must have the same arrays. Received: shapes {shapes[1]} in batch {step}, "
                f"which do not fit those before it, {shapes[0]}."
            ) from error
    if not seen:
        raise ValueError("sample_rows: the stream has no rows. Received: no batch, or empty ones. Was it used before?")
    return kept


def _common_length(arrays: list[Any], where: str) -> int:
    lengths = {len(array) if array.ndim else -1 for array in arrays}
    if len(lengths) != 1 or min(lengths) < 0:
        shapes = [tuple(array.shape) for array in arrays]
        raise ValueError(f"sample_rows: {where} must be arrays with one row a sample. Received: shapes {shapes}.")
    return lengths.pop()


def _batches(data: Any, steps: int | None) -> Iterator[Any]:
    """The batches of one pass over a stream of any kind, or the first few."""
    if steps is not None:
        steps = _checks.positive_int("sample_rows", "steps", steps)
    if isinstance(data, keras.utils.PyDataset):
        endless = data.num_batches is None
        stream = (data[index] for index in (itertools.count() if endless else range(data.num_batches)))
    elif hasattr(data, "__iter__") and not isinstance(data, (str, bytes, list, tuple, dict)):
        endless = hasattr(data, "cardinality") and int(data.cardinality()) == -1  # tf.data.INFINITE_CARDINALITY
        stream = iter(data)
    else:
        raise TypeError(
            f"sample_rows: `data` must be arrays or a stream of batches. Received: {type(data).__name__}. Lists become "
            f"arrays with numpy.asarray."
        )
    if endless and steps is None:
        raise ValueError("sample_rows: the stream never ends. Received: steps=None. Give the number of batches, steps.")
    return itertools.islice(stream, steps)


def torus_table(
    num_samples: int,
    dim: int = 3,
    columns: int = 50,
    noise: float = 0.0,
    seed: int | np.random.Generator | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """A table of smooth nonlinear functions of uniform angles, with the true angles.

    Formula: `column = (Σ_w a_w cos(k_w·φ + δ_w) + noise ε) / sqrt(1 + noise²)`, with four waves (two for `dim=1`) drawn
    from `k = e_i`, `2 e_i` and `e_i ± e_j`, normal `a` scaled to variance 1, uniform `δ`, and standard normal `ε`. Over
    the torus every column has mean 0 and variance 1 exactly. A model without labels can find the angles only up to a
    change of coordinates: for example which circle comes first, its direction, its zero.

    The first rows of a larger table are those of a smaller one with the same seed, so that a split of one table gives
    training and test data of the same map.

    Args:
        num_samples: Integer, at least 1, rows of the table.
        dim: Integer, at least 1, number of circles. Defaults to `3`.
        columns: Integer, at least 1. Defaults to `50`.
        noise: Float, not negative, deviation of the noise where a column without it has 1. Defaults to `0.0`.
        seed: Integer or NumPy generator; the same integer gives the same table. Defaults to `None`.

    Returns:
        The pair of a float32 array `(num_samples, columns)` and the angles, float32 `(num_samples, dim)`, radians,
        `[-π, π)`, independent and uniform.

    Raises:
        TypeError: If a count or `seed` is not an integer.
        ValueError: If a count is below 1, or `noise` or `seed` is negative.

    Example:

    >>> import torusae.datasets
    >>> table, angles = torusae.datasets.torus_table(1000, dim=2, seed=0)
    >>> table.shape, angles.shape
    ((1000, 50), (1000, 2))
    """
    num_samples = _checks.positive_int("torus_table", "num_samples", num_samples)
    dim = _checks.positive_int("torus_table", "dim", dim)
    columns = _checks.positive_int("torus_table", "columns", columns)
    noise = _checks.positive_float("torus_table", "noise", noise, zero_allowed=True)
    map_generator, angle_generator, noise_generator = _generators("torus_table", seed, 3)

    unit = np.eye(dim, dtype=int)
    pairs = [unit[i] + sign * unit[j] for i, j in itertools.combinations(range(dim), 2) for sign in (1, -1)]
    waves = np.array([*unit, *(2 * unit), *pairs])  # (num_waves, dim), no two equal up to sign
    amplitudes = np.zeros((len(waves), columns))
    for column in range(columns):
        chosen = map_generator.choice(len(waves), min(_WAVES, len(waves)), replace=False)
        amplitudes[chosen, column] = map_generator.standard_normal(len(chosen))
    # Different waves are orthogonal over the torus: the variance of their sum is half the sum of squared amplitudes.
    amplitudes *= np.sqrt(2 / (amplitudes**2).sum(axis=0))
    phases = map_generator.uniform(-math.pi, math.pi, amplitudes.shape)

    angles = _uniform_angles(angle_generator, num_samples, dim)
    arguments = angles.astype("float64") @ waves.T  # (num_samples, num_waves)
    table = np.cos(arguments) @ (amplitudes * np.cos(phases)) - np.sin(arguments) @ (amplitudes * np.sin(phases))
    if noise:
        table = (table + noise * noise_generator.standard_normal(table.shape)) / math.sqrt(1 + noise**2)
    return table.astype("float32"), angles


def hue_images(
    num_samples: int, size: int = 16, seed: int | np.random.Generator | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Tiny colour images of a hand of a clock whose hue and direction are the two angles of a torus.

    The hand is a soft line from the centre, so a turn by π is another image. The colour of the angle `h` is
    `(1 + cos(h - 2πc/3)) / 2` in the channels `c = 0, 1, 2`: red at 0, green at 2π/3, blue at -2π/3.

    Args:
        num_samples: Integer, at least 1.
        size: Integer, at least 8, pixels on a side. Defaults to `16`.
        seed: Integer or NumPy generator; the same integer gives the same images. Defaults to `None`.

    Returns:
        The pair of float32 images in [0, 1], `(num_samples, size, size, 3)`, or `(num_samples, 3, size, size)` where
        `keras.config.image_data_format()` is `"channels_first"`, and the angles `(hue, direction)`, float32
        `(num_samples, 2)`, radians, `[-π, π)`, independent and uniform. Direction 0 points right, π/2 up.

    Raises:
        TypeError: If `num_samples`, `size` or `seed` is not an integer.
        ValueError: If `num_samples` is below 1, `size` below 8 or `seed` negative.

    Example:

    >>> import torusae.datasets
    >>> images, angles = torusae.datasets.hue_images(100, seed=0)
    >>> angles.shape
    (100, 2)

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, fig. 1: two hues and two rotations, two ways between each.
    """
    num_samples = _checks.positive_int("hue_images", "num_samples", num_samples)
    size = _checks.positive_int("hue_images", "size", size, least=8)
    (generator,) = _generators("hue_images", seed, 1)
    angles = _uniform_angles(generator, num_samples, 2)
    hue, direction = angles[:, 0, None], angles[:, 1, None, None]
    colours = (1 + np.cos(hue - 2 * np.pi / 3 * np.arange(3, dtype="float32"))) / 2  # (num_samples, 3)
    axis = (np.arange(size, dtype="float32") + 0.5) / size * 2 - 1
    x, y = axis[None, None, :], -axis[None, :, None]  # rows run downwards, y upwards
    along = np.cos(direction) * x + np.sin(direction) * y  # (num_samples, size, size)
    across = np.cos(direction) * y - np.sin(direction) * x
    beyond = along - np.clip(along, 0.0, 0.75)  # the hand reaches from the centre to three quarters of the way out
    brightness = np.exp(-(beyond**2 + across**2) / (2 * 0.13**2))
    images = np.clip(brightness[..., None] * colours[:, None, None, :], 0.0, 1.0).astype("float32")
    if keras.config.image_data_format() == "channels_first":
        images = np.ascontiguousarray(np.moveaxis(images, -1, 1))
    return images, angles
