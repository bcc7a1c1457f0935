"""Bessel functions of the von Mises distribution in NumPy, so that SciPy is needed by the tests alone."""

import numpy as np

_LARGE = 50.0  # from here on, six terms of the asymptotic series of I1 / I0 are exact to 1e-11
_VERY_LARGE = 500.0  # np.i0 overflows at 713
_ORDERS = 120  # terms of the continued fraction: enough for 1e-11 below _LARGE


def log_i0(kappa: np.ndarray) -> np.ndarray:
    """The logarithm of the Bessel function I0. It stays finite where I0 overflows."""
    large = np.maximum(kappa, _VERY_LARGE)
    x = 1 / (8 * large)
    series = np.log1p(x + 4.5 * x**2 + 37.5 * x**3 + 459.375 * x**4)
    exact = np.log(np.i0(np.minimum(kappa, _VERY_LARGE)))
    return np.where(kappa < _VERY_LARGE, exact, large - np.log(2 * np.pi * large) / 2 + series)


def mean_resultant(kappa: np.ndarray) -> np.ndarray:
    """`A(κ) = I1(κ) / I0(κ)`, the mean resultant length of a von Mises distribution."""
    small = np.minimum(kappa, _LARGE)
    ratio = np.zeros_like(small)
    for order in range(_ORDERS, 0, -1):
        ratio = small / (2 * order + small * ratio)
    x = 1 / np.maximum(kappa, _LARGE)
    series = 1 - x / 2 - x**2 / 8 - x**3 / 8 - 25 / 128 * x**4 - 13 / 32 * x**5 - 1073 / 1024 * x**6
    return np.where(kappa < _LARGE, ratio, series)


def concentration(length: np.ndarray, least: float, largest: float) -> np.ndarray:
    """The κ between `least` and `largest` whose mean resultant length is nearest to `length`.

    Best & Fisher (1981) for the starting value. Newton's method refines it.
    """
    r = np.clip(length, mean_resultant(np.array(least)), mean_resultant(np.array(largest)))
    kappa = np.where(
        r < 0.53,
        2 * r + r**3 + 5 / 6 * r**5,
        np.where(r < 0.85, -0.4 + 1.39 * r + 0.43 / (1 - r), 1 / (r**3 - 4 * r**2 + 3 * r)),
    )
    for _ in range(4):
        a = mean_resultant(kappa)
        kappa = np.clip(kappa - (a - r) / (1 - a**2 - a / kappa), least, largest)
    return kappa
