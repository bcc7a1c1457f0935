"""Where a sample lies, by Bayes' rule through the decoder: angles with their errors, and the noise that they need."""

import dataclasses
import math
from typing import Any

import numpy as np

from torusae._internal import batches, checks, fingerprints
from torusae.autoencoder import grid, use
from torusae.autoencoder.adapter import Rows
from torusae.autoencoder.laplace import Modes
from torusae.autoencoder.noise import Noise, gamma_of
from torusae.spaces import Torus

_MOST_ROWS = {1: 4000, 2: 1000}  # of a fit of the noise, by the number of circles of a grid
_MOST_ROWS_OF_MODES = 500
_FEW_ROWS = 30  # held out, below which all rows are taken
_ROUNDS_OF_MODES = 3
_ROUNDS, _TOLERANCE = 30, 2e-3  # of the fit; the relative change of the noise at which it ends
_TRIMMED = 1e-3  # of the rows, if they follow the noise: those of the largest misfits do not count
_CONSTANT = 1e-6  # standard deviation beside the largest value, below which a column is constant
_BLOCK = 1 << 13  # rows at a time


@dataclasses.dataclass(frozen=True)
class Posterior:
    """Where samples lie and how sure that is, given the decoder, the noise and the prior: what `model.posterior` finds.

    A row without any known cell has the prior: no angle, NaN, and an infinite standard error. Errors and intervals are
    of the model's own angles: they tell where a sample without noise would lie, not how these angles differ from others
    that describe the data as well.

    Attributes:
        angles: Float array `(num, num_angles)`, radians, `[-π, π)`: the mean directions of the posterior.
        standard_error: Float array `(num, num_angles)`, radians: circular standard deviations, `sqrt(-2 log R)` with
            the length `R` of the mean of the unit vectors.
        mode: Float array `(num, num_angles)`, radians, `[-π, π)`: the angles at which the decoder explains a row best.
        interval: Float array `(num, num_angles, 2)`, radians: start and end of the smallest arc that holds `level`.
            A start lies in `[-π, π)`, an end is not before it and may pass π.
        log_likelihood: Float array `(num,)`, nats: the log density of the known cells of a row, over all angles.
        misfit: Float array `(num,)`, an outlier score between 0 and 1: the share of rows of such noise that the decoder
            explains better than this one. 0.999 is a row in a thousand, or one that does not belong to the data.
        num_modes: Integer array `(num,)`: the modes of an angle that hold at least 5 % of the probability; of several
            angles the largest number. 2 is an angle that could be two.
        point: Float array `(num, point_size)`: the point of the latent space that explains a row best, for `decode`.
            Radii of a torus are 1.
        level: Float, the probability that an interval holds.
    """

    angles: np.ndarray
    standard_error: np.ndarray
    mode: np.ndarray
    interval: np.ndarray
    log_likelihood: np.ndarray
    misfit: np.ndarray
    num_modes: np.ndarray
    point: np.ndarray
    level: float

    def to_dataframe(self, period: Any = None) -> Any:
        """The rows as a `pandas.DataFrame`. Needs pandas.

        Its columns are `angle0`, `standard_error0`, `mode0`, `start0` and `end0` of the first angle, and so on, then
        `log_likelihood`, `misfit` and `num_modes`.

        Args:
            period: Positive float, or a sequence with one for each angle: angles are then in units of which so many
                make a turn, 24 for hours, and lie between 0 and the period. Defaults to `None`, radians.
        """
        import pandas

        num_angles = self.angles.shape[1]
        periods = 2 * np.pi if period is None else checks.periods("to_dataframe", period, "angles", (num_angles,))
        units = np.broadcast_to(np.asarray(periods, "float64"), (num_angles,)) / (2 * np.pi)
        columns = {}
        for index, unit in enumerate(units):
            start = self.interval[:, index, 0]
            named = {"angle": self.angles[:, index], "mode": self.mode[:, index], "start": start}
            if period is not None:
                named = {name: np.remainder(values, 2 * np.pi) for name, values in named.items()}
            named["standard_error"] = self.standard_error[:, index]
            named["end"] = named["start"] + self.interval[:, index, 1] - start
            for name in ("angle", "standard_error", "mode", "start", "end"):
                columns[f"{name}{index}"] = named[name] * unit
        for name in ("log_likelihood", "misfit", "num_modes"):
            columns[name] = getattr(self, name)
        return pandas.DataFrame(columns)

    def __repr__(self) -> str:
        num, dim = self.angles.shape
        return f"Posterior({num} rows, {dim} angle{'s' * (dim != 1)}, level {self.level:g})"


