"""Latent spaces as objects: coordinates, prior, losses, sampling, distance and paths of a code."""

from typing import Any

import keras
import numpy as np
from keras import ops

from torusae import _checks, morph
from torusae._checks import Tensor
from torusae.angles import angle_difference, squared_radii, to_cartesian, to_polar
from torusae.losses import DiaphonyLoss, LatentLoss, QuantileLoss, SpringLoss
from torusae.metrics import arc_counts, kuiper_of_counts

_MONITOR_ARCS = 32  # arcs that the live Kuiper statistic counts angles in: a step of 0.03, a few numbers per circle

# Far below the square of any arc's rounding, far above the subnormal numbers that XLA and TensorFlow flush to zero.
_MIN_SQUARED_DISTANCE = 1e-30


_MEMORY = 8192  # points: enough to see moments of 0.02, few enough to follow an encoder that learns


def _frequencies_for(dim: int) -> dict[str, int]:
    """As many frequencies of the torus as a training step hardly notices: some hundreds, of pairs at high dim."""
    if dim <= 3:
        return {"order": 4, "interactions": 3}
    if dim <= 16:
        return {"order": 3 if dim <= 8 else 2, "interactions": 2}
    return {"order": 1, "interactions": 2 if dim <= 64 else 1}


class Space:
    """What layers, models and plots know of a latent space; they never ask which one they hold.

    A subclass states `maps`, `parts`, `presets`, and implements the methods below. A *code* is the tensor that the
    decoder reads, `(batch, code_size)`.
    """

    maps: tuple[tuple[str, int], ...]
    """The linear maps that make a code out of features, as (name, size), in the order of the code's columns."""

    parts: tuple[str, ...]
    """The names that `part` knows, the ones a `LatentLoss` may read."""

    default_losses = "paper"
    """The preset that a layer takes when it is told nothing else."""

    @property
    def code_size(self) -> int:
        """The number of values in a code."""
        return sum(size for _, size in self.maps)

    def preset(self, name: str) -> list[LatentLoss]:
        """The losses that go by a name."""
        raise NotImplementedError

    def part(self, code: Tensor, name: str) -> Tensor:
        """The part of a code that a loss reads."""
        raise NotImplementedError

    def part_size(self, name: str) -> int:
        """The number of columns of a part."""
        return self.part(keras.KerasTensor((None, self.code_size), dtype="float32"), name).shape[1]

    def coordinates(self, code: Tensor) -> Tensor:
        """The coordinates that heads and plots read, `(batch, num_coordinates)`."""
        raise NotImplementedError

    def sample(self, num_samples: int, seed: int | keras.random.SeedGenerator | None = None) -> Tensor:
        """Codes drawn from the prior, `(num_samples, code_size)`."""
        raise NotImplementedError

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """The geodesic distance between codes, `(batch,)`."""
        raise NotImplementedError

    def paths(self, start: Tensor, end: Tensor, windings: Tensor, num_steps: int = 12) -> Tensor:
        """Codes along paths between two codes, `(num_paths, num_steps, code_size)`."""
        raise NotImplementedError

    monitor_shape: tuple[int, ...]
    """The shape of what `monitor` returns."""

    def monitor(self, code: Tensor) -> Tensor:
        """Numbers whose sum over batches tells how close the codes are to the prior; `read_monitor` reads the sum."""
        raise NotImplementedError

    def read_monitor(self, total: Tensor) -> dict[str, Tensor]:
        """Named statistics out of the sum of `monitor` over many batches."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        raise NotImplementedError

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Space":
        """Returns the space that `get_config` describes."""
        return cls(**config)


@keras.saving.register_keras_serializable(package="torusae")
class Torus(Space):
    """The torus: `dim` circles. A code holds `dim` x values, then `dim` y values.

    Prior: angles independent and uniform, radii normal with mean 1 and deviation 0.1. Angles are in radians, `[-π, π)`.

    Args:
        dim: Integer, at least 1, the number of circles.

    Raises:
        TypeError: If `dim` is not an integer.
        ValueError: If `dim` is below 1.

    Example:

    >>> import torusae
    >>> torusae.Torus(3).sample(5, seed=0).shape[1]
    6

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, section 2.2.
    """

    parts = ("angles", "radii", "squared_radii")
    radius_mean = 1.0
    radius_stddev = 0.1
    default_losses = "uniform"

    def __init__(self, dim: int):
        self.dim = _checks.positive_int("Torus", "dim", dim)
        self.maps = (("x", self.dim), ("y", self.dim))
        self.monitor_shape = (self.dim, _MONITOR_ARCS)

    def __repr__(self) -> str:
        return f"Torus({self.dim})"

    def preset(self, name):
        """The losses that go by a name.

        `"uniform"`, the default, makes points uniform on the whole torus: diaphony and the quantile loss. `"paper"` is
        the spring and the quantile loss alone, which see one circle at a time; `"none"` is no loss.
        """
        _checks.option("Torus", "losses", name, ("uniform", "paper", "none"))
        if name == "none":
            return []
        radii = QuantileLoss(self.radius_mean, self.radius_stddev, squared=True)
        if name == "paper":
            return [SpringLoss(), radii]
        return [DiaphonyLoss(**_frequencies_for(self.dim), decay=1.0, memory=_MEMORY), radii]

    def part(self, code, name):
        """`"angles"`, `"radii"` or `"squared_radii"` of a code, each `(batch, dim)`."""
        _checks.option("Torus", "part", name, self.parts)
        if name == "squared_radii":
            return squared_radii(code)
        radii, angles = to_polar(code)
        return angles if name == "angles" else radii

    def coordinates(self, code):
        """The angles of a code, `(batch, dim)`, radians, `[-π, π)`."""
        return to_polar(code)[1]

    def sample(self, num_samples, seed=None):
        """Codes drawn from the prior, `(num_samples, 2 * dim)`: angles uniform, radii normal.

        Args:
            num_samples: Integer, at least 1.
            seed: Integer or `keras.random.SeedGenerator`; the same integer gives the same codes on one backend.
        """
        num_samples = _checks.positive_int("Torus.sample", "num_samples", num_samples)
        seed = keras.random.SeedGenerator(seed) if seed is None or isinstance(seed, int) else seed
        shape = (num_samples, self.dim)
        angles = keras.random.uniform(shape, -np.pi, np.pi, dtype="float32", seed=seed)
        radii = keras.random.normal(shape, self.radius_mean, self.radius_stddev, dtype="float32", seed=seed)
        return to_cartesian(radii, angles)

    def distance(self, a, b):
        """The length of the shortest path between the angles of two batches of codes, `(batch,)`, radians."""
        arcs = angle_difference(to_polar(a)[1], to_polar(b)[1])
        squares = ops.sum(ops.square(arcs), axis=-1)
        # The root has no derivative where the points are one; both `where` keep the gradient 0 there.
        same = squares < _MIN_SQUARED_DISTANCE
        return ops.where(same, ops.zeros_like(squares), ops.sqrt(ops.where(same, ops.ones_like(squares), squares)))

    def paths(self, start, end, windings, num_steps=12):
        """Paths between two codes around the torus, one for each winding. See `morph_paths`."""
        return morph.morph_paths(start, end, windings, num_steps)

    def monitor(self, code):
        """The number of angles in each of 32 equal arcs, `(dim, 32)`."""
        return arc_counts(to_polar(code)[1], _MONITOR_ARCS)

    def read_monitor(self, total):
        """`{"kuiper": largest Kuiper statistic of any circle}` over everything counted."""
        return {"kuiper": ops.max(kuiper_of_counts(total))}

    def get_config(self):
        """Returns `{"dim": dim}`."""
        return {"dim": self.dim}
