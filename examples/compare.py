"""Compares the latent spaces and losses that the paper names, on equal networks, data and budget.

    KERAS_BACKEND=jax python examples/compare.py

Trains every system with every seed, shows progress, and writes one table (text, JSON, Markdown) and one figure into a
folder. Each run's numbers are stored as soon as it ends, and a run that is stored already is not trained again: the
same command with the same `--output` goes on where it stopped.

How uniform a latent space is means the same for all: codes of a Gaussian space become angles by the normal
distribution's own function, `φ = 2π (CDF(z) - 1/2)`, uniform on the torus if and only if `z` is normal with independent
coordinates. Samples, reconstructions and midpoints of interpolations are compared with the test digits by the Fréchet
distance over 64 features of the digit classifier that comes with the package.
"""

import argparse
import itertools
import json
import math
import os
import platform
import time
from pathlib import Path

import keras
import numpy as np
from keras import ops

import torusae
from torusae import datasets

UNITS = (512, 256)
LEARNING_RATE = 2e-3
CONFIDENT = 0.9  # of the digit classifier
NUM_MORPHS = 250  # pairs of digits, 2**dim ways each, at most 8


def torus(losses):
    """A torus with some losses."""
    return lambda dim: {"space": torusae.Torus(dim), "losses": losses}


def gaussian(losses, **options):
    """A Gaussian space with some losses."""
    return lambda dim: {"space": torusae.Gaussian(dim, **options), "losses": losses}


def radii():
    """The paper's loss of the radii, which every torus here has."""
    return torusae.QuantileLoss(squared=True)


SYSTEMS = {
    "torus, default": torus(None),
    "torus, paper": torus("paper"),
    "torus, circular Wasserstein per angle": lambda dim: torus([torusae.CircularWassersteinLoss(), radii()])(dim),
    "torus, sliced Wasserstein": lambda dim: torus([torusae.SlicedLoss(seed=0), radii()])(dim),
    "torus, diaphony of the batch": lambda dim: torus(
        [torusae.DiaphonyLoss(interactions=None if dim <= 4 else 2), radii()]
    )(dim),
    "plain AE": gaussian("none"),
    # The weight that a normal likelihood of free variance gives, 2 / pixels, from the first step, as in a VAE.
    "VAE": lambda dim: {**gaussian("vae", variational=True)(dim), "loss_weights": {"kl": 2 / 784}},
    "WAE (MMD)": gaussian("wae"),
    "SWAE": gaussian("swae"),
    "CWAE": gaussian("cwae"),
    "Gaussian AE (Duda)": gaussian("gae"),
}


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="an mnist.npz (default: cache, download, bundled digits)")
    parser.add_argument("--bundled", action="store_true", help="use the 10,000 digits that come with the package")
    parser.add_argument("--samples", type=int, help="train on so many digits at most")
    parser.add_argument("--systems", nargs="+", choices=list(SYSTEMS), default=list(SYSTEMS), metavar="SYSTEM")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--dim", type=int, default=3, help="circles, or coordinates of a Gaussian space (default 3)")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--classifier", type=Path, help="a digit classifier (default: the one of the package)")
    parser.add_argument("--output", type=Path, default=Path("out", "compare"), help="folder (default: out/compare)")
    return parser.parse_args(argv)


