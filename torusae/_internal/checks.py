"""Argument checks shared by the library; each message says what came, what was expected and what to do."""

import difflib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

# A backend's tensor (torch.Tensor, jax.Array, tf.Tensor), a KerasTensor, or anything that converts to one. The three
# backends share no base class, so a type checker can't say more than this.
Tensor = Any


def float_tensor(owner: str, name: str, value: Tensor, rank: int | None = None, layout: str = "") -> Tensor:
    """Returns `value` as a tensor of at least float32, after checking its type and rank.

    float16 and bfloat16 become float32: they leave about 10 and 8 bits to an angle, so that many points of a batch tie.
    """
    typed = hasattr(value, "dtype")
    value = as_array(owner, name, value, numbers=False)
    if not typed and value.dtype == np.float64:  # a Python float or list of floats carries no precision of its own
        value = value.astype(keras.config.floatx())
    dtype = str(value.dtype) if hasattr(value.dtype, "kind") else keras.backend.standardize_dtype(value.dtype)
    if "float" not in dtype:
        raise TypeError(
            f"{owner}: `{name}` must be a tensor of floating-point numbers. Received: dtype={dtype}. "
            f"Convert it first, for example with keras.ops.cast({name}, 'float32')."
        )
    if rank is not None and len(value.shape) != rank:
        one = f"For one row use {name}[None, :], for one column {name}[:, None]."
        raise ValueError(
            f"{owner}: `{name}` must have shape {layout}. Received: {name}.shape={tuple(value.shape)}. "
            f"{one if rank == 2 and len(value.shape) == 1 else 'Reshape it first.'}"
        )
    if rank == 2 and 0 in tuple(value.shape):
        raise ValueError(
            f"{owner}: `{name}` must hold at least one row and one column. Received: {name}.shape={tuple(value.shape)}."
        )
    value = ops.convert_to_tensor(value)
    if keras.backend.standardize_dtype(value.dtype) in ("float32", "float64"):
        return value
    return ops.cast(value, "float32")


def same_columns(owner: str, **values: Tensor) -> None:
    """Raises if two tensors `(num, columns)` differ in their columns."""
    (first, a), (second, b) = values.items()
    if a.shape[1] != b.shape[1]:
        raise ValueError(
            f"{owner}: `{first}` must have as many columns as `{second}`. Received: "
            f"{first}.shape={tuple(a.shape)}, {second}.shape={tuple(b.shape)}."
        )


def as_array(owner: str, name: str, value: Any, numbers: bool = True, missing: bool = False) -> Tensor:
    """The one door of data: a tensor of the backend as it is, all else as a NumPy array that every backend can read.

    Lists, arrays of any byte order and layout, memory-mapped files (which stay on disk), data sets of h5py, data frames
    and their columns, with NaN where nothing is known.

    Args:
        owner: String, what the user called, for messages.
        name: String, its argument.
        value: What came.
        numbers: Boolean, whether it must be real numbers. Labels may be text. Defaults to `True`.
        missing: Boolean, whether the masked cells of a masked array become NaN. Defaults to `False`: it is an error.

    Raises:
        TypeError: If `value` is sparse, or does not hold numbers that a backend has.
        ValueError: If it is a masked array, or a list whose rows differ in length.
    """
    if hasattr(value, "todense") or hasattr(value, "dense_shape") or getattr(value, "is_sparse", False):
        raise TypeError(
            f"{owner}: `{name}` must be dense. Received: a sparse {type(value).__name__}. Use x.toarray(), or a stream "
            f"of dense batches."
        )
    if isinstance(value, np.ma.MaskedArray) and missing:
        value = value.astype(np.promote_types(value.dtype, "float16") if value.dtype.kind in "iuf" else "float32")
        value = value.filled(np.nan)
    if isinstance(value, np.ma.MaskedArray):
        raise ValueError(
            f"{owner}: `{name}` can't be a masked array. Received: {np.ma.count_masked(value)} masked values. Use "
            f"x.data for rows without any, and for labels x.filled(missing), with the label of a missing one. A "
            f"model made with missing='ignore' takes masked samples."
        )
    if ops.is_tensor(value) or isinstance(value, (keras.KerasTensor, keras.Variable)):
        array = value
    else:
        # A memory-mapped file keeps its class: by it batches are read from the disk.
        array = value if type(value) in (np.ndarray, np.memmap) else _converted(owner, name, value)
        if not array.dtype.isnative:
            array = array.astype(array.dtype.newbyteorder("="))
        if any(stride < 0 for stride in array.strides):  # torch reads no reversed arrays
            array = array.copy()
    dtype = str(array.dtype)
    if getattr(array.dtype, "char", "") == "g" or (numbers and "float" not in dtype and "int" not in dtype):
        if "complex" in dtype:
            advice = "Give real and imaginary parts as columns, or numpy.angle(x)."
        else:
            known = "float" in dtype or "bool" in dtype
            advice = "Use x.astype('float64')." if known else "Leave out what is no number, or encode it by numbers."
        raise TypeError(f"{owner}: `{name}` must be numbers. Received: dtype={dtype}. {advice}")
    return array


