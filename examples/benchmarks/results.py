"""Writes the tables of docs/results.md.

    pip install torusae[jax,circles] --group real-data
    KERAS_BACKEND=jax python examples/benchmarks/results.py --data mnist.npz
    KERAS_BACKEND=torch python examples/benchmarks/results.py --tables step losses

Each table is a Markdown file in `docs/results/`; its last line names versions, machine, date and seeds.
Tables of times have one file a backend. DREiMac is left out where it is not installed.
"""

import argparse
import datetime
import importlib.metadata
import importlib.util
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import batches  # noqa: E402
import circles  # noqa: E402
import losses  # noqa: E402
import posterior  # noqa: E402
import real_data  # noqa: E402
import step  # noqa: E402

import torusae  # noqa: E402

Rows = Iterator[dict[str, Any]]


def evenness(args: argparse.Namespace) -> Rows:
    """Three circles on MNIST, dense networks, 8 epochs of Adam at a constant 1e-3."""
    digits = torusae.datasets.load_mnist(args.data) if args.data else torusae.datasets.load_mnist_subset()
    for batch in (128, 512):
        plain = None
        for kind in ("none", "default", "paper"):
            found = [batches.measure(digits, batch, False, args.epochs, seed, kind) for seed in args.seeds]
            mean = {name: float(np.mean([row[name] for row in found])) for name in found[0]}
            plain = plain or mean["MSE"]
            yield {
                "batch": batch,
                "losses": kind,
                "error (MSE)": f"{mean['MSE']:.4f}",
                "over none": f"{mean['MSE'] / plain:.2f}",
                "KL to uniform": f"{mean['KL']:.3f}",
                "empty cells": f"{mean['empty']:.1%}",
                "KL, after a flow": f"{mean['KL through the map']:.3f}" if "KL through the map" in mean else "",
            }


def counts(args: argparse.Namespace) -> Rows:
    """Circles that `find_circles` counts, beside DREiMac, which is told how many there are."""
    for name, (expected, make) in circles.COUNTED.items():
        if name.startswith("Io") and not _installed("ephem"):
            continue
        rights, least, most, own, other = 0, np.inf, 0.0, [], []
        for seed in args.seeds:
            found = circles.count(name, seed, None)
            rights += found["found"] == expected
            lasting = [*found["persistence"], 1.0]
            least, most = min(least, lasting[max(expected, 1) - 1]), max(most, lasting[expected])
            truth = circles.TRAINED[name](seed)[1][: -circles.HELD_OUT] if name in circles.TRAINED else None
            own.append((found["seconds"], _score(found["angles"], truth) if found["found"] == expected else np.nan))
            if expected and _installed("dreimac"):
                begin, x = time.time(), make(seed)
                angles = real_data.dreimac_angles(x.reshape(len(x), -1).astype("float64"), expected)
                other.append((time.time() - begin, _score(angles, truth)))
        yield {
            "data": name,
            "circles": expected,
            "right": f"{rights} of {len(args.seeds)}",
            "last circle, least": f"{least:.1f}" if expected else "",
            "next class, largest": f"{most:.1f}",
            "truth": _mean(own, 1, ".3f"),
            "seconds": _mean(own, 0, ".1f"),
            "DREiMac: truth": _mean(other, 1, ".3f"),
            "DREiMac: seconds": _mean(other, 0, ".1f"),
        }


def starts(args: argparse.Namespace) -> Rows:
    """The plain path on tables whose circles are known, of rows held out."""
    for name in (name for name in circles.TRAINED if "images" not in name):
        for start in ("circles", "none"):
            found = [circles.train(name, start, seed, None) for seed in args.seeds]
            yield {
                "data": name,
                "start": {"circles": "the data's circles (default)", "none": "random weights"}[start],
                "truth, worst circle": ", ".join(f"{min(row['scores']):.3f}" for row in found),
                "variance not reconstructed": ", ".join(f"{row['left']:.1%}" for row in found),
                "seconds": f"{np.mean([row['seconds'] for row in found]):.0f}",
            }


