"""How points depart from the prior of their space, in words."""

import dataclasses
import functools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from torusae import metrics
from torusae._internal.arrays import polar
from torusae.diagnostics.results import Diagnosis, Problem
from torusae.diagnostics.statistics import prior_statistics
from torusae.metrics.circles import KUIPER_CHANCE, MOMENT_CHANCE
from torusae.spaces import Gaussian, Product, Space, Torus

# What a statistic of independent uniform points exceeds once in ten thousand times, in units of 1 / sqrt(num).
RARE_KUIPER = 2.5
_RARE_MOMENT = 3.1  # exp(-3.1²) = 7e-5; widened by the number of moments
# Unevenness below these is invisible in samples, however many points prove it.
SMALL_KUIPER = 0.06
_SMALL_MOMENT = 0.1
_SMALL_GAP = 0.2  # radians
_DEAD_SPREAD = 0.3  # radians, the deviation of a circle that holds nothing
_DRIFTED_MEAN = 0.1
_DEVIATIONS = (0.5, 2.0)  # in units of the prior's standard deviation
_NEAR_ORIGIN = 0.2  # a radius below it leaves the angle nearly arbitrary
_MANY_NEAR_ORIGIN = 0.01
_MISSING_DIMENSIONS = 0.5
_RARE_DIMENSION = 4.0  # standard deviations of the estimate
_POINTS_OF_DIMENSION = 4000
_OF_ANGLES = ("dead circle", "gap", "uneven circle", "tied circles")
_OF_RADII = ("drifted radii", "collapsed radii", "wide radii", "points near the origin")


@functools.singledispatch
def diagnose_points(space: Space, points: np.ndarray) -> Diagnosis:
    """Says in words how points depart from the prior of their space.

    On a torus: dead, uneven and gapped circles, tied circles, unfilled dimensions, and radii off their prior. On a
    product: the problems of each factor, named after it. Elsewhere: each statistic of `prior_statistics` above three
    times chance. `diagnose_points.register(MySpace)` decorates a function for a space of your own.

    Args:
        space: `Space`.
        points: Float64 array `(num, space.point_size)`.

    Example:

    >>> import numpy as np, torusae
    >>> sphere = torusae.spaces.Sphere(2)
    >>> print(torusae.diagnostics.diagnose_points(sphere, np.eye(3)[[0] * 500]).problems[0].name)
    off the prior
    """
    statistics = prior_statistics(space, points)
    problems = [
        Problem(
            "off the prior",
            (),
            statistic.largest,
            statistic.chance,
            f"The {name} statistic is {statistic.largest:.3f} (points of the prior: {statistic.chance:.3f}).",
        )
        for name, statistic in statistics.items()
        if statistic.largest > 3 * statistic.chance
    ]
    return Diagnosis(tuple(advised(problem, space) for problem in problems), statistics, points, space)


def advised(problem: Problem, space: Space, model: Any = None) -> Problem:
    """A problem of points with what to do about it. Of a model's points it is something that the model does not do yet.

    Problems of a user's own `diagnose_points` stay as they are.
    """
    factor, _, kind = problem.name.rpartition(": ")
    if kind not in (*_OF_ANGLES, *_OF_RADII, "off the prior", "unfilled dimensions"):
        return problem
    terms = getattr(getattr(model, "latent", None), "terms", None)
    if terms is None:
        weights = f"a larger weight of the {'radii' if kind in _OF_RADII else 'points'}' losses"
    else:
        terms = [term for term in terms if term.weight and term.name.startswith(factor)]
        terms = [
            term
            for term in terms
            if kind not in _OF_RADII + _OF_ANGLES or (kind in _OF_RADII) == ("radii" in term.reads)
        ]
        weights = f"loss_weights={ {term.name: 2 * term.weight for term in terms} }"
    together = f"losses={space.presets[0]!r}, which see all circles at once"
    if kind == "unfilled dimensions":
        fewer = max(1, math.floor(problem.measured))
        ways = ['sample from fit_density(x, "neighbors")'] if getattr(model, "density", None) is None else []
        ways += [f"use about {count_of(fewer, 'circle')}"] if fewer < len(problem.where) else []
    elif terms == []:
        ways = [f"train a new model with losses={space.presets[0]!r}"] if space.presets[0] != "none" else []
    elif kind == "tied circles" and terms is None:
        ways = [f"train with {together}; if they were, longer", "with fewer circles"]
    elif kind == "tied circles" and not any((getattr(term.loss, "interactions", 1) or 2) > 1 for term in terms or ()):
        ways = [f"train a new model with {together}"]
    elif kind == "dead circle":
        ways = [*(["use fewer circles"] if space.num_angles > 1 else []), f"train a new model with {weights}"]
    else:
        ways = ["train longer", f"with {weights}"]
        ways += ["with fewer circles: the data may tie them"] if kind == "tied circles" else []
        ways += ["with lower weights of the heads"] if kind == "gap" and getattr(model, "heads", None) else []
    advice = ", or ".join(ways or ["train longer"])
    return dataclasses.replace(problem, advice=f"{advice[0].upper()}{advice[1:]}.")


