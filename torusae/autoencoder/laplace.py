"""Places of samples in any space: the modes of the posterior, each with a normal distribution around it."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from torusae._internal import batches
from torusae._internal.arrays import wrap
from torusae.angles import angle_difference
from torusae.autoencoder import marginals, use
from torusae.autoencoder.noise import LEAST_MEAN, Noise
from torusae.layers.periodic import Float32Layer
from torusae.spaces import Product, Space, Torus
from torusae.spaces.torus import on_circles

_TABLE = 4096  # points of the prior at which a search may begin
_NEAREST = 256  # of them, those that explain a row best
_APART = 1.0  # distance of two starts of a search: nearer ones lead to one mode
_ROUNDS = 15
_NEAR = 0.02  # a step of a difference
_LONGEST = 0.7  # step of a round
_DONE = 1e-2  # from the mode, in standard errors
_RIDGE = 1e-6  # of the precision, where a row says nothing of a coordinate
_CELLS = 1024  # of the grid on which the arcs of several modes are found
_BATCH = 256


def free_steps(space: Space) -> np.ndarray:
    """Which entries of a step `move` is searched along: all but the radii of a torus, which are 1."""
    if isinstance(space, Product):
        return np.concatenate([free_steps(factor) for factor in space.factors])
    return np.arange(space.step_size) < (space.dim if isinstance(space, Torus) else space.step_size)


def _joined(space: Space, point: Any, function: Any) -> list[Any]:
    """`function(factor, point)` of each factor, or of a space that is no product."""
    if isinstance(space, Product):
        return [function(*pair) for pair in zip(space.factors, space.split(point), strict=True)]
    return [function(space, point)]


def _at_radius_one(space: Space, point: Any) -> Any:
    """Points with radii of 1 on the circles of a torus."""

    def moved(factor, own):
        return on_circles(factor.angles(own)) if isinstance(factor, Torus) else own

    return ops.concatenate(_joined(space, point, moved), axis=-1)


def _log_prior(space: Space, point: Any) -> Any:
    """The log density of the prior, of a torus that of its angles alone."""

    def density(factor, own):
        flat = ops.zeros_like(own[:, 0]) - factor.num_angles * math.log(2 * math.pi)
        return flat if isinstance(factor, Torus) else factor.log_prob(own)

    return sum(_joined(space, point, density))


class _Around(Float32Layer):
    """What a row, a point of the space and a step say: the point after the step, and the log posterior around it.

    The precision is that of Gauss and Newton: of the decoder's slopes, by differences, and of the prior's curvature.
    """

    def __init__(self, model: Any, noise: Noise, with_slopes: bool):
        super().__init__()
        self.with_slopes = with_slopes
        self.kind = noise.kind
        self.inverse = self.add_weight(shape=(math.prod(model.sample_shape),), trainable=False, name="inverse")
        self.space, self.decoder = model.space, model.codec[1]
        self.sizes = (math.prod(model.sample_shape), model.space.point_size, model.space.step_size)
        along = _NEAR * np.eye(self.sizes[2], dtype="float32")[free_steps(model.space)]
        # Nowhere, then one direction after another, then the same to the other side.
        self.steps = np.concatenate([0 * along[:1], along, -along])

    def call(self, values):
        size, point_size, _ = self.sizes
        x, point, step = values[:, :size], values[:, size : size + point_size], values[:, size + point_size :]
        point = self.space.move(point, step)
        num = len(self.steps)
        count = num // 2
        repeated = ops.reshape(point[:, None] + ops.zeros((1, num, 1)), (-1, point_size))
        steps = ops.zeros_like(point[:, :1])[:, None] + ops.convert_to_tensor(self.steps)
        places = self.space.move(repeated, ops.reshape(steps, (-1, self.sizes[2])))
        means = ops.reshape(self.decoder(places, training=False), (-1, num, size))
        mean, slopes = means[:, 0], (means[:, 1 : count + 1] - means[:, count + 1 :]) / (2 * _NEAR)
        if self.with_slopes:
            return {"mean": mean, "slopes": slopes}
        priors = ops.reshape(_log_prior(self.space, places), (-1, num))
        prior, near_prior = priors[:, 0], ops.reshape(priors[:, 1:], (-1, 2, count))
        known = ops.cast(ops.logical_not(ops.isnan(x)), x.dtype)
        x = ops.where(ops.isnan(x), ops.zeros_like(x), x)
        cells, precision = self._likelihood(x, mean)
        precision = precision * known
        weighted = slopes * precision[:, None]
        gradient = ops.sum(weighted * (x - mean)[:, None], axis=-1)
        curvature = (near_prior[:, 0] + near_prior[:, 1] - 2 * prior[:, None]) / _NEAR**2
        results = {
            "point": point,
            "likelihood": ops.sum(cells * known, axis=-1),
            "prior": prior,
            "gradient": gradient + (near_prior[:, 0] - near_prior[:, 1]) / (2 * _NEAR),
            "precision": ops.matmul(weighted, ops.transpose(slopes, (0, 2, 1))),
            "of_prior": ops.maximum(-curvature, 0.0),
        }
        if self.space.num_angles:
            turned = ops.reshape(self.space.angles(places), (-1, num, self.space.num_angles))
            results["angles"] = turned[:, 0]
            results["turns"] = angle_difference(turned[:, 1 : count + 1], turned[:, count + 1 :]) / (2 * _NEAR)
        return results

    def _likelihood(self, x, mean):
        """The log likelihood of cells but for what is the same everywhere, and the inverse variance of each."""
        if self.kind == "gaussian":
            precision = self.inverse + ops.zeros_like(mean)
            return -0.5 * precision * ops.square(x - mean), precision
        mean = ops.maximum(mean, LEAST_MEAN)
        if self.kind == "poisson":
            return x * ops.log(mean) - mean, 1 / mean
        mean = ops.minimum(mean, 1 - LEAST_MEAN)
        return x * ops.log(mean) + (1 - x) * ops.log(1 - mean), 1 / (mean * (1 - mean))


class Modes:
    """The search for the modes of rows, from the encoder's point and from the points of the prior that explain a row.

    Levenberg (1944) and Marquardt (1963), with the normal distribution of Laplace around each mode.
    """

    def __init__(self, model: Any, noise: Noise):
        self.model, self.noise, self.space = model, noise, model.space
        self.size = math.prod(model.sample_shape)
        points = ops.convert_to_numpy(_at_radius_one(self.space, self.space.sample(_TABLE, seed=0)))
        decoded = batches.predict(model.codec[1].predict, points, _BATCH, 0)
        self.points = points
        self.means = decoded.reshape(_TABLE, -1).astype("float64")
        self.functions: dict[bool, tuple[_Around, keras.Model]] = {}
        self.set_tables()

    def set_tables(self) -> None:
        """Computes what depends on the noise as it is now."""
        self.slopes, self.offsets = self.noise.tables(self.means)
        for layer, _ in self.functions.values():
            layer.inverse.assign(self.noise.precision)

    def _found(self, flat: np.ndarray, batch_size: int | None = None, verbose: Any = 0) -> dict[str, np.ndarray]:
        """The modes of rows `(num, size)`, NaN where not known: arrays `(num, starts, ...)`, and weights of the modes.

        A mode that two searches found has the weight of one.
        """
        from scipy import special

        starts = self._starts(flat, batch_size, verbose)
        num, count = starts.shape[:2]
        rows, points = np.repeat(flat, count, axis=0), starts.reshape(num * count, -1)
        state = self._at(rows, points, np.zeros((len(rows), self.space.step_size)), batch_size)
        damping, active = np.full(len(rows), 1e-2), np.arange(len(rows))
        free = free_steps(self.space)
        for _ in range(_ROUNDS):
            if not len(active):
                break
            now = {name: values[active] for name, values in state.items()}
            precision = _precision(now)
            spread = np.sqrt(np.einsum("nkk->nk", precision))
            damped = precision + damping[active, None, None] * np.einsum("nk,kl->nkl", spread**2, np.eye(free.sum()))
            step = np.linalg.solve(damped, now["gradient"][..., None])[..., 0]
            step /= np.maximum(1.0, np.linalg.norm(step, axis=1, keepdims=True) / _LONGEST)
            whole = np.zeros((len(active), self.space.step_size))
            whole[:, free] = step
            new = self._at(rows[active], now["point"], whole, batch_size)
            better = new["likelihood"] + new["prior"] >= now["likelihood"] + now["prior"]
            for name, values in state.items():
                values[active[better]] = new[name][better]
            damping[active] *= np.where(better, 0.2, 8.0)
            far = np.einsum("nk,nk->n", now["gradient"], np.linalg.solve(precision, now["gradient"][..., None])[..., 0])
            active = active[(far > _DONE**2) & (damping[active] < 1e6)]
        found = {name: values.reshape(num, count, *values.shape[1:]) for name, values in state.items()}
        precision = _precision(found)
        log_weight = found["likelihood"] + found["prior"] - 0.5 * np.linalg.slogdet(precision)[1]
        log_weight += 0.5 * free.sum() * np.log(2 * np.pi)
        found["covariance"] = np.linalg.inv(precision)
        radius = np.sqrt(np.einsum("nskk->ns", found["covariance"]))
        for second in range(1, count):
            for first in range(second):
                pair = (ops.convert_to_tensor(found["point"][:, index].astype("float32")) for index in (first, second))
                apart = ops.convert_to_numpy(self.space.distance(*pair))
                same = np.flatnonzero(apart < np.minimum(radius[:, first], radius[:, second]))
                lower = np.where(log_weight[same, first] < log_weight[same, second], first, second)
                log_weight[same, lower] = -np.inf
        total = special.logsumexp(log_weight, axis=1)
        found["weight"] = np.exp(log_weight - total[:, None])
        found["evidence"] = total
        return found

    def _starts(self, flat: np.ndarray, batch_size: int | None, verbose: Any) -> np.ndarray:
        """Points at which the searches of rows begin, `(num, 2 or 3, point_size)`."""
        explained = self.noise.explained(flat, self.slopes, self.offsets)
        nearest = np.argpartition(-explained, _NEAREST, axis=1)[:, :_NEAREST]
        values = np.take_along_axis(explained, nearest, axis=1)
        best = np.take_along_axis(nearest, values.argmax(axis=1)[:, None], axis=1)
        pairs = (self.points[index].reshape(-1, self.points.shape[1]) for index in (nearest, best + 0 * nearest))
        apart = ops.convert_to_numpy(self.space.distance(*map(ops.convert_to_tensor, pairs))).reshape(nearest.shape)
        other = np.where(apart > _APART, values, -np.inf).argmax(axis=1)[:, None]
        starts = [self.points[best[:, 0]], self.points[np.take_along_axis(nearest, other, axis=1)[:, 0]]]
        if not np.isnan(flat).any() or self.model.fill is not None:
            samples = flat.reshape(-1, *self.model.sample_shape).astype("float32")
            encoded = use.predicted(self.model, samples, batch_size, verbose)["point"]
            starts.append(ops.convert_to_numpy(_at_radius_one(self.space, ops.convert_to_tensor(encoded))))
        return np.stack(starts, axis=1)

    def summary(self, flat: np.ndarray, level: float, batch_size: int | None, verbose: Any) -> dict[str, np.ndarray]:
        """The fields of a `Posterior` of rows `(num, size)`, NaN where not known."""
        found, known = self._found(flat, batch_size, verbose), ~np.isnan(flat)
        fields = _of_angles(found, level)
        constant, deviance = self._constant_and_deviance(flat, found)
        nothing = ~known.any(axis=1)
        fields["angles"][nothing] = fields["mode"][nothing] = np.nan
        fields["standard_error"][nothing] = np.inf
        fields["log_likelihood"] = np.where(~nothing, found["evidence"] + constant, 0.0)
        fields["misfit"] = self.noise.quantile(deviance, known.mean(axis=1))
        return fields

    def expected_squares(self, flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The expected squares of the noise of cells, NaN where not known, and the rows' deviances."""
        found = self._found(flat, None, 0)
        best = found["weight"].argmax(axis=1)
        point, covariance = (found[name][np.arange(len(flat)), best] for name in ("point", "covariance"))
        around = self._at(flat, point, np.zeros((len(flat), self.space.step_size)), None, with_slopes=True)
        spread = np.einsum("nkd,nkl,nld->nd", around["slopes"], covariance, around["slopes"], optimize=True)
        return np.square(flat - around["mean"]) + spread, self._constant_and_deviance(flat, found)[1]

    def deviances(self, flat: np.ndarray) -> np.ndarray:
        """How badly the best place explains rows, `(num,)`."""
        return self._constant_and_deviance(flat, self._found(flat, None, 0))[1]

    def _constant_and_deviance(self, flat: np.ndarray, found: dict) -> tuple[np.ndarray, np.ndarray]:
        constant, largest = self.noise.constants(flat)
        if self.noise.kind == "gaussian":  # whose squares are those around the mean here
            constant, largest = constant + largest, np.zeros(len(flat))
        best = found["weight"].argmax(axis=1)
        return constant, np.maximum(2 * (largest - found["likelihood"][np.arange(len(flat)), best]), 0.0)

    def _at(
        self,
        rows: np.ndarray,
        points: np.ndarray,
        steps: np.ndarray,
        batch_size: int | None,
        with_slopes: bool = False,
    ) -> dict[str, np.ndarray]:
        batch_size = batch_size or _BATCH
        if with_slopes not in self.functions:
            inputs = keras.Input((self.size + self.space.point_size + self.space.step_size,), dtype="float32")
            layer = _Around(self.model, self.noise, with_slopes)
            self.functions[with_slopes] = layer, keras.Model(inputs, layer(inputs))
            self.set_tables()
        values = np.concatenate([rows, points, steps], axis=1).astype("float32")
        padded = np.resize(values, (len(values) + -len(values) % batch_size, values.shape[1]))
        found = batches.predict(self.functions[with_slopes][1].predict, padded, batch_size, 0)
        return {name: np.asarray(each)[: len(values)].astype("float64") for name, each in found.items()}


