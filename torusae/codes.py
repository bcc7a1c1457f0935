"""Quantized angles: 2^bits even places on a circle as integers, and arithmetic whose overflow is the wrap.

Codes are arrays of unsigned integers below `2^bits`, `uint8` up to 8 bits and `uint16` above. Code `c` is the angle
`2π c / 2^bits`. So sums and differences of codes are those of the angles modulo a turn, and at 8 and 16 bits they are
NumPy's own. Codes hold no radii: `torusae.spaces.QuantizedTorus` is a latent space without them.

All functions take and return NumPy arrays. Input of the wrong type is a TypeError. `bits` outside 1 to 16, codes of
`2^bits` or more and shapes that do not fit are a ValueError. `numpy.save` stores codes, `numpy.packbits` packs those of
less than 8 bits: see `docs/after_training.md`.
"""

import math
from typing import Any

import numpy as np

from torusae._internal import checks, units
from torusae._internal.arrays import blocks

MAX_BITS = 16
_BLOCK = 1 << 20  # distances that are computed at once


def _num_places(owner: str, bits: Any) -> int:
    return 1 << checks.positive_int(owner, "bits", bits, most=MAX_BITS)


def quantize_angles(angles: Any, bits: int = 8) -> np.ndarray:
    """The code of the place nearest to each angle; half-way between two places the even one.

    Args:
        angles: Float array of any shape, radians; any real value is read modulo 2π.
        bits: Integer, 1 to 16. Defaults to `8`.

    Returns:
        `uint8` or `uint16` array of the shape of `angles`.

    Example:

    >>> import numpy as np
    >>> from torusae.codes import quantize_angles
    >>> quantize_angles(np.array([0.0, np.pi / 2, -np.pi, -0.02])).tolist()
    [0, 64, 128, 255]
    """
    places = _num_places("quantize_angles", bits)
    angles = checks.numpy_array("quantize_angles", "angles", angles)
    if angles.dtype.kind != "f" and "float" not in str(angles.dtype):
        raise TypeError(
            f"quantize_angles: `angles` must be floating-point numbers, radians. Received: dtype={angles.dtype}."
        )
    checks.finite_array("quantize_angles", "angles", angles)
    units.check_radians("quantize_angles", "angles", angles)
    turns = np.remainder(angles.astype("float64") / (2 * math.pi), 1.0)
    return (np.rint(turns * places).astype("int64") % places).astype(_dtype(bits))


def dequantize(codes: Any, bits: int = 8) -> np.ndarray:
    """The angles of codes, `2π c / 2^bits` in `[-π, π)`, radians, float32.

    Args:
        codes: Array of codes, of any shape.
        bits: Integer, 1 to 16. Defaults to `8`.

    Example:

    >>> import numpy as np
    >>> from torusae.codes import dequantize
    >>> (dequantize(np.array([0, 64, 192], "uint8")) / np.pi).tolist()
    [0.0, 0.5, -0.5]
    """
    codes = _checked("dequantize", "codes", codes, bits)
    return np.float32(2 * math.pi / (1 << bits)) * _signed(codes, bits).astype("float32")


def code_difference(a: Any, b: Any, bits: int = 8) -> np.ndarray:
    """The shortest signed way from `b` to `a` in places, `[-2^bits / 2, 2^bits / 2)`; at the antipode the least.

    Args:
        a: Array of codes.
        b: Array of codes that broadcasts with `a`.
        bits: Integer, 1 to 16. Defaults to `8`.

    Returns:
        `int8` or `int16` array.

    Example:

    >>> import numpy as np
    >>> from torusae.codes import code_difference
    >>> code_difference(np.array([3], "uint8"), np.array([254], "uint8")).tolist()
    [5]
    """
    a, b = _pair("code_difference", bits, a=a, b=b)
    return _difference(a, b, bits)


def code_distance(a: Any, b: Any, bits: int = 8) -> np.ndarray:
    """The geodesic distance of codes, the root of the sum of squared arcs over the last axis; radians, float64.

    Args:
        a: Array of codes `(..., dim)`.
        b: Array of codes that broadcasts with `a`.
        bits: Integer, 1 to 16. Defaults to `8`.

    Example:

    >>> import numpy as np
    >>> from torusae.codes import code_distance
    >>> code_distance(np.array([[3, 0]], "uint8"), np.array([[254, 0]], "uint8")).round(4).tolist()
    [0.1227]
    """
    a, b = _pair("code_distance", bits, a=a, b=b)
    for name, each in (("a", a), ("b", b)):
        if not each.ndim:
            raise ValueError(f"code_distance: `{name}` must have shape (..., dim). Received: a single number.")
    return _radians(_squared_distance(a, b, bits), bits)


