"""Real data sets from files that packages ship: are circles found, and are their angles right?

    pip install torusae[torch,plots,circles] --group real-data      # in a clone, with pip 25.1 or newer
    KERAS_BACKEND=torch python examples/real_data.py                # about a minute a set, on one core

Every set has rows to train on and later rows, which are held out. Rows of a time series are windows of it, and those
that share a value with both parts are left out. Scores are `|mean exp(i (truth - angle))|` of the rows held out, after
one sign and one shift (`torusae.align`); 1 is perfect. What is compared:

- `from_data`: `TorusAutoencoder.from_data(x)`, `compile("adam", "mse")`, `fit`, which chooses the space;
- `from_shape`: the same with the true number of circles, no other coordinate, and standardized columns;
- `PCA`: `atan2` of the first two principal components, of the next two for a second circle;
- `DREiMac`: circular coordinates of all rows, held out or not: it has no others (Perea 2020);
- `Hilbert`: the phase of one column of the series, without its level, smoothed;
- `trees`: 200 extremely randomized trees, which are trained on the true angles: what labels are worth.

Truths: the angle that was drawn (trend, photographs); the hour (demand); phases that run linearly from a peak of a
smoothed column to the next (gait, pulses, pressure); the place in a cell of the grid (grid cells); none (blood cells).
Only the trend and the spikes of the grid cells are simulated.
"""

import argparse
import dataclasses
import importlib.util
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

import torusae

SHARE = 0.7  # of the time, or of the rows, to train on


@dataclasses.dataclass
class Set:
    """Rows of one set. `truth` is None where nothing is known; `groups` where all rows are of one kind."""

    x: np.ndarray
    held_out: np.ndarray
    num_circles: int
    truth: np.ndarray | None = None
    hilbert: np.ndarray | None = None
    groups: np.ndarray | None = None


def folder(package: str) -> Path:
    """Where a package lies; it is not imported."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ImportError(f"This set is a file of the package {package}: pip install {package}")
    return Path(spec.origin).parent


def cut(
    series: np.ndarray, truth: np.ndarray, signal: np.ndarray, cycle: int, length: int, every: int, step: int = 1
) -> Set:
    """Windows of series `(time, columns)`, with the truth and a Hilbert phase of a signal in their middle.

    The last share of the time is held out, without the windows that share a value with both parts.
    """
    rows, middles = torusae.data.windows(series, length, step)
    middle, border = middles.astype(int), SHARE * len(series)
    keep = (np.abs(middles - border) > length / 2) & np.isfinite(truth[middle]).all(axis=1)
    x = rows.reshape(len(rows), length, -1)[keep, ::every].reshape(keep.sum(), -1)
    return Set(x, middles[keep] > border, 1, truth[middle[keep]], hilbert_phase(signal, cycle)[middle[keep]])


def beats(signal: np.ndarray, least: int, smooth: float, prominence: float) -> np.ndarray:
    """A phase that grows by 2π from one peak of a signal to the next, `(time, 1)`, NaN outside."""
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import find_peaks

    smoothed = gaussian_filter1d(signal.astype(float), smooth)
    peaks, _ = find_peaks(smoothed, distance=least, prominence=prominence * smoothed.std())
    cycles = np.interp(np.arange(len(signal)), peaks, np.arange(len(peaks)), left=np.nan, right=np.nan)
    return 2 * np.pi * cycles[:, None]


def hilbert_phase(signal: np.ndarray, cycle: int) -> np.ndarray:
    """The phase of a signal `(time,)` without its level over two cycles, smoothed over a tenth of one, `(time, 1)`."""
    from scipy.ndimage import gaussian_filter1d, uniform_filter1d
    from scipy.signal import hilbert

    band = gaussian_filter1d(signal.astype(float), cycle / 10) - uniform_filter1d(signal.astype(float), 2 * cycle)
    return np.angle(hilbert(band))[:, None]


def trend(seed: int, size: float) -> Set:
    """A circle of radius 1 and a trend across it, in ten columns."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(-np.pi, np.pi, 2500)
    source = np.stack([np.cos(angle), np.sin(angle), rng.uniform(-size, size, 2500)], axis=1)
    frame = np.linalg.qr(rng.standard_normal((10, 3)))[0]
    x = source @ frame.T + 0.05 * rng.standard_normal((2500, 10))
    return Set(x, np.arange(2500) >= 1500, 1, angle[:, None])


