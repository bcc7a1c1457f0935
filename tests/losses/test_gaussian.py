"""Losses to the standard normal distribution beside their definitions: integrals, sums over lines, quantiles."""

import math

import keras
import numpy as np
import pytest
import scipy.integrate
import scipy.stats
from shared.tensors import compiled, gradient, to_tensor

import torusae

GAUSSIAN = {
    "mmd": torusae.losses.maximum_mean_discrepancy,
    "cramer_wold": torusae.losses.cramer_wold_loss,
    "distance": torusae.losses.gaussian_distance_loss,
}
OBJECTS = [
    torusae.losses.MMDLoss(),
    torusae.losses.SlicedWassersteinLoss(num_directions=7, seed=2),
    torusae.losses.CramerWoldLoss(),
    torusae.losses.GaussianDistanceLoss(),
]


def values_of(batch=9, dim=3, seed=0):
    return (1.3 * np.random.default_rng(seed).normal(size=(batch, dim)) + 0.2).astype("float32")


def mean_kernel(distribution, widths):
    """E of Σ C / (C + d²) for a distribution of d², by numerical integration."""
    widths = np.array(widths)
    return scipy.integrate.quad(lambda s: (widths / (widths + s)).sum() * distribution.pdf(s), 0, np.inf, limit=400)[0]


def mmd_by_integrals(x):
    num, dim = x.shape
    widths = [2.0 * dim * scale for scale in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)]
    within = sum(
        c / (c + ((x[s] - x[u]) ** 2).sum()) for s in range(num) for u in range(num) if s != u for c in widths
    ) / (num * (num - 1))
    between = mean_kernel(scipy.stats.chi2(dim, scale=2), widths)  # z - z' is normal with variance 2
    cross = sum(mean_kernel(scipy.stats.ncx2(dim, (row**2).sum()), widths) for row in x) / num
    return within + between - 2 * cross


def cramer_wold_by_lines(x):
    """The L2 distance of smoothed densities on lines, from its definition, averaged over the directions."""
    num, dim = x.shape
    smoothing = (4 / (3 * num)) ** 0.4
    if dim == 2:
        turn = np.linspace(0, math.pi, 400, endpoint=False)
        lines = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    else:  # evenly spread over the sphere
        height = (np.arange(20001) + 0.5) / 20001 * 2 - 1
        turn = np.arange(20001) * math.pi * (1 + math.sqrt(5))
        lines = np.stack([np.sqrt(1 - height**2) * np.cos(turn), np.sqrt(1 - height**2) * np.sin(turn), height], axis=1)
    projections = lines @ x.T  # (lines, num)

    def normal(d, variance):
        return np.exp(-(d**2) / (2 * variance)) / np.sqrt(2 * math.pi * variance)

    within = normal(projections[:, :, None] - projections[:, None, :], 2 * smoothing).mean()
    return within + normal(0.0, 2 + 2 * smoothing) - 2 * normal(projections, 1 + 2 * smoothing).mean()


def distance_by_scipy(x):
    num, dim = x.shape

    def half(found):
        quantiles = scipy.stats.chi2(dim).ppf((np.arange(len(found)) + 0.5) / len(found))
        return ((np.sort(found) - quantiles) ** 2).mean()

    pairs = [((x[s] - x[u]) ** 2).sum() / 2 for s in range(num) for u in range(s)]
    return (half((x**2).sum(axis=1)) + half(np.array(pairs))) / (dim * (dim + 2))


DEFINITIONS = {"mmd": mmd_by_integrals, "cramer_wold": cramer_wold_by_lines, "distance": distance_by_scipy}


