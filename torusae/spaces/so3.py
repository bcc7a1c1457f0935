"""Rotations in three dimensions."""

import math

import keras
import numpy as np
from keras import ops

from torusae._internal import checks
from torusae._internal.tensors import direct_ops
from torusae._internal.vectors import length, unit
from torusae.losses import CharacterLoss
from torusae.spaces import _geometry
from torusae.spaces._geometry import GreatCircles
from torusae.spaces.base import action_tensors, draws, point_tensors, uniform_log_prob
from torusae.spaces.terms import Term

_WEIGHT = 3.0  # of 1 to 10: more raises the reconstruction error
_NO_PLANE = 1e-8  # squared sine of the angle between two raw vectors that hold no plane


@keras.saving.register_keras_serializable(package="torusae")
class SO3(GreatCircles):
    """The rotations in three dimensions. A point is a rotation matrix, row by row, 9 values; the decoder reads them.

    Raw values are two vectors of three numbers. Gram and Schmidt's process makes the first two columns of the matrix of
    them. This map has no seam; from angles or quaternions there is none.

    Prior: Haar measure, the one that rotations leave as it is.

    Presets: `"uniform"`, the default: `CharacterLoss`; `"none"`.

    Example:

    >>> import keras, torusae
    >>> space = torusae.spaces.SO3()
    >>> identity = space.point([[2.0, 0.0, 0.0, 5.0, 0.1, 0.0]])
    >>> turned = space.act(identity, [0.0, 0.0, 0.5])
    >>> round(float(space.distance(identity, turned)[0]), 4)
    0.5

    Reference:
        Zhou et al. (2019), arXiv:1812.07035, section 4 (the continuous map); Falorsi et al. (2018), arXiv:1807.04689,
        for rotations in autoencoders. The loss is a torusae choice.
    """

    raw_size, point_size = 6, 9
    action_size = 3
    turn = math.pi  # a turn of a rotation is half a turn of its quaternion
    presets = ("uniform", "none")

    def point(self, raw, seed=None):
        """Rotation matrices of raw values, by Gram and Schmidt. Any plane is taken where the vectors hold none."""
        raw = checks.float_tensor("SO3.point", "raw", raw, 2, "(batch, 6)")
        first, second = unit(raw[:, :3]), raw[:, 3:]
        across = ops.cross(first, second, axis=-1)
        least = ops.one_hot(ops.argmin(ops.abs(first), axis=-1), 3, dtype=first.dtype)
        sizes = [ops.sum(each * each, axis=-1, keepdims=True) for each in (across, second)]
        third = unit(ops.where(sizes[0] <= _NO_PLANE * sizes[1], ops.cross(first, least, axis=-1), across))
        columns = [first, ops.cross(third, first, axis=-1), third]
        return ops.reshape(ops.stack(columns, axis=-1), (-1, 9))

    def terms(self, preset):
        """The term of a preset: see the class."""
        checks.option("SO3", "preset", preset, self.presets)
        return [Term(CharacterLoss(), _WEIGHT)] if preset == "uniform" else []

    def sample(self, num_samples, seed=None):
        """Rotations of Haar measure, `(num_samples, 9)`, by random unit quaternions. See `Torus.sample`."""
        num_samples, seed = draws(self, num_samples, seed)
        quaternions = unit(keras.random.normal((num_samples, 4), dtype="float32", seed=seed))
        w, x, y, z = ops.unstack(quaternions, axis=-1)
        first = [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)]
        second = [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)]
        third = [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]
        return ops.stack([*first, *second, *third], axis=-1)

    def log_prob(self, point):
        """`-log 8π²`, `(batch,)`: with respect to the volume whose unit of length is a radian of a rotation."""
        return uniform_log_prob(point, 8 * math.pi**2)

    def distance(self, a, b):
        """The angle of the rotation from one to the other, `(batch,)`, radians, `[0, π]`.

        With `M = Aᵀ B`: `atan2(sin, cos)` of the angle's sine, half the size of `M - Mᵀ`, and its cosine
        `(trace M - 1) / 2`. The gradient is 0 at 0 and π.
        """
        a, b = (ops.reshape(each, (-1, 3, 3)) for each in point_tensors(self, "distance", a=a, b=b))
        M = ops.matmul(ops.transpose(a, (0, 2, 1)), b)
        sines = [M[:, 2, 1] - M[:, 1, 2], M[:, 0, 2] - M[:, 2, 0], M[:, 1, 0] - M[:, 0, 1]]
        cosine = 0.5 * (M[:, 0, 0] + M[:, 1, 1] + M[:, 2, 2] - 1.0)
        return direct_ops(cosine).arctan2(0.5 * length(ops.stack(sines, axis=-1)), cosine)

    @staticmethod
    def on_sphere(start, end):
        """Unit quaternions, those of the end with the nearer sign."""
        from scipy.spatial.transform import Rotation

        start, end = (Rotation.from_matrix(each.reshape(-1, 3, 3)).as_quat() for each in (start, end))
        return start, np.where(np.sum(start * end, axis=1, keepdims=True) < 0, -end, end)

    @staticmethod
    def from_sphere(points):
        """The matrices of unit quaternions."""
        from scipy.spatial.transform import Rotation

        return Rotation.from_quat(points.reshape(-1, 4)).as_matrix().reshape(*points.shape[:-1], 9)

    def act(self, point, action):
        """Points turned about a vector, `(3,)` or `(batch, 3)`, by its length in radians: `exp([v]) R`."""
        point, action = action_tensors(self, "act", point, action)
        planes = ops.stack([action[..., 2], -action[..., 1], action[..., 0]], axis=-1)  # (x, y), (x, z), (y, z)
        turns = _geometry.rotation_matrices(planes, 3)
        return ops.reshape(ops.matmul(turns, ops.reshape(point, (-1, 3, 3))), (-1, 9))

    def analogy(self, a, b, c):
        """`B Aᵀ C`: the rotation that takes a to b, from the left as in `act`, turns c."""
        a, b, c = (ops.reshape(each, (-1, 3, 3)) for each in point_tensors(self, "analogy", a=a, b=b, c=c))
        return ops.reshape(ops.matmul(b, ops.matmul(ops.transpose(a, (0, 2, 1)), c)), (-1, 9))
