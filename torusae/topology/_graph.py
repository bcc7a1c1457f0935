"""A neighbourhood graph of data: reduced rows, edges, landmarks and the lengths of shortest paths."""

import dataclasses
import math
from typing import Any

import numpy as np

from torusae._internal import checks
from torusae._internal.arrays import blocks
from torusae.topology._fill import filled

MAX_ROWS = 10_000  # rows of the graphs; the others take their angles from neighbours among them
LEAST_ROWS = 60
NEIGHBORS = 12
# On a curve without noise, all k nearest neighbours of a point may lie on one side. A gap between two such points opens
# a circle: of 5000 points with k = 12 in one case of seven. Of few rows, as many would be no neighbours, and where
# density varies, shorter edges give better angles.
MANY_NEIGHBORS = 20
_MANY_ROWS = 1000
_FEW_ROWS, _FEW_NEIGHBORS = 50, 8
_MEDIAN_ROWS = 1000
_BLOCK = 1000  # rows that are float64 at a time
# Rows more than 5 times as large as 95 % of all are left out of the components, which a single one could take for
# itself. Neighbours then tell the other outliers: see `inliers`.
_MOST = 0.95
_FARTHEST = 5.0
MAX_COMPONENTS = 50
# A principal component below this share of the largest one's variance is noise, or too thin for a circle.
_LEAST_VARIANCE = 0.005
# Components are divided by their deviations, so that a flat ellipse becomes a circle, but not below this share.
_FLOOR = 0.03
# Noise of equal variance in many columns: components below this multiple of its variance say nothing, and divided by
# their deviations they would hide the data. Fewer components than these are not taken for noise.
_NOISE = 2.0
LEAST_NOISY = 8
# Share of the largest difference along an edge below which an angle is constant on a piece, as far as it is solved for.
_CONSTANT = 1e-2
_DENSITY_NEIGHBORS = 30
_FAR = 2.0  # local outlier factor: a point in the middle of others has 1


def require(owner: str) -> None:
    """Raises `ImportError` where the packages of the extra are missing."""
    try:
        import ripser  # noqa: F401
    except ImportError as error:
        raise ImportError(f"{owner}: needs ripser. Install it with: pip install ripser scikit-learn") from error


@dataclasses.dataclass
class Reduced:
    """Scaled principal components of data.

    Attributes:
        points: Float array `(num, components)`, of all rows.
        rows: Integer array, at most `MAX_ROWS` different rows that are not far from all others, in a random order.
        places: Integer array, positions in `rows`, to be divided into halves: in the order of `rows`, or where few rows
            differ, of all rows in a random order.
        deviations: Float array `(components,)`, by which the scaled components are multiplied to have their own sizes.
        notes: Sentences on what the data lack, and on what was left out.
    """

    points: np.ndarray
    rows: np.ndarray
    places: np.ndarray
    deviations: np.ndarray
    notes: list[str]

    @property
    def are_places(self) -> bool:
        """Whether rows repeat others so often that few places are left, as at few distinct times."""
        return len(self.places) > len(self.rows) < LEAST_ROWS


def reduced(owner: str, x: Any, rng: np.random.Generator) -> Reduced:
    """The scaled principal components of data `(num, ...)`, and a random choice of rows.

    Raises:
        TypeError: If `x` does not hold numbers.
        ValueError: If it has fewer than 60 rows, holds NaN or infinity, or is constant.
    """
    from sklearn.decomposition import PCA

    data, notes = _data_rows(owner, x)
    rows = rng.permutation(len(data))[:MAX_ROWS]
    some = np.sort(rows)

    def halves(these: Any) -> np.ndarray:  # the difference of the largest floats would be infinite
        return data[these].astype("float64") / 2

    # Where data lie and how large they are, in float64: far from zero, or at extreme scales, float32 holds nothing of
    # them. Neither depends on a few rows, however far these are.
    centre = np.median(halves(some[np.linspace(0, len(some) - 1, min(len(some), _MEDIAN_ROWS)).astype(int)]), axis=0)
    sizes = np.concatenate([np.abs(halves(some[block]) - centre).max(axis=1) for block in blocks(len(some), _BLOCK)])
    if not sizes.any():
        raise ValueError(f"{owner}: `x` must vary. Received: {len(some)} equal rows.")
    unit = np.quantile(sizes[sizes > 0], _MOST)
    far = some[sizes / unit > _FARTHEST]

    def scaled(these: Any) -> np.ndarray:
        return np.clip((halves(these) - centre) / unit, -_FARTHEST, _FARTHEST).astype("float32")

    near = np.setdiff1d(some, far)
    fitted = np.concatenate([scaled(near[block]) for block in blocks(len(near), _BLOCK)])
    count = min(MAX_COMPONENTS, *fitted.shape)
    pca = PCA(count, svd_solver="randomized", random_state=int(rng.integers(1 << 31))).fit(fitted)
    variance = pca.explained_variance_
    kept = _worth_keeping(variance, variance[0] / pca.explained_variance_ratio_[0], min(fitted.shape))
    deviations = np.sqrt(variance[kept] / variance[0] + _FLOOR)
    scale = 1 / (deviations * np.sqrt(variance[0]))
    points = np.empty((len(data), int(kept.sum())), "float32")
    for block in blocks(len(data), _BLOCK):
        points[block] = (scaled(block) - pca.mean_) @ (pca.components_[kept].T * scale)
    rows = rows[np.isin(rows, near)]
    _, first, places = np.unique(points[rows], axis=0, return_index=True, return_inverse=True)
    different = np.sort(first)
    few = len(different) < LEAST_ROWS
    places = np.searchsorted(different, first[places.ravel()]) if few else np.arange(len(different))
    if len(far):
        notes.append(f"{len(far)} of {len(some)} rows lie far from the others and were left out.")
    if len(different) < len(rows):
        notes.append(f"{len(rows) - len(different)} of {len(rows)} rows repeat others and were left out.")
    return Reduced(points, rows[different], places, deviations.astype("float32"), notes)


