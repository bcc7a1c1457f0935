"""Densities in a model: fitted, sampled, saved in the weights of its file."""

import json
import re
import warnings

import h5py
import keras
import numpy as np
import pytest

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
        (lambda m: tiny_model(density="flwo"), ValueError, "`density` must be one of .*'auto'.*Did you mean 'flow'"),
        (lambda m: tiny_model(density=3), ValueError, "`density` must be one of .*Received: density=3"),
    ],
)
def test_model_errors(call, error, match):
    with pytest.raises(error, match=match):
        call(tiny_model())


# The density that `fit` fits


@pytest.fixture
def fits(monkeypatch):
    """The number of points of every fit of a flow. The fits are of 60 steps: these tests are not about its quality."""
    made, fit = [], densities.TorusFlow.fit

    def short(self, points):
        made.append(len(points))
        self.epochs = 1
        return fit(self, points)

    monkeypatch.setattr(densities.TorusFlow, "fit", short)
    return made


def compiled(*arguments, **options):
    model = tiny_model(*arguments, **options)
    model.compile("adam", "mse")
    return model


def fitted(num=400, **options):
    keras.utils.set_random_seed(3)
    model = compiled()
    model.fit(data(num), batch_size=100, verbose=0, **options)
    return model


def test_fit_leaves_a_flow_that_is_fitted_when_it_is_asked_for(fits, tmp_path):
    model = fitted()
    assert not fits
    prior = model.sample(5, seed=0, density="prior", verbose=0)
    assert not fits
    drawn = model.sample(5, seed=0, verbose=0)
    assert fits == [400]
    assert np.abs(drawn - prior).max() > 1e-3
    np.testing.assert_array_equal(model.decode(model.density.sample(5, seed=0), verbose=0), drawn)
    uniform = model.density.to_uniform(model.angles(data(), verbose=0)).astype("float32")
    np.testing.assert_array_equal(model.angles(data(), uniform=True, verbose=0), uniform)
    assert "Through TorusFlow" in str(torusae.diagnose(model, data()))
    assert fits == [400]
    # Its points are the codes of the training data, under the weights at the end.
    codes = model.encode(data(400), verbose=0)
    # Batches of other sizes: sums in another order, float32.
    np.testing.assert_allclose(model.density.points, codes, atol=1e-5)


def test_the_seed_of_the_process_is_the_seed_of_the_flow(fits):
    first, second = fitted(), fitted()
    np.testing.assert_array_equal(first.sample(5, seed=0, verbose=0), second.sample(5, seed=0, verbose=0))
    assert first.density.seed == second.density.seed
    first.fit(data(400), batch_size=100, verbose=0)
    assert first.density.seed != second.density.seed


def test_a_flow_that_nobody_asked_for_is_saved(fits, tmp_path):
    model, other = fitted(), fitted()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert fits == [400]
    assert not loaded.density_is_stale
    np.testing.assert_array_equal(loaded.sample(5, seed=0, verbose=0), other.sample(5, seed=0, verbose=0))
    # In the second training, a file of every epoch keeps the flow of the first.
    path = tmp_path / "later.keras"
    other.fit(data(400), batch_size=100, verbose=0, callbacks=[keras.callbacks.ModelCheckpoint(path)])
    assert keras.saving.load_model(path).density_is_stale
    assert not other.density_is_stale


def test_fit_says_what_it_fitted(fits, capsys):
    keras.utils.set_random_seed(3)
    model = compiled()
    model.fit(data(400), batch_size=100, verbose=2)
    capsys.readouterr()
    density = model.density
    said = capsys.readouterr().out
    line = r"Fitted TorusFlow to 400 points of the training in \d+\.\d s: held-out log likelihood -\d\.\d{3} nats\.\n"
    assert re.fullmatch(line, said)
    assert f"{density.held_out:.3f}" in said
    assert fitted().density is not None
    assert not capsys.readouterr().out  # verbose=0


@pytest.mark.parametrize(
    "train",
    [
        lambda m: m.fit(data(299), batch_size=100, verbose=0),
        lambda m: m.fit(data(400), batch_size=100, epochs=0, verbose=0),
        lambda m: m.fit(iter_batches(), steps_per_epoch=2, shuffle=False, verbose=0),
        lambda m: m.fit(data(400) * 1e30, batch_size=100, verbose=0, callbacks=[keras.callbacks.TerminateOnNaN()]),
    ],
    ids=["few rows", "no epoch", "stream", "not finite"],
)
def test_fit_leaves_no_density(train, fits):
    model = compiled()
    train(model)
    assert model.density is None
    assert not fits


