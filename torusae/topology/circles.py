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
_PRIME = 47  # of the coefficients: classes that vanish twice, as in a Klein bottle, are no circles
_REACH = 0.5  # quantile of the landmarks' distances up to which classes are followed
_LEAST_RATIO = 2.7  # sheets and images make lasting classes of 2.6 that both halves can share
_CLEAR = 2.5  # such a gap needs no other view of the data
_LEAST_GAP = 1.2  # between the persistence of the last circle and of the next class: those of noise are a continuum
_MUCH_SMALLER = 0.5  # sum of squared values of a cocycle for which multiples of others are taken away
# |mean exp(iφ)|: around a gap, angles are constant nearly everywhere and agree by that, 0.93 and more. A von Mises
# density with κ = 1.5 has 0.84.
_MOST_CONCENTRATED = 0.9
_LEAST_AGREEMENT = 0.9  # |mean exp(i difference)| of the angles that two halves of the rows give
# Share of a class's death at which its cocycle is read: classes of noise, which could be added to it, are dead there.
_SCALE = 0.9
_CONTROL_LANDMARKS = 150  # in each half
_FEW_ROWS = 200  # fewer are divided into halves that overlap
_LARGER_HALF = 2 / 3
_LEAST_DIFFERENT = 6  # rows
# Between so many places by chance, classes reach 2.3 at most; a circle of twelve unevenly spaced ones is at 2.6.
_PLACES = range(8, 17)
_LEAST_RATIO_OF_PLACES = 2.3
_LEAST_PLACES = 12  # death over birth of a regular polygon of n corners is less than n / 3
_LEAST_AVERAGES = 10  # a row is the mean of no more than one of so many
_NEAREST = 4  # landmarks that give a row its angle
_STEP = 0.5  # radians from a row to the next, where rows are in the order of time; without an order it is π/2
_ARCS = 12  # of a circle, at which passes are counted
_SELDOM = 5  # passes: loops of random walks have 1 to 5


