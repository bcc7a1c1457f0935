"""Quotients of a space by a group of two: each point stands for itself and for its image."""

import abc
import math
from typing import Any, ClassVar

import numpy as np
from keras import ops

from torusae._internal import checks
from torusae._internal.checks import Tensor
from torusae._internal.tensors import constant
from torusae.angles import polar_angles
from torusae.losses import DiaphonyLoss
from torusae.spaces.base import Space, path_rows, point_tensors
from torusae.spaces.terms import Term

MAX_FREQUENCY, DECAY = 4, 1.0


class Quotient(Space):
    """Base of quotients by a group of two. A subclass sets `cover` and `signs`.

    A point is one of the two points of the cover that stand for it. So the decoder must read the same of both.
    A winding names a path: first the number of the image of the end (0 or 1), then a winding of the cover.
    """

    presets = ("uniform", "none")

    cover: Space
    """The space with twice as many points."""

    signs: ClassVar[tuple[int, ...]]
    """The image of a point: these, one per column or one for all, times the point."""

    ways_to_image: ClassVar[int] = 1
    """How many of the cover's windings lead to each image. The others go around more than once."""

    def image(self, point: Tensor) -> Tensor:
        """The other points of the cover that stand for the same points."""
        return point * constant(np.array(self.signs), point)

    def sample(self, num_samples, seed=None):
        """Points drawn from the prior, `(num_samples, point_size)`. See `Torus.sample`."""
        return self.cover.sample(num_samples, seed)

    def log_prob(self, point):
        """The log density of the cover, which has twice the volume, and log 2, `(batch,)`."""
        return self.cover.log_prob(point) + math.log(2)

    def distance(self, a, b):
        """The length of the shortest path between points, `(batch,)`: the least of the cover's over both images."""
        a, b = point_tensors(self, "distance", a=a, b=b)
        return ops.minimum(self.cover.distance(a, b), self.cover.distance(a, self.image(b)))

    def windings(self, start, end):
        """The ways to both images, the shortest first: `(num_paths, num_windings)`."""
        start, end = point_tensors(self, "windings", rank=1, start=start, end=end)
        ends = [end, self.image(end)]
        near = [float(self.cover.distance(start[None], each[None])[0]) for each in ends]
        rows = []
        for number in np.argsort(near, kind="stable"):
            ways = ops.convert_to_numpy(self.cover.windings(start, ends[number]))[: self.ways_to_image]
            rows.append(np.concatenate([np.full((len(ways), 1), number), ways], axis=1))
        return ops.convert_to_tensor(np.concatenate(rows).astype("int32"))

    def paths(self, start, end, windings, num_steps=12):
        """Paths of the cover to the end or to its image, one per row of `windings`."""
        owner = f"{type(self).__name__}.paths"
        windings, _ = path_rows(owner, windings, self.num_windings, num_steps)
        if not np.isin(windings[:, 0], (0, 1)).all():
            raise ValueError(
                f"{owner}: the first column of `windings` must be the number of an image, 0 or 1. "
                f"Received: {sorted({int(number) for number in windings[:, 0]})}."
            )
        start, end = point_tensors(self, "paths", rank=1, start=start, end=end)
        own = ops.convert_to_tensor(windings[:, 1:])
        ways = [self.cover.paths(start, each, own, num_steps) for each in (end, self.image(end))]
        return ops.where(windings[:, :1, None] == 0, *ways)

    def shortest(self, start, end, t):
        """Points on the shortest paths of the cover to the nearer image."""
        return self.cover.shortest(start, self.nearer(start, end), t)

    def act(self, point, action):
        """Points moved as those of the cover, `(action_size,)` or `(batch, action_size)`."""
        return self.cover.act(point, action)

    def move(self, point, step):
        """Points moved as those of the cover, `(step_size,)` or `(batch, step_size)`."""
        return self.cover.move(point, step)

    def nearer(self, start: Tensor, end: Tensor) -> Tensor:
        """Of the two points of the cover that stand for `end`, the nearer ones to `start`, row by row."""
        image = self.image(end)
        is_near = self.cover.distance(start, end) <= self.cover.distance(start, image)
        return ops.where(is_near[:, None], end, image)


class FlatQuotient(Quotient):
    """A circle with the angle a, and a second coordinate that half a turn of a turns over.

    A subclass defines `flat`, `lifts` and `weight`. The decoder input begins with `cos 2a`, `sin 2a`.
    """

    views = ("orbit",)
    action_size = num_angles = 1
    step_size = 2
    weight: ClassVar[float]
    """The default weight of the uniform term, from short trainings with weights of 1 to 10."""

    @abc.abstractmethod
    def flat(self, point: Tensor) -> tuple[Tensor, Tensor]:
        """The angle a and the second coordinate of tensors of points, each `(batch, 1)`."""

    @staticmethod
    @abc.abstractmethod
    def lifts(a: Any, second: Any) -> list[tuple[Any, Any]]:
        """Pairs of angles on a torus of two circles that stand for a point, of tensors or NumPy arrays."""

    def chart(self, points: np.ndarray) -> np.ndarray:
        """The angle a in `[-π/2, π/2]`, radians, and the second coordinate of arrays of points, `(num, 2)`."""
        points = ops.convert_to_tensor(points)
        points = ops.where(points[:, :1] < 0, self.image(points), points)
        return ops.convert_to_numpy(ops.concatenate(self.flat(points), axis=-1))

    def view(self, name, raw, point):
        """Besides the raw values and points: `"orbit"`, the lifts of all points to a torus, `(lifts * batch, 2)`."""
        if name != "orbit":
            return super().view(name, raw, point)
        return ops.concatenate([ops.concatenate(pair, axis=-1) for pair in self.lifts(*self.flat(point))])

    def terms(self, preset):
        """The term of a preset: see the class."""
        checks.option(type(self).__name__, "preset", preset, self.presets)
        return [Term(DiaphonyLoss(MAX_FREQUENCY, 2, DECAY), self.weight, reads="orbit")] if preset == "uniform" else []

    def angles(self, point):
        """`2a`, `(batch, 1)`, radians, `[-π, π)`."""
        return polar_angles(self.decoder_input(point)[:, :2])

    @property
    def angle_actions(self):
        """`[[0.5]]`: the angle is `2a`, and an action moves along a. A whole turn turns the second coordinate over."""
        return np.array([[0.5]])
