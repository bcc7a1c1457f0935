"""Trains the paper's networks on MNIST: digits on a torus of three circles, with a classifier on the angles.

    KERAS_BACKEND=jax python examples/mnist.py
    KERAS_BACKEND=jax python examples/mnist.py --losses paper --batch-size 64 --epochs 20     # the paper's own losses

It shows progress, then writes the paper's figures, the model and a table of numbers into a new folder, and names it.

Data: 10,000 digits that come with the package. `--full` is all of MNIST, from the Keras cache or a download; `--data
PATH` is a file.
"""

import argparse
import json
import math
import os
import platform
import sys
import time
from pathlib import Path

import keras
import numpy as np

import torusae
from torusae import datasets, metrics, plots

# torusae choices, found by trying on MNIST; the paper gives none. Weights of the latent losses are relative to the
# gradient of the rest of the model, the classifier's is relative to the reconstruction loss.
LOSS_WEIGHTS = {"spring": 0.5, "quantile": 2.0}
CLASSIFIER_WEIGHT = 0.25
BATCH_SIZE = 128
EPOCHS = 12
LEARNING_RATE = 2e-3


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--data", type=Path, help="an mnist.npz (default: the digits that come with the package)")
    source.add_argument("--full", action="store_true", help="all of MNIST, from the Keras cache or a download")
    parser.add_argument("--samples", type=int, help="the most digits to train on")
    parser.add_argument("--dim", type=int, default=3, help="number of circles (default 3: the paper's 2d = 6)")
    parser.add_argument("--losses", choices=["default", "paper", "none"], default="default", help="of the latent space")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--batch-size", type=int, default=BATCH_SIZE)
    parser.add_argument("--seed", type=int, default=0, help="seed of the weights, the batches and the figures")
    parser.add_argument("--output", type=Path, help="folder for the results (default: a new one under out/)")
    parser.add_argument("--overwrite", action="store_true", help="allow an output folder that holds results")
    parser.add_argument("--load", type=Path, help="draw again from this saved model, without training")
    return parser.parse_args(argv)


def output_folder(path: Path | None, overwrite: bool) -> Path:
    """Makes the folder for the results. It never holds the results of another run, unless the user allows it."""
    if path is None:
        names = (Path("out", f"mnist-{keras.backend.backend()}-{number}") for number in range(1, sys.maxsize))
        path = next(name for name in names if not name.exists())
    elif path.exists() and any(path.iterdir()) and not overwrite:
        raise SystemExit(f"--output {path} already holds files. Name another folder, or add --overwrite.")
    path.mkdir(parents=True, exist_ok=True)
    return path


