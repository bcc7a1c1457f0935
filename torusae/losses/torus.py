"""Losses that make points uniform on the whole torus, and others that see one circle: each exact, without samples.

All are 1 where a batch lies in one point and `1 / batch` on average for independent uniform points, so that they can be
read and weighted alike.
"""

import math
import operator
from collections.abc import Callable
from functools import lru_cache
from itertools import accumulate

import keras
import numpy as np
from keras import ops

from torusae import _checks
from torusae._checks import Tensor
from torusae.angles import integer_vectors, primitive_directions, wrap_angles
from torusae.losses.base import LatentLoss, batch_size, is_on_cpu, sort_rows

# Pairs of points held at once. Arrays of 256 kB stay in a CPU's cache; a GPU needs enough to do.
_BLOCK_PAIRS, _GPU_BLOCK_PAIRS = 1 << 16, 1 << 20
_WHOLE = 1 / (1 + math.pi**2 / 3)  # 1 over the largest factor of the kernel
_NOISE_FLOOR = 2.0  # in mean squares of pure noise: one moment of uniform points in seven gets through, much shrunk
_LEAST_SHARE = 1 / 64  # of a batch in the memory: what is older than this many steps says little of the encoder now
_TINY = 1e-12  # far below the squared noise of any batch


def _angles(owner: str, angles: Tensor) -> Tensor:
    return _checks.float_tensor(owner, "angles", angles, 2, "(batch, dim)")


def circular_wasserstein_loss(angles: Tensor) -> Tensor:
    """Squared 2-Wasserstein distance of a batch to the uniform circle, over its largest value, mean over the circles.

    A global pull where the spring is a local one: it moves a whole crowd across a circle.

    Formula, with the angles of a circle in turns, sorted: `v_s = u_s - (s - ½) / S`, `W = 12 Var(v) + 1 / S²`. The
    variance is the least over all rotations of the circle.

    Angles are in radians; any real value is accepted and read modulo 2π.

    Args:
        angles: Float tensor `(batch, dim)`.

    Returns:
        Scalar tensor, float32 (float64 for float64 input): `1 / batch²` = evenly spaced, `1 / batch` = independent
        uniform points on average, 1 = all in one point.

    Raises:
        TypeError: If `angles` are not floating-point numbers.
        ValueError: If `angles` are not of rank 2.

    Notes:
        Cost `O(dim batch log batch)`, one sort.

    Example:

    >>> import keras, torusae
    >>> float(torusae.circular_wasserstein_loss(keras.ops.zeros((4, 1))))
    1.0

    Reference:
        Bonet et al. (2023), Spherical Sliced-Wasserstein, arXiv:2206.08780, proposition 1.
    """
    angles = _angles("circular_wasserstein_loss", angles)
    size = batch_size(angles)
    u = sort_rows(wrap_angles(angles)) / (2 * math.pi)  # (dim, batch)
    s = ops.cumsum(ops.ones_like(u[:1]), axis=-1)
    v = u - (s - 0.5) / size
    return 12 * ops.mean(ops.var(v, axis=-1)) + 1 / size**2


def sliced_loss(angles: Tensor, directions: Tensor, loss: Callable[[Tensor], Tensor] | None = None) -> Tensor:
    """A loss of single circles along integer directions of the torus: `mean over k of loss(k·φ)`.

    Points are uniform on the torus if and only if `k·φ` is uniform on the circle for every primitive integer vector
    `k`, as Cramér and Wold's theorem says of real directions in the plane.

    Args:
        angles: Float tensor `(batch, dim)`, radians.
        directions: Integer tensor or array `(num_directions, dim)`, no row of zeros, for example
            `primitive_directions(dim)`.
        loss: Function from angles `(batch, num_directions)` to a scalar that is a mean over its columns. Defaults to
            `None`, `circular_wasserstein_loss`.

    Returns:
        Scalar tensor.

    Raises:
        TypeError: If `directions` are not integers.
        ValueError: If a shape does not fit or a direction is zero.

    Example:

    >>> import keras, torusae
    >>> angles = keras.ops.convert_to_tensor([[0.0, 0.0], [3.14159265, 3.14159265]])
    >>> round(float(torusae.sliced_loss(angles, [[1, 0], [1, -1]])), 4)
    0.625

    Reference:
        Cuesta-Albertos, Fraiman & Ransford (2007) for projections; Weyl (1916) for integer directions.
    """
    angles = _angles("sliced_loss", angles)
    if not ops.is_tensor(directions):
        directions = np.asarray(directions)
        if directions.ndim == 2 and not np.all(np.any(directions != 0, axis=-1)):
            row = int(np.argmin(np.any(directions != 0, axis=-1)))
            raise ValueError(f"sliced_loss: `directions` must hold no row of zeros. Received: zeros in row {row}.")
    if "int" not in str(directions.dtype):
        raise TypeError(
            f"sliced_loss: `directions` must be integers, else k·φ jumps where an angle passes π. "
            f"Received: dtype={directions.dtype}. Use torusae.primitive_directions(dim)."
        )
    if len(directions.shape) != 2 or directions.shape[1] != angles.shape[1]:
        raise ValueError(
            f"sliced_loss: `directions` must have shape (num_directions, {angles.shape[1]}). "
            f"Received: directions.shape={tuple(directions.shape)}."
        )
    k = ops.cast(ops.convert_to_tensor(directions), angles.dtype)
    return (loss or circular_wasserstein_loss)(ops.matmul(wrap_angles(angles), ops.transpose(k)))


