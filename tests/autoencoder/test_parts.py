"""A `TorusAutoencoder` and its parts inside other models, and parts that are replaced, cloned and shared."""

import keras
import numpy as np
import pytest
from shared.tables import SHAPE, assert_same, autoencoder, plain_model, samples
from shared.tensors import to_numpy, to_tensor

import torusae

pytestmark = pytest.mark.eager


class Wrapped(keras.Model):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def call(self, x):
        return self.inner(x)["reconstruction"]


def wrapped(kind, inner):
    inputs = keras.Input(SHAPE)
    if kind == "functional":
        return keras.Model(inputs, inner(inputs)["reconstruction"])
    if kind == "parts":
        return keras.Model(inputs, inner.decoder_model(inner.encoder_model(inputs)["point"]))
    return Wrapped(inner)


def weights_after_a_step(kind=None, preset="uniform"):
    keras.utils.set_random_seed(0)
    inner = autoencoder(torusae.TorusLatent(2, preset))
    model = wrapped(kind, inner) if kind else inner
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.train_on_batch(samples(), samples())
    return [to_numpy(variable) for variable in inner.trainable_variables]


def test_models_around_it_take_the_step_of_the_autoencoder_alone():
    alone, without = weights_after_a_step(), weights_after_a_step(preset="none")
    assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(alone, without, strict=True))
    for kind in ("functional", "subclassed"):
        assert_same(weights_after_a_step(kind), alone, rtol=1e-4, atol=1e-5)
    # The plain encoder and decoder are for use: they hold no terms.
    assert_same(weights_after_a_step("parts"), without, rtol=1e-4, atol=1e-5)


def test_a_decoder_that_was_replaced_is_neither_trained_nor_saved(tmp_path):
    x, model = samples(), autoencoder()
    old = model.decoder
    model.decoder = torusae.networks.dense_decoder(SHAPE, 4, units=(5,))
    kept = [to_numpy(variable) for variable in old.trainable_variables]
    parts = (model.encoder, model.latent, model.decoder)
    assert len(model.trainable_variables) == sum(len(part.trainable_variables) for part in parts)
    model.compile("adam", "mse")
    model.fit(x, batch_size=64, verbose=0)  # a warning of variables without gradients would fail
    assert_same([to_numpy(variable) for variable in old.trainable_variables], kept)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        loaded.predict(x, verbose=0)["reconstruction"], model.predict(x, verbose=0)["reconstruction"]
    )


def test_a_new_encoder_is_the_one_that_encodes():
    x, model = samples(), autoencoder()
    before = model.encode(x, verbose=0)
    model.encoder = torusae.networks.dense_encoder(SHAPE, units=(8,))
    after = model.encode(x, verbose=0)
    np.testing.assert_allclose(after, to_numpy(model.latent(model.encoder(to_tensor(x)))), atol=1e-6)
    assert np.abs(after - before).max() > 1e-3


def test_an_encoder_shared_by_two_autoencoders(tmp_path):
    encoder = torusae.networks.dense_encoder(SHAPE, units=(8,))
    x = samples(8)
    for _ in range(2):
        decoder = torusae.networks.dense_decoder(SHAPE, 4, units=(8,))
        model = torusae.TorusAutoencoder(encoder, decoder, 2)
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        np.testing.assert_allclose(loaded.encode(x, verbose=0), model.encode(x, verbose=0), atol=1e-6)


@pytest.mark.parametrize(
    "make",
    [lambda: autoencoder(heads={"digit": torusae.Head("classification", 2, units=(4,))}), plain_model],
    ids=["autoencoder", "plain"],
)
def test_a_clone_has_the_structure_and_fresh_weights(make):
    x, model = samples(), make()
    clone = keras.models.clone_model(model)
    pairs = list(zip(model.trainable_variables, clone.trainable_variables, strict=True))
    assert [a.shape for a, _ in pairs] == [b.shape for _, b in pairs]
    assert any(np.abs(to_numpy(a) - to_numpy(b)).max() > 1e-3 for a, b in pairs if len(a.shape) == 2)
    before = [to_numpy(variable) for variable in model.trainable_variables]
    clone.compile("adam", "mse")
    clone.train_on_batch(x, {"digit": np.arange(len(x)) % 2} if hasattr(clone, "heads") else x)
    assert_same([to_numpy(variable) for variable in model.trainable_variables], before)
    clone.set_weights(model.get_weights())
    outputs = [each(to_tensor(x)) for each in (model, clone)]
    outputs = [each["reconstruction"] if isinstance(each, dict) else each for each in outputs]
    np.testing.assert_allclose(*map(to_numpy, outputs), atol=1e-6)
