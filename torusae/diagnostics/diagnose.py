"""What is wrong with a latent space, in words, and what to change."""

import dataclasses
import math
from typing import Any

import numpy as np
from keras import ops

from torusae import metrics
from torusae._internal import checks
from torusae._internal.arrays import polar
from torusae.densities import TorusFlow
from torusae.diagnostics.problems import RARE_KUIPER, SMALL_KUIPER, advised, count_of, diagnose_points
from torusae.diagnostics.results import Diagnosis, Problem, Statistic
from torusae.metrics.circles import KUIPER_CHANCE
from torusae.spaces import Space, Torus
from torusae.topology import _graph, _maps, find_circles
from torusae.topology.alignment import is_part_of_basis

_LEAST_POINTS = 100
_SMALL_BATCH = 64
_LEAST_COMPARED = 500  # rows that are compared with their points: circles of fewer are doubtful
_MOST_COMPARED = 4000
_LANDMARKS = 400  # see the circles of tables and images, and take a third of the time of 600
_MANY_TEARS = 0.05  # share of torn neighbours; true angles of noisy tables tear at most 0.3 %
_MOSTLY_TORN = 0.5  # of chance. Data of more dimensions than the space must tear: digits on three circles by 0.25
_STRAY_TURNS = 0.25  # of an angle along a circle: above, jumps have as large a part as the winding
_MOST_SHOWN = 16  # windings in a note


