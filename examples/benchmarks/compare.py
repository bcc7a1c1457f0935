"""Compares the latent spaces and losses that the paper names, on equal networks, data and budget.

    KERAS_BACKEND=jax python examples/benchmarks/compare.py

It trains every system with every seed, shows progress, and writes one table (text, JSON, Markdown) and one figure into
a folder. The numbers of a run are stored as soon as it ends. The same command with the same `--output` continues after
the last stored run.

The measure of uniformity is the same for all spaces. Points of a Gaussian space become angles by the normal
distribution function, `φ = 2π (CDF(z) - 1/2)`. These are uniform on the torus if and only if the coordinates of `z` are
independent and standard normal. "Through the map" are the angles of the test digits after `TorusFlow`, which is fitted
to the training digits; as many points drawn from the flow itself show what its map can reach. Log likelihoods are those
of the test digits' angles under densities fitted to the training digits. Samples, reconstructions and midpoints of
interpolations are compared with the test digits by the Fréchet distance over 64 features of a digit classifier, which
`digit_classifier.py` trained. Midpoints are those of shortest paths; in a Gaussian space also of the paths that keep to
the prior, on a torus also of those that are straight in the uniform angles of `TorusFlow`.

Data: 10,000 digits that come with the package. `--full` is all of MNIST, from the Keras cache or a download; `--data
PATH` is a file.
"""

import argparse
import itertools
import json
import math
import os
import platform
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from scipy import special

import torusae
from torusae import datasets, losses, metrics, networks, paths

UNITS = (512, 256)
LEARNING_RATE = 2e-3
CLASSIFIER = Path(__file__).parent / "files" / "digit_classifier.keras"
CONFIDENT = 0.9  # of the digit classifier
NUM_LIKELY = 2000  # test digits for the likelihood: that of neighbours takes a hundredth of a second for each
NUM_MORPHS = 250  # pairs of digits, 2**dim ways each, at most 8


def torus(*losses):
    """A torus with losses of the angles, and the paper's loss of the radii."""
    return lambda dim: {"space": torusae.Torus(dim), "losses": [*losses, torusae.QuantileLoss(squared=True)]}


SYSTEMS = {
    "torus, default": lambda dim: {"space": torusae.Torus(dim)},
    "torus, paper": lambda dim: {"space": torusae.Torus(dim), "losses": "paper"},
    "torus, circular Wasserstein per angle": torus(losses.CircularWassersteinLoss()),
    "torus, sliced Wasserstein": torus(losses.SlicedLoss(seed=0)),
    "torus, diaphony of all pairs of points": lambda dim: torus(
        torusae.DiaphonyLoss(interactions=None if dim <= 4 else 2)
    )(dim),
    "plain AE": lambda dim: {"space": torusae.Gaussian(dim), "losses": "none"},
    # The weight of a normal likelihood of free variance, added to the loss as in a variational bound.
    "VAE": lambda dim: {
        "space": torusae.Gaussian(dim, variational=True),
        "losses": [torusae.Term(losses.KLLoss(), weight=2 / 784, relative=False)],
    },
    "WAE (MMD)": lambda dim: {"space": torusae.Gaussian(dim), "losses": "wae"},
    "SWAE": lambda dim: {"space": torusae.Gaussian(dim), "losses": "swae"},
    "CWAE": lambda dim: {"space": torusae.Gaussian(dim), "losses": "cwae"},
    "Gaussian AE (Duda)": lambda dim: {"space": torusae.Gaussian(dim), "losses": "gae"},
}


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--data", type=Path, help="an mnist.npz (default: the digits that come with the package)")
    source.add_argument("--full", action="store_true", help="all of MNIST, from the Keras cache or a download")
    parser.add_argument("--samples", type=int, help="the most digits to train on")
    parser.add_argument("--systems", nargs="+", choices=list(SYSTEMS), default=list(SYSTEMS), metavar="SYSTEM")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--dim", type=int, default=3, help="circles, or coordinates of a Gaussian space (default 3)")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--densities", nargs="*", help="densities to fit, of those that a space has (default: all)")
    parser.add_argument("--classifier", type=Path, default=CLASSIFIER, help="a file of digit_classifier.py")
    parser.add_argument("--output", type=Path, default=Path("out", "compare"), help="folder (default: out/compare)")
    return parser.parse_args(argv)


