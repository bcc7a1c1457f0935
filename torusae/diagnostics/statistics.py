"""How far points are from the prior of their space."""

import functools
import itertools
import math
from collections.abc import Callable

import numpy as np
from keras import ops

from torusae import metrics
from torusae._internal.arrays import polar
from torusae.diagnostics.results import Statistic
from torusae.metrics.circles import KUIPER_CHANCE, SMIRNOV_CHANCE
from torusae.spaces import (
    SO3,
    Gaussian,
    Interval,
    KleinBottle,
    MobiusBand,
    Product,
    ProjectiveSpace,
    Space,
    Sphere,
    Torus,
)
from torusae.spaces._quotient import DECAY, MAX_FREQUENCY

_MAX_ENERGY_POINTS = 500  # the energy statistic compares all pairs
_MAX_UNEVENNESS_POINTS = 2000


@functools.singledispatch
def prior_statistics(space: Space, points: np.ndarray) -> dict[str, Statistic]:
    """How far points are from the prior of a space, and how far as many points of the prior are on average.

    - `"kuiper"` on a torus: Kuiper's statistic of each angle, `(dim,)`;
    - `"ks"` on a Gaussian space and an interval: the Kolmogorov-Smirnov statistic of each coordinate, `(dim,)`;
    - `"unevenness"` on spheres, rotations and quotients: the root of the uniform loss, a root mean square of moments.
      Of more than 2000 points evenly spaced rows are used;
    - `"energy"` on other spaces: the energy distance to as many points of the prior, at most 500.

    Statistics of a product are named after their factor, `"torus.kuiper"`. `prior_statistics.register(MySpace)`
    decorates a function that measures a space of your own.

    Args:
        space: `Space`.
        points: Float64 array `(num, space.point_size)`.

    Returns:
        Dict from a name to a `Statistic`.

    Example:

    >>> import numpy as np, torusae
    >>> statistics = torusae.diagnostics.prior_statistics(torusae.Torus(2), np.tile([1.0, 1.0, 0.0, 0.0], (100, 1)))
    >>> statistics["kuiper"].value.tolist(), round(statistics["kuiper"].chance, 3)
    ([1.0, 1.0], 0.125)

    Reference:
        Kuiper (1960); Kolmogorov (1933); Székely & Rizzo (2013), Energy statistics.
    """
    points = points[:_MAX_ENERGY_POINTS]
    prior = ops.convert_to_numpy(space.sample(len(points), seed=0))

    def mean_distance(a, b):
        pairs = (np.repeat(a, len(b), axis=0), np.tile(b, (len(a), 1)))
        return float(ops.mean(space.distance(*(ops.convert_to_tensor(each, dtype="float32") for each in pairs))))

    within = mean_distance(prior, prior)
    energy = 2 * mean_distance(points, prior) - mean_distance(points, points) - within
    return {"energy": Statistic(energy, 2 * within / len(points))}


@prior_statistics.register
def _(space: Torus, points):
    return {"kuiper": Statistic(metrics.kuiper_statistic(polar(points)[1]), KUIPER_CHANCE / math.sqrt(len(points)))}


@prior_statistics.register
def _(space: Gaussian, points):
    values = metrics.kolmogorov_smirnov(np.asarray(points, "float32"), mean=0.0, stddev=1.0)
    return {"ks": Statistic(values, SMIRNOV_CHANCE / math.sqrt(len(points)))}


@prior_statistics.register
def _(space: Interval, points):
    from scipy import stats

    value = stats.ks_1samp(points, stats.uniform(-1, 2).cdf, method="asymp", axis=0).statistic
    return {"ks": Statistic(value, SMIRNOV_CHANCE / math.sqrt(len(points)))}


@prior_statistics.register(Sphere)
@prior_statistics.register(SO3)
@prior_statistics.register(ProjectiveSpace)
def _(space, points):
    loss = space.terms("uniform")[0].loss
    return _unevenness(lambda points: float(loss(ops.convert_to_tensor(points, dtype="float32"))), points)


@prior_statistics.register
def _(space: KleinBottle, points):
    # The cosine of b for an even number of turns along a, and its sine for an odd one.
    return _unevenness_of_orbits(space, points, lambda k, m: m != 0 or k % 2 == 0)


@prior_statistics.register
def _(space: MobiusBand, points):
    # Cosines of the second angle, those that half a turn does not change in sign.
    return _unevenness_of_orbits(space, points, lambda k, m: (k + m) % 2 == 0)


@prior_statistics.register
def _(space: Product, points):
    return {
        f"{name}.{key}": statistic
        for name, factor, own in zip(space.names, space.factors, space.split(points), strict=True)
        for key, statistic in prior_statistics(factor, own).items()
    }


def _unevenness(loss: Callable[[np.ndarray], float], points: np.ndarray, share: float = 1.0) -> dict[str, Statistic]:
    """The root of a uniform loss, which is a mean over pairs.

    `share` is the mean loss of `num` points of the prior, times `num`: that of one point.
    """
    num = min(len(points), _MAX_UNEVENNESS_POINTS)
    value = loss(points[np.linspace(0, len(points) - 1, num).astype(int)])
    return {"unevenness": Statistic(math.sqrt(max(value, 0.0)), math.sqrt(share / num))}


def _unevenness_of_orbits(space, points: np.ndarray, keeps: Callable[[int, int], bool]) -> dict[str, Statistic]:
    """The root of the uniform loss of a flat quotient, a sum over waves `e^{i (k a + m b)}` of the lifts of points.

    `keeps` says whether the mean of a wave over the lifts of one point is not 0. Then its second factor is a cosine or
    a sine, whose mean square is 1/2; waves of a alone stay.
    """
    frequencies = range(-MAX_FREQUENCY, MAX_FREQUENCY + 1)
    waves = [(k, m) for k, m in itertools.product(frequencies, repeat=2) if (k, m) != (0, 0)]
    weights = [(max(1, abs(k)) * max(1, abs(m))) ** -DECAY for k, m in waves]
    kept = [keeps(k, m) * (0.5 if m else 1.0) for k, m in waves]

    def loss(points):
        lifts = space.lifts(*np.split(space.chart(points), 2, 1))
        angles = np.concatenate([np.concatenate(pair, axis=1) for pair in lifts])
        k, moduli = metrics.moment_spectrum(angles, MAX_FREQUENCY)
        return np.average(moduli**2, weights=np.prod(np.maximum(1.0, abs(k)), axis=1) ** -DECAY)

    return _unevenness(loss, points, float(np.average(kept, weights=weights)))