def diagnose(model: Any, x: Any = None, batch_size: int | None = None, circles: bool = True) -> Diagnosis:
    """Says what is wrong with a latent space, and what to change.

    On a torus: dead, uneven or gapped circles, tied circles, radii off their prior, and fewer filled dimensions than
    circles. On other spaces: statistics that are far from those of the prior.

    Where the model has a fitted flow, the uniformity of the mapped angles is measured too: the statistic
    `"uniform_kuiper"` for single circles, and a note with the largest one along pairs of circles.

    Points of at least 500 samples are also compared with the samples, at most 4000 random ones, each joined to its 12
    nearest neighbours after principal components. A note says all, beside the values of shuffled points:

    - the statistic `"tears"`: the share of neighbours whose points are farther apart than half the mean distance of
      shuffled points;
    - the statistic `"stress"`: `torusae.metrics.geodesic_stress` of distances in the space against shortest paths
      between neighbours, of pairs of 200 samples;
    - the detail `"windings"`: integers `(num_angles, num_circles)`, how often each angle winds around each circle that
      `find_circles` finds, and `"turns"`, the same before rounding. Values far from integers mean jumps. An angle
      of zeros is folded, unless the other angles wind around all circles.

    Args:
        model: A `TorusAutoencoder`, or points of a torus, `(num, 2 * dim)`.
        x: Samples that the model encodes, at least 100. Not with points. Defaults to `None`.
        batch_size: Integer, the batch size of the training, which is judged too. Defaults to `None`.
        circles: Boolean, whether samples and points are compared. It needs the extra `circles` and takes some seconds.
            Without the extra a note says so. Defaults to `True`.

    Raises:
        ValueError: If samples are missing, too few, or given beside points, or the points are not finite.

    Notes:
        On a torus, independent uniform points pass all thresholds but once in about a thousand times. No threshold is
        below what is visible in samples: a Kuiper statistic of 0.06, a moment of 0.1. A map may tear 5 % of the
        neighbours; where the data show no circle, half the share of shuffled points, since data of more dimensions than
        the space must tear.

    Example:

    >>> import torusae
    >>> points = torusae.Torus(2).sample(1000, seed=0)
    >>> print(torusae.diagnose(points))
    1000 points on Torus(2): nothing wrong found.
    >>> print(torusae.diagnose(points * 3).problems[0].name)
    drifted radii
    """
    circles = checks.option("diagnose", "circles", circles, (True, False))
    space, points = _space_and_points(model, x)
    checks.finite_array("diagnose", "points", points)
    if len(points) < _LEAST_POINTS:
        raise ValueError(
            f"diagnose: needs at least {_LEAST_POINTS} points. Received: {len(points)}. Give more samples."
        )
    diagnosis = diagnose_points(space, points)
    if x is not None:
        problems = tuple(advised(problem, space, model) for problem in diagnosis.problems)
        diagnosis = _with_map(dataclasses.replace(diagnosis, problems=problems), model)
    if circles and checks.is_array(x) and len(x) >= _LEAST_COMPARED:
        diagnosis = _beside_data(diagnosis, x, model)
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
        is_swapped = hasattr(x, "encode")
        raise ValueError(
            "diagnose: `x` is not used with points. "
            + ("Received: the model as `x`. Call diagnose(model, x)." if is_swapped else "Call diagnose(points).")
        )
    points = checks.host_array(checks.circle_points("diagnose", "points", model, rank=2))
    return Torus(points.shape[1] // 2), points.astype("float64")


def _with_map(diagnosis: Diagnosis, model: Any) -> Diagnosis:
    """The diagnosis with the uniformity of angles that a model's flow maps."""
    flow: Any = getattr(model, "density", None)
    if not isinstance(flow, TorusFlow):
        return diagnosis

    def mapped(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
        angles = flow.to_uniform(polar(points)[1])
        circles = metrics.kuiper_statistic(angles)
        return angles, circles, circles.max() > max(RARE_KUIPER / math.sqrt(len(angles)), SMALL_KUIPER)

    angles, circles, is_uneven = mapped(diagnosis.points)
    chance = KUIPER_CHANCE / math.sqrt(len(angles))
    note = (
        f"Through TorusFlow the largest Kuiper statistic is {circles.max():.3f} for circles and "
        f"{metrics.direction_kuiper(angles)[1].max():.3f} along pairs (uniform: {chance:.3f})."
    )
    problems = diagnosis.problems
    if is_uneven:
        # What the flow was fitted to tells a flow of other points from one that was fitted badly.
        name, advice = "stale map", 'It was fitted to other points: fit it to these samples, fit_density(x, "flow").'
        if mapped(flow.points[: len(angles)])[2]:
            name = "uneven map"
            advice = f"Fit it to more samples, or longer, fit_density(x, TorusFlow(epochs={2 * flow.epochs}))."
        circle = int(circles.argmax())
        message = f"The fitted flow leaves circle {circle} uneven: its Kuiper statistic is {circles[circle]:.3f}."
        problems = (*problems, Problem(name, (circle,), float(circles[circle]), chance, message, advice))
    statistics = {**diagnosis.statistics, "uniform_kuiper": Statistic(circles, chance)}
    return dataclasses.replace(diagnosis, problems=problems, statistics=statistics, notes=(*diagnosis.notes, note))


def _beside_data(diagnosis: Diagnosis, x: Any, model: Any) -> Diagnosis:
    """The diagnosis with tears, stress and windings of the map from samples to their points."""
    rng = np.random.default_rng(0)
    some = np.sort(rng.permutation(len(x))[:_MOST_COMPARED])
    samples = checks.numpy_array("diagnose", "x", x)[some]
    if getattr(model, "scaling", None) is not None:
        samples = model.scaling.apply(samples)
    try:
        _graph.require("diagnose")
        reduced = _graph.reduced("diagnose", samples, rng)
        if len(reduced.rows) < _graph.LEAST_ROWS:
            raise ValueError(f"diagnose: only {len(reduced.rows)} of {len(some)} samples differ.")
    except (ImportError, TypeError, ValueError) as error:  # samples that are constant, or few different ones
        note = f"Tears, stress and windings were not measured. {error}"
        return dataclasses.replace(diagnosis, notes=(*diagnosis.notes, note))
    space, graph = diagnosis.space, _graph.Graph(reduced.points[reduced.rows])
    points = diagnosis.points[some][reduced.rows].astype("float32")
    shuffled = rng.permutation(points)  # chance as in the test of Mantel (1967): the same points, unrelated to the data

    def distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return ops.convert_to_numpy(space.distance(*map(ops.convert_to_tensor, (a, b)))).astype("float64")

    tears = Statistic(*_maps.tears(points, shuffled, distance, graph))
    stress = Statistic(*_maps.stress(points, shuffled, distance, graph, rng))
    problems, details, advice, found, shown = [], {}, "", "", ""
    if space.num_angles:
        circles = find_circles(samples, _LANDMARKS).angles[reduced.rows]
        turns = _maps.turns(ops.convert_to_numpy(space.angles(ops.convert_to_tensor(points))), circles, graph)
        windings = np.rint(turns).astype(int)
        start = _start(model, space, turns.shape[1])
        problems += _of_windings(windings, turns, start)
        stray = np.abs(turns - windings).max(initial=0.0)
        details = {"windings": windings, "turns": turns}
        found = f", {count_of(turns.shape[1], 'circle')}"
        if 0 < windings.size <= _MOST_SHOWN:
            shown = f"windings {windings.tolist()} (off by at most {stray:.2f}), "
        if windings.size:
            advice = start if problems or stray > _STRAY_TURNS else _more_than_circles(space)
    problems += _of_tears(tears, advice)
    note = (
        f"Beside the data ({len(points)} samples{found}): {shown}{tears.value:.1%} of neighbours torn "
        f"(shuffled points: {tears.chance:.0%}), stress {stress.value:.2f} (shuffled points: {stress.chance:.2f})."
    )
    return dataclasses.replace(
        diagnosis,
        problems=(*diagnosis.problems, *problems),
        statistics={**diagnosis.statistics, "tears": tears, "stress": stress},
        details={**diagnosis.details, **details},
        notes=(*diagnosis.notes, note),
    )


def _of_tears(tears: Statistic, advice: str) -> list[Problem]:
    """Whether a map is torn. `advice` is empty where the data show no circle."""
    if tears.value <= (_MANY_TEARS if advice else max(_MANY_TEARS, _MOSTLY_TORN * tears.chance)):
        return []
    message = f"{tears.value:.1%} of the neighbours in the data lie far apart in the space"
    message = f"{message} (shuffled points: {tears.chance:.0%})."
    advice = advice or "Train longer, or use a space of more dimensions."
    return [Problem("torn map", (), tears.value, tears.chance, message, advice)]


def _of_windings(windings: np.ndarray, turns: np.ndarray, advice: str) -> list[Problem]:
    """What is wrong with windings `(num_angles, num_circles)` of angles around the circles of the data."""
    num_angles, num_circles = windings.shape
    stray = np.abs(turns - windings).max(axis=1, initial=0.0) * windings.any(axis=1)
    is_basis = is_part_of_basis(windings if num_angles < num_circles else windings.T)
    if not num_circles or (is_basis and stray.max() <= _STRAY_TURNS):
        return []
    shown = count_of(num_circles, "circle")
    folded = tuple(int(i) for i in np.flatnonzero(~windings.any(axis=1)))
    if is_basis:
        jumping = tuple(int(i) for i in np.flatnonzero(stray > _STRAY_TURNS))
        name, where, measured = "wrong windings", jumping, float(stray.max())
        message = (
            f"The windings {windings.tolist()} are up to {measured:.2f} turns off: an angle jumps on its way around."
        )
    elif folded:
        name, where, measured = "folded angle", folded, float(np.abs(turns[list(folded)]).max())
        subject = f"Angle {folded[0]} winds" if len(folded) == 1 else f"Angles {', '.join(map(str, folded))} wind"
        message = f"{subject} around no circle of the data, which show {shown} ({measured:.2f} turns)."
    else:
        name, where, measured = "wrong windings", tuple(range(num_angles)), float(np.abs(windings).max())
        message = f"The windings {windings.tolist()} do not map the {shown} of the data one to one."
    return [Problem(name, where, measured, 1.0, message, advice)]


def _start(model: Any, space: Space, num_circles: int) -> str:
    """What to do where angles do not go around the circles of the data."""
    begun = getattr(model.latent, "num_initialized", None)
    if begun is None:  # a model from a file, or of the user's own
        begun = getattr(model, "was_trained", False) and getattr(model, "init", "random") != "random"
    if not begun:
        return 'Train a new model with init="circles".'
    fewer = f"{count_of(num_circles, 'circle')} alone, or with " if num_circles < space.num_angles else ""
    return (
        f"Training left the circles that it began at. Train a new model with {fewer}a coordinate more, "
        f"{space!r} * Gaussian(1)."
    )


def _more_than_circles(space: Space) -> str:
    """What to do where angles go around the circles of the data, and are torn by what no circle holds."""
    return (
        f"The angles go around the data's circles, so other directions of the data tear them. Give these a coordinate, "
        f"as in {space!r} * Gaussian(1)."
    )
