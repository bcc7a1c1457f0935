"""Arrays of points as the metrics, `diagnose` and the plots read them: finite, float64, on the host."""

import math

import numpy as np
from keras import ops

from torusae._internal import checks
from torusae._internal.checks import Tensor


def float_array(owner: str, name: str, value: Tensor, rank: int | None = None, layout: str = "") -> np.ndarray:
    """Floating-point numbers as a finite float64 NumPy array."""
    tensor = checks.float_tensor(owner, name, value, rank, layout)
    # A NumPy array skips the tensor: JAX would round it to float32.
    array = np.asarray(value if isinstance(value, np.ndarray) else ops.convert_to_numpy(tensor), "float64")
    checks.finite_array(owner, name, array)
    return array


def float_rows(owner: str, name: str, values: Tensor, least: int = 1) -> np.ndarray:
    """As `float_array`, of shape `(num, dim)`, with at least so many rows."""
    rows = float_array(owner, name, values, 2, "(num, dim)")
    if len(rows) < least:
        raise ValueError(f"{owner}: `{name}` must hold at least {least} rows. Received: {name}.shape={rows.shape}.")
    return rows


def angle_rows(owner: str, angles: Tensor, least: int = 1) -> np.ndarray:
    """As `float_rows`, in `[-π, π)`."""
    return wrapped(float_rows(owner, "angles", angles, least))


def wrapped(angles: np.ndarray) -> np.ndarray:
    """Angles in `[-π, π)`: `wrap_angles` for float64 on the host."""
    angles = (angles + math.pi) % (2 * math.pi) - math.pi
    return np.where(angles >= math.pi, -math.pi, angles)  # the remainder can round up to 2π


def some_rows(owner: str, values: np.ndarray, most: int, seed: int | None) -> np.ndarray:
    """Returns `values`, or a random choice of `most` rows where there are more."""
    seed = checks.optional_int(owner, "seed", seed, least=0, most=None)
    if len(values) <= most:
        return values
    return values[np.random.default_rng(seed).choice(len(values), most, replace=False)]
