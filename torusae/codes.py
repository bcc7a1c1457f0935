"""Angles as integers: 2^bits even places on a circle, arithmetic whose overflow is the wrap, and files of them.

Codes are arrays of unsigned integers below `2^bits`, `uint8` up to 8 bits and `uint16` above. Code `c` is the angle
`2π c / 2^bits`. So sums and differences of codes are those of the angles modulo a turn, and at 8 and 16 bits they are
NumPy's own. Codes hold no radii: `torusae.spaces.QuantizedTorus` is a latent space without them.

All functions take and return NumPy arrays. Input of the wrong type is a TypeError. `bits` outside 1 to 16, codes of
`2^bits` or more and shapes that do not fit are a ValueError. `compress`, `decompress`, `write` and `read` need the
extra `codes`.
"""

import math
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from torusae._internal import checks, files

MAX_BITS = 16
_MAGIC, _VERSION = b"TRSC", 1
_HEADER = struct.Struct("<4sBBIQQ")  # magic, version, bits, circles, rows, length of the whole
_CHECKSUM = struct.Struct("<I")  # CRC-32 of all before it
_ADVICE = "Copy or download it again."
# 256 times 2^(i / 8). Integers, so that every machine decodes with the same probabilities.
_EIGHTHS = np.array([256, 279, 304, 332, 362, 395, 431, 470])
_MOST_LEVEL = 255
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
    angles = checks.host_array(checks.as_array("quantize_angles", "angles", angles))
    if angles.dtype.kind != "f" and "float" not in str(angles.dtype):
        raise TypeError(
            f"quantize_angles: `angles` must be floating-point numbers, radians. Received: dtype={angles.dtype}."
        )
    checks.finite_array("quantize_angles", "angles", angles)
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
    rows = max(1, _BLOCK // len(codes))
    found = np.empty((len(queries), k), "int64")
    squares = np.empty((len(queries), k), "int64")
    for start in range(0, len(queries), rows):
        block = _squared_distance(queries[start : start + rows, None], codes, bits)
        # Sorted row numbers, then a stable sort by distance.
        near = np.sort(np.argpartition(block, k - 1, axis=1)[:, :k], axis=1)
        own = np.take_along_axis(block, near, axis=1)
        order = np.argsort(own, axis=1, kind="stable")
        found[start : start + rows] = np.take_along_axis(near, order, axis=1)
        squares[start : start + rows] = np.take_along_axis(own, order, axis=1)
    return found, _radians(squares, bits)


def compress(codes: Any, bits: int = 8) -> bytes:
    """Codes as bytes, entropy-coded: a header, a histogram of each circle, the output of a range coder, a checksum.

    Each circle is coded by itself, by the frequencies of `2^j` equal arcs and evenly within an arc. `j` is the number
    from 0 to `bits` that gives the fewest bytes, the frequencies included: 0 for uniform codes, which have none and
    take `bits / 8` bytes each. Header, checksum and rounding are about 50 bytes.

    Args:
        codes: Array of codes `(num, dim)`.
        bits: Integer, 1 to 16. Defaults to `8`.

    Raises:
        ImportError: If constriction is not installed.

    Example:

    >>> import numpy as np
    >>> from torusae.codes import compress, decompress
    >>> codes = np.random.default_rng(0).binomial(15, 0.5, size=(1000, 2)).astype("uint8")
    >>> content = compress(codes, bits=4)
    >>> len(content) < 1000
    True
    >>> np.array_equal(decompress(content)[0], codes)
    True

    Reference:
        Bamler (2022), Understanding entropy coding with asymmetric numeral systems, arXiv:2201.01741 (constriction).
    """
    codes = _checked("compress", "codes", codes, bits, 2)
    stream = _constriction("compress").stream
    encoder, histograms = stream.queue.RangeEncoder(), bytearray()
    for column in np.ascontiguousarray(codes.T, "int32"):
        levels = _levels(np.bincount(column, minlength=1 << bits))
        arc_bits = _log2(levels)
        rest_bits = bits - arc_bits
        histograms.append(arc_bits)
        if arc_bits:
            histograms += bytes(levels.tolist())
            encoder.encode(column >> rest_bits, stream.model.Categorical(_frequencies(levels), perfect=False))
        if rest_bits:
            encoder.encode(column & ((1 << rest_bits) - 1), stream.model.Uniform(1 << rest_bits))
    body = zlib.compress(histograms, 9) + encoder.get_compressed().astype("<u4").tobytes()
    length = _HEADER.size + len(body) + _CHECKSUM.size
    content = _HEADER.pack(_MAGIC, _VERSION, bits, codes.shape[1], len(codes), length) + body
    return content + _CHECKSUM.pack(zlib.crc32(content))


def decompress(content: bytes) -> tuple[np.ndarray, int]:
    """The pair of codes `(num, dim)` and their bits from what `compress` returned.

    Raises:
        ImportError: If constriction is not installed.
        ValueError: If the bytes are cut off, altered, or something else.

    Example:

    >>> import numpy as np
    >>> from torusae.codes import compress, decompress
    >>> codes, bits = decompress(compress(np.array([[1], [255]], "uint8")))
    >>> codes.tolist(), bits
    ([[1], [255]], 8)
    """
    if not isinstance(content, (bytes, bytearray, memoryview)):
        raise TypeError(
            f"decompress: `content` must be bytes. Received: {type(content).__name__}. read(path) reads files."
        )
    return _decompressed("decompress", bytes(content), "`content`")


def write(path: Any, codes: Any, bits: int = 8, overwrite: bool = False) -> Path:
    """Writes what `compress` returns to a file, which appears whole or not at all.

    Args:
        path: Path. Its folder must exist.
        codes: Array of codes `(num, dim)`.
        bits: Integer, 1 to 16. Defaults to `8`.
        overwrite: Boolean, whether a file at `path` is replaced. Defaults to `False`.

    Returns:
        `Path` of the file.

    Raises:
        FileExistsError: If there is a file at `path` and `overwrite` is `False`.
        FileNotFoundError: If there is no folder for the file.
        ImportError: If constriction is not installed.

    Example:

    >>> import numpy as np
    >>> from torusae.codes import read, write
    >>> path = write("angles.codes", np.array([[1, 2], [3, 4]], "uint8"))
    >>> read(path)[0].tolist()
    [[1, 2], [3, 4]]
    """
    target = files.target("write", path, (), "", overwrite)
    files.write(target, compress(codes, bits))
    return target


def read(path: Any) -> tuple[np.ndarray, int]:
    """The pair of codes `(num, dim)` and their bits from a file of `write`.

    Raises:
        FileNotFoundError: If there is no file at `path`.
        ImportError: If constriction is not installed.
        ValueError: If the file is cut off, altered, or something else.

    Example:

    >>> import numpy as np
    >>> from torusae.codes import read, write
    >>> read(write("hours.codes", np.array([[6], [18]], "uint8"), bits=5))[1]
    5
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"read: `path` must be a path. Received: path={path!r}. decompress(content) takes bytes.")
    file = Path(path).expanduser()
    if not file.is_file():
        raise FileNotFoundError(
            f"read: `path` must be a file of codes. Found {'a folder' if file.is_dir() else 'nothing'} at {file}."
        )
    return _decompressed("read", file.read_bytes(), str(file))


def _decompressed(owner: str, content: bytes, where: str) -> tuple[np.ndarray, int]:
    if not content.startswith(_MAGIC[: len(content)]) or not content:
        raise ValueError(f"{owner}: {where} holds no codes of torusae. Received: {content[:8]!r} at its beginning.")
    least = _HEADER.size + _CHECKSUM.size
    if len(content) < least:
        raise ValueError(f"{owner}: {where} is cut off. Received: {len(content)} of {least} or more bytes. {_ADVICE}")
    _, version, bits, dim, num, length = _HEADER.unpack_from(content)
    # The checksum first: if the header is altered, what it says of the length and the version means nothing.
    if zlib.crc32(content[: -_CHECKSUM.size]) != _CHECKSUM.unpack(content[-_CHECKSUM.size :])[0]:
        state = f"cut off. Received: {len(content)} of {length} bytes" if len(content) < length else "altered"
        raise ValueError(f"{owner}: {where} is {state}. {_ADVICE}")
    if version != _VERSION:
        raise ValueError(
            f"{owner}: {where} must be of version {_VERSION}. Received: version {version}. Read it with the "
            f"torusae that wrote it."
        )
    inflater, histograms = zlib.decompressobj(), []
    try:
        rest = memoryview(inflater.decompress(content[_HEADER.size : -_CHECKSUM.size]))
        for _ in range(dim):
            count = 1 << rest[0] if rest[0] else 0
            if rest[0] > bits or len(rest) <= count:
                raise IndexError
            histograms.append(np.frombuffer(rest[1 : 1 + count], "uint8"))
            rest = rest[1 + count :]
        words = np.frombuffer(inflater.unused_data, "<u4").astype("uint32")
    except (IndexError, ValueError, zlib.error) as error:
        raise ValueError(f"{owner}: {where} is no output of `compress`. {_ADVICE}") from error
    stream = _constriction(owner).stream
    decoder = stream.queue.RangeDecoder(words)
    codes = np.zeros((num, dim), _dtype(bits))
    for column, levels in zip(codes.T, histograms, strict=True):
        rest_bits = bits - _log2(levels)
        if len(levels):
            arcs = decoder.decode(stream.model.Categorical(_frequencies(levels), perfect=False), num)
            column += (arcs << rest_bits).astype(codes.dtype)
        if rest_bits:
            column += decoder.decode(stream.model.Uniform(1 << rest_bits), num).astype(codes.dtype)
    return codes, bits


def _levels(counts: np.ndarray) -> np.ndarray:
    """Levels of the frequencies of equal arcs, a power of two of them: the number that gives the fewest bits.

    A level is one byte: `1 + 8 log2(count)`, rounded, and 0 for none. The rounding costs less than 0.001 bits a code.
    One arc has no level.
    """
    bits = _log2(counts)
    best, fewest = np.empty(0, "uint8"), float(counts.sum()) * bits
    for arc_bits in range(1, bits + 1):
        own = counts.reshape(1 << arc_bits, -1).sum(axis=1)
        seen = own > 0
        levels = np.zeros(len(own), "uint8")
        levels[seen] = np.minimum(1 + np.rint(8 * np.log2(own[seen])), _MOST_LEVEL)
        if not seen.any():
            break
        size = 8 * min(len(own), len(zlib.compress(levels.tobytes(), 9))) + float(
            own[seen] @ (bits - arc_bits - np.log2(_frequencies(levels)[seen]))
        )
        if size < fewest:
            best, fewest = levels, size
    return best


def _frequencies(levels: np.ndarray) -> np.ndarray:
    steps = np.maximum(levels.astype("int64") - 1, 0)
    weights = np.where(levels > 0, _EIGHTHS[steps % 8] << (steps // 8), 0)
    return weights / weights.sum()


def _log2(values: np.ndarray) -> int:
    """The number of bits that tell `len(values)` apart, a power of two or nothing."""
    return max(len(values), 1).bit_length() - 1


def _constriction(owner: str) -> Any:
    try:
        import constriction
    except ImportError as error:
        raise ImportError(f'{owner}: needs constriction. Install it with: pip install "torusae[codes]"') from error
    return constriction


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
    array = checks.host_array(checks.as_array(owner, name, codes))
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
    try:
        np.broadcast_shapes(a.shape, b.shape)
    except ValueError as error:
        raise ValueError(
            f"{owner}: `a` and `b` must have shapes that broadcast. Received: a.shape={a.shape}, b.shape={b.shape}."
        ) from error
    return a, b
