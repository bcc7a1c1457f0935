"""The contract of a latent space. `docs/architecture.md` shows how to add a space."""

import abc
import functools
import inspect
from typing import Any

import keras
import numpy as np
from keras import ops

from torusae._internal import checks
from torusae._internal.checks import Tensor
from torusae.losses import LatentLoss

MAX_PATHS = 1 << 16


@keras.saving.register_keras_serializable(package="torusae")
class Term:
    """One loss of a latent space: what it is called, what it reads, and its weight.

    Args:
        loss: `LatentLoss`.
        weight: Float, not negative. Defaults to `None`, the loss's `default_weight`.
        reads: String, `"raw"`, `"point"`, or one of the space's `views`. Defaults to `None`, what the loss reads.
        name: String, the name in logs. Defaults to `None`, the loss's name.
        relative: Boolean. `True`: the weight is relative to the gradient that arrives at the point (see `Latent`).
            `False`: `weight * loss` is added to the model's loss, as in a variational bound. Defaults to `True`.

    Example:

    >>> import torusae
    >>> torusae.Term(torusae.SpringLoss(), weight=2.0)
    Term('spring', reads='angles', weight=2)
    """

    def __init__(
        self,
        loss: LatentLoss,
        weight: float | None = None,
        reads: str | None = None,
        name: str | None = None,
        relative: bool = True,
    ):
        if not isinstance(loss, LatentLoss):
            raise TypeError(
                f"Term: `loss` must be a LatentLoss such as SpringLoss(). Received: loss={loss!r}. "
                f"Derive a loss of your own from torusae.LatentLoss."
            )
        self.loss = loss
        self.weight = checks.positive_float(
            "Term", "weight", loss.default_weight if weight is None else weight, zero_allowed=True
        )
        self.reads = loss.reads if reads is None else reads
        self.name = loss.name if name is None else name
        self.relative = bool(relative)

    def __repr__(self) -> str:
        return f"Term({self.name!r}, reads={self.reads!r}, weight={self.weight:.4g})"

    def replaced(self, **changes: Any) -> "Term":
        """A copy with some arguments replaced."""
        arguments = {name: getattr(self, name) for name in ("loss", "weight", "reads", "name", "relative")}
        return Term(**{**arguments, **changes})

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "loss": keras.saving.serialize_keras_object(self.loss),
            "weight": self.weight,
            "reads": self.reads,
            "name": self.name,
            "relative": self.relative,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Term":
        """Returns the term that `get_config` describes."""
        return cls(**{**config, "loss": keras.saving.deserialize_keras_object(config["loss"])})


class _Contract(abc.ABCMeta):
    """Checks a space when it is made, so that a missing part is named before the first training step."""

    @property
    def __signature__(cls) -> inspect.Signature:
        # Without it, `help` and editors show the arguments of `__call__`.
        return inspect.signature(functools.partial(cls.__init__, None))  # type: ignore[misc]

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        missing = sorted(cls.__abstractmethods__)
        if missing and cls.__name__ != "Space":
            raise TypeError(_missing(cls, missing))
        space = super().__call__(*args, **kwargs)
        missing = [name for name in ("raw_size", "point_size") if not hasattr(space, name)]
        if missing:
            raise TypeError(_missing(cls, missing))
        for name in ("raw_size", "point_size", "decoder_input_size", "num_windings", "action_size", "num_angles"):
            checks.positive_int(cls.__name__, name, getattr(space, name), least=int(name in ("raw_size", "point_size")))
        return space


def _missing(cls: type, names: list[str]) -> str:
    return (
        f"{cls.__name__}: a Space must define {', '.join(f'`{name}`' for name in names)}. "
        f"docs/architecture.md lists the contract of a space."
    )


