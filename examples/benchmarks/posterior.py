"""Angles by Bayes' rule beside an oracle that knows the mean function and the noise: error, cover, outliers.

    KERAS_BACKEND=torch python examples/benchmarks/posterior.py --seeds 10
    KERAS_BACKEND=torch python examples/benchmarks/posterior.py --kinds table2 pair --rows 500
    KERAS_BACKEND=torch python examples/benchmarks/posterior.py --missing 0.3
    KERAS_BACKEND=torch python examples/benchmarks/posterior.py --speed

The plain path trains 30 epochs on `--rows` rows: `from_shape`, `compile("adam", "mse")`, `fit(x, validation_split=0.2)`
and `fit_noise(x)`. 2000 more rows are scored, half of them after a map of each circle to the true angles with three
harmonics, fitted to the other half; `joint` is a map of all circles together. The oracle has the same maps.

Columns of the table: median errors of the encoder, of the posterior and of the oracle, in degrees; the posterior's over
the oracle's after both maps; how many of the true angles intervals hold; rank correlation of standard error and error,
and that of the oracle; the area under the curve of the misfit for rows of noise, 5 %, and that of the oracle.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from scipy import stats

import torusae

LEVELS = (0.5, 0.8, 0.9, 0.95)
EPOCHS, BATCH, TESTED = 30, 128, 2000
KINDS = (
    "bent",
    "bent:0.6",
    "bumps",
    "bumps:0.3",
    "table",
    "uneven",
    "few",
    "table2",
    "pair",
)  # `few`: nothing was tuned on it


def waves(angles: np.ndarray, order: int) -> np.ndarray:
    """Cosines and sines of all integer combinations of angles up to an order, `(num, waves)`; no constant."""
    grids = np.meshgrid(*[np.arange(-order, order + 1)] * angles.shape[1], indexing="ij")
    k = np.stack([grid.ravel() for grid in grids], axis=1)
    k = k[len(k) // 2 + 1 :]
    return np.concatenate([np.cos(angles @ k.T), np.sin(angles @ k.T)], axis=1)


def mixed(seed: int, columns: int, weights: np.ndarray):
    """A function from angles of one circle to columns of variance 1: waves with weights, mixed at random."""
    mix = np.random.default_rng(seed).normal(size=(2 * len(weights), columns)) * np.tile(weights, 2)[:, None]
    mix *= np.sqrt(2 / np.sum(mix**2, axis=0))
    return lambda angles: waves(angles, len(weights)) @ mix


def squashed(seed: int, columns: int, dim: int, bend: float):
    """`tanh` of a mixture of the circles, whose angles run unevenly where `bend` is not zero."""
    mix = np.random.default_rng(seed).normal(size=(2 * dim, columns)) * 1.5

    def mean(angles):
        bent = angles + bend * np.sin(angles)
        return np.tanh(np.concatenate([np.cos(bent), np.sin(bent)], axis=1) @ mix)

    return mean


def of_table(seed: int, dim: int, columns: int, noise: float):
    """The mean function of `torus_table`: its waves, read from a table without noise."""
    table, angles = torusae.datasets.torus_table(2000, dim, columns, 0.0, seed)
    mix = np.linalg.lstsq(waves(angles.astype("float64"), 2), table / np.sqrt(1 + noise**2), rcond=None)[0]
    return lambda angles: waves(angles, 2) @ mix


def kind(name: str, seed: int):
    """The number of circles, the mean function and the noise of each column."""
    name, _, size = name.partition(":")
    noise = float(size or {"bumps": 0.15, "table": 0.5, "few": 0.2}.get(name, 0.3))
    if name == "bent":
        return 1, mixed(seed, 12, np.array([1.0, 0.5])), np.full(12, noise)
    if name == "bumps":
        places = np.arange(12) * (2 * np.pi / 12)
        return 1, lambda angles: np.exp(4 * (np.cos(angles - places) - 1)), np.full(12, noise)
    if name == "few":
        return 1, mixed(seed, 4, np.array([1.0, 0.5])), np.full(4, noise)
    if name == "uneven":
        return 1, squashed(seed, 12, 1, 0.7), noise * np.geomspace(0.4, 2.5, 12)
    if name == "pair":
        return 2, squashed(seed, 16, 2, 0.0), np.full(16, noise)
    dim = 2 if name == "table2" else 1
    columns = 12 * dim
    return dim, of_table(seed, dim, columns, noise), np.full(columns, noise / np.sqrt(1 + noise**2))


def rows(mean, noise: np.ndarray, dim: int, num: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples and their true angles."""
    rng = np.random.default_rng([seed, num])
    angles = rng.uniform(-np.pi, np.pi, (num, dim))
    return (mean(angles) + noise * rng.normal(size=(num, len(noise)))).astype("float32"), angles


