"""Random rows of data that need not fit in memory."""

import itertools
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from torusae._internal import checks
from torusae._internal.arrays import random_rows

__all__ = ["sample_rows"]


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
    if all(checks.is_array(array) for array in keras.tree.flatten(data)):
        data = _on_host("data", data)
        rows = random_rows(_common_length(keras.tree.flatten(data), "`data`"), num_rows, generator)
        return keras.tree.map_structure(lambda array: np.asarray(array[rows]), data)
    kept: Any = None
    keys = np.empty(0)
    for step, batch in enumerate(_batches(data, steps), start=1):
        batch = _on_host(f"batch {step}", batch)
        length = _common_length(keras.tree.flatten(batch), f"batch {step}")
        if kept is None:
            kept = keras.tree.map_structure(lambda array: array[:0], batch)
        keys = np.concatenate([keys, generator.random(length)])
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
    if not len(keys):
        raise ValueError("sample_rows: the stream has no rows. Received: no batch, or empty ones. Was it used before?")
    return kept


def _on_host(name: str, arrays: Any) -> Any:
    return keras.tree.map_structure(lambda array: checks.numpy_array("sample_rows", name, array, numbers=False), arrays)


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
