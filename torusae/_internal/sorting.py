"""Sorting along the batch: stable, and fast on every backend."""

import keras
from keras import ops

from torusae._internal.checks import Tensor
from torusae._internal.tensors import columns, has_only_cpus

if keras.backend.backend() == "torch":
    import torch


def sort_columns(values: Tensor) -> Tensor:
    """Sorts `(batch, dim)` along the batch and returns `(dim, batch)`.

    The order is stable: equal values get the same gradients on every backend. `ops.sort` is not stable on torch.
    """
    values = columns(values)
    if keras.backend.backend() == "torch" and isinstance(values, torch.Tensor):
        # Between argsort and take_along_axis Keras casts the indices twice and looks for negative ones, which takes
        # half as long as the sort.
        return values.gather(-1, values.detach().argsort(dim=-1, stable=True))
    return ops.take_along_axis(values, _argsort(ops.stop_gradient(values)), axis=-1)


def at_ranks(numbers: Tensor, values: Tensor) -> Tensor:
    """Ascending numbers `(batch,)`, in each column of `(batch, dim)` at the place of the value of their rank."""
    values = columns(values)
    if keras.backend.backend() == "torch":
        order = values.argsort(dim=-1, stable=True)
        return torch.empty_like(values).scatter_(-1, order, numbers.expand_as(values)).T
    return ops.transpose(ops.take(numbers, ops.argsort(_argsort(values), axis=-1), axis=0))


# Index bits -> radix passes: the more bits the index needs, the fewer key bits are left for each pass.
_PASSES = {15: 2, 20: 3}


def _argsort(values: Tensor) -> Tensor:
    """Stable `argsort` along the last axis.

    On the CPU JAX sorts integers: XLA compares floats by a slow total order, and only a sort of one array of integers
    has a fast path there. https://github.com/openxla/xla/issues/35587
    """
    as_integers = (
        keras.backend.backend() == "jax"
        and isinstance(values.shape[-1], int)  # Keras builds some models with a batch of symbolic size
        and values.shape[-1] <= 1 << max(_PASSES)
        and str(values.dtype) == "float32"
        and has_only_cpus()
    )
    return _radix_argsort(values) if as_integers else ops.argsort(values, axis=-1)


def _radix_argsort(values: Tensor) -> Tensor:
    """Stable `argsort` of float32 along the last axis, of at most 2**20 values: a radix sort.

    Each pass sorts integers that hold some bits of the key above the bits of the index, low key bits first.
    """
    index_bits = min(_PASSES) if values.shape[-1] <= 1 << min(_PASSES) else max(_PASSES)
    num_passes = _PASSES[index_bits]
    pass_bits = -(-32 // num_passes)
    # The bits of positive floats, read as integers, are in ascending order; those of negative ones in descending order.
    bits = ops.view(ops.where(values == 0, ops.zeros_like(values), values), dtype="int32")  # -0 equals 0
    keys = ops.where(bits < 0, ops.bitwise_xor(bits, 0x7FFFFFFF), bits)
    index = ops.arange(values.shape[-1], dtype="int32")
    order = None
    for number in range(num_passes):
        digit = ops.right_shift(keys, number * pass_bits)
        if number < num_passes - 1:  # the last digit keeps the sign
            digit = ops.bitwise_and(digit, (1 << pass_bits) - 1)
        if order is not None:
            digit = ops.take_along_axis(digit, order, axis=-1)
        step = ops.bitwise_and(ops.sort(digit * (1 << index_bits) + index, axis=-1), (1 << index_bits) - 1)
        order = step if order is None else ops.take_along_axis(order, step, axis=-1)
    return order
