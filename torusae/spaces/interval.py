"""One bounded coordinate."""

import keras
from keras import ops

from torusae._internal import checks
from torusae._internal.vectors import length
from torusae.losses import QuantileLoss
from torusae.paths import interpolate
from torusae.spaces.base import Space, path_rows, seed_generator, uniform_log_prob
from torusae.spaces.terms import Term

_WEIGHT = 5.0  # of 1 to 10: more changes little


@keras.saving.register_keras_serializable(package="torusae")
def uniform_quantiles(probabilities):
    """The quantiles of the uniform distribution on [-1, 1]."""
    return 2 * probabilities - 1


@keras.saving.register_keras_serializable(package="torusae")
class Interval(Space):
    """The interval [-1, 1]: one bounded coordinate. The decoder reads the point.

    Prior: uniform. The point is the hyperbolic tangent of the raw value.

    Presets: `"uniform"`, the default: `QuantileLoss` with the uniform distribution's quantiles, the squared
    2-Wasserstein distance; `"none"`.

    Example:

    >>> import torusae
    >>> cylinder = torusae.Torus(1) * torusae.spaces.Interval()
    >>> cylinder.point_size
    3
    """

    raw_size = point_size = step_size = 1
    presets = ("uniform", "none")

    def point(self, raw, seed=None):
        """`tanh(raw)`."""
        return ops.tanh(raw)

    def terms(self, preset):
        """The term of a preset: see the class."""
        checks.option("Interval", "preset", preset, self.presets)
        if preset == "none":
            return []
        return [Term(QuantileLoss(quantile_function=uniform_quantiles), _WEIGHT, reads="point")]

    def sample(self, num_samples, seed=None):
        """Points drawn from the prior, `(num_samples, 1)`. See `Torus.sample`."""
        num_samples = checks.positive_int("Interval.sample", "num_samples", num_samples)
        return keras.random.uniform((num_samples, 1), -1.0, 1.0, dtype="float32", seed=seed_generator(seed))

    def log_prob(self, point):
        """`-log 2`, `(batch,)`, with respect to the length."""
        return uniform_log_prob(point, 2.0)

    def distance(self, a, b):
        """The difference of points, `(batch,)`, without its sign."""
        a, b = checks.float_pair("Interval.distance", 2, "(batch, 1)", a=a, b=b)
        return length(a - b)

    def paths(self, start, end, windings, num_steps=12):
        """The straight line, once per row of `windings`, which has no columns."""
        windings, t = path_rows("Interval.paths", windings, 0, num_steps)
        line = interpolate(start, end, t[0].astype("float32"))
        return ops.tile(line[None], (len(windings), 1, 1))

    def shortest(self, start, end, t):
        """Points on straight lines, which stop at the ends of the interval."""
        return ops.clip(start + t[:, None] * (end - start), -1.0, 1.0)

    def move(self, point, step):
        """Points moved by numbers, `(1,)` or `(batch, 1)`, and reflected at the ends."""
        return 1.0 - ops.abs(ops.mod(point + step + 1.0, 4.0) - 2.0)
