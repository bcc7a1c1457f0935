"""Densities on the torus, fitted to a trained model's codes: samples from where the data are, at any `dim`.

The prior spreads samples evenly, but data need not fill the torus: the share that they reach falls with `dim`. What is
fitted here are the angles' density and, beside it, the radii. Everything is NumPy in float64 on the host: the same
codes and seed give the same density on every backend. Angles are in radians, densities per radian of each circle,
likelihoods in nats.
"""

import math
from typing import Any, Self

import keras
import numpy as np
from keras import ops

from torusae import _checks

_LEAST_KAPPA, _LARGEST_KAPPA = 1e-3, 1e3  # deviations from nearly uniform down to 0.03: no component ends as a spike
_LEAST_WEIGHT = 1e-6
_LEAST_DEVIATION = 1e-3  # of radii
_LARGE = 50.0  # from here on, six terms of the asymptotic series of I1/I0 are exact to 1e-11
_ROWS = 1 << 13  # codes at a time, so that memory does not grow with their number
_HELD_OUT = 0.2
_MOST_FOR_CHOICE = 20000  # codes that the number of components is chosen on
_CODES_PER_COMPONENT = 20
_BANDWIDTHS = np.geomspace(0.02, 2.0, 30)


def _log_i0(kappa: np.ndarray) -> np.ndarray:
    """The logarithm of the Bessel function I0, also where I0 itself overflows."""
    large = np.maximum(kappa, 500.0)
    x = 1 / (8 * large)
    series = np.log1p(x + 4.5 * x**2 + 37.5 * x**3 + 459.375 * x**4)
    return np.where(
        kappa < 500.0, np.log(np.i0(np.minimum(kappa, 500.0))), large - np.log(2 * np.pi * large) / 2 + series
    )


def _resultant(kappa: np.ndarray) -> np.ndarray:
    """A(κ) = I1(κ) / I0(κ), the mean resultant length of a von Mises distribution."""
    small = np.minimum(kappa, _LARGE)
    ratio = np.zeros_like(small)
    for order in range(120, 0, -1):  # the continued fraction, from an order where it no longer matters
        ratio = small / (2 * order + small * ratio)
    x = 1 / np.maximum(kappa, _LARGE)
    series = 1 - x / 2 - x**2 / 8 - x**3 / 8 - 25 / 128 * x**4 - 13 / 32 * x**5 - 1073 / 1024 * x**6
    return np.where(kappa < _LARGE, ratio, series)


def _concentration(length: np.ndarray) -> np.ndarray:
    """The κ whose mean resultant length is `length`, within the limits: a start by Best and Fisher, then Newton."""
    r = np.clip(length, _resultant(np.array(_LEAST_KAPPA)), _resultant(np.array(_LARGEST_KAPPA)))
    kappa = np.where(
        r < 0.53,
        2 * r + r**3 + 5 / 6 * r**5,
        np.where(r < 0.85, -0.4 + 1.39 * r + 0.43 / (1 - r), 1 / (r**3 - 4 * r**2 + 3 * r)),
    )
    for _ in range(4):
        a = _resultant(kappa)
        kappa = np.clip(kappa - (a - r) / (1 - a**2 - a / kappa), _LEAST_KAPPA, _LARGEST_KAPPA)
    return kappa


def _log_sum_exp(values: np.ndarray) -> np.ndarray:
    """The logarithm of the sum of exponentials along the last axis."""
    most = values.max(axis=-1)
    return most + np.log(np.exp(values - most[:, None]).sum(axis=-1))


def _generator(owner: str, seed: Any) -> np.random.Generator:
    if isinstance(seed, np.random.Generator):
        return seed
    if isinstance(seed, keras.random.SeedGenerator):  # moves on, as it does for the prior
        seed = int(ops.convert_to_numpy(keras.random.randint((), 0, 2**31 - 1, seed=seed)))
    if seed is not None:
        seed = _checks.positive_int(owner, "seed", seed, least=0)
    return np.random.default_rng(seed)


def _some_codes(codes: np.ndarray, most: int, seed: int | None) -> np.ndarray:
    """At most so many codes, a random choice of more; rounded, so that a file holds few digits and loads as saved."""
    if len(codes) > most:
        codes = codes[np.sort(np.random.default_rng(seed).choice(len(codes), most, replace=False))]
    return np.round(codes, 6)


