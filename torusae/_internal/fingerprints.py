"""Which rows of data were seen before, by a number for each."""

from typing import Any

import numpy as np

from torusae._internal import checks

_MOST_ROWS = 1 << 20


def of_rows(x: Any) -> np.ndarray | None:
    """A number for each row, `(num,)`, equal for equal rows in one process; `None` of a stream or of too many rows."""
    if not checks.is_array(x) or len(x) > _MOST_ROWS:
        return None
    return numbers(checks.host_array(x))


def numbers(x: np.ndarray) -> np.ndarray:
    """As `of_rows`, of a NumPy array of any length."""
    return np.array([hash(np.asarray(row, "float32").tobytes()) for row in x], "int64")


def added(seen: np.ndarray | None, x: Any) -> np.ndarray | None:
    """The numbers of rows seen so far and of these; `None` if not all are known."""
    new = of_rows(x)
    return None if seen is None or new is None else np.union1d(seen, new)
