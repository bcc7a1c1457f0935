"""The paper's figure 1: the four ways between two pictures of one object, by hue and by rotation, short and long.

    KERAS_BACKEND=torch python examples/hue_and_rotation.py

Makes pictures of a little plane in all hues and directions, with NumPy. The plain path then finds both circles without
labels: `TorusAutoencoder.from_shape(shape, 2)`, `compile("adam", "mse")`, `fit(x)`, with the extras `circles` and
`plots`. Prints a table and writes it beside two figures, of pictures that were held out:

- how well the true hue and rotation are found, after `torusae.topology.align`;
- `transform`, which turns the hue or the plane by a known angle, and `analogy`, beside the true pictures;
- the four ways between two pictures; pictures turned, compared and with one circle removed.

With `--epochs 5` it took 37 seconds of one core's time on torch.
"""

import argparse
import itertools
import json
import time
from pathlib import Path

import keras
import numpy as np

import torusae

HELD_OUT = 1000
NAMES = ("hue", "rotation")
# Segments of the plane, ends and half of the width, in halves of a picture; it flies to the right. Its weight is in
# front: a plane that fills the picture looks much like itself after a quarter turn, and its circle is hard to find.
SEGMENTS = [
    ((-0.2, 0.0), (0.75, 0.0), 0.16),
    ((0.45, 0.0), (0.15, 0.5), 0.12),
    ((0.45, 0.0), (0.15, -0.5), 0.12),
]


def pictures(angles: np.ndarray, size: int) -> np.ndarray:
    """Planes of the hues and directions `angles`, `(num, 2)`, radians: float32 `(num, size, size, 3)` in [0, 1]."""
    hue, direction = angles[:, :1], angles[:, 1, None, None]
    axis = (np.arange(size) + 0.5) / size * 2 - 1
    x, y = axis[None, None, :], -axis[None, :, None]  # rows run downwards, y upwards
    along = np.cos(direction) * x + np.sin(direction) * y
    across = np.cos(direction) * y - np.sin(direction) * x
    depth = np.full(along.shape, -np.inf)  # inside the plane: the way to its edge
    for (x0, y0), (x1, y1), width in SEGMENTS:
        share = ((along - x0) * (x1 - x0) + (across - y0) * (y1 - y0)) / ((x1 - x0) ** 2 + (y1 - y0) ** 2)
        share = np.clip(share, 0, 1)
        away = np.hypot(along - x0 - share * (x1 - x0), across - y0 - share * (y1 - y0))
        depth = np.maximum(depth, width - away)
    cover = 1 / (1 + np.exp(-size * depth))  # an edge of about a pixel
    colours = (1 + np.cos(hue - 2 * np.pi / 3 * np.arange(3))) / 2
    images = (cover[..., None] * colours[:, None, None, :]).astype("float32")
    channels_first = keras.config.image_data_format() == "channels_first"
    return np.ascontiguousarray(np.moveaxis(images, -1, 1)) if channels_first else images


def random_angles(num: int, seed: int) -> np.ndarray:
    """Independent and uniform, float64 `(num, 2)`."""
    return np.random.default_rng(seed).uniform(-np.pi, np.pi, (num, 2))


def turns(alignment: torusae.topology.Alignment, true: np.ndarray) -> dict[int, float]:
    """What to add to the model's angles so that the true ones turn by `true`: for `transform`."""
    return dict(enumerate(np.linalg.solve(alignment.matrix, true)))


def four_windings(model: torusae.TorusAutoencoder, alignment: torusae.topology.Alignment, pair: np.ndarray):
    """Windings of the model's circles for the short and the long ways of hue and rotation, short first, `(4, 2)`.

    The model's circles may be integer combinations of the true ones, so the ways are chosen among the true ones.
    """
    angles = model.angles(pair, verbose=0).astype("float64")
    straight = (angles[1] - angles[0]) @ alignment.matrix.T  # the true arcs without extra turns
    short = (straight + np.pi) % (2 * np.pi) - np.pi
    long = short - 2 * np.pi * np.where(short < 0, -1, 1)
    arcs = np.array(list(itertools.product(*zip(short, long, strict=True))))
    extra = (arcs - straight) / (2 * np.pi)
    return np.rint(np.linalg.solve(alignment.matrix, extra.T).T).astype("int32"), arcs


def left(pictures: np.ndarray, true: np.ndarray) -> float:
    """The share of the variance of the true pictures that is not explained."""
    return float(((pictures - true) ** 2).mean() / true.var(axis=0).mean())