@pytest.mark.parametrize(("dim", "batch"), [(2, 6), (3, 6), (2, 2)])  # two rows are one pair
@pytest.mark.parametrize("name", GAUSSIAN)
def test_value_and_gradient_are_those_of_the_definition(name, dim, batch):
    x = values_of(batch, dim).astype("float64")
    expected = DEFINITIONS[name](x)
    value, slope = gradient(GAUSSIAN[name], x.astype("float32"), compile=True)
    # The lattice of directions on the sphere is good to about 1e-4; float32 sums of O(1) kernels to 1e-6.
    np.testing.assert_allclose(value, expected, rtol=1e-3 if name == "cramer_wold" and dim == 3 else 2e-5, atol=2e-6)
    for index in ((0, 0), (batch - 2, 1)):
        step = np.zeros_like(x)
        step[index] = 1e-4
        difference = (DEFINITIONS[name](x + step) - DEFINITIONS[name](x - step)) / 2e-4
        np.testing.assert_allclose(slope[index], difference, rtol=2e-3, atol=1e-4 * np.abs(slope).max())


def test_sliced_wasserstein_is_the_sorted_distance_on_each_line():
    x, directions = values_of(8, 3), np.random.default_rng(1).normal(size=(5, 3)).astype("float32")
    quantiles = scipy.stats.norm.ppf((np.arange(8) + 0.5) / 8)
    unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    expected = np.mean([((np.sort(x @ line) - quantiles) ** 2).mean() for line in unit])
    value, slope = gradient(lambda a: torusae.losses.sliced_wasserstein_loss(a, to_tensor(directions)), x, compile=True)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    assert np.abs(slope).max() > 0


def test_kl_is_the_integral():
    mean, log_variance = 0.7, -0.9
    posterior = scipy.stats.norm(mean, math.exp(log_variance / 2))
    expected = scipy.integrate.quad(
        lambda z: posterior.pdf(z) * (posterior.logpdf(z) - scipy.stats.norm.logpdf(z)), -8, 8
    )[0]
    value, slope = gradient(torusae.losses.kl_loss, np.array([[mean, log_variance]], "float32"))
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    np.testing.assert_allclose(slope, [[mean, (math.exp(log_variance) - 1) / 2]], rtol=1e-5)
    assert np.isfinite(gradient(torusae.losses.kl_loss, np.array([[0.0, 500.0]], "float32"))[1]).all()


@pytest.mark.parametrize("dim", [1, 4, 25])
@pytest.mark.parametrize("name", GAUSSIAN)
def test_losses_do_not_know_directions_or_order(name, dim):
    x = values_of(10, dim)
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(dim, dim)))[0].astype("float32")
    before = float(GAUSSIAN[name](to_tensor(x)))
    after = float(GAUSSIAN[name](to_tensor(x[::-1] @ turn)))
    assert after == pytest.approx(before, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("name", GAUSSIAN)
def test_the_prior_has_less_than_what_is_shifted_wide_or_flat(name):
    loss = compiled(GAUSSIAN[name])
    normal = np.random.default_rng(0).normal(size=(256, 2)).astype("float32")
    healthy = float(loss(to_tensor(normal)))
    for ill in (normal + 1, 2 * normal, normal * [1, 0.3]):
        assert float(loss(to_tensor(ill.astype("float32")))) > healthy + 1e-3


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("loss", OBJECTS, ids=lambda loss: loss.name)
def test_small_batches_and_equal_points_are_finite(loss, batch):
    for x in (values_of(batch), np.zeros((batch, 3), "float32")):
        value, slope = gradient(loss, x)
        assert np.isfinite(value)
        assert np.isfinite(slope).all()


@pytest.mark.parametrize("loss", [*OBJECTS, torusae.losses.KLLoss()], ids=lambda loss: loss.name)
def test_serialized_loss_gives_the_same(loss):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert again.get_config() == loss.get_config()
    assert type(again) is type(loss)


def test_bad_input():
    for call, error, message in [
        (lambda: torusae.losses.maximum_mean_discrepancy(np.zeros(3, "float32")), ValueError, r"\(batch, dim\)"),
        (lambda: torusae.losses.sliced_wasserstein_loss(values_of(), values_of(4, 2)), ValueError, "as many columns"),
        (lambda: torusae.losses.kl_loss(values_of()), ValueError, "dim means followed by dim log variances"),
        (lambda: torusae.losses.cramer_wold_loss(np.zeros((3, 2), int)), TypeError, "floating-point"),
    ]:
        with pytest.raises(error, match=message):
            call()