def _data_rows(owner: str, x: Any) -> tuple[np.ndarray, list[str]]:
    """Data as a matrix of finite rows, and sentences on what it lacks."""
    x = checks.numpy_array(owner, "x", x, missing=True)
    if x.ndim < 2 or len(x) < LEAST_ROWS or not x.size:
        raise ValueError(
            f"{owner}: `x` must have shape (num, ...) with at least {LEAST_ROWS} rows. Received: x.shape={x.shape}."
        )
    notes = []
    if not checks.finite_array(owner, "x", x, missing=True):
        notes.append(f"{np.isnan(x).mean():.1%} of the cells are unknown (NaN) and were filled.")
        x = filled(x)
    rows = x.reshape(len(x), -1)
    constant = np.flatnonzero(rows.min(axis=0) == rows.max(axis=0)) if x.ndim == 2 else ()
    if len(constant):
        shown = ", ".join(map(str, constant[:5])) + (", ..." if len(constant) > 5 else "")
        notes.append(f"{len(constant)} constant column(s) say nothing: {shown}.")
    return rows, notes


def _worth_keeping(variance: np.ndarray, total: float, rank: int) -> np.ndarray:
    """Which of the first principal components to keep. `total`: the variance of all `rank` of them."""
    kept = variance >= _LEAST_VARIANCE * variance[0]
    louder = kept & above_noise(variance, total, rank)
    return louder if louder.sum() > 1 and kept.sum() - louder.sum() >= LEAST_NOISY else kept