def fit_noise(
    model: Any, x: Any, groups: Any = None, offset: str | None = None, batch_size: int | None = None, verbose: Any = 0
) -> Noise:
    """Fits the noise of samples around the decoder, and keeps it beside the model."""
    owner = model.adapter.named("fit_noise")
    _check_trained(model, owner)
    rows = model.adapter.check_rows("fit_noise", "x", x, groups, offset)
    chosen, origin = _held_out(model, rows.sample)
    samples = rows.sample[chosen]
    if len(samples) < 2:
        raise ValueError(f"{owner}: `x` must hold at least two samples. Received: x.shape={tuple(rows.sample.shape)}.")
    known = None if rows.known is None else rows.known[chosen]
    flat = _flat(model, samples, known)
    noise = Noise(_kind(model, flat), len(flat), origin)
    varies = np.fmax.reduce(flat, axis=0) - np.fmin.reduce(flat, axis=0)
    constant = ~(varies > _CONSTANT * np.fmax.reduce(np.abs(flat), axis=0))  # or never known
    if constant.all():
        raise ValueError(f"{owner}: `x` must hold a column that is not constant. Received: {len(flat)} equal samples.")
    if noise.kind == "gaussian":
        points = use.predicted(model, samples, batch_size, verbose)["point"]
        decoded = batches.predict(model.codec[1].predict, points, batch_size, verbose).reshape(flat.shape)
        noise.scale = _sizes_of(model, np.square(flat - decoded), np.ones(len(flat), bool), constant)
    else:
        noise.scale = np.ones(model.sample_shape)
    for last in (False, True):  # a grid is as fine as the noise and the blur ask for
        search = _search(model, noise, not last)
        used = _expectation_maximization(model, search, flat, constant)
        if isinstance(search, Modes):
            break
        if not last:
            search.blur(flat[used])
    model.noise = noise
    search = model.fitted.derived("search", lambda: _search(model, noise))
    noise.misfit = gamma_of(search.deviances(flat))
    return noise


def posterior(
    model: Any,
    x: Any,
    level: float = 0.9,
    groups: Any = None,
    offset: str | None = None,
    batch_size: int | None = None,
    verbose: Any = "auto",
) -> Posterior:
    """The posterior of samples."""
    owner = model.adapter.named("posterior")
    level = checks.positive_float(owner, "level", level)
    if level >= 1:
        raise ValueError(f"{owner}: `level` must lie between 0 and 1. Received: level={level}.")
    _check_trained(model, owner)
    if model.noise is None:
        raise ValueError(
            f"{owner}: needs the noise of the samples. Received: a model without it. Call fit_noise(x) first, best "
            f"with samples that the model was not trained on."
        )
    return of_rows(model, model.adapter.check_rows("posterior", "x", x, groups, offset), level, batch_size, verbose)


def of_rows(model: Any, rows: Rows, level: float, batch_size: int | None = None, verbose: Any = 0) -> Posterior:
    """The posterior of samples that were checked: of those of their cells that are known."""
    search = model.fitted.derived("search", lambda: _search(model, model.noise))
    parts = []
    for start in range(0, max(len(rows.sample), 1), _BLOCK):
        block = rows[start : start + _BLOCK]
        flat = _flat(model, block.sample, block.known)
        found = search.summary(flat, level, batch_size, verbose)
        if rows.scaling is not None:  # a density in the units of the data
            ones, zeros = np.ones(block.sample.shape, "float32"), np.zeros(block.sample.shape, "float32")
            units = _flat(model, block.in_units(ones) - block.in_units(zeros), block.known)
            found["log_likelihood"] -= np.nansum(np.log(units) * (model.noise.scale.ravel() > 0), axis=1)
        parts.append(found)
    return Posterior(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]}, level=level)


