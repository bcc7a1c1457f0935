"""What is wrong with a latent space, in words, and what to change."""

import dataclasses
import math
from typing import Any

import numpy as np

from torusae import _checks, metrics
from torusae.densities.base import polar
from torusae.metrics.circles import KUIPER_CHANCE
from torusae.spaces import Diagnosis, Problem, Statistic, Torus
from torusae.spaces._torus_problems import RARE_KUIPER, SMALL_KUIPER

_LEAST_POINTS = 100
_SMALL_BATCH = 64


def diagnose(model: Any, x: Any = None, batch_size: int | None = None) -> Diagnosis:
    """Says what is wrong with a latent space, and what to change.

    On a torus: dead, uneven or gapped circles, tied circles, radii off their prior, and fewer filled dimensions than
    circles. On other spaces: statistics that are far from those of the prior.

    Where the model has a fitted flow, the uniformity of the mapped angles is measured too: the statistic
    `"uniform_kuiper"` for single circles, and a note with the largest one along pairs of circles. The note also says if
    the weights changed after the flow was fitted.

    Args:
        model: A `TorusAutoencoder`, or points of a torus, `(num, 2 * dim)`.
        x: Samples that the model encodes, at least 100. Not with points. Defaults to `None`.
        batch_size: Integer, the batch size of the training, which is judged too. Defaults to `None`.

    Raises:
        ValueError: If samples are missing, too few, or given beside points, or the points are not finite.

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
    diagnosis = _with_map(space.diagnose(points), model)
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


def _with_map(diagnosis: Diagnosis, model: Any) -> Diagnosis:
    """The diagnosis with the uniformity of angles that a model's flow maps."""
    flow: Any = getattr(model, "density", None)
    if not hasattr(flow, "to_uniform"):
        return diagnosis
    angles = flow.to_uniform(polar(diagnosis.points)[1])
    chance = KUIPER_CHANCE / math.sqrt(len(angles))
    circles = metrics.kuiper_statistic(angles)
    pairs = metrics.direction_kuiper(angles)[1].max()
    note = ("The weights changed after the flow was fitted. " if model.density_is_stale else "") + (
        f"Through {type(flow).__name__} the largest Kuiper statistic is {circles.max():.3f} for circles and "
        f"{pairs:.3f} along pairs (uniform: {chance:.3f})."
    )
    problems = diagnosis.problems
    if circles.max() > max(RARE_KUIPER / math.sqrt(len(angles)), SMALL_KUIPER):
        circle = int(circles.argmax())
        problem = Problem(
            "stale map",
            (circle,),
            float(circles[circle]),
            chance,
            f"The fitted flow leaves circle {circle} uneven: its Kuiper statistic is {circles[circle]:.3f}.",
            'Fit it again with the present model, fit_density(x, "flow").',
        )
        problems = (*problems, problem)
    statistics = {**diagnosis.statistics, "uniform_kuiper": Statistic(circles, chance)}
    return dataclasses.replace(diagnosis, problems=problems, statistics=statistics, notes=(*diagnosis.notes, note))
