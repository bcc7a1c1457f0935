"""The Möbius band."""

import math

import keras
from keras import ops

from torusae._internal import checks
from torusae.angles import polar_angles
from torusae.spaces._quotient import FlatQuotient
from torusae.spaces.interval import Interval
from torusae.spaces.sphere import Sphere


@keras.saving.register_keras_serializable(package="torusae")
class MobiusBand(FlatQuotient):
    """The Möbius band: a circle times the interval [-1, 1], with `(a, t)` and `(a + π, -t)` made one.

    A point is `(cos a, sin a, t)`, one of two. The decoder reads the same for both:
    `(cos 2a, sin 2a, t cos a, t sin a)`. Half a turn of a closes a path and turns t over; the angle of the space is
    `2a`, radians.

    Raw values are four numbers: the first two give `2a`, and with either half of it the others give
    `t = tanh(p cos a + q sin a)`. So the decoder input has no seam.

    Prior: uniform in a and t. An action is an angle, radians, that moves points along a: π turns t over.

    Presets: `"uniform"`, the default: `DiaphonyLoss` of all points and their images, with the interval unfolded to a
    circle; `"none"`.

    Example:

    >>> import torusae
    >>> band = torusae.spaces.MobiusBand()
    >>> point = band.sample(1, seed=0)
    >>> band.decoder_input(point).shape[1], abs(round(float(band.distance(point, band.image(point))[0]), 4))
    (4, 0.0)

    Reference:
        Möbius (1865); the decoder input and the loss are torusae choices.
    """

    cover = Sphere(1) * Interval()
    signs = (-1,)
    weight = 5.0
    raw_size, point_size, num_windings = 4, 3, 2
    decoder_input_size = 4

    def point(self, raw, seed=None):
        """Points with a in `[-π/2, π/2)`."""
        raw = checks.float_tensor("MobiusBand.point", "raw", raw, 2, "(batch, 4)")
        a = polar_angles(raw[:, :2]) / 2
        cos_a, sin_a = ops.cos(a), ops.sin(a)
        return ops.concatenate([cos_a, sin_a, ops.tanh(raw[:, 2:3] * cos_a + raw[:, 3:] * sin_a)], axis=-1)

    def decoder_input(self, point):
        """See the class."""
        cos_a, sin_a, t = ops.split(point, 3, axis=-1)
        return ops.concatenate([cos_a * cos_a - sin_a * sin_a, 2 * cos_a * sin_a, t * cos_a, t * sin_a], axis=-1)

    def flat(self, point):
        """The angle a and t, each `(batch, 1)`."""
        return polar_angles(point[:, :2]), point[:, 2:]

    @staticmethod
    def lifts(a, second):
        """a and `±u` with `u = π (t + 1) / 2`, the interval unfolded to a circle, of both points of the cylinder."""
        u = (math.pi / 2) * (second + 1)
        return [(a, u), (a, -u), (a + math.pi, math.pi - u), (a + math.pi, u - math.pi)]
