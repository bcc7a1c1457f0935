"""Losses that bring codes to the standard normal distribution: WAE, SWAE, CWAE, the Gaussian AE of Duda, and VAE."""

import math
from collections.abc import Sequence
from functools import lru_cache

import keras
import numpy as np
from keras import ops

from torusae import _checks
from torusae._checks import Tensor
from torusae.losses.base import LatentLoss, batch_size, sort_rows
from torusae.losses.paper import QuantileLoss, _standard_normal_quantiles, quantile_loss

IMQ_SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
PRIORS = ("closed", "sampled")

_BATCH_DIM = "(batch, dim)"
_NORMAL_QUANTILES = QuantileLoss(mean=0.0, stddev=1.0)
_LARGEST_LOG_VARIANCE = 20.0  # exp(88) is the last that float32 holds; e¹⁰ deviations are far from any posterior

# The kernel of Cramér-Wold: below the first a quadrature, above it the asymptotic series, both to float32's precision.
_LARGEST_QUADRATURE = 100.0
_QUADRATURE_NODES = 24
_SERIES_TERMS = 10
_ASYMPTOTIC_DIM = 20  # from here on the papers' own approximation

# The table of chi-square quantiles by the normal score of their probability; 6 is a probability of 1e-9.
_TABLE_LIMIT = 6.0
_TABLE_STEP = 1 / 64


def _squared_norms(values: Tensor) -> Tensor:
    return ops.sum(ops.square(values), axis=-1)


def _squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """`|a_i - b_j|²`, `(rows of a, rows of b)`, never below zero."""
    # Without the (batch, batch, dim) differences, which would not fit in memory for large batches.
    products = ops.matmul(a, ops.transpose(b))
    return ops.relu(_squared_norms(a)[:, None] + _squared_norms(b)[None, :] - 2.0 * products)


def _positions(values: Tensor) -> Tensor:
    """0, 1, 2, ... for each row, in a batch of unknown size too."""
    # JAX has no float64 unless its user asks for it; there the size is always known.
    dtype = "float32" if keras.backend.backend() == "jax" else "float64"
    ones = ops.ones_like(ops.cast(ops.stop_gradient(values[:, 0]), dtype))
    return ops.cast(ops.cumsum(ones), dtype) - 1.0  # Keras on torch makes float32 of every cumsum


def _pair_distances(values: Tensor) -> Tensor:
    """`|x_s - x_u|²` of all pairs, `(batch, batch)`, exactly 0 on the diagonal."""
    # Points far from the origin would lose in |a|² + |b|² - 2ab the digits of their difference.
    centred = values - ops.stop_gradient(ops.mean(values, axis=0))
    distances = _squared_distances(centred, centred)
    place = _positions(values)
    return ops.where(place[:, None] == place[None, :], ops.zeros_like(distances), distances)


# Wasserstein autoencoder


def _imq(squared_distances: Tensor, widths: Sequence[float]) -> Tensor:
    """The sum of inverse multiquadric kernels `C / (C + d²)`."""
    kernel = ops.zeros_like(squared_distances)
    for width in widths:
        kernel = kernel + width / (width + squared_distances)
    return kernel


@lru_cache(maxsize=64)
def _imq_nodes(dim: int, widths: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray, float]:
    """Factors `a`, rates `b` and a constant: `E k(x, z) = Σ a exp(-b |x|²)`, `E k(z, z')`, for z, z' from N(0, I).

    `C / (C + d²) = ∫ C exp(-(C + d²) t) dt`, and for each t the expectation is closed:
    `E exp(-t |x - z|²) = (1 + 2t)^(-dim/2) exp(-t |x|² / (1 + 2t))`. The trapezoidal rule in log t is exact to 1e-9.
    """
    step = 0.3
    t = np.exp(np.arange(math.log(1e-10 / max(widths)), math.log(50.0 / min(widths)), step))
    weights = sum(width * np.exp(-width * t) for width in widths) * t * step
    between = float(np.sum(weights * (1 + 4 * t) ** (-dim / 2)))
    factors, rates = weights * (1 + 2 * t) ** (-dim / 2), t / (1 + 2 * t)
    keep = factors > 1e-12 * factors.max()
    return factors[keep], rates[keep], between


