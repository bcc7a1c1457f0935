"""Data of a model: random rows of a stream, memory-mapped files, padding for several devices, errors in streams."""

import contextlib
import itertools
import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from torusae import distribution
from torusae._internal import backend, checks

__all__ = ["PaddedBatches", "sample_rows", "without_padding"]

# The keys of a padded batch.
_SAMPLES, _COUNT = "padded samples", "number of samples"


def sample_rows(
    data: Any, num_rows: int, seed: int | np.random.Generator | None = None, steps: int | None = None
) -> Any:
    """A random sample of the rows of data, in their order. The data need not fit in memory.

    Use it for figures, `diagnose`, and metrics that need all points at once. Every set of `num_rows` rows has the same
    probability. At most `num_rows` rows and one batch are in memory. A statistic of the sample has the error of
    `num_rows` independent points: at most `1 / √num_rows` for a mean of cosines.

    Args:
        data: A stream of batches: a `tf.data.Dataset`, `keras.utils.PyDataset`, torch `DataLoader` or generator. A
            batch is `x`, `(x, y)` or any nested structure of arrays with one row a sample. Or an array, or a tuple or
            dict of arrays; of memory-mapped files only the drawn rows are read.
        num_rows: Integer. Of fewer rows all are returned.
        seed: Integer or NumPy generator. The same integer and data give the same rows. Defaults to `None`.
        steps: Integer, number of batches to read from a stream. An endless stream needs it. Defaults to `None`, all.

    Returns:
        The structure of a batch, with NumPy arrays of at most `num_rows` rows.

    Raises:
        TypeError: If `data` are neither arrays nor a stream.
        ValueError: If the stream has no rows or no end, or its batches or their arrays do not fit together.

    Example:

    >>> import numpy as np, torusae.data
    >>> batches = ((np.full((100, 2), i), np.full(100, i)) for i in range(50))
    >>> x, y = torusae.data.sample_rows(batches, 20, seed=0)
    >>> x.shape, y.shape
    ((20, 2), (20,))

    Reference:
        Vitter (1985), Random sampling with a reservoir. Here the rows with the smallest random numbers are kept.
    """
    num_rows = checks.positive_int("sample_rows", "num_rows", num_rows)
    (generator,) = checks.generators("sample_rows", seed, 1)
    arrays = keras.tree.flatten(data)
    if all(checks.is_array(array) for array in arrays):
        total = _common_length(arrays, "`data`")
        rows = np.sort(generator.choice(total, min(num_rows, total), replace=False))
        return keras.tree.map_structure(lambda array: np.asarray(checks.host_array(array)[rows]), data)
    kept: Any = None
    keys = np.empty(0)
    seen = 0
    for step, batch in enumerate(_batches(data, steps), start=1):
        batch = keras.tree.map_structure(checks.host_array, batch)
        length = _common_length(keras.tree.flatten(batch), f"batch {step}")
        if kept is None:
            kept = keras.tree.map_structure(lambda array: array[:0], batch)
        keys = np.concatenate([keys, generator.random(length)])
        seen += length
        smallest = np.sort(np.argpartition(keys, num_rows - 1)[:num_rows]) if len(keys) > num_rows else slice(None)
        keys = keys[smallest]
        try:
            kept = keras.tree.map_structure(
                lambda old, new, rows=smallest: np.concatenate([old, new])[rows], kept, batch
            )
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
    steps = checks.optional_int("sample_rows", "steps", steps)
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


