"""The smallest unevenness that each loss detects in one batch.

    KERAS_BACKEND=torch python examples/benchmarks/power.py

Points on a torus of three circles have the density `1 + 2 ε cos(k·φ)` for one of three `k`:

- slow, `k = (1, 0, 0)`: one circle, one bump;
- fast, `k = (3, 0, 0)`: one circle, three bumps;
- tie, `k = (1, -1, 0)`: two circles depend on each other, each angle alone is uniform.

`ε` is the moment `|mean e^{ik·φ}|`. The table shows the smallest `ε` that a test with this loss detects with power 0.5
at level 0.05. A blank means above 0.5, the largest `ε` of such a density.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from keras import ops

import torusae

DIRECTIONS = torusae.angles.primitive_directions(3, 2)
LOSSES = {
    "spring (the paper's)": lambda a: torusae.spring_loss(a, reduction="normalized"),
    "spring, neighbor 8": lambda a: torusae.spring_loss(a, reduction="normalized", neighbor=8),
    "circular Wasserstein": torusae.losses.circular_wasserstein_loss,
    "spring on 49 directions": lambda a: torusae.losses.sliced_loss(
        a, DIRECTIONS, lambda b: torusae.spring_loss(b, reduction="normalized")
    ),
    "circular Wasserstein on 49 directions": lambda a: torusae.losses.sliced_loss(a, DIRECTIONS),
    "diaphony": torusae.diaphony_loss,
    "diaphony, frequencies to 4, decay 1": lambda a: torusae.diaphony_loss(a, max_frequency=4, decay=1.0),
    "diaphony of pairs": lambda a: torusae.diaphony_loss(a, interactions=2),
    "product moments": torusae.losses.product_moment_loss,
}
KINDS = {"slow": (1, 0, 0), "fast": (3, 0, 0), "tie": (1, -1, 0)}
LARGEST = 0.5


def points(rng: np.random.Generator, num: int, k: tuple[int, ...], size: float) -> np.ndarray:
    """Angles of density `1 + 2 size cos(k·φ)`, by rejection."""
    found = np.empty((0, 3))
    while len(found) < num:
        angles = rng.uniform(-np.pi, np.pi, (4 * num, 3))
        keep = rng.uniform(0, 1 + 2 * size, 4 * num) < 1 + 2 * size * np.cos(angles @ np.array(k))
        found = np.concatenate([found, angles[keep]])
    return found[:num].astype("float32")


def values(loss, batches: list[np.ndarray]) -> np.ndarray:
    """The loss of each batch."""
    return np.array([float(loss(ops.convert_to_tensor(batch))) for batch in batches])


def main(argv: list[str] | None = None) -> dict:
    """Prints the table and returns it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[64, 256, 1024, 4096])
    parser.add_argument(
        "--batches", type=int, default=200, help="batches of uniform points; half as many of uneven ones"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("out", "power.json"))
    args = parser.parse_args(argv)
    rng = np.random.default_rng(args.seed)
    table: dict[str, dict[str, float | None]] = {name: {} for name in LOSSES}
    for num in args.batch_sizes:
        uniform = [points(rng, num, (1, 0, 0), 0.0) for _ in range(args.batches)]
        limits = {name: np.quantile(values(loss, uniform), 0.95) for name, loss in LOSSES.items()}
        sizes = np.geomspace(0.25, 8, 11) / np.sqrt(num)
        sizes = np.append(sizes[sizes < LARGEST], LARGEST)
        for kind, k in KINDS.items():
            uneven = {size: [points(rng, num, k, size) for _ in range(args.batches // 2)] for size in sizes}
            for name, loss in LOSSES.items():
                shares = []
                for size in sizes:
                    shares.append(float((values(loss, uneven[size]) > limits[name]).mean()))
                    if shares[-1] > 0.8:
                        break
                # Between two sizes the power is treated as linear in the logarithm of the size.
                passed = next((i for i, share in enumerate(shares) if share >= 0.5), None)
                found = None
                if passed == 0:
                    found = float(sizes[0])
                elif passed is not None:
                    low, high = shares[passed - 1], shares[passed]
                    part = (0.5 - low) / (high - low)
                    found = float(sizes[passed - 1] * (sizes[passed] / sizes[passed - 1]) ** part)
                table[name][f"{kind}, {num}"] = found
        print(f"batch {num} done", flush=True)
    columns = list(next(iter(table.values())))
    lines = [f"| loss | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name, row in table.items():
        cells = ["" if (value := row[column]) is None else f"{value:.2g}" for column in columns]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    print("\n".join(lines))
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps({"batches": args.batches, "seed": args.seed, "table": table}, indent=1) + "\n")
    return table


if __name__ == "__main__":
    main()