@dataclasses.dataclass(frozen=True)
class Circles:
    """The circles that `find_circles` found. `str(circles)` says it in sentences.

    Attributes:
        angles: Float array `(num, num_circles)`, radians, `[-π, π)`: an angle of every row along every circle.
        persistence: Float array, death over birth of the classes, the largest first, in the half where it is less.
        num_rows: Integer, the different rows that were compared.
        num_components: Integer, the principal components that they were compared in.
        on_circle: Boolean array `(num,)`: the rows that lie on a circle. The others are those of pieces that no circle
            passes, and have one angle in each.
        notes: Tuple of sentences on what the data lack, on why a lasting class is no circle, and on circles that rows
            in their order pass fewer than 5 times.
        p_value: Float, with `surrogates=`: the chance that shuffled columns show as lasting a class. Else `None`.
    """

    angles: np.ndarray = dataclasses.field(repr=False)
    persistence: np.ndarray
    num_rows: int
    num_components: int
    on_circle: np.ndarray = dataclasses.field(repr=False)
    notes: tuple[str, ...] = ()
    p_value: float | None = None

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
    x: Any,
    num_landmarks: int | None = None,
    max_circles: int = 8,
    seed: int = 0,
    groups: Any = None,
    surrogates: int | None = None,
) -> Circles:
    """Says how many circles data show, and gives an angle of every row along each.

    A circle is a class of the first cohomology that lives much longer than the classes of noise, in two halves of the
    rows. No shift or scale of all data changes the result. The steps:

    - Rows more than 5 times as far from the median as 95 % of all are left out, as outliers below.
    - Principal components below 0.5 % of the largest variance are dropped, and so are eight or more that look like
      noise: below twice the mean variance of the smaller half. The others are scaled to similar variances.
    - At most 10000 random rows are divided into two halves, of fewer than 200 rows into two parts of two thirds. In
      each, rows are joined to their 20 nearest neighbours, 12 of fewer than 1000 rows, 8 of fewer than 50. Pieces are
      joined to the nearest pieces by their shortest edges. Distances are lengths of shortest paths. Rows with a local
      outlier factor above 2 are left out; they take the angles of the rows nearest to them.
    - Persistent cohomology of a Rips complex on landmarks, by the package ripser.
    - Candidates are the classes whose persistence, death over birth, is at least 2.7, among 8 to 16
      pieces or places 2.3, and 1.2 times that of the next.
    - Each candidate gives an angle whose differences along edges are least in the mean square. Integer combinations of
      the angles with the least differences become the basis: see `short_basis`.
    - The circles are the candidates that both halves agree on: the angles correspond to 0.9 after `align`, on the
      pieces that the circles pass. Gaps of random samples do not come back in the other half.
    - Where there is none, or a candidate is refused, four other views of the rows are searched in the same way:
      components with their own variances, with twice as many neighbours; each row as the mean of its 40 nearest
      neighbours, at most a tenth of a half; the denser half of the rows; and means of 60. The search ends at a view
      without a refusal whose last circle is 2.5 times the next class; else the view counts where it is the most times
      that. A view must show more circles than the first.

    Where fewer than 60 rows differ, as at few clock times, both halves have all places that rows repeat, joined to
    about the root of their number. A ring of fewer than about ten places is no proof of a circle: a regular hexagon has
    a persistence of 1.7.

    Angles are defined up to a basis of integer combinations, their directions and zeros: see `align`.

    Args:
        x: Float array `(num, ...)` of at least 60 samples; each is flattened. Unknown cells, NaN or masked, are
            filled, which `notes` say: by principal components, then by the mean of what the 20 nearest rows know.
        num_landmarks: Integer, at least 50, at most the number of rows. More landmarks see smaller circles and cost
            time. Defaults to `None`: 600, or all rows where there are fewer.
        max_circles: Integer, the largest number of circles. Defaults to `8`.
        seed: Integer, seed of the choice of rows and landmarks. Defaults to `0`.
        groups: Integers or strings `(num,)`, the batch, subject or day of each row. The mean and the scale of each
            group are taken out first, of a table those of each column. Defaults to `None`.
        surrogates: Integer, at least 1: a control by as many copies of the data, in each of which every column is
            shuffled by itself. Each is searched in all views but the last. `p_value` is the rank of the data's largest
            persistence among theirs. 20 copies take about 20 times the time. Defaults to `None`: no control.

    Returns:
        `Circles`.

    Raises:
        ImportError: If ripser is missing: `pip install ripser scikit-learn`.
        TypeError: If `x` does not hold numbers, a count is no integer, or groups are neither integers nor strings.
        ValueError: If `x` has fewer than 60 rows, fewer rows than landmarks, holds infinity, or is constant,
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
    surrogates = checks.optional_int(owner, "surrogates", surrogates, least=1)
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
    if len(reduced.rows) < _LEAST_DIFFERENT:
        notes.append(f"A circle needs {_LEAST_DIFFERENT} different rows.")
        none = np.zeros((num, 0)), np.zeros(0), len(reduced.rows), reduced.points.shape[1], np.zeros(num, bool)
        return Circles(*none, tuple(notes), 1.0 if surrogates else None)
    plain = _PLAIN if num_landmarks is None else dataclasses.replace(_PLAIN, landmarks=num_landmarks)
    looks = []
    for view in (plain, *_VIEWS):
        found = _search(reduced, view, max_circles, rng)
        looks.append(found)
        if found.count and not found.refusals and (view is plain or found.margin >= _CLEAR):
            break  # data that one view shows clearly need no other
    else:
        found = max((look for look in looks if look.count), key=lambda look: look.margin, default=looks[0])
    if looks[0].count >= found.count:
        found = looks[0]
    notes += found.refusals
    if not found.count:
        notes += _why_none(reduced, looks)
    elif found.view.name:
        notes.append(f"Found {found.view.name}.")
    angles, on = _of_all(reduced, found)
    notes += _passed_seldom(angles)
    p_value = None
    if surrogates:
        p_value = _p_value(owner, x, surrogates, rng)
        notes.append(f"Among {surrogates} copies with shuffled columns, p = {p_value:.2g}.")
    return Circles(angles, found.persistence, len(reduced.rows), reduced.points.shape[1], on, tuple(notes), p_value)


def _p_value(owner: str, x: Any, num: int, rng: np.random.Generator) -> float:
    """The rank of the largest persistence among those of copies with shuffled columns."""
    rows = checks.numpy_array(owner, "x", x, missing=True)
    rows = rows.reshape(len(rows), -1)[rng.permutation(len(rows))[: _graph.MAX_ROWS]]

    def largest(rows: np.ndarray) -> float:
        reduced = _graph.reduced(owner, rows, rng)
        views = (dataclasses.replace(view, landmarks=_CONTROL_LANDMARKS) for view in (_PLAIN, *_VIEWS[:2]))
        return max(_search(reduced, view, 0, rng).persistence.max(initial=1.0) for view in views)

    own = largest(rows)
    return (1 + sum(largest(rng.permuted(rows, axis=0)) >= own for _ in range(num))) / (1 + num)


def _why_none(reduced: _graph.Reduced, looks: list["_Found"]) -> list[str]:
    """Sentences on why data show no circle."""
    notes = []
    if not looks[0].refusals:
        notes.append(f"A circle needs {_LEAST_RATIO}.")
    num_pieces = int(looks[0].halves[0].graph.piece.max()) + 1
    places = len(reduced.rows) if len(reduced.rows) < _LEAST_PLACES else num_pieces
    if 1 < places < _LEAST_PLACES:
        what = f"The rows fall into {places} pieces" if places == num_pieces else f"Only {places} rows differ"
        notes.append(
            f"{what}: a ring of so few places is no proof of a circle. If their angles are known, give them to "
            "`initialize_at_circles`."
        )
    elif len(reduced.rows) < _FEW_ROWS:
        notes.append(f"{len(reduced.rows)} rows are few: they can hide a circle.")
    return notes


def _passed_seldom(angles: np.ndarray) -> list[str]:
    """Sentences on circles that rows in the order of time go around few times: a random walk makes such loops too."""
    notes = []
    for index, angle in enumerate(angles.T):
        if np.median(np.abs(wrap(np.diff(angle)))) > _STEP:
            continue  # the rows have no order
        times = int(np.median([_visits(wrap(angle - place)) for place in np.arange(_ARCS) * 2 * np.pi / _ARCS]))
        if times < _SELDOM:
            notes.append(
                f"The rows, in their order, pass circle {index} {times} time{'s' * (times != 1)}: a random walk "
                f"makes such loops too."
            )
    return notes


def _visits(offset: np.ndarray) -> int:
    """How often rows come into an arc around 0, each time from more than a quarter of a turn away."""
    near, far = np.abs(offset) < np.pi / _ARCS, np.abs(offset) > np.pi / 2
    near = near[near | far]
    return int((near[1:] & ~near[:-1]).sum() + near[:1].sum())


def _of_all(reduced: _graph.Reduced, found: "_Found") -> tuple[np.ndarray, np.ndarray]:
    """The angles of all rows along the circles that were found, and which rows lie on any."""
    if not found.count:
        return np.zeros((len(reduced.points), 0)), np.zeros(len(reduced.points), bool)
    points, rows = found.view.points(reduced, reduced.rows), found.view.points(reduced, slice(None))
    angles, on = found.halves[0].first(found.count)
    if found.view.neighbors or found.view.densest < 1:  # under noise, edges between all rows lead across the circles
        second = found.halves[1].first(found.count)[0]
        angles = np.angle(np.exp(1j * angles) + np.exp(1j * align(second, angles)(second)))
        angles, on = _graph.spread(angles, on, points, rows)
    else:
        num_neighbors = min(_graph.NEIGHBORS, _graph.num_neighbors(len(points), reduced.are_places))
        angles, on = _spread(*smoothed(angles, _graph.Graph(points, num_neighbors)), rows)
    return wrap(angles), on.sum(axis=1) > 0


@dataclasses.dataclass(frozen=True)
class _View:
    """A way to look at data.

    Attributes:
        name: In words, for the notes.
        flat: Whether components have similar variances, or their own.
        neighbors: Over how many neighbours rows are averaged, or 0.
        wide: By what the number of neighbours is multiplied, but for few rows a piece.
        densest: Share of the rows that is looked at, the densest.
        most: How many rows of a half are looked at.
        landmarks: How many in each half.
    """

    name: str = ""
    flat: bool = False
    neighbors: int = 0
    wide: int = 1
    densest: float = 1.0
    most: int = _graph.MAX_ROWS
    landmarks: int = 300

    def points(self, reduced: _graph.Reduced, rows: Any) -> np.ndarray:
        """Rows of scaled components."""
        return reduced.points[rows] if self.flat else reduced.points[rows] * reduced.deviations

    def averaged(self, points: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points and other points as means of the nearest points."""
        if not self.neighbors:
            return points, others
        return _graph.averaged(points, others, min(self.neighbors, max(2, len(points) // _LEAST_AVERAGES)))


_PLAIN = _View(flat=True, landmarks=_LANDMARKS)
_VIEWS = (
    _View("among components with their own variances", wide=2),
    _View("after means over 40 neighbours", neighbors=40, most=1500),
    _View("among the denser half of the rows", densest=0.5, most=1500),
    _View("after means over 60 neighbours", neighbors=60, most=2500, landmarks=450),
)


@dataclasses.dataclass(frozen=True)
class _Found:
    """What one view shows.

    Attributes:
        view: The view.
        halves: Of the rows.
        persistence: Death over birth in the half where it is less, the largest first.
        count: The number of circles.
        refusals: Why there are no more, in sentences.
    """

    view: _View
    halves: list["_Half"]
    persistence: np.ndarray
    count: int
    refusals: list[str]

    @property
    def margin(self) -> float:
        """Persistence of the last circle over that of the next class."""
        return self.persistence[self.count - 1] / self.persistence[self.count :].max(initial=1.0)


@dataclasses.dataclass(frozen=True)
class _Half:
    """The lasting classes of half of the points.

    Attributes:
        rows: Positions of the points of the half, without outliers.
        graph: Of these points, as the view shows them.
        angles: `(points of the graph, classes)`.
        points: All points, as means of those of the half where the view averages.
        ratios: Death over birth, the largest first.
    """

    rows: np.ndarray
    graph: _graph.Graph
    angles: np.ndarray
    points: np.ndarray
    ratios: np.ndarray

    def first(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The angles of the first classes in a short basis, and which points lie on them, each `(num, count)`."""
        return _spread(self.angles[:, :count], self.graph, self.points)


def _spread(angles: np.ndarray, graph: _graph.Graph, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Angles of points in a short basis from those of a graph, and which lie on the circles, each `(num, dim)`."""
    basis = short_basis(_differences(angles, graph)).T
    return _graph.spread(angles @ basis, graph.on(_differences(angles @ basis, graph)), graph.points, points)


def _search(reduced: _graph.Reduced, view: _View, most: int, rng: np.random.Generator) -> _Found:
    """The circles of one view that two halves of the rows agree on."""
    points = view.points(reduced, reduced.rows)
    # Rows that repeat others are in both halves.
    num = len(reduced.places)
    size = math.ceil(num * (_LARGER_HALF if num < _FEW_ROWS else 1 / 2))
    parts = [np.unique(reduced.places[part]) for part in (slice(size), slice(num - size, None))]
    if min(map(len, parts)) < _LEAST_PLACES:
        parts = [np.arange(len(points))] * 2
    halves = [_candidates(points, part, view, most, rng, reduced.are_places) for part in parts]
    length = min(len(half.ratios) for half in halves)
    persistence = np.minimum(*(half.ratios[:length] for half in halves))
    # Classes of noise come last: the most classes that stand out from the next, and that both halves agree on.
    count = min(half.angles.shape[1] for half in halves)
    refusals = []
    while count and (reason := _refusal(halves, persistence, count)):
        refusals.append(f"Not {count} circle{'s' * (count > 1)}: {reason}.")
        count -= 1
    return _Found(view, halves, persistence, count, refusals)


def _candidates(
    points: np.ndarray, part: np.ndarray, view: _View, most: int, rng: np.random.Generator, are_places: bool
) -> _Half:
    """The lasting classes of some of the points."""
    num_neighbors = _graph.num_neighbors(len(part), are_places)
    part = part[
        _graph.inliers(points[part], num_neighbors) if view.densest == 1 else _graph.densest(points[part], view.densest)
    ]
    known, points = view.averaged(points[part], points)
    if len(known) > view.most:
        known = known[rng.permutation(len(known))[: view.most]]
    graph = _graph.Graph(known, num_neighbors)
    if view.wide > 1 and len(part) >= _FEW_ROWS * max(2, graph.piece.max() + 1) / 2:
        graph = _graph.Graph(known, view.wide * num_neighbors)
    landmarks = graph.landmarks(view.landmarks, rng)
    paths = graph.path_lengths(landmarks)
    distances = paths[:, landmarks]
    births, deaths, cocycles = _classes(distances, most)
    ratios = deaths / births
    of_places = {len(known), graph.piece.max() + 1} & set(_PLACES)
    count = int((ratios[:most] >= (_LEAST_RATIO_OF_PLACES if of_places else _LEAST_RATIO)).sum())
    angles = np.zeros((len(known), count))
    for circle in range(count):
        scale = _SCALE * deaths[circle]
        near = distances <= scale
        alive = [cocycles[other] * near for other in range(count) if other != circle and deaths[other] > scale]
        # Later classes see the reduced one, so that no two become the same.
        lift, cocycles[circle] = _lifted(cocycles[circle] * near, alive)
        angles[:, circle] = _angles(lift, near, paths)
    if count:
        angles = _smooth(angles, graph)
    return _Half(part, graph, angles, points, ratios[: most + 1])


def _refusal(halves: list[_Half], persistence: np.ndarray, count: int) -> str:
    """Why the first classes are not as many circles, in words, or an empty string if they are."""
    last, following = persistence[count - 1], persistence[count : count + 1].max(initial=1.0)
    if last <= _LEAST_GAP * following:
        return f"{last:.1f} is less than {_LEAST_GAP} times the next class, {following:.1f}"
    inliers = np.concatenate([half.rows for half in halves])
    (first, first_on), (second, second_on) = ([each[inliers] for each in half.first(count)] for half in halves)
    left = np.ones(count, bool)
    while left.any():  # circles on other pieces are compared there
        these = _on_the_same(first_on, first_on[:, left.argmax()])
        those = _on_the_same(second_on, first_on[:, left.argmax()])
        left &= ~these
        if these.sum() != those.sum():
            return "two halves of the rows have their circles on other rows"
        rows = first_on[:, these].all(axis=1) & second_on[:, those].all(axis=1)
        if reason := _disagreement(first[rows][:, these], second[rows][:, those]):
            return reason
    return ""


def _on_the_same(on: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Which circles lie on given rows: they share more than half of all that lie on either."""
    rows = rows[:, None]
    return (on & rows).sum(axis=0) > 0.5 * (on | rows).sum(axis=0)


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
    # Beyond the radius of all landmarks around one, the complex is a cone and has no class.
    reach = float(min(np.quantile(distances, _REACH), distances.max(axis=1).min()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of data with more columns than rows, which distances are not
        found = ripser(distances, distance_matrix=True, maxdim=1, thresh=reach, coeff=_PRIME, do_cocycles=most > 0)
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
    for each in (graph, _graph.Graph(graph.points, _graph.MANY_NEIGHBORS)):
        smooth = _smooth(angles, each)
        on = each.on(_differences(smooth, each))
        if not any(
            _disagreement(smooth[rows, circle, None], angles[rows, circle, None]) for circle, rows in enumerate(on.T)
        ):
            return smooth, each
    return angles, each


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
