"""Latent spaces as objects: coordinates, prior, losses, sampling, distance and paths of a code."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from torusae import _checks, morph
from torusae._checks import Tensor
from torusae.angles import angle_difference, squared_radii, to_cartesian, to_polar
from torusae.losses import (
    CramerWoldLoss,
    DiaphonyLoss,
    GaussianDistanceLoss,
    KLLoss,
    LatentLoss,
    MMDLoss,
    QuantileLoss,
    SlicedWassersteinLoss,
    SpringLoss,
)
from torusae.losses.gaussian import draw_posterior, split_posterior
from torusae.metrics import arc_counts, kuiper_of_counts

_MONITOR_ARCS = 32  # arcs that the live Kuiper statistic counts angles in: a step of 0.03, a few numbers per circle

# Far below the square of any arc's rounding, far above the subnormal numbers that XLA and TensorFlow flush to zero.
_MIN_SQUARED_DISTANCE = 1e-30


# No moment pulls harder than on three circles, where 2000 was measured: the fewer moments share the weight, the sooner
# the pull at remembered moments overshoots, and points gather instead of spreading.
_MOMENT_WEIGHT = 30.0
# Circles from which on default weights fall as 1 / dim. A code of many circles holds so much that it need not be
# pressed: at 8 and 16, lighter losses of angles and radii give better reconstructions and, of all things, more uniform
# pairs, since the two stop fighting over each point.
_FULL_WEIGHT_DIM = 3
# How hard the first moment of each circle is pulled by itself above that many circles. The pairs outnumber the circles
# by far and leave a single one next to nothing: on sixteen, one training in four ended with a circle half empty.
_CIRCLE_WEIGHT = 7.0
# Points that the moments are remembered over, for 1, 2, and 3 or more circles. On fewer circles each moment pulls
# harder, and the older what it pulls at, the sooner the pull overshoots.
_MEMORY = (512, 2048, 8192)


def _frequencies_for(dim: int) -> dict[str, int]:
    """As many frequencies of the torus as a training step hardly notices: some hundreds, of pairs at high dim.

    A torus that is folded into another has edges, which show in high frequencies first: on two circles, of which data
    with two angles fold easily, an order of 4 left them as uneven as it found them, 8 does not.
    """
    if dim <= 3:
        return {"order": 8 if dim == 2 else 4, "interactions": 3}
    if dim <= 16:
        return {"order": 3 if dim <= 8 else 2, "interactions": 2}
    return {"order": 1, "interactions": 2 if dim <= 64 else 1}


def _norm(steps: Tensor) -> Tensor:
    """The length of each row."""
    squares = ops.sum(ops.square(steps), axis=-1)
    # The root has no derivative where the points are one; both `where` keep the gradient 0 there.
    same = squares < _MIN_SQUARED_DISTANCE
    return ops.where(same, ops.zeros_like(squares), ops.sqrt(ops.where(same, ops.ones_like(squares), squares)))


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

    is_stochastic = False
    """Whether `code` draws random numbers in training."""

    @property
    def projection_size(self) -> int:
        """The number of values that the linear maps make of features."""
        return sum(size for _, size in self.maps)

    @property
    def code_size(self) -> int:
        """The number of values in a code."""
        return self.projection_size

    def code(self, projection: Tensor, seed: keras.random.SeedGenerator | None = None) -> Tensor:
        """The code that the linear maps' values stand for; with a seed, as in training, drawn where it is random."""
        return projection

    @property
    def is_circular(self) -> tuple[bool, ...]:
        """Which of the `coordinates` are angles."""
        raise NotImplementedError

    def __mul__(self, other: "Space") -> "Space":
        """The product of two spaces: their codes side by side."""
        return product(self, other)

    def preset(self, name: str) -> list[LatentLoss]:
        """The losses that go by a name."""
        raise NotImplementedError

    def part(self, projection: Tensor, name: str) -> Tensor:
        """The part that a loss reads of what the linear maps made, which is the code where nothing is random."""
        raise NotImplementedError

    def part_size(self, name: str) -> int:
        """The number of columns of a part."""
        return self.part(keras.KerasTensor((None, self.projection_size), dtype="float32"), name).shape[1]

    def coordinates(self, code: Tensor) -> Tensor:
        """The coordinates that heads and plots read, `(batch, num_coordinates)`."""
        raise NotImplementedError

    def sample(self, num_samples: int, seed: int | keras.random.SeedGenerator | None = None) -> Tensor:
        """Codes drawn from the prior, `(num_samples, code_size)`."""
        raise NotImplementedError

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """The geodesic distance between codes, `(batch,)`."""
        raise NotImplementedError

    def two_way_windings(self, start: Tensor, end: Tensor) -> Tensor:
        """The windings of the paths between two codes that a morph shows, the shortest first."""
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

        `"uniform"`, the default, makes points uniform on the whole torus: diaphony and the quantile loss, and above
        three circles also `"circles"`, the diaphony of each circle alone. `"paper"` is the spring and the quantile loss
        alone, which see one circle at a time; `"none"` is no loss.
        """
        _checks.option("Torus", "losses", name, ("uniform", "paper", "none"))
        if name == "none":
            return []
        radii = QuantileLoss(self.radius_mean, self.radius_stddev, squared=True)
        if name == "paper":
            return [SpringLoss(), radii]
        angles = DiaphonyLoss(**_frequencies_for(self.dim), decay=1.0, memory=_MEMORY[min(self.dim, 3) - 1])
        angles.default_weight = min(angles.default_weight, _MOMENT_WEIGHT / angles.share_of_first_moment(self.dim))
        for loss in (angles, radii):
            loss.default_weight *= min(1.0, _FULL_WEIGHT_DIM / self.dim)
        if self.dim <= _FULL_WEIGHT_DIM:
            return [angles, radii]
        circles = DiaphonyLoss(order=4, interactions=1, decay=1.0, memory=_MEMORY[-1], name="circles")
        circles.default_weight = _CIRCLE_WEIGHT / circles.share_of_first_moment(self.dim)
        return [angles, circles, radii]

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

    @property
    def is_circular(self):
        """All coordinates are angles."""
        return (True,) * self.dim

    def distance(self, a, b):
        """The length of the shortest path between the angles of two batches of codes, `(batch,)`, radians."""
        return _norm(angle_difference(to_polar(a)[1], to_polar(b)[1]))

    def two_way_windings(self, start, end):
        """The `2**dim` windings that take each circle the short or the long way. See `two_way_windings`."""
        return morph.two_way_windings(start, end)

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


@keras.saving.register_keras_serializable(package="torusae")
class Gaussian(Space):
    """The Gaussian space of WAE, SWAE, CWAE, the Gaussian AE and VAE: `dim` real numbers.

    Prior: independent, standard normal.

    Args:
        dim: Integer, at least 1.
        variational: Boolean, whether codes are posteriors, as in a VAE: a mean and a variance for each number. While
            training a code is drawn, elsewhere it is the mean. Defaults to `False`.

    Raises:
        TypeError: If `dim` is not an integer.
        ValueError: If `dim` is below 1.

    Example:

    >>> import torusae
    >>> torusae.Gaussian(4).sample(5, seed=0).shape[1]
    4

    Reference:
        Kingma & Welling (2013), arXiv:1312.6114; Tolstikhin et al. (2018), arXiv:1711.01558; Kolouri et al. (2018),
        arXiv:1804.01947; Knop et al. (2020), arXiv:1805.09235; Duda (2018), arXiv:1811.04751.
    """

    def __init__(self, dim: int, variational: bool = False):
        self.dim = _checks.positive_int("Gaussian", "dim", dim)
        self.variational = bool(variational)
        self.is_stochastic = self.variational
        self.maps = (("mean", self.dim), ("log_variance", self.dim)) if variational else (("mean", self.dim),)
        self.parts = ("normal", "posterior") if variational else ("normal",)
        self.default_losses = "vae" if variational else "cwae"
        self.monitor_shape = (3, self.dim)

    def __repr__(self) -> str:
        return f"Gaussian({self.dim}, variational=True)" if self.variational else f"Gaussian({self.dim})"

    @property
    def code_size(self):
        """`dim`."""
        return self.dim

    def code(self, projection, seed=None):
        """The means; with a seed, in a variational space, values drawn from the posteriors."""
        if not self.variational:
            return projection
        return split_posterior(projection)[0] if seed is None else draw_posterior(projection, seed)

    def preset(self, name):
        """The losses that go by a name: `"cwae"` (the default), `"wae"`, `"swae"`, `"gae"`, `"none"`, or `"vae"`."""
        presets = {
            "cwae": CramerWoldLoss,
            "wae": MMDLoss,
            "swae": SlicedWassersteinLoss,
            "gae": GaussianDistanceLoss,
            "vae": KLLoss,
            "none": None,
        }
        _checks.option("Gaussian", "losses", name, presets)
        if name == "vae" and not self.variational:
            raise ValueError(f"Gaussian: losses='vae' needs variances. Use Gaussian({self.dim}, variational=True).")
        make = presets[name]
        return [] if make is None else [make()]

    def part(self, projection, name):
        """`"normal"`, the values (the means in a variational space), or `"posterior"`, means and log variances."""
        _checks.option("Gaussian", "part", name, self.parts)
        return projection if name == "posterior" else projection[:, : self.dim]

    def coordinates(self, code):
        """The code itself."""
        return code

    @property
    def is_circular(self):
        """No coordinate is an angle."""
        return (False,) * self.dim

    def sample(self, num_samples, seed=None):
        """Codes drawn from the prior, `(num_samples, dim)`. See `Torus.sample`."""
        num_samples = _checks.positive_int("Gaussian.sample", "num_samples", num_samples)
        seed = keras.random.SeedGenerator(seed) if seed is None or isinstance(seed, int) else seed
        return keras.random.normal((num_samples, self.dim), dtype="float32", seed=seed)

    def distance(self, a, b):
        """The length of the straight line between two batches of codes, `(batch,)`."""
        return _norm(a - b)

    def two_way_windings(self, start, end):
        """One path without windings, `(1, 0)`: the straight line."""
        return ops.zeros((1, 0), dtype="int32")

    def paths(self, start, end, windings, num_steps=12):
        """Straight lines, one for each row of `windings`, whose columns are none."""
        num_steps = _checks.positive_int("Gaussian.paths", "num_steps", num_steps, least=2)
        start = _checks.float_tensor("Gaussian.paths", "start", start, 1, "(dim,)")
        end = _checks.float_tensor("Gaussian.paths", "end", end, 1, "(dim,)")
        t = ops.convert_to_tensor(np.linspace(0, 1, num_steps)[:, None], dtype=start.dtype)
        line = (1 - t) * start + t * end
        return ops.broadcast_to(line[None], (int(windings.shape[0]), num_steps, self.dim))

    def monitor(self, code):
        """Sums of 1, of the values and of their squares, `(3, dim)`."""
        return ops.stack(
            [ops.sum(ops.ones_like(code), axis=0), ops.sum(code, axis=0), ops.sum(ops.square(code), axis=0)]
        )

    def read_monitor(self, total):
        """`{"mean": largest |mean|, "stddev": deviation furthest from 1}` over everything counted."""
        count = ops.maximum(total[0], 1.0)
        mean = total[1] / count
        stddev = ops.sqrt(ops.relu(total[2] / count - ops.square(mean)))
        return {"mean": ops.max(ops.abs(mean)), "stddev": ops.take(stddev, ops.argmax(ops.abs(stddev - 1)))}

    def get_config(self):
        """Returns the constructor's arguments."""
        return {"dim": self.dim, "variational": self.variational}


