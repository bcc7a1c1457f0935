"""Which latent space data ask for: their circles, and the coordinates that they need besides."""

import dataclasses
import itertools
from typing import Any

import numpy as np

from torusae._internal import checks
from torusae._internal.arrays import blocks, random_rows, wrap
from torusae._internal.scaling import taken_out
from torusae.spaces import Gaussian, Space, Torus
from torusae.topology import _graph
from torusae.topology._fill import filled
from torusae.topology.circles import Circles, find_circles
from torusae.topology.filling import filling, meeting

_MAX_ROWS = 3000  # that are looked at for what angles do not explain
_MOST_FREQUENCY = {1: 6, 2: 3}  # of the waves that explain samples by angles, by the number of circles; else 2
_ROWS_PER_WAVE = 8
_FOLDS = 5
_PLACES, _NEAR = 40, 80  # where what is left is looked at, and rows that are near each
_LEAST_SHARE = 0.15  # of the variance of a circle, that a coordinate has to itself
_MOST_COORDINATES = 2
_PER_CIRCLE = {1: 360, 2: 48}  # points of each circle that rows are compared with
_MOST_LEFT = 1000  # rows that tell the covariance of what angles leave
_BLOCK = 1000  # rows at a time


@dataclasses.dataclass(frozen=True)
class Suggestion:
    """The space that `suggest_space` chose. `str(suggestion)` says what it saw and why.

    Attributes:
        space: `Space`: a torus, with a Gaussian space where angles leave something unexplained.
        circles: The `Circles` that were found.
        angles: Float array `(num, num_angles)`, radians, where a model of that space begins,
            `fit(x, circles=suggestion.angles)`: those of the circles; of loops that meet their sum; of one or
            two the angles of the nearest points of the curve or sheet that they explain. Spread evenly by their ranks,
            as points of a torus are. No columns of none.
        reasons: Tuple of sentences.
    """

    space: Space
    circles: Circles = dataclasses.field(repr=False)
    angles: np.ndarray = dataclasses.field(repr=False)
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join([str(self.circles), f"{self.space!r}: {' '.join(self.reasons)}"])


def suggest_space(x: Any, groups: Any = None, seed: int = 0) -> Suggestion:
    """Chooses a latent space by the circles of data and by what their angles leave unexplained.

    A table's columns are brought to mean 0 and variance 1; of other samples all values together are. With groups, level
    and scale are taken out of each.

    - As many circles as `find_circles` finds, if their angles fill a torus together. Loops that meet in a point, or lie
      apart, do not: then it is one circle, with an angle that goes around each of them.
    - A Gaussian coordinate, two at most, where rows of nearly equal angles still vary together along a line, and by at
      least 15 % of the variance that a circle explains: there reconstruction would bend the circle.
    - One circle where none was found. Nothing shows that its angle is a phase, and the reasons say so.

    Args:
        x: Array of samples `(num, ...)`, at least 60, or a data frame.
        groups: Integers or strings `(num,)`, the batch, subject or day of each row. Defaults to `None`.
        seed: Integer, seed of the choice of rows. Defaults to `0`.

    Returns:
        `Suggestion`.

    Raises:
        ImportError: If ripser is missing: `pip install ripser scikit-learn`.
        TypeError: If `x` does not hold numbers, or groups are neither integers nor strings.
        ValueError: If `x` has fewer than 60 rows, holds infinity, or is constant; if groups are of another
            length, or one has a single row.

    Example:

    >>> import torusae
    >>> table, _ = torusae.datasets.torus_table(500, dim=1, noise=0.1, seed=0)
    >>> torusae.topology.suggest_space(table).space
    Torus(1)

    Reference:
        Horn (1965), parallel analysis, for what stands out of noise. The shares are torusae choices.
    """
    owner = "suggest_space"
    _graph.require(owner)
    x = checks.numpy_array(owner, "x", x, missing=True)
    checks.finite_array(owner, "x", x, missing=True)
    if x.ndim < 2 or len(x) < _graph.LEAST_ROWS or not x.size:
        raise ValueError(
            f"{owner}: `x` must have shape (num, ...) with at least {_graph.LEAST_ROWS} rows. Received: "
            f"x.shape={x.shape}."
        )
    if (x == x[0]).all():
        raise ValueError(f"{owner}: `x` must vary. Received: {len(x)} equal rows.")
    return suggested(taken_out(owner, x, groups), seed)