def build(args: argparse.Namespace, input_shape: tuple[int, ...], num_samples: int) -> torusae.TorusAutoencoder:
    """The paper's networks, with the losses that were asked for, compiled."""
    head = torusae.Head("classification", 10, weight=CLASSIFIER_WEIGHT, units=(128, 128))
    weights = LOSS_WEIGHTS if args.losses == "paper" else None
    losses = None if args.losses == "default" else args.losses
    model = torusae.TorusAutoencoder.from_shape(
        input_shape, args.dim, {"digit": head}, losses=losses, loss_weights=weights
    )
    steps = max(1, args.epochs * math.ceil(num_samples / args.batch_size))
    # Full speed from the first step drove one backend's decoder to an all-black image, which it never left.
    warmup = max(1, steps // 20)
    learning_rate = keras.optimizers.schedules.CosineDecay(
        LEARNING_RATE / 20, max(1, steps - warmup), alpha=0.01, warmup_target=LEARNING_RATE, warmup_steps=warmup
    )
    model.compile(keras.optimizers.Adam(learning_rate), "mse")
    return model


def measure(model: torusae.TorusAutoencoder, x: np.ndarray, y: np.ndarray) -> tuple[dict, dict]:
    """The table's numbers, and the arrays that the figures need."""
    outputs = model.predict(x, batch_size=512, verbose=0)
    radii, angles = (keras.ops.convert_to_numpy(part) for part in torusae.to_polar(outputs["point"]))
    table = {
        "reconstruction MSE": float(np.mean((outputs["reconstruction"] - x) ** 2)),
        "classifier accuracy": float(np.mean(outputs["digit"].argmax(-1) == y)),
        "Kuiper statistic of each angle": metrics.kuiper_statistic(angles).tolist(),
        "Kuiper statistic of uniform angles, mean": 1.25 / math.sqrt(len(x)),
        "mean of radii": float(radii.mean()),
        "standard deviation of radii": float(radii.std()),
    }
    if angles.shape[1] <= 6:
        occupancy = metrics.cell_occupancy(angles)
        table["share of empty cells, 8 per circle"] = occupancy["empty"]
        table["share of empty cells of uniform angles"] = occupancy["expected_empty"]
        table["KL of cells to uniform, nats"] = occupancy["kl"]
        table["KL of uniform angles, nats"] = occupancy["expected_kl"]
        table["largest |mean exp(ik.angles)|, |k| <= 3"] = metrics.max_moment(angles)
    return table, {"angles": angles, "radii": radii, "reconstruction": outputs["reconstruction"]}


def as_text(title: str, table: dict) -> str:
    """The table as lines."""

    def number(value):
        return " ".join(f"{item:.4f}" for item in value) if isinstance(value, list) else f"{value:.4f}"

    return "\n".join([title, *(f"{name:<42}{number(value)}" for name, value in table.items())]) + "\n"


def draw(model: torusae.TorusAutoencoder, x, y, arrays: dict, history: dict | None, seed: int, folder: Path) -> None:
    """Writes the figures."""
    rng = np.random.default_rng(seed)
    dim = model.latent.space.dim
    figures = {
        "spring": plots.plot_spring(arrays["angles"][rng.choice(len(x), min(32, len(x)), replace=False), 0]),
        "angles": plots.plot_angles(arrays["angles"], y),
        "radii": plots.plot_radii(arrays["radii"]),
    }
    if 2 <= dim <= 6:
        figures["occupancy"] = plots.plot_occupancy(arrays["angles"])
    if history:
        figures["history"] = plots.plot_history(history)
    if dim <= 4:
        morphs = []
        for first, last in rng.choice(len(x), (9, 2)):
            windings = keras.ops.convert_to_numpy(torusae.two_way_windings(*model.encode(x[[first, last]], verbose=0)))
            morphs.append((model.morph(x[first], x[last], windings, verbose=0), windings))
        figures["morphs"] = plots.plot_morphs(morphs)
    figures["samples"] = plots.plot_samples(model.sample(96, seed=seed, verbose=0, density="prior"))
    shown = rng.choice(len(x), 48, replace=False)
    figures["reconstructions"] = plots.plot_samples(
        {"data": x[shown], "reconstruction": arrays["reconstruction"][shown]}
    )
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png", dpi=150, bbox_inches="tight")


def main(argv: list[str] | None = None) -> dict:
    """Runs the example and returns the table."""
    args = arguments(argv)
    folder = output_folder(args.output, args.overwrite)
    keras.utils.set_random_seed(args.seed)
    data = datasets.load_mnist(args.data) if args.data or args.full else datasets.load_mnist_subset()
    x_train, y_train = data.x_train[: args.samples], data.y_train[: args.samples]
    print(f"Data: {data.source}\nTraining on {len(x_train)} digits, testing on {len(data.x_test)}.")
    history = None
    start = time.perf_counter()
    if args.load:
        model = keras.saving.load_model(args.load)
    else:
        model = build(args, x_train.shape[1:], len(x_train))
        history = model.fit(x_train, {"digit": y_train}, args.batch_size, args.epochs).history
        model.save(folder / "model.keras")
    seconds = time.perf_counter() - start
    table, arrays = measure(model, data.x_test, data.y_test)
    how = f"loaded from {args.load}" if args.load else f"{args.epochs} epochs in {seconds:.0f} s"
    title = f"MNIST test digits, dim {model.latent.space.dim}, {keras.backend.backend()}, seed {args.seed}, {how}"
    text = as_text(title, table)
    (folder / "table.txt").write_text(text, encoding="utf-8")
    run = {
        "backend": keras.backend.backend(),
        "keras": keras.__version__,
        "torusae": torusae.__version__,
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "data": data.source,
        "training digits": len(x_train),
        "losses": args.losses,
        "epochs": args.epochs,
        "batch size": args.batch_size,
        "seed": args.seed,
        "seconds": round(seconds, 1),
    }
    (folder / "table.json").write_text(json.dumps({"run": run, "table": table}, indent=2) + "\n", encoding="utf-8")
    draw(model, data.x_test, data.y_test, arrays, history, args.seed, folder)
    torusae.explore(
        model,
        folder / "explorer.html",
        data.x_test,
        data.y_test,
        f"MNIST test digits on {model.latent.space!r}",
        overwrite=True,
    )
    print(text)
    print(
        "Open explorer.html in a browser: the torus, decoded as you scroll, and every way between two places.\n"
        "Look at morphs.png: each pair of digits has eight ways around the torus.\n"
        "Look at occupancy.png: it shows the part of the torus that no digit reaches.\n"
        "In the table, each statistic stands beside its value for uniform angles."
    )
    print(f"Figures, model and table are in {folder.resolve()}")
    return table


if __name__ == "__main__":
    main()
