"""Do the angles become the data's own? Trains the plain path on data whose circles are known, by several starts.

    KERAS_BACKEND=jax python examples/benchmarks/circles.py

The plain path is `TorusAutoencoder.from_shape(shape, dim)`, `compile("adam", "mse")`, `fit(x, batch_size=128)`, with 60
epochs, 30 for images. Prints, and writes as JSON lines, of samples that were held out: `scores`, how well each true
angle is found (`torusae.align`, 1 is perfect), and `left`, the share of the variance that is not reconstructed.

Starts:

- `circles`: the default, at the circles that `torusae.find_circles` finds;
- `none`: random weights;
- `free`: a third of the epochs without latent losses, so that codes may cross the origin, then with them;
- `spectral`: at the phases of pairs of eigenvectors of the neighbours' graph (Belkin & Niyogi 2003).

`restarts` needs no run of its own: the best of five seeds of `none` by the training error, which is in the rows.

    KERAS_BACKEND=jax python examples/benchmarks/circles.py --count

counts the circles of these data, of the moons of Jupiter (with `pip install ephem`), of noise and of digits.
A training takes 5 to 60 seconds on one core, a count 3 to 6.
"""

import argparse
import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

import torusae
from torusae import datasets

HELD_OUT = 1000
STARTS = ("circles", "none", "free", "spectral")


