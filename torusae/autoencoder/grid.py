"""Places of samples on one or two circles: the posterior on a grid of angles."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from torusae._internal import batches
from torusae._internal.arrays import wrap
from torusae.autoencoder import marginals
from torusae.autoencoder.noise import Noise
from torusae.layers.periodic import Float32Layer
from torusae.spaces import Torus

_SIZES = {1: (64, 128, 256, 512, 1024, 2048), 2: (32, 48, 64, 80, 96, 112, 128)}  # of grids, by the number of circles
_SPACINGS = {1: 0.5, 2: 1.25}  # of their angles, in standard errors
_FINER = {1: 1, 2: 4}  # how much finer the grid is on which arcs are found
_NEAR = 0.02  # radians of a difference along a circle
_BLURS = (0.05, 0.07, 0.1, 0.14, 0.2, 0.28, 0.4)  # radians, from which that of the rows is chosen
_MOST_VALUES = 1 << 22  # of a grid in memory at a time
_BATCHES = (256, 2048)  # rows in one call: few shapes, since each is compiled


class Grid:
    """Places on one or two circles of radius 1, what the decoder says there, and what noise makes of it.

    The decoder reads radii too. They carry noise, which the size of the noise holds already.
    """

    def __init__(self, model: Any, noise: Noise, size: int):
        self.noise = noise
        self.dim = dim = model.space.dim
        self.sizes = (size,) * dim
        axes = np.meshgrid(*map(marginals.angles_of, self.sizes), indexing="ij")
        means = _decoded(model, np.stack([axis.ravel() for axis in axes], axis=1))
        self.center = means.mean(axis=0) if noise.kind == "gaussian" else np.zeros(means.shape[1])
        self.means = _blurred(means - self.center, self.sizes, noise.blur)
        self.models: dict[bool, keras.Model] = {}
        self.set_tables()

    def set_tables(self) -> None:
        """Computes slopes and offsets for the noise as it is now."""
        self.slopes, self.offsets = self.noise.tables(self.means)
        self.models = {}

    def blur(self, flat: np.ndarray) -> None:
        """Blurs the means more and more, as long as rows get more likely."""
        best = self._evidence(flat)
        for width in _BLURS:
            if width <= self.noise.blur:
                continue
            before = self.means
            self.means = _blurred(before, self.sizes, math.sqrt(width**2 - self.noise.blur**2))  # variances add up
            self.set_tables()
            if (evidence := self._evidence(flat)) <= best:
                self.means = before
                self.set_tables()
                return
            best, self.noise.blur = evidence, width

    def _evidence(self, flat: np.ndarray) -> float:
        """The mean log likelihood of rows, but for what is the same with any means."""
        from scipy import special

        step = max(1, _MOST_VALUES // len(self.means))
        parts = (flat[start : start + step] - self.center for start in range(0, len(flat), step))
        found = [special.logsumexp(self.noise.explained(x, self.slopes, self.offsets), axis=1) for x in parts]
        return float(np.concatenate(found).mean())

    def expected_squares(self, flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The expected squares of the noise of cells, NaN where not known, and the rows' deviances."""
        squares, deviances = [], []
        for start in range(0, len(flat), step := max(1, _MOST_VALUES // len(self.means))):
            x = flat[start : start + step] - self.center
            known = ~np.isnan(x)
            filled = np.where(known, x, 0.0)
            log_likelihood = self.noise.explained(x, self.slopes, self.offsets)
            best = log_likelihood.max(axis=1)
            weights = np.exp(log_likelihood - best[:, None])
            weights /= weights.sum(axis=1, keepdims=True)
            expected = filled**2 - 2 * filled * (weights @ self.means) + weights @ np.square(self.means)
            squares.append(np.where(known, expected, np.nan))
            deviances.append(2 * (self.noise.constants(x)[1] - best))
        return np.concatenate(squares), np.concatenate(deviances)

    def deviances(self, flat: np.ndarray) -> np.ndarray:
        """How badly the best place explains rows, `(num,)`."""
        return _found(self, flat, None, 0)["deviance"]

    def summary(self, flat: np.ndarray, level: float, batch_size: int | None, verbose: Any) -> dict[str, np.ndarray]:
        """The fields of a `Posterior` of rows `(num, size)`, NaN where not known."""
        return _summary(self, _found(self, flat, batch_size, verbose), level)

    def function(self, masked: bool) -> keras.Model:
        """The model from samples to what `_Likelihoods` returns."""
        if masked not in self.models:
            x = keras.Input((self.means.shape[1],), dtype="float32")
            layer = _Likelihoods(self.sizes, masked)
            self.models[masked] = keras.Model(x, layer(x))
            layer.set_weights([self.slopes.T, self.offsets.T if masked else self.offsets.sum(axis=1)])
        return self.models[masked]


class _Likelihoods(Float32Layer):
    """From samples, NaN where not known, to probabilities of a grid's places: marginals, their sum, the best place.

    The stencil holds the log likelihoods of the best place and of its neighbours.
    """

    def __init__(self, sizes: tuple[int, ...], masked: bool):
        super().__init__()
        self.sizes = sizes
        self.masked = masked

    def build(self, shape):
        places = math.prod(self.sizes)
        self.slopes = self.add_weight(shape=(shape[-1], places), trainable=False, name="slopes")
        offsets = (shape[-1], places) if self.masked else (places,)
        self.offsets = self.add_weight(shape=offsets, trainable=False, name="offsets")

    def call(self, x):
        if self.masked:
            known = ops.logical_not(ops.isnan(x))
            values = ops.where(known, x, ops.zeros_like(x)) @ self.slopes - ops.cast(known, x.dtype) @ self.offsets
        else:
            values = x @ self.slopes - self.offsets
        best = ops.cast(ops.argmax(values, axis=-1), "int32")
        neighbours = ops.zeros_like(best)[:, None]
        for axis, size in enumerate(self.sizes):
            stride = math.prod(self.sizes[axis + 1 :])
            place = ops.mod(ops.floor_divide(best, stride), size)
            moved = ops.stack([ops.mod(place + step, size) * stride for step in (size - 1, 0, 1)], axis=1)
            neighbours = ops.reshape(neighbours[:, :, None] + moved[:, None, :], (-1, 3 ** (axis + 1)))
        stencil = ops.take_along_axis(values, neighbours, axis=1)
        most = ops.max(values, axis=-1, keepdims=True)
        weights = ops.reshape(ops.exp(values - most), (-1, *self.sizes))
        results = {}
        for axis in range(len(self.sizes)):
            others = tuple(each + 1 for each in range(len(self.sizes)) if each != axis)
            results[f"marginal{axis}"] = ops.sum(weights, axis=others) if others else weights
        total = ops.log(ops.sum(results["marginal0"], axis=-1))
        return {**results, "stencil": stencil, "best": best, "log_sum": most[:, 0] + total}


def _found(grid: Grid, flat: np.ndarray, batch_size: int | None, verbose: Any) -> dict[str, np.ndarray]:
    """What the grid says of rows: `_Likelihoods`' results, the best angles, the evidence and the deviance."""
    num, known = len(flat), ~np.isnan(flat)
    most = max(1, _MOST_VALUES // len(grid.means))
    batch_size = batch_size or min(most, next((size for size in _BATCHES if size >= num), _BATCHES[-1]))
    padded = np.zeros((num + -num % batch_size or batch_size, flat.shape[1]), "float32")  # batches of one shape
    padded[:num] = flat - grid.center
    function = grid.function(not known.all())
    found = batches.predict(function.predict, padded, batch_size, verbose)
    found = {name: np.asarray(values)[:num].astype("float64") for name, values in found.items()}
    offset, best = _vertex(found["stencil"], len(grid.sizes))
    index = np.stack(np.unravel_index(found["best"].astype(int), grid.sizes), axis=1)
    found["mode"] = wrap((index + offset) * (2 * np.pi / np.array(grid.sizes)) - np.pi)
    constant, largest = grid.noise.constants(flat, grid.center)
    found["log_likelihood"] = found["log_sum"] - math.log(len(grid.means)) + constant
    found["deviance"] = np.maximum(2 * (largest - best), 0.0)
    found["share"] = known.mean(axis=1)
    return found


def _vertex(stencil: np.ndarray, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """The place of the vertex of a parabola through a stencil `(num, 3**dim)`, in cells, and its height."""
    values = stencil.reshape(len(stencil), *[3] * dim)
    middle: Any = (slice(None), *[1] * dim)
    slopes, curvatures = np.zeros((len(values), dim)), np.zeros((len(values), dim, dim))
    for axis in range(dim):
        low, high = (np.take(values, end, axis=axis + 1).reshape(len(values), 3 ** (dim - 1)) for end in (0, 2))
        low, high = (each[:, each.shape[1] // 2] for each in (low, high))
        slopes[:, axis] = (high - low) / 2
        curvatures[:, axis, axis] = np.minimum(high - 2 * values[middle] + low, -1e-12)
    if dim == 2:
        cross = (values[:, 2, 2] - values[:, 2, 0] - values[:, 0, 2] + values[:, 0, 0]) / 4
        bound = 0.9 * np.sqrt(curvatures[:, 0, 0] * curvatures[:, 1, 1])
        curvatures[:, 0, 1] = curvatures[:, 1, 0] = np.clip(cross, -bound, bound)
    offset = np.clip(-np.linalg.solve(curvatures, slopes[..., None])[..., 0], -0.5, 0.5)
    change = np.einsum("nd,nd->n", slopes, offset) + 0.5 * np.einsum("nd,nde,ne->n", offset, curvatures, offset)
    return offset, values[middle] + np.maximum(change, 0.0)


def _summary(grid: Grid, found: dict[str, np.ndarray], level: float) -> dict[str, np.ndarray]:
    """The fields of a `Posterior` of rows."""
    columns = []
    for axis in range(grid.dim):
        rows = found[f"marginal{axis}"]
        rows = rows / rows.sum(axis=1, keepdims=True)
        mean, error = marginals.direction_and_error(rows)
        if _FINER[grid.dim] > 1:
            rows = marginals.finer(rows, _FINER[grid.dim])
        columns.append((mean, error, marginals.smallest_arcs(rows, level), marginals.num_modes(rows)))
    angles, errors, arcs, modes = (np.stack(each, axis=1) for each in zip(*columns, strict=True))
    nothing = found["share"] == 0
    angles[nothing], errors[nothing], found["mode"][nothing] = np.nan, np.inf, np.nan
    return {
        "angles": angles,
        "standard_error": errors,
        "mode": found["mode"],
        "interval": arcs,
        "log_likelihood": found["log_likelihood"],
        "misfit": grid.noise.quantile(found["deviance"], found["share"]),
        "num_modes": modes.max(axis=1),
        "point": np.concatenate([np.cos(found["mode"]), np.sin(found["mode"])], axis=1),
    }


def _blurred(values: np.ndarray, sizes: tuple[int, ...], width: float) -> np.ndarray:
    """The means of values `(places, size)` of a grid over a normal distribution of angles around each place."""
    cube = values.reshape(*sizes, -1)
    for axis, size in enumerate(sizes if width else ()):
        angles = marginals.angles_of(size)
        weights = np.exp(-0.5 * np.square(wrap(angles[:, None] - angles) / width))
        weights /= weights.sum(axis=1, keepdims=True)
        cube = np.moveaxis(np.tensordot(weights, cube, axes=(1, axis)), 0, axis)
    return cube.reshape(values.shape)


def size_for(model: Any, noise: Noise, coarse: bool) -> int | None:
    """Angles of a circle, so many that the sharpest posterior is wider than their spacing.

    `None` where a grid would be too large, if it may not be too `coarse`, and for other spaces than a torus of one or
    two circles.
    """
    space = model.space
    if not (isinstance(space, Torus) and space.dim in _SIZES):
        return None
    dim = space.dim
    sizes = (256,) if dim == 1 else (32, 32)
    axes = np.meshgrid(*map(marginals.angles_of, sizes), indexing="ij")
    places = np.stack([axis.ravel() for axis in axes], axis=1)
    sharpest = np.inf
    for axis in range(dim):
        step = _NEAR * np.eye(dim)[axis]
        low, high = (_decoded(model, places + sign * step) for sign in (-1, 1))
        slopes, means = (_blurred(each, sizes, noise.blur) for each in ((high - low) / (2 * _NEAR), (low + high) / 2))
        information = np.sum(slopes**2 * noise.information(means), axis=1)
        sharpest = min(sharpest, 1 / math.sqrt(max(np.quantile(information, 0.98), 1e-12)))
    needed = 2 * np.pi / (_SPACINGS[dim] * sharpest)
    return next((size for size in _SIZES[dim] if size >= needed), _SIZES[dim][-1] if coarse else None)


def _decoded(model: Any, angles: np.ndarray) -> np.ndarray:
    """What the decoder says at angles, `(places, size)`, float64."""
    padded = np.resize(angles, (len(angles) + -len(angles) % _BATCHES[0], angles.shape[1]))
    points = np.concatenate([np.cos(padded), np.sin(padded)], axis=1).astype("float32")
    decoded = batches.predict(model.codec[1].predict, points, _BATCHES[0], 0)
    return decoded[: len(angles)].reshape(len(angles), -1).astype("float64")
