"""An object seen from all sides: its rotation in three dimensions, learned without labels.

    KERAS_BACKEND=jax python examples/pose.py

Pictures of 32 × 32 pixels show soft coloured balls at the corners of an asymmetric frame, from random sides, without
perspective. Balls in front are brighter. The poses are used for measuring alone.

- `SO3, start at the graph`: rotations of 3000 pictures from a graph of their neighbours (`spectral_rotations`); encoder
  and decoder are trained to them, then comes the plain `fit(pictures)`.
- `SO3, random starts`: `fit(pictures)` alone, the best of some seeds by the training error.
- A sphere, three circles and a Gaussian space, with networks of the same size.

A model without labels finds poses up to an isometry of the rotations, `A R B` or `A Rᵀ B` with rotations A and B. The
error is the angle that the best one leaves. `stress` compares distances in the space with angles between true poses.

Writes `pose.png`, the way between two poses decoded on each space, and a table, `pose.md`.
"""

import argparse
import json
import time
from pathlib import Path

import keras
import numpy as np
from keras import ops

import torusae
from torusae.spaces import SO3, Sphere

SIZE, NUM, HELD_OUT = 32, 8000, 1000
# Corners of the frame, of no symmetry, and their colours.
BALLS = np.array([[0.75, 0.1, 0.0], [-0.5, 0.6, 0.2], [-0.2, -0.7, 0.3], [0.1, 0.15, -0.75], [0.25, -0.3, 0.6]])
COLOURS = np.array([[1.0, 0.2, 0.1], [0.1, 0.9, 0.2], [0.2, 0.3, 1.0], [0.9, 0.9, 0.1], [0.9, 0.2, 0.9]])
WIDTH = 0.35  # of a ball, in units of half the picture
SPACES = {"SO3": SO3(), "Sphere(2)": Sphere(2), "Torus(3)": torusae.Torus(3), "Gaussian(3)": torusae.Gaussian(3)}


def pictures(rotations: np.ndarray) -> np.ndarray:
    """Pictures of the object at rotations `(num, 9)`, in [0, 1], `(num, 32, 32, 3)`. Balls in front are brighter."""
    places = rotations.reshape(-1, 3, 3) @ BALLS.T  # (num, 3, balls)
    grid = (np.arange(SIZE) + 0.5) / SIZE * 2.4 - 1.2
    waves = [np.exp(-(((grid[None, :, None] - places[:, axis, None]) / WIDTH) ** 2)) for axis in (0, 1)]
    light = 0.65 + 0.35 * places[:, 2]
    return np.clip(np.einsum("nyb,nxb,nb,bc->nyxc", waves[1], waves[0], light, COLOURS), 0, 1).astype("float32")


def nearest_rotations(matrices: np.ndarray) -> np.ndarray:
    """The nearest rotation matrices, `(..., 3, 3)`."""
    u, _, vt = np.linalg.svd(matrices)
    u[..., -1] *= np.linalg.det(u @ vt)[..., None]
    return u @ vt


