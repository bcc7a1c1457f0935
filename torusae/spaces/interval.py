"""One bounded coordinate."""

import keras
from keras import ops

from torusae._internal import checks
from torusae.losses import QuantileLoss
from torusae.spaces._geometry import StraightLines
from torusae.spaces.base import action_tensors, draws, uniform_log_prob
from torusae.spaces.terms import Term

_WEIGHT = 5.0  # of 1 to 10: more changes little


@keras.saving.register_keras_serializable(package="torusae")
def uniform_quantiles(probabilities):
    """The quantiles of the uniform distribution on [-1, 1]."""
    return 2 * probabilities - 1


@keras.saving.register_keras_serializable(package="torusae")
class Interval(StraightLines):
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
        num_samples, seed = draws(self, num_samples, seed)
        return keras.random.uniform((num_samples, 1), -1.0, 1.0, dtype="float32", seed=seed)

    def log_prob(self, point):
        """`-log 2`, `(batch,)`, with respect to the length."""
        return uniform_log_prob(point, 2.0)

    def shortest(self, start, end, t):
        """Points on straight lines, which stop at the ends of the interval."""
        return ops.clip(super().shortest(start, end, t), -1.0, 1.0)

    def move(self, point, step):
        """Points moved by numbers, `(1,)` or `(batch, 1)`, and reflected at the ends."""
        point, step = action_tensors(self, "move", point, step)
        return 1.0 - ops.abs(ops.mod(point + step + 1.0, 4.0) - 2.0)
