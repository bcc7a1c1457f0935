"""Arrays of points as the metrics, `diagnose` and the plots read them: finite, float64, on the host."""

import math

import numpy as np
from keras import ops

from torusae import _checks
from torusae._checks import Tensor


def finite_rows(owner: str, name: str, values: Tensor, least: int = 1) -> np.ndarray:
    """Returns `values` as a float64 array `(num, dim)` after checking that it is finite and has `least` rows."""
    values = ops.convert_to_numpy(_checks.float_tensor(owner, name, values, 2, "(num, dim)")).astype("float64")
    if len(values) < least:
        raise ValueError(f"{owner}: `{name}` must hold at least {least} rows. Received: {name}.shape={values.shape}.")
    _checks.finite_array(owner, name, values)
    return values


def angle_array(owner: str, angles: Tensor, least: int = 1) -> np.ndarray:
    """Returns `angles` as `finite_rows` does, wrapped into `[-π, π)`."""
    return (finite_rows(owner, "angles", angles, least) + math.pi) % (2 * math.pi) - math.pi


def some_rows(owner: str, values: np.ndarray, most: int, seed: int | None) -> np.ndarray:
    """Returns `values`, or a random choice of `most` rows where there are more."""
    if seed is not None:
        seed = _checks.positive_int(owner, "seed", seed, least=0, most=None)
    if len(values) <= most:
        return values
    return values[np.random.default_rng(seed).choice(len(values), most, replace=False)]