def diaphony_loss(
    angles: Tensor, order: int | None = None, interactions: int | None = None, decay: float = 2.0
) -> Tensor:
    """Squared diaphony of a batch on the torus, over its largest value: a kernel discrepancy, the same after any shift.

    Formula: `F² = Σ_{k≠0} w_k |mean e^{ik·φ}|² / Σ_{k≠0} w_k`, `w_k = Π_j max(1, |k_j|)^-decay`, over all integer
    vectors `k`. Summed in closed form over all pairs of points, with `u` in turns and `B(d) = 2π² ({d}² - {d} + 1/6)`:
    `F² = mean_{s,t} [Π_j (1 + B(u_sj - u_tj)) - 1] / [(1 + π²/3)^dim - 1]`.

    Angles are in radians; any real value is accepted and read modulo 2π.

    Args:
        angles: Float tensor `(batch, dim)`.
        order: `None` for the closed form, else an integer, at least 1: only the `k` with entries up to it, at a cost
            linear in the batch. Defaults to `None`.
        interactions: `None` for every `k`, else an integer, at least 1: only the `k` with so many entries that are not
            zero. From about six circles on, nearly all weight lies on `k` with many such entries, and single angles and
            pairs need `interactions=2`. Defaults to `None`.
        decay: Float, not negative, how fast the weights fall with the entries of `k`. The smaller, the more the loss
            sees of small gaps. Other than 2 needs an `order`. Defaults to `2.0`, the diaphony of Zinterhof.

    Returns:
        Scalar tensor, float32 (float64 for float64 input): `1 / batch` for independent uniform points on average, 1 =
        all in one point.

    Raises:
        TypeError: If `angles` are not floating-point numbers, or `order` or `interactions` not integers.
        ValueError: If `angles` are not of rank 2, `order` or `interactions` is below 1, they ask for more than
            2**16 vectors `k`, or `decay` is negative, or not 2 without an `order`.

    Notes:
        Cost of the closed form `O(batch² dim interactions)`, in blocks, so that memory does not grow with `batch²`;
        it has first derivatives only. Cost with an `order`: `O(batch · number of k)`.

    Example:

    >>> import keras, torusae
    >>> round(float(torusae.diaphony_loss(keras.ops.zeros((4, 2)), order=3)), 4)
    1.0

    Reference:
        Zinterhof (1976), Über einige Abschätzungen bei der Approximation von Funktionen mit Gleichverteilungsmethoden.
    """
    angles = _angles("diaphony_loss", angles)
    dim = angles.shape[1]
    if interactions is not None:
        interactions = min(_checks.positive_int("diaphony_loss", "interactions", interactions), dim)
    decay = _checked_decay("diaphony_loss", decay, order)
    if order is None:
        return _pair_diaphony(angles, interactions or dim)
    order = _checks.positive_int("diaphony_loss", "order", order)
    interactions = interactions or dim
    return _weighted_squares(_moments(angles, order, interactions), _frequencies(dim, order, interactions, decay))


def _checked_decay(owner: str, decay: float, order: int | None) -> float:
    decay = _checks.positive_float(owner, "decay", decay, zero_allowed=True)
    if order is None and decay != 2:
        raise ValueError(f"{owner}: the closed form has `decay` 2. Received: decay={decay}, order=None. Give an order.")
    return decay