def measure(model: torusae.TorusAutoencoder, angles: np.ndarray, size: int) -> tuple[dict, torusae.topology.Alignment]:
    """The table's numbers, of held-out pictures of these true angles."""
    x = pictures(angles, size)
    found = model.angles(x, verbose=0).astype("float64")
    alignment = torusae.topology.align(found, angles)
    errors = np.abs((alignment(found) - angles + np.pi) % (2 * np.pi) - np.pi)
    table = {"share of the variance not reconstructed": left(model.reconstruct(x, verbose=0), x)}
    for name, score, error in zip(NAMES, alignment.scores, np.rad2deg(errors.T), strict=True):
        table[f"{name}: score, 1 is perfect"] = float(score)
        table[f"{name}: median error, degrees"] = float(np.median(error))
    for column, name in enumerate(NAMES):
        turn = np.eye(2)[column] * np.pi / 2
        turned = model.rotate(x, turns(alignment, turn), verbose=0)
        table[f"{name} turned by 90 degrees: not explained"] = left(turned, pictures(angles + turn, size))
    a, b, c = np.split(angles[: len(angles) // 3 * 3], 3)
    d = model.analogy(*(pictures(each, size) for each in (a, b, c)), verbose=0)
    table["analogy: not explained"] = left(d, pictures(c + b - a, size))
    return table, alignment


def shown(images: np.ndarray) -> np.ndarray:
    """Pictures for matplotlib: channels last, in [0, 1]."""
    images = np.moveaxis(images, -3, -1) if keras.config.image_data_format() == "channels_first" else images
    return np.clip(images, 0, 1)


def strip(axes, images: np.ndarray) -> None:
    """Draws a row of pictures side by side."""
    images = np.pad(shown(images), ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=1.0)
    axes.imshow(np.concatenate(list(images), axis=1))
    axes.set_axis_off()


def draw_ways(model: torusae.TorusAutoencoder, alignment, angles: np.ndarray, size: int):
    """The four ways between two pictures, and where they run on the torus."""
    from matplotlib.figure import Figure

    pair = pictures(angles, size)
    windings, arcs = four_windings(model, alignment, pair)
    ways = model.morph(*pair, windings=windings, num_steps=11, verbose=0)
    figure = Figure(figsize=(11, 3.9), layout="constrained")
    panels = figure.subplot_mosaic([["map", str(row)] for row in range(4)], width_ratios=[1, 2.9])
    colours = ("tab:blue", "tab:orange", "tab:green", "tab:red")
    start = np.rad2deg(alignment(model.angles(pair[:1], verbose=0).astype("float64"))[0])
    share = np.linspace(0, 1, 400)[:, None]
    for row, (way, arc, colour) in enumerate(zip(ways, np.rad2deg(arcs), colours, strict=True)):
        line = (start + share * arc + 180) % 360 - 180
        line[1:][np.abs(np.diff(line, axis=0)).max(axis=1) > 180] = np.nan  # over the edge
        panels["map"].plot(*line.T, color=colour)
        panels["map"].annotate("", line[-1], line[-12], arrowprops={"arrowstyle": "-|>", "color": colour})
        strip(panels[str(row)], way)
        text = ", ".join(f"{name} {turn:+.0f}°" for name, turn in zip(NAMES, arc, strict=True))
        panels[str(row)].set_title(text, color=colour, fontsize="small", loc="left", pad=2)
    panels["map"].plot(*start, "o", color="black", zorder=3)
    ticks = [-180, -90, 0, 90, 180]
    panels["map"].set(xlim=(-180, 180), ylim=(-180, 180), xticks=ticks, yticks=ticks, aspect="equal")
    panels["map"].set(xlabel="hue, degrees", ylabel="rotation, degrees", title="opposite edges are one")
    figure.suptitle("Four ways between two pictures that were held out; hue and rotation were found without labels")
    return figure


def draw_edits(model: torusae.TorusAutoencoder, alignment, angles: np.ndarray, size: int):
    """Pictures turned, compared, and without one circle, where a circle of the model is a true one."""
    from matplotlib.figure import Figure

    x = pictures(angles, size)
    rows = {"pictures": x, "reconstructions": model.reconstruct(x, verbose=0)}
    for column, name in enumerate(NAMES):
        rows[f"{name} + 90°"] = model.rotate(x, turns(alignment, np.eye(2)[column] * np.pi / 2), verbose=0)
    rows["first : second\n= picture : ?"] = model.analogy(x[:1], x[1:2], x, verbose=0)
    for column, name in enumerate(NAMES):
        # A circle of the model turns one true angle alone where its column has one entry.
        alone = [i for i in range(2) if np.array_equal(alignment.matrix[:, i] != 0, np.arange(2) == column)]
        if alone:
            rows[f"without {name}"] = model.remove(x, alone[0], verbose=0)
    figure = Figure(figsize=(9, 1.0 * len(rows) + 0.4), layout="constrained")
    for axes, (name, images) in zip(figure.subplots(len(rows), 1), rows.items(), strict=True):
        strip(axes, images)
        axes.text(-0.01, 0.5, name, transform=axes.transAxes, ha="right", va="center", fontsize="small")
    return figure


def main(argv: list[str] | None = None) -> dict:
    """Trains, and returns the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=5000, help="pictures to train on (default 5000)")
    parser.add_argument("--size", type=int, default=16, help="pixels of a side (default 16)")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="seed of the pictures and the weights")
    parser.add_argument("--init", choices=["auto", "circles", "random"], default="auto", help="see TorusAutoencoder")
    parser.add_argument("--output", type=Path, default=Path("out", "hue_and_rotation"))
    args = parser.parse_args(argv)
    args.output.mkdir(parents=True, exist_ok=True)
    angles = random_angles(args.samples + HELD_OUT, args.seed)
    x = pictures(angles[HELD_OUT:], args.size)
    keras.utils.set_random_seed(args.seed)
    begin = time.perf_counter()
    model = torusae.TorusAutoencoder.from_shape(x.shape[1:], 2, init=args.init)
    model.compile("adam", "mse")
    model.fit(x, batch_size=128, epochs=args.epochs, verbose=2)
    table, alignment = measure(model, angles[:HELD_OUT], args.size)
    table["seconds"] = round(time.perf_counter() - begin, 1)
    print("\n".join(f"{name:<44}{value:9.4f}" for name, value in table.items()))
    print(f"The true angles are {alignment.matrix.tolist()} times the model's, and a shift.")
    (args.output / "table.json").write_text(json.dumps({**vars(args), "table": table}, indent=1, default=str) + "\n")
    two = np.deg2rad([[-20.0, -35.0], [100.0, 75.0]])
    draw_ways(model, alignment, two, args.size).savefig(args.output / "ways.png", dpi=130)
    draw_edits(model, alignment, angles[:12], args.size).savefig(args.output / "edits.png", dpi=130)
    print(f"Table and figures are in {args.output.resolve()}")
    return table


if __name__ == "__main__":
    main()