def count_of(count: int, what: str) -> str:
    """`1 circle`, `2 circles`."""
    return f"{count or 'no'} {what}{'s' * (count > 1)}"


def with_coordinate(space: Space) -> str:
    """The text of a space with one Gaussian coordinate more, such as `"T1 x R1"`."""
    *factors, last = space.factors if isinstance(space, Product) else [space]
    count = last.dim if isinstance(last, Gaussian) else 0
    factors += [] if count else [last]
    texts = [f"T{factor.dim}" if type(factor) is Torus else repr(factor) for factor in factors]
    return " x ".join([*texts, f"R{count + 1}"])


def way_back(space: Space, latent: Any) -> str:
    """What to change where training left the circles that it began at, for a sentence."""
    terms = getattr(latent, "terms", None)
    if terms is not None and not any(term.weight for term in terms) and space.presets[0] != "none":
        return f"losses={space.presets[0]!r}, which keep points on their circles"
    return f"a coordinate more, {with_coordinate(space)!r}"


@diagnose_points.register
def _(space: Torus, points):
    radii, angles = polar(points)
    problems, details = _of_torus(angles, radii, space.radius_mean, space.radius_stddev)
    return Diagnosis(
        tuple(advised(problem, space) for problem in problems), prior_statistics(space, points), points, space, details
    )


@diagnose_points.register
def _(space: Product, points):
    problems: list[Problem] = []
    details: dict[str, Any] = {}
    for name, factor, own in zip(space.names, space.factors, space.split(points), strict=True):
        found = diagnose_points(factor, own)
        problems += [dataclasses.replace(problem, name=f"{name}: {problem.name}") for problem in found.problems]
        details[name] = found.details
    return Diagnosis(tuple(problems), prior_statistics(space, points), points, space, details)


def _of_torus(
    angles: np.ndarray, radii: np.ndarray, radius_mean: float, radius_stddev: float
) -> tuple[list[Problem], dict[str, Any]]:
    """The problems of points on a torus, and the measurements behind them. Angles and radii have shape `(num, dim)`."""
    num, dim = angles.shape
    k, moduli = metrics.moment_spectrum(angles, max_frequency=2 if dim <= 32 else 1, interactions=2)
    one_point = len(np.unique(angles, axis=0)) < 3
    details = {
        "kuiper": metrics.kuiper_statistic(angles),
        "expected kuiper": KUIPER_CHANCE / math.sqrt(num),
        "directions": k,
        "moments": moduli,
        "expected moment": MOMENT_CHANCE / math.sqrt(num),
        "largest gap": _largest_gaps(angles),
        "radii mean": radii.mean(axis=0),
        "radii deviation": radii.std(axis=0),
        "near the origin": (radii < _NEAR_ORIGIN).mean(axis=0),
        "dimension": 0.0 if one_point else metrics.intrinsic_dimension(angles, _POINTS_OF_DIMENSION),
    }
    problems = [*_of_circles(details, angles), *_of_ties(details, num), *_of_radii(details, radius_mean, radius_stddev)]
    # Dead and tied circles also lack dimensions; they are named already.
    if not {"dead circle", "tied circles"} & {problem.name for problem in problems}:
        problems.extend(_of_dimension(details["dimension"], num, dim))
    return problems, details


