"""Real data sets, from files that packages ship."""

import dataclasses
import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

SHARE = 0.7  # of the time, or of the rows, to train on


@dataclasses.dataclass
class Set:
    """Rows of one set. `truth` is None where nothing is known; `groups` where all rows are of one kind."""

    x: np.ndarray
    held_out: np.ndarray
    num_circles: int
    truth: np.ndarray | None = None
    groups: np.ndarray | None = None


def folder(package: str) -> Path:
    """Where a package lies; it is not imported."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ImportError(f"This set is a file of the package {package}: pip install {package}")
    return Path(spec.origin).parent


def windows(series: np.ndarray, truth: np.ndarray, length: int, every: int, step: int = 1) -> tuple[np.ndarray, ...]:
    """Windows of series `(time, columns)`, the truth in their middle, and which are held out.

    The last share of the time is held out, without the windows that share a value with both parts.
    """
    starts = np.arange(0, len(series) - length + 1, step)
    x = sliding_window_view(series, length, axis=0)[starts][..., ::every]
    border = int(SHARE * len(series))
    keep = (starts + length <= border) | (starts >= border)
    keep &= np.isfinite(truth[starts + length // 2]).all(axis=1)
    starts, x = starts[keep], x[keep]
    return x.reshape(len(x), -1), truth[starts + length // 2], starts >= border


def beats(signal: np.ndarray, least: int, smooth: float, prominence: float) -> np.ndarray:
    """A phase that grows by 2π from one peak of a signal to the next, `(time, 1)`, NaN outside."""
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import find_peaks

    smoothed = gaussian_filter1d(signal.astype(float), smooth)
    peaks, _ = find_peaks(smoothed, distance=least, prominence=prominence * smoothed.std())
    cycles = np.interp(np.arange(len(signal)), peaks, np.arange(len(peaks)), left=np.nan, right=np.nan)
    return 2 * np.pi * cycles[:, None]


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
    x, truth, held_out = windows(series, hour, length, every)
    return Set(x, held_out, 1, truth)


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
    x, truth, held_out = windows(series / series.std(axis=0), truth, length, every)
    return Set(x, held_out, 1, truth)


def pressure(seed: int) -> Set:
    """Arterial blood pressure. The truth runs from one beat to the next."""
    path = folder("aeon") / "datasets/data/KDD-TSAD_135/135_UCR_Anomaly_InternalBleeding16_TEST.csv"
    series = np.loadtxt(path, delimiter=",", skiprows=1, usecols=1)[:4100]  # what comes later is an anomaly
    x, truth, held_out = windows(series[:, None], beats(series, 100, 4, 0.5), 160, 8)
    return Set(x, held_out, 1, truth)


def pulse(person: int) -> tuple[np.ndarray, np.ndarray]:
    """The pulse at a finger of a person, 100 Hz, and its phase."""
    data = folder("heartpy") / "data"
    if person == 0:
        series = np.loadtxt(data / "data.csv")
    else:
        text = np.loadtxt(data / f"data{person + 1}.csv", delimiter=",", skiprows=1, dtype=str)
        values, num = text[:, 1].astype(float), len(text)
        seconds = {1: 128.210, 2: 681.898}[person]
        time = np.linspace(0, seconds, num)
        start = {1: 40.0, 2: 120.0}[person]
        series = np.interp(np.arange(start, start + 25, 0.01), time, values)
    return series[:, None], beats(series, 50, 5, 1.0)


def pulses(seed: int, people: tuple[int, ...] = (0, 1, 2)) -> Set:
    """Pulses at a finger. The truth runs from one beat to the next."""
    parts = []
    for person in people:
        series, truth = pulse(person)
        parts.append(windows(series, truth, 96, 5, 1 if len(people) == 1 else 2))
    x, truth, held_out = (np.concatenate(each) for each in zip(*parts, strict=True))
    groups = np.repeat(people, [len(part[0]) for part in parts]) if len(people) > 1 else None
    return Set(x, held_out, 1, truth, groups)


def grid_cells(seed: int) -> Set:
    """Spikes of 80 grid cells along the path of a real rat in a box of a metre (Sargolini et al. 2006).

    The path is real; rates are simulated, and counts of a third of a second drawn.
    """
    rng = np.random.default_rng(seed)
    path = np.load(folder("ratinabox") / "data/sargolini.npz")
    time = np.arange(path["t"][0], path["t"][-1], 0.3)
    place = np.stack([np.interp(time + 0.15, path["t"], path["pos"][:, axis]) for axis in range(2)], axis=1)
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