class Oracle:
    """The posterior of the true mean function and the true noise, on a grid of its own."""

    def __init__(self, x: np.ndarray, mean, noise: np.ndarray, dim: int):
        axis = np.linspace(-np.pi, np.pi, 2048 if dim == 1 else 160, endpoint=False)
        places = np.stack([grid.ravel() for grid in np.meshgrid(*[axis] * dim, indexing="ij")], axis=1)
        means = mean(places) / noise
        vectors, misfits = [], []
        for part in np.array_split(x / noise, max(1, len(x) // 250)):
            known = ~np.isnan(part)
            filled = np.where(known, part, 0.0)
            squares = np.sum(filled**2, axis=1)[:, None] - 2 * filled @ means.T + known @ (means**2).T
            weights = np.exp(-0.5 * (squares - squares.min(axis=1, keepdims=True)))
            vectors.append(weights @ np.exp(1j * places) / weights.sum(axis=1, keepdims=True))
            misfits.append(squares.min(axis=1))
        vectors = np.concatenate(vectors)
        self.angles, self.misfit = np.angle(vectors), np.concatenate(misfits)
        self.standard_error = np.sqrt(-2 * np.log(np.abs(vectors)))


def wrapped(angles: np.ndarray) -> np.ndarray:
    """Angles in [-π, π)."""
    return (angles + np.pi) % (2 * np.pi) - np.pi


class Map:
    """A map from found angles to true ones: of each circle alone, or of all together, fitted to the rows given."""

    def __init__(self, found: np.ndarray, true: np.ndarray, joint: bool):
        self.joint = joint
        change = torusae.topology.align(found.astype("float32"), true.astype("float32"))
        self.matrix = np.asarray(change.matrix)
        turned = found @ self.matrix.T
        zero = np.angle(np.exp(1j * (true - turned)).mean(axis=0))
        self.zero = zero
        self.mix = []
        for circle in range(true.shape[1]):
            target, features = wrapped(true - turned - zero)[:, circle], self._features(turned, circle)
            used = np.abs(target) < 1.5  # an angle on the wrong side says nothing of the map
            self.mix.append(np.linalg.lstsq(features[used], target[used], rcond=None)[0])

    def _features(self, turned: np.ndarray, circle: int) -> np.ndarray:
        used = turned if self.joint else turned[:, circle : circle + 1]
        return np.concatenate([np.ones((len(turned), 1)), waves(used, 3)], axis=1)

    def __call__(self, found: np.ndarray) -> np.ndarray:
        turned = found @ self.matrix.T
        moved = [self._features(turned, circle) @ mix for circle, mix in enumerate(self.mix)]
        return turned + self.zero + np.stack(moved, axis=1)

    def inside(self, found: np.ndarray, interval: np.ndarray, true: np.ndarray) -> np.ndarray:
        """Whether intervals around angles hold the true ones. A true circle is a found one, up to direction."""
        result = np.zeros(true.shape, bool)
        for circle, own in enumerate(np.abs(self.matrix).argmax(axis=1)):
            ends = []
            for end in interval[:, own].T:
                place = found.copy()
                place[:, own] = end
                ends.append(self(place)[:, circle])
            low, high = np.minimum(*ends), np.maximum(*ends)
            result[:, circle] = np.remainder(true[:, circle] - low, 2 * np.pi) <= high - low
        return result


def scored(found: np.ndarray, true: np.ndarray, joint: bool) -> tuple[Map, np.ndarray]:
    """The map fitted to the first half, and the absolute errors of the second, `(num, dim)`, degrees."""
    half = len(true) // 2
    change = Map(found[:half], true[:half], joint)
    return change, np.degrees(np.abs(wrapped(change(found[half:]) - true[half:])))


def area(inside: np.ndarray, outside: np.ndarray) -> float:
    """The share of pairs in which the outlier has the larger score."""
    return float(stats.mannwhitneyu(outside, inside).statistic / (len(inside) * len(outside)))


def run(name: str, seed: int, num: int, missing: float) -> dict:
    """One training, and all that is measured of it."""
    dim, mean, noise = kind(name, seed)
    x, _ = rows(mean, noise, dim, num + num // 4, seed)
    tested, true = rows(mean, noise, dim, TESTED, seed + 1000)
    outliers = (x.mean(axis=0) + x.std(axis=0) * np.random.default_rng(seed).normal(size=(100, len(noise)))).astype("f")
    if missing:
        rng = np.random.default_rng([seed, 1])
        for part in (x, tested):
            part[rng.uniform(size=part.shape) < missing] = np.nan
            part[np.isnan(part).all(axis=1), 0] = 0.0
    model = torusae.TorusAutoencoder.from_shape(x.shape[1:], dim=dim, missing="ignore" if missing else None)
    model.compile("adam", "mse")
    begin = time.time()
    model.fit(x, epochs=EPOCHS, batch_size=BATCH, validation_split=0.2, verbose=0)
    fitted = time.time() - begin
    model.fit_noise(x, verbose=0)
    begin = time.time()
    found = {level: model.posterior(tested, level, verbose=0) for level in LEVELS}
    result = {"kind": name, "seed": seed, "rows": num, "fit": fitted, "posterior": (time.time() - begin) / len(LEVELS)}
    oracle, half = Oracle(tested, mean, noise, dim), TESTED // 2
    angles = {"encoder": model.angles(tested, verbose=0), "posterior": found[0.9].angles, "oracle": oracle.angles}
    for joint in (False, True):
        of = {who: scored(each.astype("float64"), true, joint) for who, each in angles.items()}
        medians = {who: float(np.median(errors)) for who, (_, errors) in of.items()}
        suffix = "_joint" if joint else ""
        result |= {who + suffix: median for who, median in medians.items()}
        result["ratio" + suffix] = medians["posterior"] / medians["oracle"]
        result["encoder_ratio" + suffix] = medians["encoder"] / medians["oracle"]
        change, errors = of["posterior"]
        own = np.abs(change.matrix).argmax(axis=1)
        error = found[0.9].standard_error[half:][:, own]
        thirds = np.digitize(error, np.quantile(error, (1 / 3, 2 / 3)))
        for level, each in found.items():
            inside = change.inside(each.angles[half:].astype("float64"), each.interval[half:], true[half:])
            result[f"cover{100 * level:g}{suffix}"] = 100 * float(inside.mean())
            if level == 0.9:
                result["thirds" + suffix] = [100 * float(inside[thirds == third].mean()) for third in range(3)]
        if not joint:
            result["spearman"] = float(stats.spearmanr(error.ravel(), errors.ravel())[0])
            exact = oracle.standard_error[half:].ravel()
            result["spearman_oracle"] = float(stats.spearmanr(exact, of["oracle"][1].ravel())[0])
    result["auc"] = area(found[0.9].misfit, model.posterior(outliers, verbose=0).misfit)
    result["auc_oracle"] = area(oracle.misfit, Oracle(outliers, mean, noise, dim).misfit)
    return result


def speed() -> None:
    """Seconds of 10,000 rows of 50 columns after compilation, one and two circles."""
    for dim, epochs in ((1, 30), (2, 30), (2, 150)):
        x = torusae.datasets.torus_table(10_000, dim, 50, 0.3, 0)[0]
        model = torusae.TorusAutoencoder.from_shape((50,), dim=dim)
        model.compile("adam", "mse")
        model.fit(x[:4000], epochs=epochs, batch_size=BATCH, verbose=0)
        model.fit_noise(x[4000:], verbose=0)
        model.posterior(x, verbose=0)
        begin = time.time()
        model.posterior(x, verbose=0)
        print(f"{dim} circles, {epochs} epochs: {time.time() - begin:.2f} s", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--kinds", nargs="+", default=KINDS)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--missing", type=float, default=0.0)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--speed", action="store_true")
    arguments = parser.parse_args()
    if arguments.speed:
        speed()
        raise SystemExit
    shown = ["encoder", "posterior", "oracle", "ratio", "ratio_joint", *(f"cover{100 * level:g}" for level in LEVELS)]
    shown += ["cover90_joint", "spearman", "spearman_oracle", "auc", "auc_oracle"]
    print("kind seed", *shown)
    for name in arguments.kinds:
        for seed in range(arguments.first, arguments.first + arguments.seeds):
            found = run(name, seed, arguments.rows, arguments.missing)
            print(name, seed, *(f"{found[key]:.3g}" for key in shown), flush=True)
            if arguments.out:
                with arguments.out.open("a") as file:
                    file.write(json.dumps(found) + "\n")
