"""The contract of a latent space, and products of spaces. `docs/architecture.md` shows how to add a space."""

import abc
import functools
import inspect
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from torusae._internal import checks
from torusae._internal.checks import Tensor
from torusae._internal.configs import Configured
from torusae._internal.tensors import constant
from torusae._internal.vectors import length
from torusae.angles import angle_difference
from torusae.spaces.terms import Term

MAX_PATHS = 1 << 16
# Sizes that a space need not set, and those that they are equal to.
_SIZES = {"decoder_input_size": "point_size", "head_input_size": "decoder_input_size", "step_size": "action_size"}


class _Contract(abc.ABCMeta):
    """Checks a space when it is made, so that a missing member is named before the first training step."""

    @property
    def __signature__(cls) -> inspect.Signature:
        # Without it, `help` and editors show the arguments of `__call__`.
        return inspect.signature(functools.partial(cls.__init__, None))  # type: ignore[misc]

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        space = super().__call__(*args, **kwargs)
        for name, equal in _SIZES.items():
            if not hasattr(space, name):
                setattr(space, name, getattr(space, equal, None))
        for name in ("raw_size", "point_size", "num_windings", "action_size", "num_angles", *_SIZES):
            checks.positive_int(
                cls.__name__, name, getattr(space, name, None), least=int(name in ("raw_size", "point_size"))
            )
        return space