def errors(args: argparse.Namespace) -> Rows:
    """Angles of rows held out, beside an oracle that knows the true curve and noise; 4000 rows were trained on."""
    for name in posterior.KINDS:
        found = [posterior.run(name, seed, 4000, 0.0) for seed in args.seeds]
        mean = {
            key: float(np.mean([each[key] for each in found])) for key in ("encoder", "ratio", "ratio_joint", "oracle")
        }
        yield {
            "data": name,
            "oracle: median error": f"{mean['oracle']:.1f}°",
            "encoder over oracle": f"{mean['encoder'] / mean['oracle']:.2f}",
            "posterior over oracle": f"{mean['ratio']:.2f}",
            "90 % intervals hold": ", ".join(f"{each['cover90']:.0f} %" for each in found),
            "after a joint map: over oracle": f"{mean['ratio_joint']:.2f}",
            "hold": ", ".join(f"{each['cover90_joint']:.0f} %" for each in found),
        }


def steps(args: argparse.Namespace) -> Rows:
    """A training step over that of a plain Keras model: dense networks, batch 128, medians in turns."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["--networks", "dense", "--seconds", str(args.seconds), "--output", str(Path(folder, "step.json"))]
        for row in step.main(options):
            for name, value in row["times"].items():
                yield {
                    "model": name,
                    "ms a step": f"{value:.2f}",
                    "over plain Keras": f"{value / row['times']['plain Keras']:.2f}",
                }


def loss_times(args: argparse.Namespace) -> Rows:
    """Losses and their gradients, compiled: microseconds, and over the backend's own sort of the same array."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["--largest", "65536", "--output", str(Path(folder, "losses.json"))]
        for row in losses.main(options):
            cells = {name: f"{each['time']:.0f} ({each['over sort']:.2f})" for name, each in row["times"].items()}
            yield {"batch x dim": f"{row['batch']} x {row['dim']}", **cells}


TABLES: dict[str, Callable[[argparse.Namespace], Rows]] = {
    "evenness": evenness,
    "counts": counts,
    "starts": starts,
    "errors": errors,
    "step": steps,
    "losses": loss_times,
}
OF_A_BACKEND = ("step", "losses")


def _installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def _score(angles: np.ndarray, truth: np.ndarray | None) -> float:
    """The worst circle's agreement with the truth."""
    return np.nan if truth is None else float(torusae.align(angles, truth).scores.min())


def _mean(pairs: list[tuple[float, float]], which: int, form: str) -> str:
    values = [pair[which] for pair in pairs if np.isfinite(pair[which])]
    return format(float(np.mean(values)), form) if values else ""


def markdown(rows: list[dict[str, Any]]) -> str:
    """Rows as a Markdown table, with a column for each name."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    names = [name for name in names if any(row.get(name, "") != "" for row in rows)]
    lines = [names, ["---"] * len(names), *([str(row.get(name, "")) for name in names] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def made_by(args: argparse.Namespace, name: str) -> str:
    """The last line of a table: how it was made."""
    backend = keras.backend.backend()
    version = importlib.metadata.version(backend)
    seeds = "" if name in OF_A_BACKEND else f", seeds {', '.join(map(str, args.seeds))}"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"{backend} {version}, Keras {keras.__version__}, {platform.system()} {platform.machine()}, {cores} cores, "
        f"no GPU{seeds}, {datetime.date.today().isoformat()}."
    )


def main(argv: list[str] | None = None) -> dict[str, list[dict[str, Any]]]:
    """Makes the tables and returns their rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=TABLES)
    parser.add_argument("--data", type=Path, help="an mnist.npz (default: the digits that come along)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[40, 41])
    parser.add_argument("--epochs", type=int, default=8, help="of the table of evenness (default 8)")
    parser.add_argument("--seconds", type=float, default=15.0, help="of the table of a step (default 15)")
    parser.add_argument("--output", type=Path, default=HERE.parents[1] / "docs" / "results")
    args = parser.parse_args(argv)
    args.output.mkdir(parents=True, exist_ok=True)
    made = {}
    for name in args.tables:
        rows = made[name] = []
        for row in TABLES[name](args):
            rows.append(row)
            print(name, row, flush=True)
        file = f"{name}-{keras.backend.backend()}.md" if name in OF_A_BACKEND else f"{name}.md"
        title = TABLES[name].__doc__ or ""
        (args.output / file).write_text(f"{title}\n\n{markdown(rows)}\n{made_by(args, name)}\n", encoding="utf-8")
    return made


if __name__ == "__main__":
    main()
