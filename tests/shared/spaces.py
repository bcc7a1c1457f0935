"""Two spaces written outside the library, by the contract alone: a sphere, and the projective plane."""

import math

import keras
import numpy as np
from keras import ops

import torusae


@keras.saving.register_keras_serializable(package="tests")
class SphericalMoments(torusae.LatentLoss):
    """Squared length of the mean, and distance of the second moments from those of a uniform sphere."""

    reads = "point"

    def __init__(self, name="uniform"):
        super().__init__(name)

    def call(self, values):
        size = ops.cast(ops.shape(values)[0], values.dtype)
        second = ops.matmul(ops.transpose(values), values) / size - ops.eye(3) / 3
        return ops.sum(ops.square(ops.mean(values, axis=0))) + ops.sum(ops.square(second))


def unit(values):
    """Rows of length 1, with a finite gradient at 0."""
    squares = ops.sum(ops.square(values), axis=-1, keepdims=True)
    return values / ops.sqrt(ops.maximum(squares, 1e-12))


def arc(cosine):
    return ops.arccos(ops.clip(cosine, -1 + 1e-7, 1 - 1e-7))


@keras.saving.register_keras_serializable(package="tests")
class Sphere(torusae.Space):
    """The sphere of three dimensions. A winding is a number of extra turns along the great circle."""

    raw_size = point_size = action_size = 3
    num_windings = 1
    presets = ("uniform", "none")

    def __repr__(self):
        return "Sphere()"

    def point(self, raw, seed=None):
        return unit(raw)

    def terms(self, preset):
        return [torusae.Term(SphericalMoments(), 3.0)]

    def sample(self, num_samples, seed=None):
        return unit(keras.random.normal((num_samples, 3), seed=seed))

    def distance(self, a, b):
        return arc(ops.sum(a * b, axis=-1))

    def windings(self, start, end):
        return ops.convert_to_tensor([[0], [-1]], dtype="int32")

    def paths(self, start, end, windings, num_steps=12):
        start, end = (np.asarray(ops.convert_to_numpy(each), "float64") for each in (start, end))
        turns = np.asarray(ops.convert_to_numpy(windings), "float64")[:, 0]
        across = end - (start @ end) * start
        if np.linalg.norm(across) < 1e-6:  # any great circle will do
            across = np.cross(start, np.eye(3)[np.argmin(np.abs(start))])
        across /= np.linalg.norm(across)
        whole = math.acos(np.clip(start @ end, -1, 1)) + 2 * math.pi * turns
        steps = whole[:, None] * np.linspace(0, 1, num_steps)
        points = np.cos(steps)[..., None] * start + np.sin(steps)[..., None] * across
        return ops.convert_to_tensor(points, dtype="float32")

    def act(self, point, action):
        """Rotation vectors, Rodrigues' formula."""
        action = ops.broadcast_to(ops.convert_to_tensor(action, dtype="float32"), ops.shape(point))
        angle = ops.sqrt(ops.maximum(ops.sum(ops.square(action), axis=-1, keepdims=True), 1e-12))
        axis = action / angle
        along = axis * ops.sum(axis * point, axis=-1, keepdims=True)
        return point * ops.cos(angle) + ops.cross(axis, point, axis=-1) * ops.sin(angle) + along * (1 - ops.cos(angle))

    def get_config(self):
        return {}


@keras.saving.register_keras_serializable(package="tests")
class ProjectivePlane(Sphere):
    """The sphere with opposite points made one. The decoder reads x xᵀ, the same for x and -x."""

    decoder_input_size = 9

    def __repr__(self):
        return "ProjectivePlane()"

    def decoder_input(self, point):
        return ops.reshape(point[:, :, None] * point[:, None, :], (-1, 9))

    def distance(self, a, b):
        return arc(ops.abs(ops.sum(a * b, axis=-1)))

    def _near(self, start, end):
        return end if float(ops.sum(start * end)) >= 0 else -end

    def paths(self, start, end, windings, num_steps=12):
        """Row 0: to the nearer of ±end. Row -1: the other way, to the further one."""
        near = self._near(start, end)
        rows = []
        for row in ops.convert_to_numpy(windings):
            target = near if row[0] % 2 == 0 else -near
            rows.append(super().paths(start, target, [[0]], num_steps)[0])
        return ops.stack(rows)