def iter_batches():
    while True:
        yield (data(50),)


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda: compiled(density=None), "NoneType"),
        (lambda: compiled(density="mixture"), "VonMisesMixture"),
        (lambda: compiled(density="flow"), "TorusFlow"),
        (lambda: compiled(torusae.Latent(torusae.Gaussian(2))), "NoneType"),
        (lambda: compiled(torusae.Latent(torusae.Gaussian(2)), density="neighbors"), "PathDensity"),
        (lambda: compiled(torusae.Latent(torusae.Torus(2) * torusae.Gaussian(1))), "NoneType"),
    ],
)
def test_the_density_can_be_chosen(make, found, fits):
    model = make()
    model.fit(data(300), batch_size=100, verbose=0)
    assert type(model.density).__name__ == found
    clone = type(model).from_config(model.get_config())
    assert clone.get_config()["density"] == model.get_config()["density"]
    assert torusae.TorusAutoencoder.from_shape((5,), 1, density=None).get_config()["density"] is None


def test_only_training_rows_count_and_at_most_60000(fits, monkeypatch):
    model = fitted(500, validation_split=0.2)
    assert model.density is not None
    assert fits == [400]
    monkeypatch.setattr(torusae.autoencoder._density, "_MOST_ROWS", 350)
    model = fitted()
    assert len(model.density.points) == 350
    codes = model.encode(data(400), verbose=0)
    nearest = np.abs(model.density.points[:, None] - codes).max(axis=-1)
    # A choice of rows without repetition, each the code of a sample up to float32.
    assert nearest.min(axis=1).max() < 1e-5
    assert len(set(nearest.argmin(axis=1))) == 350


def test_a_density_is_stale_when_the_weights_have_changed(fits, tmp_path):
    model = fitted()
    assert model.density is not None
    assert not model.density_is_stale
    model.fit(iter_batches(), steps_per_epoch=1, shuffle=False, verbose=0)
    assert model.density_is_stale
    with pytest.warns(UserWarning, match=r"TorusAutoencoder.sample: the weights changed.*Call fit_density\(x\)"):
        model.sample(2, verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model.sample(2, verbose=0)  # once
    model.save(tmp_path / "model.keras")
    for call in (
        lambda m: m.sample(2, verbose=0),
        lambda m: m.angles(data(), uniform=True, verbose=0),
        lambda m: m.morph(data()[0], data()[1], uniform=True, verbose=0),
    ):
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        assert loaded.density_is_stale
        with pytest.warns(UserWarning, match="the weights changed after the density was fitted"):
            call(loaded)
    assert "The weights changed after the flow was fitted." in str(torusae.diagnose(loaded, data()))
    loaded.fit_density(data(), "flow", seed=0, verbose=0)
    assert not loaded.density_is_stale
    assert "The weights changed" not in str(torusae.diagnose(loaded, data()))
    loaded.fit(data(299), batch_size=100, verbose=0)
    assert loaded.density_is_stale
    loaded.fit(data(300), batch_size=100, verbose=0)
    assert not loaded.density_is_stale


def test_an_interrupted_fit_of_the_flow_loses_nothing(monkeypatch):
    model = fitted()
    before = model.encode(data(), verbose=0)

    def interrupted(self, points):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(densities.TorusFlow, "_fit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            model.sample(2, verbose=0)
    np.testing.assert_array_equal(model.encode(data(), verbose=0), before)
    monkeypatch.setattr(densities.TorusFlow, "_fit", lambda self, points: setattr(self, "kernel_1", None))
    monkeypatch.setattr(densities.TorusFlow, "_prepare", lambda self: None)
    assert model.density.is_fitted  # the next call fits it


def test_memory_mapped_rows_are_encoded_in_blocks(fits, tmp_path, monkeypatch):
    x = data(4000)
    np.save(tmp_path / "x.npy", x)
    model = compiled()
    calls, predict = [], torusae._internal.batches.predict

    def noted(function, rows, *arguments, **options):
        calls.append(len(rows))
        return predict(function, rows, *arguments, **options)

    monkeypatch.setattr(torusae.autoencoder._density.batches, "predict", noted)
    model.fit(np.load(tmp_path / "x.npy", mmap_mode="r"), batch_size=50, verbose=0)
    assert calls == [800] * 5
    np.testing.assert_allclose(model._density.points, model.encode(x, verbose=0), atol=1e-5)