def _precision(found: dict[str, np.ndarray]) -> np.ndarray:
    """The precision matrices of the posterior, never singular."""
    eye = np.eye(found["gradient"].shape[-1])
    return found["precision"] + (found["of_prior"] + _RIDGE)[..., None] * eye


def _of_angles(found: dict[str, np.ndarray], level: float) -> dict[str, np.ndarray]:
    """The fields of a `Posterior` that tell of places."""
    from scipy import special

    weight = found["weight"]
    num, best = len(weight), found["weight"].argmax(axis=1)
    modes = (weight >= marginals.LEAST_MASS).sum(axis=1)
    point = found["point"][np.arange(num), best]
    if "angles" not in found:
        none = np.zeros((num, 0))
        places = {"angles": none, "standard_error": none, "mode": none, "interval": np.zeros((num, 0, 2))}
        return {**places, "num_modes": modes, "point": point}
    variance = np.einsum("nska,nskl,nsla->nsa", found["turns"], found["covariance"], found["turns"])
    error = np.sqrt(np.maximum(variance, 0.0))
    mean = np.sum(weight[..., None] * np.exp(1j * found["angles"] - variance / 2), axis=1)
    with np.errstate(divide="ignore"):
        spread = np.sqrt(-2 * np.log(np.minimum(np.abs(mean), 1.0)))
    mode, own = found["angles"][np.arange(num), best], error[np.arange(num), best]
    half = np.minimum(special.ndtri((1 + level) / 2) * own, np.pi * level)
    start = wrap(mode - half)
    arcs = np.stack([start, start + 2 * half], axis=-1)
    several = np.flatnonzero((weight.max(axis=1) < 0.999) | (own.max(axis=1) > 0.7))
    if len(several):
        edges = (np.arange(_CELLS + 1) - 0.5) * (2 * np.pi / _CELLS) - np.pi
        for axis in range(mode.shape[1]):
            rows = np.zeros((len(several), _CELLS))
            for index in range(weight.shape[1]):
                middle, width = (each[several, index, axis, None] for each in (found["angles"], error))
                width = np.clip(width, 1e-6, 4.0)
                for turn in (-2, -1, 0, 1, 2):
                    below = special.ndtr((edges - middle + turn * 2 * np.pi) / width)
                    rows += weight[several, index, None] * np.diff(below, axis=1)
            rows /= rows.sum(axis=1, keepdims=True)
            arcs[several, axis] = marginals.smallest_arcs(rows, level)
    places = {"angles": wrap(np.angle(mean)), "standard_error": spread, "mode": mode, "interval": arcs}
    return {**places, "num_modes": np.maximum(modes, 1), "point": point}