def _moments(angles: Tensor, order: int, interactions: int) -> Tensor:
    """`mean e^{ik·φ}` of a batch, `(2, num)`: real parts over imaginary ones, with k in the places of `_frequencies`.

    Every k is a sum or difference of vectors of fewer circles, and `mean cos((a ± b)·φ)` comes from means of products
    such as `mean cos(a·φ) cos(b·φ)`, which are products of matrices: far less work than a cosine for every point and k.
    """
    dim, size = angles.shape[1], batch_size(angles)
    # The batch comes last: each number of a wave is multiplied with a row of points at a time. Operators and indices do
    # the same as Keras' functions, which take 20 microseconds each on torch to look for symbolic tensors.
    frequencies = ops.convert_to_tensor(np.arange(order + 1.0)[:, None], dtype=angles.dtype)
    phases = ops.transpose(angles)[:, None] * frequencies
    cosines, sines = ops.cos(phases), ops.sin(phases)  # (dim, order + 1, batch)
    if interactions == dim > 1:
        waves = ops.concatenate([cosines, sines], axis=1)
        p = waves[0]
        for j in range(1, dim - 1):
            p = _rows(p[:, None] * waves[j])
        means = (p @ ops.transpose(waves[dim - 1])) / size
        for j in range(dim - 1):
            means = _sums_and_differences(means, 2**j * (order + 1) ** (j + 1), order + 1)
        return ops.reshape(means, (2, -1))
    waves = ops.stack([cosines, sines])
    every = _rows(waves)
    if interactions == 1:
        return ops.reshape(ops.sum(every, axis=1) / size, (2, -1))
    p = every if interactions == 2 else _chosen_waves(waves, _choices(dim, order, interactions - 1))
    means = (p @ ops.transpose(every)) / size
    return ops.reshape(_sums_and_differences(means, p.shape[0] // 2, dim * (order + 1)), (2, -1))


def _rows(array: Tensor) -> Tensor:
    """All axes but the last one as one."""
    return ops.reshape(array, (math.prod(array.shape[:-1]), -1))


# From cos a cos b, cos a sin b, sin a cos b and sin a sin b to cos(a + b), cos(b - a), sin(a + b) and sin(b - a).
_ADDITION_THEOREMS = np.array([[1, 0, 0, -1], [1, 0, 0, 1], [0, 1, 1, 0], [0, 1, -1, 0]], "float32")


def _sums_and_differences(means: Tensor, num_a: int, num_b: int) -> Tensor:
    """Means of products of `cos` and `sin` of vectors a with those of b become means for `a + b` and `b - a`.

    From any shape of `(2, num_a, 2, num_b, rest)` to one of `(2, 2 * num_a * num_b * rest)`.
    """
    pairs = ops.transpose(ops.reshape(means, (2, num_a, 2, num_b, -1)), (0, 2, 1, 3, 4))
    turn = ops.convert_to_tensor(_ADDITION_THEOREMS, dtype=means.dtype)
    return turn @ ops.reshape(pairs, (4, -1))


def _chosen_waves(waves: Tensor, choices: list[tuple[np.ndarray, np.ndarray]]) -> Tensor:
    """`cos` and `sin` of sums of chosen vectors; to choose by matrices of 0 and ±1 is fast to differentiate."""
    cosine: Tensor = None
    sine: Tensor = None
    for matrices in choices:
        c, s = (
            ops.matmul(ops.convert_to_tensor(matrix.T, dtype=waves.dtype), _rows(part))
            for matrix, part in zip(matrices, ops.unstack(waves, axis=0), strict=True)
        )
        cosine, sine = (c, s) if cosine is None else (cosine * c - sine * s, sine * c + cosine * s)
    return ops.concatenate([cosine, sine])


@lru_cache(maxsize=32)
def _choices(dim: int, order: int, entries: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """For every vector of at most so many entries, which waves it is the sum of: a choice for cosines and for sines."""
    vectors = _few_entries(dim, order, entries)
    choices = [np.zeros((dim * (order + 1), len(vectors)), "float32") for _ in range(entries)]
    for column, vector in enumerate(vectors):
        circles = np.flatnonzero(vector)
        for number, signs in enumerate(choices):
            j = circles[number] if number < len(circles) else 0
            a = vector[j] if number < len(circles) else 0
            signs[j * (order + 1) + abs(a), column] = -1 if a < 0 else 1
    return [(np.abs(signs), signs) for signs in choices]


def _few_entries(dim: int, order: int, entries: int) -> np.ndarray:
    return np.concatenate([np.zeros((1, dim), "int32"), integer_vectors(dim, order, entries, most=1 << 16)])


def _weighted_squares(moments: Tensor, weights: np.ndarray) -> Tensor:
    """`Σ_k w_k |moment_k|²`."""
    return ops.sum(ops.convert_to_tensor(weights, dtype=moments.dtype) * ops.square(moments))


@lru_cache(maxsize=32)
def _frequencies(dim: int, order: int, interactions: int, decay: float) -> np.ndarray:
    """The weights of the vectors k, one of `k` and `-k`, in the places of `_moments`, `(num,)`; their sum is 1.

    Places where a vector comes again, or one that is not asked for, have weight 0.
    """
    k = integer_vectors(dim, order, interactions, most=1 << 16)
    weights = np.prod(np.maximum(1, np.abs(k)), axis=1, dtype="float64") ** -decay
    # A vector by one number: its product with large random ones, by which sums of vectors are sums of numbers.
    numbers = np.random.default_rng(0).integers(1 << 62, size=dim)
    every = (np.arange(order + 1) * numbers[:, None]).reshape(-1)
    if interactions == 1:
        found = every
    elif interactions < dim:
        p = every if interactions == 2 else _few_entries(dim, order, interactions - 1) @ numbers
        found = _sums_and_differences_of(p, every)
    else:
        found = every[: order + 1]
        for j in range(1, dim):
            found = _sums_and_differences_of(found, every[j * (order + 1) : (j + 1) * (order + 1)])
    vectors, first = np.unique(found, return_index=True)
    result = np.zeros(found.size)
    own = k @ numbers
    places = np.searchsorted(vectors, own) % len(vectors)
    places = np.where(vectors[places] == own, places, np.searchsorted(vectors, -own) % len(vectors))
    result[first[places]] = weights / weights.sum()
    return result


def _sums_and_differences_of(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The numbers of vectors in the places of `_sums_and_differences`."""
    return np.concatenate([np.add.outer(a, b).reshape(-1), -np.subtract.outer(a, b).reshape(-1)])


def _pair_diaphony(angles: Tensor, interactions: int) -> Tensor:
    """The closed form. Value and gradient are summed up block by block, outside of what the backend differentiates."""
    dim = angles.shape[1]
    sums = _pair_sums(ops.stop_gradient(wrap_angles(angles)), interactions)
    if interactions == dim:
        largest, step = 1 - _WHOLE**dim, _WHOLE
    else:
        largest, step = sum(math.comb(dim, m) * (math.pi**2 / 3) ** m for m in range(1, interactions + 1)), 1.0
    scale = 1 / (largest * batch_size(angles) ** 2)
    # Each pair stands twice in the sum over all pairs, as (s, t) and (t, s). The term is zero, its gradient the slope.
    slope = (2 * step * scale) * sums[:, 1:]
    return scale * ops.sum(sums[:, 0]) + ops.sum(slope * (angles - ops.stop_gradient(angles)))


def _pair_sums(angles: Tensor, interactions: int) -> Tensor:
    """For every point, the sums over all partners of the kernel and of its derivative: `(batch, 1 + dim)`.

    Rows in blocks; the last one is filled up with rows whose sums are dropped.
    """
    dim, count = angles.shape[1], ops.shape(angles)[0]
    pairs = _BLOCK_PAIRS if is_on_cpu(angles) else _GPU_BLOCK_PAIRS
    if isinstance(count, int):
        rows = max(1, min(count, pairs // count))
    else:
        rows = ops.clip(pairs // count, 1, count)
    num_blocks = (count + rows - 1) // rows
    filled = ops.concatenate([angles, ops.zeros((num_blocks * rows - count, dim), dtype=angles.dtype)], axis=0)
    ones = ops.ones_like(angles[:, :1])
    partners = ops.transpose(angles)
    blocks = ops.reshape(filled, (num_blocks, rows, dim))
    sums = ops.map(lambda block: _block_sums(block, partners, ones, interactions), blocks)
    return ops.reshape(sums, (-1, 1 + dim))[:count]


def _block_sums(rows: Tensor, partners: Tensor, ones: Tensor, interactions: int) -> Tensor:
    """`_pair_sums` of some rows, `(rows, dim)`, with partners `(dim, batch)`.

    The kernel is a sum of elementary symmetric polynomials of `B_1..B_dim`; its derivative for `B_j` is a sum of those
    of the other circles.
    """
    dim = rows.shape[1]
    # A product of many factors, 1 + B, each as large as 4.3, is taken in parts of the largest.
    whole = interactions == dim
    factor, constant = (0.5 * _WHOLE, _WHOLE * (1 - math.pi**2 / 6)) if whole else (0.5, -(math.pi**2) / 6)
    kernels, slopes = [], []
    for j in range(dim):
        # {d}² - {d} is the same for d, -d and 1 - d, so that no wrap is needed. In radians, a compiler has no product
        # to contract with the difference: a point lies at 0 of itself, in the middle of the kink.
        d = rows[:, j][:, None] - partners[j]
        antipode = abs(d) - math.pi
        kernels.append(factor * antipode * antipode + constant)
        slopes.append(antipode * ops.clip(d * 1e7, -1, 1))
    values, derivatives = _whole_product(kernels) if whole else _low_order(kernels, interactions)
    # To multiply with ones is to sum, and an operator, which Keras on torch does not look into.
    sums = [values @ ones, *((slope * others) @ ones for slope, others in zip(slopes, derivatives, strict=True))]
    return ops.concatenate(sums, axis=1)


def _whole_product(factors: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """`Π f_j` less what its terms have without a B, and for each circle the product over the others."""
    up_to = [*accumulate(factors, operator.mul)]
    after = [*accumulate(factors[:0:-1], operator.mul)][::-1]
    inner = [left * right for left, right in zip(up_to, after[1:], strict=False)]
    return up_to[-1] - _WHOLE ** len(factors), [*after[:1], *inner, *up_to[-2:-1]] or [1.0]


def _low_order(bernoulli: list[Tensor], interactions: int) -> tuple[Tensor, list[Tensor]]:
    """The elementary symmetric polynomials `E_1 + ... + E_m`, and for each circle `1 + ... + e_{m-1}` of the others."""
    E = [1.0] + [0.0] * interactions
    for b in bernoulli:
        E = [1.0] + [E[m] + b * E[m - 1] for m in range(1, interactions + 1)]
    derivatives = []
    for b in bernoulli:
        others = total = 1.0
        for m in range(1, interactions):
            others = E[m] - b * others  # e_m = E_m - B_j e_{m-1}
            total = total + others
        derivatives.append(total)
    return sum(E[1:]), derivatives


def product_moment_loss(angles: Tensor) -> Tensor:
    """How far the circles of a torus are from independent in their first moments.

    For independent variables the mean of a product is the product of the means: the paper's own proposal, on the cosine
    and sine of every pair of circles. It sees no other dependence, and no circle that is not uniform.

    Formula: mean over pairs of circles of `2 Σ_{f,g ∈ {cos, sin}} (mean f(φ_i) g(φ_j) - mean f(φ_i) mean g(φ_j))²`.

    Angles are in radians; any real value is accepted.

    Args:
        angles: Float tensor `(batch, dim)`.

    Returns:
        Scalar tensor between 0 and 1: about `2 / batch` for independent uniform points, 1 where `φ_j = ±φ_i`; 0 at
        `dim` 1.

    Raises:
        TypeError: If `angles` are not floating-point numbers.
        ValueError: If `angles` are not of rank 2.

    Notes:
        Cost `O(batch dim²)`.

    Example:

    >>> import numpy as np, torusae
    >>> turn = np.linspace(0, 2 * np.pi, 8, endpoint=False, dtype="float32")
    >>> round(float(torusae.product_moment_loss(np.stack([turn, turn], axis=1))), 4)
    1.0

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, section 5.
    """
    angles = _angles("product_moment_loss", angles)
    dim = angles.shape[1]
    if dim == 1:
        return ops.sum(angles) * 0.0
    waves = ops.concatenate([ops.cos(angles), ops.sin(angles)], axis=1)  # (batch, 2 * dim)
    size = batch_size(angles)
    mean = ops.mean(waves, axis=0, keepdims=True)
    centred = waves - mean
    covariance = ops.matmul(ops.transpose(centred), centred) / size
    circle = np.arange(2 * dim) % dim
    between = ops.convert_to_tensor(circle[:, None] != circle[None, :], dtype=angles.dtype)
    # Every pair of circles stands twice in the matrix.
    return ops.sum(ops.square(covariance) * between) / (dim * (dim - 1) / 2)


@keras.saving.register_keras_serializable(package="torusae")
class CircularWassersteinLoss(LatentLoss):
    """Circular Wasserstein distance to uniform as an object. See `circular_wasserstein_loss`.

    Args:
        name: String. Defaults to `"circular_wasserstein"`.

    Example:

    >>> import keras, torusae
    >>> float(torusae.CircularWassersteinLoss()(keras.ops.zeros((4, 1))))
    1.0

    Reference:
        Bonet et al. (2023), arXiv:2206.08780, proposition 1.
    """

    default_weight = 150.0

    def __init__(self, name: str = "circular_wasserstein"):
        super().__init__(name)

    def call(self, values):
        return circular_wasserstein_loss(values)


@keras.saving.register_keras_serializable(package="torusae")
class SlicedLoss(LatentLoss):
    """A loss of single circles along random primitive integer directions, drawn anew for each batch. See `sliced_loss`.

    Args:
        loss: A `LatentLoss` on angles, normalized. Defaults to `None`, `CircularWassersteinLoss()`.
        num_directions: Integer, at least 1, directions for a batch, drawn with replacement. Defaults to `32`.
        order: Integer, at least 1, the largest entry of a direction. Defaults to `2`.
        interactions: Integer, at least 1, or `None`: the most entries that are not zero. Defaults to `3`.
        seed: Integer or `None`, seed of the directions. Defaults to `None`.
        name: String. Defaults to `"sliced"`.

    Raises:
        TypeError: If `loss` is not a `LatentLoss`, or a number not an integer.
        ValueError: If `loss` does not read angles or a number is below 1.

    Example:

    >>> import keras, torusae
    >>> loss = torusae.SlicedLoss(torusae.SpringLoss(), num_directions=4, seed=0)
    >>> float(loss(keras.ops.zeros((8, 3))))
    8.0
    """

    default_weight = 1000.0

    def __init__(
        self,
        loss: LatentLoss | None = None,
        num_directions: int = 32,
        order: int = 2,
        interactions: int | None = 3,
        seed: int | None = None,
        name: str = "sliced",
    ):
        super().__init__(name)
        self.loss = CircularWassersteinLoss() if loss is None else loss
        if not isinstance(self.loss, LatentLoss):
            raise TypeError(f"SlicedLoss: `loss` must be a LatentLoss such as SpringLoss(). Received: loss={loss!r}.")
        if self.loss.part != "angles":
            raise ValueError(
                f"SlicedLoss: `loss` must read angles, as SpringLoss() does. Received: {self.loss.name!r}, which reads "
                f"{self.loss.part!r}."
            )
        self.num_directions = _checks.positive_int("SlicedLoss", "num_directions", num_directions)
        self.order = _checks.positive_int("SlicedLoss", "order", order)
        self.interactions = interactions and _checks.positive_int("SlicedLoss", "interactions", interactions)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, values):
        values = _angles("SlicedLoss", values)
        table = primitive_directions(values.shape[1], self.order, self.interactions)
        rows = keras.random.randint((self.num_directions,), 0, len(table), seed=self.seed_generator)
        directions = ops.take(ops.convert_to_tensor(table, dtype="int32"), rows, axis=0)
        return sliced_loss(values, directions, self.loss)

    def get_config(self):
        return {
            **super().get_config(),
            "loss": keras.saving.serialize_keras_object(self.loss),
            "num_directions": self.num_directions,
            "order": self.order,
            "interactions": self.interactions,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config):
        """Returns the loss that `get_config` describes."""
        return cls(**{**config, "loss": keras.saving.deserialize_keras_object(config["loss"])})


@keras.saving.register_keras_serializable(package="torusae")
class DiaphonyLoss(LatentLoss):
    """Squared diaphony as an object, with a memory of the last batches. See `diaphony_loss`.

    A batch of 128 points can't tell a uniform torus from one that is uneven by `1 / sqrt(128)`, and a loss of the batch
    alone pulls at that noise, the more the smaller the batch. With a memory of `N` points, the moments are running
    means over batches of size `S`, `M <- (1 - a) M + a m` with `a = S / N`, at least 1/64, and each is shrunk as
    Wiener's filter shrinks a noisy signal, by `g = max(0, 1 - 2 v / |M|²)`, where `v = a / ((2 - a) S)` is the mean of
    `|M|²` for independent uniform points. The value is `Σ w g |M|²`, near 0 for these; the gradient, `Σ w g ∂|m|²` at
    `M`, has the size of the memoryless one. A latent layer keeps `M`; called by itself or in evaluation, the loss is
    that of the batch.

    Args:
        order: Integer or `None`. Defaults to `None`, the closed form over all pairs of points.
        interactions: Integer or `None`. Defaults to `None`.
        decay: Float, not negative; other than 2 it needs an `order`. Defaults to `2.0`.
        memory: Integer, at least 0, `N`; above 0 it needs an `order`. Defaults to `0`.
        name: String. Defaults to `"diaphony"`.

    Raises:
        TypeError: If `order`, `interactions` or `memory` is not an integer.
        ValueError: If `order` or `interactions` is below 1, `decay` or `memory` below 0, or `memory` or a `decay` other
            than 2 lacks an `order`.

    Example:

    >>> import keras, torusae
    >>> round(float(torusae.DiaphonyLoss(order=2)(keras.ops.zeros((4, 3)))), 4)
    1.0

    Reference:
        Zinterhof (1976). The memory is a torusae choice.
    """

    default_weight = 2000.0

    def __init__(
        self,
        order: int | None = None,
        interactions: int | None = None,
        decay: float = 2.0,
        memory: int = 0,
        name: str = "diaphony",
    ):
        super().__init__(name)
        self.order = None if order is None else _checks.positive_int("DiaphonyLoss", "order", order)
        self.interactions = (
            None if interactions is None else _checks.positive_int("DiaphonyLoss", "interactions", interactions)
        )
        self.decay = _checked_decay("DiaphonyLoss", decay, order)
        self.memory = _checks.positive_int("DiaphonyLoss", "memory", memory, least=0)
        if self.memory and self.order is None:
            raise ValueError(
                f"DiaphonyLoss: a `memory` keeps the moments of a finite number of frequencies. Received: "
                f"memory={memory}, order=None. Give an order, for example DiaphonyLoss(order=4, memory={memory})."
            )

    def call(self, values):
        return diaphony_loss(values, self.order, self.interactions, self.decay)

    def state_shape(self, dim):
        return (2, len(self._frequencies(dim))) if self.memory else None

    def call_with_state(self, values, state):
        values = _angles("DiaphonyLoss", values)
        weights = self._frequencies(values.shape[1])
        share = batch_size(values) / self.memory
        if isinstance(share, float):
            share = min(1.0, max(share, _LEAST_SHARE))
        else:
            share = ops.clip(share, _LEAST_SHARE, 1.0)
        moments = (1 - share) * state + share * ops.cast(self._moments(values), state.dtype)
        squares = ops.sum(ops.square(moments), axis=0)
        noise = share / ((2 - share) * batch_size(values))
        shrink = ops.stop_gradient(ops.relu(1 - _NOISE_FLOOR * noise / ops.maximum(squares, _TINY)))
        value = ops.sum(ops.convert_to_tensor(weights, dtype=moments.dtype) * shrink * squares)
        constant = ops.stop_gradient(value)
        # This batch is but a share of the mean: the gradient is divided by it, the value is not.
        return constant + (value - constant) / share, ops.stop_gradient(moments)

    def share_of_first_moment(self, dim: int) -> float:
        """What part of all weights lies on the moment `k = (1, 0, ...)`; the loss needs an `order`."""
        return float(self._frequencies(dim).max())

    def _moments(self, values):
        return _moments(values, self.order, min(self.interactions or values.shape[1], values.shape[1]))

    def _frequencies(self, dim):
        return _frequencies(dim, self.order, min(self.interactions or dim, dim), self.decay)

    def get_config(self):
        return {
            **super().get_config(),
            "order": self.order,
            "interactions": self.interactions,
            "decay": self.decay,
            "memory": self.memory,
        }


@keras.saving.register_keras_serializable(package="torusae")
class ProductMomentLoss(LatentLoss):
    """Dependence of the circles in their first moments, as an object. See `product_moment_loss`.

    Args:
        name: String. Defaults to `"product_moment"`.

    Example:

    >>> import numpy as np, torusae
    >>> float(torusae.ProductMomentLoss()(np.zeros((4, 2), "float32")))
    0.0

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, section 5.
    """

    default_weight = 30.0

    def __init__(self, name: str = "product_moment"):
        super().__init__(name)

    def call(self, values):
        return product_moment_loss(values)