def maximum_mean_discrepancy(
    values: Tensor, prior_values: Tensor | None = None, scales: Sequence[float] = IMQ_SCALES
) -> Tensor:
    """Maximum mean discrepancy between a batch and N(0, I), the penalty of the Wasserstein autoencoder (WAE-MMD).

    Formula, with `k(a, b) = Σ_scales C / (C + |a - b|²)`, `C = 2 dim scale`, for a batch of size `S`:
    `L = 1 / (S (S - 1)) Σ_{s≠u} k(x_s, x_u) + E k(z, z') - 2 / S Σ_s E k(x_s, z)` with `z`, `z'` from N(0, I).
    Unbiased, so that it can be slightly below zero.

    Args:
        values: Float tensor `(batch, dim)`.
        prior_values: `None` for the expectations over N(0, I), to 1e-9; else points drawn from the prior,
            `(num, dim)`, over which their means are taken, as published. Defaults to `None`.
        scales: Positive floats, the scales that the kernel is summed over.
            Defaults to `(0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)`.

    Returns:
        Scalar tensor, float32 (float64 for float64 input).

    Raises:
        TypeError: If the values are not floating-point numbers.
        ValueError: If a shape does not fit, or there are no scales or one is not positive.

    Notes:
        The value couples the whole batch. Cost `O(batch² (dim + scales))`. A batch of one has no pairs: that sum is 0.

    Example:

    >>> import keras, torusae
    >>> together = torusae.maximum_mean_discrepancy(keras.ops.zeros((8, 2)))
    >>> round(float(together), 3)
    1.584

    Reference:
        Tolstikhin et al. (2018), arXiv:1711.01558, algorithm 2. The closed prior terms are a torusae
        choice.
    """
    owner = "maximum_mean_discrepancy"
    scales = _scales(owner, scales)
    values = _checks.float_tensor(owner, "values", values, 2, _BATCH_DIM)
    dim = int(values.shape[1])
    widths = tuple(2.0 * dim * scale for scale in scales)
    within = _mean_of_pairs(values, widths)
    if prior_values is None:
        factors, rates, between = _imq_nodes(dim, widths)
        factors = ops.convert_to_tensor(factors, dtype=values.dtype)
        rates = ops.convert_to_tensor(rates, dtype=values.dtype)
        cross = ops.sum(factors * ops.exp(-rates * _squared_norms(values)[:, None])) / batch_size(values)
        return within + between - 2.0 * cross
    prior_values = _checks.float_tensor(owner, "prior_values", prior_values, 2, "(num, dim)")
    if prior_values.shape[1] != dim:
        raise ValueError(
            f"{owner}: `prior_values` must have as many columns as `values`. Received: "
            f"prior_values.shape={tuple(prior_values.shape)}, values.shape={tuple(values.shape)}."
        )
    prior_values = ops.cast(prior_values, values.dtype)
    cross = ops.mean(_imq(_squared_distances(values, prior_values), widths))
    return within + _mean_of_pairs(prior_values, widths) - 2.0 * cross


def _scales(owner: str, scales: Sequence[float]) -> tuple[float, ...]:
    scales = tuple(_checks.positive_float(owner, "scales", scale) for scale in scales)
    if not scales:
        raise ValueError(f"{owner}: `scales` must hold at least one positive number. Received: scales=().")
    return scales


def _mean_of_pairs(values: Tensor, widths: Sequence[float]) -> Tensor:
    """The mean kernel over pairs of different rows."""
    num = batch_size(values)
    num_pairs = num * (num - 1)
    # The diagonal holds one for each width.
    total = ops.sum(_imq(_pair_distances(values), widths)) - len(widths) * num
    return total / (max(num_pairs, 1) if isinstance(num_pairs, int) else ops.maximum(num_pairs, 1.0))


