"""What `rotation.py` and `shift.py` share: moved digits, a network that reads waves of angles, a training, options."""

import argparse
import dataclasses
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

import torusae
from torusae import datasets

OTHERS = 0.3  # how strongly the style must stay
TURN = 2 * np.pi


def moved(function: Callable, x: np.ndarray, amounts: np.ndarray) -> np.ndarray:
    """Images that a function of `torusae.supervision` moved by amounts, in blocks."""
    blocks = range(0, len(x), 1000)
    rows = [function(x[i : i + 1000], amounts[i : i + 1000].astype("float32")) for i in blocks]
    return np.concatenate([keras.ops.convert_to_numpy(each) for each in rows])


def autoencoder(shape: tuple[int, ...], num_circles: int, num_styles: int, constant: bool) -> torusae.TorusAutoencoder:
    """Two convolutions before the latent space; behind it a decoder that reads waves of the angles, times the style.

    A picture that is moved is a Fourier series of the angles, whose coefficients depend on the style.
    """
    inputs = keras.Input(shape)
    x = inputs
    for filters in (16, 32):
        x = keras.layers.Conv2D(filters, 5, strides=2, padding="same", activation="relu")(x)
    x = keras.layers.Dense(128, activation="relu")(keras.layers.Flatten()(x))
    space = torusae.Torus(num_circles) * torusae.Gaussian(num_styles)
    code = keras.Input((space.decoder_input_size,))
    product = keras.layers.Dense(512)(keras.layers.Dense(256, activation="relu")(code[:, 2 * num_circles :]))
    for circle in range(num_circles):
        pair = (code[:, column : column + 1] for column in (circle, num_circles + circle))
        product = product * keras.layers.Dense(512)(waves(*pair, constant))
    hidden = keras.layers.Dense(512, activation="relu")(product)
    pixels = keras.layers.Dense(math.prod(shape), activation="sigmoid")(hidden)
    decoder = keras.Model(code, keras.layers.Reshape(shape)(pixels))
    return torusae.TorusAutoencoder(keras.Model(inputs, x), decoder, torusae.Latent(space))


def waves(x, y, constant: bool, count: int = 6):
    """Cosines and sines of multiples of an angle, as powers of `x + iy`, from the power 0 on with a constant."""
    powers = [(keras.ops.ones_like(x), keras.ops.zeros_like(x))] if constant else []
    powers.append((x, y))
    for _ in range(count - 1):
        real, imaginary = powers[-1]
        powers.append((real * x - imaginary * y, real * y + imaginary * x))
    return keras.ops.concatenate([part for pair in powers for part in pair], axis=1)


def trained(
    model: torusae.TorusAutoencoder, pictures: np.ndarray, y: dict | None, supervision: dict, steps: int, batch: int
) -> tuple[float, dict]:
    """Trains a model, and returns the seconds and the last logs."""
    rate = keras.optimizers.schedules.CosineDecay(2e-3 / 20, steps, 0.01, warmup_target=2e-3, warmup_steps=steps // 20)
    model.compile(keras.optimizers.Adam(rate), "binary_crossentropy", supervision=supervision)
    begin = time.time()
    epochs = math.ceil(steps / math.ceil(len(pictures) / batch))
    history = model.fit(pictures, y, batch_size=batch, epochs=epochs, verbose=0).history
    return time.time() - begin, {name: round(values[-1], 4) for name, values in history.items()}


def arcs(angles: np.ndarray) -> np.ndarray:
    """The sizes of angles as arcs, radians."""
    return np.abs(np.angle(np.exp(1j * angles)))


def options(description: str, output: str) -> argparse.ArgumentParser:
    """The options of both scripts."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, help="an mnist.npz (default: the digits that come with the package)")
    parser.add_argument("--samples", type=int, help="the most digits to train on")
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--weight", type=float, default=5.0, help="of the supervision in the loss")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--output", type=Path, default=Path("out", output))
    return parser


def digits(args: Any) -> datasets.Mnist:
    """The digits that the options name. Also makes the folder for results."""
    args.output.mkdir(parents=True, exist_ok=True)
    data = datasets.load_mnist(args.data) if args.data else datasets.load_mnist_subset()
    return dataclasses.replace(data, x_train=data.x_train[: args.samples])
