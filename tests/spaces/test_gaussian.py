"""Gaussian and product spaces in closed form, and every system of the paper's comparison trained for a few steps."""

import keras
import numpy as np
import pytest
import scipy.stats
from shared.tensors import to_numpy, to_tensor

import torusae
from torusae.diagnostics import prior_statistics

PRODUCT = torusae.Torus(2) * torusae.Gaussian(3)


def samples(num=70, size=5):
    return np.random.default_rng(0).normal(size=(num, size)).astype("float32")


SYSTEMS = [(torusae.Gaussian(2), name) for name in torusae.Gaussian(2).presets]
SYSTEMS += [(torusae.Gaussian(2, variational=True), "vae")]


@pytest.mark.eager
@pytest.mark.parametrize(("space", "losses"), SYSTEMS, ids=lambda v: str(v))
def test_every_system_trains(space, losses):
    model = torusae.TorusAutoencoder.from_shape((5,), space, losses=losses)
    model.compile("adam", "mse")
    x = samples(64)
    history = model.fit(x, batch_size=32, epochs=2, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())
    points = model.encode(x, verbose=0)
    np.testing.assert_array_equal(points, model.encode(x, verbose=0))  # nothing random outside of training


def test_variational_points_are_drawn_in_training_alone():
    latent = torusae.Latent(torusae.Gaussian(2, variational=True))
    x = samples()
    point = to_numpy(latent(x))
    mean, log_variance = np.split(to_numpy(latent.projection(to_tensor(x))), 2, axis=1)
    np.testing.assert_allclose(point, mean, atol=1e-6)
    drawn = [to_numpy(latent(x, training=True)) for _ in range(200)]
    # 200 draws: five standard errors of a mean, and 10 standard errors of a deviation (70 * 2 of them are compared).
    deviation = np.exp(log_variance / 2)
    assert (np.abs(np.mean(drawn, axis=0) - mean) < 5 * deviation / 200**0.5).all()
    assert (np.abs(np.std(drawn, axis=0) / deviation - 1) < 0.5).all()


def test_losses_of_a_variational_space_read_the_means():
    """What the losses of WAE and its like were made for: not the draws. Those of a VAE read means and variances."""
    space = torusae.Gaussian(2, variational=True)
    raw = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
    for preset in space.presets[:-1]:
        (term,) = space.terms(preset)
        part = space.view(term.reads, to_tensor(raw), to_tensor(raw[:, 2:]))
        np.testing.assert_array_equal(to_numpy(part), raw if preset == "vae" else raw[:, :2])


def test_gaussian_sample_distance_paths_and_statistics():
    space = torusae.Gaussian(3)
    point = to_numpy(space.sample(3000, seed=2))
    for i in range(3):
        assert scipy.stats.kstest(point[:, i], scipy.stats.norm.cdf).pvalue > 1e-3
    a, b = to_tensor(point[:5]), to_tensor(point[5:10])
    expected = np.linalg.norm(point[:5] - point[5:10], axis=1)
    np.testing.assert_allclose(to_numpy(space.distance(a, b)), expected, rtol=1e-5)
    path = to_numpy(space.paths(point[0], point[1], space.windings(point[0], point[1]), 5))
    np.testing.assert_allclose(path[0], np.linspace(point[0], point[1], 5), atol=1e-6)
    statistic = prior_statistics(space, point.astype("float64"))["ks"]
    expected = [scipy.stats.kstest(column, scipy.stats.norm.cdf).statistic for column in point.T]
    np.testing.assert_allclose(statistic.value, expected, atol=1e-6)
    # The mean of the Kolmogorov distribution: sqrt(π / 2) log 2.
    assert statistic.chance == pytest.approx(np.sqrt(np.pi / 2) * np.log(2) / np.sqrt(3000), rel=1e-3)


def test_interpolation_is_the_path_of_a_gaussian_space():
    start, end = (to_tensor(each) for each in np.random.default_rng(0).normal(size=(2, 3)).astype("float32"))
    for name in ("linear", "variance_preserving", "slerp"):
        (path,) = to_numpy(torusae.Gaussian(3, interpolation=name).paths(start, end, np.zeros((1, 0), int), 4))
        expected = torusae.paths.interpolate(start, end, [0.0, 1 / 3, 2 / 3, 1.0], name)
        np.testing.assert_allclose(path, to_numpy(expected), atol=1e-6)