@keras.saving.register_keras_serializable(package="torusae")
class MMDLoss(LatentLoss):
    """Maximum mean discrepancy as an object, the penalty of WAE-MMD. See `maximum_mean_discrepancy`.

    Args:
        prior: `"closed"` for the exact expectations over N(0, I), `"sampled"` to draw as many points from it as the
            batch has, as published. Defaults to `"closed"`.
        scales: Positive floats. Defaults to `(0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)`.
        seed: Integer, seed of the sampled prior, or `None` for a random one. Defaults to `None`.
        name: String. Defaults to `"mmd"`.

    Raises:
        ValueError: If `prior` is unknown, or there are no scales or one is not positive.

    Example:

    >>> import keras, torusae
    >>> round(float(torusae.MMDLoss()(keras.ops.zeros((8, 2)))), 3)
    1.584

    Reference:
        Tolstikhin et al. (2018), arXiv:1711.01558.
    """

    part = "normal"
    default_weight = 10.0

    def __init__(
        self,
        prior: str = "closed",
        scales: Sequence[float] = IMQ_SCALES,
        seed: int | None = None,
        name: str = "mmd",
    ):
        super().__init__(name)
        self.prior = _checks.option("MMDLoss", "prior", prior, PRIORS)
        self.scales = _scales("MMDLoss", scales)
        self.seed = seed
        if prior == "sampled":
            self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, values):
        prior_values = None
        if self.prior == "sampled":
            values = ops.convert_to_tensor(values)
            dtype = _checks.working_dtype(values.dtype)
            prior_values = keras.random.normal(ops.shape(values), dtype=dtype, seed=self.seed_generator)
        return maximum_mean_discrepancy(values, prior_values, self.scales)

    def get_config(self):
        return {**super().get_config(), "prior": self.prior, "scales": list(self.scales), "seed": self.seed}


# Sliced-Wasserstein autoencoder


def sliced_wasserstein_loss(values: Tensor, directions: Tensor) -> Tensor:
    """Sliced Wasserstein distance between a batch and N(0, I): the mean over lines of what `quantile_loss` measures.

    Formula, with the projections `p_d,s = θ_d · x_s` of a batch of size `S` on each of `D` unit vectors sorted along
    the batch: `L = 1 / (D S) Σ_d Σ_s (p_d,s - q_s)²` with the quantiles `q` of N(0, 1).

    Args:
        values: Float tensor `(batch, dim)`.
        directions: Float tensor `(num_directions, dim)`, rows of any length except 0; they are made unit vectors.

    Returns:
        Scalar tensor, float32 (float64 for float64 input).

    Raises:
        TypeError: If the values are not floating-point numbers.
        ValueError: If a shape does not fit.

    Notes:
        The value couples the whole batch. Cost `O(num_directions batch (dim + log batch))`.

    Example:

    >>> import keras, torusae
    >>> values = keras.ops.convert_to_tensor(torusae.normal_quantiles(4, 0.0, 1.0)[:, None], "float32")
    >>> round(float(torusae.sliced_wasserstein_loss(values, [[2.0], [-1.0]])), 4)
    0.0

    Reference:
        Kolouri et al. (2018), arXiv:1804.01947. Quantiles in place of sorted samples of the prior are a
        torusae choice: the same limit with less noise.
    """
    owner = "sliced_wasserstein_loss"
    values = _checks.float_tensor(owner, "values", values, 2, _BATCH_DIM)
    directions = _checks.float_tensor(owner, "directions", directions, 2, "(num_directions, dim)")
    if directions.shape[1] != values.shape[1]:
        raise ValueError(
            f"{owner}: `directions` must have as many columns as `values`. Received: "
            f"directions.shape={tuple(directions.shape)}, values.shape={tuple(values.shape)}."
        )
    directions = ops.normalize(ops.cast(directions, values.dtype), axis=-1)
    projections = ops.matmul(values, ops.transpose(directions))  # (batch, num_directions)
    return quantile_loss(projections, _NORMAL_QUANTILES.quantiles(projections), "normalized")