class Space(metaclass=_Contract):
    """Base class of latent spaces. Layers, models, densities and plots ask the space; they never ask its type.

    A space tells three things apart:

    - *raw*: the values of one linear map, `(batch, raw_size)`;
    - *point*: a point of the space, `(batch, point_size)`;
    - *decoder input*: what the decoder reads of a point, `(batch, decoder_input_size)`. It has no seam, and it is equal
      for equal points.

    A subclass defines `raw_size`, `point_size`, `terms`, `sample`, `distance`, `paths` and `get_config`. All else has a
    default. Register it with `keras.saving.register_keras_serializable`, so that models with it can be saved.

    Example:

    >>> import torusae
    >>> space = torusae.Torus(2)
    >>> space.raw_size, space.point_size, space.decoder_input_size
    (4, 4, 4)
    """

    raw_size: int  # columns of raw values
    point_size: int  # columns of points
    views: tuple[str, ...] = ()  # what `view` knows besides "raw" and "point"; a term reads one of them
    presets: tuple[str, ...] = ("none",)  # what `terms` knows; the first is the default
    num_windings: int = 0  # columns of `windings`
    action_size: int = 0  # columns of actions
    num_angles: int = 0  # columns of angles
    is_stochastic: bool = False  # whether `point` draws random numbers in training

    @property
    def decoder_input_size(self) -> int:
        """The number of values that the decoder reads."""
        return self.point_size

    @property
    def head_input_size(self) -> int:
        """The number of values that a head reads."""
        return self.head_input(keras.KerasTensor((None, self.point_size), dtype="float32")).shape[1]

    def point(self, raw: Tensor, seed: keras.random.SeedGenerator | None = None) -> Tensor:
        """Points of raw values, `(batch, point_size)`. With a seed, as in training, a stochastic space draws them."""
        return raw

    def decoder_input(self, point: Tensor) -> Tensor:
        """What the decoder reads of points, `(batch, decoder_input_size)`."""
        return point

    def head_input(self, point: Tensor) -> Tensor:
        """What a head reads of points, `(batch, head_input_size)`."""
        return self.decoder_input(point)

    def view(self, name: str, raw: Tensor, point: Tensor) -> Tensor:
        """What a term reads, `(batch, columns)`: `"raw"`, `"point"` or one of `views`."""
        checks.option(type(self).__name__, "view", name, ("raw", "point", *self.views))
        return raw if name == "raw" else point

    def angles(self, point: Tensor) -> Tensor:
        """The angles of points, `(batch, num_angles)`, radians, `[-π, π)`."""
        raise ValueError(f"{self!r} has no angles. Received: a request for angles. Read the points instead.")

    def with_angles(self, point: Tensor, angles: Tensor) -> Tensor:
        """Points like `point` whose first angles are `angles`, `(batch, count)`: see `initialize_at_circles`."""
        raise ValueError(f"{self!r} has no angles that can be set. Received: a request for points at angles.")

    @abc.abstractmethod
    def terms(self, preset: str) -> list[Term]:
        """The terms of a preset. `"none"` is never asked for."""

    @abc.abstractmethod
    def sample(self, num_samples: int, seed: int | keras.random.SeedGenerator | None = None) -> Tensor:
        """Points drawn from the prior, `(num_samples, point_size)`."""

    @abc.abstractmethod
    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """The geodesic distance between points, `(batch,)`."""

    @abc.abstractmethod
    def paths(self, start: Tensor, end: Tensor, windings: Tensor, num_steps: int = 12) -> Tensor:
        """Points along one path per row of `windings`, `(num_paths, num_steps, point_size)`.

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

    @property
    def angle_actions(self) -> np.ndarray:
        """The actions that turn each angle alone by one radian, `(num_angles, action_size)`; zeros where none does.

        By default entry i of an action turns angle i. Actions that turn an angle have the period 2π.
        """
        return np.eye(self.num_angles, self.action_size)

    def analogy(self, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        """Points d with "a is to b as c is to d", rows: the symmetry that takes a to b takes c to d.

        Only spaces whose symmetries take every point to every other have analogies.
        """
        raise ValueError(
            f"{type(self).__name__}.analogy: {self!r} has no analogies: no symmetry of it takes each point to each "
            f"other one. Give the differences to space.act, or use a torus, Gaussian space, sphere or SO3()."
        )

    def __mul__(self, other: "Space") -> "Space":
        """The product of two spaces: their points side by side."""
        from torusae.spaces.product import Product

        return Product([self, other])

    @abc.abstractmethod
    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Space":
        """Returns the space that `get_config` describes."""
        return cls(**config)


def seed_generator(seed: int | keras.random.SeedGenerator | None) -> keras.random.SeedGenerator:
    """A generator from an integer, `None` (a random seed) or a generator."""
    if seed is None or isinstance(seed, keras.random.SeedGenerator):
        return keras.random.SeedGenerator() if seed is None else seed
    return keras.random.SeedGenerator(checks.positive_int("sample", "seed", seed, least=0))


def rows_of_points(space: Space, owner: str, **points: Tensor) -> list[Tensor]:
    """Points by their names as float tensors of one dtype, after checking that each is `(batch, point_size)`."""
    layout = f"(batch, {space.point_size})"
    owner = f"{type(space).__name__}.{owner}"
    rows = [checks.float_tensor(owner, name, each, 2, layout) for name, each in points.items()]
    shapes = {name: tuple(each.shape) for name, each in zip(points, rows, strict=True)}
    first = next(iter(shapes.values()))
    if first[1] != space.point_size or any(shape != first for shape in shapes.values()):
        raise ValueError(f"{owner}: points must have the shape {layout}, one for all. Received: shapes {shapes}.")
    dtype = "float64" if "float64" in {keras.backend.standardize_dtype(each.dtype) for each in rows} else "float32"
    return [ops.cast(each, dtype) for each in rows]


def check_path_count(owner: str, count: int) -> None:
    """Raises if there are more than 2**16 paths."""
    if count > MAX_PATHS:
        raise ValueError(
            f"{owner}: there are {count} paths between two points, more than {MAX_PATHS}. "
            f"Give `windings` of your own: an integer array with one row per path."
        )
