"""The torus of codes: circles without radii, trained with the error of a quantiser."""

import math

import keras
from keras import ops

from torusae._internal import checks
from torusae.angles import polar_angles
from torusae.codes import MAX_BITS
from torusae.spaces.base import uniform_log_prob
from torusae.spaces.torus import Torus, on_circles

_TRAININGS = ("rounding", "noise", "none")


@keras.saving.register_keras_serializable(package="torusae")
class QuantizedTorus(Torus):
    """A torus whose points are stored as integers of `bits` bits for each angle: see `torusae.codes`.

    A point holds `cos φ` and `sin φ` of the angles of the raw values. It has no radii, because codes have none. In
    training, and only there, its angles have the error of the quantiser, so that the decoder learns to read codes:

    - `"rounding"`: the point moves to the nearest of the `2^bits` places. The gradient passes as if it did not.
    - `"noise"`: the angle moves by uniform noise as wide as the distance of two places.
    - `"none"`: the angle stays.

    Prior: angles independent and uniform. Presets are those of `Torus`; their terms read angles without that error, and
    radii of the raw values, which keep the gradients of angles in size.

    Args:
        dim: Integer, at least 1, the number of circles.
        bits: Integer, 1 to 16, bits of an angle. Defaults to `8`.
        training: `"rounding"`, `"noise"` or `"none"`. Defaults to `"rounding"`.

    Example:

    >>> import torusae
    >>> torusae.spaces.QuantizedTorus(4, bits=4).sample(5, seed=0).shape[1]
    8

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, section 5. Noise: Ballé et al. (2017), arXiv:1611.01704. The gradient
        of rounding: Bengio et al. (2013), arXiv:1308.3432.
    """

    is_stochastic = True
    radius_stddev = 0.0

    def __init__(self, dim: int, bits: int = 8, training: str = "rounding"):
        super().__init__(dim)
        self.step_size = self.dim
        self.bits = checks.positive_int("QuantizedTorus", "bits", bits, most=MAX_BITS)
        self.training = checks.option("QuantizedTorus", "training", training, _TRAININGS)

    def log_prob(self, point):
        """`-dim log 2π`, `(batch,)`, with respect to the volume of the angles."""
        return uniform_log_prob(point, (2 * math.pi) ** self.dim)

    def move(self, point, step):
        """Points turned by steps of their angles, radians, `(dim,)` or `(batch, dim)`."""
        return self.act(point, step)

    def point(self, raw, seed=None):
        """The cosines and sines of the angles of raw values. With a seed, angles have the quantiser's error."""
        angles = polar_angles(raw)
        point = on_circles(angles)
        if seed is None or self.training == "none":
            return point
        step = 2 * math.pi / (1 << self.bits)
        if self.training == "noise":
            noise = keras.random.uniform(ops.shape(angles), -step / 2, step / 2, dtype=angles.dtype, seed=seed)
            return on_circles(angles + noise)
        # The gradient arrives at the point that is not rounded. Of the circle's two directions there, the rounded point
        # would feel another one: at few bits the reconstruction error was 2 % larger.
        return point + ops.stop_gradient(on_circles(ops.round(angles / step) * step) - point)

    def view(self, name, raw, point):
        """As in `Torus`, but angles without the quantiser's error and radii of the raw values."""
        return super().view(name, raw, point if name == "point" else raw)

    def terms(self, preset):
        """The terms of a preset of `Torus`."""
        return Torus(self.dim).terms(preset)
