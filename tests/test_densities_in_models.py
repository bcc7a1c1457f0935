"""Densities in a model: fitted, sampled, saved in the weights of its file."""

import json

import keras
import numpy as np
import pytest

import torusae
from torusae import densities


def tiny_model(latent=None):
    latent = latent or torusae.TorusLatent(2)
    encoder = torusae.networks.dense_encoder((5,), units=(8,))
    return torusae.TorusAutoencoder(
        encoder, torusae.networks.dense_decoder((5,), latent.space.code_size, units=(8,)), latent
    )


def product_model():
    return tiny_model(torusae.Latent(torusae.Torus(2) * torusae.Gaussian(1)))


def data(num=200):
    return np.random.default_rng(2).normal(size=(num, 5)).astype("float32")


@pytest.mark.parametrize("name", ["mixture", "kernel", "neighbors", "flow"])
def test_a_model_keeps_its_density(name, tmp_path):
    model = tiny_model()
    prior = model.sample(7, seed=0, verbose=0)
    density = model.fit_density(data(), name, seed=0, verbose=0)
    assert density is model.density
    np.testing.assert_array_equal(model.sample(7, seed=0, verbose=0, density="prior"), prior)
    samples = model.sample(7, seed=0, verbose=0, density="fitted")
    np.testing.assert_array_equal(model.sample(7, seed=0, verbose=0), samples)  # the default
    assert samples.shape == (7, 5)
    np.testing.assert_array_equal(samples, model.decode(density.sample(7, seed=0), verbose=0))
    # Codes of the data are likelier than points of the prior.
    points = model.encode(data(), verbose=0)
    assert density.log_likelihood(points) > density.log_likelihood(model.latent.space.sample(200, seed=0))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.density.get_config() == density.get_config()
    assert repr(loaded.density) == repr(density)
    np.testing.assert_array_equal(loaded.sample(7, seed=0, verbose=0, density="fitted"), samples)


def test_a_model_of_a_product_keeps_its_density(tmp_path):
    model = product_model()
    density = model.fit_density(data(), "neighbors", seed=0, verbose=0)
    samples = model.sample(7, seed=0, verbose=0, density="fitted")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert repr(loaded.density) == repr(density) == "PathDensity(200 points of Torus(2) * Gaussian(1))"
    np.testing.assert_array_equal(loaded.sample(7, seed=0, verbose=0, density="fitted"), samples)


def test_the_largest_kernel_density_adds_little_to_a_file(tmp_path):
    model = tiny_model(torusae.TorusLatent(3))
    model.save(tmp_path / "without.keras")
    model.density = densities.TorusKernelDensity(bandwidth=0.1).fit(torusae.Torus(3).sample(6000, seed=0))
    model.save(tmp_path / "with.keras")
    added = (tmp_path / "with.keras").stat().st_size - (tmp_path / "without.keras").stat().st_size
    assert added < 130_000  # 5000 points of 6 numbers, 4 bytes each
    assert len(json.dumps(model.get_config())) < 10_000
    assert keras.saving.load_model(tmp_path / "with.keras").density.points.shape == (5000, 6)


def test_a_file_without_a_density_has_no_key_for_it():
    model = tiny_model()
    config = model.get_config()
    assert "density" not in config
    assert type(model).from_config(config).density is None


def test_a_density_of_ones_own():
    class Same:
        def fit(self, points):
            self.point = points[:1]

        def sample(self, num_samples, seed=None):
            return np.repeat(self.point, num_samples, axis=0)

    model = tiny_model()
    density = Same()
    assert model.fit_density(data(), density, verbose=0) is density
    assert np.ptp(model.sample(3, density="fitted", verbose=0), axis=0).max() < 1e-6


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda m: m.sample(3, density="fitted"), ValueError, r"needs a fitted density.*Call fit_density\(x\)"),
        (lambda m: m.sample(3, density="fited"), ValueError, "must be one of .*Did you mean 'fitted'"),
        (lambda m: m.fit_density(data(), "mixtur"), ValueError, "Did you mean 'mixture'"),
        (
            lambda m: m.fit_density(data(), 3),
            TypeError,
            r"`density` must be one of \['flow', 'mixture', 'kernel', 'neighbors'\], or an object",
        ),
        (lambda m: m.fit_density(data(), densities.VonMisesMixture), TypeError, "Received: density=<class"),
        (lambda m: m.fit_density(data()[:, :4]), ValueError, "must have shape"),
        (lambda m: product_model().fit_density(data(), "mixture"), ValueError, r"must be one of \['neighbors'\]"),
    ],
)
def test_model_errors(call, error, match):
    with pytest.raises(error, match=match):
        call(tiny_model())
