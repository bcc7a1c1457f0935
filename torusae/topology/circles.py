"""How many circles data show, and their angles, by persistent cohomology."""

import dataclasses
import math
import warnings
from typing import Any

import numpy as np

from torusae._internal import checks
from torusae._internal.arrays import wrap
from torusae._internal.scaling import taken_out
from torusae.topology import _graph
from torusae.topology.alignment import align, short_basis

_LANDMARKS = 600  # in each half
_MANY_ROWS = 1000  # in a half, joined to more neighbours
_PRIME = 47  # of the coefficients: classes that vanish twice, as in a Klein bottle, are no circles
_REACH = 0.5  # quantile of the landmarks' distances up to which classes are followed
_LEAST_RATIO = 2.7  # sheets and images make lasting classes of 2.6 that both halves can share
_LEAST_GAP = 1.2  # between the persistence of the last circle and of the next class: those of noise are a continuum
_MUCH_SMALLER = 0.5  # sum of squared values of a cocycle for which multiples of others are taken away
# |mean exp(iφ)|: around a gap, angles are constant nearly everywhere and agree by that, 0.93 and more. A von Mises
# density with κ = 1.5 has 0.84.
_MOST_CONCENTRATED = 0.9
_LEAST_AGREEMENT = 0.9  # |mean exp(i difference)| of the angles that two halves of the rows give
# Share of a class's death at which its cocycle is read: classes of noise, which could be added to it, are dead there.
_SCALE = 0.9
_LEAST_DIFFERENT = 24  # rows: of fewer, all those of a half are neighbours
_NEAREST = 4  # landmarks that give a row its angle


@dataclasses.dataclass(frozen=True)
class Circles:
    """The circles that `find_circles` found. `str(circles)` says it in sentences.

    Attributes:
        angles: Float array `(num, num_circles)`, radians, `[-π, π)`: an angle of every row along every circle.
        persistence: Float array, death over birth of the classes, the largest first, in the half where it is less.
        num_rows: Integer, the rows that were compared.
        notes: Tuple of sentences on what the data lack, and on why a lasting class is no circle.
    """

    angles: np.ndarray = dataclasses.field(repr=False)
    persistence: np.ndarray
    num_rows: int
    notes: tuple[str, ...] = ()

    @property
    def num_circles(self) -> int:
        """The number of circles."""
        return self.angles.shape[1]

    def __str__(self) -> str:
        *found, left = [*self.persistence, math.nan][: self.num_circles + 1]
        if not found:
            head = f"no circle in {self.num_rows} rows: the largest death over birth is {left:.2f}."
        else:
            circles = "1 circle" if len(found) == 1 else f"{len(found)} circles"
            values = ", ".join(f"{value:.1f}" for value in found)
            head = f"{circles} in {self.num_rows} rows: death over birth {values}; next {left:.1f}."
        return " ".join([head.replace("nan", "none"), *self.notes])


