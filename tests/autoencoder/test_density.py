"""Densities in a model: fitted, sampled, saved in the weights of its file."""

import h5py
import keras
import numpy as np
import pytest
from shared import tables

import torusae
from torusae import densities


def tiny_model(latent=None, **arguments):
    latent = latent or torusae.TorusLatent(2)
    encoder = torusae.networks.dense_encoder((5,), units=(8,))
    decoder = torusae.networks.dense_decoder((5,), latent.space.decoder_input_size, units=(8,))
    return torusae.TorusAutoencoder(encoder, decoder, latent, **arguments)


def product_model():
    return tiny_model(torusae.Latent(torusae.Torus(2) * torusae.Gaussian(1)))


def data(num=200):
    return np.random.default_rng(2).normal(size=(num, 5)).astype("float32")


@pytest.mark.parametrize(
    "given", ["mixture", "neighbors", densities.TorusFlow(epochs=2, seed=0)], ids=["mixture", "neighbors", "flow"]
)
def test_a_model_keeps_its_density(given, tmp_path):
    model = tiny_model()
    prior = model.sample(7, seed=0, verbose=0)
    density = model.fit_density(data(), given, seed=0, verbose=0)
    assert density is model.density
    np.testing.assert_array_equal(model.sample(7, seed=0, verbose=0, density="prior"), prior)
    samples = model.sample(7, seed=0, verbose=0, density="fitted")
    np.testing.assert_array_equal(model.sample(7, seed=0, verbose=0), samples)  # the default
    assert samples.shape == (7, 5)
    np.testing.assert_array_equal(samples, model.decode(density.sample(7, seed=0), verbose=0))
    if given != "neighbors":  # points of the data are likelier than points of the prior
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


def test_a_file_without_a_density_has_no_key_for_it(tmp_path):
    model = tiny_model()
    model.save_weights(tmp_path / "model.weights.h5")
    with h5py.File(tmp_path / "model.weights.h5") as file:
        assert "density" not in file["vars"]
    assert type(model).from_config(model.get_config()).density is None


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


def test_model_errors():
    for call, error, match in [
        (lambda m: m.sample(3, density="fitted"), ValueError, r"needs a fitted density.*Call fit_density\(x\)"),
        (lambda m: m.sample(3, density="fited"), ValueError, "must be one of .*Did you mean 'fitted'"),
        (lambda m: m.fit_density(data(), "mixtur"), ValueError, "Did you mean 'mixture'"),
        (
            lambda m: m.fit_density(data(), 3),
            TypeError,
            r"`density` must be one of \['flow', 'mixture', 'neighbors'\], or an object",
        ),
        (lambda m: m.fit_density(data(), densities.VonMisesMixture), TypeError, "Received: density=<class"),
        (lambda m: m.fit_density(data()[:, :4]), ValueError, "must have shape"),
        (lambda m: product_model().fit_density(data(), "mixture"), ValueError, r"must be one of \['neighbors'\]"),
        (
            lambda m: m.angles(data(), uniform=True),
            ValueError,
            "needs a fitted flow. Received: None. Call fit",
        ),
        (
            lambda m: product_model().angles(data(), uniform=True),
            ValueError,
            r"uniform=True needs a flow, and only a torus has one. Received: Torus\(2\) \* Gaussian\(1\)",
        ),
    ]:
        with pytest.raises(error, match=match):
            call(tiny_model())


# A density belongs to the weights that it was fitted with


@pytest.fixture(scope="module")
def once():
    """A model, trained for few steps, with a flow."""
    keras.utils.set_random_seed(3)
    model = tiny_model()
    model.compile("adam", "mse")
    model.fit(data(400), batch_size=100, verbose=0)
    model.fit_density(data(400), densities.TorusFlow(epochs=1, seed=0), verbose=0)
    return model, model.get_weights(), model.density


@pytest.fixture
def fitted(once):
    """That model as it was trained, whatever a test before has done to it."""
    model, weights, density = once
    model.set_weights(weights)
    model.density = density
    return model