def _converted(owner: str, name: str, value: Any) -> np.ndarray:
    """Whatever NumPy reads, and frames and columns, by the methods that pandas and polars have in common."""
    if not hasattr(value, "to_numpy"):
        try:
            return np.asarray(value)
        except ValueError as error:
            raise ValueError(
                f"{owner}: `{name}` must be a tensor. Received: a list whose rows differ in length. Give every row the "
                f"same length."
            ) from error
    if is_frame(value):
        for column, dtype in zip(value.columns, value.dtypes, strict=True):
            if not _is_number(dtype):
                raise TypeError(
                    f"{owner}: `{name}` must have columns of numbers. Received: column {column!r} of {dtype}. Leave it "
                    f"out, or encode it by numbers."
                )
        array = value.to_numpy()
    else:
        array = value.to_numpy()
        if not _is_number(value.dtype):
            return array
    # Columns that may lack values become objects in pandas.
    return value.to_numpy(dtype="float64", na_value=np.nan) if array.dtype.kind == "O" else array


def is_frame(value: Any) -> bool:
    """Whether a value is a data frame, of pandas or polars."""
    return hasattr(value, "to_numpy") and hasattr(value, "columns")


def _is_number(dtype: Any) -> bool:
    """Whether the dtype of a column of pandas, NumPy or polars is one of real numbers."""
    return dtype.kind in "iuf" if hasattr(dtype, "kind") else bool(getattr(dtype, "is_numeric", bool)())


def numpy_array(owner: str, name: str, value: Any, numbers: bool = True, missing: bool = False) -> np.ndarray:
    """As `as_array`, and tensors as NumPy arrays too."""
    return host_array(as_array(owner, name, value, numbers, missing))


def float_pair(owner: str, rank: int | None = None, layout: str = "", **values: Tensor) -> tuple[Tensor, Tensor]:
    """Two values as float tensors of one dtype whose shapes broadcast, as far as they are known."""
    (first, a), (second, b) = values.items()
    a, b = same_dtype(float_tensor(owner, first, a, rank, layout), float_tensor(owner, second, b, rank, layout))
    broadcasting(owner, **{first: a, second: b})
    return a, b


def broadcasting(owner: str, **values: Tensor) -> None:
    """Raises unless the shapes of two tensors or arrays broadcast, as far as they are known."""
    (first, a), (second, b) = values.items()
    pairs = zip(reversed(a.shape), reversed(b.shape), strict=False)
    if any(m != n and 1 not in (m, n) and None not in (m, n) for m, n in pairs):
        raise ValueError(
            f"{owner}: `{first}` and `{second}` must have shapes that broadcast. "
            f"Received: {first}.shape={tuple(a.shape)}, {second}.shape={tuple(b.shape)}."
        )


