"""A small model of samples of four numbers, and data for it."""

import keras
import numpy as np

import torusae

SHAPE = (4,)
LOGGED = {"loss", "reconstruction"}
TERMS = {"spring", "quantile", "kuiper"}
DIGIT = {"digit_loss", "digit_accuracy"}


def tiny_encoder(shape=SHAPE):
    return torusae.networks.dense_encoder(shape, units=(6,))


def tiny_decoder(shape=SHAPE, decoder_input_size=2):
    return torusae.networks.dense_decoder(shape, decoder_input_size, units=(6,))


def tiny_model(heads=None, latent=None, shape=SHAPE):
    return torusae.TorusAutoencoder(
        tiny_encoder(shape), tiny_decoder(shape), latent or torusae.TorusLatent(1, "paper"), heads
    )


def digit_head(**kwargs):
    return torusae.Head("classification", 3, units=(6,), **kwargs)


def samples(num=20):
    return np.random.default_rng(1).normal(size=(num, *SHAPE)).astype("float32")


def labels(num=20):
    return np.arange(num) % 3


def broken(position, value):
    x = samples()
    x[position] = value
    return x


class Batches(keras.utils.PyDataset):
    """A stream of given batches."""

    def __init__(self, items):
        super().__init__()
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]
