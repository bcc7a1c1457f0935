"""Integer combinations, directions and zeros of angles: by other angles, or by time."""

import dataclasses
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from torusae._internal import checks, units
from torusae._internal.arrays import angle_rows, float_array, float_rows, time_steps, wrap
from torusae._internal.checks import Tensor
from torusae.angles import primitive_directions

_BEAM = 100  # partial choices that are followed
_CANDIDATES = 24  # directions of each angle that are tried
_MAX_ROWS = 5000
_SURE = 4  # standard errors of the movement by which time tells a direction
_BINS, _WIDTH = 360, 0.15  # of a circle, and of the kernel that smooths values along it, radians


@dataclasses.dataclass(frozen=True)
class Alignment:
    """The map of angles that `align` or `orient` found. `alignment(angles)` applies it, to new rows too.

    Attributes:
        matrix: Integer array `(num_references, dim)`. It can be completed to an integer matrix of determinant ±1.
        shift: Float array `(num_references,)`, radians.
        scores: Float array `(num_references,)`, `|mean exp(i (reference - matrix · angles))|`: 1 means equal up to the
            shift. Unrelated angles give about `0.9 / sqrt(num)` for a single direction, more for the best of many.
            Of `orient`: the way gone forwards in time over the whole way, 1 where an angle never turns back.
    """

    matrix: np.ndarray
    shift: np.ndarray
    scores: np.ndarray

    def __call__(self, angles: Tensor) -> np.ndarray:
        """The angles mapped onto the reference, `(num, num_references)`, radians, `[-π, π)`."""
        angles = angle_rows("Alignment", angles)
        if angles.shape[1] != self.matrix.shape[1]:
            raise ValueError(
                f"Alignment: `angles` must have {self.matrix.shape[1]} columns. Received: shape={angles.shape}."
            )
        return wrap(angles @ self.matrix.T + self.shift)


def align(angles: Tensor, reference: Tensor, max_entry: int = 2) -> Alignment:
    """Finds the integer matrix, the directions and the shift that best map angles to a reference.

    Angles that a model finds without labels are those of the data up to a change of basis: integer combinations with
    determinant ±1, which include the order and the directions of the circles, and a shift of every zero. Compare angles
    only after `align`.

    Formula: the rows `k` of the matrix have the largest `Σ_j |mean exp(i (θ_j - k_j·φ))|` among integer rows with
    entries up to `max_entry`, at most two (up to three angles: three) of them not zero, that are part of a basis.

    Args:
        angles: Float tensor `(num, dim)`, radians.
        reference: Float tensor `(num, num_references)`, radians, with at most `dim` columns.
        max_entry: Integer, at least 1, the largest entry of the matrix. Defaults to `2`.

    Returns:
        `Alignment`.

    Raises:
        TypeError: If a tensor does not hold floating-point numbers.
        ValueError: If the tensors have different numbers of rows, the reference has more columns than the angles, or a
            value is not finite.

    Example:

    >>> import numpy as np, torusae
    >>> truth = np.random.default_rng(0).uniform(-np.pi, np.pi, (500, 2))
    >>> angles = np.stack([truth[:, 0] + truth[:, 1], -truth[:, 1] + 1], axis=1)
    >>> alignment = torusae.topology.align(angles, truth)
    >>> alignment.matrix.tolist(), alignment.scores.round(3).tolist()
    ([[1, 1], [0, -1]], [1.0, 1.0])
    """
    owner = "align"
    angles, reference = angle_rows(owner, angles), angle_rows(owner, reference, "reference")
    units.check_no_points(owner, "angles", angles)
    max_entry = checks.positive_int(owner, "max_entry", max_entry)
    if len(angles) != len(reference) or angles.shape[1] < reference.shape[1]:
        raise ValueError(
            f"{owner}: `angles` and `reference` must have as many rows, and `reference` at most as many columns. "
            f"Received: angles.shape={angles.shape}, reference.shape={reference.shape}."
        )
    lines = primitive_directions(angles.shape[1], max_entry, interactions=3 if angles.shape[1] <= 3 else 2)
    directions = np.stack([lines, -lines], axis=1).reshape(-1, angles.shape[1])  # the simplest first
    rows = np.linspace(0, len(angles) - 1, min(len(angles), _MAX_ROWS)).astype(int)
    waves = np.exp(1j * (angles[rows] @ directions.T))
    moments = np.abs(np.exp(-1j * reference[rows]).T @ waves) / len(rows)
    # The beam of partial choices with the largest sums of scores.
    beam: list[tuple[float, list[np.ndarray]]] = [(0.0, [])]
    for column in moments:
        best = np.argsort(-column, kind="stable")
        for tried in (best[:_CANDIDATES], best):  # all directions where the best ones depend on those chosen
            longer = [
                (score + column[index], [*chosen, directions[index]])
                for score, chosen in beam
                for index in tried
                if is_part_of_basis([*chosen, directions[index]])
            ]
            if longer:
                break
        beam = sorted(longer, key=lambda each: -each[0])[:_BEAM]
    matrix = np.array(beam[0][1])
    means = np.exp(1j * (reference - angles @ matrix.T)).mean(axis=0)
    return Alignment(matrix, np.angle(means), np.abs(means))


