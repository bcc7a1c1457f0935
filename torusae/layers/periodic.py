"""Layers for periodic inputs: angles from points, points from angles."""

import math
from collections.abc import Sequence
from typing import Any

import keras

from torusae._internal import checks
from torusae.angles import harmonics, to_polar


class Float32Layer(keras.layers.Layer):
    """A layer in float32 by default, under a mixed policy too: angles of half precision tie (float64 stays)."""

    def __init__(self, **kwargs: Any):
        if kwargs.get("dtype") is None:
            kwargs["dtype"] = checks.working_dtype(keras.config.floatx())
        super().__init__(**kwargs)

    def compute_output_spec(self, *args, **kwargs):
        """What a traced call returns. Beside `compute_output_shape` Keras' own would take the dtype from the policy."""
        return keras.Operation.compute_output_spec(self, *args, **kwargs)


@keras.saving.register_keras_serializable(package="torusae")
class Polar(Float32Layer):
    """Radii and angles `[-π, π)` of points of circles, with finite value and gradient everywhere. See `to_polar`.

    Args:
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`; `dtype` is float32 by default under any policy).

    Call arguments:
        points: Float tensor `(..., 2 * dim)`, all x values first, then all y values.

    Returns:
        The pair `(radii, angles)`, each `(..., dim)`, with the mask of the points.

    Example:

    >>> import keras, torusae
    >>> radii, angles = torusae.Polar()(keras.ops.ones((1, 2)))
    >>> round(float(angles[0, 0]), 4)
    0.7854
    """

    def build(self, points_shape):
        _check_columns("Polar", "points", "(..., 2 * dim)", points_shape, "For one circle use keras.Input((2,)).")

    def call(self, points):
        return to_polar(points)

    def compute_mask(self, points, mask=None):
        return mask, mask

    def compute_output_shape(self, points_shape):
        shape = (*points_shape[:-1], points_shape[-1] // 2)
        return shape, shape


def _check_columns(owner: str, name: str, layout: str, shape: Sequence[int | None], advice: str) -> None:
    if not shape or shape[-1] is None:
        raise ValueError(
            f"{owner}: `{name}` must have shape {layout} with a known dim. Received: shape={tuple(shape)}. {advice}"
        )


@keras.saving.register_keras_serializable(package="torusae")
class CircularEmbedding(Float32Layer):
    """Embeds periodic values as points on unit circles, so that a network sees no seam.

    Hours, weekdays, degrees or angles: each column of the input has a period. Any real value is accepted and read
    modulo its period. One harmonic gives one point on a circle for each value. More harmonics let a linear layer
    make sharper functions of it.

    Formula: `values -> (cos(k φ), sin(k φ))` with `φ = 2π values / period` and `k = 1..num_harmonics`. All cosines come
    first, then all sines; within each half, harmonic 1 of all columns, then harmonic 2 of all, and so on. See
    `torusae.angles.harmonics`.

    Args:
        num_harmonics: Integer, at least 1, the number of multiples of each angle. Defaults to `1`.
        period: Positive float, or a sequence of them, one for each column: `(24, 7)` for hours and weekdays. Defaults
            to `2π`, radians.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`; `dtype` is float32 by default under any policy).

    Call arguments:
        values: Float tensor `(..., dim)`, in the unit of the period. Cast integers first.

    Returns:
        Tensor `(..., 2 * num_harmonics * dim)`. NaN and infinity give NaN in their own columns.

    Raises:
        TypeError: If an argument is of the wrong type; in a call, if the values are not floating-point numbers.
        ValueError: If a period is not positive or `num_harmonics` is below 1; in a call, if the number of periods is
            not that of the columns.

    Notes:
        Accuracy in float32, where integers are exact up to 2^24, hours since 1970 among them:

        - Harmonic `k` is within `k · 5e-7`, for values up to 80 periods from 0. With a period that is a whole number it
          is for any value up to 2^24.
        - Otherwise as `wrap_angles`: about `k · 2e-6` at 1000 periods, `k` times half a step of the value at most.
        - Seconds since 1970 are 128 s apart: reduce them first, `seconds % 86400` in NumPy, or give `dtype="float64"`.

    Example:

    >>> import keras, torusae
    >>> layer = torusae.CircularEmbedding()
    >>> keras.ops.convert_to_numpy(layer(keras.ops.zeros((1, 2)))).tolist()
    [[1.0, 1.0, 0.0, 0.0]]
    >>> hour_and_weekday = torusae.CircularEmbedding(num_harmonics=3, period=(24, 7))
    >>> hour_and_weekday(keras.ops.zeros((5, 2))).shape[1]
    12

    Reference:
        Hyndman & Athanasopoulos (2021), Forecasting: Principles and Practice, section 7.4 (Fourier terms).
    """

    def __init__(self, num_harmonics: int = 1, period: float | Sequence[float] = 2 * math.pi, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.num_harmonics = checks.positive_int("CircularEmbedding", "num_harmonics", num_harmonics)
        self.period = checks.periods("CircularEmbedding", period)

    def build(self, values_shape):
        advice = "For one value per sample use keras.Input((1,))."
        _check_columns("CircularEmbedding", "values", "(..., dim)", values_shape, advice)
        checks.periods("CircularEmbedding", self.period, "values", values_shape)

    def call(self, values):
        return harmonics(values, self.num_harmonics, self.period)

    def compute_output_shape(self, values_shape):
        return (*values_shape[:-1], 2 * self.num_harmonics * values_shape[-1])

    def get_config(self):
        """Returns the constructor's arguments."""
        period = list(self.period) if isinstance(self.period, tuple) else self.period
        return {**super().get_config(), "num_harmonics": self.num_harmonics, "period": period}
