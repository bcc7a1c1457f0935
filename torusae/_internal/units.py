"""One policy for units: what should be radians and looks like degrees or hours is an error, which says what to do."""

from typing import Any

import numpy as np

from torusae._internal import checks

_MOST_RADIANS = 4 * np.pi  # labels beyond two turns are in another unit


def check_labels(owner: str, name: str, labels: np.ndarray, period: float | None, example: str) -> None:
    """Raises where labels without a period, NaN where missing, lie beyond two turns or spread over more.

    `example` is what the period is an argument of, such as `"Anchor("`.
    """
    known = labels[~np.isnan(labels)]
    if period is not None or not known.size or max(np.abs(known).max(), np.ptp(known)) <= _MOST_RADIANS:
        return
    found = float(known[np.abs(known).argmax()])
    unit = "degrees" if abs(found) > 24 else "degrees or hours"
    raise ValueError(
        f"{owner}: {name} must be radians, the default unit. Received: {found:g}, beyond two turns, which looks like "
        f"{unit}. Give {example}period=360) for degrees, {example}period=24) for hours, or "
        f"{example}period=2 * math.pi) if they are radians."
    )


def radians(owner: str, name: str, value: Any) -> np.ndarray:
    """Returns angles to turn by as a float64 array, any shape, after checking that they are numbers and no degrees.

    Many turns are no mistake here. But whole and half numbers of which one is beyond two turns, such as 90 or 22.5, are
    degrees by all appearances.
    """
    array = checks.host_array(checks.as_array(owner, name, value))
    if array.dtype.kind not in "iu" and "float" not in str(array.dtype):
        raise TypeError(f"{owner}: `{name}` must be numbers, radians. Received: {name}={value!r}.")
    array = array.astype("float64")
    checks.finite_array(owner, name, array)
    if array.size and np.abs(array).max() > _MOST_RADIANS and (2 * array == np.rint(2 * array)).all():
        largest = float(array.flat[np.abs(array).argmax()])
        raise ValueError(
            f"{owner}: `{name}` must be in radians. Received: {largest:g}, which looks like degrees. "
            f"Use numpy.deg2rad({largest:g})."
        )
    return array
