"""The torus: `dim` circles, each with an angle and a radius."""

import math

import keras
from keras import ops

from torusae import paths
from torusae._internal import checks
from torusae._internal.checks import Tensor
from torusae._internal.tensors import direct_ops
from torusae._internal.vectors import MIN_SQUARED_RADIUS, length, plane_angles
from torusae.angles import angle_difference, polar_angles, squared_radii, to_cartesian, to_polar
from torusae.losses import DiaphonyLoss, QuantileLoss, SpringLoss
from torusae.spaces.base import Space, action_tensors, draws, point_tensors
from torusae.spaces.terms import Term

# The weights of the default terms were found on MNIST, tables and images with circles.
_DIAPHONY_WEIGHTS = {1: 1.0, 2: 5.0, 3: 20.0}  # of all circles at once, by the number of circles
_PAIRS_WEIGHT = 10.0  # above three circles
_CIRCLES_WEIGHT = 3.0  # above three circles
_MAX_FREQUENCY, _DECAY = 4, 1.0
_PAPER_RADII_WEIGHT = 5.0


def _uniform_terms(dim: int) -> list[Term]:
    """The diaphony of all circles at once, of some hundreds of frequencies; above three circles that of their pairs.

    The pairs outnumber the circles and leave little weight to a single one: there a second term sees each circle alone.
    """
    if dim in _DIAPHONY_WEIGHTS:
        return [Term(DiaphonyLoss(_MAX_FREQUENCY, dim, _DECAY), _DIAPHONY_WEIGHTS[dim])]
    max_frequency, interactions = (3, 2) if dim <= 8 else (2, 2) if dim <= 16 else (1, 2) if dim <= 64 else (1, 1)
    return [
        Term(DiaphonyLoss(max_frequency, interactions, _DECAY), _PAIRS_WEIGHT),
        Term(DiaphonyLoss(_MAX_FREQUENCY, 1, _DECAY, name="circles"), _CIRCLES_WEIGHT),
    ]


def on_circles(angles: Tensor) -> Tensor:
    """Points with these angles and radius 1."""
    return ops.concatenate([ops.cos(angles), ops.sin(angles)], axis=-1)