def circle(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A bent circle in 40 columns with noise."""
    rng = np.random.default_rng(seed)
    map_, angles = rng.standard_normal((2, 40)), rng.uniform(-np.pi, np.pi, (3000 + HELD_OUT, 1))
    clean = np.tanh(np.concatenate([np.cos(angles), np.sin(angles)], axis=1) @ map_)
    return (clean + 0.1 * rng.standard_normal(clean.shape)).astype("float32"), angles


def moons(names: tuple[str, ...], seed: int) -> np.ndarray:
    """The distances of moons from Jupiter on the sky at random times, and six hours later."""
    import ephem

    bodies = [getattr(ephem, name)() for name in names]
    days = np.random.default_rng(seed).uniform(0, 3650, (3000, 1)) + ephem.Date("2000/1/1")
    rows = []
    for time_ in np.concatenate([days, days + 0.25], axis=1):
        for date, body in itertools.product(time_, bodies):
            body.compute(date)
            rows.append(body.x)
    rows = np.array(rows).reshape(len(days), -1)
    return (rows / rows.std(axis=0)).astype("float32")


def neurons(num: int, circles: int, seed: int) -> np.ndarray:
    """Square roots of spikes, Poisson counts: each neuron has a bump of firing around its own place."""
    rng = np.random.default_rng(seed)
    angles, places = (rng.uniform(-np.pi, np.pi, (rows, circles)) for rows in (3000, num))
    rates = 12 * np.exp(2 * (np.cos(angles[:, None] - places) - 1).sum(axis=2))
    return np.sqrt(rng.poisson(rates)).astype("float32")


def with_outliers(seed: int) -> np.ndarray:
    """The circle in 40 columns, with noise of one to twenty times its deviation in 3 % of its rows."""
    x, rng = circle(seed)[0][:-HELD_OUT].copy(), np.random.default_rng(seed)
    moved = rng.random(len(x)) < 0.03
    x[moved] += rng.uniform(1, 20) * x.std() * rng.standard_normal((moved.sum(), x.shape[1]))
    return x


TRAINED: dict[str, Callable] = {
    "circle": circle,
    "table of 1": lambda seed: datasets.torus_table(6000 + HELD_OUT, dim=1, noise=0.1, seed=seed),
    "table of 2": lambda seed: datasets.torus_table(6000 + HELD_OUT, dim=2, noise=0.1, seed=seed),
    "table of 3": lambda seed: datasets.torus_table(6000 + HELD_OUT, dim=3, noise=0.1, seed=seed),
    "hue images": lambda seed: datasets.hue_images(5000 + HELD_OUT, seed=seed),
}
COUNTED: dict[str, tuple[int, Callable]] = {
    **{
        name: (count, lambda seed, name=name: TRAINED[name](seed)[0][:-HELD_OUT])
        for name, count in zip(TRAINED, (1, 1, 2, 3, 2), strict=True)
    },
    "Io, Europa": (2, lambda seed: moons(("Io", "Europa"), seed)),
    "Io, Europa, Ganymede": (2, lambda seed: moons(("Io", "Europa", "Ganymede"), seed)),
    "40 neurons on a circle": (1, lambda seed: neurons(40, 1, seed)),
    "100 neurons on a torus": (2, lambda seed: neurons(100, 2, seed)),
    "circle and outliers": (1, with_outliers),
    "noise in 50 columns": (0, lambda seed: np.random.default_rng(seed).standard_normal((5000, 50))),
    "noise in 3 columns": (0, lambda seed: np.random.default_rng(seed).standard_normal((5000, 3))),
    "noise in 2 columns": (0, lambda seed: np.random.default_rng(seed).standard_normal((5000, 2))),
}


def spectral_angles(x: np.ndarray, dim: int) -> np.ndarray:
    """The phases of pairs of eigenvectors, in their order."""
    from sklearn.manifold import SpectralEmbedding

    vectors = SpectralEmbedding(2 * dim, affinity="nearest_neighbors", n_neighbors=12, random_state=0)
    pairs = vectors.fit_transform(x.reshape(len(x), -1))
    return np.arctan2(pairs[:, 1::2], pairs[:, ::2])


def train(name: str, start: str, seed: int, epochs: int | None) -> dict:
    """The numbers of one training."""
    samples, angles = TRAINED[name](seed)
    x, held_out = samples[:-HELD_OUT], samples[-HELD_OUT:]
    epochs = epochs or (30 if x.ndim > 2 else 60)
    keras.utils.set_random_seed(seed)
    begin = time.time()
    model = torusae.TorusAutoencoder.from_shape(
        x.shape[1:], angles.shape[1], init="circles" if start == "circles" else "random"
    )
    model.compile("adam", "mse")
    if start == "free":
        free = torusae.TorusAutoencoder(
            model.encoder, model.decoder, torusae.TorusLatent(angles.shape[1], "none"), init="random"
        )
        free.compile("adam", "mse")
        free.fit(x, batch_size=128, epochs=epochs // 3, verbose=0)
        model.latent.projection.set_weights(free.latent.projection.get_weights())
        epochs -= epochs // 3
    if start == "spectral":
        torusae.initialize_at_circles(model, x, angles=spectral_angles(x, angles.shape[1]))
    history = model.fit(x, batch_size=128, epochs=epochs, verbose=0).history
    seconds = time.time() - begin
    alignment = torusae.align(model.angles(held_out, verbose=0), angles[-HELD_OUT:].astype("float64"))
    errors = model.reconstruct(held_out, verbose=0) - held_out
    return {
        "scores": alignment.scores.round(4).tolist(),
        "left": float((errors**2).mean() / held_out.var(axis=0).mean()),
        "training error": history["reconstruction"][-1],
        "seconds": round(seconds, 1),
    }


def count(name: str, seed: int, mnist: np.ndarray | None) -> dict:
    """How many circles are found, and how many there are."""
    expected, make = COUNTED.get(name, (0, lambda _: mnist))
    x = make(seed)
    begin = time.time()
    found = torusae.find_circles(x, seed=seed)
    return {
        "expected": expected,
        "found": found.num_circles,
        "angles": found.angles,
        "persistence": found.persistence[:4].round(2).tolist(),
        "seconds": round(time.time() - begin, 1),
    }


def main(argv: list[str] | None = None) -> list[dict]:
    """Trains or counts, and returns the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", action="store_true", help="count circles and train nothing")
    parser.add_argument("--sets", nargs="+", help="names of data (default: all)")
    parser.add_argument("--starts", nargs="+", default=STARTS[:2], choices=STARTS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--epochs", type=int, help="(default: 60, images 30)")
    parser.add_argument("--data", type=Path, help="an mnist.npz to count in (default: the digits that come along)")
    parser.add_argument("--output", type=Path, default=Path("out", "circles.jsonl"))
    args = parser.parse_args(argv)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    names = args.sets or [*(COUNTED if args.count else TRAINED), *(["digits"] if args.count else [])]
    digits = None
    if "digits" in names:
        digits = (datasets.load_mnist(args.data) if args.data else datasets.load_mnist_subset()).x_train
    for seed, name, start in itertools.product(args.seeds, names, [None] if args.count else args.starts):
        row = {"seed": seed, "data": name, **({} if args.count else {"start": start})}
        rows.append({**row, **(count(name, seed, digits) if args.count else train(name, start, seed, args.epochs))})
        rows[-1].pop("angles", None)
        print(json.dumps(rows[-1]), flush=True)
        with args.output.open("a", encoding="utf-8") as file:
            file.write(json.dumps(rows[-1]) + "\n")
    return rows


if __name__ == "__main__":
    main()
