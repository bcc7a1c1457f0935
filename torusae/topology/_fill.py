"""Unknown cells of data, NaN, filled from the rows that are nearest by the others."""

import numpy as np

from torusae._internal.arrays import blocks, random_rows

_MOST_ROWS = 10_000  # among which neighbours are looked for
_NEIGHBORS = 20
_ROUNDS = 5  # of neighbours
_LINEAR_ROUNDS = 50  # of principal components, at most
_SHARE = 0.98  # of the variance, in the components
_BLOCK = 4096  # rows


def filled(x: np.ndarray) -> np.ndarray:
    """Data `(num, ...)` with numbers in place of NaN. A column that no row knows becomes 0.

    First by principal components, those of the filled rows, again and again. Then five times by the mean of the known
    cells of the 20 filled rows that are nearest. At most 10000 rows serve as neighbours.

    Reference:
        Josse & Husson (2012), Handling missing values in exploratory multivariate data analysis methods, for the first
        step. The second is a torusae choice: components alone fill the hole in the middle of a circle.
    """
    unknown = np.isnan(x)
    if not unknown.any():
        return x
    unit = np.nanmax(np.abs(x), initial=0.0) or 1.0  # squares of extreme numbers would be infinite
    result = np.array(x).reshape(len(x), -1)
    some = random_rows(len(x), _MOST_ROWS, seed=0)
    values = result[some].astype("float64") / unit
    known = ~np.isnan(values)
    mean = np.nan_to_num(values).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    full = np.where(known, values, mean)
    for _ in range(_LINEAR_ROUNDS):
        components, before = _Components(full), full
        full = components.filled(values, full)
        if np.abs(full - before).max() <= 1e-3 * np.ptp(full):
            break
    for _ in range(_ROUNDS):
        full = _from_neighbors(values, full, values, full, components)
    for block in blocks(len(x), _BLOCK) if len(some) < len(x) else ():
        rows = result[block].astype("float64") / unit
        own = np.where(np.isnan(rows), mean, rows)
        for _ in range(_ROUNDS):
            own = components.filled(rows, own)
        for _ in range(_ROUNDS):
            own = _from_neighbors(rows, own, values, full, components)
        result[block] = own * unit
    result[some] = full * unit
    result[:, ~known.any(axis=0)] = 0
    return np.where(unknown, result.reshape(x.shape), x)


class _Components:
    """The principal components of rows that hold nearly all of the variance, each with its share that is no noise."""

    def __init__(self, rows: np.ndarray):
        self.mean = rows.mean(axis=0)
        variance, axes = np.linalg.eigh(np.cov(rows.T, bias=True).reshape(rows.shape[1], -1))
        variance = np.maximum(variance[::-1], np.finfo("float64").tiny)
        count = int(np.searchsorted(np.cumsum(variance), _SHARE * variance.sum())) + 1
        noise = variance[count:].mean() if count < len(variance) else 0.0
        self.axes, self.kept = axes[:, ::-1][:, :count], 1 - noise / variance[:count]

    def coordinates(self, rows: np.ndarray) -> np.ndarray:
        """The coordinates of rows along the components."""
        return (rows - self.mean) @ self.axes

    def filled(self, values: np.ndarray, full: np.ndarray) -> np.ndarray:
        """`values` with those of the components of the rows `full` in place of NaN."""
        inside = self.mean + (self.coordinates(full) * self.kept) @ self.axes.T
        return np.where(np.isnan(values), inside, values)


def _from_neighbors(
    values: np.ndarray, full: np.ndarray, others: np.ndarray, others_full: np.ndarray, components: _Components
) -> np.ndarray:
    """`values`, with the mean of what is known of the rows nearest to `full` in place of NaN."""
    from sklearn.neighbors import NearestNeighbors

    count = min(_NEIGHBORS, len(others))
    index = NearestNeighbors(n_neighbors=count).fit(components.coordinates(others_full))
    near = index.kneighbors(components.coordinates(full), return_distance=False)
    total, number = np.zeros_like(full), np.zeros(full.shape, int)
    for each in near.T:
        total += np.nan_to_num(others[each])
        number += ~np.isnan(others[each])
    means = np.where(number > 0, total / np.maximum(number, 1), full)
    return np.where(np.isnan(values), means, values)
