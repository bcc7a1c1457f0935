"""Real data sets, from files that packages ship."""

import argparse
import dataclasses
import importlib.util
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

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


def windows(
    series: np.ndarray, truth: np.ndarray, signal: np.ndarray, cycle: int, length: int, every: int, step: int = 1
) -> tuple[np.ndarray, ...]:
    """Windows of series `(time, columns)`, which are held out, and in their middle the truth and a Hilbert phase.

    The last share of the time is held out, without the windows that share a value with both parts.
    """
    starts = np.arange(0, len(series) - length + 1, step)
    x = sliding_window_view(series, length, axis=0)[starts][..., ::every]
    border = int(SHARE * len(series))
    keep = (starts + length <= border) | (starts >= border)
    keep &= np.isfinite(truth[starts + length // 2]).all(axis=1)
    starts, x = starts[keep], x[keep]
    middle = starts + length // 2
    return x.reshape(len(x), -1), starts >= border, truth[middle], hilbert_phase(signal, cycle)[middle]


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
    x, held_out, truth, phase = windows(series, hour, series[:, 0], 48, length, every)
    return Set(x, held_out, 1, truth, phase)


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
    rows = windows(series / series.std(axis=0), truth, series[:, 0], 65, length, every)
    x, held_out, truth, phase = rows
    return Set(x, held_out, 1, truth, phase)


def pressure(seed: int) -> Set:
    """Arterial blood pressure. The truth runs from one beat to the next."""
    path = folder("aeon") / "datasets/data/KDD-TSAD_135/135_UCR_Anomaly_InternalBleeding16_TEST.csv"
    series = np.loadtxt(path, delimiter=",", skiprows=1, usecols=1)[:4100]  # what comes later is an anomaly
    x, held_out, truth, phase = windows(series[:, None], beats(series, 100, 4, 0.5), series, 180, 160, 8)
    return Set(x, held_out, 1, truth, phase)


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
        parts.append(windows(series, truth, series[:, 0], 80, 96, 5, 1 if len(people) == 1 else 2))
    x, held_out, truth, phase = (np.concatenate(each) for each in zip(*parts, strict=True))
    groups = np.repeat(people, [len(part[0]) for part in parts]) if len(people) > 1 else None
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


def trained(model: Any, x: np.ndarray, epochs: int, **groups: np.ndarray) -> None:
    """Trains as in the documentation."""
    model.compile("adam", "mse")
    model.fit(x, batch_size=128, epochs=epochs, verbose=0, **groups)


def measure(name: str, seed: int, methods: list[str], epochs: int) -> dict[str, Any]:
    """The numbers of one set."""
    data = SETS[name](seed)
    train, test = ~data.held_out, data.held_out
    row: dict[str, Any] = {"set": name, "seed": seed, "rows": int(train.sum()), "columns": data.x.shape[1]}
    row["circles"] = data.num_circles
    scaled = (data.x - data.x[train].mean(axis=0)) / (data.x[train].std(axis=0) + 1e-9)
    for method in methods:
        begin = time.process_time()
        angles: np.ndarray | None = None
        keras.utils.set_random_seed(seed)
        if method == "plain":
            model = torusae.TorusAutoencoder.from_shape(scaled.shape[1:], max(data.num_circles, 1))
            trained(model, scaled[train].astype("float32"), epochs)
            angles = model.angles(scaled[test].astype("float32"), verbose=0)
            row["plain says"] = [
                problem.name for problem in torusae.diagnose(model, scaled[train].astype("float32")).problems
            ]
        elif method == "from_data":
            groups = {} if data.groups is None else {"groups": data.groups[train]}
            model = torusae.TorusAutoencoder.from_data(data.x[train], verbose=0, **groups)
            row["space"], row["found"] = repr(model.latent.space), model.suggestion.circles.num_circles
            row["saw"] = str(model.suggestion)
            trained(model, data.x[train], epochs, **groups)
            test_groups = {} if data.groups is None else {"groups": data.groups[test]}
            if model.latent.space.num_angles:
                angles = model.angles(data.x[test], verbose=0, **test_groups)
            row["says"] = str(torusae.diagnose(model, data.x[train]))
        elif method == "pca":
            angles = principal_angles(scaled, train, max(data.num_circles, 1))[test]
        elif method == "dreimac":
            angles = dreimac_angles(scaled, max(data.num_circles, 1))[test]
        elif method == "hilbert" and data.hilbert is not None:
            angles = data.hilbert[test]
        elif method == "trees" and data.truth is not None:
            angles = tree_angles(scaled, train, data.truth)[test]
        if angles is not None and data.truth is not None:
            row[method] = score(angles, data.truth[test])
        row[f"{method} seconds"] = round(time.process_time() - begin, 1)
    return row


METHODS = ("plain", "from_data", "pca", "dreimac", "hilbert", "trees")


def main(argv: list[str] | None = None) -> list[dict[str, Any]]:
    """Measures the sets, and returns the rows of the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--output", type=Path, default=Path("out", "real_data"))
    args = parser.parse_args(argv)
    args.output.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in args.sets:
        for seed in args.seeds:
            rows.append(measure(name, seed, args.methods, args.epochs))
            print(json.dumps(rows[-1], ensure_ascii=False), flush=True)
            with (args.output / "rows.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(rows[-1], ensure_ascii=False) + "\n")
    return rows


if __name__ == "__main__":
    main()
