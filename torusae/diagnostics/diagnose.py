"""What is wrong with a latent space, in words, and what to change."""

import dataclasses
import math
from typing import Any

import numpy as np
from keras import ops

from torusae import metrics
from torusae._internal import batches, checks
from torusae._internal.arrays import agreement_of, polar
from torusae.angles import primitive_directions
from torusae.densities import TorusFlow
from torusae.diagnostics.problems import (
    RARE_KUIPER,
    SMALL_KUIPER,
    advised,
    count_of,
    diagnose_points,
    way_back,
    with_coordinate,
)
from torusae.diagnostics.results import Diagnosis, Problem, Statistic
from torusae.metrics.circles import KUIPER_CHANCE
from torusae.spaces import Space, Torus
from torusae.topology import _graph, _maps, find_circles
from torusae.topology.alignment import is_part_of_basis
from torusae.topology.filling import filling, meeting

_LEAST_POINTS = 100
_SMALL_BATCH = 64
_LEAST_COMPARED = 500  # rows that are compared with their points: circles of fewer are doubtful
_MOST_COMPARED = 4000
_LANDMARKS = 400  # see the circles of tables and images, and take a third of the time of 600
_MANY_TEARS = 0.05  # share of torn neighbours; true angles of noisy tables tear at most 0.3 %
_MOSTLY_TORN = 0.5  # of chance. Data of more dimensions than the space must tear: digits on three circles by 0.25
_STRAY_TURNS = 0.25  # of an angle along a circle: above, jumps have as large a part as the winding
_MOST_SHOWN = 16  # windings in a note
_FOLLOWS = 0.9  # agreement of an angle with a circle that supports it: right trainings have 0.98 and more
_SIZES = (0.05, 20.0)  # root mean square of samples: beyond, the start at the circles hardly trains
_UNLIKE = 2.0  # reconstruction loss, over that of the training


