"""What is wrong with a latent torus, in words, and what to change."""

import dataclasses
import math
from typing import Any

import numpy as np

from torusae import _checks, metrics

_LEAST_POINTS = 100
_SMALL_BATCH = 64

# What a statistic of independent uniform points exceeds about once in ten thousand times, in parts of 1 / sqrt(num).
_RARE_KUIPER = 2.5
_RARE_MOMENT = 3.1  # exp(-3.1²) = 7e-5; the number of moments looked at widens it
# Smaller than this is unevenness that nobody sees in samples, however many points prove it.
_SMALL_KUIPER = 0.06
_SMALL_MOMENT = 0.1
_DEAD_SPREAD = 0.3  # radians: a circle whose angles deviate less than this from their mean holds nothing
_DRIFTED_MEAN = 0.1
_DEVIATIONS = (0.5, 2.0)  # in parts of the prior's deviation of radii
_NEAR_ORIGIN = 0.2  # a radius below it: the angle is nearly arbitrary
_MANY_NEAR_ORIGIN = 0.01
_MISSING_DIMENSIONS = 0.5
_RARE_DIMENSION = 4.0  # deviations of the estimate
_POINTS_OF_DIMENSION = 4000


@dataclasses.dataclass(frozen=True)
class Problem:
    """One thing that is wrong: its `name`, the `circles` it concerns, what was measured, what is good, and advice."""

    name: str
    circles: tuple[int, ...]
    measured: float
    expected: float
    message: str
    advice: str

    def __str__(self) -> str:
        return f"{self.name}: {self.message} {self.advice}"


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """What `diagnose` found: `problems`, the worst first, and `statistics` by name, beside the arrays they are of.

    `str(diagnosis)` says it in sentences, `plots.plot_diagnosis(diagnosis)` shows it.
    """

    problems: tuple[Problem, ...]
    statistics: dict[str, Any]
    angles: np.ndarray = dataclasses.field(repr=False)
    radii: np.ndarray = dataclasses.field(repr=False)

    def __str__(self) -> str:
        num, dim = self.angles.shape
        head = f"{num} points on {dim} circle{'s' if dim > 1 else ''}: "
        if not self.problems:
            return head + "nothing wrong found."
        lines = [f"- {problem}" for problem in self.problems]
        return "\n".join([head + f"{len(lines)} problem{'s' if len(lines) > 1 else ''}.", *lines])


def diagnose(model: Any, x: Any = None, batch_size: int | None = None) -> Diagnosis:
    """Says what is wrong with a latent torus: dead, uneven or gapped circles, tied circles, radii that left the ring.

    Also whether the data fill as many dimensions as the torus has: `statistics["dimension"]`.

    Args:
        model: A `TorusAutoencoder` whose space has angles, or codes of a torus themselves, `(num, 2 * dim)`.
        x: Samples that the model encodes, at least 100; not with codes. Defaults to `None`.
        batch_size: Integer, the batch size of the training, which is judged too. Defaults to `None`.

    Returns:
        `Diagnosis`.

    Raises:
        ValueError: If samples are missing or given beside codes, there are fewer than 100 points, the codes hold NaN,
            or the space has no angles.

    Notes:
        Thresholds are those that independent uniform points pass all but about once in a thousand times, and never
        below what can be seen in samples: a Kuiper statistic of 0.06, a moment of 0.1.

    Example:

    >>> import keras, torusae
    >>> codes = torusae.Torus(2).sample(1000, seed=0)
    >>> print(torusae.diagnose(codes))
    1000 points on 2 circles: nothing wrong found.
    >>> print(torusae.diagnose(codes * 3).problems[0].name)
    drifted radii
    """
    angles, radii = _angles_and_radii(model, x)
    num, dim = angles.shape
    if num < _LEAST_POINTS:
        raise ValueError(f"diagnose: needs at least {_LEAST_POINTS} points. Received: {num}. Give more samples.")
    kuiper = metrics.kuiper_statistic(angles)
    order = 2 if dim <= 32 else 1
    k, moduli = metrics.moment_spectrum(angles, order, interactions=2)
    statistics = {
        "kuiper": kuiper,
        "expected kuiper": 1.25 / math.sqrt(num),
        "directions": k,
        "moments": moduli,
        "expected moment": 0.886 / math.sqrt(num),
        "largest gap": _largest_gaps(angles),
        "correlation": metrics.circular_correlation(angles),
        "radii mean": radii.mean(axis=0),
        "radii deviation": radii.std(axis=0),
        "near the origin": (radii < _NEAR_ORIGIN).mean(axis=0),
    }
    one_point = len(np.unique(angles, axis=0)) < 3
    statistics["dimension"] = 0.0 if one_point else metrics.intrinsic_dimension(angles, _POINTS_OF_DIMENSION)
    problems = [*_of_circles(statistics, angles), *_of_ties(statistics, num), *_of_radii(statistics)]
    # Dead and tied circles lack dimensions, too: that is said already.
    if not {"dead circle", "tied circles"} & {problem.name for problem in problems}:
        problems.extend(_of_dimension(statistics["dimension"], num, dim))
    if batch_size is not None and batch_size < _SMALL_BATCH:
        problems.append(
            Problem(
                "small batch",
                (),
                batch_size,
                _SMALL_BATCH,
                f"The latent losses are statistics of a batch, and {batch_size} points say little about a torus.",
                f"Train with batches of {_SMALL_BATCH} or more.",
            )
        )
    return Diagnosis(tuple(problems), statistics, angles, radii)