def demand(seed: int, length: int, every: int) -> Set:
    """Electricity demand of England and Wales, every half hour of twelve weeks. The truth is the hour."""
    from pmdarima.datasets import load_taylor

    series = load_taylor()[:, None]
    hour = 2 * np.pi / 48 * np.arange(len(series))[:, None]
    return cut(series, hour, series[:, 0], 48, length, every)


def gait(seed: int, smooth: float = 0) -> Set:
    """A walk: three accelerometers of three axes, 64 Hz. The truth runs from one swing of the ankle to the next."""
    from scipy.ndimage import gaussian_filter1d

    path = folder("aeon") / "datasets/data/Daphnet_S06R02E0/S06R02E0.csv"
    series = np.loadtxt(path, delimiter=",", skiprows=1, usecols=range(1, 10))[1800:6800]
    truth = beats(series[:, 0], 40, 5, 0.5)  # one peak a stride; most other columns have two
    if smooth:
        series = gaussian_filter1d(series, smooth, axis=0)
    # Smoothed: one stride, eight times. As they are: a stride and a half, every quarter of a second.
    length, every = (65, 8) if smooth else (97, 16)
    return cut(series / series.std(axis=0), truth, series[:, 0], 65, length, every)


def pressure(seed: int) -> Set:
    """Arterial blood pressure. The truth runs from one beat to the next."""
    path = folder("aeon") / "datasets/data/KDD-TSAD_135/135_UCR_Anomaly_InternalBleeding16_TEST.csv"
    series = np.loadtxt(path, delimiter=",", skiprows=1, usecols=1)[:4100]  # what comes later is an anomaly
    return cut(series[:, None], beats(series, 100, 4, 0.5), series, 180, 160, 8)


def pulse(person: int) -> tuple[np.ndarray, np.ndarray]:
    """The pulse at a finger of a person, 100 Hz, and its phase."""
    data = folder("heartpy") / "data"
    if person == 0:
        series = np.loadtxt(data / "data.csv")
    else:
        text = np.loadtxt(data / f"data{person + 1}.csv", delimiter=",", skiprows=1, dtype=str)
        values, num = text[:, 1].astype(float), len(text)
        time_ = np.linspace(0, {1: 128.210, 2: 681.898}[person], num)
        start = {1: 40.0, 2: 120.0}[person]
        series = np.interp(np.arange(start, start + 25, 0.01), time_, values)
    return series[:, None], beats(series, 50, 5, 1.0)


def pulses(seed: int, people: tuple[int, ...] = (0, 1, 2)) -> Set:
    """Pulses at a finger. The truth runs from one beat to the next."""
    parts = []
    for person in people:
        series, truth = pulse(person)
        parts.append(cut(series, truth, series[:, 0], 80, 96, 5, 1 if len(people) == 1 else 2))
    x, held_out, truth, phase = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("x", "held_out", "truth", "hilbert")
    )
    groups = np.repeat(people, [len(part.x) for part in parts]) if len(people) > 1 else None
    return Set(x, held_out, 1, truth, phase, groups)


