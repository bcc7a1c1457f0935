"""Tensors on one backend: each special case with its reason. All else in the library is `keras` and `keras.ops`."""

from functools import lru_cache
from typing import Any

import keras
import numpy as np
from keras import ops

from torusae._internal.checks import Tensor

# `torch` on torch, else `keras.ops`: for functions that mean the same in both, of tensors that are not symbolic. Keras
# adds 1 to 11 microseconds to a call on torch, as much as the operation itself takes on a batch of angles. It also
# computes `arctan2`, `floor` and `round` of float64 in float32 there.
native_ops: Any = ops
if keras.backend.backend() == "torch":
    import torch

    native_ops = torch


def direct_ops(values: Tensor) -> Any:
    """`native_ops`; of a symbolic tensor `keras.ops`."""
    return ops if isinstance(values, keras.KerasTensor) else native_ops


def batch_size(values: Tensor) -> int | Tensor:
    """The number of rows: a Python int where it is known while tracing, else a scalar tensor of the values' dtype."""
    if isinstance(values.shape[0], int):
        return values.shape[0]
    # A sum of ones works with TensorFlow's unknown batch and with torch.compile, which can't cast a symbolic int.
    return ops.sum(ops.ones_like(values[:, 0]))


def as_float32(value: Tensor) -> Tensor:
    """A tensor as float32. A cast that changes nothing would cost as much as an operation on torch."""
    return value if keras.backend.standardize_dtype(value.dtype) == "float32" else ops.cast(value, "float32")


def constant(array: np.ndarray, like: Tensor) -> Tensor:
    """A NumPy array as a tensor of the dtype and on the device of `like`; on torch on the CPU without a copy."""
    if keras.backend.backend() == "torch" and isinstance(like, torch.Tensor):
        return torch.as_tensor(array, dtype=like.dtype, device=like.device)
    return ops.convert_to_tensor(array, dtype=like.dtype)


def columns(values: Tensor) -> Tensor:
    """The transpose of `(batch, dim)`: each column in one piece of memory.

    torch keeps a transpose as a view; sorts and products of such a view are several times slower.
    """
    if keras.backend.backend() == "torch" and isinstance(values, torch.Tensor):
        return values.T.contiguous()
    return ops.transpose(values)


def is_on_cpu(values: Tensor) -> bool:
    """Whether a CPU computes these values. Works while tracing too, when a tensor has no device."""
    if keras.backend.backend() == "torch":  # where Keras lists no devices
        return values.device.type == "cpu"
    return has_only_cpus()


@lru_cache(maxsize=1)
def has_only_cpus() -> bool:
    """Whether Keras lists no other devices."""
    return all(device.startswith("cpu") for device in keras.distribution.list_devices())


def counting_dtype() -> str:
    """The widest float dtype: JAX has no float64 unless the user enables it."""
    return "float32" if keras.backend.backend() == "jax" else "float64"


def positions(values: Tensor) -> Tensor:
    """0, 1, 2, ... for each row, `(batch,)`; of a batch of unknown size in the dtype `counting_dtype()`."""
    if isinstance(values.shape[0], int):
        return constant(np.arange(values.shape[0]), values)
    ones = ops.ones_like(ops.cast(ops.stop_gradient(values[:, 0]), counting_dtype()))
    return ops.cast(ops.cumsum(ones), counting_dtype()) - 1.0  # Keras on torch makes float32 of every cumsum
