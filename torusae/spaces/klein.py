"""The Klein bottle."""

import math

import keras
from keras import ops

from torusae._internal import checks
from torusae.angles import polar_angles
from torusae.spaces._quotient import FlatQuotient
from torusae.spaces.base import action_tensors
from torusae.spaces.quantized import QuantizedTorus
from torusae.spaces.torus import on_circles


@keras.saving.register_keras_serializable(package="torusae")
class KleinBottle(FlatQuotient):
    """The Klein bottle: a torus of two circles with `(a, b)` and `(a + π, -b)` made one.

    A point is `(cos a, cos b, sin a, sin b)`, one of two. The decoder reads the same for both:
    `(cos 2a, sin 2a, cos b, cos a sin b, sin a sin b)`. Half a turn of a closes a path and turns b over; the angle of
    the space is `2a`, radians.

    Raw values are five numbers in that order. The first two give `2a`, and with either half of it the others
    give `b`. So the decoder input has no seam: no continuous choice of one of the two points exists on the whole space.

    Prior: uniform in a and b; `log_prob` is `-log 2π²`, with respect to the area. A step of `move` holds two angles,
    radians, along a and b.

    Presets: `"uniform"`, the default: `DiaphonyLoss` of all points and their images on the torus; `"none"`.

    Example:

    >>> import torusae
    >>> bottle = torusae.spaces.KleinBottle()
    >>> point = bottle.sample(1, seed=0)
    >>> bottle.decoder_input(point).shape[1], abs(round(float(bottle.distance(point, bottle.image(point))[0]), 4))
    (5, 0.0)

    Reference:
        Klein (1882); the decoder input and the loss are torusae choices.
    """

    cover = QuantizedTorus(2)  # its points have no radii
    signs = (-1, 1, -1, -1)
    ways_to_image = 2
    weight = 5.0
    raw_size, point_size, num_windings = 5, 4, 3
    decoder_input_size = 5

    def point(self, raw, seed=None):
        """Points with a in `[-π/2, π/2)`."""
        raw = checks.float_tensor("KleinBottle.point", "raw", raw, 2, "(batch, 5)")
        a = polar_angles(raw[:, :2]) / 2
        across = raw[:, 3:4] * ops.cos(a) + raw[:, 4:] * ops.sin(a)
        b = polar_angles(ops.concatenate([raw[:, 2:3], across], axis=-1))
        return on_circles(ops.concatenate([a, b], axis=-1))

    def decoder_input(self, point):
        """See the class."""
        cos_a, cos_b, sin_a, sin_b = ops.split(point, 4, axis=-1)
        double = [cos_a * cos_a - sin_a * sin_a, 2 * cos_a * sin_a]
        return ops.concatenate([*double, cos_b, cos_a * sin_b, sin_a * sin_b], axis=-1)

    def flat(self, point):
        """The angles a and b, each `(batch, 1)`."""
        return ops.split(polar_angles(point), 2, axis=-1)

    @staticmethod
    def lifts(a, second):
        """Both points of the torus."""
        return [(a, second), (a + math.pi, -second)]

    def act(self, point, action):
        """Points moved along a by angles, radians, `(1,)` or `(batch, 1)`. π turns b over."""
        point, action = action_tensors(self, "act", point, action)
        return self.cover.act(point, ops.concatenate([action, ops.zeros_like(action)], axis=-1))