def above_noise(variance: np.ndarray, total: float, rank: int) -> np.ndarray:
    """Which of the first principal components stand out of noise of equal variance in all `rank` of them."""
    half = -(-len(variance) // 2)
    noise = (total - variance[:half].sum()) / max(1, rank - half)  # the mean of the others
    return variance > _NOISE * noise


class Graph:
    """Points joined to their nearest neighbours, and pieces to the nearest pieces.

    Attributes:
        points: Float array `(num, components)`.
        start: Integer array `(edges,)`, positions of points. Every edge is there in both directions.
        end: Integer array `(edges,)`.
        piece: Integer array `(num,)`, the piece of the neighbours' graph that a point belongs to.
    """

    def __init__(self, points: np.ndarray, num_neighbors: int = NEIGHBORS):
        from scipy.sparse.csgraph import connected_components
        from sklearn.neighbors import kneighbors_graph

        self.points = points
        matrix = kneighbors_graph(points, min(num_neighbors, len(points) - 1), mode="distance")
        num_pieces, self.piece = connected_components(matrix, directed=False)
        if num_pieces > 1:
            matrix += _bridges(points, self.piece, num_pieces)
        self._lengths = matrix.maximum(matrix.T)
        self.start, self.end = self._lengths.nonzero()

    def on(self, differences: np.ndarray) -> np.ndarray:
        """Which points lie on the circles of smoothed angles, `(num, dim)`: on pieces where these differ.

        An angle is constant on a piece that the circle does not pass.
        """
        largest = np.zeros((self.piece.max() + 1, differences.shape[1]))
        np.maximum.at(largest, self.piece[self.start], np.abs(differences))
        return (largest > _CONSTANT * largest.max(axis=0))[self.piece]

    def path_lengths(self, sources: np.ndarray) -> np.ndarray:
        """The lengths of the shortest paths from some points to all, `(sources, num)`."""
        from scipy.sparse.csgraph import dijkstra

        return dijkstra(self._lengths, directed=False, indices=sources)

    def landmarks(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Points that lie far from each other: each is the farthest from those before it."""
        squares = (self.points**2).sum(axis=1)
        chosen = [int(rng.integers(len(squares)))]
        nearest = np.full(len(squares), np.inf)
        while len(chosen) < min(count, len(squares)):
            last = self.points[chosen[-1]]
            np.minimum(nearest, squares - 2 * self.points @ last + last @ last, out=nearest)
            chosen.append(int(nearest.argmax()))
        return np.array(chosen)


def num_neighbors(num: int, are_places: bool) -> int:
    """To how many neighbours points are joined: of random rows to so many that none has all on one side.

    Places, which many rows share, lie evenly. So few neighbours that a ring stays a ring, about the root of the number,
    are enough, and an even number of them lies evenly.
    """
    if are_places:
        return min(NEIGHBORS, max(2, 2 * round(math.sqrt(num) / 2)))
    if num < _FEW_ROWS:
        return _FEW_NEIGHBORS
    return NEIGHBORS if num < _MANY_ROWS else MANY_NEIGHBORS


def _bridges(points: np.ndarray, piece: np.ndarray, num_pieces: int) -> Any:
    """The shortest edges between pieces and the nearest pieces, as a sparse matrix: a tree of all, and a few more.

    So few that a ring of pieces stays a ring.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import minimum_spanning_tree
    from sklearn.neighbors import NearestNeighbors

    order = np.argsort(piece, kind="stable")
    firsts = np.searchsorted(piece[order], np.arange(num_pieces))
    lengths, ends = np.zeros((num_pieces, num_pieces)), np.zeros((num_pieces, num_pieces, 2), int)
    for this in range(num_pieces):
        own = np.flatnonzero(piece == this)
        distances, nearest = (
            each[:, 0] for each in NearestNeighbors(n_neighbors=1).fit(points[own]).kneighbors(points[order])
        )
        lengths[this] = np.minimum.reduceat(distances, firsts)
        for other, part in enumerate(np.split(np.arange(len(order)), firsts[1:])):
            best = part[distances[part].argmin()]
            ends[this, other] = own[nearest[best]], order[best]
    nearest = np.argsort(lengths, axis=1)[:, 1 : 1 + num_neighbors(num_pieces, are_places=True)]
    joined = minimum_spanning_tree(lengths).toarray() > 0
    np.put_along_axis(joined, nearest, True, axis=1)
    joined = np.triu(joined | joined.T, 1)
    start, end = ends[joined].T
    return coo_array((lengths[joined], (start, end)), (len(points),) * 2).tocsr()


def averaged(points: np.ndarray, others: np.ndarray, num_neighbors: int) -> tuple[np.ndarray, np.ndarray]:
    """Points and other points, each replaced by the mean of the nearest points."""
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=num_neighbors, algorithm="brute").fit(points)
    return tuple(points[search.kneighbors(each, return_distance=False)].mean(axis=1) for each in (points, others))


def densest(points: np.ndarray, share: float) -> np.ndarray:
    """Which points are the densest ones: a share of all, those with the nearest neighbours."""
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=min(_DENSITY_NEIGHBORS, len(points) - 1)).fit(points)
    radii = search.kneighbors()[0][:, -1]
    return radii <= np.quantile(radii, share)


def inliers(points: np.ndarray, num_neighbors: int) -> np.ndarray:
    """Which points are no outliers: their neighbours are not far in comparison with the neighbours' own.

    Landmarks lie far from each other: outliers would take many of them, and join what is apart. By the local outlier
    factor (Breunig et al. 2000), which leaves sparse parts of the data alone.
    """
    from sklearn.neighbors import LocalOutlierFactor

    factors = LocalOutlierFactor(n_neighbors=min(num_neighbors, len(points) - 1)).fit(points).negative_outlier_factor_
    return -factors <= _FAR


def spread(angles: np.ndarray, on: np.ndarray, known: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Angles of points from angles of known points: the mean direction of the nearest five, `(num, dim)`.

    Also which points lie on the circles: those whose nearest known point does, `(num, dim)`.
    """
    from sklearn.neighbors import NearestNeighbors

    distances, near = NearestNeighbors(n_neighbors=min(5, len(known))).fit(known).kneighbors(points)
    weights = 1 / np.maximum(distances, 1e-12)  # a known point keeps its angles
    return np.angle((weights[..., None] * np.exp(1j * angles[near])).sum(axis=1)), on[near[:, 0]]
