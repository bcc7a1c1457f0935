"""Maps of a circle onto itself: circular rational-quadratic splines, for NumPy arrays and for tensors.

Positions are in turns, `[0, 1)`. Knots lie on the last axis: bin `k` has the width and height `k`, and the slope `k` at
its left end. The right end of the last bin is the left end of the first.

Durkan, Bekasov, Murray & Papamakarios (2019), arXiv:1906.04032, eq. 4 to 8, for the spline; Rezende et al. (2020),
arXiv:2002.02428, section 3.1, for the circle. The scale of slopes and the turn are torusae choices.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from torusae._internal.checks import Tensor

_LEAST_SIZE = 0.01  # of a bin, in parts of the mean: bounds the density of a circle
_LEAST_SLOPE = 0.05  # at a knot, in parts of the slope of the bins beside it


class Spline(NamedTuple):
    """A spline for each entry of the leading axes."""

    widths: Tensor
    heights: Tensor
    slopes: Tensor


def library(values: Tensor) -> Any:
    """NumPy for arrays, `keras.ops` for tensors: the functions used here have the same names in both."""
    return np if isinstance(values, np.ndarray) else ops


def spline(parameters: Tensor) -> Spline:
    """The spline of `(..., 3 * num_bins)` unbounded parameters. All 0 gives the identity."""
    xp = library(parameters)
    widths, heights, slopes = xp.split(parameters, 3, axis=-1)
    widths, heights = _shares(xp, widths), _shares(xp, heights)
    chords = heights / widths
    # Relative to the chords beside a knot, a steep bin needs no large parameter.
    scale = xp.sqrt(chords * xp.roll(chords, 1, axis=-1))
    positive = xp.logaddexp(slopes, xp.zeros_like(slopes)) / math.log(2)
    return Spline(widths, heights, scale * (_LEAST_SLOPE + (1 - _LEAST_SLOPE) * positive))


def _shares(xp: Any, values: Tensor) -> Tensor:
    exponentials = xp.exp(values - xp.max(values, axis=-1, keepdims=True))
    shares = exponentials / xp.sum(exponentials, axis=-1, keepdims=True)
    return _LEAST_SIZE / values.shape[-1] + (1 - _LEAST_SIZE) * shares


def forward(x: Tensor, of: Spline) -> tuple[Tensor, Tensor]:
    """The images of positions `(...)` and the logarithms of the derivative there."""
    xp = library(x)
    left, width, bottom, height, first, last = _bins(xp, x, of.widths, of)
    t = xp.clip((x - left) / width, 0.0, 1.0)
    chord, s = height / width, t * (1 - t)
    bend = chord + (first + last - 2 * chord) * s
    y = bottom + height * (chord * t * t + first * s) / bend
    rise = last * t * t + 2 * chord * s + first * (1 - t) * (1 - t)
    return y, 2 * xp.log(chord) + xp.log(rise) - 2 * xp.log(bend)


def inverse(y: Tensor, of: Spline) -> Tensor:
    """The positions whose images are `y`, in closed form."""
    xp = library(y)
    left, width, bottom, height, first, last = _bins(xp, y, of.heights, of)
    chord, rise = height / width, xp.clip((y - bottom) / height, 0.0, 1.0)
    # a t² + b t + c = 0. The root is written so that nothing cancels where a is small.
    curvature = first + last - 2 * chord
    a, b, c = chord - first + rise * curvature, first - rise * curvature, -chord * rise
    root = 2 * c / (-b - xp.sqrt(xp.maximum(b * b - 4 * a * c, 0.0)))
    return left + width * root


def turn(of: Spline) -> Tensor:
    """The turn after which the map moves points by 0 on average, by the trapezoid rule on the knots.

    A conditional map is then close to the identity for narrow densities too, wherever they lie on the circle.
    """
    xp = library(of.widths)
    tops = xp.cumsum(of.heights, axis=-1)
    return 0.5 - xp.sum(of.widths * (tops - of.heights / 2), axis=-1)


def _bins(xp: Any, positions: Tensor, sizes: Tensor, of: Spline) -> tuple[Tensor, ...]:
    """Left end, width, bottom, height, and the slopes at both ends of each position's bin along `sizes`."""
    ends = xp.cumsum(sizes, axis=-1)[..., :-1]
    passed = xp.where(ends <= positions[..., None], xp.ones_like(ends), xp.zeros_like(ends))
    edge = xp.ones_like(passed[..., :1])
    passed, reached = xp.concatenate([passed, 0 * edge], axis=-1), xp.concatenate([edge, passed], axis=-1)
    # Sums with 0 and 1 in place of lookups, whose gradients are slow scatters on some backends.
    inside = reached - passed
    values = (of.widths * passed, of.widths * inside, of.heights * passed, of.heights * inside)
    slopes = (of.slopes * inside, xp.roll(of.slopes, -1, axis=-1) * inside)
    return tuple(xp.sum(each, axis=-1) for each in (*values, *slopes))