def nearest_codes(queries: Any, codes: Any, k: int = 1, bits: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """The nearest codes of each query on the torus, the nearest first, by comparison with all.

    Args:
        queries: Array of codes `(num_queries, dim)`.
        codes: Array of codes `(num, dim)`.
        k: Integer, at most `num`. Defaults to `1`.
        bits: Integer, 1 to 16. Defaults to `8`.

    Returns:
        The pair of row numbers in `codes`, int64, and their distances, radians, float64, each `(num_queries, k)`. Of
        equal distances the lower row number comes first; which rows are left out at the k-th distance is open.

    Example:

    >>> import numpy as np
    >>> from torusae.codes import nearest_codes
    >>> rows, distances = nearest_codes(np.array([[250]], "uint8"), np.array([[100], [2], [240]], "uint8"), k=2)
    >>> rows.tolist()
    [[1, 2]]
    """
    owner = "nearest_codes"
    queries, codes = _checked(owner, "queries", queries, bits, 2), _checked(owner, "codes", codes, bits, 2)
    checks.same_columns(owner, queries=queries, codes=codes)
    k = checks.positive_int(owner, "k", k, most=len(codes))
    found = np.empty((len(queries), k), "int64")
    squares = np.empty((len(queries), k), "int64")
    for rows in blocks(len(queries), _BLOCK // len(codes)):
        block = _squared_distance(queries[rows, None], codes, bits)
        # Sorted row numbers, then a stable sort by distance.
        near = np.sort(np.argpartition(block, k - 1, axis=1)[:, :k], axis=1)
        own = np.take_along_axis(block, near, axis=1)
        order = np.argsort(own, axis=1, kind="stable")
        found[rows] = np.take_along_axis(near, order, axis=1)
        squares[rows] = np.take_along_axis(own, order, axis=1)
    return found, _radians(squares, bits)


def _dtype(bits: int) -> str:
    return "uint8" if bits <= 8 else "uint16"


def _signed(codes: np.ndarray, bits: int) -> np.ndarray:
    """Codes modulo `2^bits` as the signed integers of as many bits: the shift up drops what overflows."""
    unsigned = np.dtype(_dtype(bits))
    signed = np.dtype(f"i{unsigned.itemsize}")
    free = 8 * unsigned.itemsize - bits
    # Counts of the codes' own type: NumPy 1 would widen a single number.
    return np.right_shift(np.left_shift(codes, unsigned.type(free)).view(signed), signed.type(free))


def _difference(a: np.ndarray, b: np.ndarray, bits: int) -> np.ndarray:
    with np.errstate(over="ignore"):  # NumPy warns of the overflow of single numbers
        return _signed(np.subtract(a, b), bits)


def _squared_distance(a: np.ndarray, b: np.ndarray, bits: int) -> np.ndarray:
    """The sum of squared differences over the last axis, in places; circle by circle, which needs less memory."""
    dim = a.shape[-1]
    total = np.zeros(
        np.broadcast_shapes(a.shape, b.shape)[:-1], "int32" if dim << (2 * bits - 2) < 1 << 31 else "int64"
    )
    for j in range(dim):
        difference = _difference(a[..., j], b[..., j], bits).astype(total.dtype)
        total += difference * difference
    return total


def _radians(squares: np.ndarray, bits: int) -> np.ndarray:
    return np.sqrt(squares.astype("float64")) * (2 * math.pi / (1 << bits))


def _checked(owner: str, name: str, codes: Any, bits: Any, rank: int | None = None) -> np.ndarray:
    """Codes as an array of their own dtype, after a check of their values and their rank."""
    places = _num_places(owner, bits)
    array = checks.numpy_array(owner, name, codes)
    if array.dtype.kind not in "iu":
        raise TypeError(
            f"{owner}: `{name}` must be integers. Received: dtype={array.dtype}. quantize_angles(angles, bits) makes "
            f"them of angles."
        )
    if array.size and not (0 <= int(array.min()) and int(array.max()) < places):
        raise ValueError(
            f"{owner}: `{name}` of {bits} bits must lie between 0 and {places - 1}. Received: values from "
            f"{array.min()} to {array.max()}. Give the `bits` that they were made with."
        )
    if rank is not None and array.ndim != rank:
        raise ValueError(f"{owner}: `{name}` must have shape (num, dim). Received: {name}.shape={array.shape}.")
    return array.astype(_dtype(bits), copy=False)


def _pair(owner: str, bits: Any, a: Any, b: Any) -> tuple[np.ndarray, np.ndarray]:
    a, b = _checked(owner, "a", a, bits), _checked(owner, "b", b, bits)
    checks.broadcasting(owner, a=a, b=b)
    return a, b