def grid_cells(seed: int) -> Set:
    """Spikes of 80 grid cells along the path of a real rat in a box of a metre (Sargolini et al. 2006).

    The path is real; rates are simulated, and counts of a third of a second drawn.
    """
    rng = np.random.default_rng(seed)
    path = np.load(folder("ratinabox") / "data/sargolini.npz")
    seconds = np.arange(path["t"][0], path["t"][-1], 0.3)
    place = np.stack([np.interp(seconds + 0.15, path["t"], path["pos"][:, axis]) for axis in range(2)], axis=1)
    turn = rng.uniform(0, np.pi / 3) + np.pi / 3 * np.arange(3)
    waves = 4 * np.pi / (np.sqrt(3) * 0.4) * np.stack([np.cos(turn), np.sin(turn)])  # a period of 0.4 m
    offsets = rng.uniform(0, 1, (80, 2))
    peaks = 10 * np.exp(rng.standard_normal(80) - 0.5)  # a second, 10 on average
    cosines = np.cos((place[:, None] - offsets) @ waves).sum(axis=2)
    rates = peaks * np.clip(2 / 3 * (cosines / 3 + 0.5), 0, None)
    x = np.sqrt(rng.poisson(0.3 * rates)).astype(float)
    held_out = np.arange(len(x)) >= SHARE * len(x)
    return Set(x, held_out, 2, place @ waves[:, :2])


def photographs(seed: int, names: tuple[str, ...] = ("camera",), num: int = 1300) -> Set:
    """Photographs turned by random angles, 20 x 20 pixels, with noise and changes of brightness."""
    from scipy.ndimage import gaussian_filter, rotate, zoom
    from skimage import color, data

    rng = np.random.default_rng(seed)
    pictures = []
    for name in names:
        picture = np.asarray(getattr(data, name)(), float)
        picture = color.rgb2gray(picture / 255) if picture.ndim == 3 else picture / 255
        side = min(picture.shape)
        top, left = (picture.shape[0] - side) // 2, (picture.shape[1] - side) // 2
        square = gaussian_filter(picture[top : top + side, left : left + side], side / 60)
        pictures.append(zoom(square, 87 / side, order=1))  # the largest square in it that turns has a side of 60
    angle = rng.uniform(-np.pi, np.pi, num)
    which = rng.integers(len(names), size=num)
    turned = [
        rotate(pictures[index], np.rad2deg(each), reshape=False, order=1)[14:72:3, 14:72:3]
        for index, each in zip(which, angle, strict=True)
    ]
    bright = rng.uniform(0.7, 1.3, (num, 1, 1))
    x = np.stack(turned) * bright + 0.2 * rng.standard_normal((num, 20, 20))
    held_out = np.arange(num) >= SHARE * num
    return Set(x.reshape(num, -1), held_out, 1, angle[:, None])


def blood_cells(seed: int) -> Set:
    """Blood cells: expression of 765 genes (10x Genomics). There is no circle to find."""
    import h5py

    with h5py.File(folder("scanpy") / "datasets/10x_pbmc68k_reduced.h5ad") as file:
        x = np.asarray(file["X"], float)
    held_out = np.random.default_rng(seed).permutation(len(x)) < 0.2 * len(x)
    return Set(x, held_out, 0)


SETS: dict[str, Callable[[int], Set]] = {
    "trend ±1": lambda seed: trend(seed, 1),
    "trend ±2": lambda seed: trend(seed, 2),
    "trend ±3": lambda seed: trend(seed, 3),
    "demand, 12 h": lambda seed: demand(seed, 24, 1),
    "demand, 4 days": lambda seed: demand(seed, 192, 4),
    "gait": gait,
    "gait, smoothed": lambda seed: gait(seed, 6),
    "grid cells": grid_cells,
    "photograph": photographs,
    "three photographs": lambda seed: photographs(seed, ("camera", "astronaut", "coffee"), 2150),
    "one pulse": lambda seed: pulses(seed, (0,)),
    "three pulses": pulses,
    "arterial pressure": pressure,
    "blood cells": blood_cells,
}
# Those of the figure.
DRAWN = ("trend ±3", "gait, smoothed", "photograph", "three pulses")


def score(angles: np.ndarray, truth: np.ndarray) -> list[float] | None:
    """`|mean exp(i (truth - angles))|` of each true angle after `align`, or None where angles are too few."""
    if angles.shape[1] < truth.shape[1]:
        return None
    return torusae.align(angles.astype("float64"), wrap(truth), max_entry=1).scores.round(3).tolist()