def find_circles(
    x: Any, num_landmarks: int | None = None, max_circles: int = 8, seed: int = 0, groups: Any = None
) -> Circles:
    """Says how many circles data show, and gives an angle of every row along each.

    A circle is a class of the first cohomology that lives much longer than the classes of noise, in two halves of the
    rows. No shift or scale of all data changes the result. The steps:

    - Rows more than 5 times as far from the median as 95 % of all are left out, as outliers below.
    - Principal components below 0.5 % of the largest variance are dropped, and so are eight or more that look like
      noise: below twice the mean variance of the smaller half. The others are scaled to similar variances.
    - At most 10000 random rows are divided into two halves. In each, rows are joined to their 20 nearest neighbours, 12
      of fewer than 1000 rows. Distances are lengths of shortest paths. Rows with a local outlier factor above 2 are
      left out; they take the angles of the rows nearest to them.
    - Persistent cohomology of a Rips complex on landmarks, by the package ripser.
    - Candidates are the classes whose persistence, death over birth, is at least 2.7, and 1.2 times that of the next.
    - Each candidate gives an angle whose differences along edges are least in the mean square. Integer combinations of
      the angles with the least differences become the basis: see `short_basis`.
    - The circles are the candidates that both halves agree on: the angles correspond to 0.9 after `align`. Gaps of
      random samples do not come back in the other half.

    Angles are defined up to a basis of integer combinations, their directions and zeros: see `align`.

    Args:
        x: Float array `(num, ...)` of at least 100 samples; each is flattened. Unknown cells, NaN or masked, are
            filled, which `notes` say: by principal components, then by the mean of what the 20 nearest rows know.
        num_landmarks: Integer, at least 50, at most the number of rows. More landmarks see smaller circles and cost
            time. Defaults to `None`: 600, or all rows where there are fewer.
        max_circles: Integer, the largest number of circles. Defaults to `8`.
        seed: Integer, seed of the choice of rows and landmarks. Defaults to `0`.
        groups: Integers or strings `(num,)`, the batch, subject or day of each row. The mean and the scale of each
            group are taken out first, of a table those of each column. Defaults to `None`.

    Returns:
        `Circles`.

    Raises:
        ImportError: If ripser is missing: `pip install ripser scikit-learn`.
        TypeError: If `x` does not hold numbers, a count is no integer, or groups are neither integers nor strings.
        ValueError: If `x` has fewer than 100 rows, fewer rows than landmarks, holds infinity, or is constant,
            or a number is out of range; if groups are of another length, or one has a single row.

    Example:

    >>> import torusae
    >>> table, angles = torusae.datasets.torus_table(1000, dim=1, noise=0.1, seed=0)
    >>> circles = torusae.topology.find_circles(table, num_landmarks=200)
    >>> circles.num_circles
    1
    >>> torusae.topology.align(circles.angles, angles).scores.round(1).tolist()
    [1.0]

    Reference:
        de Silva, Morozov & Vejdemo-Johansson (2011), Persistent cohomology and circular coordinates; Bobrowski &
        Skraba (2023), A universal null-distribution for topological data analysis, for death over birth as the measure.
        The graph distances, the least ratio and the agreement of two halves are torusae choices.
    """
    owner = "find_circles"
    _graph.require(owner)
    num_landmarks = checks.optional_int(owner, "num_landmarks", num_landmarks, least=50)
    max_circles = checks.positive_int(owner, "max_circles", max_circles)
    rng = checks.generators(owner, seed, 1)[0]
    if groups is not None:
        x = taken_out(owner, checks.numpy_array(owner, "x", x), groups)
    reduced = _graph.reduced(owner, x, rng)
    num, notes = len(reduced.points), reduced.notes
    if num_landmarks is not None and num_landmarks > num:
        raise ValueError(
            f"{owner}: `num_landmarks` must be at most the number of rows. Received: num_landmarks={num_landmarks}, "
            f"{num} rows."
        )
    points = reduced.points[reduced.rows]
    if len(points) < _LEAST_DIFFERENT:
        notes.append(f"A circle needs {_LEAST_DIFFERENT} different rows.")
        return Circles(np.zeros((num, 0)), np.zeros(0), len(points), tuple(notes))
    halves = [
        _candidates(points, part, num_landmarks or _LANDMARKS, max_circles, rng)
        for part in np.array_split(np.arange(len(points)), 2)
    ]
    length = min(len(half.ratios) for half in halves)
    persistence = np.minimum(*(half.ratios[:length] for half in halves))
    # Classes of noise come last: the most classes that stand out from the next, and that both halves agree on.
    count = min(half.angles.shape[1] for half in halves)
    if not count:
        notes.append(f"A circle needs {_LEAST_RATIO}.")
    while count and (reason := _refusal(halves, persistence, count)):
        notes.append(f"Not {count} circle{'s' * (count > 1)}: {reason}.")
        count -= 1
    angles = np.zeros((num, count))
    if count:
        smooth, whole = smoothed(halves[0].first(count), _graph.Graph(points))
        smooth = smooth @ short_basis(_differences(smooth, whole)).T
        angles = wrap(_graph.spread(smooth, points, reduced.points))
    return Circles(angles, persistence, len(points), tuple(notes))


