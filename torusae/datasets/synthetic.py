"""Data made from angles that are known: tables and tiny images."""

import itertools
import math

import keras
import numpy as np

from torusae._internal import checks

_WAVES = 4  # waves in a column of `torus_table`: enough that no column depends on one circle alone
# The largest float32 below π: a float64 just below π can round up to a float32 above π.
_BELOW_PI = np.nextafter(np.float32(math.pi), np.float32(0))


def torus_table(
    num_samples: int,
    dim: int = 3,
    columns: int = 50,
    noise: float = 0.0,
    seed: int | np.random.Generator | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """A table of smooth nonlinear functions of uniform angles, with the true angles.

    Formula: `column = (Σ_w a_w cos(k_w·φ + δ_w) + noise ε) / sqrt(1 + noise²)`, with four waves in a column (two for
    `dim=1`) from `k = e_i`, `2 e_i` and `e_i ± e_j`, normal amplitudes `a`, scaled to variance 1, uniform phases `δ`,
    and standard normal noise `ε`.

    Over the torus every column has mean 0 and variance 1 exactly. A model without labels can find the angles only up to
    a change of coordinates: the order of the circles, their directions, their zeros, integer combinations. With one
    seed, a smaller table is the beginning of a larger one.

    Args:
        num_samples: Integer, rows of the table.
        dim: Integer, number of circles. Defaults to `3`.
        columns: Integer. Defaults to `50`.
        noise: Float, not negative, standard deviation of the noise relative to that of a column. Defaults to `0.0`.
        seed: Integer or NumPy generator; the same integer gives the same table. Defaults to `None`.

    Returns:
        The pair of a float32 array `(num_samples, columns)` and the angles, float32 `(num_samples, dim)`, radians,
        `[-π, π)`, independent and uniform.

    Example:

    >>> import torusae.datasets
    >>> table, angles = torusae.datasets.torus_table(1000, dim=2, seed=0)
    >>> table.shape, angles.shape
    ((1000, 50), (1000, 2))
    """
    num_samples = checks.positive_int("torus_table", "num_samples", num_samples)
    dim = checks.positive_int("torus_table", "dim", dim)
    columns = checks.positive_int("torus_table", "columns", columns)
    noise = checks.positive_float("torus_table", "noise", noise, zero_allowed=True)
    map_generator, angle_generator, noise_generator = checks.generators("torus_table", seed, 3)

    unit = np.eye(dim, dtype=int)
    pairs = [unit[i] + sign * unit[j] for i, j in itertools.combinations(range(dim), 2) for sign in (1, -1)]
    waves = np.array([*unit, *(2 * unit), *pairs])  # (num_waves, dim), all different up to sign
    amplitudes = np.zeros((len(waves), columns))
    for column in range(columns):
        chosen = map_generator.choice(len(waves), min(_WAVES, len(waves)), replace=False)
        amplitudes[chosen, column] = map_generator.standard_normal(len(chosen))
    # Different waves are orthogonal on the torus: the variance of their sum is half the sum of squared amplitudes.
    amplitudes *= np.sqrt(2 / (amplitudes**2).sum(axis=0))
    phases = map_generator.uniform(-math.pi, math.pi, amplitudes.shape)

    angles = _uniform_angles(angle_generator, num_samples, dim)
    arguments = angles.astype("float64") @ waves.T  # (num_samples, num_waves)
    table = np.cos(arguments) @ (amplitudes * np.cos(phases)) - np.sin(arguments) @ (amplitudes * np.sin(phases))
    if noise:
        table = (table + noise * noise_generator.standard_normal(table.shape)) / math.sqrt(1 + noise**2)
    return table.astype("float32"), angles


def hue_images(
    num_samples: int, size: int = 16, seed: int | np.random.Generator | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Tiny colour images of the hand of a clock. Its hue and its direction are the two angles of a torus.

    The hand is a soft line from the centre outwards, so opposite directions differ. The colour of hue `h` is
    `(1 + cos(h - 2πc/3)) / 2` in the channels `c = 0, 1, 2`: red at 0, green at 2π/3, blue at -2π/3.

    Args:
        num_samples: Integer.
        size: Integer, at least 8, pixels on a side. Defaults to `16`.
        seed: Integer or NumPy generator; the same integer gives the same images. Defaults to `None`.

    Returns:
        The pair of float32 images in [0, 1], `(num_samples, size, size, 3)`, or `(num_samples, 3, size, size)` where
        `keras.config.image_data_format()` is `"channels_first"`, and the angles `(hue, direction)`, float32
        `(num_samples, 2)`, radians, `[-π, π)`, independent and uniform. Direction 0 points right, π/2 up.

    Example:

    >>> import torusae.datasets
    >>> torusae.datasets.hue_images(100, seed=0)[1].shape
    (100, 2)

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, fig. 1: two hues and two rotations, two ways between each.
    """
    num_samples = checks.positive_int("hue_images", "num_samples", num_samples)
    size = checks.positive_int("hue_images", "size", size, least=8)
    (generator,) = checks.generators("hue_images", seed, 1)
    angles = _uniform_angles(generator, num_samples, 2)
    hue, direction = angles[:, 0, None], angles[:, 1, None, None]
    colours = (1 + np.cos(hue - 2 * np.pi / 3 * np.arange(3, dtype="float32"))) / 2  # (num_samples, 3)
    axis = (np.arange(size, dtype="float32") + 0.5) / size * 2 - 1
    x, y = axis[None, None, :], -axis[None, :, None]  # rows run downwards, y upwards
    along = np.cos(direction) * x + np.sin(direction) * y  # (num_samples, size, size)
    across = np.cos(direction) * y - np.sin(direction) * x
    beyond = along - np.clip(along, 0.0, 0.75)  # the hand ends at three quarters of the way
    brightness = np.exp(-(beyond**2 + across**2) / (2 * 0.13**2))
    images = np.clip(brightness[..., None] * colours[:, None, None, :], 0.0, 1.0).astype("float32")
    if keras.config.image_data_format() == "channels_first":
        images = np.ascontiguousarray(np.moveaxis(images, -1, 1))
    return images, angles


def _uniform_angles(generator: np.random.Generator, num_samples: int, dim: int) -> np.ndarray:
    angles = generator.uniform(-math.pi, math.pi, (num_samples, dim)).astype("float32")
    return np.clip(angles, -_BELOW_PI, _BELOW_PI)
