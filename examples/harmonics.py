"""Tries decoders that read harmonics of the angles, cos(kφ) and sin(kφ) for k = 1..K, in place of the points.

    KERAS_BACKEND=jax python examples/harmonics.py --data mnist.npz

A point holds each circle's x and y, the harmonic 1 times the radius. Readings that are compared:

- `points`: the decoder reads the points as they are, as in `TorusAutoencoder.from_shape`;
- `K=2, radii`: harmonics up to 2, each times the radius of its circle (`K=1, radii` would be the points);
- `K=1`, `K=2`, `K=3`: harmonics alone. The reconstruction then gives the radii no gradient.

Prints, for data that the model never saw, the reconstruction error as a share of the variance of the data, and the KL
divergence of the angles to the uniform distribution, over 8 cells per circle. Rows are stored after every training,
and the same command continues after the last one. With three seeds it takes about forty minutes on two cores.
"""

import argparse
import json
import time
from pathlib import Path

import keras
import numpy as np

import torusae
from torusae import datasets, metrics, networks

READINGS = {"points": (0, True), "K=2, radii": (2, True), "K=3, radii": (3, True)}
READINGS |= {f"K={number}": (number, False) for number in (1, 2, 3)}
SETTINGS = {  # training rows, circles, epochs
    "two circles": (6000, 2, 60),
    "three circles": (6000, 3, 60),
    "hue images": (5000, 2, 15),
    "MNIST": (60_000, 3, 8),
}
UNITS = (512, 256)  # of the dense networks for MNIST, as in compare.py
TEST_ROWS = 1500


def load(name: str, path: Path | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples for training and for testing."""
    num_rows, dim, _ = SETTINGS[name]
    if name == "MNIST":
        digits = datasets.load_mnist(path) if path else datasets.load_mnist_subset()
        return digits.x_train, digits.x_test
    if name == "hue images":
        x = datasets.hue_images(num_rows + TEST_ROWS, seed=seed)[0]
    else:
        x = datasets.torus_table(num_rows + TEST_ROWS, dim=dim, noise=0.1, seed=seed)[0]
    return x[:num_rows], x[num_rows:]


def build(name: str, shape: tuple[int, ...], reading: str) -> torusae.TorusAutoencoder:
    """The model, compiled."""
    dim = SETTINGS[name][1]
    num_harmonics, radii = READINGS[reading]
    read_size = 2 * dim * max(num_harmonics, 1)
    if name == "MNIST":
        encoder = networks.dense_encoder(shape, UNITS)
        decoder = networks.dense_decoder(shape, read_size, UNITS[::-1], "sigmoid")
    else:
        encoder, decoder = torusae.autoencoder_networks(shape, read_size)
    if num_harmonics:
        decoder = read_harmonics(decoder, dim, num_harmonics, radii)
    model = torusae.TorusAutoencoder(encoder, decoder, dim)
    model.compile("adam", "mse")
    return model


def read_harmonics(decoder: keras.Model, dim: int, num_harmonics: int, radii: bool) -> keras.Model:
    """A decoder of points that gives `decoder` the harmonics of their angles, times the radii or alone."""
    points = keras.Input((2 * dim,))
    r, angles = torusae.Polar()(points)
    read = torusae.CircularEmbedding(num_harmonics)(angles)
    if radii:
        read = keras.layers.Multiply()([read, keras.layers.Concatenate()([r] * (2 * num_harmonics))])
    return keras.Model(points, decoder(read))


def measure(model: torusae.TorusAutoencoder, x_test: np.ndarray) -> dict[str, float]:
    """The numbers of one run."""
    points = model.encode(x_test, batch_size=500, verbose=0)
    errors = model.decode(points, batch_size=500, verbose=0) - x_test
    radii, angles = (keras.ops.convert_to_numpy(part) for part in torusae.to_polar(points))
    return {
        "error": float(np.mean(errors**2) / np.mean((x_test - x_test.mean(axis=0)) ** 2)),
        "KL": metrics.cell_occupancy(angles)["kl"],
        "radii deviation": float(radii.std()),
    }


def main(argv: list[str] | None = None) -> dict[str, dict]:
    """Runs what is not stored yet and returns all runs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="an mnist.npz (default: the 10,000 digits of the package)")
    parser.add_argument("--settings", nargs="+", choices=list(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--readings", nargs="+", choices=list(READINGS), default=list(READINGS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, help="for a quick trial")
    parser.add_argument("--output", type=Path, default=Path("out", "harmonics.json"))
    args = parser.parse_args(argv)
    runs = json.loads(args.output.read_text(encoding="utf-8")) if args.output.exists() else {}
    args.output.parent.mkdir(parents=True, exist_ok=True)
    for name in args.settings:
        for reading, seed in ((reading, seed) for reading in args.readings for seed in args.seeds):
            epochs = args.epochs or SETTINGS[name][2]
            key = f"{name}; {epochs} epochs; {reading}; seed {seed}"
            if key not in runs:
                x, x_test = load(name, args.data, seed)
                keras.utils.set_random_seed(seed)
                model, start = build(name, x.shape[1:], reading), time.perf_counter()
                model.fit(x, batch_size=128, epochs=epochs, verbose=0)
                runs[key] = {**measure(model, x_test), "seconds": round(time.perf_counter() - start, 1)}
                args.output.write_text(json.dumps(runs, indent=1) + "\n", encoding="utf-8")
            print(key, {number: float(f"{value:.3g}") for number, value in runs[key].items()}, flush=True)
    return runs


if __name__ == "__main__":
    main()
