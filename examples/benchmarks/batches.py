"""Trains three circles on MNIST with every batch size and two schedules of the rate.

    KERAS_BACKEND=jax python examples/benchmarks/batches.py --data mnist.npz

Models: `TorusAutoencoder` with the default losses, the same without losses, and a plain Keras model with
`TorusLatent(3)` and nothing else. Dense networks (784, 512, 256 and back), Adam at a constant 1e-3 or with a cosine
decay from 2e-3.
Prints, and writes as JSON lines: reconstruction MSE, KL of 8 x 8 x 8 cells to uniform in nats, and the share of empty
cells, all of the test digits; KL and empty cells also through the map of the flow that `fit` fits to the training
digits. With all of MNIST, 8 epochs take about half a minute on one core, and the flow about a quarter.
"""

import argparse
import itertools
import json
import math
from pathlib import Path

import keras
import numpy as np

import torusae
from torusae import datasets, metrics

UNITS = (512, 256)
DIM = 3
MODELS = ("default", "none", "paper", "plain Keras")


def measure(digits: datasets.Mnist, batch: int, cosine: bool, epochs: int, seed: int, model_kind: str) -> dict:
    """The numbers of one training."""
    keras.utils.set_random_seed(seed)
    shape = digits.x_train.shape[1:]
    encoder = torusae.networks.dense_encoder(shape, UNITS)
    decoder = torusae.networks.dense_decoder(shape, 2 * DIM, UNITS[::-1], "sigmoid")
    steps = epochs * math.ceil(len(digits.x_train) / batch)
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, steps) if cosine else 1e-3)
    latent = torusae.TorusLatent(DIM, model_kind if model_kind in ("none", "paper") else None)
    model = torusae.TorusAutoencoder(encoder, decoder, latent)
    if model_kind == "plain Keras":
        inputs = keras.Input(shape)
        plain = keras.Model(inputs, decoder(latent(encoder(inputs))))
        plain.compile(optimizer, "mse")
        plain.fit(digits.x_train, digits.x_train, batch_size=batch, epochs=epochs, verbose=0)
    else:
        model.compile(optimizer, "mse")
        model.fit(digits.x_train, batch_size=batch, epochs=epochs, verbose=0)
    reconstruction = model.reconstruct(digits.x_test, batch_size=1000, verbose=0)
    angles = model.angles(digits.x_test, batch_size=1000, verbose=0)
    cells = metrics.cell_occupancy(angles)
    row = {"MSE": float(np.mean((reconstruction - digits.x_test) ** 2)), "KL": cells["kl"], "empty": cells["empty"]}
    if model_kind == "none":
        return row
    model.fit_density(digits.x_train, "flow", seed=seed, batch_size=1000, verbose=0)
    mapped = metrics.cell_occupancy(model.density.to_uniform(angles))
    return {**row, "KL through the map": mapped["kl"], "empty through the map": mapped["empty"]}


def main(argv: list[str] | None = None) -> list[dict]:
    """Trains and returns the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="an mnist.npz (default: the digits that come with the package)")
    parser.add_argument("--batches", type=int, nargs="+", default=[64, 128, 512, 1024])
    parser.add_argument("--seeds", type=int, nargs="+", default=[10])
    parser.add_argument("--models", nargs="+", default=MODELS, choices=MODELS)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--output", type=Path, default=Path("out", "batches.jsonl"))
    args = parser.parse_args(argv)
    digits = datasets.load_mnist(args.data) if args.data else datasets.load_mnist_subset()
    args.output.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    for seed, kind, batch, cosine in itertools.product(args.seeds, args.models, args.batches, (False, True)):
        recipe = {"seed": seed, "model": kind, "batch": batch, "rate": "cosine" if cosine else "constant"}
        rows.append({**recipe, **measure(digits, batch, cosine, args.epochs, seed, kind)})
        print(json.dumps(rows[-1]), flush=True)
        args.output.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return rows


if __name__ == "__main__":
    main()