def pose_errors(found: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Angles between `found` and `A true B`, or `A trueᵀ B`, with the best rotations A and B, degrees, `(num,)`.

    These maps are the isometries of SO(3). Alternating least squares from 30 random B.
    """
    best = np.full(len(true), 180.0)
    rng = np.random.default_rng(0)
    for own in (true, np.swapaxes(true, 1, 2)):
        for right in nearest_rotations(rng.standard_normal((30, 3, 3))):
            for _ in range(30):
                left = nearest_rotations(np.einsum("nij,nkj->ik", found, own @ right))
                right = nearest_rotations(np.einsum("nji,njk->ik", left @ own, found))
            cosines = (np.einsum("nij,nij->n", found, left @ own @ right) - 1) / 2
            errors = np.degrees(np.arccos(np.clip(cosines, -1, 1)))
            best = min(best, errors, key=np.median)
    return best


def spectral_rotations(x: np.ndarray, num: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    """Some rows of the pictures `(num,)`, and their rotations `(num, 3, 3)` from a graph of neighbours.

    The nine smoothest functions on the rotations are the entries of the matrix. So the first nine eigenvectors of the
    graph's Laplacian are nearly linear functions of them (Giannakis, Schwander & Ourmazd 2012, Optics Express 20,
    12799). Least squares alternate between the linear map and the nearest rotations. Of 30 random orthogonal maps to
    begin with, the one with the least error is kept.
    """
    from scipy.sparse import diags_array
    from scipy.sparse.linalg import eigsh
    from sklearn.decomposition import PCA
    from sklearn.neighbors import kneighbors_graph

    rng = np.random.default_rng(0)
    rows = rng.permutation(len(x))[:num]
    points = PCA(40, random_state=0).fit_transform(x[rows].reshape(len(rows), -1))
    graph = kneighbors_graph(points, 16, mode="distance")
    graph.data = np.exp(-((graph.data / np.median(graph.data)) ** 2))
    graph = graph.maximum(graph.T)
    weights = diags_array(1 / np.asarray(graph.sum(axis=1)).ravel())
    graph = weights @ graph @ weights  # the density of the pictures does not count (Coifman & Lafon 2006)
    root = 1 / np.sqrt(np.asarray(graph.sum(axis=1)).ravel())
    vectors = eigsh(diags_array(root) @ graph @ diags_array(root), 10, v0=np.ones(len(rows)))[1][:, -2::-1]
    functions = vectors * root[:, None]
    functions /= np.sqrt(3) * functions.std(axis=0)  # as the entries of random rotations

    def rotations(functions: np.ndarray, linear: np.ndarray) -> np.ndarray:
        return nearest_rotations((functions @ linear).reshape(-1, 3, 3))

    some, found = functions[:400], []
    for linear in np.linalg.qr(rng.standard_normal((30, 9, 9)))[0]:
        for _ in range(60):
            u, _, vt = np.linalg.svd(some.T @ rotations(some, linear).reshape(-1, 9))
            linear = u @ vt
        found.append((np.square(some @ linear - rotations(some, linear).reshape(-1, 9)).mean(), linear))
    linear = min(found, key=lambda each: each[0])[1]
    for _ in range(50):
        linear = np.linalg.lstsq(functions, rotations(functions, linear).reshape(-1, 9), rcond=None)[0]
    return rows, rotations(functions, linear)


def start_at(model: torusae.TorusAutoencoder, x: np.ndarray, points: np.ndarray) -> None:
    """Trains the encoder to points, and the decoder to the pictures from their points."""
    for network, inputs, targets in (
        (model.encoder_model, x, {"point": points}),
        (model.decoder_model, points, x),
    ):
        network.compile("adam", "mse")
        network.fit(inputs, targets, batch_size=128, epochs=20, verbose=0)


def train(name: str, x: np.ndarray, epochs: int, seed: int, start: tuple | None = None) -> torusae.TorusAutoencoder:
    """A model trained on pictures alone."""
    space = SPACES[name]
    keras.utils.set_random_seed(seed)
    model = torusae.TorusAutoencoder(
        torusae.networks.dense_encoder(x.shape[1:], (512, 256)),
        torusae.networks.dense_decoder(x.shape[1:], space.decoder_input_size, (256, 512), activation="sigmoid"),
        torusae.Latent(space),
        init="random",
    )
    model.compile("adam", "mse")
    if start is not None:
        start_at(model, x[start[0]], start[1].reshape(-1, 9).astype("float32"))
    model.fit(x, batch_size=128, epochs=epochs, verbose=0)
    return model


def measured(model: torusae.TorusAutoencoder, x: np.ndarray, rotations: np.ndarray) -> dict:
    """The numbers of pictures that were held out."""
    points, space = model.encode(x, verbose=0), model.latent.space
    first, last = np.random.default_rng(0).integers(len(x), size=(2, 20_000))
    true, own = (
        ops.convert_to_numpy(each.distance(values[first], values[last]))
        for each, values in ((SPACES["SO3"], rotations.astype("float32")), (space, points))
    )
    row = {
        "left": float(np.mean((model.reconstruct(x, verbose=0) - x) ** 2) / x.var(axis=0).mean()),
        "stress": torusae.metrics.geodesic_stress(true, own),
    }
    if isinstance(space, SO3):
        errors = pose_errors(points.reshape(-1, 3, 3).astype("float64"), rotations.reshape(-1, 3, 3))
        row |= {"median error": float(np.median(errors)), "90 % below": float(np.quantile(errors, 0.9))}
    return row


def figure(models: dict[str, torusae.TorusAutoencoder], x: np.ndarray, rotations: np.ndarray, path: Path) -> None:
    """Pictures on the shortest turn between two poses, and the decoded ways on some spaces."""
    import matplotlib.pyplot as plt

    cosines = (np.einsum("ni,i->n", rotations, rotations[0]) - 1) / 2
    other = int(np.argmin(np.abs(np.degrees(np.arccos(np.clip(cosines, -1, 1))) - 140)))
    space = SPACES["SO3"]
    pair = [ops.convert_to_tensor(rotations[row].astype("float32")) for row in (0, other)]
    turn = ops.convert_to_numpy(space.paths(*pair, space.windings(*pair)[:1], 9))[0]
    rows = {"true turn": pictures(turn.astype("float64"))}
    for name, model in models.items():
        rows[name] = np.asarray(model.morph(x[0], x[other], num_steps=9))[0]
    figure, axes = plt.subplots(len(rows), 9, figsize=(9, 1.1 * len(rows)), squeeze=False)
    for line, (name, images) in zip(axes, rows.items(), strict=True):
        for axis, image in zip(line, images, strict=True):
            axis.imshow(np.clip(image, 0, 1))
            axis.set(xticks=[], yticks=[])
        line[0].set_ylabel(name, fontsize=6)
    figure.tight_layout(pad=0.3)
    figure.savefig(path, dpi=150)


def main(argv: list[str] | None = None) -> list[dict]:
    """Trains, prints a table, draws, and returns the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num", type=int, default=NUM, help="pictures to train on")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--restarts", type=int, default=2, help="random starts of SO3; the least training error counts")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("out", "pose"))
    args = parser.parse_args(argv)
    args.output.mkdir(parents=True, exist_ok=True)
    rotations = ops.convert_to_numpy(SO3().sample(args.num + HELD_OUT, args.seed)).astype("float64")
    x = pictures(rotations)
    x, held_out, true = x[: args.num], x[args.num :], rotations[args.num :]
    begin = time.time()
    rows, found = spectral_rotations(x, min(3000, args.num))
    errors = pose_errors(found, rotations[rows].reshape(-1, 3, 3))
    print(f"neighbours' graph alone: median error {np.median(errors):.1f}°, {time.time() - begin:.0f} s", flush=True)
    table, models = [], {}
    for label, name, restarts, start in (
        ("SO3, start at the graph", "SO3", 1, (rows, found)),
        ("SO3, random starts", "SO3", args.restarts, None),
        *((name, name, 1, None) for name in SPACES if name != "SO3"),
    ):
        begin, tried = time.time(), []
        for seed in range(args.seed, args.seed + restarts):
            model = train(name, x, args.epochs, seed, start)
            tried.append((model.evaluate(x, verbose=0, return_dict=True)["reconstruction"], model))
        models[label] = min(tried, key=lambda each: each[0])[1]
        table.append({"space": label, **measured(models[label], held_out, true), "seconds": time.time() - begin})
        print(json.dumps(table[-1]), flush=True)
    lines = ["| space | variance left, % | stress | median error | 90 % below | seconds |", "|---|---|---|---|---|---|"]
    for row in table:
        degrees = [f"{row[key]:.1f}°" if key in row else "" for key in ("median error", "90 % below")]
        cells = [row["space"], f"{100 * row['left']:.1f}", f"{row['stress']:.2f}", *degrees, f"{row['seconds']:.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    print("\n".join(lines))
    (args.output / "pose.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    figure(models, held_out, true, args.output / "pose.png")
    return table


if __name__ == "__main__":
    main()
