"""Pseudo-random numbers that are a function of a batch: a loss that draws them needs no state and no generator.

- Equal values and seeds give equal numbers, on every backend.
- Any other batch gives other numbers, also inside a compiled step.
- The order of the rows does not matter.
"""

import math
from functools import lru_cache

import numpy as np
from keras import ops

from torusae._internal.checks import Tensor
from torusae._internal.tensors import constant, direct_ops

_GOLDEN = 0x9E3779B9  # 2**32 over the golden ratio: its multiples spread evenly over the integers modulo 2**32
_SEED_STEP = 0x85EBCA6B


def uniform(values: Tensor, seed: int, shape: tuple[int, ...]) -> Tensor:
    """Uniform numbers in (0, 1), float32, computed from a batch `(batch, dim)` and a seed."""
    key = _key(values)
    return _uniform(constant(_counters(shape, seed), key) + key)


def normal(values: Tensor, seed: int, shape: tuple[int, ...]) -> Tensor:
    """Standard normal numbers, float32, computed from a batch `(batch, dim)` and a seed. Box & Muller (1958)."""
    pair = uniform(values, seed, (2, *shape))
    xp = direct_ops(pair)
    return xp.sqrt(-2.0 * xp.log(pair[0])) * xp.cos(2 * math.pi * pair[1])


def integers(values: Tensor, seed: int, count: int, below: int) -> Tensor:
    """`count` integers of `[0, below)`, int32, computed from a batch `(batch, dim)` and a seed."""
    return ops.cast(uniform(values, seed, (count,)) * below, "int32")


def _int32(number: int) -> int:
    """The signed 32-bit integer with the same bits."""
    return (number & 0xFFFFFFFF) - ((number & 0x80000000) << 1)


@lru_cache(maxsize=64)
def _counters(shape: tuple[int, ...], seed: int) -> np.ndarray:
    counts = np.arange(math.prod(shape), dtype="int64").reshape(shape) * _GOLDEN
    return (counts + seed * _SEED_STEP).astype("uint32").view("int32")


def _key(values: Tensor) -> Tensor:
    """A hash of a batch `(batch, dim)`, one int32: the sum of hashes of the rows."""
    bits = ops.view(ops.cast(ops.stop_gradient(values), "float32"), dtype="int32")
    rows = ops.sum(bits * constant(_counters((1, values.shape[1]), 1), bits), axis=1)
    return ops.sum(_mixed(rows))


def _mixed(bits: Tensor) -> Tensor:
    """A hash of int32, whose high bits depend on all bits; products wrap around. Wellons (2018), lowbias32."""
    bits = _folded(bits, 16) * _int32(0x21F0AAAD)
    return _folded(bits, 15) * _int32(0xD35A2D97)


def _folded(bits: Tensor, count: int) -> Tensor:
    """`bits ^ (bits >> count)` with a logical shift; that of int32 copies the sign."""
    xp = direct_ops(bits)
    return xp.bitwise_xor(bits, xp.bitwise_and(xp.bitwise_right_shift(bits, count), (1 << (32 - count)) - 1))


def _uniform(counters: Tensor) -> Tensor:
    # 23 bits and a half fit into float32: the number is never 0 or 1.
    xp, bits = direct_ops(counters), _mixed(counters)
    return ops.cast(xp.bitwise_right_shift(bits, 9), "float32") * 2.0**-23 + (0.5 + 2.0**-24)