def test_product_is_its_factors_side_by_side():
    torus, gaussian = PRODUCT.factors
    point = to_numpy(PRODUCT.sample(6, seed=0))
    assert point.shape == (6, 7)
    whole, left, right = (to_tensor(each) for each in (point, point[:, :4], point[:, 4:]))
    for name, factor, own in (("torus.angles", torus, left), ("torus.radii", torus, left)):
        part = factor.view(name.split(".")[1], own, own)
        np.testing.assert_array_equal(to_numpy(PRODUCT.view(name, whole, whole)), to_numpy(part))
    np.testing.assert_array_equal(to_numpy(PRODUCT.view("gaussian.point", whole, whole)), point[:, 4:])
    np.testing.assert_array_equal(to_numpy(PRODUCT.angles(whole)), to_numpy(torus.angles(left)))
    read = np.concatenate([to_numpy(torus.head_input(left)), to_numpy(gaussian.head_input(right))], axis=1)
    np.testing.assert_array_equal(to_numpy(PRODUCT.head_input(whole)), read)
    distances = [factor.distance(own[:3], own[3:]) for factor, own in ((torus, left), (gaussian, right))]
    expected = np.linalg.norm([to_numpy(each) for each in distances], axis=0)
    np.testing.assert_allclose(to_numpy(PRODUCT.distance(whole[:3], whole[3:])), expected, rtol=1e-5)
    windings = PRODUCT.windings(whole[0], whole[1])
    own = torus.windings(left[0], left[1])
    np.testing.assert_array_equal(to_numpy(windings), to_numpy(own))
    paths = to_numpy(PRODUCT.paths(whole[0], whole[1], windings, 6))
    assert paths.shape == (4, 6, 7)
    np.testing.assert_allclose(paths[:, :, :4], to_numpy(torus.paths(left[0], left[1], own, 6)), atol=1e-6)
    np.testing.assert_allclose(paths[2, :, 4:], np.linspace(point[0, 4:], point[1, 4:], 6), atol=1e-6)


@pytest.mark.parametrize(
    ("preset", "torus", "gaussian"),
    [("default", "uniform", "cwae"), ("paper", "paper", "cwae"), ("wae", "uniform", "wae")],
)
def test_a_factor_without_the_preset_takes_its_own_default(preset, torus, gaussian):
    expected = [f"torus.{term.name}" for term in torusae.Torus(2).terms(torus)]
    expected += [f"gaussian.{term.name}" for term in torusae.Gaussian(3).terms(gaussian)]
    assert [term.name for term in PRODUCT.terms(preset)] == expected


def test_products_of_products_are_flat():
    assert repr(PRODUCT * torusae.Torus(1)) == "Torus(2) * Gaussian(3) * Torus(1)"
    assert (PRODUCT * torusae.Torus(1)).names == ["torus_0", "gaussian", "torus_1"]
    assert repr(torusae.Gaussian(1) * PRODUCT) == "Gaussian(1) * Torus(2) * Gaussian(3)"
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(PRODUCT))
    assert repr(again) == repr(PRODUCT)


def test_bad_input():
    for call, error, message in [
        (lambda: torusae.Torus(2) * 3, TypeError, "only spaces can be multiplied"),
        (lambda: torusae.Product([torusae.Torus(2)]), ValueError, "two or more spaces"),
        (lambda: torusae.Gaussian(0), ValueError, "`dim` must be at least 1"),
        (lambda: torusae.Gaussian(2).terms("vae"), ValueError, r"Use Gaussian\(2, variational=True\)"),
        (lambda: torusae.Gaussian(2).terms("cwa"), ValueError, "Did you mean 'cwae'"),
        (lambda: PRODUCT.terms("papr"), ValueError, "Did you mean 'paper'"),
        (lambda: torusae.Gaussian(2).view("mean", *[np.zeros((1, 2))] * 2), ValueError, "`view` must be one of"),
        (lambda: PRODUCT.view("angles", *[np.zeros((1, 7))] * 2), ValueError, "Did you mean 'torus.angles'"),
        (lambda: PRODUCT.paths(np.zeros(7), np.zeros(7), np.zeros((1, 3), int)), ValueError, r"\(num_paths, 2\)"),
        (lambda: torusae.Gaussian(2, interpolation="slerp2"), ValueError, "Did you mean 'slerp'"),
        (lambda: torusae.Gaussian(2).paths(*np.eye(2), [[1]]), ValueError, r"integers of shape \(num_paths, 0\)"),
        (lambda: torusae.Gaussian(2).angles(np.zeros((1, 2))), ValueError, r"Gaussian\(2\) has no angles"),
        (
            lambda: (torusae.Gaussian(2) * torusae.Gaussian(1)).angles(np.zeros((1, 3))),
            ValueError,
            r"Gaussian\(2\) \* Gaussian\(1\) has no angles",
        ),
    ]:
        with pytest.raises(error, match=message):
            call()