@keras.saving.register_keras_serializable(package="torusae")
class Torus(Space):
    """The torus: `dim` circles. A point holds `dim` x values, then `dim` y values; the decoder reads them.

    Prior: angles independent and uniform, `[-π, π)`, radii normal with mean 1 and standard deviation 0.1.

    Presets:

    - `"uniform"`, the default: `DiaphonyLoss` makes points uniform on the whole torus, `QuantileLoss` holds the radii.
      Above three circles the diaphony sees pairs of circles, and a term `"circles"` sees each circle alone.
    - `"paper"`: `SpringLoss` and `QuantileLoss`, the paper's losses. They see one circle at a time.
    - `"none"`: no loss.

    Args:
        dim: Integer, at least 1, the number of circles.

    Example:

    >>> import torusae
    >>> torusae.Torus(3).sample(5, seed=0).shape[1]
    6

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, section 2.2.
    """

    views = ("angles", "radii", "squared_radii")
    presets = ("uniform", "paper", "none")
    radius_mean = 1.0
    radius_stddev = 0.1

    def __init__(self, dim: int):
        self.dim = checks.positive_int("Torus", "dim", dim)
        self.raw_size = self.point_size = 2 * self.dim
        self.num_windings = self.action_size = self.num_angles = self.dim
        self.step_size = 2 * self.dim

    def terms(self, preset):
        """The terms of a preset: see the class."""
        checks.option("Torus", "preset", preset, self.presets)
        radii = QuantileLoss(self.radius_mean, self.radius_stddev, squared=True)
        if preset == "paper":
            return [Term(SpringLoss()), Term(radii, _PAPER_RADII_WEIGHT)]
        return [*_uniform_terms(self.dim), Term(radii)]

    def view(self, name, raw, point):
        """Besides the raw values and points: `"angles"`, `"radii"` or `"squared_radii"`, each `(batch, dim)`."""
        if name == "angles":
            return polar_angles(point)
        if name == "radii":
            return to_polar(point)[0]
        if name == "squared_radii":
            return squared_radii(point)
        return super().view(name, raw, point)

    def angles(self, point):
        """The angles of points, `(batch, dim)`, radians, `[-π, π)`."""
        return polar_angles(point)

    def with_angles(self, point, angles):
        """Points whose first circles have some angles and radius 1. The other circles stay."""
        x, y = ops.split(point, 2, axis=-1)
        count = angles.shape[1]
        return ops.concatenate([ops.cos(angles), x[:, count:], ops.sin(angles), y[:, count:]], axis=-1)

    def head_input(self, point):
        """The cosines and sines of the angles, `(batch, 2 * dim)`: a head sees no seam and no radius."""
        point = ops.cast(point, checks.working_dtype(point.dtype))
        x, y = point[:, : self.dim], point[:, self.dim :]
        return on_circles(plane_angles(direct_ops(x), x, y, x * x + y * y < MIN_SQUARED_RADIUS))

    def sample(self, num_samples, seed=None):
        """Points drawn from the prior, `(num_samples, 2 * dim)`: angles uniform, radii normal.

        `seed` is an integer, which gives the same points on one backend, or a `keras.random.SeedGenerator`.
        """
        num_samples, seed = draws(self, num_samples, seed)
        shape = (num_samples, self.dim)
        angles = keras.random.uniform(shape, -math.pi, math.pi, dtype="float32", seed=seed)
        radii = keras.random.normal(shape, self.radius_mean, self.radius_stddev, dtype="float32", seed=seed)
        return to_cartesian(radii, angles)

    def log_prob(self, point):
        """The log density of angles, radians, and radii, `(batch,)`: with respect to `dφ dr` of each circle."""
        z = (to_polar(point)[0] - self.radius_mean) / self.radius_stddev
        constant = math.log(2 * math.pi * self.radius_stddev * math.sqrt(2 * math.pi))
        return -0.5 * ops.sum(z * z, axis=-1) - self.dim * constant

    def distance(self, a, b):
        """The length of the shortest path between the angles of points, `(batch,)`, radians. Radii do not count."""
        return length(angle_difference(polar_angles(a), polar_angles(b)))

    def windings(self, start, end):
        """The `2**dim` windings that take each circle the short or the long way. See `two_way_windings`."""
        return paths.two_way_windings(start, end)

    def paths(self, start, end, windings, num_steps=12):
        """Paths between two points around the torus, one per winding. See `morph_paths`."""
        return paths.morph_paths(start, end, windings, num_steps)

    def shortest(self, start, end, t):
        """Points on the shortest paths: radii linear, angles along the shortest arcs."""
        (radii, angles), (end_radii, end_angles) = to_polar(start), to_polar(end)
        t = t[:, None]
        return to_cartesian(ops.abs((1 - t) * radii + t * end_radii), angles + t * angle_difference(end_angles, angles))

    def act(self, point, action):
        """Points turned by angles, radians, `(dim,)` or `(batch, dim)`. Radii stay."""
        point, action = action_tensors(self, "act", point, action)
        radii, angles = to_polar(point)
        return to_cartesian(radii, angles + action)

    def move(self, point, step):
        """Points moved by steps of their angles, radians, then of their radii: `(2 dim,)` or `(batch, 2 dim)`.

        Radii are reflected at 0.
        """
        point, step = action_tensors(self, "move", point, step)
        radii, angles = to_polar(point)
        turns, stretches = ops.split(step, 2, axis=-1)
        return to_cartesian(ops.abs(radii + stretches), angles + turns)

    def analogy(self, a, b, c):
        """`z_d = z_c z_b / z_a` with `z = x + iy` of each circle: angles add, `φ_c + (φ_b - φ_a)`, and radii multiply.

        So radii stay positive, and the analogy of b to a takes d back to c. At the origin of a, the radius of c stays.
        """
        points = point_tensors(self, "analogy", a=a, b=b, c=c)
        (radii_a, angles_a), (radii_b, angles_b), (radii_c, angles_c) = map(to_polar, points)
        ratio = ops.where(radii_a > 0, radii_b / ops.where(radii_a > 0, radii_a, 1.0), 1.0)
        return to_cartesian(radii_c * ratio, angles_c + angle_difference(angles_b, angles_a))