def _largest_gaps(angles: np.ndarray) -> np.ndarray:
    """The largest arc without a point on every circle, radians."""
    ordered = np.sort(angles, axis=0)
    closing = ordered[:1] + 2 * math.pi - ordered[-1:]
    return np.concatenate([np.diff(ordered, axis=0), closing]).max(axis=0)


def _of_circles(details: dict[str, Any], angles: np.ndarray) -> Iterator[Problem]:
    num, dim = angles.shape
    # The largest of `num` uniform gaps exceeds log(num / p) / num turns with probability p.
    rare_gap = 2 * math.pi * math.log(num * dim / 1e-3) / num
    for i in range(dim):
        resultant = abs(np.exp(1j * angles[:, i]).mean())
        spread = math.sqrt(max(0.0, -2 * math.log(max(resultant, 1e-12))))
        kuiper, gap = details["kuiper"][i], details["largest gap"][i]
        if spread < _DEAD_SPREAD:
            yield Problem(
                "dead circle",
                (i,),
                spread,
                math.inf,
                f"The angles of circle {i} deviate by only {spread:.2f} rad: the circle holds no information.",
            )
            continue
        if gap > max(rare_gap, _SMALL_GAP):
            yield Problem(
                "gap",
                (i,),
                gap,
                rare_gap,
                f"Circle {i} has an empty arc of {gap:.2f} rad (uniform points leave {rare_gap:.2f}).",
            )
        if kuiper > max(RARE_KUIPER / math.sqrt(num), SMALL_KUIPER):
            yield Problem(
                "uneven circle",
                (i,),
                kuiper,
                details["expected kuiper"],
                f"Circle {i} has a Kuiper statistic of {kuiper:.3f} (uniform: {details['expected kuiper']:.3f}).",
            )


def _of_ties(details: dict[str, Any], num: int) -> Iterator[Problem]:
    k, moduli = details["directions"], details["moments"]
    rare = math.sqrt(_RARE_MOMENT**2 + math.log(len(k))) / math.sqrt(num)
    tied = (np.count_nonzero(k, axis=1) > 1) & (moduli > max(rare, _SMALL_MOMENT))
    for row in np.flatnonzero(tied)[np.argsort(-moduli[tied])][:3]:
        circles = tuple(int(i) for i in np.flatnonzero(k[row]))
        yield Problem(
            "tied circles",
            circles,
            moduli[row],
            details["expected moment"],
            f"Circles {circles[0]} and {circles[1]} move together: |mean exp(i k·φ)| = {moduli[row]:.2f} along "
            f"k = {tuple(int(n) for n in k[row])} (uniform: {details['expected moment']:.2f}).",
        )


def _of_dimension(dimension: float, num: int, dim: int) -> Iterator[Problem]:
    deviation = dim / math.sqrt(min(num, _POINTS_OF_DIMENSION))
    if dim - dimension > max(_MISSING_DIMENSIONS, _RARE_DIMENSION * deviation):
        yield Problem(
            "unfilled dimensions",
            tuple(range(dim)),
            dimension,
            float(dim),
            f"The points fill about {dimension:.1f} of {dim} dimensions: samples of the prior will not look like data.",
        )


def _of_radii(details: dict[str, Any], prior_mean: float, prior_stddev: float) -> Iterator[Problem]:
    if not prior_stddev:  # a space without radii
        return
    columns = (details["radii mean"], details["radii deviation"], details["near the origin"])
    for i, (mean, deviation, near) in enumerate(zip(*columns, strict=True)):
        if abs(mean - prior_mean) > _DRIFTED_MEAN:
            yield Problem(
                "drifted radii",
                (i,),
                mean,
                prior_mean,
                f"The radii of circle {i} have mean {mean:.2f} instead of {prior_mean:g}.",
            )
        if not _DEVIATIONS[0] < deviation / prior_stddev < _DEVIATIONS[1]:
            kind = "collapsed" if deviation < prior_stddev else "wide"
            yield Problem(
                f"{kind} radii",
                (i,),
                deviation,
                prior_stddev,
                f"The radii of circle {i} deviate by {deviation:.3f} instead of {prior_stddev:g}.",
            )
        if near > _MANY_NEAR_ORIGIN:
            yield Problem(
                "points near the origin",
                (i,),
                near,
                0.0,
                f"{near:.1%} of the points of circle {i} have radii below {_NEAR_ORIGIN}: their angles are arbitrary.",
            )
