"""Diaphony of a batch on the torus: over all pairs of points, or over a finite set of frequencies."""

import math
import operator
from itertools import accumulate

import keras
from keras import ops

from torusae._internal import checks, units
from torusae._internal.checks import Tensor
from torusae._internal.tensors import batch_size, columns, is_on_cpu
from torusae.angles import num_vectors, wrap_angles
from torusae.losses.base import LatentLoss
from torusae.losses.moments import MOST_VECTORS, moments_gradient, weighted_moments

# Pairs of points in memory at once. Arrays of 256 kB stay in a CPU's cache; a GPU needs larger ones.
_BLOCK_PAIRS, _GPU_BLOCK_PAIRS = 1 << 16, 1 << 20
_SCALE = 1 / (1 + math.pi**2 / 3)  # 1 over the largest factor of the kernel


def diaphony_loss(
    angles: Tensor, max_frequency: int | None = None, interactions: int | None = None, decay: float = 2.0
) -> Tensor:
    """Squared diaphony of a batch on the torus over its largest value: a kernel discrepancy, invariant to shifts.

    Formula, over all integer vectors `k` other than 0: `F² = Σ_k w_k |mean e^{ik·φ}|² / Σ_k w_k`,
    `w_k = Π_j max(1, |k_j|)^-decay`.

    Closed form with `decay` 2, over all pairs of points, with `u` in turns and `B(d) = 2π² ({d}² - {d} + 1/6)`:
    `F² = mean_{s,t} [Π_j (1 + B(u_sj - u_tj)) - 1] / [(1 + π²/3)^dim - 1]`.

    Args:
        angles: Float tensor `(batch, dim)`, radians, read modulo 2π.
        max_frequency: Integer, the largest entry of `k`, or `None` for all `k` by the closed form. Defaults to `None`.
        interactions: Integer, the most entries of `k` that are not zero, or `None` for no limit. From about six circles
            on nearly all weight lies on `k` with many such entries; single angles and pairs then need `interactions=2`.
            Defaults to `None`.
        decay: Float, not negative: how fast the weights fall with the entries of `k`. Smaller values give more weight
            to small gaps. Other than 2 needs a `max_frequency`. Defaults to `2.0`, as Zinterhof.

    Returns:
        Scalar tensor: 1 with all points in one place, `1 / batch` on average for independent uniform points.

    Raises:
        ValueError: If `angles` are not of rank 2, a number is out of range, or there would be more than 2**16 vectors.

    Notes:
        - With a `max_frequency`: cost `O(batch · number of k)`.
        - Closed form: cost `O(batch² dim interactions)`, in blocks of constant memory; first derivatives only.

    Example:

    >>> import keras, torusae
    >>> round(float(torusae.diaphony_loss(keras.ops.zeros((4, 2)), max_frequency=3)), 4)
    1.0

    Reference:
        Zinterhof (1976), Über einige Abschätzungen bei der Approximation von Funktionen mit Gleichverteilungsmethoden.
    """
    angles = units.angle_tensor("diaphony_loss", angles)
    dim = angles.shape[1]
    interactions = min(checks.optional_int("diaphony_loss", "interactions", interactions) or dim, dim)
    decay = _checked_decay("diaphony_loss", decay, max_frequency)
    if max_frequency is None:
        return _pair_diaphony(angles, interactions)
    max_frequency = checks.positive_int("diaphony_loss", "max_frequency", max_frequency)
    count = num_vectors(dim, max_frequency, interactions)
    if count > MOST_VECTORS:
        raise ValueError(
            f"diaphony_loss: at most {MOST_VECTORS} vectors k are allowed. Received: {count}, from dim={dim}, "
            f"max_frequency={max_frequency}, interactions={interactions}. Use fewer interactions or a "
            f"smaller max_frequency."
        )
    return weighted_moments(angles, max_frequency, interactions, decay)


def _checked_decay(owner: str, decay: float, max_frequency: int | None) -> float:
    decay = checks.positive_float(owner, "decay", decay, zero_allowed=True)
    if max_frequency is None and decay != 2:
        raise ValueError(f"{owner}: the closed form has `decay` 2. Received: decay={decay}. Give a max_frequency.")
    return decay


def _pair_diaphony(angles: Tensor, interactions: int) -> Tensor:
    """The closed form. Value and gradient are summed block by block; the backend differentiates only their product."""
    dim = angles.shape[1]
    sums = _pair_sums(ops.stop_gradient(wrap_angles(angles)), interactions)
    if interactions == dim:
        largest, step = 1 - _SCALE**dim, _SCALE
    else:
        largest, step = sum(math.comb(dim, m) * (math.pi**2 / 3) ** m for m in range(1, interactions + 1)), 1.0
    scale = 1 / (largest * batch_size(angles) ** 2)
    # Factor 2: each pair occurs as (s, t) and as (t, s). The last term is zero, with the slope as its gradient.
    slope = (2 * step * scale) * sums[:, 1:]
    return scale * ops.sum(sums[:, 0]) + ops.sum(slope * (angles - ops.stop_gradient(angles)))