def wrap(angles: np.ndarray) -> np.ndarray:
    """Angles in `[-π, π)`."""
    return (angles + np.pi) % (2 * np.pi) - np.pi


def principal_angles(x: np.ndarray, train: np.ndarray, count: int) -> np.ndarray:
    """`atan2` of the first pairs of principal components of the training rows, `(rows, count)`."""
    _, _, axes = np.linalg.svd(x[train], full_matrices=False)
    scores = x @ axes[: 2 * count].T
    return np.arctan2(scores[:, 1::2], scores[:, ::2])


def dreimac_angles(x: np.ndarray, count: int) -> np.ndarray:
    """Circular coordinates of DREiMac of all rows, which has no other way for rows that are held out."""
    from dreimac import ToroidalCoords

    classes = ToroidalCoords(x, n_landmarks=300)
    try:
        coordinates = classes.get_coordinates(cocycle_idxs=list(range(count)))
    except Exception:  # a class that is too short for its own choice of scale; its message says to do this
        coordinates = classes.get_coordinates(cocycle_idxs=list(range(count)), standard_range=False)
    return wrap(np.stack(coordinates, axis=1))


def tree_angles(x: np.ndarray, train: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The angles that trees say, which were trained on true angles."""
    from sklearn.ensemble import ExtraTreesRegressor

    trees = ExtraTreesRegressor(200, min_samples_leaf=2, random_state=0)
    trees.fit(x[train], np.concatenate([np.cos(truth[train]), np.sin(truth[train])], axis=1))
    cosines, sines = np.split(trees.predict(x), 2, axis=1)
    return np.arctan2(sines, cosines)


@dataclasses.dataclass
class Result:
    """What one method gives for a set: angles of the rows held out, or none, and what it says."""

    angles: np.ndarray | None
    says: dict[str, Any] = dataclasses.field(default_factory=dict)


def autoencoder(data: Set, x: np.ndarray, epochs: int, chosen: bool) -> Result:
    """Angles of an autoencoder: of `from_data` on the rows as they are, or of `from_shape` on standardized `x`."""
    train = ~data.held_out
    groups = {} if data.groups is None or not chosen else {"groups": data.groups[train]}
    if chosen:
        x = data.x
        model = torusae.TorusAutoencoder.from_data(x[train], verbose=0, **groups)
    else:
        x = x.astype("float32")
        model = torusae.TorusAutoencoder.from_shape(x.shape[1:], max(data.num_circles, 1))
    model.compile("adam", "mse")
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        model.fit(x[train], batch_size=128, epochs=epochs, verbose=0, **groups)
    diagnosis = torusae.diagnose(model, x[train], **groups)
    says = {
        "space": repr(model.latent.space),
        "problems": [problem.name for problem in diagnosis.problems],
        "diagnosis": str(diagnosis),
        "warnings": sorted({str(each.message) for each in warned if each.category is UserWarning}),
    }
    if chosen:
        says |= {"found": model.suggestion.circles.num_circles, "saw": str(model.suggestion)}
    test_groups = {name: data.groups[data.held_out] for name in groups}
    return Result(model.angles(x[data.held_out], verbose=0, **test_groups), says)


METHODS: dict[str, Callable[[Set, np.ndarray, int], Result | None]] = {
    "from_data": lambda data, x, epochs: autoencoder(data, x, epochs, True),
    "from_shape": lambda data, x, epochs: autoencoder(data, x, epochs, False),
    "PCA": lambda data, x, epochs: Result(principal_angles(x, ~data.held_out, data.num_circles)[data.held_out]),
    "DREiMac": lambda data, x, epochs: Result(dreimac_angles(x, data.num_circles)[data.held_out]),
    "Hilbert": lambda data, x, epochs: None if data.hilbert is None else Result(data.hilbert[data.held_out]),
    "trees": lambda data, x, epochs: Result(tree_angles(x, ~data.held_out, data.truth)[data.held_out]),
}


def measure(name: str, seed: int, methods: list[str], epochs: int) -> tuple[dict[str, Any], Set, np.ndarray | None]:
    """The numbers of one set, and the set with the angles of its first method."""
    data = SETS[name](seed)
    train = ~data.held_out
    scaled = (data.x - data.x[train].mean(axis=0)) / (data.x[train].std(axis=0) + 1e-9)
    row: dict[str, Any] = {"set": name, "seed": seed, "rows": int(train.sum()), "columns": data.x.shape[1]}
    row |= {"circles": data.num_circles, "scores": {}, "seconds": {}, "says": {}}
    first = None
    for method in methods:
        if data.truth is None and method not in ("from_data", "from_shape"):
            continue
        keras.utils.set_random_seed(seed)
        begin = time.process_time()
        result = METHODS[method](data, scaled, epochs)
        if result is None:
            continue
        row["seconds"][method] = round(time.process_time() - begin, 1)
        row["says"][method] = result.says
        if data.truth is not None:
            row["scores"][method] = score(result.angles, data.truth[data.held_out])
        first = result.angles if first is None else first
    return row, data, first


def table(rows: list[dict[str, Any]], methods: list[str]) -> str:
    """The rows as a Markdown table."""
    lines = [
        ["set", "rows x columns", "circles found / true", "space", *methods, "`diagnose`"],
        ["---"] * (5 + len(methods)),
    ]
    for row in rows:
        says = row["says"].get("from_data", {})
        scores = [", ".join(f"{each:.3f}" for each in row["scores"].get(method) or []) for method in methods]
        size, circles = f"{row['rows']} x {row['columns']}", f"{says.get('found', '')} / {row['circles']}"
        lines.append([row["set"], size, circles, says.get("space", ""), *scores, ", ".join(says.get("problems", []))])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def draw(drawn: dict[str, tuple[Set, np.ndarray]], path: Path) -> None:
    """Rows held out in the plane of two principal components, coloured by their angles, and angles beside the truth."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, len(drawn), figsize=(3.2 * len(drawn), 6), layout="constrained", squeeze=False)
    for (plane, line), (name, (data, angles)) in zip(axes.T, drawn.items(), strict=True):
        truth = wrap(data.truth[data.held_out])
        mapped = torusae.align(angles.astype("float64"), truth, max_entry=1)(angles)
        x = data.x[data.held_out] - data.x[~data.held_out].mean(axis=0)
        components = x @ np.linalg.svd(x, full_matrices=False)[2][:2].T
        plane.scatter(*components.T, c=mapped[:, 0], cmap="twilight", vmin=-np.pi, vmax=np.pi, s=4)
        plane.set(title=name, xticks=[], yticks=[], xlabel="component 0", ylabel="component 1")
        line.scatter(truth[:, 0], mapped[:, 0], s=4, color="C0")
        line.set(xlabel="true angle (rad)", ylabel="angle (rad)", aspect="equal")
    figure.savefig(path, dpi=100)
    plt.close(figure)


def main(argv: list[str] | None = None) -> list[dict[str, Any]]:
    """Measures the sets, and returns the rows of the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[0], help="of simulated rows and of weights (default: 0)"
    )
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument(
        "--output", type=Path, default=Path("out", "real_data"), help="folder of the rows and the figure"
    )
    args = parser.parse_args(argv)
    args.output.mkdir(parents=True, exist_ok=True)
    rows, drawn = [], {}
    for name in args.sets:
        for seed in args.seeds:
            row, data, angles = measure(name, seed, args.methods, args.epochs)
            rows.append(row)
            if name in DRAWN and angles is not None and name not in drawn:
                drawn[name] = data, angles
            print(json.dumps(row, ensure_ascii=False), flush=True)
            with (args.output / "rows.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
    print(table(rows, args.methods))
    if drawn:
        draw(drawn, args.output / "real_data.png")
    return rows


if __name__ == "__main__":
    main()