@keras.saving.register_keras_serializable(package="torusae")
class SlicedWassersteinLoss(LatentLoss):
    """Sliced Wasserstein distance as an object, with new random directions for each batch (SWAE).

    See `sliced_wasserstein_loss`.

    Args:
        num_directions: Integer, at least 1. Defaults to `50`.
        seed: Integer, or `None` for a random one. Defaults to `None`.
        name: String. Defaults to `"sliced_wasserstein"`.

    Raises:
        TypeError: If `num_directions` is not an integer.
        ValueError: If `num_directions` is below 1.

    Example:

    >>> import keras, torusae
    >>> round(float(torusae.SlicedWassersteinLoss(seed=0)(keras.ops.zeros((2, 3)))), 4)
    0.4549

    Reference:
        Kolouri et al. (2018), arXiv:1804.01947.
    """

    part = "normal"
    default_weight = 10.0

    def __init__(self, num_directions: int = 50, seed: int | None = None, name: str = "sliced_wasserstein"):
        super().__init__(name)
        self.num_directions = _checks.positive_int("SlicedWassersteinLoss", "num_directions", num_directions)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, values):
        shape = (self.num_directions, values.shape[1])
        # Normal numbers: their directions are uniform on the sphere.
        return sliced_wasserstein_loss(values, keras.random.normal(shape, dtype="float32", seed=self.seed_generator))

    def get_config(self):
        return {**super().get_config(), "num_directions": self.num_directions, "seed": self.seed}


# Cramér-Wold autoencoder


