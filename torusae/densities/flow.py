"""A normalizing flow on the torus: a density that is also a map onto the uniform torus."""

import itertools
import math
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from torusae._internal import checks
from torusae._internal.arrays import cartesian, polar
from torusae._internal.checks import Tensor
from torusae.densities import _splines
from torusae.densities.base import TorusDensity, directions, optional_seed

_HELD_OUT = 0.1
_LEAST_HELD_OUT = 500  # where they are at most a quarter of the points
_RATE = 0.02  # of Adam at the start, with cosine decay to 0; for more units smaller in proportion
_UNITS = 64
_MANY_UNITS = 128  # for more than four circles
_PATIENCE = 2  # epochs without progress; then the fit goes back to the best weights
_DECAY = 600  # of the weights, divided by the number of points
_BACKOFF = 0.3  # and lowers the rate by this factor,
_LEAST_BACKOFF = 0.005  # until this is left
_BATCHES = (64, 1024)  # least and largest batch, powers of 2
_STEPS = 50  # least number of steps in an epoch
_LEAST_POINTS = 10
_BLOCK = 1 << 11  # rows at a time: bounds the memory
_WEIGHTS = ("kernel_1", "bias_1", "kernel_2", "bias_2", "kernel_3", "bias_3")


@keras.saving.register_keras_serializable(package="torusae")
class TorusFlow(TorusDensity):
    """A density on a torus that is also a map onto the uniform torus: a triangular flow of circular splines.

    Each angle goes through its distribution function given the angles before it, a monotone spline of the circle. A
    small network for each circle reads the cosines and sines of the angles before it and returns the spline.
    `to_uniform` makes the fitted angles uniform and independent, `from_uniform` is its inverse. Both are
    diffeomorphisms of the torus and keep winding numbers.

    Formula: `log p(Φ) = Σ_c log f_c'(Φ_c | Φ_1 … Φ_{c-1}) - dim log 2π`. Adam maximises it over nine tenths of the
    points. The other tenth, at least 500 points where these are at most a quarter, is held out: the weights with the
    largest likelihood of it are kept, and the fit goes back to them, with a smaller rate, when it has overfitted. They
    are kept after Ctrl-C too.

    A sample has the radii of the fitted point whose angles are nearest. The fit runs on the backend in float32; all
    other methods are NumPy in float64.

    Args:
        num_bins: Integer, at least 2, bins of each spline. Defaults to `12`.
        units: Integer, units of both hidden layers. Defaults to `None`: 64 up to four circles and 128 for more.
        epochs: Integer, the largest number of passes over the points, each of at least 50 steps. Defaults to `20`.
        max_points: Integer, number of points that are kept for their radii, a random choice. Defaults to `20000`.
        seed: Integer; one seed gives one fit on one backend. Defaults to `None`, a random seed.
        verbose: Boolean, whether `fit` shows its progress. Defaults to `False`.

    Example:

    >>> import numpy as np, torusae
    >>> angles = np.random.default_rng(0).vonmises(1, 2, (2000, 1))
    >>> points = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    >>> uniform = torusae.densities.TorusFlow(epochs=5, seed=0).fit(points).to_uniform(angles)
    >>> bool(torusae.metrics.kuiper_statistic(uniform) < 0.06 < torusae.metrics.kuiper_statistic(angles))
    True

    Reference:
        Rezende et al. (2020), Normalizing flows on tori and spheres, arXiv:2002.02428; Durkan et al. (2019),
        arXiv:1906.04032, for the splines. The turn of each map, `_splines.turn`, is a torusae choice.
    """

    _arguments = ("num_bins", "units", "epochs", "max_points", "seed", "verbose")
    _state: ClassVar = dict.fromkeys((*_WEIGHTS, "points"), "float32")

    held_out: float | None = None
    """The mean log density of the points that `fit` held out, nats. `None` before `fit` and after loading."""

    def __init__(
        self,
        num_bins: int = 12,
        units: int | None = None,
        epochs: int = 20,
        max_points: int = 20000,
        seed: int | None = None,
        verbose: bool = False,
    ):
        owner = "TorusFlow"
        self.num_bins = checks.positive_int(owner, "num_bins", num_bins, least=2)
        self.units = checks.optional_int(owner, "units", units)
        self.epochs = checks.positive_int(owner, "epochs", epochs)
        self.max_points = checks.positive_int(owner, "max_points", max_points)
        self.seed = optional_seed(owner, seed)
        self.verbose = bool(verbose)

    def to_uniform(self, angles: Any) -> np.ndarray:
        """Maps angles `(num, dim)`, radians, onto the uniform torus: float64 `(num, dim)`, radians, `[-π, π)`.

        Angles that follow the density become independent and uniform.
        """
        turns = self._checked_turns("to_uniform", angles)
        mapped = []
        for block in _blocks(turns):
            of = _splines.spline(_parameters(block, self._arrays))
            mapped.append(np.transpose(_splines.forward(np.transpose(block), of)[0] + _splines.turn(of)))
        return _radians(np.concatenate(mapped))

    def from_uniform(self, angles: Any) -> np.ndarray:
        """The inverse of `to_uniform`, in closed form. Uniform angles become samples of the density."""
        turns = self._checked_turns("from_uniform", angles)
        for block in _blocks(turns):  # views: the loop replaces their columns
            for circle in range(int(self.dim or 0)):
                of = _splines.spline(_parameters(block, self._arrays, slice(circle, circle + 1)))
                block[:, circle] = _splines.inverse(_fraction(block[:, circle] - _splines.turn(of)), of)[0]
        return _radians(turns)

    def to_uniform_points(self, points: Any) -> np.ndarray:
        """Points `(num, 2 * dim)` with their angles mapped by `to_uniform`, float32. Radii stay."""
        radii, angles = polar(self._checked("to_uniform_points", points))
        return cartesian(radii, self.to_uniform(angles)).astype("float32")

    def from_uniform_points(self, points: Any) -> np.ndarray:
        """Points `(num, 2 * dim)` with their angles mapped by `from_uniform`, float32. Radii stay."""
        radii, angles = polar(self._checked("from_uniform_points", points))
        return cartesian(radii, self.from_uniform(angles)).astype("float32")

    def _summary(self):
        return f"dim {self.dim}"

    def _least_points(self):
        return _LEAST_POINTS, "Encode more samples."

    def _fit(self, points):
        rng = np.random.default_rng(self.seed)
        turns = rng.permutation(_turns(polar(points)[1]))
        num_held = int(max(_HELD_OUT * len(turns), min(_LEAST_HELD_OUT, len(turns) / 4)))
        held, seen = turns[:num_held], turns[num_held:]
        batch = min(int(np.clip(2 ** int(math.log2(len(seen) / _STEPS + 1)), *_BATCHES)), len(seen))
        rows = batch * max(_STEPS, len(seen) // batch)
        dim = seen.shape[1]
        units = self.units or (_UNITS if dim <= 4 else _MANY_UNITS)
        first_rate = _RATE * min(_UNITS / units, 1.0)
        network = _Network(_start(dim, units, self.num_bins, rng))
        optimizer = keras.optimizers.AdamW(first_rate, weight_decay=min(_DECAY / len(seen), 1.0))
        optimizer.exclude_from_weight_decay(var_names=["bias"])
        network.compile(optimizer)
        progress = keras.utils.Progbar(self.epochs, stateful_metrics=["held_out"], unit_name="epoch")
        best, best_arrays, best_epoch, failures, backoff = -math.inf, network.get_weights(), -1, 0, 1.0
        try:
            for epoch in range(-1, self.epochs):
                if epoch >= 0:  # the start, the uniform density, is measured too
                    rate = first_rate * backoff * math.cos(math.pi * epoch / self.epochs / 2) ** 2
                    optimizer.learning_rate = rate
                    orders = [rng.permutation(len(seen)) for _ in range(-(-rows // len(seen)))]
                    # In this order and without a last smaller batch: Keras shuffles by the global seed.
                    chosen = seen[np.concatenate(orders)[:rows]].astype("float32")
                    network.fit(chosen, batch_size=batch, shuffle=False, verbose=0)
                arrays = [array.astype("float64") for array in network.get_weights()]
                score = float(np.mean(np.concatenate([_log_density(block, arrays) for block in _blocks(held)])))
                if score > best:
                    best, best_arrays, best_epoch, failures = score, arrays, epoch, 0
                else:
                    failures += 1
                if self.verbose and epoch >= 0:
                    progress.update(epoch + 1, [("held_out", score)])
                if failures == _PATIENCE:
                    network.set_weights(best_arrays)
                    failures, backoff = 0, backoff * _BACKOFF
                    if backoff < _LEAST_BACKOFF:
                        break
        except KeyboardInterrupt:
            if best_epoch >= 0:  # else an earlier fit stays
                self._keep(best_arrays, best, points)
                self.is_fitted = True
            raise
        self._keep(best_arrays, best, points)

    def _keep(self, arrays: list[np.ndarray], held_out: float, points: np.ndarray) -> None:
        """Sets what a fit found."""
        self._arrays, self.held_out = arrays, held_out
        for name, array in zip(_WEIGHTS, arrays, strict=True):
            setattr(self, name, array)
        super()._fit(points)
        self._prepare()

    def _prepare(self):
        self.dim = len(self.kernel_1)
        self._arrays = [getattr(self, name) for name in _WEIGHTS]

    def _log_density(self, points):
        blocks = _blocks(_turns(polar(points)[1]))
        return np.concatenate([_log_density(block, self._arrays) for block in blocks])

    def _sample(self, num_samples, rng):
        angles = self.from_uniform(rng.uniform(-np.pi, np.pi, (num_samples, self.dim)))
        rows, kept = cartesian(np.ones(1), angles), directions(self.points).T
        nearest = np.concatenate([np.argmax(block @ kept, axis=1) for block in _blocks(rows)])
        return cartesian(polar(self.points)[0][nearest], angles)

    def _checked_turns(self, method: str, angles: Any) -> np.ndarray:
        """Angles in turns, checked."""
        self._check_fitted(method)
        owner = f"TorusFlow.{method}"
        angles = np.asarray(checks.host_array(angles))  # float64 stays: a tensor of JAX would be float32
        if angles.dtype.kind != "f":
            raise TypeError(f"{owner}: `angles` must be floating-point numbers. Received: dtype={angles.dtype}.")
        if angles.ndim != 2 or 0 in angles.shape or angles.shape[1] != self.dim:
            raise ValueError(
                f"{owner}: `angles` must have shape (num, {self.dim}) with num at least 1. "
                f"Received: angles.shape={angles.shape}. Give what TorusAutoencoder.angles(x) returns."
            )
        checks.finite_array(owner, "angles", angles)
        return _turns(angles.astype("float64"))


class _Network(keras.Model):
    """The networks of all circles while they learn. It returns the log density of positions in turns."""

    def __init__(self, arrays: list[np.ndarray]):
        super().__init__(name="flow", dtype="float32")
        self.arrays = [
            self.add_weight(shape=array.shape, initializer="zeros", name=name)
            for name, array in zip(_WEIGHTS, arrays, strict=True)
        ]
        self.built = True
        self.set_weights(arrays)

    def call(self, turns):
        return _log_density(turns, [ops.convert_to_tensor(array) for array in self.arrays])

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return -ops.mean(y_pred)


def _start(dim: int, units: int, num_bins: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Weights of the identity, `(dim, inputs, outputs)` and `(dim, 1, outputs)`: the last layer returns 0."""
    sizes = [2 * dim, units, units, 3 * num_bins]
    weights = []
    for inputs, outputs in itertools.pairwise(sizes):
        weights += [rng.normal(0, math.sqrt(2 / inputs), (dim, inputs, outputs)), np.zeros((dim, 1, outputs))]
    weights[-2] *= 0
    return weights


def _parameters(turns: Tensor, arrays: list[Tensor], circles: slice = slice(None)) -> Tensor:
    """The parameters of the splines of some circles, `(circles, batch, 3 * num_bins)`, of positions `(batch, dim)`."""
    xp = _splines.library(turns)
    kernel_1, bias_1, kernel_2, bias_2, kernel_3, bias_3 = (array[circles] for array in arrays)
    phases = 2 * math.pi * turns
    features = xp.concatenate([xp.cos(phases), xp.sin(phases)], axis=-1)
    before = np.tile(np.tril(np.ones((turns.shape[1],) * 2, "float32"), -1), 2)[circles, :, None]
    kernel_1 = kernel_1 * (before if xp is np else ops.convert_to_tensor(before))
    hidden = _swish(xp, xp.matmul(features, kernel_1) + bias_1)
    hidden = hidden + _swish(xp, xp.matmul(hidden, kernel_2) + bias_2)
    return xp.matmul(hidden, kernel_3) + bias_3


def _swish(xp: Any, values: Tensor) -> Tensor:
    # A smooth activation, so that the map is smooth in all angles. The hyperbolic tangent does not overflow.
    return values * (0.5 + 0.5 * xp.tanh(values / 2))


def _log_density(turns: Tensor, arrays: list[Tensor]) -> Tensor:
    """The log density of positions `(batch, dim)` per radian, `(batch,)`."""
    xp = _splines.library(turns)
    of = _splines.spline(_parameters(turns, arrays))
    return xp.sum(_splines.forward(xp.transpose(turns), of)[1], axis=0) - turns.shape[1] * math.log(2 * math.pi)


def _blocks(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK)]


def _fraction(turns: np.ndarray) -> np.ndarray:
    """Turns modulo 1, below 1 where rounding would give 1."""
    rest = turns - np.floor(turns)
    return np.where(rest < 1, rest, 0.0)


def _turns(angles: np.ndarray) -> np.ndarray:
    return _fraction(angles / (2 * math.pi) + 0.5)


def _radians(turns: np.ndarray) -> np.ndarray:
    return 2 * math.pi * (_fraction(turns) - 0.5)