@dataclasses.dataclass(frozen=True)
class _Half:
    """The lasting classes of half of the points.

    Attributes:
        rows: Positions of the points of the half, without outliers.
        angles: `(num, classes)`, of all points.
        differences: `(edges, classes)`, of the angles along the edges between points of the half.
        ratios: Death over birth, the largest first.
    """

    rows: np.ndarray
    angles: np.ndarray
    differences: np.ndarray
    ratios: np.ndarray

    def first(self, count: int) -> np.ndarray:
        """The angles of the first classes, in a short basis."""
        return self.angles[:, :count] @ short_basis(self.differences[:, :count]).T


def _candidates(points: np.ndarray, part: np.ndarray, num_landmarks: int, most: int, rng: np.random.Generator) -> _Half:
    """The lasting classes of some of the points."""
    num_neighbors = _graph.MANY_NEIGHBORS if len(part) >= _MANY_ROWS else _graph.NEIGHBORS
    part = part[_graph.inliers(points[part], num_neighbors)]
    graph = _graph.Graph(points[part], num_neighbors)
    landmarks = graph.landmarks(num_landmarks, rng)
    paths = graph.path_lengths(landmarks)
    distances = paths[:, landmarks]
    births, deaths, cocycles = _classes(distances, most)
    ratios = deaths / births
    count = int((ratios[:most] >= _LEAST_RATIO).sum())
    angles = np.zeros((len(part), count))
    for circle in range(count):
        scale = _SCALE * deaths[circle]
        near = distances <= scale
        alive = [cocycles[other] * near for other in range(count) if other != circle and deaths[other] > scale]
        # Later classes see the reduced one, so that no two become the same.
        lift, cocycles[circle] = _lifted(cocycles[circle] * near, alive)
        angles[:, circle] = _angles(lift, near, paths)
    if not count:
        return _Half(part, np.zeros((len(points), 0)), np.zeros((0, 0)), ratios[: most + 1])
    angles = _smooth(angles, graph)
    return _Half(part, _graph.spread(angles, graph.points, points), _differences(angles, graph), ratios[: most + 1])


def _refusal(halves: list[_Half], persistence: np.ndarray, count: int) -> str:
    """Why the first classes are not as many circles, in words, or an empty string if they are."""
    last, following = persistence[count - 1], persistence[count : count + 1].max(initial=1.0)
    if last <= _LEAST_GAP * following:
        return f"{last:.1f} is less than {_LEAST_GAP} times the next class, {following:.1f}"
    inliers = np.concatenate([half.rows for half in halves])
    return _disagreement(*(half.first(count)[inliers] for half in halves))


def _disagreement(first: np.ndarray, second: np.ndarray) -> str:
    """Why two sets of angles are not the same circles, in words, or an empty string if they are."""
    concentration = max(np.abs(np.exp(1j * angles).mean(axis=0)).max() for angles in (first, second))
    if concentration >= _MOST_CONCENTRATED:
        return f"nearly all rows have one angle (|mean exp(iφ)| = {concentration:.2f})"
    agreement = align(first, second).scores.min()
    if agreement > _LEAST_AGREEMENT:
        return ""
    return f"two halves of the rows give other angles (they agree by {agreement:.2f}, less than {_LEAST_AGREEMENT})"


