"""Does the map from clean data to the latent space have the right degree? The rates of docs/comparison.md.

    KERAS_BACKEND=jax python examples/benchmarks/degree.py

Data are the codes of random points of a space, mixed into 30 columns, `tanh(code W)` with a normal matrix `W`, without
noise. The plain path trains on 1500 rows: `from_shape(shape, space)`, `compile("adam", "mse")`, `fit(x,
batch_size=128, epochs=40)`. With `--trainings 2` it is trained twice, and the model with the smaller training error
counts. The degree of the map from true points to latent points comes from dense true points:

- circle: the winding number is ±1;
- torus: the determinant of the windings along both circles is ±1;
- sphere: the sum of the signed solid angles of a triangulated globe, over 4π, is ±1 (van Oosterom & Strackee 1983);
- Klein bottle: the loop along b must wind once around b and not along a, the loop along a once along a. Then the map
  of the fundamental groups is invertible.

A map that is torn has other windings along other copies of a loop. So each is measured at several places, and is right
only if all are.
"""

import argparse
import json
import time
from pathlib import Path

import keras
import numpy as np
from keras import ops

import torusae
from torusae.spaces import KleinBottle, Sphere

COLUMNS, ROWS, EPOCHS = 30, 1500, 40
STEPS = 2000  # along a loop
PLACES = 5  # copies of a loop
SPACES = {"circle": torusae.Torus(1), "torus": torusae.Torus(2), "sphere": Sphere(2), "klein": KleinBottle()}


def columns(space: torusae.Space, points: np.ndarray, seed: int) -> np.ndarray:
    """Clean data of true points."""
    code = ops.convert_to_numpy(space.decoder_input(ops.convert_to_tensor(points, dtype="float32")))
    return np.tanh(code @ np.random.default_rng(seed).standard_normal((code.shape[1], COLUMNS))).astype("float32")


def true_points(space: torusae.Space, num: int, seed: int) -> np.ndarray:
    """Uniform points, on circles of radius 1."""
    points = ops.convert_to_numpy(space.sample(num, seed))
    return at(ops.convert_to_numpy(space.angles(points))) if isinstance(space, torusae.Torus) else points


def at(angles: np.ndarray) -> np.ndarray:
    """Points of a torus, or of the Klein bottle, at angles."""
    return np.concatenate([np.cos(angles), np.sin(angles)], axis=1)


def wrapped(angles: np.ndarray) -> np.ndarray:
    """Angles in [-π, π)."""
    return (angles + np.pi) % (2 * np.pi) - np.pi


def winding(angles: np.ndarray) -> np.ndarray:
    """How often angles along a closed loop, `(steps, dim)`, go around."""
    return np.rint(wrapped(np.diff(angles, axis=0)).sum(axis=0) / (2 * np.pi)).astype(int)


def torus_windings(encode, dim: int) -> list[np.ndarray]:
    """The matrices of windings along the circles, one per place."""
    turn, found = np.linspace(0, 2 * np.pi, STEPS)[:, None], []
    for place in np.random.default_rng(0).uniform(-np.pi, np.pi, (PLACES, dim)):
        found.append(np.array([winding(torusae.to_polar(encode(at(place + turn * axis)))[1]) for axis in np.eye(dim)]))
    return found