def product(first: Space, second: Space) -> Space:
    """The product of two spaces; of two of one family, where that is one of them again, the larger one."""
    factors: list[Space] = []
    for space in (first, second):
        if not isinstance(space, Space):
            raise TypeError(f"Space: only spaces can be multiplied, as in Torus(3) * Gaussian(4). Received: {space!r}.")
        for factor in space.factors if isinstance(space, Product) else [space]:
            same = [other for other in factors if type(other) is type(factor)]
            if not same:
                factors.append(factor)
                continue
            (other,) = same
            config, merged = factor.get_config(), other.get_config()
            merged["dim"] = config["dim"] = merged.get("dim", 0) + config.get("dim", 0)
            if merged != config or not merged["dim"]:
                raise ValueError(f"Space: {other!r} and {factor!r} can't be multiplied: they differ in more than dim.")
            factors[factors.index(other)] = type(other).from_config(merged)
    return factors[0] if len(factors) == 1 else Product(factors)


@keras.saving.register_keras_serializable(package="torusae")
class Product(Space):
    """A product of spaces, as `Torus(3) * Gaussian(4)` makes it: codes, coordinates and losses side by side.

    Distances add up as in a right triangle; paths go along every factor's own.

    Args:
        factors: Spaces of different families.

    Raises:
        TypeError: If a factor is not a space.
        ValueError: If there are fewer than two factors, or two of one family.

    Example:

    >>> import torusae
    >>> space = torusae.Torus(3) * torusae.Gaussian(4)
    >>> space, space.code_size
    (Torus(3) * Gaussian(4), 10)

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, section 5.
    """

    default_losses = "default"

    def __init__(self, factors: Sequence[Space]):
        self.factors = list(factors)
        for factor in self.factors:
            if not isinstance(factor, Space):
                raise TypeError(f"Product: `factors` must be spaces. Received: {factor!r}.")
        families = [type(factor).__name__ for factor in self.factors]
        if len(set(families)) < len(families) or len(families) < 2:
            raise ValueError(
                f"Product: `factors` must be two or more spaces of different families. Received: {families}."
            )
        self.maps = tuple(
            (f"{family.lower()}_{name}", size)
            for family, factor in zip(families, self.factors, strict=True)
            for name, size in factor.maps
        )
        self.parts = tuple(part for factor in self.factors for part in factor.parts)
        self.is_stochastic = any(factor.is_stochastic for factor in self.factors)
        self.monitor_shape = (sum(math.prod(factor.monitor_shape) for factor in self.factors),)

    def __repr__(self) -> str:
        return " * ".join(map(repr, self.factors))

    @property
    def code_size(self):
        """The sum of the factors'."""
        return sum(factor.code_size for factor in self.factors)

    def _split(self, values: Tensor, sizes: list[int]) -> list[Tensor]:
        ends = np.cumsum(sizes).tolist()
        return [values[..., end - size : end] for size, end in zip(sizes, ends, strict=True)]

    def codes(self, code: Tensor) -> list[Tensor]:
        """The factors' codes."""
        return self._split(code, [factor.code_size for factor in self.factors])

    def code(self, projection, seed=None):
        """The factors' codes side by side."""
        projections = self._split(projection, [factor.projection_size for factor in self.factors])
        codes = [factor.code(part, seed) for factor, part in zip(self.factors, projections, strict=True)]
        return ops.concatenate(codes, axis=-1)

    def preset(self, name):
        """`"default"`, each factor's own, `"none"`, or any factor's preset, with their own for the others."""
        if name in ("default", "none"):
            names = [factor.default_losses if name == "default" else "none" for factor in self.factors]
        else:
            knows = [_knows_preset(factor, name) for factor in self.factors]
            if not any(knows):
                options = ["default", "none", "uniform", "paper", "cwae", "wae", "swae", "gae", "vae"]
                _checks.option("Product", "losses", name, [option for option in options if option != name])
            names = [
                name if known else factor.default_losses for factor, known in zip(self.factors, knows, strict=True)
            ]
        return [loss for factor, own in zip(self.factors, names, strict=True) for loss in factor.preset(own)]

    def part(self, projection, name):
        """A part of the factor that has it."""
        _checks.option("Product", "part", name, self.parts)
        projections = self._split(projection, [factor.projection_size for factor in self.factors])
        for factor, own in zip(self.factors, projections, strict=True):
            if name in factor.parts:
                return factor.part(own, name)
        raise AssertionError(name)

    def coordinates(self, code):
        """The factors' coordinates side by side."""
        parts = [factor.coordinates(own) for factor, own in zip(self.factors, self.codes(code), strict=True)]
        return ops.concatenate(parts, axis=-1)

    @property
    def is_circular(self):
        """The factors' side by side."""
        return tuple(circular for factor in self.factors for circular in factor.is_circular)

    def sample(self, num_samples, seed=None):
        """Codes drawn from the prior, `(num_samples, code_size)`. See `Torus.sample`."""
        seed = keras.random.SeedGenerator(seed) if seed is None or isinstance(seed, int) else seed
        return ops.concatenate([factor.sample(num_samples, seed) for factor in self.factors], axis=-1)

    def distance(self, a, b):
        """The root of the sum of the factors' squared distances, `(batch,)`."""
        pairs = zip(self.factors, self.codes(a), self.codes(b), strict=True)
        return _norm(ops.stack([factor.distance(x, y) for factor, x, y in pairs], axis=-1))

    def two_way_windings(self, start, end):
        """Every way of one factor with every way of the others, a column for each circle."""
        rows = np.zeros((1, 0), "int32")
        for factor, first, last in zip(self.factors, self.codes(start), self.codes(end), strict=True):
            own = ops.convert_to_numpy(factor.two_way_windings(first, last))
            rows = np.concatenate([np.repeat(rows, len(own), axis=0), np.tile(own, (len(rows), 1))], axis=1)
        return ops.convert_to_tensor(rows)

    def paths(self, start, end, windings, num_steps=12):
        """Paths that go along every factor's own at once; `windings` has a column for each circle."""
        windings = ops.convert_to_numpy(windings)
        columns, paths = 0, []
        for factor, first, last in zip(self.factors, self.codes(start), self.codes(end), strict=True):
            width = sum(factor.is_circular)
            paths.append(factor.paths(first, last, windings[:, columns : columns + width], num_steps))
            columns += width
        if windings.ndim != 2 or windings.shape[1] != columns:
            raise ValueError(
                f"Product.paths: `windings` must have shape (num_paths, {columns}), a column for each circle. "
                f"Received: windings.shape={windings.shape}."
            )
        return ops.concatenate(paths, axis=-1)

    def monitor(self, code):
        """The factors' numbers in one row."""
        parts = [factor.monitor(own) for factor, own in zip(self.factors, self.codes(code), strict=True)]
        return ops.concatenate([ops.reshape(ops.cast(part, "float32"), (-1,)) for part in parts])

    def read_monitor(self, total):
        """The factors' statistics together."""
        sizes = [math.prod(factor.monitor_shape) for factor in self.factors]
        parts = zip(self.factors, self._split(total, sizes), strict=True)
        return {
            name: value
            for factor, part in parts
            for name, value in factor.read_monitor(ops.reshape(part, factor.monitor_shape)).items()
        }

    def get_config(self):
        """Returns the constructor's arguments."""
        return {"factors": [keras.saving.serialize_keras_object(factor) for factor in self.factors]}

    @classmethod
    def from_config(cls, config):
        """Returns the space that `get_config` describes."""
        return cls([keras.saving.deserialize_keras_object(factor) for factor in config["factors"]])


def _knows_preset(space: Space, name: str) -> bool:
    try:
        space.preset(name)
    except ValueError:
        return False
    return True