class Space(Configured, metaclass=_Contract):
    """Base class of latent spaces: geometry, prior, the losses that make points follow it, and what a network reads.

    A space tells three things apart:

    - *raw*: the values of one linear map, `(batch, raw_size)`;
    - *point*: a point of the space, `(batch, point_size)`;
    - *decoder input*: what the decoder reads of a point, `(batch, decoder_input_size)`. It has no seam, and it is equal
      for equal points.

    A subclass defines `raw_size`, `point_size`, `terms`, `sample`, `log_prob`, `distance` and `paths`. All else has a
    default. It keeps each argument of its constructor in an attribute of that name, and is registered with
    `keras.saving.register_keras_serializable`, so that models with it can be saved.

    Example:

    >>> import torusae
    >>> space = torusae.Torus(2)
    >>> space.raw_size, space.point_size, space.decoder_input_size
    (4, 4, 4)
    """

    raw_size: int  # columns of raw values
    point_size: int  # columns of points
    decoder_input_size: int  # what the decoder reads; by default `point_size`
    head_input_size: int  # what a head reads; by default `decoder_input_size`
    views: tuple[str, ...] = ()  # what `view` knows besides "raw" and "point"; a term reads one of them
    presets: tuple[str, ...] = ("none",)  # what `terms` knows; the first is the default
    num_windings: int = 0  # columns of `windings`
    action_size: int = 0  # columns of actions
    step_size: int  # columns of steps; by default `action_size`
    num_angles: int = 0  # columns of angles
    is_stochastic: bool = False  # whether `point` draws random numbers in training

    def __init__(self) -> None:
        """A space without arguments."""

    def __repr__(self) -> str:
        """The call of the constructor, without other arguments than the first that are defaults: `parse` reads it."""
        values = {each: getattr(self, each.name) for each in inspect.signature(type(self)).parameters.values()}
        parameters = list(values)
        first = [repr(values[each]) for each in parameters[:1]]
        others = [f"{each.name}={values[each]!r}" for each in parameters[1:] if values[each] != each.default]
        return f"{type(self).__name__}({', '.join([*first, *others])})"

    def point(self, raw: Tensor, seed: keras.random.SeedGenerator | None = None) -> Tensor:
        """Points of raw values, `(batch, point_size)`. With a seed, as in training, a stochastic space draws them."""
        return raw

    def decoder_input(self, point: Tensor) -> Tensor:
        """What the decoder reads of points, `(batch, decoder_input_size)`."""
        return point

    def head_input(self, point: Tensor) -> Tensor:
        """What a head reads of points, `(batch, head_input_size)`."""
        return self.decoder_input(point)

    @abc.abstractmethod
    def terms(self, preset: str) -> list[Term]:
        """The terms of a preset. `"none"` is never asked for."""

    def view(self, name: str, raw: Tensor, point: Tensor) -> Tensor:
        """What a term reads, `(batch, columns)`: `"raw"`, `"point"` or one of `views`."""
        checks.option(type(self).__name__, "view", name, ("raw", "point", *self.views))
        return raw if name == "raw" else point

    @abc.abstractmethod
    def sample(self, num_samples: int, seed: int | keras.random.SeedGenerator | None = None) -> Tensor:
        """Points drawn from the prior, `(num_samples, point_size)`."""

    @abc.abstractmethod
    def log_prob(self, point: Tensor) -> Tensor:
        """The log density of the prior at points, `(batch,)`, nats, with respect to the measure that `move` keeps."""

    @abc.abstractmethod
    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """The geodesic distance between points, `(batch,)`."""

    @abc.abstractmethod
    def paths(self, start: Tensor, end: Tensor, windings: Tensor, num_steps: int = 12) -> Tensor:
        """Points along one path per row of `windings`, `(num_paths, num_steps, point_size)`, at even speed.

        `start` and `end` are one point each, `(point_size,)`. Paths begin and end there.
        """

    def windings(self, start: Tensor, end: Tensor) -> Tensor:
        """Names of the paths that a morph shows, the shortest first: integers `(num_paths, num_windings)`."""
        return ops.zeros((1, self.num_windings), dtype="int32")

    def shortest(self, start: Tensor, end: Tensor, t: Tensor) -> Tensor:
        """Points on the shortest paths between rows of `start` and `end`, each at its share `t` of the way, `(batch,)`.

        `t` lies between -1 and 1: with a negative one the path goes on beyond its start, as `PathDensity` asks. By
        default each row is one call of `paths`, with `t` rounded to 1/64, and a negative one counts as 0. Override it
        with a vectorized formula.
        """
        steps = np.rint(64 * np.maximum(ops.convert_to_numpy(t), 0)).astype(int)
        rows = zip(start, end, steps, strict=True)
        return ops.stack([self.paths(a, b, self.windings(a, b)[:1], 65)[0, step] for a, b, step in rows])

    def act(self, point: Tensor, action: Tensor) -> Tensor:
        """Points moved by a symmetry of the space, `(action_size,)` or `(batch, action_size)`. Zeros move nothing."""
        return point

    def move(self, point: Tensor, step: Tensor) -> Tensor:
        """Points moved by steps in all directions of the space, `(step_size,)` or `(batch, step_size)`.

        Zeros move nothing, and small steps move a little. Steps whose distribution is that of their negatives make
        moves from a to b as likely as from b to a: a random walk with them keeps the measure of `log_prob`. By default
        a step is an action of `act`.
        """
        return self.act(point, step)

    def angles(self, point: Tensor) -> Tensor:
        """The angles of points, `(batch, num_angles)`, radians, `[-π, π)`."""
        raise ValueError(f"{self!r} has no angles. Received: a request for angles. Read the points instead.")

    @property
    def angle_actions(self) -> np.ndarray:
        """The actions that turn each angle alone by one radian, `(num_angles, action_size)`; zeros where none does.

        By default entry i of an action turns angle i. Actions that turn an angle have the period 2π.
        """
        return np.eye(self.num_angles, self.action_size)

    def with_angles(self, point: Tensor, angles: Tensor) -> Tensor:
        """Points like `point` whose first angles are `angles`, `(batch, count)`, radians.

        By default `act` turns these angles the shortest way.
        """
        turns = angle_difference(angles, self.angles(point)[:, : angles.shape[1]])
        return self.act(point, turns @ constant(self.angle_actions[: angles.shape[1]], turns))

    def analogy(self, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        """Points d with "a is to b as c is to d", rows: the symmetry that takes a to b takes c to d.

        Only spaces whose symmetries take every point to every other have analogies. By default a ValueError.
        """
        raise ValueError(
            f"{type(self).__name__}.analogy: {self!r} has no analogies: no symmetry of it takes each point to each "
            f"other one. Give the differences to space.act, or use a torus, Gaussian space, sphere or SO3()."
        )

    def __mul__(self, other: "Space") -> "Product":
        """The product of two spaces: their points side by side."""
        return Product([self, other])


@keras.saving.register_keras_serializable(package="torusae")
class Product(Space):
    """A product of spaces, as `Torus(3) * Gaussian(4)` makes it.

    - Raw values, points, what decoders and heads read, windings, actions and steps stand side by side, in the factors'
      order.
    - Views, terms and statistics are named after their factor: `"torus.angles"`, `"gaussian.cramer_wold"`. Factors of
      one kind are numbered: `"sphere_0.uniform"`, `"sphere_1.uniform"`.
    - The squared distance is the sum of the factors' squared distances.

    Presets: `"default"` (each factor's own), `"none"`, and every factor's presets. A factor that does not know a preset
    takes its own default.

    Args:
        factors: Two or more spaces. Factors that are products themselves are taken apart.

    Example:

    >>> import torusae
    >>> space = torusae.Torus(3) * torusae.Gaussian(4)
    >>> [term.name for term in space.terms("default")]
    ['torus.diaphony', 'torus.quantile', 'gaussian.cramer_wold']

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, section 5.
    """

    def __init__(self, factors: Sequence[Space]):
        self.factors: list[Space] = []
        for factor in factors:
            if not isinstance(factor, Space):
                raise TypeError(
                    f"Product: only spaces can be multiplied, as in Torus(3) * Gaussian(4). Received: {factor!r}."
                )
            self.factors.extend(factor.factors if isinstance(factor, Product) else [factor])
        if len(self.factors) < 2:
            raise ValueError(f"Product: `factors` must hold two or more spaces. Received: {self.factors}.")
        self.names = _names([type(factor).__name__.lower() for factor in self.factors])
        named = list(zip(self.names, self.factors, strict=True))
        for size in ("raw_size", "point_size", "num_windings", "action_size", "num_angles", *_SIZES):
            setattr(self, size, sum(getattr(factor, size) for factor in self.factors))
        self.is_stochastic = any(factor.is_stochastic for factor in self.factors)
        self.views = tuple(f"{name}.{view}" for name, factor in named for view in ("raw", "point", *factor.views))
        presets = [preset for factor in self.factors for preset in factor.presets]
        self.presets = ("default", *dict.fromkeys([*presets, "none"]))

    def __repr__(self) -> str:
        return " * ".join(map(repr, self.factors))

    def split(self, values: Tensor, size: str = "point_size") -> list[Tensor]:
        """The columns of each factor. `size` names the factors' attribute with the number of columns."""
        ends = list(itertools.accumulate(getattr(factor, size) for factor in self.factors))
        return [values[..., start:end] for start, end in zip([0, *ends], ends, strict=False)]

    def _joined(self, function: Callable, *values: list[Tensor]) -> Tensor:
        """`function(factor, *columns)` of every factor, side by side. Values are split."""
        return ops.concatenate([function(*each) for each in zip(self.factors, *values, strict=True)], axis=-1)

    def point(self, raw, seed=None):
        """The factors' points side by side."""
        return self._joined(lambda factor, own: factor.point(own, seed), self.split(raw, "raw_size"))

    def decoder_input(self, point):
        """The factors' decoder inputs side by side."""
        return self._joined(lambda factor, own: factor.decoder_input(own), self.split(point))

    def head_input(self, point):
        """What heads read of the factors' points, side by side."""
        return self._joined(lambda factor, own: factor.head_input(own), self.split(point))

    def view(self, name, raw, point):
        """A factor's view by its full name, such as `"torus.angles"`."""
        if name not in self.views:
            return super().view(name, raw, point)
        factor, _, view = name.partition(".")
        index = self.names.index(factor)
        return self.factors[index].view(view, self.split(raw, "raw_size")[index], self.split(point)[index])

    def angles(self, point):
        """The angles of all factors that have angles, side by side."""
        if not self.num_angles:
            return super().angles(point)
        pairs = zip(self.factors, self.split(point), strict=True)
        return ops.concatenate([factor.angles(own) for factor, own in pairs if factor.num_angles], axis=-1)

    def with_angles(self, point, angles):
        """Points whose first factors have some angles. The other factors stay."""
        if not self.num_angles:
            return super().with_angles(point, angles)
        points = []
        for factor, own in zip(self.factors, self.split(point), strict=True):
            count = min(factor.num_angles, angles.shape[1])
            points.append(factor.with_angles(own, angles[:, :count]) if count else own)
            angles = angles[:, count:]
        return ops.concatenate(points, axis=-1)

    def terms(self, preset):
        """The factors' terms, each named after its factor: see the class."""
        checks.option("Product", "preset", preset, self.presets)
        terms = []
        for name, factor in zip(self.names, self.factors, strict=True):
            own = preset if preset in factor.presets else factor.presets[0]
            terms += [
                term.replaced(name=f"{name}.{term.name}", reads=f"{name}.{term.reads}")
                for term in (factor.terms(own) if own != "none" else [])
            ]
        return terms

    def sample(self, num_samples, seed=None):
        """Points drawn from the prior, `(num_samples, point_size)`. See `Torus.sample`."""
        num_samples, seed = draws(self, num_samples, seed)
        return ops.concatenate([factor.sample(num_samples, seed) for factor in self.factors], axis=-1)

    def log_prob(self, point):
        """The sum of the factors' log densities, `(batch,)`: with respect to the product of their measures."""
        pairs = zip(self.factors, self.split(point), strict=True)
        return ops.sum(ops.stack([factor.log_prob(own) for factor, own in pairs], axis=-1), axis=-1)

    def distance(self, a, b):
        """The root of the sum of the factors' squared distances, `(batch,)`."""
        a, b = point_tensors(self, "distance", a=a, b=b)
        own = zip(self.factors, self.split(a), self.split(b), strict=True)
        return length(ops.stack([factor.distance(*pair) for factor, *pair in own], axis=-1))

    def windings(self, start, end):
        """Every path of one factor with every path of the others, `(num_paths, num_windings)`."""
        start, end = point_tensors(self, "windings", rank=1, start=start, end=end)
        own = zip(self.factors, self.split(start), self.split(end), strict=True)
        rows = [ops.convert_to_numpy(factor.windings(*ends)) for factor, *ends in own]
        count = math.prod(map(len, rows))
        if count > MAX_PATHS:
            raise ValueError(
                f"Product.windings: there are {count} paths between two points, more than {MAX_PATHS}. "
                f"Give `windings` of your own: an integer array with one row per path."
            )
        joined = [np.concatenate(choice) for choice in itertools.product(*rows)]
        return ops.convert_to_tensor(np.stack(joined).astype("int32"))

    def paths(self, start, end, windings, num_steps=12):
        """Paths that follow a path of every factor at once. `windings` has shape `(num_paths, num_windings)`."""
        windings, _ = path_rows("Product.paths", windings, self.num_windings, num_steps)
        own = self.split(start), self.split(end), self.split(windings, "num_windings")
        return self._joined(lambda factor, *own: factor.paths(*own, num_steps), *own)

    def shortest(self, start, end, t):
        """The factors' shortest paths side by side."""
        return self._joined(lambda factor, a, b: factor.shortest(a, b, t), self.split(start), self.split(end))

    def act(self, point, action):
        """Points moved by the factors' symmetries; the actions stand side by side."""
        point, action = action_tensors(self, "act", point, action)
        return self._joined(lambda factor, *own: factor.act(*own), self.split(point), self.split(action, "action_size"))

    def move(self, point, step):
        """The factors' moves; the steps stand side by side."""
        point, step = action_tensors(self, "move", point, step)
        return self._joined(lambda factor, *own: factor.move(*own), self.split(point), self.split(step, "step_size"))

    @property
    def angle_actions(self):
        """The factors' actions in blocks along the diagonal."""
        from scipy.linalg import block_diag

        return block_diag(*(factor.angle_actions for factor in self.factors))

    def analogy(self, a, b, c):
        """The factors' analogies side by side. If a factor has none, the product has none."""
        points = point_tensors(self, "analogy", a=a, b=b, c=c)
        return self._joined(lambda factor, *own: factor.analogy(*own), *map(self.split, points))


def _names(families: list[str]) -> list[str]:
    """A name per factor: its family, numbered where a family occurs more than once."""
    return [
        f"{family}_{families[:index].count(family)}" if families.count(family) > 1 else family
        for index, family in enumerate(families)
    ]


def draws(space: Space, num_samples: Any, seed: Any) -> tuple[int, keras.random.SeedGenerator]:
    """The arguments of `sample`, checked: a generator from an integer, `None` (a random seed) or a generator."""
    owner = f"{type(space).__name__}.sample"
    num_samples = checks.positive_int(owner, "num_samples", num_samples)
    if not isinstance(seed, keras.random.SeedGenerator):
        seed = keras.random.SeedGenerator(checks.optional_int(owner, "seed", seed, least=0))
    return num_samples, seed


def point_tensors(space: Space, method: str, rank: int = 2, **points: Tensor) -> list[Tensor]:
    """Points by their names as float tensors of one dtype, after checking that each is `(batch, point_size)`.

    A single row may stand beside many. With `rank` 1, each is one point, `(point_size,)`.
    """
    owner = f"{type(space).__name__}.{method}"
    layout = f"({space.point_size},)" if rank == 1 else f"(batch, {space.point_size})"
    tensors = [checks.float_tensor(owner, name, each, rank, layout) for name, each in points.items()]
    shapes = {name: tuple(each.shape) for name, each in zip(points, tensors, strict=True)}
    counts = {count for *rows, _ in shapes.values() for count in rows} - {1, None}
    if {shape[-1] for shape in shapes.values()} != {space.point_size} or len(counts) > 1:
        raise ValueError(f"{owner}: points must have the shape {layout}, one for all. Received: shapes {shapes}.")
    dtype = "float64" if "float64" in {keras.backend.standardize_dtype(each.dtype) for each in tensors} else "float32"
    return [ops.cast(each, dtype) for each in tensors]


def action_tensors(space: Space, method: str, point: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
    """Points, and an action of `act` or a step of `move`, `(size,)` or `(batch, size)`, as tensors of one dtype."""
    name, size = ("action", space.action_size) if method == "act" else ("step", space.step_size)
    point = ops.convert_to_tensor(point)
    action = ops.convert_to_tensor(action, dtype=point.dtype)
    if len(action.shape) not in (1, 2) or action.shape[-1] != size:
        raise ValueError(
            f"{type(space).__name__}.{method}: `{name}` must have shape ({size},) or (batch, {size}). "
            f"Received: shape={tuple(action.shape)}."
        )
    return point, action


def uniform_log_prob(point: Tensor, volume: float) -> Tensor:
    """The log density of a uniform prior on a space of this volume, `(batch,)`."""
    return ops.zeros_like(point[:, 0]) - math.log(volume)


def path_rows(owner: str, windings: Any, columns: int, num_steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Checked windings `(num_paths, columns)`, integers, and the shares of the way of each step, `(1, num_steps)`."""
    windings = np.asarray(ops.convert_to_numpy(windings) if ops.is_tensor(windings) else windings)
    if windings.ndim != 2 or windings.shape[1] != columns or windings.dtype.kind not in "iu":
        raise ValueError(
            f"{owner}: `windings` must be integers of shape (num_paths, {columns}). Received: "
            f"windings.shape={windings.shape}, dtype={windings.dtype}."
        )
    num_steps = checks.positive_int(owner, "num_steps", num_steps, least=2)
    return windings, np.linspace(0, 1, num_steps)[None]