def globe(num: int = 100) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and triangles of a globe; the triangles have the same orientation."""
    heights, longitudes = np.meshgrid(np.linspace(0, np.pi, num), np.linspace(0, 2 * np.pi, 2 * num), indexing="ij")
    vertices = [np.sin(heights) * np.cos(longitudes), np.sin(heights) * np.sin(longitudes), np.cos(heights)]
    index = np.arange(heights.size).reshape(heights.shape)
    corners = [index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]]
    a, b, c, d = (each.ravel() for each in corners)
    return np.stack(vertices, axis=-1).reshape(-1, 3), np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])


def sphere_degree(images: np.ndarray, triangles: np.ndarray) -> float:
    """The sum of signed solid angles over 4π: `tan(Ω/2) = a·(b×c) / (1 + a·b + b·c + c·a)`."""
    a, b, c = (images[triangles[:, corner]].astype("float64") for corner in range(3))
    volume = np.sum(a * np.cross(b, c), axis=1)
    cosines = np.sum(a * b, axis=1) + np.sum(b * c, axis=1) + np.sum(c * a, axis=1)
    return float(np.sum(2 * np.arctan2(volume, 1 + cosines)) / (4 * np.pi))


def klein_class(points: np.ndarray) -> tuple[int, int]:
    """The class of a loop of points of the Klein bottle: half turns of a, and turns of b in the cover."""
    angles = np.arctan2(points[:, 2:], points[:, :2])
    images = angles * [1, -1] + [np.pi, 0]
    lift = [angles[0]]
    for point, image in zip(angles[1:], images[1:], strict=True):
        steps = [wrapped(each - lift[-1]) for each in (point, image)]
        lift.append(lift[-1] + min(steps, key=lambda step: np.abs(step).sum()))
    half_turns = round((lift[-1][0] - lift[0][0]) / np.pi)
    return half_turns, round((lift[-1][1] - lift[0][1]) / (2 * np.pi)) if half_turns % 2 == 0 else 0


def degree(name: str, encode) -> tuple[bool, object]:
    """Whether the degree is right, and what was measured. `encode` maps true points to latent points."""
    if name in ("circle", "torus"):
        matrices = torus_windings(encode, SPACES[name].dim)
        determinants = [round(np.linalg.det(matrix)) for matrix in matrices]
        same = all((matrix == matrices[0]).all() for matrix in matrices)
        return same and abs(determinants[0]) == 1, determinants
    if name == "sphere":
        vertices, triangles = globe()
        found = sphere_degree(encode(vertices), triangles)
        return abs(abs(found) - 1) < 0.01, round(found, 3)
    turn, places = np.linspace(0, 2 * np.pi, STEPS), np.random.default_rng(0).uniform(-np.pi, np.pi, PLACES)
    zero = 0 * turn
    # At b = 0 and b = π, half a turn of a is closed.
    along_a = [klein_class(encode(at(np.stack([turn / 2, zero + b], 1)))) for b in (0, np.pi)]
    along_b = [klein_class(encode(at(np.stack([zero + a, turn], 1)))) for a in places]
    right = all(abs(k) == 1 for k, _ in along_a) and all((k, abs(m)) == (0, 1) for k, m in along_b)
    return right, {"a": along_a, "b": along_b}


def train(name: str, seed: int, epochs: int, init: str, trainings: int) -> dict:
    """The numbers of one data set: of the training that leaves the least error."""
    space = SPACES[name]
    x = columns(space, true_points(space, ROWS, seed), seed)

    def fitted(weights_seed: int) -> tuple[float, torusae.TorusAutoencoder]:
        keras.utils.set_random_seed(weights_seed)
        model = torusae.TorusAutoencoder.from_shape(x.shape[1:], space, init=init)
        model.compile("adam", "mse")
        return model.fit(x, batch_size=128, epochs=epochs, verbose=0).history["reconstruction"][-1], model

    begin = time.time()
    error, model = min((fitted(seed + 1000 * each) for each in range(trainings)), key=lambda pair: pair[0])
    seconds = time.time() - begin
    right, found = degree(name, lambda points: model.encode(columns(space, points, seed), batch_size=1000, verbose=0))
    left = float(error / x.var(axis=0).mean())
    return {"right": bool(right), "found": found, "left": round(left, 5), "seconds": round(seconds, 1)}


def main(argv: list[str] | None = None) -> list[dict]:
    """Trains, prints the rates, and returns the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spaces", nargs="+", default=list(SPACES), choices=list(SPACES))
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(20)))
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--trainings", type=int, default=1, help="of which the one with the least error counts")
    parser.add_argument("--init", default="auto", choices=("auto", "random"))
    parser.add_argument("--output", type=Path, default=Path("out", "degree.jsonl"))
    args = parser.parse_args(argv)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in args.spaces:
        for seed in args.seeds:
            row = {"space": name, "seed": seed, "init": args.init, "trainings": args.trainings}
            rows.append({**row, **train(name, seed, args.epochs, args.init, args.trainings)})
            print(json.dumps(rows[-1]), flush=True)
            with args.output.open("a", encoding="utf-8") as file:
                file.write(json.dumps(rows[-1]) + "\n")
    print("| space | right degree | variance left, %, mean (worst) | seconds |\n|---|---|---|---|")
    for name in args.spaces:
        own = [row for row in rows if row["space"] == name]
        left = [100 * row["left"] for row in own]
        print(
            f"| {name} | {sum(row['right'] for row in own)} of {len(own)} | {np.mean(left):.2f} ({max(left):.2f}) "
            f"| {np.median([row['seconds'] for row in own]):.0f} |"
        )
    return rows


if __name__ == "__main__":
    main()
