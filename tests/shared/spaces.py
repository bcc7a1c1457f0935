"""Two spaces written outside the library, by the contract alone: a lens space, and a flat cylinder."""

import math

import keras
from keras import ops

import torusae


@keras.saving.register_keras_serializable(package="tests")
class SquaredMean(torusae.LatentLoss):
    """Squared length of the mean."""

    def __init__(self, name="mean"):
        super().__init__(name)

    def call(self, values):
        return ops.sum(ops.square(ops.mean(values, axis=0)))


def times(q, p):
    """Products of quaternions in rows."""
    a, b, c, d = ops.unstack(q, axis=-1)
    e, f, g, h = ops.unstack(p, axis=-1)
    columns = (
        a * e - b * f - c * g - d * h,
        a * f + b * e + c * h - d * g,
        a * g - b * h + c * e + d * f,
        a * h + b * g - c * f + d * e,
    )
    return ops.stack(columns, axis=-1)


def length(values):
    return ops.sqrt(ops.maximum(ops.sum(ops.square(values), axis=-1, keepdims=True), 1e-24))


@keras.saving.register_keras_serializable(package="tests")
class LensSpace(torusae.Space):
    """L(p, 1): unit quaternions z + w j, made one with their products with e^{2πi/p} from the left.

    The decoder reads z^p, z^(p-1) w, ..., w^p. A winding is the number of such products of the end.
    """

    raw_size = point_size = 4
    num_windings, action_size = 1, 3
    presets, views = ("uniform", "none"), ("monomials",)

    def __init__(self, p=3):
        self.p = p
        self.decoder_input_size = 2 * (p + 1)

    def image(self, point, number):
        angle = 2 * math.pi * number / self.p
        return times(ops.convert_to_tensor([[math.cos(angle), math.sin(angle), 0.0, 0.0]]), point)

    def point(self, raw, seed=None):
        return raw / length(raw)

    def decoder_input(self, point):
        def powers(x, y):
            found = [(ops.ones_like(x), ops.zeros_like(x))]
            for _ in range(self.p):
                a, b = found[-1]
                found.append((a * x - b * y, a * y + b * x))
            return found

        z, w = powers(point[:, 0], point[:, 1]), powers(point[:, 2], point[:, 3])
        pairs = [(a * c - b * d, a * d + b * c) for (a, b), (c, d) in zip(z[::-1], w, strict=True)]
        return ops.stack([value for pair in pairs for value in pair], axis=-1)

    def terms(self, preset):
        return [torusae.Term(SquaredMean(), 3.0, reads="monomials")]

    def view(self, name, raw, point):
        return self.decoder_input(point) if name == "monomials" else super().view(name, raw, point)

    def sample(self, num_samples, seed=None):
        return self.point(keras.random.normal((num_samples, 4), seed=seed))

    def log_prob(self, point):
        return ops.zeros_like(point[:, 0]) - math.log(2 * math.pi**2 / self.p)

    def _arcs(self, a, b):
        chords = [length(a - self.image(b, number))[..., 0] for number in range(self.p)]
        return 2 * ops.arcsin(ops.minimum(ops.stack(chords, axis=-1) / 2, 1.0))

    def distance(self, a, b):
        return ops.min(self._arcs(a, b), axis=-1)

    def windings(self, start, end):
        return ops.argsort(self._arcs(start[None], end[None])[0])[:, None]

    def paths(self, start, end, windings, num_steps=12):
        paths = []
        for number in ops.convert_to_numpy(windings)[:, 0]:
            last = self.image(end[None], float(number))[0]
            angle = 2 * ops.arcsin(ops.minimum(length(start - last) / 2, 1.0))
            across = last - ops.cos(angle) * start
            steps = angle * ops.linspace(0.0, 1.0, num_steps)[:, None]
            paths.append(ops.cos(steps) * start + ops.sin(steps) * across / length(across))
        return ops.stack(paths)

    def act(self, point, action):
        action = ops.broadcast_to(ops.convert_to_tensor(action, dtype="float32"), (ops.shape(point)[0], 3))
        angle = length(action)
        return times(point, ops.concatenate([ops.cos(angle), action * ops.sin(angle) / angle], axis=-1))


@keras.saving.register_keras_serializable(package="tests")
class FlatCylinder(torusae.Space):
    """A circle times a line. A point is (cos φ, sin φ, z). A winding is a number of extra turns of φ."""

    raw_size = point_size = 3
    num_windings = num_angles = 1
    action_size = 2
    presets, views = ("even", "none"), ("angles", "height")

    def point(self, raw, seed=None):
        return ops.concatenate([raw[:, :2] / length(raw[:, :2]), raw[:, 2:]], axis=-1)

    def at(self, angles, height):
        return ops.concatenate([ops.cos(angles), ops.sin(angles), height], axis=-1)

    def terms(self, preset):
        height = torusae.QuantileLoss(mean=0.0, stddev=1.0)
        return [torusae.Term(torusae.SpringLoss()), torusae.Term(height, reads="height")]

    def view(self, name, raw, point):
        if name == "angles":
            return self.angles(point)
        return point[:, 2:] if name == "height" else super().view(name, raw, point)

    def sample(self, num_samples, seed=None):
        normal = keras.random.normal((num_samples, 3), seed=seed)
        return self.point(normal)

    def log_prob(self, point):
        return -0.5 * point[:, 2] ** 2 - 1.5 * math.log(2 * math.pi)

    def distance(self, a, b):
        return length(ops.concatenate([self._turns(a, b), b[:, 2:] - a[:, 2:]], axis=-1))[:, 0]

    def angles(self, point):
        return torusae.wrap_angles(ops.arctan2(point[:, 1:2], point[:, :1]))

    def _turns(self, a, b):
        return torusae.angle_difference(self.angles(b), self.angles(a))

    def windings(self, start, end):
        other = ops.where(self._turns(start[None], end[None]) > 0, -1, 1)
        return ops.concatenate([ops.zeros_like(other), other])

    def paths(self, start, end, windings, num_steps=12):
        t = ops.linspace(0.0, 1.0, num_steps)[:, None]
        turns = self._turns(start[None], end[None]) + 2 * math.pi * ops.cast(windings, "float32")
        height = start[2:] + t * (end[2:] - start[2:])
        return ops.stack([self.at(self.angles(start[None]) + t * each, height) for each in ops.unstack(turns)])

    def act(self, point, action):
        action = ops.broadcast_to(ops.convert_to_tensor(action, dtype="float32"), (ops.shape(point)[0], 2))
        return self.at(self.angles(point) + action[:, :1], point[:, 2:] + action[:, 1:])

    def analogy(self, a, b, c):
        return self.at(self.angles(c) + self._turns(a, b), c[:, 2:] + b[:, 2:] - a[:, 2:])