def suggested(x: np.ndarray, seed: int) -> Suggestion:
    """`suggest_space` of samples without level and scale."""
    circles = find_circles(x, seed=seed)
    angles, reasons = circles.angles, []
    if not circles.num_circles:
        reason = "No circle was found: nothing shows that this angle is a phase."
        return Suggestion(Torus(1), circles, angles, (reason,))
    rng = np.random.default_rng(seed)
    rows = np.flatnonzero(circles.on_circle)
    rows = rows[random_rows(len(rows), _MAX_ROWS, rng)]
    x = filled(x.reshape(len(x), -1))
    some = x[rows].astype("float64")
    pairs = meeting(angles)
    if pairs:
        share = min(filling(angles[:, pair]) for pair in pairs)
        reasons.append(
            f"The {circles.num_circles} loops fill {100 * share:.0f} % of the cells that independent angles would: "
            f"they meet or lie apart, and are no torus. One angle goes around each of them in turn. Better a model for "
            f"each part, dim=1, or labels of the parts."
        )
        angles = _one_angle(some, angles, rows, rng)
    shares = _shares(some, angles[rows], rng)
    more = int((shares[:_MOST_COORDINATES] >= _LEAST_SHARE).sum())
    if more:
        said = " and ".join(f"{100 * share:.0f} %" for share in shares[:more])
        reasons.append(
            f"Rows of equal angles vary along {more} more direction{'s' * (more > 1)}, by {said} of the variance that "
            f"a circle explains."
        )
    else:
        reasons.append(f"Angles leave little unexplained: at most {100 * shares[0]:.0f} % of a circle's variance.")
    torus, on = Torus(angles.shape[1]), circles.on_circle
    if torus.dim in _PER_CIRCLE:
        angles = np.where(on[:, None], _nearest(x, some, angles[rows], rng), angles)
    return Suggestion(torus * Gaussian(more) if more else torus, circles, _spread(angles, on), tuple(reasons))


