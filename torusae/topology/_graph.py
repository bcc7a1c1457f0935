"""A neighbourhood graph of data: reduced rows, edges, landmarks and the lengths of shortest paths."""

import dataclasses
from typing import Any

import numpy as np

from torusae._internal import checks
from torusae._internal.arrays import blocks
from torusae.topology._fill import filled

MAX_ROWS = 10_000  # rows of the graphs; the others take their angles from neighbours among them
LEAST_ROWS = 100
NEIGHBORS = 12
# On a curve without noise, all k nearest neighbours of a point may lie on one side. A gap between two such points opens
# a circle: of 5000 points with k = 12 in one case of seven. Of few rows, as many would be no neighbours, and where
# density varies, shorter edges give better angles.
MANY_NEIGHBORS = 20
_MEDIAN_ROWS = 1000
_BLOCK = 1000  # rows that are float64 at a time
# Rows more than 5 times as large as 95 % of all are left out of the components, which a single one could take for
# itself. Neighbours then tell the other outliers: see `inliers`.
_MOST = 0.95
_FARTHEST = 5.0
_MAX_COMPONENTS = 50
# A principal component below this share of the largest one's variance is noise, or too thin for a circle.
_LEAST_VARIANCE = 0.005
# Components are divided by their deviations, so that a flat ellipse becomes a circle, but not below this share.
_FLOOR = 0.03
# Noise of equal variance in many columns: components below this multiple of its variance say nothing, and divided by
# their deviations they would hide the data. Fewer components than these are not taken for noise.
_NOISE = 2.0
_LEAST_NOISY = 8
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
        notes: Sentences on what the data lack, and on what was left out.
    """

    points: np.ndarray
    rows: np.ndarray
    notes: list[str]


def reduced(owner: str, x: Any, rng: np.random.Generator) -> Reduced:
    """The scaled principal components of data `(num, ...)`, and a random choice of rows.

    Raises:
        TypeError: If `x` does not hold numbers.
        ValueError: If it has fewer than 100 rows, holds NaN or infinity, or is constant.
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
    count = min(_MAX_COMPONENTS, *fitted.shape)
    pca = PCA(count, svd_solver="randomized", random_state=int(rng.integers(1 << 31))).fit(fitted)
    variance = pca.explained_variance_
    kept = _worth_keeping(variance, variance[0] / pca.explained_variance_ratio_[0], min(fitted.shape))
    scale = 1 / np.sqrt(variance[kept] + _FLOOR * variance[0])
    points = np.empty((len(data), int(kept.sum())), "float32")
    for block in blocks(len(data), _BLOCK):
        points[block] = (scaled(block) - pca.mean_) @ (pca.components_[kept].T * scale)
    rows = rows[np.isin(rows, near)]
    different = np.sort(np.unique(points[rows], axis=0, return_index=True)[1])
    if len(far):
        notes.append(f"{len(far)} of {len(some)} rows lie far from the others and were left out.")
    if len(different) < len(rows):
        notes.append(f"{len(rows) - len(different)} of {len(rows)} rows repeat others and were left out.")
    return Reduced(points, rows[different], notes)


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
    half = -(-len(variance) // 2)
    noise = (total - variance[:half].sum()) / max(1, rank - half)  # the mean of the others
    louder = kept & (variance > _NOISE * noise)
    return louder if louder.sum() > 1 and kept.sum() - louder.sum() >= _LEAST_NOISY else kept


class Graph:
    """Points joined to their nearest neighbours.

    Attributes:
        points: Float array `(num, components)`.
        start: Integer array `(edges,)`, positions of points. Every edge is there in both directions.
        end: Integer array `(edges,)`.
    """

    def __init__(self, points: np.ndarray, num_neighbors: int = NEIGHBORS):
        from sklearn.neighbors import kneighbors_graph

        self.points = points
        matrix = kneighbors_graph(points, min(num_neighbors, len(points) - 1), mode="distance")
        self._lengths = matrix.maximum(matrix.T)
        self.start, self.end = self._lengths.nonzero()

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


def inliers(points: np.ndarray, num_neighbors: int) -> np.ndarray:
    """Which points are no outliers: their neighbours are not far in comparison with the neighbours' own.

    Landmarks lie far from each other: outliers would take many of them, and join what is apart. By the local outlier
    factor (Breunig et al. 2000), which leaves sparse parts of the data alone.
    """
    from sklearn.neighbors import LocalOutlierFactor

    factors = LocalOutlierFactor(n_neighbors=min(num_neighbors, len(points) - 1)).fit(points).negative_outlier_factor_
    return -factors <= _FAR


def spread(angles: np.ndarray, known: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Angles of points from angles of known points: the mean direction of the nearest five, `(num, dim)`."""
    from sklearn.neighbors import NearestNeighbors

    distances, near = NearestNeighbors(n_neighbors=5).fit(known).kneighbors(points)
    weights = 1 / np.maximum(distances, 1e-12)  # a known point keeps its angles
    return np.angle((weights[..., None] * np.exp(1j * angles[near])).sum(axis=1))
