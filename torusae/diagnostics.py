"""What is wrong with a latent space, in words, and what to change."""

import dataclasses
from typing import Any

import numpy as np

from torusae import _checks
from torusae.spaces import Diagnosis, Problem, Torus

_LEAST_POINTS = 100
_SMALL_BATCH = 64


def diagnose(model: Any, x: Any = None, batch_size: int | None = None) -> Diagnosis:
    """Says what is wrong with a latent space, and what to change.

    On a torus: dead, uneven or gapped circles, tied circles, radii off their prior, and fewer filled dimensions than
    circles. On other spaces: statistics that are far from those of the prior.

    Args:
        model: A `TorusAutoencoder`, or points of a torus, `(num, 2 * dim)`.
        x: Samples that the model encodes, at least 100. Not with points. Defaults to `None`.
        batch_size: Integer, the batch size of the training, which is judged too. Defaults to `None`.

    Returns:
        `Diagnosis`.

    Raises:
        ValueError: If samples are missing or given beside points, there are fewer than 100 points, or the points are
            not finite.

    Notes:
        On a torus, independent uniform points pass all thresholds but once in about a thousand times. No threshold is
        below what is visible in samples: a Kuiper statistic of 0.06, a moment of 0.1.

    Example:

    >>> import torusae
    >>> points = torusae.Torus(2).sample(1000, seed=0)
    >>> print(torusae.diagnose(points))
    1000 points on Torus(2): nothing wrong found.
    >>> print(torusae.diagnose(points * 3).problems[0].name)
    drifted radii
    """
    space, points = _space_and_points(model, x)
    _checks.finite_array("diagnose", "points", points)
    if len(points) < _LEAST_POINTS:
        raise ValueError(
            f"diagnose: needs at least {_LEAST_POINTS} points. Received: {len(points)}. Give more samples."
        )
    diagnosis = space.diagnose(points)
    if batch_size is None or batch_size >= _SMALL_BATCH:
        return diagnosis
    small = Problem(
        "small batch",
        (),
        batch_size,
        _SMALL_BATCH,
        f"The latent losses are statistics of a batch, and {batch_size} points say little about a space.",
        f"Train with batches of {_SMALL_BATCH} or more.",
    )
    return dataclasses.replace(diagnosis, problems=(*diagnosis.problems, small))


def _space_and_points(model: Any, x: Any) -> tuple[Any, np.ndarray]:
    if hasattr(model, "encode"):
        if x is None:
            raise ValueError("diagnose: `x` is missing. Give samples, diagnose(model, x).")
        return model.latent.space, np.asarray(model.encode(x, batch_size=512, verbose=0), dtype="float64")
    if x is not None:
        raise ValueError("diagnose: `x` is not used with points. Call diagnose(points).")
    points = _checks.host_array(_checks.code_tensor("diagnose", "points", model, rank=2))
    return Torus(points.shape[1] // 2), points.astype("float64")