def _pair_sums(angles: Tensor, interactions: int) -> Tensor:
    """For every point, the sums over all partners of the kernel and of its derivatives: `(batch, 1 + dim)`.

    In blocks of rows; the sums of padding rows in the last block are dropped.
    """
    dim, count = angles.shape[1], ops.shape(angles)[0]
    pairs = _BLOCK_PAIRS if is_on_cpu(angles) else _GPU_BLOCK_PAIRS
    if isinstance(count, int):
        rows = max(1, min(count, pairs // count))
    else:
        rows = ops.clip(pairs // count, 1, count)
    ones, partners = ops.ones_like(angles[:, :1]), columns(angles)
    if isinstance(count, int) and rows == count:
        return _block_sums(angles, partners, ones, interactions)
    num_blocks = (count + rows - 1) // rows
    padded = ops.concatenate([angles, ops.zeros((num_blocks * rows - count, dim), dtype=angles.dtype)], axis=0)
    blocks = ops.reshape(padded, (num_blocks, rows, dim))
    sums = ops.map(lambda block: _block_sums(block, partners, ones, interactions), blocks)
    return ops.reshape(sums, (-1, 1 + dim))[:count]


def _block_sums(rows: Tensor, partners: Tensor, ones: Tensor, interactions: int) -> Tensor:
    """`_pair_sums` of some rows, `(rows, dim)`, with partners `(dim, batch)`.

    The kernel is a sum of elementary symmetric polynomials of `B_1..B_dim`; its derivative for `B_j` is a sum of those
    of the other circles.
    """
    dim = rows.shape[1]
    # Factors 1 + B are as large as 4.3: their product overflows on many circles unless it is scaled by the largest.
    whole = interactions == dim
    factor, constant = (0.5 * _SCALE, _SCALE * (1 - math.pi**2 / 6)) if whole else (0.5, -(math.pi**2) / 6)
    kernels, slopes = [], []
    for j in range(dim):
        # {d}² - {d} is the same for d, -d and 1 - d, so no wrap is needed. In radians, not turns: a compiler could
        # contract a product with the difference, and a point would not be at distance 0 of itself, where the kink is.
        d = rows[:, j][:, None] - partners[j]
        antipode = abs(d) - math.pi
        kernels.append(factor * antipode * antipode + constant)
        slopes.append(antipode * ops.clip(d * 1e7, -1, 1))
    values, derivatives = _whole_product(kernels) if whole else _low_order(kernels, interactions)
    # A product with ones is a sum, and an operator has no dispatch on torch.
    sums = [values @ ones, *((slope * others) @ ones for slope, others in zip(slopes, derivatives, strict=True))]
    return ops.concatenate(sums, axis=1)


def _whole_product(factors: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """`Π f_j` minus its constant term, and for each circle the product over the others."""
    up_to = [*accumulate(factors, operator.mul)]
    after = [*accumulate(factors[:0:-1], operator.mul)][::-1]
    inner = [left * right for left, right in zip(up_to, after[1:], strict=False)]
    return up_to[-1] - _SCALE ** len(factors), [*after[:1], *inner, *up_to[-2:-1]] or [1.0]


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


@keras.saving.register_keras_serializable(package="torusae")
class DiaphonyLoss(LatentLoss):
    """`diaphony_loss` as an object. It reads angles.

    Args:
        max_frequency: As in `diaphony_loss`. Defaults to `None`, the closed form over all pairs of points.
        interactions: As in `diaphony_loss`. Defaults to `None`.
        decay: As in `diaphony_loss`. Defaults to `2.0`.

    Example:

    >>> import keras, torusae
    >>> round(float(torusae.DiaphonyLoss(max_frequency=2)(keras.ops.zeros((4, 3)))), 4)
    1.0
    """

    default_weight = 20.0

    def __init__(
        self,
        max_frequency: int | None = None,
        interactions: int | None = None,
        decay: float = 2.0,
        name: str = "diaphony",
    ):
        super().__init__(name)
        self.max_frequency = checks.optional_int("DiaphonyLoss", "max_frequency", max_frequency)
        self.interactions = checks.optional_int("DiaphonyLoss", "interactions", interactions)
        self.decay = _checked_decay("DiaphonyLoss", decay, max_frequency)

    def call(self, values):
        return diaphony_loss(values, self.max_frequency, self.interactions, self.decay)

    def gradient(self, values):
        if self.max_frequency is None or (self.interactions or values.shape[1]) < values.shape[1]:
            return None
        return moments_gradient(values, self.max_frequency, self.decay)