def same_dtype(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Both tensors in the wider of their float dtypes: TensorFlow's operators take no others."""
    if a.dtype == b.dtype:
        return a, b
    return ops.cast(a, "float64"), ops.cast(b, "float64")


def working_dtype(dtype: Any) -> str:
    """The dtype that angles are computed in: float64 stays, everything else is float32."""
    return "float64" if keras.backend.standardize_dtype(dtype) == "float64" else "float32"


def circle_points(owner: str, name: str, value: Tensor, rank: int | None = None, dim: int | None = None) -> Tensor:
    """Returns `value` as a float tensor whose last axis holds the x and then the y values of some circles."""
    layout = {None: "(..., 2 * dim)", 1: "(2 * dim,)", 2: "(batch, 2 * dim)"}[rank]
    value = float_tensor(owner, name, value, rank, layout)
    size = value.shape[-1] if len(value.shape) else 0
    if size is not None and (size % 2 or size == 0 or dim not in (None, size // 2)):
        raise ValueError(
            f"{owner}: `{name}` must have shape {layout}, dim x values followed by dim y values, so its last axis "
            f"must be {'even and not empty' if dim is None else 2 * dim}. Received: {name}.shape={tuple(value.shape)}."
        )
    return value


_LARGEST_INT = (1 << 31) - 1  # of int32, in which shapes and counts are computed


def positive_int(owner: str, name: str, value: Any, least: int = 1, most: int | None = _LARGEST_INT) -> int:
    """Returns `value` as an int of at least `least` and at most `most`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{owner}: `{name}` must be an integer. Received: {name}={value!r}.")
    if value < least:
        raise ValueError(f"{owner}: `{name}` must be at least {least}. Received: {name}={value}.")
    if most is not None and value > most:
        raise ValueError(f"{owner}: `{name}` must be at most {most}. Received: {name}={value}.")
    return int(value)


def optional_int(owner: str, name: str, value: Any, **limits: Any) -> int | None:
    """As `positive_int`; `None` stays."""
    return None if value is None else positive_int(owner, name, value, **limits)


def positive_float(owner: str, name: str, value: Any, zero_allowed: bool = False) -> float:
    """Returns `value` as a finite float above zero (or not below it)."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{owner}: `{name}` must be a number. Received: {name}={value!r}.")
    value = float(value)
    if not np.isfinite(value) or value < 0 or (value == 0 and not zero_allowed):
        rule = "finite and not negative" if zero_allowed else "finite and positive"
        raise ValueError(f"{owner}: `{name}` must be {rule}. Received: {name}={value}.")
    return value


def finite_float(owner: str, name: str, value: Any) -> float:
    """Returns `value` as a finite float."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not np.isfinite(value):
        raise ValueError(f"{owner}: `{name}` must be a finite number. Received: {name}={value!r}.")
    return float(value)


def period(owner: str, value: Any, name: str = "period") -> float:
    """Returns the period of angles as a float whose square float32 can hold."""
    value = positive_float(owner, name, value)
    if not 1e-18 <= value <= 1e18:
        raise ValueError(f"{owner}: `{name}` must lie between 1e-18 and 1e18. Received: {name}={value}.")
    return value


def periods(owner: str, value: Any, name: str = "", shape: Sequence[int | None] = (None,)) -> float | tuple[float, ...]:
    """Returns a period as a float, or a sequence of one for each column of `name`, of that shape, as a tuple."""
    if isinstance(value, np.ndarray) and value.ndim == 1:
        value = value.tolist()
    if not isinstance(value, (list, tuple)):
        return period(owner, value)
    if not value or len(shape) == 0 or shape[-1] not in (None, len(value)):
        received = f"period={value!r}" + (f", {name}.shape={tuple(shape)}" if name else "")
        raise ValueError(f"{owner}: `period` must be one number, or one for each column. Received: {received}.")
    return tuple(period(owner, each, f"period[{index}]") for index, each in enumerate(value))


def positive_ints(owner: str, name: str, values: Any) -> tuple[int, ...]:
    """Returns a sequence of positive integers, such as a shape, as a tuple."""
    if isinstance(values, np.ndarray) and values.ndim == 1:
        values = values.tolist()
    if not isinstance(values, (list, tuple)):
        raise TypeError(f"{owner}: `{name}` must be a sequence of integers. Received: {name}={values!r}.")
    return tuple(positive_int(owner, f"{name}[{index}]", value) for index, value in enumerate(values))


def option(owner: str, name: str, value: Any, allowed: Any, meant: Mapping[str, str] | None = None) -> Any:
    """Returns `value` when it is one of `allowed`; the error names the nearest one, or what other words stand for."""
    allowed = list(allowed)
    if any(isinstance(value, type(item)) and value == item for item in allowed):
        return value
    close = difflib.get_close_matches(str(value), [str(item) for item in allowed], n=1, cutoff=0.4)
    close = [meant[value]] if meant and isinstance(value, str) and value in meant else close
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise ValueError(f"{owner}: `{name}` must be one of {allowed}. Received: {name}={value!r}.{hint}")


def finite_array(owner: str, name: str, array: Any, missing: bool = False, fix: str = "") -> bool:
    """Raises if a NumPy array holds infinity, or NaN where none may be `missing`, naming where the first one stands.

    `fix` says what else to do with NaN. Returns whether none is missing.
    """
    array = np.atleast_1d(array)
    complete = True
    if array.dtype.kind != "f" and "float" not in str(array.dtype):
        return complete
    rows = max(1, (1 << 22) // max(1, array[:1].size))  # 4 million numbers at a time: memory-mapped files stay on disk
    for start in range(0, len(array) if array.ndim else 0, rows):
        chunk = array[start : start + rows]
        with np.errstate(all="ignore"):
            if np.isfinite(np.sum(chunk)):  # a finite sum has finite terms, and is four times as fast
                continue
        chunk = np.asarray(chunk, dtype="float64")
        bad = np.argwhere(np.isinf(chunk) if missing else ~np.isfinite(chunk))
        complete = complete and not np.isnan(chunk).any()
        if len(bad):
            first = (int(bad[0][0]) + start, *(int(i) for i in bad[0][1:]))
            value = float(array[first])
            raise ValueError(
                f"{owner}: `{name}` must hold finite numbers only. Received: {value} at position "
                f"{first}, {len(bad)} such value(s). Remove or replace them before training."
                f"{f' {fix}' if fix and np.isnan(value) else ''}"
            )
    return complete


def is_array(value: Any) -> bool:
    """Whether data are an array, a tensor or a frame, which have a shape as a whole, and not a stream of batches."""
    return hasattr(value, "shape")


def host_array(value: Any) -> np.ndarray:
    """A NumPy view (memory-mapped files included) or copy of an array or tensor of the backend."""
    return value if isinstance(value, np.ndarray) else np.asarray(ops.convert_to_numpy(value))


def label_numbers(owner: str, name: str, values: Any, num: int, columns: int, each: str = "sample") -> np.ndarray:
    """Labels as a float64 array `(num, columns)`, NaN where missing. `each` says what has a row."""
    array = numpy_array(owner, name, values, numbers=False)
    if array.dtype.kind not in "iuf" or array.shape not in [(num, columns), *([(num,)] if columns == 1 else [])]:
        layout = f"({num},)" if columns == 1 else f"({num}, {columns})"
        raise ValueError(
            f"{owner}: {name} must be numbers of shape {layout}, one for each {each}"
            f"{'' if columns == 1 else ' and column'}, NaN where missing. "
            f"Received: shape={array.shape}, dtype={array.dtype}."
        )
    array = array.astype("float64").reshape(num, columns)
    infinite = np.flatnonzero(np.isinf(array).any(axis=1))
    if len(infinite):
        raise ValueError(
            f"{owner}: {name} must be finite, or NaN where missing. Received: infinity in row {int(infinite[0])}. "
            f"Replace it with NaN."
        )
    return array


def label_column(owner: str, labels: Any, num: int, meaning: str) -> np.ndarray:
    """Labels `(num,)` or `(num, 1)` as a NumPy array `(num,)`. `meaning` says what each belongs to."""
    masked = isinstance(labels, np.ma.MaskedArray)  # where a mask is clear: these are missing
    array = labels if masked else numpy_array(owner, "labels", labels, numbers=False)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.shape != (num,):
        raise ValueError(
            f"{owner}: `labels` must have shape ({num},), {meaning}. Received: labels.shape={array.shape}."
        )
    return array


def shapes_agree(a: Sequence[int | None], b: Sequence[int | None]) -> bool:
    """Whether two shapes are equal where the sizes of both are known."""
    return len(a) == len(b) and all(m == n or m is None or n is None for m, n in zip(a, b, strict=True))


def generator(owner: str, seed: Any) -> np.random.Generator:
    """A NumPy generator: a given one, or a new one of an integer or of the next number of a `SeedGenerator`.

    `None` takes the next number of Keras' own, which `keras.utils.set_random_seed` sets.
    """
    if isinstance(seed, np.random.Generator):
        return seed
    if seed is None or isinstance(seed, keras.random.SeedGenerator):
        seed = int(ops.convert_to_numpy(keras.random.randint((), 0, 2**31 - 1, seed=seed)))
    return np.random.default_rng(positive_int(owner, "seed", seed, least=0, most=None))


def generators(owner: str, seed: Any, count: int) -> list[np.random.Generator]:
    """Independent NumPy generators, one per purpose: more draws for one purpose do not change the others."""
    return generator(owner, seed).spawn(count)


def users_level() -> int:
    """The `stacklevel` of the line outside the library that called it."""
    frame, level = sys._getframe(1), 1
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("torusae"):
        frame, level = frame.f_back, level + 1
    return level
