"""Products of spaces: points side by side, everything else kept apart by the factor's name."""

import itertools
import math
from collections import Counter
from collections.abc import Callable, Sequence

import keras
import numpy as np
from keras import ops

from torusae._internal import checks
from torusae._internal.checks import Tensor
from torusae._internal.vectors import length
from torusae.spaces.base import Space, check_path_count, rows_of_points, seed_generator


@keras.saving.register_keras_serializable(package="torusae")
class Product(Space):
    """A product of spaces, as `Torus(3) * Gaussian(4)` makes it.

    - Raw values, points, what decoders and heads read, windings and actions stand side by side, in the factors' order.
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
        self.raw_size = sum(factor.raw_size for factor in self.factors)
        self.point_size = sum(factor.point_size for factor in self.factors)
        self.num_windings = sum(factor.num_windings for factor in self.factors)
        self.action_size = sum(factor.action_size for factor in self.factors)
        self.num_angles = sum(factor.num_angles for factor in self.factors)
        self.is_stochastic = any(factor.is_stochastic for factor in self.factors)
        self.views = tuple(f"{name}.{view}" for name, factor in named for view in ("raw", "point", *factor.views))
        presets = [preset for factor in self.factors for preset in factor.presets]
        self.presets = ("default", *dict.fromkeys([*presets, "none"]))

    def __repr__(self) -> str:
        return " * ".join(map(repr, self.factors))

    @property
    def decoder_input_size(self):
        """The sum of the factors' sizes."""
        return sum(factor.decoder_input_size for factor in self.factors)

    def split(self, values: Tensor, size: str = "point_size") -> list[Tensor]:
        """The columns of each factor. `size` names the factors' attribute with the number of columns."""
        ends = list(itertools.accumulate(getattr(factor, size) for factor in self.factors))
        return [values[..., start:end] for start, end in zip([0, *ends], ends, strict=False)]

    def _checked_split(self, owner: str, points: Tensor) -> list[Tensor]:
        points = checks.float_tensor(f"Product.{owner}", "points", points)
        if len(points.shape) == 0 or points.shape[-1] != self.point_size:
            raise ValueError(
                f"Product.{owner}: points must have {self.point_size} columns. Received: shape={tuple(points.shape)}."
            )
        return self.split(points)

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
        checks.option("Product", "view", name, ("raw", "point", *self.views))
        if name in ("raw", "point"):
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
        seed = seed_generator(seed)
        return ops.concatenate([factor.sample(num_samples, seed) for factor in self.factors], axis=-1)

    def distance(self, a, b):
        """The root of the sum of the factors' squared distances, `(batch,)`."""
        pairs = zip(self.factors, self._checked_split("distance", a), self._checked_split("distance", b), strict=True)
        return length(ops.stack([factor.distance(x, y) for factor, x, y in pairs], axis=-1))

    def windings(self, start, end):
        """Every path of one factor with every path of the others, `(num_paths, num_windings)`."""
        ends = zip(self.factors, *(self._checked_split("windings", each) for each in (start, end)), strict=True)
        rows = [ops.convert_to_numpy(factor.windings(first, last)) for factor, first, last in ends]
        check_path_count("Product.windings", math.prod(map(len, rows)))
        joined = [np.concatenate(choice) for choice in itertools.product(*rows)]
        return ops.convert_to_tensor(np.stack(joined).astype("int32"))

    def paths(self, start, end, windings, num_steps=12):
        """Paths that follow a path of every factor at once. `windings` has shape `(num_paths, num_windings)`."""
        windings = ops.convert_to_numpy(windings)
        if windings.ndim != 2 or windings.shape[1] != self.num_windings:
            raise ValueError(
                f"Product.paths: `windings` must have shape (num_paths, {self.num_windings}). "
                f"Received: windings.shape={windings.shape}."
            )
        own = self.split(start), self.split(end), self.split(windings, "num_windings")
        return self._joined(lambda factor, *own: factor.paths(*own, num_steps), *own)

    def shortest(self, start, end, t):
        """The factors' shortest paths side by side."""
        return self._joined(lambda factor, a, b: factor.shortest(a, b, t), self.split(start), self.split(end))

    def act(self, point, action):
        """Points moved by the factors' symmetries; the actions stand side by side."""
        return self._joined(lambda factor, *own: factor.act(*own), self.split(point), self.split(action, "action_size"))

    @property
    def angle_actions(self):
        """The factors' actions in blocks along the diagonal."""
        blocks = [factor.angle_actions for factor in self.factors]
        actions, (row, column) = np.zeros(np.sum([block.shape for block in blocks], axis=0)), (0, 0)
        for block in blocks:
            actions[row : row + block.shape[0], column : column + block.shape[1]] = block
            row, column = row + block.shape[0], column + block.shape[1]
        return actions

    def analogy(self, a, b, c):
        """The factors' analogies side by side. If a factor has none, the product has none."""
        points = rows_of_points(self, "analogy", a=a, b=b, c=c)
        return self._joined(lambda factor, *own: factor.analogy(*own), *map(self.split, points))

    def get_config(self):
        return {"factors": [keras.saving.serialize_keras_object(factor) for factor in self.factors]}

    @classmethod
    def from_config(cls, config):
        return cls([keras.saving.deserialize_keras_object(factor) for factor in config["factors"]])


def _names(families: list[str]) -> list[str]:
    """A name per factor: its family, numbered where a family occurs more than once."""
    counts, seen = Counter(families), Counter[str]()
    names = []
    for family in families:
        names.append(f"{family}_{seen[family]}" if counts[family] > 1 else family)
        seen[family] += 1
    return names