def orient(angles: Tensor, times: Any, peak: Tensor | None = None) -> Alignment:
    """Finds the directions in which angles grow with time, and puts their zeros where a given column peaks.

    Angles that a model finds without labels have any direction and any zero. Of a time series both have a meaning:
    `orient(angles, times, peak=values)(angles)` is 0 where `values` are largest, and grows from there.

    Formula: an angle is turned round if the sum of its steps between consecutive rows, each in `[-π, π)`, is negative.
    Steps across a gap of the times, above 1.5 times the median, do not count. The peak is the largest mean of the
    values along the angle, smoothed over 0.15 radians.

    Args:
        angles: Float tensor `(num, dim)`, radians. The rows are in the order of time.
        times: Array `(num,)` of numbers or `datetime64`, increasing.
        peak: Float tensor `(num,)`, or `(num, dim)` for one column an angle: values whose peak becomes the zero.
            Defaults to `None`: zeros stay.

    Returns:
        `Alignment`, with a diagonal matrix of 1 and -1.

    Raises:
        TypeError: If angles or values are not floating-point numbers, or times neither numbers nor `datetime64`.
        ValueError: If times do not increase, numbers of rows differ, or a value is not finite.

    A warning is given for an angle whose steps show no direction: its sign stays.

    Example:

    >>> import numpy as np, torusae
    >>> hours = np.arange(0.0, 96, 0.5)
    >>> angles = 1 - 2 * np.pi * hours[:, None] / 24  # backwards, from 1
    >>> warm_at_three = np.cos(2 * np.pi * (hours - 15) / 24)
    >>> oriented = torusae.topology.orient(angles, hours, peak=warm_at_three)(angles)
    >>> float(hours[np.abs(oriented[:, 0]).argmin()] % 24), bool(oriented[31, 0] > oriented[30, 0])
    (15.0, True)
    """
    owner = "orient"
    angles = angle_rows(owner, angles)
    units.check_no_points(owner, "angles", angles)
    num, dim = angles.shape
    _, is_gap = time_steps(owner, times, num)
    values = np.zeros(num) if peak is None else float_array(owner, "peak", peak)
    if values.shape not in ((num,), (num, dim)):
        raise ValueError(f"{owner}: `peak` must have shape ({num},) or ({num}, {dim}). Received: shape={values.shape}.")
    steps = wrap(np.diff(angles, axis=0))[~is_gap]
    movement, error = steps.sum(axis=0), np.sqrt((steps**2).sum(axis=0))
    unsure = np.flatnonzero(np.abs(movement) <= _SURE * error)
    if len(unsure):
        warnings.warn(
            f"{owner}: angles {unsure.tolist()} go back as often as forwards. Received: steps of which "
            f"{np.round(movement[unsure], 1).tolist()} radians are left in all. Their directions stay. Are the rows in "
            f"the order of time, and several in each cycle?",
            stacklevel=checks.users_level(),
        )
    signs = np.where((movement < 0) & ~np.isin(np.arange(dim), unsure), -1, 1)
    scores = signs * movement / np.maximum(np.abs(steps).sum(axis=0), 1e-300)
    shift = np.zeros(dim)
    if peak is not None:
        columns = np.broadcast_to(values.reshape(num, -1), (num, dim)).T
        shift = wrap(np.array([-_peak(*each) for each in zip((signs * angles).T, columns, strict=True)]))
    return Alignment(np.diag(signs), shift, scores)


