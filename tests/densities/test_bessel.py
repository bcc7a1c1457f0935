"""Bessel functions beside SciPy's."""

import numpy as np
from scipy import special

from torusae.densities import _bessel

KAPPAS = np.array([1e-3, 0.1, 0.5, 1, 3, 10, 49.9, 50, 50.1, 100, 499, 500, 501, 700, 1000])


def test_bessel_functions_are_scipys():
    # Far from zero the logarithm, not I0 itself, is what must be right.
    np.testing.assert_allclose(_bessel.log_i0(KAPPAS), np.log(special.ive(0, KAPPAS)) + KAPPAS, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(
        _bessel.mean_resultant(KAPPAS), special.ive(1, KAPPAS) / special.ive(0, KAPPAS), rtol=1e-10
    )


def test_concentration_inverts_the_resultant():
    lengths = special.ive(1, KAPPAS) / special.ive(0, KAPPAS)
    np.testing.assert_allclose(_bessel.concentration(lengths, 1e-3, 1e3), KAPPAS, rtol=1e-6)
    np.testing.assert_allclose(_bessel.concentration(np.array([0.0, 1.0]), 1e-3, 1e3), [1e-3, 1e3], rtol=1e-6)