def build(system: str, args: argparse.Namespace, num_samples: int) -> torusae.TorusAutoencoder:
    """The networks, the same for every system, around its latent space."""
    options = dict(SYSTEMS[system](args.dim))
    space = options.pop("space")
    encoder = torusae.dense_encoder((28, 28, 1), units=UNITS)
    decoder = torusae.dense_decoder((28, 28, 1), space.code_size, units=UNITS[::-1], activation="sigmoid")
    model = torusae.TorusAutoencoder(encoder, decoder, torusae.Latent(space, **options))
    steps = max(2, args.epochs * math.ceil(num_samples / args.batch_size))
    warmup = max(1, steps // 20)
    rate = keras.optimizers.schedules.CosineDecay(
        LEARNING_RATE / 20, steps - warmup, alpha=0.01, warmup_target=LEARNING_RATE, warmup_steps=warmup
    )
    model.compile(keras.optimizers.Adam(rate), "mse")
    return model


def uniform_angles(space: torusae.Space, codes: np.ndarray) -> np.ndarray:
    """Angles that are uniform if and only if the codes follow their prior."""
    coordinates = ops.convert_to_numpy(space.coordinates(codes)).astype("float64")
    if isinstance(space, torusae.Torus):
        return coordinates
    return np.pi * np.array([[math.erf(z / math.sqrt(2)) for z in row] for row in coordinates])


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
        return torusae.frechet_distance(self(images)[0], self.features)


def interpolations(model: torusae.TorusAutoencoder, codes: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Midpoints of shortest paths between digits, and every step of two-way paths, as images."""
    rng = np.random.default_rng(seed)
    space = model.latent.space
    pairs = rng.choice(len(codes), (2000, 2))
    if isinstance(space, torusae.Torus):
        (r_1, a_1), (r_2, a_2) = (
            tuple(ops.convert_to_numpy(part) for part in torusae.to_polar(codes[pairs[:, i]])) for i in (0, 1)
        )
        arcs = ops.convert_to_numpy(torusae.angle_difference(a_2, a_1))
        middle = ops.convert_to_numpy(torusae.to_cartesian((r_1 + r_2) / 2, a_1 + arcs / 2))
        paths = []
        for first, last in codes[pairs[:NUM_MORPHS]]:
            windings = ops.convert_to_numpy(torusae.two_way_windings(first, last))[:8]
            paths.append(ops.convert_to_numpy(space.paths(first, last, windings, 12))[:, 1:-1])
    else:
        middle = codes[pairs].mean(axis=1)
        share = np.linspace(0, 1, 12)[1:-1, None]
        paths = [((1 - share) * first + share * last)[None] for first, last in codes[pairs[:NUM_MORPHS]]]
    steps = np.concatenate([path.reshape(-1, codes.shape[1]) for path in paths])
    decode = {"batch_size": 1000, "verbose": 0}
    return {"middle": model.decode(middle.astype("float32"), **decode), "steps": model.decode(steps, **decode)}


def measure(model: torusae.TorusAutoencoder, x: np.ndarray, x_train: np.ndarray, judge: Judge, seed: int) -> dict:
    """The numbers of one run."""
    space = model.latent.space
    codes = model.encode(x, batch_size=1000, verbose=0)
    reconstruction = model.decode(codes, batch_size=1000, verbose=0)
    angles = uniform_angles(space, codes)
    dim = angles.shape[1]
    pairs = torusae.primitive_directions(dim, 2, 2)
    numbers = {
        "MSE": float(np.mean((reconstruction - x) ** 2)),
        "Kuiper, largest of single angles": float(torusae.kuiper_statistic(angles).max()),
        "Kuiper, largest along k up to 2 of pairs": max(
            float(torusae.kuiper_statistic(angles @ k[:, None]).max()) for k in pairs
        ),
        "Fréchet distance of reconstructions": judge.distance(reconstruction),
        "Fréchet distance of samples": judge.distance(model.sample(len(x), seed, batch_size=1000, verbose=0)),
    }
    if dim <= 4:
        occupancy = torusae.cell_occupancy(angles)
        numbers["KL of 8-cells, nats"] = occupancy["kl"]
        numbers["empty cells"] = occupancy["empty"]
        numbers["largest |mean exp(ik.angles)|, k up to 3"] = torusae.max_moment(angles)
    if isinstance(space, torusae.Torus):
        densities = {
            "mixture": torusae.VonMisesMixture(seed=seed),
            "kernel": torusae.TorusKernelDensity(seed=seed),
            "neighbors": torusae.TorusNeighborDensity(max_codes=len(x_train)),
        }
        for density, fitted_density in densities.items():
            model.fit_density(x_train, fitted_density, batch_size=1000, verbose=0)
            fitted = model.sample(len(x), seed, batch_size=1000, verbose=0, density="fitted")
            numbers[f"Fréchet distance of samples, fitted {density}"] = judge.distance(fitted)
    images = interpolations(model, codes, seed)
    numbers["Fréchet distance of midpoints"] = judge.distance(images["middle"])
    numbers["confident steps of paths"] = float((judge(images["steps"])[1] > CONFIDENT).mean())
    ratio = numbers["Fréchet distance of samples"] / numbers["Fréchet distance of reconstructions"]
    return {**numbers, "samples over reconstructions": ratio}


def summary(runs: dict[str, dict]) -> dict[str, dict[str, tuple[float, float]]]:
    """Mean and deviation over the seeds for each system and number."""
    table: dict[str, dict[str, tuple[float, float]]] = {}
    for system, group in itertools.groupby(runs.values(), key=lambda run: run["system"]):
        rows = [run["numbers"] for run in group]
        table[system] = {name: (float(np.mean(v := [r[name] for r in rows])), float(np.std(v))) for name in rows[0]}
    return table


def as_markdown(table: dict, num_seeds: int) -> str:
    """The table with a row for each number and a column for each system."""
    systems = list(table)
    names = list(dict.fromkeys(name for numbers in table.values() for name in numbers))
    lines = [f"| mean of {num_seeds} seeds ± deviation | {' | '.join(systems)} |", "|---" * (len(systems) + 1) + "|"]
    for name in names:
        cells = [
            f"{mean:.4g} ± {spread:.2g}" if (mean := table[s].get(name, (None,))[0]) is not None else ""
            for s in systems
            for spread in [table[s].get(name, (0, 0))[1]]
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def draw(table: dict, dim: int):
    """One panel a number, one bar a system, the deviation over the seeds as a whisker."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    panels = [
        ("MSE", "reconstruction MSE"),
        ("KL of 8-cells, nats", "KL of codes to the prior, nats"),
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
    figure.suptitle(f"MNIST test digits, dim {dim}; whiskers: deviation over the seeds")
    return figure


def main(argv: list[str] | None = None) -> dict:
    """Runs the comparison and returns the table."""
    args = arguments(argv)
    classifier = datasets.load_digit_classifier(args.classifier)
    data = datasets.load_mnist_subset() if args.bundled else datasets.load_mnist(args.data)
    x_train = data.x_train[: args.samples]
    judge = Judge(classifier, data.x_test)
    print(f"Data: {data.source}\nTraining on {len(x_train)} digits, testing on {len(data.x_test)}.")
    args.output.mkdir(parents=True, exist_ok=True)
    path = args.output / "runs.json"
    setting = {"dim": args.dim, "epochs": args.epochs, "batch size": args.batch_size, "digits": len(x_train)}
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
        numbers = measure(model, data.x_test, x_train, judge, seed)
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
