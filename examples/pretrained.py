"""Trains the small models that come with torusae and says how good they are.

    KERAS_BACKEND=jax python examples/pretrained.py --full --output models

It writes one .keras file a model, without its optimizer, with a `TorusFlow` of the training points. `mnist` has digits
on three circles: with `--full` the 60,000 of MNIST, from the Keras cache or a download, with `--data mnist.npz` those
of a file, else the 8000 that come with the package, which it learns by heart. `table1`, `table2` and `table3` have
`torus_table(7000, dim, noise=0.1, seed=0)`, of which the last 1000 rows are held out. Weights are rounded to float16
and the files are compressed: together they take less than 3 MB. `torusae.datasets.load_model` loads the bundled ones,
`keras.saving.load_model` any.
"""

import argparse
import json
import math
import tempfile
import zipfile
from pathlib import Path

import keras
import numpy as np

import torusae
from torusae import datasets, metrics

TRAINED_ROWS = 6000
BATCH_SIZE = 128
LEARNING_RATE = 2e-3
EPOCHS = {"mnist": 40, "table1": 40, "table2": 40, "table3": 40}


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=list(EPOCHS), default=list(EPOCHS))
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--full", action="store_true", help="all of MNIST, from the Keras cache or a download")
    source.add_argument("--data", type=Path, help="an mnist.npz (default: the digits that come with the package)")
    parser.add_argument("--samples", type=int, help="the most samples to train on")
    parser.add_argument("--epochs", type=int, help="epochs of each model (default 40)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the weights and the batches")
    parser.add_argument("--output", type=Path, default=Path("models"), help="the folder to write to")
    parser.add_argument("--overwrite", action="store_true", help="allow files that exist")
    return parser.parse_args(argv)


def samples(name: str, full: bool, path: Path | None) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Samples to train on, samples that are held out, and the true angles of these where they are known."""
    if name == "mnist":
        digits = datasets.load_mnist_subset()
        more = datasets.load_mnist(path) if path or full else digits
        return more.x_train, digits.x_test, None
    table, truth = datasets.torus_table(TRAINED_ROWS + 1000, int(name[-1]), noise=0.1, seed=0)
    return table[:TRAINED_ROWS], table[TRAINED_ROWS:], truth[TRAINED_ROWS:]


def train(name: str, x: np.ndarray, epochs: int, seed: int) -> torusae.TorusAutoencoder:
    """A trained model, not compiled, whose weights float16 can hold."""
    keras.utils.set_random_seed(seed)
    if name == "mnist":  # dense networks, the defaults: they train in two minutes, the paper's convolutions in twenty
        encoder = torusae.networks.dense_encoder(x.shape[1:])
        decoder = torusae.networks.dense_decoder(x.shape[1:], 6, activation="sigmoid")
        trainer = torusae.TorusAutoencoder(encoder, decoder, 3)
    else:
        trainer = torusae.TorusAutoencoder.from_shape(x.shape[1:], int(name[-1]))
    steps = max(1, epochs * math.ceil(len(x) / BATCH_SIZE))
    trainer.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps, alpha=0.01)), "mse"
    )
    trainer.fit(x, batch_size=BATCH_SIZE, epochs=epochs, verbose=2)
    # A copy without the optimizer.
    model = torusae.TorusAutoencoder.from_config({**trainer.get_config(), "name": name})
    model.set_weights([weights.astype("float16").astype("float32") for weights in trainer.get_weights()])
    model.fit_density(x, "flow", seed=seed, batch_size=512, verbose=0)
    return model


def quality(model: torusae.TorusAutoencoder, x: np.ndarray, truth: np.ndarray | None) -> dict:
    """What the model does with samples that it was not trained on."""
    angles = model.angles(x, batch_size=512, verbose=0)
    error = float(((model.reconstruct(x, batch_size=512, verbose=0) - x) ** 2).mean())
    result = {"reconstruction MSE": error, "kuiper": metrics.kuiper_statistic(angles.astype("float64")).tolist()}
    if truth is not None:
        result["scores"] = torusae.align(angles, truth.astype("float64")).scores.tolist()
    return result


def write(model: torusae.TorusAutoencoder, path: Path) -> None:
    """Saves a model in a compressed archive: Keras' own is not."""
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder, path.name)
        model.save(plain)
        with (
            zipfile.ZipFile(plain) as source,
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target,
        ):
            for name in source.namelist():
                target.writestr(zipfile.ZipInfo(name), source.read(name), zipfile.ZIP_DEFLATED, 9)  # no time stamp


def main(argv: list[str] | None = None) -> dict[str, dict]:
    """Runs the example and returns the quality of each model."""
    args = arguments(argv)
    args.output.mkdir(parents=True, exist_ok=True)
    paths = {name: args.output / f"{name}.keras" for name in args.models}
    existing = [str(path) for path in paths.values() if path.exists()]
    if existing and not args.overwrite:
        raise SystemExit(f"{', '.join(existing)}: exists already. Name another folder, or add --overwrite.")
    results = {}
    for name, path in paths.items():
        x, held_out, truth = samples(name, args.full, args.data)
        x = x[: args.samples]
        print(f"{name}: training on {len(x)} samples")
        model = train(name, x, EPOCHS[name] if args.epochs is None else args.epochs, args.seed)
        write(model, path)
        results[name] = quality(model, held_out, truth)
        print(f"{path.resolve()}, {path.stat().st_size / 1000:.0f} kB: {json.dumps(results[name])}")
    return results


if __name__ == "__main__":
    main()