def _polar(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.split(codes, 2, axis=1)
    return np.hypot(x, y), np.arctan2(y, x)


def _directions(angles: np.ndarray) -> np.ndarray:
    """All cosines, then all sines."""
    return np.concatenate([np.cos(angles), np.sin(angles)], axis=1)


class _Density:
    """What both densities share: checks, the likelihood, and the state beside the constructor's arguments."""

    _state: tuple[str, ...]
    dim: int | None = None
    """The number of circles, `None` before `fit`."""

    def _codes(self, method: str, codes: Any) -> np.ndarray:
        """Codes as float64, checked."""
        owner = f"{type(self).__name__}.{method}"
        codes = np.asarray(codes if isinstance(codes, np.ndarray) else ops.convert_to_numpy(codes))
        if codes.dtype.kind != "f":
            raise TypeError(
                f"{owner}: `codes` must be floating-point numbers. Received: dtype={codes.dtype}. "
                f"Give what TorusAutoencoder.encode(x) returns."
            )
        size = "2 * dim" if self.dim is None or method == "fit" else 2 * self.dim
        if codes.ndim != 2 or codes.shape[1] % 2 or 0 in codes.shape or size not in ("2 * dim", codes.shape[1]):
            raise ValueError(
                f"{owner}: `codes` must have shape (num, {size}), dim x values followed by dim y values, with num at "
                f"least 1. Received: codes.shape={codes.shape}. For angles use torusae.to_cartesian(radii, angles)."
            )
        _checks.finite_array(owner, "codes", codes)
        return codes.astype("float64")

    def _check_fitted(self, method: str) -> int:
        if self.dim is None:
            name = type(self).__name__
            raise ValueError(f"{name}.{method}: nothing is fitted yet. Call fit(codes) first.")
        return self.dim

    def log_density(self, codes: Any) -> np.ndarray:
        """The logarithm of the density of codes' angles; radii do not enter.

        Args:
            codes: Float array `(num, 2 * dim)`, dim x values followed by dim y values.

        Returns:
            Float64 array `(num,)`, nats, of a density whose integral over `[-π, π)^dim` is 1.

        Raises:
            TypeError: If `codes` does not hold floating-point numbers.
            ValueError: If nothing is fitted, or `codes` has another shape or is not finite.
        """
        self._check_fitted("log_density")
        codes = self._codes("log_density", codes)
        blocks = (codes[start : start + _ROWS] for start in range(0, len(codes), _ROWS))
        return np.concatenate([self._log_density(_directions(_polar(block)[1])) for block in blocks])

    def log_likelihood(self, codes: Any) -> float:
        """The mean of `log_density` over codes, in nats: larger is better, `-dim log 2π` is that of uniform angles.

        Args:
            codes: Float array `(num, 2 * dim)`, best such as were not used by `fit`.

        Returns:
            Float.
        """
        return float(self.log_density(codes).mean())

    def _log_density(self, directions: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments and, after `fit`, what was fitted, as plain lists."""
        config = self._arguments()
        if self.dim is not None:
            config["fitted"] = {name: np.asarray(getattr(self, name)).tolist() for name in self._state}
        return config

    def _arguments(self) -> dict[str, Any]:
        raise NotImplementedError

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Returns the density that `get_config` describes."""
        config = dict(config)
        fitted = config.pop("fitted", None)
        density = cls(**config)
        if fitted is not None:
            for name in cls._state:
                setattr(density, name, np.asarray(fitted[name], "float64"))
            density._restore()
        return density

    def _restore(self) -> None:
        """Sets what follows from the state."""
        raise NotImplementedError


@keras.saving.register_keras_serializable(package="torusae")
class VonMisesMixture(_Density):
    """A mixture of products of von Mises distributions, fitted to codes by expectation maximisation.

    Formula: `p(Φ) = Σ_k w_k Π_c exp(κ_kc cos(Φ_c - μ_kc)) / (2π I0(κ_kc))`. The radii do not enter the fit; beside its
    angles each component keeps the mean and deviation of every circle's radius, which `sample` draws from a normal
    distribution. Values of κ stay between 0.001 and 1000.

    Args:
        num_components: Integer, or `None` to choose: of 1, 2, 4, and so on, up to 256 and to 20 codes for each, the
            number with the largest likelihood of a fifth of the codes, held out; then all codes are fitted. Defaults
            to `None`.
        max_iterations: Integer, at least 1, steps of the fit. Defaults to `200`.
        tolerance: Float, positive: the fit ends when a step adds less to the mean log likelihood. Defaults to `1e-4`.
        seed: Integer, of the fit's start and of the codes that are held out. Defaults to `None`, a random seed.

    Raises:
        TypeError: If a number is of the wrong type.
        ValueError: If a number is out of range.

    Example:

    >>> import numpy as np, torusae
    >>> rng = np.random.default_rng(0)
    >>> angles = np.concatenate([rng.vonmises(-1, 50, 500), rng.vonmises(2, 50, 500)])
    >>> codes = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    >>> density = torusae.VonMisesMixture(2, seed=0).fit(codes)
    >>> np.sort(density.means[:, 0]).round(1)
    array([-1.,  2.])
    >>> density.sample(5, seed=0).shape
    (5, 2)

    Reference:
        Banerjee, Dhillon, Ghosh & Sra (2005), Clustering on the unit hypersphere using von Mises-Fisher distributions,
        for the fit; Best & Fisher (1981) for the start of κ's inverse. Choosing by held-out likelihood is a torusae
        choice.
    """

    _state = ("weights", "means", "concentrations", "radius_means", "radius_deviations")

    weights: np.ndarray
    """`(components,)`, their sum is 1."""

    means: np.ndarray
    """Mean directions μ, `(components, dim)`, radians, `[-π, π]`."""

    concentrations: np.ndarray
    """κ, `(components, dim)`."""

    radius_means: np.ndarray
    """`(components, dim)`."""

    radius_deviations: np.ndarray
    """`(components, dim)`."""

    def __init__(
        self,
        num_components: int | None = None,
        max_iterations: int = 200,
        tolerance: float = 1e-4,
        seed: int | None = None,
    ):
        owner = "VonMisesMixture"
        if num_components is not None:
            num_components = _checks.positive_int(owner, "num_components", num_components)
        self.num_components = num_components
        self.max_iterations = _checks.positive_int(owner, "max_iterations", max_iterations)
        self.tolerance = _checks.positive_float(owner, "tolerance", tolerance)
        self.seed = None if seed is None else _checks.positive_int(owner, "seed", seed, least=0)

    def __repr__(self) -> str:
        fitted = "not fitted" if self.dim is None else f"{len(self.weights)} components, dim {self.dim}"
        return f"VonMisesMixture({fitted})"

    def _arguments(self):
        names = ("num_components", "max_iterations", "tolerance", "seed")
        return {name: getattr(self, name) for name in names}

    def _restore(self):
        self.dim = self.means.shape[1]

    def fit(self, codes: Any) -> Self:
        """Fits the mixture to codes.

        Args:
            codes: Float array `(num, 2 * dim)`, dim x values followed by dim y values, at least as many as components.

        Returns:
            The density itself.

        Raises:
            TypeError: If `codes` does not hold floating-point numbers.
            ValueError: If `codes` has another shape, is not finite, or holds fewer codes than components.
        """
        codes = self._codes("fit", codes)
        if len(codes) < (self.num_components or 1):
            raise ValueError(
                f"VonMisesMixture.fit: `codes` must hold at least one code per component. Received: {len(codes)} codes "
                f"for {self.num_components} components. Lower num_components."
            )
        rng = np.random.default_rng(self.seed)
        radii, angles = _polar(codes)
        directions = _directions(angles)
        count = self.num_components or self._choose(directions, rng)
        self._maximise(directions, count, rng)
        # The radii's means and deviations, each code counted by its share in a component.
        shares, sums = np.zeros((count, 1)), np.zeros((count, 2 * self.means.shape[1]))
        for start in range(0, len(codes), _ROWS):
            rows = slice(start, start + _ROWS)
            share = self._shares(directions[rows])[0]
            shares += share.sum(axis=0)[:, None]
            sums += share.T @ np.concatenate([radii[rows], radii[rows] ** 2], axis=1)
        mean, square = np.split(sums / np.maximum(shares, 1e-300), 2, axis=1)
        empty = shares < 1e-12
        self.radius_means = np.where(empty, radii.mean(axis=0), mean)
        variance = np.where(empty, radii.var(axis=0), square - mean**2)
        self.radius_deviations = np.sqrt(np.maximum(variance, _LEAST_DEVIATION**2))
        self._restore()
        return self

    def _choose(self, directions: np.ndarray, rng: np.random.Generator) -> int:
        """The number of components with the largest likelihood of codes that are held out."""
        order = rng.permutation(len(directions))[:_MOST_FOR_CHOICE]
        held_out, rest = np.split(directions[order], [int(_HELD_OUT * len(order))])
        best, best_count, worse, count = -math.inf, 1, 0, 1
        while len(held_out) and count <= min(256, len(rest) // _CODES_PER_COMPONENT) and worse < 2:
            self._maximise(rest, count, rng)
            likelihood = float(self._log_density(held_out).mean())
            worse = worse + 1 if likelihood <= best else 0
            if likelihood > best:
                best, best_count = likelihood, count
            count *= 2
        return best_count

    def _maximise(self, directions: np.ndarray, count: int, rng: np.random.Generator) -> None:
        """Expectation maximisation: sets weights, means and concentrations."""
        self._start(directions, count, rng)
        before = -math.inf
        for _ in range(self.max_iterations):
            shares, sums, likelihood = np.zeros(count), np.zeros((count, directions.shape[1])), 0.0
            for start in range(0, len(directions), _ROWS):
                block = directions[start : start + _ROWS]
                share, log_density = self._shares(block)
                shares += share.sum(axis=0)
                sums += share.T @ block
                likelihood += log_density.sum() / len(directions)
            self._update(shares, sums)
            if likelihood - before < self.tolerance:
                break
            before = likelihood

    def _start(self, directions: np.ndarray, count: int, rng: np.random.Generator) -> None:
        """k-means++: centres far from one another, then the components of the codes nearest to each."""
        some = directions[rng.permutation(len(directions))[: max(_MOST_FOR_CHOICE, count)]]
        centres = [some[0]]
        distance = ((some - centres[0]) ** 2).sum(axis=1)
        for _ in range(count - 1):
            total = distance.sum()
            # The best of a few candidates: a single one often lands twice in the same cluster.
            drawn = rng.choice(len(some), 2 + int(math.log(count)), p=distance / total if total > 0 else None)
            tried = [np.minimum(distance, ((some - some[index]) ** 2).sum(axis=1)) for index in drawn]
            least = int(np.argmin([each.sum() for each in tried]))
            distance = tried[least]
            centres.append(some[drawn[least]])
        nearest = np.argmax(some @ np.stack(centres).T, axis=1)  # all have the same length
        shares = np.bincount(nearest, minlength=count).astype("float64")
        sums = np.zeros((count, some.shape[1]))
        np.add.at(sums, nearest, some)
        self._update(shares, sums)

    def _update(self, shares: np.ndarray, sums: np.ndarray) -> None:
        """The components that explain the shares of codes best."""
        x, y = np.split(sums, 2, axis=1)
        self.means = np.arctan2(y, x)
        self.concentrations = _concentration(np.hypot(x, y) / np.maximum(shares, 1e-12)[:, None])
        weights = np.maximum(shares / shares.sum(), _LEAST_WEIGHT)
        self.weights = weights / weights.sum()

    def _shares(self, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Each component's share in each code, `(num, components)`, and the log density, `(num,)`."""
        x, y = np.cos(self.means) * self.concentrations, np.sin(self.means) * self.concentrations
        constants = np.log(self.weights) - (np.log(2 * np.pi) + _log_i0(self.concentrations)).sum(axis=1)
        logs = directions @ np.concatenate([x, y], axis=1).T + constants
        most = logs.max(axis=1)
        shares = np.exp(logs - most[:, None])
        total = shares.sum(axis=1)
        return shares / total[:, None], most + np.log(total)

    def _log_density(self, directions):
        return self._shares(directions)[1]

    def sample(self, num_samples: int, seed: Any = None) -> np.ndarray:
        """Draws codes.

        Args:
            num_samples: Integer, at least 1.
            seed: Integer, NumPy generator or `keras.random.SeedGenerator`; the same integer gives the same codes.
                Defaults to `None`, a random seed.

        Returns:
            Float32 array `(num_samples, 2 * dim)`, dim x values followed by dim y values.

        Raises:
            ValueError: If nothing is fitted or `num_samples` is below 1.
        """
        self._check_fitted("sample")
        num_samples = _checks.positive_int("VonMisesMixture.sample", "num_samples", num_samples)
        rng = _generator("VonMisesMixture.sample", seed)
        chosen = rng.choice(len(self.weights), num_samples, p=self.weights)
        angles = rng.vonmises(self.means[chosen], self.concentrations[chosen])
        radii = np.abs(rng.normal(self.radius_means[chosen], self.radius_deviations[chosen]))
        return np.concatenate([radii * np.cos(angles), radii * np.sin(angles)], axis=1).astype("float32")


@keras.saving.register_keras_serializable(package="torusae")
class TorusKernelDensity(_Density):
    """A kernel density on the torus: one of the fitted codes, its angles moved by a little von Mises noise.

    Formula: `p(Φ) = 1/n Σ_i Π_c exp(κ cos(Φ_c - Φ_ic)) / (2π I0(κ))` with `κ = 1 / bandwidth²`. A sample keeps the
    radii of the code that it begins at. It follows any shape of the data, and keeps codes where a mixture keeps a few
    numbers.

    Args:
        bandwidth: Float, positive, the noise's scale in radians; or `None` for that of 30 between 0.02 and 2 with the
            largest leave-one-out likelihood. Defaults to `None`.
        max_codes: Integer, at least 2: of more codes a random choice is kept. Defaults to `5000`.
        seed: Integer, of that choice. Defaults to `None`, a random seed.

    Raises:
        TypeError: If a number is of the wrong type.
        ValueError: If a number is out of range.

    Example:

    >>> import torusae
    >>> codes = torusae.Torus(2).sample(100, seed=0)
    >>> density = torusae.TorusKernelDensity(bandwidth=0.3).fit(codes)
    >>> density.log_density(codes).shape, density.sample(5, seed=0).shape
    ((100,), (5, 4))

    Reference:
        Hall, Watson & Cabrera (1987), Kernel density estimation with spherical data.
    """

    _state = ("codes", "kappa")

    codes: np.ndarray
    """The codes that are kept, `(num, 2 * dim)`, rounded to six decimals."""

    kappa: Any
    """The concentration of the noise, `1 / bandwidth²`."""

    def __init__(self, bandwidth: float | None = None, max_codes: int = 5000, seed: int | None = None):
        owner = "TorusKernelDensity"
        if bandwidth is not None:
            bandwidth = _checks.positive_float(owner, "bandwidth", bandwidth)
        self.bandwidth = bandwidth
        self.max_codes = _checks.positive_int(owner, "max_codes", max_codes, least=2)
        self.seed = None if seed is None else _checks.positive_int(owner, "seed", seed, least=0)

    def __repr__(self) -> str:
        fitted = "not fitted"
        if self.dim is not None:
            fitted = f"{len(self.codes)} codes, dim {self.dim}, bandwidth {1 / math.sqrt(self.kappa):.3g}"
        return f"TorusKernelDensity({fitted})"

    def _arguments(self):
        return {name: getattr(self, name) for name in ("bandwidth", "max_codes", "seed")}

    def _restore(self):
        self.dim = self.codes.shape[1] // 2
        self.kappa = float(self.kappa)
        self._directions = _directions(_polar(self.codes)[1])

    def fit(self, codes: Any) -> Self:
        """Keeps codes and chooses the bandwidth.

        Args:
            codes: Float array `(num, 2 * dim)`, dim x values followed by dim y values, at least two.

        Returns:
            The density itself.

        Raises:
            TypeError: If `codes` does not hold floating-point numbers.
            ValueError: If `codes` has another shape, is not finite, or holds a single code.
        """
        codes = self._codes("fit", codes)
        if len(codes) < 2:
            raise ValueError("TorusKernelDensity.fit: `codes` must hold at least 2 codes. Received: 1.")
        self.codes = _some_codes(codes, self.max_codes, self.seed)
        self.kappa = self._choose() if self.bandwidth is None else self.bandwidth**-2
        self._restore()
        return self

    def _choose(self) -> float:
        """The κ with the largest mean log density of codes, each without itself."""
        kappas = _BANDWIDTHS**-2.0
        directions = _directions(_polar(self.codes)[1])
        step = max(1, len(directions) // 2000)  # codes are many enough to judge a single number on a part of them
        totals = np.zeros(len(kappas))
        for index in np.array_split(np.arange(0, len(directions), step), max(1, len(directions) // step // 200)):
            cosines = directions[index] @ directions.T
            cosines[np.arange(len(index)), index] = -np.inf
            for each, kappa in enumerate(kappas):
                totals[each] += _log_sum_exp(kappa * cosines).sum() / len(range(0, len(directions), step))
        dim = directions.shape[1] // 2
        return float(kappas[np.argmax(totals - dim * _log_i0(kappas))])

    def _log_density(self, directions):
        constant = math.log(len(self.codes)) + self._check_fitted("log_density") * (
            math.log(2 * math.pi) + float(_log_i0(np.array(self.kappa)))
        )
        blocks = np.array_split(directions, max(1, len(directions) // 500))
        return np.concatenate([_log_sum_exp(self.kappa * (block @ self._directions.T)) for block in blocks]) - constant

    def sample(self, num_samples: int, seed: Any = None) -> np.ndarray:
        """Draws codes.

        Args:
            num_samples: Integer, at least 1.
            seed: Integer, NumPy generator or `keras.random.SeedGenerator`; the same integer gives the same codes.
                Defaults to `None`, a random seed.

        Returns:
            Float32 array `(num_samples, 2 * dim)`, dim x values followed by dim y values.

        Raises:
            ValueError: If nothing is fitted or `num_samples` is below 1.
        """
        self._check_fitted("sample")
        num_samples = _checks.positive_int("TorusKernelDensity.sample", "num_samples", num_samples)
        rng = _generator("TorusKernelDensity.sample", seed)
        radii, angles = _polar(self.codes[rng.integers(len(self.codes), size=num_samples)])
        angles = rng.vonmises(angles, self.kappa)
        return np.concatenate([radii * np.cos(angles), radii * np.sin(angles)], axis=1).astype("float32")


@keras.saving.register_keras_serializable(package="torusae")
class TorusNeighborDensity(_Density):
    """A kernel density whose noise lies along the data: each code's follows the steps to its nearest neighbours.

    At eight circles and more, codes lie near surfaces of fewer dimensions, and noise of one width for all directions
    leaves them. It keeps codes, as `TorusKernelDensity` does, and its samples lie nearer to codes of the data than new
    data do at a `scale` below 1: the price of samples that look like data.

    Formula: `p(Φ) = 1/n Σ_i N(Φ - Φ_i; C_i)`, by the shortest arcs,
    `C_i = scale²/k (Σ_j δ_ij δ_ijᵀ + tr_i / (10 dim) I)` with the arcs `δ_ij` to the `k` nearest neighbours of code
    `i` and `tr_i = Σ_j |δ_ij|²`. The radii of a sample move with its angles, by the same shares of the steps to the
    neighbours.

    Args:
        num_neighbors: Integer, at least 1, `k`. Defaults to `5`.
        scale: Float, positive, the noise in parts of the distances to the neighbours. Defaults to `0.4`.
        max_codes: Integer, at least 2: of more codes a random choice is kept. Defaults to `20000`.
        seed: Integer, of that choice. Defaults to `None`, a random seed.

    Raises:
        TypeError: If a number is of the wrong type.
        ValueError: If a number is out of range.

    Example:

    >>> import torusae
    >>> codes = torusae.Torus(2).sample(100, seed=0)
    >>> density = torusae.TorusNeighborDensity().fit(codes)
    >>> density.log_density(codes).shape, density.sample(5, seed=0).shape
    ((100,), (5, 4))

    Reference:
        Vincent & Bengio (2003), Manifold Parzen Windows. The noise across the data, a tenth, is a torusae choice.
    """

    _state = ("codes",)

    codes: np.ndarray
    """The codes that are kept, `(num, 2 * dim)`, rounded to six decimals."""

    def __init__(self, num_neighbors: int = 5, scale: float = 0.4, max_codes: int = 20000, seed: int | None = None):
        owner = "TorusNeighborDensity"
        self.num_neighbors = _checks.positive_int(owner, "num_neighbors", num_neighbors)
        self.scale = _checks.positive_float(owner, "scale", scale)
        self.max_codes = _checks.positive_int(owner, "max_codes", max_codes, least=2)
        self.seed = None if seed is None else _checks.positive_int(owner, "seed", seed, least=0)

    def __repr__(self) -> str:
        fitted = "not fitted" if self.dim is None else f"{len(self.codes)} codes, dim {self.dim}"
        return f"TorusNeighborDensity({fitted})"

    def _arguments(self):
        return {name: getattr(self, name) for name in ("num_neighbors", "scale", "max_codes", "seed")}

    def _restore(self):
        self.dim = self.codes.shape[1] // 2
        self._radii, self._angles = _polar(self.codes)
        self._factors = None  # of every code's covariance, made when a density is first asked for

    def fit(self, codes: Any) -> Self:
        """Keeps codes.

        Args:
            codes: Float array `(num, 2 * dim)`, dim x values followed by dim y values, more than `num_neighbors`.

        Returns:
            The density itself.

        Raises:
            TypeError: If `codes` does not hold floating-point numbers.
            ValueError: If `codes` has another shape, is not finite, or holds too few codes.
        """
        codes = self._codes("fit", codes)
        self.codes = _some_codes(codes, self.max_codes, self.seed)
        if len(self.codes) <= self.num_neighbors:
            raise ValueError(
                f"TorusNeighborDensity.fit: `codes` must hold more than {self.num_neighbors} codes. Received: "
                f"{len(self.codes)}. Lower num_neighbors."
            )
        self._restore()
        return self

    def _steps(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The steps from some codes to their neighbours: arcs and differences of radii, each `(num, k, dim)`."""
        squares = (self.codes**2).sum(axis=1)
        k = self.num_neighbors
        neighbors = np.empty((len(chosen), k), dtype="int64")
        for start in range(0, len(chosen), 500):
            rows = chosen[start : start + 500]
            distances = squares - 2 * self.codes[rows] @ self.codes.T
            distances[np.arange(len(rows)), rows] = np.inf
            neighbors[start : start + 500] = np.argpartition(distances, k - 1)[:, :k]
        arcs = self._angles[neighbors] - self._angles[chosen][:, None]
        return arcs - 2 * np.pi * np.round(arcs / (2 * np.pi)), self._radii[neighbors] - self._radii[chosen][:, None]

    def _spread(self, arcs: np.ndarray) -> np.ndarray:
        """The variance of the noise across the data, `(num,)`: a tenth of the mean along all axes."""
        variance = self.scale**2 * (arcs**2).mean(axis=(1, 2)) / 10
        return np.maximum(variance, 1 / _LARGEST_KAPPA**2)

    def _log_density(self, directions):
        if self._factors is None:
            arcs = self._steps(np.arange(len(self.codes)))[0]
            covariances = self.scale**2 / self.num_neighbors * np.einsum("nka,nkb->nab", arcs, arcs)
            covariances += self._spread(arcs)[:, None, None] * np.eye(self.dim)
            factors = np.linalg.inv(np.linalg.cholesky(covariances))
            constants = np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)
            self._factors = factors, constants - self.dim * math.log(2 * math.pi) / 2 - math.log(len(self.codes))
        factors, constants = self._factors
        x, y = np.split(directions, 2, axis=1)
        logs = []
        for angles in np.arctan2(y, x):
            arcs = angles - self._angles
            arcs -= 2 * np.pi * np.round(arcs / (2 * np.pi))
            logs.append(constants - (np.einsum("nab,nb->na", factors, arcs) ** 2).sum(axis=1) / 2)
        return _log_sum_exp(np.stack(logs))

    def sample(self, num_samples: int, seed: Any = None) -> np.ndarray:
        """Draws codes.

        Args:
            num_samples: Integer, at least 1.
            seed: Integer, NumPy generator or `keras.random.SeedGenerator`; the same integer gives the same codes.
                Defaults to `None`, a random seed.

        Returns:
            Float32 array `(num_samples, 2 * dim)`, dim x values followed by dim y values.

        Raises:
            ValueError: If nothing is fitted or `num_samples` is below 1.
        """
        self._check_fitted("sample")
        num_samples = _checks.positive_int("TorusNeighborDensity.sample", "num_samples", num_samples)
        rng = _generator("TorusNeighborDensity.sample", seed)
        chosen = rng.integers(len(self.codes), size=num_samples)
        arcs, rises = self._steps(chosen)
        shares = rng.normal(size=(num_samples, self.num_neighbors, 1)) * self.scale / math.sqrt(self.num_neighbors)
        across = rng.normal(size=(num_samples, arcs.shape[2])) * np.sqrt(self._spread(arcs))[:, None]
        angles = self._angles[chosen] + (shares * arcs).sum(axis=1) + across
        radii = np.abs(self._radii[chosen] + (shares * rises).sum(axis=1))
        return np.concatenate([radii * np.cos(angles), radii * np.sin(angles)], axis=1).astype("float32")
