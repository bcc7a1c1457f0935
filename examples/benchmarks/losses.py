"""Time of every loss, forward and backward, relative to the backend's own sort of the same array.

    KERAS_BACKEND=jax python examples/benchmarks/losses.py

Everything is compiled as `fit` compiles it: `jit` on JAX, a graph with an unknown batch size on TensorFlow, eager on
torch. Each loss and the sort take turns, so that other load of the machine falls on both. Numbers are medians. Where
POT is installed (`pip install pot`), its closed form of the circular Wasserstein distance is measured too. Results are
stored after every row.
"""

import argparse
import datetime
import json
import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
from keras import ops

import torusae

SHAPES = [(128, 3), (512, 3), (512, 64), (4096, 8), (4096, 16), (16384, 3), (65536, 8)]
LOSSES: dict[str, Callable] = {
    "spring": lambda angles: torusae.spring_loss(angles, reduction="normalized"),
    "quantile": lambda values: torusae.quantile_loss(
        values, torusae.normal_quantiles(values.shape[0] or 1), "normalized"
    ),
    "circular Wasserstein": torusae.losses.circular_wasserstein_loss,
    "diaphony, frequencies to 4, up to 3 circles": lambda angles: torusae.diaphony_loss(angles, 4, 3, 1.0),
    "diaphony of pairs of points": torusae.diaphony_loss,
    "product moments": torusae.losses.product_moment_loss,
}
LARGEST = {  # larger sizes of these take too long
    "diaphony, frequencies to 4, up to 3 circles": lambda batch, dim: dim <= 3,
    "diaphony of pairs of points": lambda batch, dim: batch <= 4096 and dim <= 3,
}


