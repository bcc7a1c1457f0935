"""Random rows of data that need not fit in memory, and windows of time series."""

import itertools
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from torusae._internal import checks
from torusae._internal.arrays import random_rows, time_steps

__all__ = ["sample_rows", "windows"]


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


def windows(
    series: Any, length: int, step: int = 1, times: Any = None, remove: str | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Windows of a time series as the rows of a table, and the time in the middle of each.

    A window that holds NaN or infinity, or spans a gap of the times, is left out. A gap is a step above 1.5 times the
    median step. See [time series](../tasks/time_series.md) for lengths, smoothing and splits.

    Args:
        series: Float array `(time,)` or `(time, columns)`, in the order of time.
        length: Integer, at least 2, rows of the series in a window.
        step: Integer, rows from the start of a window to the start of the next. Defaults to `1`.
        times: Array `(time,)` of numbers or `datetime64`, increasing. Defaults to `None`, the numbers of the rows.
        remove: What is taken out of each column of each window: `"mean"`, its level, or `"line"`, its level and trend,
            by least squares. Defaults to `None`, nothing.

    Returns:
        The windows, `(num, length * columns)`, and their times, `(num,)`. `.reshape(num, length, columns)` undoes the
        flattening.

    Raises:
        TypeError: If the series or the times are not numbers.
        ValueError: If the series is of another rank or shorter than a window, times do not increase or have another
            length, or every window has a gap.

    Example:

    >>> import numpy as np, torusae.data
    >>> series = np.array([0.0, 1, 2, 3, np.nan, 5, 6, 7])
    >>> rows, times = torusae.data.windows(series, 3)
    >>> rows.tolist(), times.tolist()
    ([[0.0, 1.0, 2.0], [1.0, 2.0, 3.0], [5.0, 6.0, 7.0]], [1.0, 2.0, 6.0])

    Reference:
        Perea & Harer (2015), Sliding windows and persistence: windows of a periodic series lie on a closed curve, and
        centred ones on a rounder one.
    """
    owner = "windows"
    length = checks.positive_int(owner, "length", length, least=2)
    step = checks.positive_int(owner, "step", step)
    remove = checks.option(owner, "remove", remove, (None, "mean", "line"))
    series = checks.numpy_array(owner, "series", series)
    if series.ndim not in (1, 2) or series.size == 0:
        raise ValueError(
            f"{owner}: `series` must have shape (time,) or (time, columns). Received: shape={series.shape}."
        )
    if len(series) < length:
        raise ValueError(
            f"{owner}: `length` must be at most the length of the series. Received: length={length}, "
            f"{len(series)} rows."
        )
    times, is_gap = time_steps(owner, np.arange(len(series)) if times is None else times, len(series))
    table = series.reshape(len(series), -1).astype("float64")
    # How many rows without a number, and how many gaps, come before each row.
    bad = np.cumsum(np.append(0, ~np.isfinite(table).all(axis=1)))
    gaps = np.append(0, np.cumsum(is_gap))
    starts = np.arange(0, len(series) - length + 1, step)
    whole = (bad[starts + length] == bad[starts]) & (gaps[starts + length - 1] == gaps[starts])
    if not whole.any():
        raise ValueError(
            f"{owner}: every window holds NaN or spans a gap. Received: length={length}, "
            f"{bad[-1]} rows with NaN or infinity, {gaps[-1]} gaps of the times. Give shorter windows."
        )
    starts = starts[whole]
    # A copy, which `remove` may change: the view shares its numbers.
    cut = np.array(sliding_window_view(table, length, axis=0)[starts])  # (num, columns, length)
    powers = {None: 0, "mean": 1, "line": 2}[remove]
    if powers:
        basis = np.linalg.qr(np.vander(np.arange(length), powers).astype("float64"))[0]
        cut -= cut @ basis @ basis.T
    first, last = times[starts], times[starts + length - 1]
    return cut.transpose(0, 2, 1).reshape(len(cut), -1), first + (last - first) / 2
