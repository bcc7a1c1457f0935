"""Growth of time and memory with images, batches, circles and directions; images per second; time of the import.

    KERAS_BACKEND=jax python examples/benchmarks/scale.py

Every size is measured in its own process. Memory is the peak above that after the imports. Each size has four times the
pixels, points, circles or directions of the one before:

- images, through the paper's network;
- batches, through the exact diaphony (its time grows with the square, its memory must not) and the default's moments;
- circles, through the exact diaphony of pairs of circles;
- directions, through the sliced loss.

Time is a median without the first call, which compiles. Results are stored after every size. Needs Linux or macOS.
"""

import argparse
import datetime
import json
import math
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

import torusae

SIZES = {
    "image side": (16, 32, 64),
    "batch, exact diaphony": (1024, 4096, 16384),
    "batch, diaphony to frequency 4": (1024, 4096, 16384, 65536),
    "dim, exact diaphony of pairs": (4, 16, 64),
    "directions, sliced": (16, 64, 256),
}
BATCH = 128


def peak_memory() -> float:
    """The peak memory of this process, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20) if sys.platform == "darwin" else peak / 1024


def median_time(function: Callable, repeats: int) -> float:
    """The median time of a function in seconds, after one call."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def measure_images(side: int, repeats: int) -> dict[str, float]:
    """A training step of the default, and images per second of `sample` and `morph`, for images of one size."""
    before = peak_memory()
    x = np.random.default_rng(0).uniform(size=(4 * BATCH, side, side, 1)).astype("float32")
    model = torusae.TorusAutoencoder.from_shape(x.shape[1:], dim=3)
    model.compile("adam", "mse")
    step = median_time(lambda: model.fit(x, batch_size=BATCH, verbose=0), repeats) / 4
    memory = peak_memory() - before
    sample = median_time(lambda: model.sample(1024, seed=0, batch_size=BATCH, verbose=0), repeats)
    morph = median_time(lambda: model.morph(x[0], x[1], num_steps=128, batch_size=BATCH, verbose=0), repeats)
    return {
        "step, ms": 1e3 * step,
        "memory, MB": memory,
        "sampled a second": 1024 / sample,
        "morphed a second": 8 * 128 / morph,  # 8 paths: two ways around each of three circles
    }


def measure_loss(kind: str, size: int, repeats: int) -> dict[str, float]:
    """A loss forward and backward."""
    from losses import value_and_gradient  # beside this file

    directions = torusae.angles.primitive_directions(3, 5)[:size]
    batch, dim, loss = {
        "batch, exact diaphony": (size, 3, torusae.diaphony_loss),
        "batch, diaphony to frequency 4": (size, 3, lambda a: torusae.diaphony_loss(a, max_frequency=4)),
        "dim, exact diaphony of pairs": (512, size, lambda a: torusae.diaphony_loss(a, interactions=2)),
        "directions, sliced": (1024, 3, lambda a: torusae.losses.sliced_loss(a, directions)),
    }[kind]
    array = np.random.default_rng(0).uniform(-math.pi, math.pi, (batch, dim)).astype("float32")
    value_and_gradient(loss, array[:64])()  # loads what the backend needs for its first compilation
    before = peak_memory()
    step = median_time(value_and_gradient(loss, array), repeats)
    return {"step, ms": 1e3 * step, "memory, MB": peak_memory() - before}


def import_times(repeats: int) -> dict[str, float]:
    """Seconds of `import keras` and `import torusae`, each in new processes, in turns."""
    times: dict[str, list[float]] = {"keras": [], "torusae": []}
    for _ in range(repeats):
        for name, taken in times.items():
            code = f"import time; start = time.perf_counter(); import {name}; print(time.perf_counter() - start)"
            result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
            taken.append(float(result.stdout))
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    return {**medians, "torusae over keras": medians["torusae"] / medians["keras"]}


def main(argv: list[str] | None = None) -> list[dict]:
    """Measures every size in its own process and returns the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4, help="number of sizes of each kind (default 4, all)")
    parser.add_argument("--output", type=Path, default=Path("out", "benchmark_scale.json"))
    parser.add_argument(
        "--only", nargs=2, metavar=("KIND", "SIZE"), help="measure one size in this process and print JSON"
    )
    args = parser.parse_args(argv)
    if args.only:
        kind, size = args.only[0], int(args.only[1])
        images = kind == "image side"
        row = measure_images(size, args.repeats) if images else measure_loss(kind, size, args.repeats)
        print(json.dumps(row))
        return [row]
    about: dict = {
        "backend": keras.backend.backend(),
        "keras": keras.__version__,
        "torusae": torusae.__version__,
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "date": datetime.date.today().isoformat(),
    }
    args.output.parent.mkdir(parents=True, exist_ok=True)
    about["import, s"] = import_times(args.repeats)
    print(
        f"import torusae takes {about['import, s']['torusae over keras']:.2f} times as long as import keras", flush=True
    )
    rows: list[dict] = []
    for kind, sizes in SIZES.items():
        for size in sizes[: args.steps]:
            command = [sys.executable, __file__, "--repeats", str(args.repeats), "--only", kind, str(size)]
            result = subprocess.run(command, capture_output=True, text=True, check=False)
            if result.returncode:
                sys.exit(f"{kind} {size} ended with code {result.returncode}:\n{result.stderr[-2000:]}")
            rows.append({"kind": kind, "size": size, **json.loads(result.stdout.splitlines()[-1])})
            numbers = [f"{name} {value:.4g}" for name, value in rows[-1].items() if isinstance(value, float)]
            print(f"{kind} {size}: {'; '.join(numbers)}", flush=True)
            args.output.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    print(f"Rows are in {args.output.resolve()}")
    return rows


if __name__ == "__main__":
    main()
