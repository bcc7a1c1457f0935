"""Digits that are shifted cyclically in two directions: where they are on a torus, how they look beside it.

    KERAS_BACKEND=jax python examples/shift.py

The latent space is `"T2 x R4"`. Nothing is known but the action: a picture that is shifted by some pixels must have its
point turned by as many 28ths of a turn, down along the first circle and to the right along the second, with its style
kept.

Prints, of test digits, the median of `|θ(S_a x) - θ(x) - a|` (shift) and of the error of the place after one offset for
each class (place), in pixels, in both directions. Draws a digit that goes around the torus, and styles at one place.

Data: 10,000 digits that come with the package; `--data mnist.npz` is all of MNIST. On one core it takes one to two
minutes.
"""

import json

import keras
import numpy as np
from moved_digits import OTHERS, TURN, arcs, autoencoder, digits, moved, options, trained

import torusae
from torusae import datasets
from torusae.supervision import Action, shift_images

PIXELS = 28


def shifted(x: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Images shifted by pixels, `(num, 2)`."""
    return moved(shift_images, x, shifts)


def train(data: datasets.Mnist, steps: int, batch: int, seed: int, weight: float) -> tuple:
    """A trained model and its seconds."""
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    pictures = shifted(data.x_train, rng.uniform(0, PIXELS, (len(data.x_train), 2)))
    model = autoencoder(pictures.shape[1:], 2, 4, constant=True)
    action = Action(shift_images, circle=(0, 1), period=PIXELS, weight=weight, others=OTHERS)
    return model, *trained(model, pictures, None, {"shift": action}, steps, batch)


def size(angles: np.ndarray) -> np.ndarray:
    """The sizes of angles as arcs, pixels."""
    return PIXELS / TURN * arcs(angles)


def measure(model: torusae.TorusAutoencoder, x: np.ndarray, y: np.ndarray, seed: int) -> dict:
    """Median errors of test digits in pixels, down and to the right."""
    first, further = np.random.default_rng(seed + 1).uniform(0, PIXELS, (2, len(x), 2))
    pictures = shifted(x, first)
    before = model.angles(pictures, verbose=0)
    after = model.angles(shifted(x, first + further), verbose=0)
    places = before - first * TURN / PIXELS
    offsets = np.stack([np.angle(np.exp(1j * places[y == digit]).mean(axis=0)) for digit in range(10)])
    errors = (model.reconstruct(pictures, verbose=0) - pictures) ** 2
    return {
        "shift": np.median(size(after - before - further * TURN / PIXELS), axis=0).tolist(),
        "place": np.median(size(places - offsets[y]), axis=0).tolist(),
        "MSE": float(errors.mean()),
    }


def draw(model: torusae.TorusAutoencoder, x: np.ndarray, count: int = 8):
    """A figure: left, a digit whose two circles are turned; right, one place with the styles of other digits."""
    from matplotlib.figure import Figure

    space = model.latent.space
    points = model.encode(x[: count * count], verbose=0)
    grid = np.stack(np.meshgrid(*2 * [TURN * np.arange(count) / count], indexing="ij"), axis=-1).reshape(-1, 2)
    action = np.zeros((count * count, space.action_size), "float32")
    action[:, :2] = grid
    around = space.act(np.repeat(points[:1], count * count, axis=0), action)
    middle = np.angle(np.exp(1j * model.angles(x, verbose=0)).mean(axis=0))
    styles = space.with_angles(points, np.tile(middle, (len(points), 1)).astype("float32"))
    figure = Figure(figsize=(10, 5.3), facecolor="white")
    panels = figure.subplots(1, 2)
    titles = "one style, all places", "one place, other styles"
    for axes, some, title in zip(panels, (around, styles), titles, strict=True):
        images = model.decode(keras.ops.convert_to_numpy(some), verbose=0).reshape(count, count, PIXELS, PIXELS)
        axes.imshow(images.transpose(0, 2, 1, 3).reshape(count * PIXELS, -1), cmap="gray_r", vmin=0, vmax=1)
        axes.set_title(title)
        axes.set_axis_off()
    figure.tight_layout()
    return figure


def main(argv: list[str] | None = None) -> list[dict]:
    """Trains, measures, draws, and returns the rows."""
    args = options(__doc__.splitlines()[0], "shift").parse_args(argv)
    data = digits(args)
    rows = []
    for seed in args.seeds:
        model, seconds, logs = train(data, args.steps, args.batch_size, seed, args.weight)
        row = {"seed": seed, **measure(model, data.x_test, data.y_test, seed)}
        rows.append({**row, "seconds": round(seconds), "logs": logs})
        down, right = (f"shift {row['shift'][i]:.2f}, place {row['place'][i]:.2f}" for i in (0, 1))
        print(f"seed {seed}, pixels: down {down}; right {right}; MSE {row['MSE']:.4f}, {seconds:.0f} s")
        with (args.output / "shift.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(rows[-1]) + "\n")
        draw(model, data.x_test).savefig(args.output / f"shift-{seed}.png", dpi=120)
    return rows


if __name__ == "__main__":
    main()
