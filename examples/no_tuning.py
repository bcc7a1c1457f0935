"""The default losses without an argument, in a plain Keras model: images and tables, two losses, batches 64 to 1024.

    KERAS_BACKEND=jax python examples/no_tuning.py

Each row trains `keras.Sequential([..., torusae.TorusLatent(dim), ...])` with Adam, a cosine decay of its rate, and
`fit(..., callbacks=[torusae.LatentLogger()])`, which tells the layer how long the training is. Compared is
the diaphony of the codes with that of as many independent uniform points, `1 / sqrt(num)`: of the training data, and of
data that the model never saw. Needs scikit-learn for its digits: `pip install scikit-learn`.
"""

import argparse
import json
import math
import time
from pathlib import Path

import keras
import numpy as np

import torusae
from torusae import datasets

STEPS = 4000  # training steps of every row


def mnist(path, bundled):
    """Digits as vectors in [0, 1], training and test."""
    data = datasets.load_mnist_subset() if bundled else datasets.load_mnist(path)
    return data.x_train.reshape(-1, 784), data.x_test.reshape(-1, 784)


def small_digits():
    """The 8 x 8 digits of scikit-learn in [0, 1], every fourth held out."""
    from sklearn.datasets import load_digits

    x = load_digits().data.astype("float32") / 16
    return np.delete(x, np.s_[::4], axis=0), x[::4]


def table():
    """50 columns that a torus of two circles makes, with noise."""
    x = datasets.torus_table(6000, dim=2, columns=50, noise=0.1, seed=0)[0].astype("float32")
    return x[:4000], x[4000:]


def host(size: int, dim: int, activation: str | None) -> keras.Model:
    """A model that somebody might have, with one layer of this library and no argument."""
    relu = {"activation": "relu", "kernel_initializer": "he_normal"}
    return keras.Sequential(
        [
            keras.Input((size,)),
            keras.layers.Dense(256, **relu),
            keras.layers.Dense(128, **relu),
            torusae.TorusLatent(dim),
            keras.layers.Dense(128, **relu),
            keras.layers.Dense(256, **relu),
            keras.layers.Dense(size, activation=activation),
        ]
    )


def main(argv: list[str] | None = None) -> list[dict]:
    """Runs every row and returns them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="an mnist.npz (default: cache, download, bundled digits)")
    parser.add_argument("--bundled", action="store_true", help="use the 10,000 digits that come with the package")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[64, 256, 1024])
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("out", "no_tuning.json"))
    args = parser.parse_args(argv)
    digits = mnist(args.data, args.bundled)
    settings = [
        ("MNIST, mse", digits, 3, "mse", "sigmoid"),
        ("MNIST, binary cross-entropy", digits, 3, "binary_crossentropy", "sigmoid"),
        ("scikit-learn's digits, mse", small_digits(), 3, "mse", "sigmoid"),
        ("table of a torus, mse", table(), 2, "mse", None),
    ]
    rows = []
    for (name, (x, x_test), dim, loss, activation), batch_size in (
        (setting, size) for setting in settings for size in args.batch_sizes
    ):
        keras.utils.set_random_seed(args.seed)
        model = host(x.shape[1], dim, activation)
        batches = math.ceil(len(x) / batch_size)
        epochs = max(1, round(args.steps / batches))
        rate = keras.optimizers.schedules.CosineDecay(2e-3, epochs * batches, alpha=0.01)
        model.compile(keras.optimizers.Adam(rate), loss)
        start = time.perf_counter()
        callbacks = [torusae.LatentLogger()]
        model.fit(x, x, batch_size=batch_size, epochs=epochs, callbacks=callbacks, verbose=0)
        seconds = time.perf_counter() - start
        encoder = keras.Sequential(model.layers[:3])
        row = {"data and loss": name, "batch": batch_size, "epochs": epochs}
        for part, values in (("training", x), ("unseen", x_test)):
            angles = keras.ops.convert_to_numpy(torusae.to_polar(encoder.predict(values, 1000, verbose=0))[1])
            num = min(len(angles), 10000)
            row[f"diaphony, {part}"] = torusae.diaphony(angles, max_points=10000) * math.sqrt(num)
            row[f"Kuiper, {part}"] = float(torusae.kuiper_statistic(angles).max())
        row["MSE, unseen"] = float(np.mean((model.predict(x_test, 1000, verbose=0) - x_test) ** 2))
        rows.append(row)
        print(
            f"{name}, batch {batch_size}, {seconds:.0f} s: "
            + ", ".join(f"{k} {v:.3g}" for k, v in row.items() if isinstance(v, float)),
            flush=True,
        )
        args.output.parent.mkdir(parents=True, exist_ok=True)
        args.output.write_text(json.dumps({"steps": args.steps, "seed": args.seed, "rows": rows}, indent=1) + "\n")
    print(f"Rows are in {args.output.resolve()}; diaphony in parts of that of as many independent uniform points.")
    return rows


if __name__ == "__main__":
    main()
