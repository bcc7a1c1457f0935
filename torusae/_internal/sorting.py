"""Sorting along the batch: stable, and fast on every backend."""

from collections.abc import Callable

import keras
from keras import ops

from torusae._internal.checks import Tensor
from torusae._internal.tensors import columns, is_on_cpu

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
    fixed = ops.stop_gradient(values)
    order = _radix_argsort(fixed) if _sorts_floats_slowly(fixed) else ops.argsort(fixed, axis=-1)
    return ops.take_along_axis(values, order, axis=-1)


def at_sorted_columns(function: Callable[[Tensor], Tensor], values: Tensor) -> Tensor:
    """`function` of the result of `sort_columns`, each number at the place of the value that it belongs to."""
    values = columns(values)
    if keras.backend.backend() == "torch":
        order = values.argsort(dim=-1, stable=True)
        return torch.empty_like(values).scatter_(-1, order, function(values.gather(-1, order))).T
    order = _radix_argsort(values) if _sorts_floats_slowly(values) else ops.argsort(values, axis=-1)
    results = function(ops.take_along_axis(values, order, axis=-1))
    return ops.transpose(ops.take_along_axis(results, ops.argsort(order, axis=-1), axis=-1))


# Index bits -> radix passes: the more bits the index needs, the fewer key bits are left for each pass.
_PASSES = {15: 2, 20: 3}


def _sorts_floats_slowly(values: Tensor) -> bool:
    """Whether to sort integers instead: JAX on the CPU, where XLA compares floats by a slow total order.

    Only a sort of one array of integers has a fast path there. https://github.com/openxla/xla/issues/35587
    """
    return (
        keras.backend.backend() == "jax"
        and isinstance(values.shape[-1], int)  # Keras builds some models with a batch of symbolic size
        and values.shape[-1] <= 1 << max(_PASSES)
        and str(values.dtype) == "float32"
        and is_on_cpu(values)
    )


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
