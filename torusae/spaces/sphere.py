"""Spheres."""

import math

import keras
import numpy as np
from keras import ops

from torusae._internal import checks
from torusae._internal.vectors import arc, unit
from torusae.angles import polar_angles
from torusae.losses import HarmonicLoss
from torusae.spaces import _geometry
from torusae.spaces._geometry import GreatCircles
from torusae.spaces.base import action_tensors, draws, point_tensors, uniform_log_prob
from torusae.spaces.terms import Term

_WEIGHT = 5.0  # of 1 to 10: unevenness falls to a fifth, and the reconstruction error rises by a fifth


@keras.saving.register_keras_serializable(package="torusae")
class Sphere(GreatCircles):
    """The sphere S^n: unit vectors in n + 1 dimensions. The decoder reads the point.

    Prior: uniform. `Sphere(1)` is a circle without a radius; it has an angle. `Torus(1)` is one with a radius.

    Raw values are n + 1 numbers: the point is their direction.

    Presets: `"uniform"`, the default: `HarmonicLoss`; `"none"`.

    Args:
        n: Integer, at least 1, the dimension of the sphere: 2 is the globe. Defaults to `2`.

    Raises:
        TypeError: If `n` is not an integer.
        ValueError: If `n` is below 1.

    Example:

    >>> import torusae
    >>> globe = torusae.spaces.Sphere(2)
    >>> poles = globe.point([[0.0, 0.0, 5.0], [0.0, 0.0, -0.1]])
    >>> round(float(globe.distance(poles[:1], poles[1:])[0]), 4)
    3.1416

    Reference:
        Davidson et al. (2018), arXiv:1804.00891, for spheres in autoencoders; the loss is a torusae choice.
    """

    presets = ("uniform", "none")

    def __init__(self, n: int = 2):
        self.n = checks.positive_int("Sphere", "n", n)
        self.raw_size = self.point_size = self.n + 1
        self.action_size = self.n * (self.n + 1) // 2
        self.num_angles = int(self.n == 1)

    def point(self, raw, seed=None):
        """The directions of raw values. Zeros become the first axis."""
        return unit(checks.float_tensor("Sphere.point", "raw", raw, 2, "(batch, n + 1)"))

    def terms(self, preset):
        """The term of a preset: see the class."""
        checks.option("Sphere", "preset", preset, self.presets)
        # The harmonics of a degree are many in many dimensions, more than a batch can tell.
        return [Term(HarmonicLoss(4 if self.n <= 3 else 2), _WEIGHT)] if preset == "uniform" else []

    def sample(self, num_samples, seed=None):
        """Points drawn from the prior, `(num_samples, n + 1)`. See `Torus.sample`."""
        num_samples, seed = draws(self, num_samples, seed)
        return unit(keras.random.normal((num_samples, self.n + 1), dtype="float32", seed=seed))

    def log_prob(self, point):
        """Minus the log of the area, `2 π^((n+1)/2) / Γ((n+1)/2)`, `(batch,)`, with respect to the area."""
        half = (self.n + 1) / 2
        return uniform_log_prob(point, 2 * math.pi**half / math.gamma(half))

    def distance(self, a, b):
        """The angle between points, `(batch,)`, radians, `[0, π]`. The lengths of the vectors do not count."""
        a, b = point_tensors(self, "distance", a=a, b=b)
        return arc(unit(a), unit(b))

    def act(self, point, action):
        """Points turned, `action` of shape `(n (n + 1) / 2,)` or with a row per point, radians.

        The entries are those of a skew matrix, whose exponential turns the points: angles in the planes of the axes
        (0, 1), (0, 2), ..., (1, 2), ... A single one turns the first axis of its plane towards the second.
        """
        point, action = action_tensors(self, "act", point, action)
        return _geometry.turned(_geometry.rotation_matrices(action, self.n + 1), point)

    def analogy(self, a, b, c):
        """The smallest turn that takes a to b, in their plane, turns c. For opposite a and b it is one of many.

        It is half a turn about a and then half a turn about the middle of a and b: each keeps its axis and turns all
        other directions over.
        """
        a, b, c = map(unit, point_tensors(self, "analogy", a=a, b=b, c=c))
        middle = ops.cast(self.shortest(a, b, np.full(len(a), 0.5)), a.dtype)
        for axis in (a, middle):
            c = 2.0 * ops.sum(axis * c, axis=-1, keepdims=True) * axis - c
        return c

    def angles(self, point):
        """The angle of points of a circle, `(batch, 1)`, radians, `[-π, π)`; higher spheres have none."""
        return polar_angles(point) if self.n == 1 else super().angles(point)