@lru_cache(maxsize=64)
def _sphere_nodes(dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes `u²` and weights of Gauss quadrature over one coordinate `u` of a uniform point of the sphere."""
    k = np.arange(1, 2 * _QUADRATURE_NODES)
    squares = np.empty(len(k))
    squares[0] = 1 / dim  # the formula is 0 / 0 for the circle
    squares[1:] = k[1:] * (k[1:] + dim - 3) / ((2 * k[1:] + dim - 4) * (2 * k[1:] + dim - 2))
    off_diagonal = np.diag(np.sqrt(squares), 1)
    nodes, vectors = np.linalg.eigh(off_diagonal + off_diagonal.T)
    positive = nodes > 0  # the nodes come in pairs ±u
    return nodes[positive] ** 2, 2 * vectors[0, positive] ** 2


def _sphere_kernel(s: Tensor, dim: int) -> Tensor:
    """`1F1(1/2; dim/2; -s)`: the mean of `exp(-s u²)` over one coordinate `u` of the unit sphere, for `s` not below 0.

    From dim 20 the papers' approximation `(1 + 4s / (2 dim - 3))^(-1/2)`. Below, where it is off by 4% at dim 5 and
    worse on the plane, the function itself: Gauss quadrature of the mean, and for large `s` its asymptotic series.
    """
    if dim >= _ASYMPTOTIC_DIM:
        return ops.rsqrt(1.0 + 4.0 / (2 * dim - 3) * s)
    if dim == 1:
        return ops.exp(-s)
    near = s < _LARGEST_QUADRATURE
    close = ops.where(near, s, 0.0 * s)
    mean = ops.zeros_like(s)
    for node, weight in zip(*_sphere_nodes(dim), strict=True):
        mean = mean + float(weight) * ops.exp(-float(node) * close)
    inverse = 1.0 / ops.maximum(s, _LARGEST_QUADRATURE)
    b = dim / 2
    coefficients = [math.exp(math.lgamma(b) - math.lgamma(b - 0.5))]
    for k in range(1, _SERIES_TERMS):
        coefficients.append(coefficients[-1] * (k - 0.5) * (k + 0.5 - b) / k)
    series = coefficients[-1] * ops.ones_like(s)
    for coefficient in reversed(coefficients[:-1]):
        series = series * inverse + coefficient
    return ops.where(near, mean, series * ops.sqrt(inverse))


def cramer_wold_loss(values: Tensor) -> Tensor:
    """Squared Cramér-Wold distance between a batch and N(0, I), the penalty of the Cramér-Wold autoencoder (CWAE).

    The mean over all lines through the origin of the squared L2 distance between the densities of both on the line,
    smoothed with the variance `g = (4 / (3 S))^(2/5)`, in closed form.

    Formula, with `φ(s) = 1F1(1/2; dim/2; -s)`, for a batch of size `S`: `L = 1 / (2 √π) [ 1 / (S² √g)
    Σ_{s,u} φ(|x_s - x_u|² / (4 g)) + 1 / √(1 + g) - 2 √2 / (S √(1 + 2 g)) Σ_s φ(|x_s|² / (2 + 4 g)) ]`.
    From dim 20, as the papers do, `φ(s) ≈ (1 + 4 s / (2 dim - 3))^(-1/2)`; below, where that is inexact (and
    undefined at dim 1), `φ` itself to float32's precision.

    Args:
        values: Float tensor `(batch, dim)`.

    Returns:
        Scalar tensor, float32 (float64 for float64 input).

    Raises:
        TypeError: If `values` are not floating-point numbers.
        ValueError: If `values` are not of rank 2.

    Notes:
        The value couples the whole batch. Cost `O(batch² dim)`, below dim 20 with a factor of 24.

    Example:

    >>> import keras, torusae
    >>> round(float(torusae.cramer_wold_loss(keras.ops.zeros((8, 2)))), 4)
    0.0674

    Reference:
        Knop et al. (2020), arXiv:1805.09235.
    """
    values = _checks.float_tensor("cramer_wold_loss", "values", values, 2, _BATCH_DIM)
    dim, num = int(values.shape[1]), batch_size(values)
    gamma = (4 / (3 * num)) ** 0.4
    within = ops.mean(_sphere_kernel(_pair_distances(values) / (4 * gamma), dim)) / gamma**0.5
    cross = ops.mean(_sphere_kernel(_squared_norms(values) / (2 + 4 * gamma), dim)) / (0.5 + gamma) ** 0.5
    return (within + 1 / (1 + gamma) ** 0.5 - 2 * cross) / (2 * math.sqrt(math.pi))


@keras.saving.register_keras_serializable(package="torusae")
class CramerWoldLoss(LatentLoss):
    """Squared Cramér-Wold distance to N(0, I) as an object (CWAE). See `cramer_wold_loss`.

    Args:
        name: String. Defaults to `"cramer_wold"`.

    Example:

    >>> import keras, torusae
    >>> round(float(torusae.CramerWoldLoss()(keras.ops.zeros((8, 2)))), 4)
    0.0674

    Reference:
        Knop et al. (2020), arXiv:1805.09235. The paper adds the logarithm of the distance to the reconstruction loss.
    """

    part = "normal"
    default_weight = 100.0

    def __init__(self, name: str = "cramer_wold"):
        super().__init__(name)

    def call(self, values):
        return cramer_wold_loss(values)


# Gaussian autoencoder


def _chi_square_tails(x: np.ndarray, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """P(X < x) and P(X > x) of chi-square, each exact to rounding where it is the smaller one."""
    a, y = dim / 2, x / 2
    with np.errstate(divide="ignore"):
        log_y = np.log(y)
    # Below: the series of positive terms of the incomplete gamma function.
    few = np.minimum(y, a)
    term = np.ones_like(y)
    below = term.copy()
    for index in range(1, 200 + 2 * dim):
        term = term * few / (a + index)
        below += term
    below *= np.exp(a * np.log(np.maximum(few, 1e-300)) - few - math.lgamma(a + 1))
    # Above: a finite sum, for odd dim beside the tail of the normal distribution.
    start = 0.0 if dim % 2 == 0 else 0.5
    above = np.zeros_like(y)
    if dim % 2:
        above += np.array([math.erfc(math.sqrt(value)) for value in y])
    for k in np.arange(start, a):
        above += np.exp(k * log_y - y - math.lgamma(k + 1))
    lower = y < a
    return np.where(lower, below, 1 - above), np.where(lower, 1 - below, above)


@lru_cache(maxsize=64)
def _chi_square_table(dim: int) -> np.ndarray:
    """Quantiles of chi-square and their slopes by the normal score `z` of the probability, `(2, number of scores)`."""
    z = np.arange(-_TABLE_LIMIT, _TABLE_LIMIT + _TABLE_STEP, _TABLE_STEP)
    lower_tail = np.array([math.erfc(-value / math.sqrt(2)) / 2 for value in z])
    upper_tail = lower_tail[::-1]
    low, high = np.full(len(z), -60.0), np.full(len(z), math.log(dim + 12 * math.sqrt(2 * dim) + 80))
    for _ in range(64):
        middle = (low + high) / 2
        below, above = _chi_square_tails(np.exp(middle), dim)
        too_low = np.where(z < 0, below < lower_tail, above > upper_tail)
        low, high = np.where(too_low, middle, low), np.where(too_low, high, middle)
    x = np.exp((low + high) / 2)
    a = dim / 2
    log_density = (a - 1) * np.log(x) - x / 2 - a * math.log(2) - math.lgamma(a)
    slope = np.exp(-(z**2) / 2 - log_density) / math.sqrt(2 * math.pi)
    table = np.stack([x, slope])
    table.setflags(write=False)
    return table


def _hermite(table, place, offset, take):
    """Cubic through the values and slopes at both ends of a step of the table."""
    x0, x1 = take(table[0], place), take(table[0], place + 1)
    d0, d1 = take(table[1], place) * _TABLE_STEP, take(table[1], place + 1) * _TABLE_STEP
    rise = x1 - x0
    return x0 + offset * (d0 + offset * (3 * rise - 2 * d0 - d1 + offset * (d0 + d1 - 2 * rise)))


@lru_cache(maxsize=16)
def chi_square_quantiles(count: int, dim: int) -> np.ndarray:
    """The `count` quantiles of the chi-square distribution at the middles of equal shares of probability.

    Args:
        count: Integer, at least 1, the number of quantiles.
        dim: Integer, at least 1, the degrees of freedom.

    Returns:
        NumPy array `(count,)`, float64, ascending, exact to 1e-9 of the largest.
    """
    table = _chi_square_table(dim)
    steps = (np.clip(_standard_normal_quantiles(count), -_TABLE_LIMIT, _TABLE_LIMIT) + _TABLE_LIMIT) / _TABLE_STEP
    place = np.minimum(steps.astype(int), table.shape[1] - 2)
    quantiles = _hermite(table, place, steps - place, np.take)
    quantiles.setflags(write=False)  # one array serves every caller
    return quantiles


def _traced_chi_square_quantiles(probabilities: Tensor, dim: int) -> Tensor:
    """The same inside a graph that does not know its batch size."""
    z = math.sqrt(2.0) * ops.erfinv(2.0 * probabilities - 1.0)
    steps = (ops.clip(z, -_TABLE_LIMIT, _TABLE_LIMIT) + _TABLE_LIMIT) / _TABLE_STEP
    table = [ops.convert_to_tensor(row, dtype=steps.dtype) for row in _chi_square_table(dim)]
    place = ops.minimum(ops.cast(steps, "int32"), table[0].shape[0] - 2)
    return _hermite(table, place, steps - ops.cast(place, steps.dtype), ops.take)


def gaussian_distance_loss(values: Tensor) -> Tensor:
    """Duda's Gaussian autoencoder: the squared norms of a batch and the squared distances of its pairs, as of N(0, I).

    Both follow a known distribution: `|z|²` and `|z - z'|² / 2` are chi-square with `dim` degrees of freedom. Sorted,
    they are compared with its quantiles.

    Formula, with the squared norms `n` of a batch of size `S` and the halved squared distances `h` of its
    `P = S (S - 1) / 2` pairs, both sorted, and quantiles `q` of their counts:
    `L = 1 / (dim (dim + 2)) [ 1 / S Σ_s (n_s - q_s)² + 1 / P Σ_p (h_p - q_p)² ]`. The divisor is the mean square of
    chi-square, so that each half is near 1 where all points are one.

    Args:
        values: Float tensor `(batch, dim)`.

    Returns:
        Scalar tensor, float32 (float64 for float64 input).

    Raises:
        TypeError: If `values` are not floating-point numbers.
        ValueError: If `values` are not of rank 2.

    Notes:
        The value couples the whole batch. Cost `O(batch² (dim + log batch))`. A batch of one has no pairs: that sum
        is 0.

    Example:

    >>> import keras, torusae
    >>> round(float(torusae.gaussian_distance_loss(keras.ops.zeros((8, 2)))), 3)
    1.747

    Reference:
        Duda (2018), arXiv:1811.04751. The squares and the divisor are torusae choices.
    """
    values = _checks.float_tensor("gaussian_distance_loss", "values", values, 2, _BATCH_DIM)
    dim, num = int(values.shape[1]), values.shape[0]
    norms = sort_rows(_squared_norms(values)[:, None])[0]
    halves = 0.5 * ops.reshape(_pair_distances(values), (-1,))
    if isinstance(num, int):
        quantiles = ops.convert_to_tensor(chi_square_quantiles(num, dim), dtype=values.dtype)
        loss = ops.mean(ops.square(norms - quantiles))
        if num > 1:
            rows, columns = np.triu_indices(num, 1)
            halves = sort_rows(ops.take(halves, rows * num + columns)[:, None])[0]
            quantiles = ops.convert_to_tensor(chi_square_quantiles(len(rows), dim), dtype=values.dtype)
            loss = loss + ops.mean(ops.square(halves - quantiles))
        return loss / (dim * (dim + 2))
    place = _positions(values)
    size = ops.sum(ops.ones_like(place))
    quantiles = ops.cast(_traced_chi_square_quantiles((place + 0.5) / size, dim), values.dtype)
    loss = ops.mean(ops.square(norms - quantiles))
    # The diagonal sorts to the front and gets no weight; behind it every pair comes twice.
    diagonal = ops.reshape(place[:, None] == place[None, :], (-1,))
    halves = sort_rows(ops.where(diagonal, -ops.ones_like(halves), halves)[:, None])[0]
    rank = _positions(halves[:, None]) - size
    num_pairs = ops.maximum(size * (size - 1.0) / 2.0, 1.0)
    probabilities = ops.where(rank < 0, ops.full_like(rank, 0.5), (ops.floor(rank / 2.0) + 0.5) / num_pairs)
    quantiles = ops.cast(_traced_chi_square_quantiles(probabilities, dim), values.dtype)
    squares = ops.where(rank < 0, ops.zeros_like(halves), ops.square(halves - quantiles))
    return (loss + ops.sum(squares) / ops.cast(2.0 * num_pairs, values.dtype)) / (dim * (dim + 2))


@keras.saving.register_keras_serializable(package="torusae")
class GaussianDistanceLoss(LatentLoss):
    """The loss of Duda's Gaussian autoencoder as an object. See `gaussian_distance_loss`.

    Args:
        name: String. Defaults to `"radius_distance"`.

    Example:

    >>> import keras, torusae
    >>> round(float(torusae.GaussianDistanceLoss()(keras.ops.zeros((8, 2)))), 3)
    1.747

    Reference:
        Duda (2018), arXiv:1811.04751.
    """

    part = "normal"
    default_weight = 10.0

    def __init__(self, name: str = "radius_distance"):
        super().__init__(name)

    def call(self, values):
        return gaussian_distance_loss(values)


# Variational autoencoder


def split_posterior(posterior: Tensor) -> tuple[Tensor, Tensor]:
    """The means and the log variances of a posterior `(batch, 2 * dim)`, each `(batch, dim)`, in at least float32."""
    posterior = _checks.float_tensor("kl_loss", "posterior", posterior, 2, "(batch, 2 * dim)")
    size = posterior.shape[1]
    if size % 2 or size == 0:
        raise ValueError(
            f"kl_loss: `posterior` must have shape (batch, 2 * dim), dim means followed by dim log variances. "
            f"Received: posterior.shape={tuple(posterior.shape)}."
        )
    return posterior[:, : size // 2], posterior[:, size // 2 :]


def draw_posterior(posterior: Tensor, seed: keras.random.SeedGenerator) -> Tensor:
    """Values drawn from a posterior `(batch, 2 * dim)`: `mean + exp(log_variance / 2) ε`."""
    mean, log_variance = split_posterior(posterior)
    noise = keras.random.normal(ops.shape(mean), dtype=keras.backend.standardize_dtype(mean.dtype), seed=seed)
    return mean + ops.exp(0.5 * ops.minimum(log_variance, _LARGEST_LOG_VARIANCE)) * noise


def kl_loss(posterior: Tensor) -> Tensor:
    """Kullback-Leibler divergence from N(0, I) of the posteriors of a variational autoencoder, in nats.

    Formula, with `v` the log variances: `L = 1 / S Σ_s Σ_i (μ_s,i² + exp(v_s,i) - 1 - v_s,i) / 2`. Above `v = 20` the
    exponential goes on as its tangent, so that nothing overflows and the gradient still leads back.

    Args:
        posterior: Float tensor `(batch, 2 * dim)`, the means, then the log variances.

    Returns:
        Scalar tensor, float32 (float64 for float64 input), 0 where every posterior is N(0, I).

    Raises:
        TypeError: If `posterior` does not hold floating-point numbers.
        ValueError: If `posterior` is not of rank 2, or its last axis is odd.

    Example:

    >>> import keras, torusae
    >>> float(torusae.kl_loss(keras.ops.convert_to_tensor([[2.0, 0.0]])))
    2.0

    Reference:
        Kingma & Welling (2013), arXiv:1312.6114, appendix B.
    """
    mean, log_variance = split_posterior(posterior)
    bounded = ops.minimum(log_variance, _LARGEST_LOG_VARIANCE)
    # expm1 keeps the digits near the minimum, where the exponential cancels 1 + v.
    variance_less_one = ops.expm1(bounded) + ops.exp(bounded) * (log_variance - bounded)
    return ops.mean(0.5 * ops.sum(ops.square(mean) + variance_less_one - log_variance, axis=-1))


@keras.saving.register_keras_serializable(package="torusae")
class KLLoss(LatentLoss):
    """Kullback-Leibler divergence of a VAE's posteriors as an object. See `kl_loss`.

    `TorusAutoencoder` minimizes `R + |R| w L`. A VAE with a normal decoder of free variance minimizes
    `(N / 2) log R + L` for samples of `N` numbers and `R` their mean squared error: that is the weight `w = 2 / N`,
    0.0026 for 28 x 28 pixels, 0.01 for 200 numbers.

    Args:
        name: String. Defaults to `"kl"`.

    Example:

    >>> import keras, torusae
    >>> float(torusae.KLLoss()(keras.ops.zeros((3, 4))))
    0.0

    Reference:
        Kingma & Welling (2013), arXiv:1312.6114.
    """

    part = "posterior"
    default_weight = 0.01

    def __init__(self, name: str = "kl"):
        super().__init__(name)

    def call(self, values):
        return kl_loss(values)