def diagnose(
    model: Any, x: Any = None, batch_size: int | None = None, circles: bool = True, groups: Any = None
) -> Diagnosis:
    """Says what is wrong with a latent space, and what to change.

    On a torus: dead, uneven or gapped circles, tied circles, radii off their prior, and fewer filled dimensions than
    circles. On other spaces: statistics that are far from those of the prior.

    Where the model has a fitted flow, the uniformity of the mapped angles is measured too: the statistic
    `"uniform_kuiper"` for single circles, and a note with the largest one along pairs of circles.

    Points of at least 500 samples are also compared with the samples, at most 4000 random ones. The first note says
    what supports each angle: a circle that `find_circles` finds in the samples and that the angle follows, in some
    basis, labels (supervision of this angle in `compile`; a head reads all coordinates and supports none), or nothing.
    The detail `"support"` has `"circle"`, `"labels"` or `"nothing"` for each angle, and `"agreement"` how well it
    follows a circle, `|mean exp(i difference)|` of both, or of both made even by their ranks. Angles without support,
    and circles that fill no torus together, are problems, the first of all.

    Each sample is joined to its 12 nearest neighbours after principal components. A note says, beside the values of
    shuffled points:

    - the statistic `"tears"`: the share of neighbours whose points are farther apart than half the mean distance of
      shuffled points;
    - the statistic `"stress"`: `torusae.metrics.geodesic_stress` of distances in the space against shortest paths
      between neighbours, of pairs of 200 samples;
    - the detail `"windings"`: integers `(num_angles, num_circles)`, how often each angle winds around each circle, and
      `"turns"`, the same before rounding. Values far from integers mean jumps: such an angle has no windings, and zeros
      here. An angle of zeros is folded, unless the other angles wind around all circles.

    The reconstruction of 500 samples is compared with that of the last training: samples unlike those of the training
    are a problem.

    Args:
        model: A `TorusAutoencoder`, or points of a torus, `(num, 2 * dim)`.
        x: Samples that the model encodes, at least 100. Not with points. Defaults to `None`.
        batch_size: Integer, the batch size of the training, which is judged too. Defaults to `None`.
        circles: Boolean, whether samples and points are compared. It needs the extra `circles` and takes some seconds.
            Without the extra a note says so. Defaults to `True`.
        groups: The group of each row, as in `fit`, for a model that was trained with groups. Defaults to `None`.

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
    space, points = _space_and_points(model, x, groups)
    checks.finite_array("diagnose", "points", points)
    if len(points) < _LEAST_POINTS:
        raise ValueError(
            f"diagnose: needs at least {_LEAST_POINTS} points. Received: {len(points)}. Give more samples."
        )
    diagnosis = diagnose_points(space, points)
    if x is not None:
        problems = tuple(advised(problem, space, model) for problem in diagnosis.problems)
        diagnosis = _with_map(dataclasses.replace(diagnosis, problems=problems), model)
    samples: Any = _samples(model, x, groups) if checks.is_array(x) else ()
    if circles and len(samples) >= _LEAST_COMPARED:
        diagnosis = _beside_data(diagnosis, samples, model)
    if getattr(model, "trained_loss", None) is not None and len(samples):
        problems = (*diagnosis.problems, *_of_unlike_samples(model, samples, points))
        diagnosis = dataclasses.replace(diagnosis, problems=problems)
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


def _space_and_points(model: Any, x: Any, groups: Any) -> tuple[Any, np.ndarray]:
    if hasattr(model, "encode"):
        if x is None:
            raise ValueError("diagnose: `x` is missing. Give samples, diagnose(model, x).")
        given = {} if groups is None else {"groups": groups}
        return model.latent.space, np.asarray(model.encode(x, batch_size=512, verbose=0, **given), dtype="float64")
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


def _samples(model: Any, x: Any, groups: Any) -> np.ndarray:
    """Samples as the encoder reads them: without level and scale where the model takes these out."""
    if getattr(model, "scaling", None) is None:
        return checks.numpy_array("diagnose", "x", x)
    return model.adapter.check("encode", x, groups=groups).sample


def _beside_data(diagnosis: Diagnosis, x: np.ndarray, model: Any) -> Diagnosis:
    """The diagnosis with tears, stress and windings of the map from samples to their points."""
    rng = np.random.default_rng(0)
    some = np.sort(rng.permutation(len(x))[:_MOST_COMPARED])
    samples = x[some]
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
    problems, details, notes, first, advice, found, shown = [], {}, [], [], "", "", ""
    if space.num_angles:
        circles = find_circles(samples, _LANDMARKS).angles[reduced.rows]
        angles = ops.convert_to_numpy(space.angles(ops.convert_to_tensor(points)))
        turns = _maps.turns(angles, circles, graph)
        strays = np.abs(turns - np.rint(turns)).max(axis=1, initial=0.0)
        jumps = strays > _STRAY_TURNS
        windings = np.rint(turns).astype(int) * ~jumps[:, None]
        start = _start(model, space, turns.shape[1], samples)
        support, agreement = _support(model, angles, circles)
        details = {"windings": windings, "turns": turns, "support": support, "agreement": agreement}
        first = [*_of_support(support, agreement, circles.shape[1], space, start), *_of_meeting(circles)]
        notes = [_supported(support, agreement)]
        problems += _of_windings(windings, jumps, strays, start)
        found = f", {count_of(turns.shape[1], 'circle')}"
        if 0 < windings.size <= _MOST_SHOWN:
            each = ["jumps" if jump else str(row.tolist()) for row, jump in zip(windings, jumps, strict=True)]
            shown = f"windings {', '.join(each)}, "
        if windings.size:
            advice = start if problems or jumps.any() else _more_than_circles(space)
    problems += _of_tears(tears, advice)
    note = (
        f"Beside the data ({len(points)} samples{found}): {shown}{tears.value:.1%} of neighbours torn "
        f"(shuffled points: {tears.chance:.0%}), stress {stress.value:.2f} (shuffled points: {stress.chance:.2f})."
    )
    return dataclasses.replace(
        diagnosis,
        problems=(*first, *diagnosis.problems, *problems),
        statistics={**diagnosis.statistics, "tears": tears, "stress": stress},
        details={**diagnosis.details, **details},
        notes=(*notes, *diagnosis.notes, note),
    )


def _of_tears(tears: Statistic, advice: str) -> list[Problem]:
    """Whether a map is torn. `advice` is empty where the data show no circle."""
    if tears.value <= (_MANY_TEARS if advice else max(_MANY_TEARS, _MOSTLY_TORN * tears.chance)):
        return []
    message = f"{tears.value:.1%} of the neighbours in the data lie far apart in the space"
    message = f"{message} (shuffled points: {tears.chance:.0%})."
    advice = advice or "Train longer, or use a space of more dimensions."
    return [Problem("torn map", (), tears.value, tears.chance, message, advice)]


def _support(model: Any, angles: np.ndarray, circles: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """What supports each angle, and how well each follows an integer combination of circles, `(num_angles,)`.

    The combinations are part of a basis: of two angles that follow one circle, the one that does so less is left
    without.
    """
    labelled = set()
    for each in getattr(model, "supervision", {}).values():
        if each.weight:
            labelled |= set(range(angles.shape[1])) if each.circles is None else set(each.circles)
    agreement = np.zeros(angles.shape[1])
    if circles.shape[1]:
        lines = primitive_directions(circles.shape[1], max_frequency=2, interactions=2)
        follows = np.maximum(agreement_of(angles, circles @ lines.T), agreement_of(-angles, circles @ lines.T))
        taken: list[np.ndarray] = []
        for angle in np.argsort(-follows.max(axis=1)):
            for line in np.argsort(-follows[angle]):
                if is_part_of_basis([*taken, lines[line]]):
                    agreement[angle] = follows[angle, line]
                    taken.append(lines[line])
                    break
    return tuple(
        "circle" if value >= _FOLLOWS else "labels" if angle in labelled else "nothing"
        for angle, value in enumerate(agreement)
    ), agreement


def _supported(support: tuple[str, ...], agreement: np.ndarray) -> str:
    """What supports each angle, in a sentence."""
    by = {"labels": "by the labels of its supervision", "nothing": "by nothing"}
    each = [
        f"angle {angle} {by.get(kind, f'by a circle of the data (they agree by {agreement[angle]:.2f})')}"
        for angle, kind in enumerate(support)
    ]
    return f"Supported: {', '.join(each)}."


def _of_support(
    support: tuple[str, ...], agreement: np.ndarray, num_circles: int, space: Space, start: str
) -> list[Problem]:
    """Angles that nothing shows to be phases."""
    where = tuple(angle for angle, kind in enumerate(support) if kind == "nothing")
    if not where:
        return []
    one = len(where) == 1
    subject = f"{'angle' if one else 'angles'} {', '.join(map(str, where))}"
    shows = f"nothing shows that {subject} {'is a phase' if one else 'are phases'}"
    message = f"No circle was found in the data: {shows}."
    fewer = len(support) - len(where)
    if num_circles:
        best = agreement[list(where)].max()
        message = f"{count_of(num_circles, 'circle')} found in the data, but {shows} (they agree by {best:.2f})."
    if num_circles and fewer < num_circles:
        advice = start
    else:
        anchor = f"Anchor({where[0] if one else list(where)}, weight=10)"
        advice = (
            f'Give known values of some samples, compile(supervision={{"phase": {anchor}}}), or take it for no phase.'
        )
        if fewer and num_circles:
            advice = f"Use as many angles as the data have circles, {fewer}, and Gaussian coordinates for the rest."
    return [Problem("unsupported angle", where, float(agreement[list(where)].max()), 1.0, message, advice)]


def _of_meeting(circles: np.ndarray) -> list[Problem]:
    """Pairs of circles of the data that are no torus."""
    return [
        Problem(
            "loops that meet",
            pair,
            (share := filling(circles[:, pair])),
            1.0,
            f"Circles {pair[0]} and {pair[1]} of the data fill {share:.0%} of the torus that independent ones would "
            f"fill: they are loops that meet or lie apart, or one gives the other.",
            "Train a model for each loop, Torus(1), on the rows that go around it.",
        )
        for pair in meeting(circles)
    ]


def _of_unlike_samples(model: Any, samples: np.ndarray, points: np.ndarray) -> list[Problem]:
    """Whether samples are reconstructed worse, from their points, than those of the training."""
    some = np.linspace(0, len(samples) - 1, min(len(samples), _LEAST_COMPARED)).astype(int)
    decoded = batches.predict(model.codec[1].predict, points[some].astype("float32"), _LEAST_COMPARED, 0)
    loss = model.objective.reconstruction(samples[some], decoded)
    loss, trained = float(ops.convert_to_numpy(loss)), model.trained_loss
    if loss <= trained + (_UNLIKE - 1) * abs(trained):
        return []
    message = (
        f"The reconstruction loss of these samples is {loss:.3g}, that of the training was {trained:.3g}: they are"
    )
    return [
        Problem(
            "unlike samples",
            (),
            loss,
            trained,
            f"{message} unlike its samples, or it had too few.",
            "Train with samples like these.",
        )
    ]


def _of_windings(windings: np.ndarray, jumps: np.ndarray, strays: np.ndarray, advice: str) -> list[Problem]:
    """What is wrong with windings `(num_angles, num_circles)` of angles around the circles of the data.

    Angles that jump, `(num_angles,)`, are `strays` of a turn off whole ones, and have windings of zero.
    """
    num_angles, num_circles = windings.shape
    if not num_circles or is_part_of_basis(windings if num_angles < num_circles else windings.T):
        return []
    shown = count_of(num_circles, "circle")
    jumping = tuple(int(i) for i in np.flatnonzero(jumps))
    folded = tuple(int(i) for i in np.flatnonzero(~windings.any(axis=1) & ~jumps))
    if jumping:
        name, where, measured = "wrong windings", jumping, float(strays.max())
        subject = f"Angle {jumping[0]} has" if len(jumping) == 1 else f"Angles {', '.join(map(str, jumping))} have"
        message = f"{subject} no windings around the {shown} of the data: on the way around are jumps."
    elif folded:
        name, where, measured = "folded angle", folded, float(np.abs(windings[list(folded)]).max())
        subject = f"Angle {folded[0]} winds" if len(folded) == 1 else f"Angles {', '.join(map(str, folded))} wind"
        message = f"{subject} around no circle of the data, which show {shown}."
    else:
        name, where, measured = "wrong windings", tuple(range(num_angles)), float(np.abs(windings).max())
        message = f"The windings {windings.tolist()} do not map the {shown} of the data one to one."
    return [Problem(name, where, measured, 1.0, message, advice)]


def _start(model: Any, space: Space, num_circles: int, samples: np.ndarray) -> str:
    """What to do where angles do not go around the circles of the data."""
    size = float(np.sqrt(np.mean(np.square(samples, dtype="float64"))))
    if getattr(model, "scaling", None) is None and not _SIZES[0] < size < _SIZES[1]:
        return (
            f"Give columns of similar scales, (x - x.mean(0)) / x.std(0), to a new model: these are of size {size:.2g}."
        )
    begun = getattr(model.latent, "num_initialized", None)
    if begun is None:  # a model from a file, or of the user's own
        begun = getattr(model, "was_trained", False) and getattr(model, "init", "random") != "random"
    if not begun:
        return 'Train a new model with init="circles".'
    fewer = f"{count_of(num_circles, 'circle')} alone, or with " if num_circles < space.num_angles else ""
    return f"Training left the circles that it began at. Train a new model with {fewer}{way_back(space, model.latent)}."


def _more_than_circles(space: Space) -> str:
    """What to do where angles go around the circles of the data, and are torn by what no circle holds."""
    return (
        f"The angles go around the data's circles, so other directions of the data tear them. Give these a coordinate, "
        f"as in {with_coordinate(space)!r}."
    )
