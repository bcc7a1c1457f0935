"""A mixture of von Mises distributions on the torus."""

import math
from typing import ClassVar

import keras
import numpy as np

from torusae._internal import checks
from torusae._internal.arrays import blocks, cartesian, polar
from torusae.densities.base import TorusDensity, directions, optional_seed

_LEAST_KAPPA, _LARGEST_KAPPA = 1e-3, 1e3  # from nearly uniform to a deviation of 0.03 radians: no component is a spike
_LEAST_WEIGHT = 1e-6
_LEAST_DEVIATION = 1e-3  # of radii
_HELD_OUT = 0.2
_MOST_FOR_CHOICE = 20000  # points that the number of components is chosen on
_STARTS, _STEPS_OF_STARTS, _POINTS_OF_STARTS = 10, 10, 2000  # short fits of which the best goes on, to fewer points
_POINTS_PER_COMPONENT = 20
_MOST_COMPONENTS = 256


@keras.saving.register_keras_serializable(package="torusae")
class VonMisesMixture(TorusDensity):
    """A mixture of products of von Mises distributions on a torus, fitted by expectation maximisation.

    Formula: `p(Φ) = Σ_k w_k Π_c exp(κ_kc cos(Φ_c - μ_kc)) / (2π I0(κ_kc))`. Values of κ stay between 0.001 and 1000.
    The fit goes on from the best of ten short ones, by likelihood: each alone often joins two components.
    The fit ignores radii. Each component keeps the mean and deviation of every circle's radius, and `sample` draws
    radii from a normal distribution.

    Args:
        num_components: Integer, or `None` to choose among 1, 2, 4, and so on, up to 256 and to one component per 20
            points, by the likelihood of a held-out fifth of the points. Defaults to `None`.
        max_iterations: Integer, the largest number of steps. Defaults to `200`.
        tolerance: Float, positive. The fit ends when a step adds less to the mean log likelihood. Defaults to `1e-4`.
        seed: Integer, seed of the starting components and of the held-out points. Defaults to `None`, a random seed.

    Example:

    >>> import torusae
    >>> torusae.densities.VonMisesMixture(2, seed=0).fit(torusae.Torus(2).sample(100, seed=0))
    VonMisesMixture(2 components, dim 2)

    Reference:
        Banerjee, Dhillon, Ghosh & Sra (2005), Clustering on the unit hypersphere using von Mises-Fisher distributions.
        Choosing the number of components by held-out likelihood is a torusae choice.
    """

    _state: ClassVar = {
        "weights": ("components",),
        **dict.fromkeys(("means", "concentrations", "radius_means", "radius_deviations"), ("components", "dim")),
    }

    weights: np.ndarray  # (components,), sum 1
    means: np.ndarray  # mean directions μ, (components, dim), radians, [-π, π]
    concentrations: np.ndarray  # κ, (components, dim)
    radius_means: np.ndarray  # (components, dim)
    radius_deviations: np.ndarray  # (components, dim)

    def __init__(
        self,
        num_components: int | None = None,
        max_iterations: int = 200,
        tolerance: float = 1e-4,
        seed: int | None = None,
    ):
        owner = "VonMisesMixture"
        self.num_components = checks.optional_int(owner, "num_components", num_components)
        self.max_iterations = checks.positive_int(owner, "max_iterations", max_iterations)
        self.tolerance = checks.positive_float(owner, "tolerance", tolerance)
        self.seed = optional_seed(owner, seed)

    def _summary(self):
        return f"{len(self.weights)} components, dim {self.dim}"

    def _least_points(self):
        return self.num_components or 1, "Lower num_components."

    def _fit(self, points):
        rng = checks.generator("VonMisesMixture.fit", self.seed)
        rows = directions(points)
        self._maximise(rows, self.num_components or self._choose(rows, rng), rng)
        self._fit_radii(rows, polar(points)[0])

    def _prepare(self):
        self.dim = self.means.shape[1]

    def _choose(self, rows: np.ndarray, rng: np.random.Generator) -> int:
        """The number of components with the largest likelihood of held-out points."""
        order = rng.permutation(len(rows))[:_MOST_FOR_CHOICE]
        held_out, rest = np.split(rows[order], [int(_HELD_OUT * len(order))])
        best, best_count, worse, count = -math.inf, 1, 0, 1
        while len(held_out) and count <= min(_MOST_COMPONENTS, len(rest) // _POINTS_PER_COMPONENT) and worse < 2:
            self._maximise(rest, count, rng)
            likelihood = float(self._shares(held_out)[1].mean())
            worse = worse + 1 if likelihood <= best else 0
            if likelihood > best:
                best, best_count = likelihood, count
            count *= 2
        return best_count

    def _maximise(self, rows: np.ndarray, count: int, rng: np.random.Generator) -> None:
        """Sets weights, means and concentrations by expectation maximisation, from the best of several starts."""
        some = rows[rng.permutation(len(rows))[: max(_POINTS_OF_STARTS, _POINTS_PER_COMPONENT * count)]]
        best = -math.inf
        for _ in range(_STARTS if count > 1 else 1):
            self._start(some, count, rng)
            likelihood = self._climb(some, min(_STEPS_OF_STARTS, self.max_iterations))
            if likelihood > best:
                best, found = likelihood, (self.weights, self.means, self.concentrations)
        self.weights, self.means, self.concentrations = found
        self._climb(rows, self.max_iterations)

    def _climb(self, rows: np.ndarray, steps: int) -> float:
        """Makes steps of expectation maximisation. Returns the mean log likelihood before the last one."""
        before = -math.inf
        for _ in range(steps):
            shares, sums, likelihood = self._sums(rows, rows)
            self._update(shares, sums)
            if likelihood - before < self.tolerance:
                break
            before = likelihood
        return likelihood

    def _start(self, rows: np.ndarray, count: int, rng: np.random.Generator) -> None:
        """Sets the starting components: k-means++ centres and the points nearest to each."""
        centres = [rows[rng.integers(len(rows))]]
        distance = ((rows - centres[0]) ** 2).sum(axis=1)
        for _ in range(count - 1):
            total = distance.sum()
            # The best of a few candidates: with one candidate, two centres often share a cluster.
            drawn = rng.choice(len(rows), 2 + int(math.log(count)), p=distance / total if total > 0 else None)
            tried = [np.minimum(distance, ((rows - rows[index]) ** 2).sum(axis=1)) for index in drawn]
            least = int(np.argmin([each.sum() for each in tried]))
            distance = tried[least]
            centres.append(rows[drawn[least]])
        nearest = np.argmax(rows @ np.stack(centres).T, axis=1)  # all rows have the same length
        sums = np.zeros((count, rows.shape[1]))
        np.add.at(sums, nearest, rows)
        self._update(np.bincount(nearest, minlength=count).astype("float64"), sums)

    def _update(self, shares: np.ndarray, sums: np.ndarray) -> None:
        """Sets the most likely components from each component's sum of shares and weighted sum of rows."""
        lengths, self.means = polar(sums)
        self.concentrations = _concentration(lengths / np.maximum(shares, 1e-12)[:, None])
        weights = np.maximum(shares / shares.sum(), _LEAST_WEIGHT)
        self.weights = weights / weights.sum()

    def _shares(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Each component's share in each row, `(num, components)`, and the log density, `(num,)`."""
        from scipy import special

        log_i0 = np.log(special.i0e(self.concentrations)) + self.concentrations  # I0 itself overflows
        constants = np.log(self.weights) - (np.log(2 * np.pi) + log_i0).sum(axis=1)
        logs = rows @ cartesian(self.concentrations, self.means).T + constants
        log_density = special.logsumexp(logs, axis=1)
        return np.exp(logs - log_density[:, None]), log_density

    def _sums(self, rows: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """Each component's sum of shares and sums of values times shares, and the mean log likelihood."""
        shares, sums, likelihood = np.zeros(len(self.weights)), np.zeros((len(self.weights), values.shape[1])), 0.0
        for block in blocks(len(rows), self._block):
            share, log_density = self._shares(rows[block])
            shares += share.sum(axis=0)
            sums += share.T @ values[block]
            likelihood += log_density.sum() / len(rows)
        return shares, sums, likelihood

    def _fit_radii(self, rows: np.ndarray, radii: np.ndarray) -> None:
        """Sets the means and deviations of radii. Each point counts by its share in a component."""
        shares, sums, _ = self._sums(rows, np.concatenate([radii, radii**2], axis=1))
        shares = shares[:, None]
        mean, square = np.split(sums / np.maximum(shares, 1e-300), 2, axis=1)
        empty = shares < 1e-12
        self.radius_means = np.where(empty, radii.mean(axis=0), mean)
        variance = np.where(empty, radii.var(axis=0), square - mean**2)
        self.radius_deviations = np.sqrt(np.maximum(variance, _LEAST_DEVIATION**2))

    def _log_density(self, points):
        return self._shares(directions(points))[1]

    def _sample(self, num_samples, rng):
        chosen = rng.choice(len(self.weights), num_samples, p=self.weights)
        angles = rng.vonmises(self.means[chosen], self.concentrations[chosen])
        radii = np.abs(rng.normal(self.radius_means[chosen], self.radius_deviations[chosen]))
        return cartesian(radii, angles)


def _mean_resultant(kappa: np.ndarray | float) -> np.ndarray:
    """`I1(κ) / I0(κ)`, the mean resultant length of a von Mises distribution."""
    from scipy import special

    return special.i1e(kappa) / special.i0e(kappa)


def _concentration(length: np.ndarray) -> np.ndarray:
    """The κ in the allowed range whose mean resultant length is nearest to `length`.

    Banerjee et al. (2005) for the starting value. Newton's method refines it.
    """
    r = np.clip(length, _mean_resultant(_LEAST_KAPPA), _mean_resultant(_LARGEST_KAPPA))
    kappa = r * (2 - r**2) / (1 - r**2)
    for _ in range(4):
        a = _mean_resultant(kappa)
        kappa = np.clip(kappa - (a - r) / (1 - a**2 - a / kappa), _LEAST_KAPPA, _LARGEST_KAPPA)
    return kappa