def _check_trained(model: Any, owner: str) -> None:
    if not (model.was_trained or model.trained_rows is None):
        raise ValueError(f"{owner}: needs a trained model. Received: a model before its training. Call fit(x) first.")


def _search(model: Any, noise: Noise, coarse: bool = False) -> grid.Grid | Modes:
    """What finds places: a grid where it can be fine enough, or may be too coarse, or a search for modes."""
    size = grid.size_for(model, noise, coarse)
    return Modes(model, noise) if size is None else grid.Grid(model, noise, size)


def _flat(model: Any, samples: np.ndarray, known: Any) -> np.ndarray:
    """Samples as rows of float64, NaN where a cell is not known."""
    flat = samples.reshape(len(samples), math.prod(model.sample_shape)).astype("float64")
    return flat if known is None else np.where(np.reshape(known, flat.shape), flat, np.nan)


def _held_out(model: Any, samples: np.ndarray) -> tuple[np.ndarray, str]:
    """Some of the rows that the model was not trained on, where they are enough, or of all; and which these are."""
    numbers = None if model.trained_rows is None else fingerprints.of_rows(samples)
    chosen, origin = np.arange(len(samples)), "unknown"
    if numbers is not None:
        new = np.flatnonzero(~np.isin(numbers, model.trained_rows))
        held_out = len(new) >= min(_FEW_ROWS, len(samples))
        chosen, origin = (new, "held out") if held_out else (chosen, "training")
    most = _MOST_ROWS.get(getattr(model.space, "dim", 0), 0) if isinstance(model.space, Torus) else 0
    most = most or _MOST_ROWS_OF_MODES
    if len(chosen) > most:
        chosen = np.sort(np.random.default_rng(0).choice(chosen, most, replace=False))
    return chosen, origin


def _kind(model: Any, flat: np.ndarray) -> str:
    """The kind of noise that the model's loss says."""
    loss = getattr(model.objective, "argument", None)
    name = loss if isinstance(loss, str) else getattr(loss, "name", getattr(loss, "__name__", ""))
    if name == "poisson":
        return "poisson"
    if name == "binary_crossentropy" and np.isin(flat[np.isfinite(flat)], (0.0, 1.0)).all():
        return "bernoulli"
    return "gaussian"


def _sizes_of(model: Any, squares: np.ndarray, used: np.ndarray, constant: np.ndarray) -> np.ndarray:
    """The standard deviations of squares `(num, size)`, NaN where not known: one for each column, or one for images."""
    total, known = np.nansum(squares[used], axis=0), np.sum(~np.isnan(squares[used]), axis=0)
    mean = total / np.maximum(known, 1)
    if len(model.sample_shape) > 1:
        mean = np.full_like(mean, total[~constant].sum() / known[~constant].sum())
    return np.where(constant, 0.0, np.sqrt(np.maximum(mean, 1e-30))).reshape(model.sample_shape)


def _expectation_maximization(model: Any, search: Any, flat: np.ndarray, constant: np.ndarray) -> np.ndarray:
    """Fits the sizes of Gaussian noise to rows at places that are not known. Sets those of the search's noise.

    Returns which rows count.

    The expectation of a square over the posterior has no bias from the angles, as the square at the best angle has.
    Rows whose misfit lies beyond that of the noise do not count.
    """
    from scipy import special

    noise, rounds = search.noise, _ROUNDS_OF_MODES if isinstance(search, Modes) else _ROUNDS
    used = np.ones(len(flat), bool)
    for _ in range(rounds if noise.kind == "gaussian" else 0):
        squares, deviance = search.expected_squares(flat)
        shape, scale = gamma_of(deviance)
        used = deviance < scale * special.gammaincinv(shape, 1 - _TRIMMED)
        before, noise.scale = noise.scale, _sizes_of(model, squares, used, constant)
        search.set_tables()
        if np.max(np.abs(noise.scale - before)) <= _TOLERANCE * np.max(before):
            break
    return used
