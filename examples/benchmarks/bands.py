"""Cylinder, Möbius band and annulus: torusae beside topovae on the same data.

    git clone https://github.com/JvHulst/VAE-Topology PATH && git -C PATH checkout 08ed7cc
    KERAS_BACKEND=torch python examples/benchmarks/bands.py --topovae PATH

topovae (van Hulst et al. 2026, arXiv:2606.07058) is read from a local copy. Its generators make the data, its models
and its training run as its experiments do, without anchors: full batches, Adam at 1e-3, its own KL weights, the weights
with the least error on the *test* rows. torusae gets the same training rows, hidden layers of the same sizes, and no
test rows: `compile("adam", "mse")`, `fit(x, batch_size=128)`. `torusae, noise` adds a `GaussianNoise(0.1)` layer before
the decoder, as topovae's decoder reads noise. Any backend will do if torch is installed too; topovae needs it.

Of the test rows, both from the mean of the code, without sampling:

- `rms`: the root mean square error of reconstructions. The noise of the data is 0.1, 0.05 on the Möbius band.
- `stress`: `torusae.metrics.geodesic_stress` of distances between latent coordinates against those between the true
  ones, over the same 20,000 random pairs. The distances are topovae's, in its coordinates: an angle, and a height in
  [0, 1] or a radius in [0.3, 1]. The less of both directions of the interval, which no data tell apart.

An annulus is a circle with a radius, so `Torus(1)` is one: a radius stands for its share of the prior's radii. The
product of a circle and an interval is measured as `torusae, product`.
"""

import argparse
import contextlib
import io
import json
import sys
import time
from pathlib import Path
from statistics import NormalDist

import keras
import numpy as np

import torusae
from torusae.spaces import Interval, MobiusBand, Sphere

PAIRS = 20_000
SIZES = {"full": (2000, 128), "sweep": (800, 64)}  # of topovae's experiments and of its sweeps: rows, hidden units
SPACES = {"cylinder": Sphere(1) * Interval(), "mobius": MobiusBand(), "annulus": torusae.Torus(1)}
NOISE = {"torusae": 0.0, "torusae, noise": 0.1, "torusae, product": 0.0}
EPOCHS = 800