def value_and_gradient(function: Callable, array: np.ndarray) -> Callable[[], None]:
    """A call that computes a scalar function and its gradient, compiled as in `fit`, and waits for the result."""
    backend = keras.backend.backend()
    if backend == "torch":
        import torch

        x = ops.convert_to_tensor(array).detach().requires_grad_(True)
        wait = torch.cuda.synchronize if x.is_cuda else lambda: None

        def run():
            torch.autograd.grad(function(x), x)
            wait()
    elif backend == "jax":
        import jax

        compiled, x = jax.jit(jax.value_and_grad(function)), jax.numpy.asarray(array)

        def run():
            jax.block_until_ready(compiled(x))
    else:
        import tensorflow as tf

        @tf.function(input_signature=[tf.TensorSpec([None, array.shape[1]], tf.float32)])
        def compiled(x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                value = function(x)
            return value, tape.gradient(value, x)

        x = tf.convert_to_tensor(array)

        def run():
            compiled(x)[1].numpy()

    return run


def own_sort(values):
    """The sum of squares of sorted columns, by the backend's own sort."""
    backend = keras.backend.backend()
    if backend == "torch":
        import torch

        values = torch.sort(values, dim=0)[0]
    elif backend == "jax":
        import jax

        values = jax.numpy.sort(values, axis=0)
    else:
        import tensorflow as tf

        values = tf.sort(values, axis=0)
    return ops.sum(ops.square(values))


def pot_loss(values):
    """POT's squared distance of each column to the uniform circle. POT counts in turns."""
    import ot

    return ot.semidiscrete_wasserstein2_unif_circle((values + math.pi) / (2 * math.pi)).mean()


def medians(functions: dict[str, Callable], seconds: float) -> dict[str, float]:
    """The median time of each function, in microseconds, taken in turns."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():
        function()
        function()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(next(iter(times.values()))) < 5:
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            times[name].append(1e6 * (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in times.items()}


def growth(seconds: float, largest: int) -> Iterator[dict]:
    """The exponents of the growth of time, from sizes that grow by factors of 4."""
    rng = np.random.default_rng(0)

    def exponent(sizes, arrays, functions):
        times = [
            medians({"it": value_and_gradient(f, a)}, seconds)["it"] for f, a in zip(functions, arrays, strict=True)
        ]
        return times, float(np.polyfit(np.log(sizes), np.log(times), 1)[0])

    def angles(batch, dim):
        return rng.uniform(-math.pi, math.pi, (batch, dim)).astype("float32")

    for name in ("spring", "quantile", "circular Wasserstein"):
        batches = [batch for batch in (4096, 16384, 65536) if batch * 8 <= largest]
        if len(batches) > 1:
            work = [batch * math.log(batch) for batch in batches]
            times, power = exponent(work, [angles(batch, 8) for batch in batches], [LOSSES[name]] * len(batches))
            yield {"loss": name, "of": "batch log batch, batch", "sizes": batches, "times": times, "exponent": power}
        dims = [dim for dim in (4, 16, 64) if 4096 * dim <= largest]
        if len(dims) > 1:
            times, power = exponent(dims, [angles(4096, dim) for dim in dims], [LOSSES[name]] * len(dims))
            yield {"loss": name, "of": "dim", "sizes": dims, "times": times, "exponent": power}
    counts = [count for count in (16, 64, 256) if 1024 * count <= largest]
    if len(counts) > 1:
        directions = torusae.angles.primitive_directions(3, 5)
        functions = [lambda a, k=directions[:count]: torusae.losses.sliced_loss(a, k) for count in counts]
        times, power = exponent(counts, [angles(1024, 3)] * len(counts), functions)
        yield {"loss": "sliced", "of": "directions", "sizes": counts, "times": times, "exponent": power}


def main(argv: list[str] | None = None) -> list[dict]:
    """Measures every shape and returns the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=0.5, help="of each loss and shape (default 0.5)")
    parser.add_argument("--largest", type=int, default=1 << 19, help="no array with more numbers (default 524288)")
    parser.add_argument("--output", type=Path, default=Path("out", "benchmark_losses.json"))
    args = parser.parse_args(argv)
    about = {
        "backend": keras.backend.backend(),
        "keras": keras.__version__,
        "torusae": torusae.__version__,
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "date": datetime.date.today().isoformat(),
        "unit": "microseconds, median; in parentheses: over the time of the backend's own sort",
    }
    rows: list[dict] = []
    args.output.parent.mkdir(parents=True, exist_ok=True)
    for batch, dim in SHAPES:
        if batch * dim > args.largest:
            continue
        array = np.random.default_rng(0).uniform(-math.pi, math.pi, (batch, dim)).astype("float32")
        functions = {
            name: value_and_gradient(loss, array)
            for name, loss in LOSSES.items()
            if LARGEST.get(name, lambda batch, dim: True)(batch, dim)
        }
        try:
            functions["POT"] = value_and_gradient(pot_loss, array)
            functions["POT"]()
        except Exception as error:  # not installed, or not for this backend
            functions.pop("POT", None)
            about["POT"] = f"{type(error).__name__}: {error}"[:200]
        sort = value_and_gradient(own_sort, array)
        times = {}
        for name, function in functions.items():  # pairwise, so that no loss evicts another from the cache
            pair = medians({"sort": sort, name: function}, args.seconds)
            times[name] = {"time": pair[name], "over sort": pair[name] / pair["sort"]}
        rows.append({"batch": batch, "dim": dim, "times": times})
        cells = [f"{name} {t['time']:.0f} ({t['over sort']:.2f})" for name, t in times.items()]
        print(f"{batch} x {dim}: {', '.join(cells)}", flush=True)
        args.output.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    scaling = [*growth(args.seconds, args.largest)]
    for row in scaling:
        print(f"{row['loss']}, {row['of']} {row['sizes']}: exponent {row['exponent']:.2f}", flush=True)
    args.output.write_text(json.dumps({**about, "rows": rows, "growth": scaling}, indent=1) + "\n", encoding="utf-8")
    print(f"Rows are in {args.output.resolve()}")
    return rows


if __name__ == "__main__":
    main()