def _peak(angles: np.ndarray, values: np.ndarray) -> float:
    """The angle at which the mean of values is largest, of `(num,)` angles and values."""
    bins = np.floor((angles + np.pi) / (2 * np.pi) * _BINS).astype(int) % _BINS
    centers = (np.arange(_BINS) + 0.5) * 2 * np.pi / _BINS - np.pi
    kernel = np.fft.rfft(np.exp((np.cos(centers + np.pi - np.pi / _BINS) - 1) / _WIDTH**2))
    counts, sums = (
        np.fft.irfft(np.fft.rfft(np.bincount(bins, weights, _BINS)) * kernel, _BINS)
        for weights in (np.ones(len(values)), values - values.mean())
    )
    means = np.where(counts > 0.5, sums / np.maximum(counts, 0.5), -np.inf)  # where rows are
    return float(centers[means.argmax()])


def is_part_of_basis(rows: Iterable[np.ndarray]) -> bool:
    """Whether integer rows can be completed to a matrix of determinant ±1: their Hermite form has a unit diagonal."""
    left = [list(map(int, row)) for row in rows]
    for index, row in enumerate(left):
        # Euclid's algorithm on the columns from `index` on leaves one entry in this row.
        while True:
            columns = [column for column in range(index, len(row)) if row[column]]
            if not columns:
                return False
            pivot = min(columns, key=lambda column: abs(row[column]))
            if len(columns) == 1:
                break
            for column in columns:
                if column != pivot:
                    factor = row[column] // row[pivot]
                    for other in left:
                        other[column] -= factor * other[pivot]
        if abs(row[pivot]) != 1:
            return False
        for other in left:
            other[index], other[pivot] = other[pivot], other[index]
    return True


def short_basis(differences: np.ndarray) -> np.ndarray:
    """The integer change of basis after which the differences of angles along edges are short.

    Angles of data are defined up to integer combinations. Those with the least mean squared difference between
    neighbours are the most natural ones. Lenstra, Lenstra & Lovász (1982) find them almost: the algorithm LLL, with
    their parameter 3/4, on the Gram matrix of the differences.

    Args:
        differences: Float array `(edges, dim)`, differences of `dim` angles between neighbours, radians.

    Returns:
        Integer array `(dim, dim)` of determinant ±1. The rows are ordered by length, the shortest first.

    Raises:
        TypeError: If `differences` are not floating-point numbers.
        ValueError: If they are not of rank 2, or not finite.

    Example:

    >>> import numpy as np, torusae
    >>> steps = np.random.default_rng(0).normal(size=(100, 2))
    >>> skew = steps @ np.array([[1, 3], [0, 1]]).T
    >>> basis = torusae.topology.short_basis(skew)
    >>> np.abs(basis @ np.array([[1, 3], [0, 1]])).tolist() in ([[1, 0], [0, 1]], [[0, 1], [1, 0]])
    True
    """
    differences = float_rows("short_basis", "differences", differences)
    gram = differences.T @ differences / len(differences)
    dim = len(gram)
    # Differences of one angle only would leave lengths of 0, and the algorithm would not end.
    gram = gram / max(np.trace(gram), 1e-300) + 1e-12 * np.eye(dim)
    basis = np.eye(dim, dtype=int)

    root = np.linalg.cholesky(gram)  # the squared length of a row is that of row @ root

    def orthogonalized() -> tuple[np.ndarray, np.ndarray]:
        """Gram-Schmidt: the coefficients μ and the squared lengths."""
        triangle = np.linalg.qr((basis @ root).T, mode="r")
        lengths = np.diag(triangle)
        return (triangle / lengths[:, None]).T, lengths**2

    index = 1
    while index < dim:
        for j in range(index - 1, -1, -1):
            basis[index] -= round(orthogonalized()[0][index, j]) * basis[j]
        mu, squares = orthogonalized()
        if squares[index] >= (0.75 - mu[index, index - 1] ** 2) * squares[index - 1]:
            index += 1
        else:
            basis[[index - 1, index]] = basis[[index, index - 1]]
            index = max(index - 1, 1)
    return basis[np.argsort(((basis @ root) ** 2).sum(axis=1), kind="stable")]
