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

import argparse
import dataclasses
import json
import math
import time
from pathlib import Path

import keras
import numpy as np

import torusae
from torusae import datasets
from torusae.supervision import Action, shift_images

PIXELS = 28
OTHERS = 0.3  # how strongly the style must stay
TURN = 2 * np.pi


def shifted(x: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Images shifted by pixels, `(num, 2)`, in blocks."""
    blocks = range(0, len(x), 1000)
    rows = [shift_images(x[i : i + 1000], shifts[i : i + 1000].astype("float32")) for i in blocks]
    return np.concatenate([keras.ops.convert_to_numpy(each) for each in rows])


def build(shape: tuple[int, ...]) -> torusae.TorusAutoencoder:
    """Two convolutions before the latent space; behind it a decoder that reads waves of both angles, times the style.

    A picture that is shifted is a Fourier series of the angles, whose coefficients depend on the style.
    """
    inputs = keras.Input(shape)
    x = inputs
    for filters in (16, 32):
        x = keras.layers.Conv2D(filters, 5, strides=2, padding="same", activation="relu")(x)
    x = keras.layers.Dense(128, activation="relu")(keras.layers.Flatten()(x))
    space = torusae.spaces.parse("T2 x R4")
    code = keras.Input((space.code_size,))
    product = keras.layers.Dense(512)(keras.layers.Dense(256, activation="relu")(code[:, 4:]))
    for circle in (0, 1):
        product = product * keras.layers.Dense(512)(waves(code[:, circle, None], code[:, circle + 2, None]))
    hidden = keras.layers.Dense(512, activation="relu")(product)
    pixels = keras.layers.Dense(math.prod(shape), activation="sigmoid")(hidden)
    decoder = keras.Model(code, keras.layers.Reshape(shape)(pixels))
    return torusae.TorusAutoencoder(keras.Model(inputs, x), decoder, torusae.Latent(space), density=None)


def waves(x, y, count: int = 6):
    """Cosines and sines of multiples of an angle, as powers of `x + iy`, and a constant."""
    powers = [(keras.ops.ones_like(x), keras.ops.zeros_like(x)), (x, y)]
    for _ in range(count - 1):
        real, imaginary = powers[-1]
        powers.append((real * x - imaginary * y, real * y + imaginary * x))
    return keras.ops.concatenate([part for pair in powers for part in pair], axis=1)


def train(data: datasets.Mnist, steps: int, batch: int, seed: int, weight: float) -> tuple:
    """A trained model and its seconds."""
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    pictures = shifted(data.x_train, rng.uniform(0, PIXELS, (len(data.x_train), 2)))
    model = build(pictures.shape[1:])
    rate = keras.optimizers.schedules.CosineDecay(2e-3 / 20, steps, 0.01, warmup_target=2e-3, warmup_steps=steps // 20)
    action = Action(shift_images, circle=(0, 1), period=PIXELS, weight=weight, others=OTHERS)
    model.compile(keras.optimizers.Adam(rate), "binary_crossentropy", supervision={"shift": action})
    begin = time.time()
    epochs = math.ceil(steps / math.ceil(len(pictures) / batch))
    history = model.fit(pictures, batch_size=batch, epochs=epochs, verbose=0).history
    return model, time.time() - begin, {name: round(values[-1], 4) for name, values in history.items()}


def size(angles: np.ndarray) -> np.ndarray:
    """The sizes of angles as arcs, pixels."""
    return PIXELS / TURN * np.abs(np.angle(np.exp(1j * angles)))


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
    styles = space.at_angles(points, np.tile(middle, (len(points), 1)).astype("float32"))
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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="an mnist.npz (default: the digits that come with the package)")
    parser.add_argument("--samples", type=int, help="the most digits to train on")
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--weight", type=float, default=5.0, help="of the supervision in the loss")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--output", type=Path, default=Path("out", "shift"))
    args = parser.parse_args(argv)
    args.output.mkdir(parents=True, exist_ok=True)
    data = datasets.load_mnist(args.data) if args.data else datasets.load_mnist_subset()
    data = dataclasses.replace(data, x_train=data.x_train[: args.samples])
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
