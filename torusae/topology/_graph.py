"""A neighbourhood graph of data: reduced rows, edges, landmarks and the lengths of shortest paths."""

import dataclasses
from typing import Any

import numpy as np

from torusae._internal import checks
from torusae._internal.arrays import blocks

MAX_ROWS = 10_000  # rows of the graphs; the others take their angles from neighbours among them
LEAST_ROWS = 100
NEIGHBORS = 12
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
        raise ImportError(f'{owner}: needs ripser. Install it with: pip install "torusae[circles]"') from error


def data_rows(owner: str, x: Any) -> tuple[np.ndarray, list[str]]:
    """Data as a matrix of finite rows, and sentences on what it lacks.

    Raises:
        TypeError: If `x` does not hold numbers.
        ValueError: If it has fewer than 100 rows, holds NaN or infinity, or is constant.
    """
    x = checks.host_array(checks.as_array(owner, "x", x))
    if x.dtype.kind not in "fiu" and "float" not in str(x.dtype):
        raise TypeError(f"{owner}: `x` must hold numbers. Received: dtype={x.dtype}.")
    if x.ndim < 2 or len(x) < LEAST_ROWS:
        raise ValueError(
            f"{owner}: `x` must have shape (num, ...) with at least {LEAST_ROWS} rows. Received: x.shape={x.shape}."
        )
    checks.finite_array(owner, "x", x)
    rows = x.reshape(len(x), -1)
    constant = np.flatnonzero(rows.min(axis=0) == rows.max(axis=0))
    if len(constant) == rows.shape[1]:
        raise ValueError(f"{owner}: `x` must vary. Received: {len(rows)} equal rows.")
    notes = []
    if len(constant) and x.ndim == 2:
        shown = ", ".join(map(str, constant[:5])) + (", ..." if len(constant) > 5 else "")
        notes.append(f"{len(constant)} constant column(s) say nothing: {shown}.")
    return rows, notes


@dataclasses.dataclass
class Reduced:
    """Scaled principal components of data.

    Attributes:
        points: Float array `(num, components)`, of all rows.
        rows: Integer array, at most `MAX_ROWS` different rows, in a random order.
        notes: Sentences on what was left out.
    """

    points: np.ndarray
    rows: np.ndarray
    notes: list[str]


def reduced(data: np.ndarray, rng: np.random.Generator) -> Reduced:
    """The scaled principal components of data, and a random choice of rows."""
    from sklearn.decomposition import PCA

    rows = rng.permutation(len(data))[:MAX_ROWS]
    some = data[np.sort(rows)].astype("float32")
    count = min(_MAX_COMPONENTS, *some.shape)
    pca = PCA(count, svd_solver="randomized", random_state=int(rng.integers(1 << 31))).fit(some)
    variance = pca.explained_variance_
    kept = _worth_keeping(variance, variance[0] / pca.explained_variance_ratio_[0], min(some.shape))
    scale = 1 / np.sqrt(variance[kept] + _FLOOR * variance[0])
    points = np.empty((len(data), int(kept.sum())), "float32")
    for block in blocks(len(data), MAX_ROWS):
        points[block] = (data[block] - pca.mean_) @ (pca.components_[kept].T * scale)
    different = np.unique(points[rows], axis=0, return_index=True)[1]
    notes = []
    if len(different) < len(rows):
        notes.append(f"{len(rows) - len(different)} of {len(rows)} rows repeat others and were left out.")
    return Reduced(points, rows[np.sort(different)], notes)


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