def train_torusae(system: str, name: str, x: np.ndarray, held_out: np.ndarray, hidden: int, epochs: int):
    """Reconstructions and latent coordinates of held-out rows, and the seconds of the training."""
    space = SPACES["cylinder" if system == "torusae, product" and name == "annulus" else name]
    more = [hidden] * (2 if name == "mobius" else 1)
    encoder = torusae.networks.dense_encoder(x.shape[1:], (hidden, *more, hidden // 2))
    decoder = torusae.networks.dense_decoder(x.shape[1:], space.decoder_input_size, (hidden // 2, *more, hidden))
    noisy = [keras.Input((space.decoder_input_size,)), keras.layers.GaussianNoise(NOISE[system]), decoder]
    model = torusae.TorusAutoencoder(
        encoder, keras.Sequential(noisy) if NOISE[system] else decoder, torusae.Latent(space), density=None
    )
    model.compile("adam", "mse")
    begin = time.time()
    model.fit(x, batch_size=128, epochs=epochs, verbose=0)
    seconds = time.time() - begin
    points = model.encode(held_out, verbose=0)
    angles = space.chart(points)[:, 0] if name == "mobius" else model.angles(held_out, verbose=0)[:, 0]
    share = (points[:, -1] + 1) / 2
    if space.point_size == 2:
        prior = NormalDist(space.radius_mean, space.radius_stddev)
        share = np.array([prior.cdf(radius) for radius in np.linalg.norm(points, axis=1)])
    return model.reconstruct(held_out, verbose=0), angles, share, seconds


def train_topovae(spec: dict, name: str, x: np.ndarray, held_out: np.ndarray, hidden: int, epochs: int):
    """The same of topovae."""
    import topovae
    import torch

    torch.manual_seed(keras.random.randint((), 0, 2**31 - 1).item())
    model = spec["model"](input_dim=x.shape[1], hidden_dim=hidden)
    begin = time.time()
    with contextlib.redirect_stdout(io.StringIO()):
        topovae.train_vae(
            model,
            x,
            n_epochs=epochs,
            lr=1e-3,
            beta=spec["topology_beta"],
            beta_anneal_epochs=epochs // 4,
            x_test=held_out,
        )
    seconds = time.time() - begin
    codes = topovae.get_latent_codes(model, held_out)
    second = (codes["r"] - model.r_min) / (model.r_max - model.r_min) if name == "annulus" else codes["h"]
    return topovae.train.get_reconstruction(model, held_out), codes["theta"], second, seconds


def run(system: str, name: str, seed: int, size: str, epochs: int | None) -> dict:
    """The numbers of one training."""
    from experiments.synthetic.data import train_test_split
    from experiments.synthetic.experiment import SPECS
    from topovae.evaluate import geodesic_distance

    rows, hidden = SIZES[size]
    spec = SPECS[name]
    train, test = train_test_split(spec["data"](n_samples=rows, obs_dim=50, seed=seed))
    keras.utils.set_random_seed(seed)
    if system == "topovae":
        found = train_topovae(spec, name, train["x"], test["x"], hidden, epochs or 8000)
    else:
        found = train_torusae(system, name, train["x"], test["x"], hidden, epochs or EPOCHS)
    reconstructed, angles, second, seconds = found
    first, last = np.random.default_rng(0).integers(len(angles), size=(2, PAIRS))
    low = train["r_min"] if name == "annulus" else 0.0
    # No data tell the two ends of an interval apart: the better way around counts, for both systems.
    true, *latent = (
        geodesic_distance(points[first], points[last], name)
        for points in (
            np.stack([test[key] for key in spec["factors"]], axis=1),
            *(np.stack([angles, low + (1 - low) * each], axis=1) for each in (second, 1 - second)),
        )
    )
    return {
        "rms": float(np.sqrt(np.mean((test["x"] - reconstructed) ** 2))),
        "stress": min(torusae.metrics.geodesic_stress(true, distances) for distances in latent),
        "seconds": round(seconds, 1),
    }


def main(argv: list[str] | None = None) -> list[dict]:
    """Trains, prints a table of medians, and returns the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--topovae", type=Path, required=True, help="a local copy of JvHulst/VAE-Topology at 08ed7cc")
    parser.add_argument("--sets", nargs="+", default=["cylinder", "mobius", "annulus"])
    parser.add_argument("--systems", nargs="+", default=["topovae", *NOISE], choices=["topovae", *NOISE])
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(10)))
    parser.add_argument("--size", default="full", choices=list(SIZES))
    parser.add_argument("--epochs", type=int, help="of every system (default: topovae 8000, torusae 800)")
    parser.add_argument("--output", type=Path, default=Path("out", "bands.jsonl"))
    args = parser.parse_args(argv)
    sys.path.insert(0, str(args.topovae))
    args.output.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in args.sets:
        for seed in args.seeds:
            for system in args.systems:
                row = {"data": name, "system": system, "size": args.size, "seed": seed}
                rows.append({**row, **run(system, name, seed, args.size, args.epochs)})
                print(json.dumps(rows[-1]), flush=True)
                with args.output.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(rows[-1]) + "\n")
    print("| data | system | seeds | rms | stress |\n|---|---|---|---|---|")
    for name in args.sets:
        for system in args.systems:
            own = [row for row in rows if (row["data"], row["system"]) == (name, system)]
            middle = [np.median([row[key] for row in own]) for key in ("rms", "stress")]
            print(f"| {name} | {system} | {len(own)} | {middle[0]:.3f} | {middle[1]:.3f} |")
    return rows


if __name__ == "__main__":
    main()
