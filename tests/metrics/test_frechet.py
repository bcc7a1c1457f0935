"""The Fréchet distance beside SciPy's matrix root."""

import numpy as np
import pytest
import scipy.linalg

from torusae import metrics


def test_frechet_distance_of_known_normals():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(400, 3)), rng.normal(size=(300, 3)) @ rng.normal(size=(3, 3)) + 1
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    root = scipy.linalg.sqrtm(cov_a @ cov_b).real
    expected = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(cov_a + cov_b - 2 * root)
    # float32 holds the features to 6e-8.
    np.testing.assert_allclose(metrics.frechet_distance(a, b), expected, rtol=1e-5)
    np.testing.assert_allclose(metrics.frechet_distance(b, a), expected, rtol=1e-5)
    assert metrics.frechet_distance(a, a) < 1e-9
    assert metrics.frechet_distance(a[:, :1], a[:, :1] + 2) == pytest.approx(4, rel=1e-5)


def test_frechet_distance_of_bad_input():
    good = np.zeros((5, 2), "float32")
    with pytest.raises(ValueError, match=r"`a` must hold at least 2 rows. Received: a.shape=\(1, 2\)"):
        metrics.frechet_distance(good[:1], good)
    with pytest.raises(ValueError, match=r"the same number of features\. Received: 2 and 1"):
        metrics.frechet_distance(good, good[:, :1])
    with pytest.raises(ValueError, match=r"`b` must hold finite numbers only. Received: nan at position \(0, 0\)"):
        metrics.frechet_distance(good, good * np.nan)
