"""The methods that all densities share: checks, likelihood, state and serialization."""

import abc
from typing import Any, ClassVar, Self

import numpy as np

from torusae._internal import checks
from torusae._internal.arrays import blocks, cartesian, float_array, polar, random_rows
from torusae._internal.configs import Configured


class Density(Configured, abc.ABC):
    """Base of densities that are fitted to points of a latent space.

    A subclass keeps its constructor's arguments in attributes of their names, which make its config, and names its
    fitted arrays in `_state`. It implements `_summary`, `_num_columns`, `_fit`, `_sample` and `_log_density`.
    """

    _state: ClassVar[dict[str, tuple[str | int, ...]]]
    """The name of every fitted array, with its axes: axes of the same name have the same size."""
    _dtype = "float64"
    """Of these arrays in a file."""
    _block = 1 << 13
    """Rows at a time: bounds the memory."""

    _layout = "all values of a point"
    _columns, _multiple = "columns", 1
    """In place of a number of columns that is not known before a fit: its name, and what divides it."""
    _advice = "Give what TorusAutoencoder.encode(x) returns."
    is_fitted = False
    """Whether `fit` or `set_state` was called."""

    seed: int | None
    max_points: int
    points: np.ndarray  # (num, point_size)

    def fit(self, points: Any) -> Self:
        """Fits the density to points, in place of an earlier fit, and returns it.

        Args:
            points: Float array `(num, point_size)`, for example what `TorusAutoencoder.encode` returns.

        Raises:
            ValueError: If `points` have another shape, are not finite, or are too few.
        """
        points = self._checked("fit", points)
        least, advice = self._least_points()
        if len(points) < least:
            raise ValueError(
                f"{type(self).__name__}.fit: `points` must hold at least {least} points. Received: {len(points)}. "
                f"{advice}"
            )
        self._fit(points)
        self._prepare()
        self.is_fitted = True
        return self

    def sample(self, num_samples: int, seed: Any = None) -> np.ndarray:
        """Draws points, a float32 array `(num_samples, point_size)`.

        Args:
            num_samples: Integer.
            seed: Integer, NumPy generator or `keras.random.SeedGenerator`. The same integer gives the same points.
                Defaults to `None`, a random seed.
        """
        self._check_fitted("sample")
        owner = f"{type(self).__name__}.sample"
        num_samples = checks.positive_int(owner, "num_samples", num_samples)
        return self._sample(num_samples, checks.generator(owner, seed)).astype("float32")

    def log_density(self, points: Any) -> np.ndarray:
        """The logarithm of the density at points `(num, point_size)`: float64 `(num,)`, nats."""
        self._check_fitted("log_density")
        points = self._checked("log_density", points)
        return np.concatenate([self._log_density(points[rows]) for rows in blocks(len(points), self._block)])

    def log_likelihood(self, points: Any) -> float:
        """The mean of `log_density` over points, best those that `fit` did not see. Larger is better."""
        return float(self.log_density(points).mean())

    def state(self) -> dict[str, np.ndarray]:
        """Returns copies of the fitted arrays by name, for a weights file. The dict is empty before `fit`."""
        if not self.is_fitted:
            return {}
        return {name: np.array(getattr(self, name), self._dtype) for name in self._state}

    def set_state(self, state: dict[str, Any]) -> None:
        """Sets the fitted arrays, a dict as `state` of a fitted density returned it.

        Raises:
            ValueError: If arrays are missing, hold NaN or infinity, or do not fit one another or the space.
        """
        owner = f"{type(self).__name__}.set_state"
        advice = f"Give what state() of a fitted {type(self).__name__} returned."
        if set(state) != set(self._state):
            raise ValueError(
                f"{owner}: `state` must hold the arrays {sorted(self._state)}. Received: {sorted(state)}. {advice}"
            )
        arrays = {name: np.array(state[name], "float64") for name in self._state}
        columns = self._num_columns(fitting=True)
        sizes: dict[str | int, int] = {} if columns is None else {self._columns: columns}
        for name, array in arrays.items():
            axes = self._state[name]
            for axis, size in zip(axes, array.shape, strict=False):
                sizes.setdefault(axis, axis if isinstance(axis, int) else size)
                if axis == "dim":
                    sizes.setdefault("2 * dim", 2 * size)
            if array.shape != tuple(sizes.get(axis) for axis in axes) or 0 in array.shape:
                raise ValueError(
                    f"{owner}: `state` must hold arrays that fit one another, {name!r} of shape "
                    f"({', '.join(map(str, axes))}) with {sizes}. Received: shape={array.shape}. {advice}"
                )
            checks.finite_array(owner, f"state[{name!r}]", array)
        vars(self).update(arrays)
        self._prepare()
        self.is_fitted = True

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._summary() if self.is_fitted else 'not fitted'})"

    @abc.abstractmethod
    def _summary(self) -> str:
        """What `repr` says of a fitted density."""

    @abc.abstractmethod
    def _num_columns(self, fitting: bool) -> int | None:
        """The columns that points must have. `None` allows any multiple of `_multiple`."""

    def _least_points(self) -> tuple[int, str]:
        """The least number of points to fit, and advice for fewer."""
        return 1, ""

    def _fit(self, points: np.ndarray) -> None:
        """Sets the arrays of `_state`. Here: at most `max_points` points, rounded to the float32 that a file holds."""
        kept = random_rows(len(points), self.max_points, checks.generator(f"{type(self).__name__}.fit", self.seed))
        self.points = points[kept].astype("float32").astype("float64")

    def _prepare(self) -> None:
        """Sets what follows from the arrays of `_state`. Here: nothing."""

    @abc.abstractmethod
    def _sample(self, num_samples: int, rng: np.random.Generator) -> np.ndarray:
        """Points `(num_samples, point_size)`, drawn with `rng` alone."""

    def _log_density(self, points: np.ndarray) -> np.ndarray:
        """The log density of checked points, `(num,)`."""
        name = type(self).__name__
        raise NotImplementedError(
            f"{name}: a Density must define `_log_density(points)`, or `log_density` if it can only sample."
        )

    def _check_fitted(self, method: str) -> None:
        if not self.is_fitted:
            raise ValueError(f"{type(self).__name__}.{method}: nothing is fitted yet. Call fit(points) first.")

    def _checked(self, method: str, points: Any) -> np.ndarray:
        """Points as float64, checked."""
        owner = f"{type(self).__name__}.{method}"
        columns = self._num_columns(fitting=method == "fit")
        layout = f"(num, {columns or self._columns}), {self._layout}"
        points = float_array(owner, "points", points, 2, layout)
        if points.shape[1] % self._multiple if columns is None else points.shape[1] != columns:
            raise ValueError(
                f"{owner}: `points` must have shape {layout}. Received: points.shape={points.shape}. {self._advice}"
            )
        return points


class TorusDensity(Density):
    """Base of densities on a torus. A density is one of angles: `log_density` ignores radii, `sample` draws them too.

    `log_density` integrates to 1 over `[-π, π)^dim`. Its mean for uniform angles is `-dim log 2π`.
    """

    _layout = "all x values first, then all y values"
    _columns, _multiple = "2 * dim", 2
    _advice = "Give what TorusAutoencoder.encode(x) returns, or torusae.to_cartesian(radii, angles)."
    dim: int | None = None
    """The number of circles, `None` before `fit`."""

    def _num_columns(self, fitting):
        return None if fitting or self.dim is None else 2 * self.dim


def optional_seed(owner: str, seed: Any) -> int | None:
    """Returns a seed as an integer of at least 0, or `None`."""
    return checks.optional_int(owner, "seed", seed, least=0, most=None)


def directions(points: np.ndarray) -> np.ndarray:
    """The points of a torus with all radii set to 1: all cosines first, then all sines."""
    return cartesian(np.ones(1), polar(points)[1])