def _nearest(x: np.ndarray, some: np.ndarray, angles: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The angles of the points that rows `x` are nearest to, among those that the angles of some rows explain.

    Angles that were found run faster where rows vary more. Distances are those under the covariance of what angles
    leave: a direction in which rows of equal angles vary counts less, or the curve would bend along it.
    """
    frequencies = _frequencies(*angles.shape)
    places = np.linspace(-np.pi, np.pi, _PER_CIRCLE[angles.shape[1]], endpoint=False)
    grid = np.array(list(itertools.product(places, repeat=angles.shape[1])))
    waves, fit = _waves(grid, frequencies), np.linalg.lstsq(_waves(angles, frequencies), some, rcond=None)[0]
    left = _left(some, angles, rng)[random_rows(len(some), _MOST_LEFT, rng)]
    # The covariance and its mean variance, inverted by the formula of Woodbury: there may be more columns than rows.
    floor = max((left**2).mean(), 1e-12)
    inner = left @ left.T + len(left) * floor * np.eye(len(left))
    dual = (fit - np.linalg.solve(inner, left @ fit.T).T @ left) / floor
    sizes = ((waves @ (fit @ dual.T)) * waves).sum(axis=1) / 2
    nearest = [(sizes - x[block] @ dual.T @ waves.T).argmin(axis=1) for block in blocks(len(x), _BLOCK)]
    return grid[np.concatenate(nearest)]


def _spread(angles: np.ndarray, on: np.ndarray) -> np.ndarray:
    """Angles by their ranks among the rows on circles. Equal ones, as on pieces that no circle passes, stay equal."""
    ranks = [
        sum(np.searchsorted(np.sort(column[on]), column, side) for side in ("left", "right")) / on.sum() - 1
        for column in angles.T
    ]
    return wrap(np.pi * np.stack(ranks, axis=1))


def _one_angle(x: np.ndarray, angles: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One angle for loops that meet, `(num, 1)`: their sum, in the directions by which it explains the rows best.

    While a row goes around one of the loops, the angles of the others stay. So the sum goes around each of them.
    """
    sums = [
        wrap(angles @ np.array([[1], *([sign] for sign in signs)]))
        for signs in itertools.product((1, -1), repeat=angles.shape[1] - 1)
    ]
    return min(sums, key=lambda angle: float((_left(x, angle[rows], rng) ** 2).sum()))


def _frequencies(num: int, dim: int) -> np.ndarray:
    """Integer combinations of angles whose waves explain `num` rows, `(count, dim)`: two at a time, slow ones first."""
    most = _MOST_FREQUENCY.get(dim, 2)
    frequencies = [
        each
        for each in itertools.product(range(-most, most + 1), repeat=dim)
        if np.count_nonzero(each) in (1, 2) and next(filter(None, each)) > 0
    ]
    frequencies.sort(key=lambda each: sum(map(abs, each)))
    return np.array(frequencies[: max(1, num // (2 * _ROWS_PER_WAVE))])


def _waves(angles: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    phases = angles @ frequencies.T
    return np.concatenate([np.ones((len(angles), 1)), np.cos(phases), np.sin(phases)], axis=1)


def _slopes(angles: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    """The derivatives of waves along each angle at one place, `(dim, waves)`."""
    phases = frequencies @ angles
    return np.concatenate(
        [np.zeros((1, len(angles))), -np.sin(phases)[:, None] * frequencies, np.cos(phases)[:, None] * frequencies]
    ).T


def _left(x: np.ndarray, angles: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What angles do not explain of rows that the waves were not fitted to."""
    waves = _waves(angles, _frequencies(*angles.shape))
    fold, left = rng.permutation(len(x)) % _FOLDS, np.empty(x.shape)
    for each in range(_FOLDS):
        tested = fold == each
        left[tested] = x[tested] - waves[tested] @ np.linalg.lstsq(waves[~tested], x[~tested], rcond=None)[0]
    return left


def _shares(x: np.ndarray, angles: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The variance along each direction in which rows of nearly equal angles vary together, the largest first.

    As shares of the mean variance along a circle's two directions that angles explain. Less what shuffled columns have,
    in which nothing varies together. Not along the circles themselves: there rows vary whose angles are not exact.
    """
    left = _left(x, angles, rng)
    explained = max(x.var(axis=0).sum() - (left**2).mean(axis=0).sum(), 1e-12) / (2 * angles.shape[1])
    points, frequencies = np.concatenate([np.cos(angles), np.sin(angles)], axis=1), _frequencies(*angles.shape)
    fit = np.linalg.lstsq(_waves(angles, frequencies), x, rcond=None)[0]
    spectra = []
    for place in rng.permutation(len(x))[:_PLACES]:
        near = np.argsort(((points - points[place]) ** 2).sum(axis=1))[: min(_NEAR, len(x) // 4)]
        along = np.linalg.svd(_slopes(angles[place], frequencies) @ fit, full_matrices=False)[2]
        part = left[near] - left[near].mean(axis=0)
        shuffled = rng.permuted(part, axis=0)
        across = [each - each @ along.T @ along for each in (part, shuffled)]
        spectra.append([np.linalg.svd(each, compute_uv=False) ** 2 / len(near) for each in across])
    true, null = np.mean(spectra, axis=0)
    return np.maximum(true - null, 0) / explained
