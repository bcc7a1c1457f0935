"""The weighted sum of squared moments against loops over every frequency, and the levels of noise."""

import numpy as np
import pytest
import reference
from shared.tensors import compiled_on_jax, gradient, on_jax, to_numpy, to_tensor

import torusae


@pytest.mark.parametrize(
    ("dim", "max_frequency", "interactions"),
    [(1, 3, 1), (2, 2, 1), (2, 2, 2), (3, 4, 3), (4, 2, 2), (4, 2, 3), (4, 1, 4), (6, 1, 4), (5, 2, 1)],
)
@pytest.mark.parametrize("decay", [0.0, 1.0, 2.5])
def test_moments_match_loops_over_the_frequencies(rng, dim, max_frequency, interactions, decay):
    angles = rng.uniform(-3, 3, (5, dim))
    value, slope = gradient(
        lambda a: torusae.diaphony_loss(a, max_frequency, interactions, decay), angles, compile=decay == 1 or dim > 2
    )

    def expected(a):
        return reference.finite_diaphony(a, max_frequency, interactions, decay)

    np.testing.assert_allclose(value, expected(angles), rtol=2e-5)
    step = np.zeros_like(angles)
    step[2, -1] = 1e-5
    difference = (expected(angles + step) - expected(angles - step)) / 2e-5
    np.testing.assert_allclose(slope[2, -1], difference, atol=3e-5 * np.abs(slope).max())


@pytest.mark.parametrize(("dim", "max_frequency", "interactions"), [(1, 3, 1), (3, 2, 3), (5, 1, 2), (4, 2, 3)])
def test_the_number_of_vectors_is_counted(dim, max_frequency, interactions):
    assert torusae.angles.num_vectors(dim, max_frequency, interactions) == len(
        torusae.angles.integer_vectors(dim, max_frequency, interactions)
    )


@pytest.mark.skipif(on_jax(), reason="JAX computes in float32 unless jax_enable_x64 is set")
def test_float64_stays_float64(rng):
    angles = rng.uniform(-3, 3, (7, 3))
    for interactions in (2, 3):
        value = to_numpy(torusae.diaphony_loss(to_tensor(angles, "float64"), 2, interactions, 1.0))
        np.testing.assert_allclose(value, reference.finite_diaphony(angles, 2, interactions, 1.0), rtol=1e-12)


BATCH = 12


@pytest.mark.parametrize(
    ("loss", "columns", "mean"),
    [
        (torusae.DiaphonyLoss(), 2, 1 / BATCH),
        (torusae.DiaphonyLoss(max_frequency=3, interactions=1, decay=1.0), 3, 1 / BATCH),
        (torusae.losses.CircularWassersteinLoss(), 2, 1 / BATCH),
        (torusae.losses.SlicedLoss(num_directions=8), 3, 1 / BATCH),
        (torusae.losses.ProductMomentLoss(), 1, 0.0),
        (torusae.losses.ProductMomentLoss(), 3, 2 * (BATCH - 1) / BATCH**2),
        (torusae.losses.MMDLoss(), 2, 0.0),
    ],
    ids=lambda item: getattr(item, "name", item),
)
def test_mean_over_points_of_the_prior_is_the_documented_one(rng, loss, columns, mean):
    uniform = loss.reads == "angles"
    points = [
        rng.uniform(-np.pi, np.pi, (BATCH, columns)) if uniform else rng.normal(size=(BATCH, columns))
        for _ in range(300)
    ]
    fast = compiled_on_jax(loss)  # on TensorFlow each call of `compiled` is traced again
    found = [float(fast(to_tensor(x))) for x in points]
    # Four standard errors of the mean.
    assert np.mean(found) == pytest.approx(mean, abs=4 * np.std(found) / np.sqrt(len(found)) + 1e-7)