def test_nothing_but_fit_density_fits_or_prints(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(densities.TorusFlow, "fit", lambda *_: pytest.fail("a density was fitted"))
    keras.utils.set_random_seed(3)
    model = tiny_model()
    model.compile("adam", "mse")
    model.fit(data(400), batch_size=100, verbose=0, callbacks=[keras.callbacks.ModelCheckpoint(tmp_path / "a.keras")])
    model.save(tmp_path / "b.keras")
    assert model.density is None
    prior = model.sample(5, seed=0, density="prior", verbose=0)
    np.testing.assert_array_equal(model.sample(5, seed=0, verbose=0), prior)
    with pytest.raises(ValueError, match=r"Call fit_density\(x, 'flow'\)"):
        model.angles(data(), uniform=True, verbose=0)
    assert capsys.readouterr() == ("", "")


def test_a_fitted_flow_is_what_samples_and_uniform_angles_come_from(fitted):
    model = fitted
    drawn = model.sample(5, seed=0, verbose=0)
    np.testing.assert_array_equal(model.decode(model.density.sample(5, seed=0), verbose=0), drawn)
    uniform = model.density.to_uniform(model.angles(data(), verbose=0)).astype("float32")
    np.testing.assert_array_equal(model.angles(data(), uniform=True, verbose=0), uniform)
    assert "Through TorusFlow" in str(torusae.diagnose(model, data()))


def iter_batches():
    while True:
        yield (data(50),)


@pytest.mark.parametrize(
    "change",
    [
        lambda model, path: model.fit(data(100), batch_size=100, verbose=0),
        lambda model, path: model.fit(iter_batches(), steps_per_epoch=1, shuffle=False, verbose=0),
        lambda model, path: model.train_on_batch(data(100)),
        lambda model, path: model.set_weights(model.get_weights()),
        lambda model, path: model.load_weights(path),
    ],
    ids=["fit", "stream", "train_on_batch", "set_weights", "load_weights"],
)
def test_other_weights_forget_the_density(change, fitted, tmp_path):
    model, path = fitted, tmp_path / "m.weights.h5"
    density, model.density = model.density, None
    model.save_weights(path)
    model.density = density
    change(model, path)
    assert model.density is None


def test_weights_of_a_file_bring_their_density(fitted, tmp_path):
    model, path = fitted, tmp_path / "m.weights.h5"
    drawn = model.sample(3, seed=0, verbose=0)
    model.save_weights(path)
    model.fit(data(100), batch_size=100, verbose=0)
    model.load_weights(path)
    np.testing.assert_array_equal(model.sample(3, seed=0, verbose=0), drawn)


def test_bad_data_and_other_calls_leave_the_density(fitted, tmp_path):
    model, density = fitted, fitted.density
    with pytest.raises(ValueError, match="must have shape"):
        model.fit(data()[:, :3], verbose=0)
    model.evaluate(data(), verbose=0)
    model.predict(data(), verbose=0)
    model.save(tmp_path / "m.keras")
    assert model.density is density


def test_a_density_of_another_space_is_refused(fitted, tmp_path):
    model, other = fitted, tiny_model(torusae.Latent(torusae.Gaussian(4)))
    with pytest.raises(ValueError, match="model's space"):
        tiny_model(torusae.TorusLatent(3)).density = model.density
    for name in ("encoder", "decoder"):
        getattr(other, name).set_weights(getattr(model, name).get_weights())
    # Points of as many columns, which are no circles.
    model.save_weights(tmp_path / "m.weights.h5")
    with pytest.raises(ValueError, match=r"the file's density must be one of this model.*it is of Torus"):
        other.load_weights(tmp_path / "m.weights.h5")


@pytest.mark.parametrize("name", ["mixture", "neighbors", pytest.param("flow", marks=pytest.mark.slow)])
def test_a_damaged_density_of_a_file_is_named(name, tmp_path):
    model, path = tiny_model(), tmp_path / "m.weights.h5"
    model.fit_density(data(), name, seed=0, verbose=0)
    other = tiny_model(torusae.TorusLatent(3))
    other.fit_density(data(), name, seed=0, verbose=0)
    array = next(key for key, values in model.density.state().items() if values.ndim > 1)
    turned = model.density.state()[array]
    turned[0, 0] = np.nan
    for key, values, message in [
        (f"density:{array}", turned, "must hold finite numbers only"),
        (f"density:{array}", other.density.state()[array], "must hold arrays that fit one another"),
        (f"density:{array}", None, "must hold the arrays"),
        ("density", np.frombuffer(b"{", "uint8"), "JSONDecodeError"),
    ]:
        model.save_weights(path)
        with h5py.File(path, "r+") as file:
            store = file["vars"]
            del store[key]
            if values is not None:
                store[key] = values
        again = tiny_model()
        with pytest.raises(ValueError, match=rf"the file's density must be one of this model.*{message}"):
            again.load_weights(path)
        assert again.density is None


def test_an_interrupted_fit_keeps_the_model(fitted, monkeypatch):
    model = fitted
    before, density = model.encode(data(), verbose=0), model.density

    def interrupted(self, points):
        raise KeyboardInterrupt

    monkeypatch.setattr(densities.TorusFlow, "_fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.fit_density(data(), verbose=0)
    np.testing.assert_array_equal(model.encode(data(), verbose=0), before)
    assert model.density is density


class OwnDensity:
    """A density that Keras does not know."""

    def fit(self, points):
        self.points = np.array(points)

    def sample(self, num_samples, seed=None):
        return np.random.default_rng(seed).choice(self.points, num_samples)


def test_a_model_with_a_density_of_ones_own_is_saved_without_it_and_says_so(tmp_path):
    x, model = tables.samples(), tables.autoencoder()
    model.train_on_batch(x, x)
    model.fit_density(x, OwnDensity(), verbose=0)
    with pytest.warns(UserWarning, match="is not saved with the model.*register_keras_serializable"):
        model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.density is None
    np.testing.assert_allclose(loaded.encode(x, verbose=0), model.encode(x, verbose=0), atol=1e-6)
    with pytest.raises(ValueError, match="needs a fitted density"):
        loaded.sample(2, density="fitted", verbose=0)
    with pytest.warns(UserWarning, match="is not saved"):
        model.save_weights(tmp_path / "model.weights.h5")


@keras.saving.register_keras_serializable(package="torusae_tests")
class RegisteredDensity(OwnDensity):
    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls()

    def state(self):
        return {"points": self.points}

    def set_state(self, state):
        self.points = state["points"]


def test_a_registered_density_of_ones_own_comes_back(tmp_path):
    x, model = tables.samples(), tables.autoencoder()
    model.train_on_batch(x, x)
    model.fit_density(x, RegisteredDensity(), verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        loaded.sample(4, seed=0, density="fitted", verbose=0),
        model.sample(4, seed=0, density="fitted", verbose=0),
        atol=1e-6,
    )