def _classes(distances: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Births and deaths of the classes of the landmarks, by death over birth, the largest first.

    Also the cocycles of the first ones, modulo a prime, as antisymmetric matrices over the landmarks.
    """
    from ripser import ripser

    distances = np.maximum(distances, distances.T)  # shortest paths, but for rounding
    finite = distances[np.isfinite(distances)]
    reach = float(np.quantile(finite, _REACH))
    distances = np.where(np.isfinite(distances), distances, 2 * finite.max())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of data with more columns than rows, which distances are not
        found = ripser(distances, distance_matrix=True, maxdim=1, thresh=reach, coeff=_PRIME, do_cocycles=True)
    births, deaths = found["dgms"][1].astype("float64").T if len(found["dgms"][1]) else np.empty((2, 0))
    deaths = np.where(np.isfinite(deaths), deaths, reach)
    order = np.argsort(-deaths / births)
    cocycles = []
    for index in order[:most]:
        start, end, value = found["cocycles"][1][index].astype(int).T
        matrix = np.zeros(distances.shape, dtype=int)
        matrix[start, end], matrix[end, start] = value, -value
        cocycles.append(matrix)
    return births[order], deaths[order], cocycles


def _lifted(cocycle: np.ndarray, others: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """A small cocycle of the integers from one modulo a prime, and the cocycle modulo the prime that it came from.

    Modulo a prime, a class comes with an arbitrary factor, and with arbitrary multiples of the others that are alive.
    Multiples are taken away where the values then become much smaller.
    """
    used = np.nonzero(sum((np.abs(other) for other in others), np.abs(cocycle)))
    factors = np.arange(1, (_PRIME + 1) // 2)[:, None]

    def smallest(values: np.ndarray) -> tuple[int, np.ndarray]:
        lifts = (factors * values + _PRIME // 2) % _PRIME - _PRIME // 2
        squares = (lifts**2).sum(axis=1)
        return int(squares.min()), lifts[squares.argmin()]

    values = cocycle[used]
    for other in others:
        squares = [smallest(values + multiple * other[used])[0] for multiple in range(_PRIME)]
        best = int(np.argmin(squares))
        if squares[best] < _MUCH_SMALLER * squares[0]:
            values = values + best * other[used]
    results = np.zeros_like(cocycle), np.zeros_like(cocycle)
    results[0][used], results[1][used] = smallest(values)[1], values % _PRIME
    return results


def _angles(cocycle: np.ndarray, near: np.ndarray, paths: np.ndarray) -> np.ndarray:
    """Angles of all points `(num,)` from an integer cocycle on the landmarks that are near each other.

    The angle whose differences along edges are the cocycle, as smooth as possible (de Silva et al., section 3). A point
    has the mean direction of its nearest landmarks.
    """
    start, end = np.nonzero(near)
    offsets = _potential(start, end, 2 * math.pi * cocycle[start, end], len(near))
    weights = 1 / np.maximum(paths, 1e-12)
    nearest = np.argpartition(-weights, _NEAREST, axis=0)[:_NEAREST]
    weights = np.take_along_axis(weights, nearest, axis=0)
    return np.angle((weights * np.exp(-1j * offsets[nearest])).sum(axis=0))


def _potential(start: np.ndarray, end: np.ndarray, differences: np.ndarray, num: int) -> np.ndarray:
    """The function on `num` vertices whose differences along edges are nearest to given ones, in the mean square.

    Every edge is given in both directions, with opposite differences. The normal equations are a graph Laplacian's.
    """
    from scipy.sparse import coo_array, diags_array
    from scipy.sparse.linalg import cg

    adjacency = coo_array((np.ones(len(start)), (start, end)), (num, num)).tocsr()
    degree = np.asarray(adjacency.sum(axis=1)).ravel()
    # A small mass fixes the constant of each component; conjugate gradients then converge.
    laplacian = diags_array(degree + 1e-6) - adjacency
    divergence = np.bincount(end, weights=differences, minlength=num)
    return cg(laplacian, divergence, rtol=1e-6, maxiter=5000, M=diags_array(1 / (degree + 1e-6)))[0]


def smoothed(angles: np.ndarray, graph: _graph.Graph) -> tuple[np.ndarray, _graph.Graph]:
    """Angles with the least differences along the edges of a graph, and the graph: with more edges where it needs them.

    The angles themselves where no graph has their circles: there the least differences are zeros.
    """
    smooth = _smooth(angles, graph)
    if _disagreement(smooth, angles):
        graph = _graph.Graph(graph.points, _graph.MANY_NEIGHBORS)
        smooth = _smooth(angles, graph)
        if _disagreement(smooth, angles):
            return angles, graph
    return smooth, graph


def _smooth(angles: np.ndarray, graph: _graph.Graph) -> np.ndarray:
    """Angles of the same classes with the least differences along edges, in the mean square."""
    columns = [
        column - _potential(graph.start, graph.end, difference, len(angles))
        for column, difference in zip(angles.T, _differences(angles, graph).T, strict=True)
    ]
    return np.stack(columns, axis=1)


def _differences(angles: np.ndarray, graph: _graph.Graph) -> np.ndarray:
    """The differences of angles along the edges, `(edges, dim)`."""
    return wrap(angles[graph.end] - angles[graph.start])