def build(system: str, args: argparse.Namespace, num_samples: int) -> torusae.TorusAutoencoder:
    """The networks, the same for every system, around its latent space."""
    latent = torusae.Latent(**SYSTEMS[system](args.dim))
    encoder = networks.dense_encoder((28, 28, 1), units=UNITS)
    decoder = networks.dense_decoder(
        (28, 28, 1), latent.space.decoder_input_size, units=UNITS[::-1], activation="sigmoid"
    )
    model = torusae.TorusAutoencoder(encoder, decoder, latent)
    steps = max(2, args.epochs * math.ceil(num_samples / args.batch_size))
    warmup = max(1, steps // 20)
    rate = keras.optimizers.schedules.CosineDecay(
        LEARNING_RATE / 20, steps - warmup, alpha=0.01, warmup_target=LEARNING_RATE, warmup_steps=warmup
    )
    model.compile(keras.optimizers.Adam(rate), "mse")
    return model


def uniform_angles(space: torusae.Space, points: np.ndarray) -> np.ndarray:
    """Angles that are uniform if and only if the points follow their prior: angles or normal coordinates."""
    if space.num_angles:
        return ops.convert_to_numpy(space.angles(points)).astype("float64")
    return np.pi * ops.convert_to_numpy(ops.erf(points / math.sqrt(2))).astype("float64")


def evenness(angles: np.ndarray, of: str = "") -> dict[str, float]:
    """How uniform angles are. `of` ends the names. Above four circles, cells are those of the first three."""
    dim = angles.shape[1]
    occupancy = metrics.cell_occupancy(angles if dim <= 4 else angles[:, :3])
    numbers = {
        "Kuiper, largest of single angles": float(metrics.kuiper_statistic(angles).max()),
        "Kuiper, largest along k up to 2 of pairs": float(metrics.direction_kuiper(angles)[1].max()),
        "KL of 8-cells, nats": occupancy["kl"],
        "empty cells": occupancy["empty"],
    }
    if dim <= 4:
        numbers["largest |mean exp(ik.angles)|, k up to 3"] = metrics.max_moment(angles)
    return {name + of: value for name, value in numbers.items()}


class Judge:
    """Fréchet distances and confidences by the digit classifier."""

    def __init__(self, classifier: keras.Model, digits: np.ndarray):
        self.classifier = keras.Model(classifier.inputs, [classifier.get_layer("features").output, *classifier.outputs])
        self.features = self(digits)[0]

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features and the probability of the likeliest digit."""
        features, probabilities = self.classifier.predict(np.clip(images, 0, 1), batch_size=1000, verbose=0)
        return features, probabilities.max(axis=-1)

    def distance(self, images: np.ndarray) -> float:
        """Fréchet distance of images to the digits."""
        return metrics.frechet_distance(self(images)[0], self.features)


def cauchy_path(start: np.ndarray, end: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Points on lines between Cauchy values of coordinates: of draws of N(0, 1) draws again (Leśniak et al. 2019)."""

    def cauchy(normal: np.ndarray) -> np.ndarray:
        return np.sign(normal) / np.tan(np.pi * special.ndtr(-np.abs(normal)))

    line = (1 - t) * cauchy(start.astype("float64")) + t * cauchy(end.astype("float64"))
    return (-np.sign(line) * special.ndtri(np.arctan2(1.0, np.abs(line)) / np.pi)).astype("float32")


def middles(space: torusae.Space, start: np.ndarray, end: np.ndarray, flow: Any) -> dict[str, Any]:
    """Points halfway between rows, by the name of the path."""
    half = np.full(len(start), 0.5, "float32")
    found = {"": space.shortest(ops.convert_to_tensor(start), ops.convert_to_tensor(end), ops.convert_to_tensor(half))}
    if not space.num_angles:
        for name in ("slerp", "variance_preserving"):
            found[f", {name}"] = paths.interpolate(start, end, half, name)
        found[", Cauchy"] = cauchy_path(start, end, half[:, None])
    if flow is not None:
        ends = (ops.convert_to_tensor(flow.to_uniform_points(each)) for each in (start, end))
        middle = ops.convert_to_numpy(space.shortest(*ends, ops.convert_to_tensor(half)))
        found[", uniform angles"] = flow.from_uniform_points(middle)
    return found


def interpolations(model: torusae.TorusAutoencoder, points: np.ndarray, seed: int, flow: Any) -> dict[str, np.ndarray]:
    """Midpoints of paths between digits by name, and the inner steps of up to eight paths a pair, as images."""
    space = model.latent.space
    start, end = np.moveaxis(points[np.random.default_rng(seed).choice(len(points), (2000, 2))], 1, 0)
    middle = middles(space, start, end, flow)
    decoded = {f"midpoints{name}": ops.convert_to_numpy(points) for name, points in middle.items()}
    pairs = zip(start[:NUM_MORPHS], end[:NUM_MORPHS], strict=True)
    paths = [ops.convert_to_numpy(space.paths(a, b, space.windings(a, b)[:8]))[:, 1:-1] for a, b in pairs]
    decoded["steps"] = np.concatenate(paths).reshape(-1, space.point_size)
    return {name: model.decode(each, batch_size=1000, verbose=0) for name, each in decoded.items()}


def measure(
    model: torusae.TorusAutoencoder, x: np.ndarray, x_train: np.ndarray, judge: Judge, seed: int, densities: Any = None
) -> dict:
    """The numbers of one run. Of the space's densities those named are fitted, `None` for all."""
    space = model.latent.space
    options = {"batch_size": 1000, "verbose": 0}
    points = model.encode(x, **options)
    reconstruction = model.decode(points, **options)
    angles = uniform_angles(space, points)
    numbers = {
        "MSE": float(np.mean((reconstruction - x) ** 2)),
        **evenness(angles),
        "Fréchet distance of reconstructions": judge.distance(reconstruction),
        "Fréchet distance of samples": judge.distance(model.sample(len(x), seed, **options, density="prior")),
    }
    flow = None
    known = torusae.densities.densities_of(space)
    for name in known if densities is None else [name for name in known if name in densities]:
        density = model.fit_density(x_train, name, seed=seed, **options)
        fitted = model.sample(len(x), seed, **options, density="fitted")
        numbers[f"Fréchet distance of samples, fitted {name}"] = judge.distance(fitted)
        if not isinstance(density, torusae.densities.PathDensity):  # which can only sample
            numbers[f"log likelihood of {name}, nats"] = density.log_likelihood(points[:NUM_LIKELY])
        if hasattr(density, "to_uniform"):
            flow = density
            numbers |= evenness(density.to_uniform(angles), " through the map")
            drawn = uniform_angles(space, density.sample(len(x), seed))
            numbers |= evenness(density.to_uniform(drawn), " through the map, points drawn from it")
    images = interpolations(model, points, seed, flow)
    numbers["confident steps of paths"] = float((judge(images.pop("steps"))[1] > CONFIDENT).mean())
    numbers |= {f"Fréchet distance of {name}": judge.distance(each) for name, each in images.items()}
    ratio = numbers["Fréchet distance of samples"] / numbers["Fréchet distance of reconstructions"]
    return {**numbers, "samples over reconstructions": ratio}


def summary(runs: dict[str, dict]) -> dict[str, dict[str, tuple[float, float]]]:
    """Mean and standard deviation over the seeds for each system and number."""
    table: dict[str, dict[str, tuple[float, float]]] = {}
    for system, group in itertools.groupby(runs.values(), key=lambda run: run["system"]):
        rows = [run["numbers"] for run in group]
        table[system] = {name: (float(np.mean(v := [r[name] for r in rows])), float(np.std(v))) for name in rows[0]}
    return table


def as_markdown(table: dict, num_seeds: int) -> str:
    """The table with a row for each number and a column for each system."""
    systems = list(table)
    names = list(dict.fromkeys(name for numbers in table.values() for name in numbers))
    lines = [f"| mean ± deviation of {num_seeds} seeds | {' | '.join(systems)} |", "|---" * (len(systems) + 1) + "|"]
    for name in names:
        cells = [
            f"{mean:.4g} ± {spread:.2g}" if (mean := table[s].get(name, (None,))[0]) is not None else ""
            for s in systems
            for spread in [table[s].get(name, (0, 0))[1]]
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def draw(table: dict, dim: int):
    """One panel per number, one bar per system; whiskers show the standard deviation over the seeds."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    panels = [
        ("MSE", "reconstruction MSE"),
        ("KL of 8-cells, nats", "KL of points to the prior, nats"),
        ("Fréchet distance of reconstructions", "Fréchet distance of reconstructions"),
        ("Fréchet distance of samples", "Fréchet distance of samples"),
        ("Fréchet distance of midpoints", "Fréchet distance of midpoints"),
        ("confident steps of paths", f"share of path steps read with confidence > {CONFIDENT}"),
    ]
    panels = [panel for panel in panels if any(panel[0] in numbers for numbers in table.values())]
    figure = Figure(figsize=(13, 7), layout="constrained")
    axes = figure.subplots(2, math.ceil(len(panels) / 2), sharey=True)
    for axis, (name, label) in zip(axes.flat, panels, strict=False):
        for place, (system, numbers) in enumerate(table.items()):
            mean, spread = numbers.get(name, (0.0, 0.0))
            color = "tab:blue" if system.startswith("torus") else "tab:orange"
            axis.barh(place, mean, xerr=spread, color=color, ecolor="black")
        axis.set_xlabel(label)
    axes.flat[0].set_yticks(range(len(table)), list(table))
    axes.flat[0].invert_yaxis()
    for axis in list(axes.flat)[len(panels) :]:
        axis.set_visible(False)
    handles = [Patch(color="tab:blue", label="torus"), Patch(color="tab:orange", label="Gaussian")]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    figure.suptitle(f"MNIST test digits, dim {dim}; whiskers: standard deviation over the seeds")
    return figure


def main(argv: list[str] | None = None) -> dict:
    """Runs the comparison and returns the table."""
    args = arguments(argv)
    classifier = keras.saving.load_model(args.classifier, compile=False)
    data = datasets.load_mnist(args.data) if args.data or args.full else datasets.load_mnist_subset()
    x_train = data.x_train[: args.samples]
    judge = Judge(classifier, data.x_test)
    print(f"Data: {data.source}\nTraining on {len(x_train)} digits, testing on {len(data.x_test)}.")
    args.output.mkdir(parents=True, exist_ok=True)
    path = args.output / "runs.json"
    setting = {"dim": args.dim, "epochs": args.epochs, "batch size": args.batch_size, "digits": len(x_train)}
    if args.densities is not None:
        setting["densities"] = sorted(args.densities)
    stored = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"setting": setting, "runs": {}}
    if stored["setting"] != setting:
        raise SystemExit(f"{path} holds runs with {stored['setting']}, not {setting}. Name another --output.")
    runs = stored["runs"]
    todo = [(system, seed) for system in args.systems for seed in args.seeds if f"{system}, seed {seed}" not in runs]
    for number, (system, seed) in enumerate(todo, 1):
        keras.utils.set_random_seed(seed)
        start = time.perf_counter()
        model = build(system, args, len(x_train))
        model.fit(x_train, batch_size=args.batch_size, epochs=args.epochs, verbose=0)
        seconds = round(time.perf_counter() - start, 1)
        numbers = measure(model, data.x_test, x_train, judge, seed, args.densities)
        runs[f"{system}, seed {seed}"] = {"system": system, "seed": seed, "seconds": seconds, "numbers": numbers}
        stored["machine"] = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
        stored["versions"] = {"keras": keras.__version__, "backend": keras.backend.backend()}
        stored["versions"]["torusae"] = torusae.__version__
        path.write_text(json.dumps(stored, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"[{number}/{len(todo)}] {system}, seed {seed}: {seconds:.0f} s, MSE {numbers['MSE']:.4f}", flush=True)
    ordered = {
        f"{system}, seed {seed}": runs[f"{system}, seed {seed}"] for system in args.systems for seed in args.seeds
    }
    table = summary(ordered)
    markdown = as_markdown(table, len(args.seeds))
    (args.output / "table.md").write_text(markdown, encoding="utf-8")
    (args.output / "table.json").write_text(
        json.dumps({"setting": setting, "seeds": args.seeds, "table": table}, indent=1, ensure_ascii=False) + "\n",
        encoding="utf-8",
    )
    draw(table, args.dim).savefig(args.output / "compare.png", dpi=130)
    print(markdown)
    print(f"Table, runs and figure are in {args.output.resolve()}")
    return table


if __name__ == "__main__":
    main()
