"""The angle of turned digits, learned from relative angles or from the action alone, and a ring of decoded digits.

    KERAS_BACKEND=jax python examples/rotation.py

Digits of all ten classes are turned by any angle. The latent space is a circle beside a Gaussian space for the style,
`"T1 x R15"`. The angle of the circle is learned in one of these ways:

- `relative`: of 5 % of the digits there are 10 pairs of pictures with a known difference of their angles;
- `self`: no angles are known. A picture that is turned further must have its point turned as far;
- `both`: `self`, and of 5 % of the pictures the angle is known up to a common constant.

Prints, of test digits, the median of `|θ(R_a x) - θ(x) - a|` (turn), and of the error of the angle after one offset for
each class (angle), in degrees. Draws rings of decoded digits: one digit whose circle is turned, its style kept.

Data: 10,000 digits that come with the package; `--data mnist.npz` is all of MNIST. On one core a way takes one to two
minutes.
"""

import json

import keras
import numpy as np
from moved_digits import OTHERS, TURN, arcs, autoencoder, digits, moved, options, trained

import torusae
from torusae import datasets
from torusae.supervision import Action, Relative, angle_errors, rotate_images

WAYS = ("relative", "self", "both")
PAIRS = 10  # of each digit whose relative angles are known
SHARE = 0.05


def turned(x: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Images turned by angles, radians."""
    return moved(rotate_images, x, angles)


def supervision_of(way: str, x: np.ndarray, angles: np.ndarray, weight: float, rng) -> tuple:
    """What `compile` and `fit` are given."""
    supervision, y = {}, {}
    few = rng.choice(len(x), max(2, round(SHARE * len(x))), replace=False)
    if way == "relative":
        rows = np.repeat(few, PAIRS)
        a, b = rng.uniform(-np.pi, np.pi, (2, len(rows)))
        supervision["angle"] = Relative(circle=0, period=360, weight=weight)
        y["angle"] = turned(x[rows], a), turned(x[rows], b), np.rad2deg(b - a)
    if way == "both":
        known = np.full(len(x), np.nan)
        known[few] = np.rad2deg(angles[few])
        supervision["angle"] = Relative(circle=0, period=360, weight=weight)
        y["angle"] = known
    if way in ("self", "both"):
        supervision["turn"] = Action(rotate_images, circle=0, weight=weight, others=OTHERS)
    return supervision, y


def train(way: str, data: datasets.Mnist, steps: int, batch: int, seed: int, weight: float) -> tuple:
    """A trained model and its seconds."""
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    angles = rng.uniform(-np.pi, np.pi, len(data.x_train))
    pictures = turned(data.x_train, angles)
    supervision, y = supervision_of(way, data.x_train, angles, weight, rng)
    model = autoencoder(pictures.shape[1:], 1, 15, constant=False)
    return model, *trained(model, pictures, y or None, supervision, steps, batch)


def size(angles: np.ndarray) -> np.ndarray:
    """The sizes of angles as arcs, degrees."""
    return np.rad2deg(arcs(angles))


def measure(model: torusae.TorusAutoencoder, x: np.ndarray, y: np.ndarray, seed: int) -> dict:
    """Median errors of test digits in degrees, of all and of each class."""
    first, further = np.random.default_rng(seed + 1).uniform(-np.pi, np.pi, (2, len(x)))
    pictures = turned(x, first)
    before = model.angles(pictures, verbose=0)
    after = model.angles(turned(x, first + further), verbose=0)[:, 0]
    turn = size(after - before[:, 0] - further)
    offsets = np.array(
        [np.angle(np.exp(1j * (before[y == digit, 0] - first[y == digit])).mean()) for digit in range(10)]
    )
    angle = size(before[:, 0] - first - offsets[y])
    aligned = angle_errors(before, first[:, None])
    errors = (model.reconstruct(pictures, verbose=0) - pictures) ** 2
    return {
        "turn": float(np.median(turn)),
        "angle": float(np.median(angle)),
        "plain": float(aligned.plain[0]),
        "aligned": float(aligned.aligned[0]),
        "turn of each class": [float(np.median(turn[y == digit])) for digit in range(10)],
        "angle of each class": [float(np.median(angle[y == digit])) for digit in range(10)],
        "MSE": float(errors.mean()),
    }


def rings(model: torusae.TorusAutoencoder, x: np.ndarray, y: np.ndarray, shown=(4, 2, 7), count: int = 20):
    """A figure: around the circle, digits that are decoded with their circle turned. Inside, their pictures."""
    from matplotlib.figure import Figure

    space = model.latent.space
    figure = Figure(figsize=(7, 7), facecolor="white")
    for ring, digit in enumerate(shown):
        start = model.encode(x[y == digit][:1], verbose=0)
        action = np.zeros((count, space.action_size), "float32")
        action[:, 0] = TURN * np.arange(count) / count
        points = keras.ops.convert_to_numpy(space.act(np.repeat(start, count, axis=0), action))
        radius = 0.42 - 0.115 * ring
        for image, angle in zip(model.decode(points, verbose=0), action[:, 0], strict=True):
            width = 0.78 * TURN * radius / count
            place = 0.5 + radius * np.cos(angle) - width / 2, 0.5 + radius * np.sin(angle) - width / 2
            axes = figure.add_axes((*place, width, width))
            axes.imshow(image.squeeze(), cmap="gray_r", vmin=0, vmax=1)
            axes.set_axis_off()
    return figure


def main(argv: list[str] | None = None) -> list[dict]:
    """Trains, measures, draws, and returns the rows."""
    parser = options(__doc__.splitlines()[0], "rotation")
    parser.add_argument("--ways", nargs="+", default=WAYS, choices=WAYS)
    args = parser.parse_args(argv)
    data = digits(args)
    rows = []
    for seed in args.seeds:
        for way in args.ways:
            model, seconds, logs = train(way, data, args.steps, args.batch_size, seed, args.weight)
            row = {"way": way, "seed": seed, **measure(model, data.x_test, data.y_test, seed)}
            rows.append({**row, "seconds": round(seconds), "logs": logs})
            turn, angle, plain, aligned = (row[name] for name in ("turn", "angle", "plain", "aligned"))
            print(
                f"{way:9} seed {seed}: turn {turn:.1f}°; angle {angle:.1f}° after an offset for each class, "
                f"{aligned:.1f}° after align, {plain:.1f}° without; MSE {row['MSE']:.4f}, {seconds:.0f} s",
                flush=True,
            )
            for name in ("turn", "angle"):
                print(f"  {name + ' of 0 to 9':14}", " ".join(f"{each:5.1f}" for each in row[f"{name} of each class"]))
            with (args.output / "rotation.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(rows[-1]) + "\n")
            rings(model, data.x_test, data.y_test).savefig(args.output / f"{way}.png", dpi=150)
    return rows


if __name__ == "__main__":
    main()