class PaddedBatches(keras.utils.PyDataset):
    """Arrays in batches, each padded to a multiple of the number of devices.

    JAX divides a batch into equal parts, and Keras raises an error for a batch that is not divisible. Here rows are
    repeated as padding. `without_padding` removes them at the start of a step, so that the step computes the smaller
    batch exactly. A compiled step knows the shapes of its arrays but not their values, so the number of samples is
    passed as the shape of an array. Memory-mapped files are read one batch at a time.

    Args:
        arrays: `(x,)`, `(x, y)` or `(x, y, sample_weight)`, structures of NumPy arrays with one row per sample.
        batch_size: Integer, samples per batch.
        num_parts: Integer, the number of devices.
        shuffle: Boolean, whether each epoch has a new order, drawn as in Keras. Defaults to `False`.
        marked: Boolean, whether batches carry their number of samples for `without_padding`. Defaults to `True`.

    Example:

    >>> import numpy as np, torusae
    >>> batches = torusae.data.PaddedBatches((np.zeros((5, 2)),), batch_size=5, num_parts=4, marked=False)
    >>> batches[0][0].shape
    (8, 2)
    """

    def __init__(self, arrays: tuple, batch_size: int, num_parts: int, shuffle: bool = False, marked: bool = True):
        super().__init__()
        self.arrays = arrays
        self.batch_size = batch_size
        self.num_parts = num_parts
        self.shuffle = shuffle
        self.marked = marked
        self.num_rows = len(keras.tree.flatten(arrays)[0])
        self.order = np.arange(self.num_rows)
        self.on_epoch_begin()

    def __len__(self):
        return math.ceil(self.num_rows / self.batch_size)

    def on_epoch_begin(self):
        if self.shuffle:
            self.order = np.random.permutation(self.num_rows)  # noqa: NPY002, the generator that Keras seeds

    def __getitem__(self, index):
        rows = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        count = len(rows)
        rows = np.resize(rows, count + -count % self.num_parts)
        x, *rest = keras.tree.map_structure(lambda array: np.asarray(array[rows]), self.arrays)
        if not self.marked:
            return (x, *rest)
        # Batches without padding are marked too: Keras lays out every batch as it does the first.
        return ({_SAMPLES: x, _COUNT: np.zeros((self.num_parts, count), "int8")}, *rest)


def without_padding(data: Any) -> Any:
    """A batch of `PaddedBatches` without its padding rows; any other batch unchanged.

    Example:

    >>> import numpy as np, torusae
    >>> batches = torusae.data.PaddedBatches((np.zeros((5, 2)),), batch_size=5, num_parts=4)
    >>> torusae.data.without_padding(batches[0])[0].shape
    (5, 2)
    """
    x = data[0] if isinstance(data, (tuple, list)) and data else data
    if not (isinstance(x, dict) and set(x) == {_SAMPLES, _COUNT}):
        return data
    count = x[_COUNT].shape[1]
    return keras.tree.map_structure(lambda array: array[:count], (x[_SAMPLES], *data[1:]))


def rows_of(arrays: Any, rows: slice) -> Any:
    """Some rows of every array of a structure."""
    return keras.tree.map_structure(lambda array: None if array is None else array[rows], arrays)


def must_be_batched(arrays: Any) -> bool:
    """Whether Keras can't take arrays: it can't divide their batches, or would copy memory-mapped files."""
    return distribution.num_parts() > 1 or backend.copies_memory_maps(keras.tree.flatten(arrays))


def padded_batches(arrays: tuple[Any, Any, Any], batch_size: int | None, shuffle: bool = False) -> PaddedBatches | None:
    """Samples, targets and weights in batches, where Keras can't take them as they are; else `None`."""
    x = arrays[0]
    num_parts = distribution.num_parts()
    batch_size = batch_size or 32
    if not checks.is_array(x):
        return None
    divides = all(size % num_parts == 0 for size in (len(x), batch_size))
    if divides and not backend.copies_memory_maps(keras.tree.flatten(arrays)):
        return None
    given = tuple(keras.tree.map_structure(checks.host_array, each) for each in arrays if each is not None)
    return PaddedBatches(given, batch_size, num_parts, shuffle, marked=num_parts > 1)


def predict(function: Any, x: Any, batch_size: int | None, verbose: Any, **kwargs: Any) -> Any:
    """`function(x)`, a model's `predict`, also where Keras can't take `x` as it is: rows are padded and cut off."""
    if not checks.is_array(x) or not must_be_batched(x):
        return function(x, batch_size=batch_size, verbose=verbose, **kwargs)
    num_parts = distribution.num_parts()
    batch_size = batch_size or 32
    batch_size += -batch_size % num_parts
    batches = PaddedBatches((checks.host_array(x),), batch_size, num_parts, marked=False)
    outputs = function(batches, verbose=verbose, **kwargs)
    return keras.tree.map_structure(lambda output: output[: len(x)], outputs)


class _Place(keras.callbacks.Callback):
    """The present epoch and step of a training."""

    epoch = 0
    step: int | None = None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        self.step = batch


@contextlib.contextmanager
def noted_errors(owner: str, x: Any, callbacks: Any) -> Iterator[None]:
    """Adds the step and the epoch to an error while a stream trains a model: values of streams aren't checked before.

    A callback is added to the list `callbacks`. `owner` is what is called, for the note.
    """
    place = _Place()
    if not checks.is_array(x) and isinstance(callbacks, list):
        callbacks.append(place)
    try:
        yield
    except Exception as error:
        if place.step is not None:
            error.add_note(f"{owner}: stopped in step {place.step + 1} of epoch {place.epoch + 1}.")
        raise