def _angles_and_radii(model, x):
    if hasattr(model, "encode"):
        space = model.latent.space
        if "angles" not in space.parts:
            raise ValueError(f"diagnose: needs a space with angles, such as Torus(3). Received: {space!r}.")
        if x is None:
            raise ValueError("diagnose: `x` is missing. Give samples, diagnose(model, x).")
        code = model.encode(x, batch_size=512, verbose=0)
        if hasattr(space, "factors"):
            (code,) = [
                own for factor, own in zip(space.factors, space.codes(code), strict=True) if "angles" in factor.parts
            ]
    else:
        if x is not None:
            raise ValueError("diagnose: `x` is not used with codes. Call diagnose(codes).")
        code = model
    code = metrics._finite_rows("diagnose", "codes", _checks.code_tensor("diagnose", "codes", code, rank=2))
    dim = code.shape[1] // 2
    return np.arctan2(code[:, dim:], code[:, :dim]), np.hypot(code[:, :dim], code[:, dim:])


def _largest_gaps(angles):
    """The largest arc without a point on every circle, radians."""
    ordered = np.sort(angles, axis=0)
    closing = ordered[:1] + 2 * math.pi - ordered[-1:]
    return np.concatenate([np.diff(ordered, axis=0), closing]).max(axis=0)


def _of_circles(statistics, angles):
    num, dim = angles.shape
    # The largest of `num` uniform gaps is log(num / p) / num turns with probability p.
    rare_gap = 2 * math.pi * math.log(num * dim / 1e-3) / num
    for i in range(dim):
        resultant = abs(np.exp(1j * angles[:, i]).mean())
        spread = math.sqrt(max(0.0, -2 * math.log(max(resultant, 1e-12))))
        kuiper, gap = statistics["kuiper"][i], statistics["largest gap"][i]
        if spread < _DEAD_SPREAD:
            yield Problem(
                "dead circle",
                (i,),
                spread,
                math.inf,
                f"The angles of circle {i} deviate by {spread:.2f} rad only: it holds nothing.",
                "Use fewer circles, or a heavier loss of the angles.",
            )
            continue
        if gap > max(rare_gap, 0.2):
            yield Problem(
                "gap",
                (i,),
                gap,
                rare_gap,
                f"Circle {i} has an arc of {gap:.2f} rad without a point (uniform points leave {rare_gap:.2f}).",
                "Train longer, weigh the loss of the angles more, or lower a classifier's weight: classes leave gaps.",
            )
        if kuiper > max(_RARE_KUIPER / math.sqrt(num), _SMALL_KUIPER):
            yield Problem(
                "uneven circle",
                (i,),
                kuiper,
                statistics["expected kuiper"],
                f"Circle {i} has a Kuiper statistic of {kuiper:.3f} (uniform: {statistics['expected kuiper']:.3f}).",
                "Train longer, or weigh the loss of the angles more.",
            )


def _of_ties(statistics, num):
    k, moduli = statistics["directions"], statistics["moments"]
    tied = (np.count_nonzero(k, axis=1) > 1) & (
        moduli > max(math.sqrt(_RARE_MOMENT**2 + math.log(len(k))) / math.sqrt(num), _SMALL_MOMENT)
    )
    for row in np.flatnonzero(tied)[np.argsort(-moduli[tied])][:3]:
        circles = tuple(int(i) for i in np.flatnonzero(k[row]))
        yield Problem(
            "tied circles",
            circles,
            moduli[row],
            statistics["expected moment"],
            f"Circles {circles[0]} and {circles[1]} move together: |mean exp(i k·φ)| = {moduli[row]:.2f} along "
            f"k = {tuple(int(n) for n in k[row])} (uniform: {statistics['expected moment']:.2f}).",
            'Use losses="uniform", the default, which sees all circles at once; the paper\'s see one at a time.',
        )


def _of_dimension(dimension, num, dim):
    deviation = dim / math.sqrt(min(num, _POINTS_OF_DIMENSION))
    if dim - dimension > max(_MISSING_DIMENSIONS, _RARE_DIMENSION * deviation):
        yield Problem(
            "unfilled dimensions",
            tuple(range(dim)),
            dimension,
            float(dim),
            f"The points fill about {dimension:.1f} of {dim} dimensions: samples of the prior will not look like data.",
            f'Sample from fit_density(x, "neighbors"), or use about {max(1, math.floor(dimension))} circles.',
        )


def _of_radii(statistics):
    for i, (mean, deviation, near) in enumerate(
        zip(statistics["radii mean"], statistics["radii deviation"], statistics["near the origin"], strict=True)
    ):
        if abs(mean - 1.0) > _DRIFTED_MEAN:
            yield Problem(
                "drifted radii",
                (i,),
                mean,
                1.0,
                f"The radii of circle {i} have mean {mean:.2f} instead of 1.",
                "Weigh the quantile loss more.",
            )
        if not _DEVIATIONS[0] * 0.1 < deviation < _DEVIATIONS[1] * 0.1:
            what = "collapsed" if deviation < 0.1 else "wide"
            yield Problem(
                f"{what} radii",
                (i,),
                deviation,
                0.1,
                f"The radii of circle {i} deviate by {deviation:.3f} instead of 0.1.",
                "Weigh the quantile loss more, or train longer.",
            )
        if near > _MANY_NEAR_ORIGIN:
            yield Problem(
                "points near the origin",
                (i,),
                near,
                0.0,
                f"{near:.1%} of the points of circle {i} have a radius below {_NEAR_ORIGIN}: their angle is arbitrary.",
                "Weigh the quantile loss more.",
            )
