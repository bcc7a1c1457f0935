"""A small table of two hidden angles, and models of it."""

import keras
import numpy as np

import torusae
from shared.tensors import to_numpy

SHAPE = (6,)


def samples(num=128, seed=0):
    """A small table: two hidden angles in six columns, with noise."""
    rng = np.random.default_rng(seed)
    angles = rng.uniform(-np.pi, np.pi, (num, 2))
    waves = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    mixing = np.random.default_rng(99).normal(size=(4, *SHAPE))
    return (waves @ mixing + 0.05 * rng.normal(size=(num, *SHAPE))).astype("float32")


def plain_model(latent=None, **options):
    """A Keras model with a torus, as a stranger writes it."""
    latent = latent or torusae.TorusLatent(2)
    layers = [keras.Input(SHAPE), keras.layers.Dense(8, "relu"), latent, keras.layers.Dense(*SHAPE)]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.Adam(0.01), "mse", **options)
    return model


def autoencoder(latent=2, heads=None, seed=None, **options):
    if seed is not None:
        keras.utils.set_random_seed(seed)
    latent = torusae.TorusLatent(latent) if isinstance(latent, int) else latent
    encoder = torusae.networks.dense_encoder(SHAPE, units=(8,))
    decoder = torusae.networks.dense_decoder(SHAPE, latent.space.decoder_input_size, units=(8,))
    model = torusae.TorusAutoencoder(encoder, decoder, latent, heads)
    model.compile(keras.optimizers.Adam(0.01), "mse", **options)
    return model


class Informed(keras.Model):
    def __init__(self, latent):
        super().__init__()
        self.first, self.latent, self.last = keras.layers.Dense(8, "relu"), latent, keras.layers.Dense(*SHAPE)

    def call(self, x, training=None):
        return self.last(self.latent(self.first(x), training=training))


class Uninformed(Informed):
    def call(self, x):
        return self.last(self.latent(self.first(x)))


def values_of(model):
    return [to_numpy(variable) for variable in model.variables]


def assert_same(values, others, **tolerance):
    assert len(values) == len(others)
    for value, other in zip(values, others, strict=True):
        np.testing.assert_allclose(value, other, **(tolerance or {"rtol": 0, "atol": 0}))
