"""The moons of Jupiter: their phases, their periods and the resonance of Laplace, from drawings of dots on a line.

    pip install ephem
    KERAS_BACKEND=jax python examples/moons.py

Galileo drew Jupiter's moons as dots on a line. A sample is two such drawings, six hours apart, of Io, Europa and
Ganymede: each dot's moon is known, the date and the phase are not. Drawings are made at 4000 random times of ten years
and tested at 1000 times of the next ten. What is found:

- The phases of Io and Europa, by an autoencoder on a torus of two circles. Ganymede's, by one on a circle that sees
  Ganymede alone.
- The direction and the zero of each phase, and its period, from the lag of the second drawing (`clock`).
- The tie: of all integer vectors n with entries up to 3, the one whose n·phases vary least over the test's times
  (`ties`). It is Io - 3 Europa + 2 Ganymede. Laplace (1788) found that this angle stays near 180°.
- The same without looking for ties: the drawings of all three moons show two circles, not three. Each moon winds around
  a torus of two circles in its own way, and three integer vectors of two entries have a tie.
- The same again where no dot's moon is known, from six drawings of three nights. On their torus of two circles, the sum
  of a drawing's dots has three waves, one for each moon.
- The periods to 0.01 %, once the dates are given (`period`).

True phases and dates are read at the end only. `--seeds 0 1 2` repeats all with other times and other weights.
It takes under five minutes on two cores, and writes `moons.png` and `moons.jsonl`.

Positions are computed by the package ephem (Brandon Rhodes, Elwood Downey; MIT licence).
"""

import argparse
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

import torusae

MOONS = ("Io", "Europa", "Ganymede")
DAYS = np.array([0, 0.25, 1, 1.25, 2, 2.25])  # of the drawings of a sample; the first two alone where dots are known
YEARS = 10
TEST_SAMPLES = 1000
EPOCHS = 30
# Mean motions among the stars, degrees a day: Lieske (1998), Galilean satellite ephemerides E5, Astron. Astrophys.
# Suppl. Ser. 129, 205. Seen from Earth, a moon is back after a synodic period: Jupiter goes round the Sun in 4332.589
# days, and Earth looks from near the Sun.
MEAN_MOTIONS = np.array([203.48895579033, 101.37472473479, 50.31760920702])
SYNODIC = 360 / (MEAN_MOTIONS - 360 / 4332.589)


def sky(days: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions at days after 2000-01-01: along the line of the moons, east is positive, and towards Earth.

    Each `(num, 3)`, in radii of Jupiter. Moons before and behind Jupiter are drawn too.
    """
    try:
        import ephem
    except ImportError as error:
        raise SystemExit("moons.py needs ephem. Install it with: pip install ephem") from error
    bodies = [getattr(ephem, name)() for name in MOONS]
    positions = np.empty((len(days), len(MOONS), 3))
    for row, day in enumerate(days + float(ephem.Date("2000/1/1"))):
        for column, body in enumerate(bodies):
            body.compute(day)
            positions[row, column] = body.x, body.y, body.z
    # The line through Jupiter that is nearest to the dots of a drawing.
    line = np.linalg.svd(positions[..., :2], full_matrices=False)[2][:, 0]
    line *= np.sign(line[:, :1])
    return np.einsum("rmc,rc->rm", positions[..., :2], line), positions[..., 2]


def drawings(num: int, first_year: float, noise: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Days, dots `(num, 6, 3)` in radii of Jupiter, and true phases `(num, 3)` at the first of six drawings."""
    rng = np.random.default_rng(seed)
    days = 365.25 * rng.uniform(first_year, first_year + YEARS, num)
    seen, depth = zip(*(sky(days + later) for later in DAYS), strict=True)
    dots = np.stack(seen, axis=1)
    return days, dots + noise * rng.standard_normal(dots.shape), np.arctan2(seen[0], depth[0])


def train(dots: np.ndarray, dim: int, epochs: int, seed: int, verbose: str | int) -> torusae.TorusAutoencoder:
    """The plain path, on rows of dots."""
    keras.utils.set_random_seed(seed)
    model = torusae.TorusAutoencoder.from_shape(dots.shape[1:], dim)
    model.compile("adam", "mse")
    model.fit(dots, batch_size=128, epochs=epochs, verbose=verbose)
    return model


def wave(angle: np.ndarray, dots: np.ndarray) -> np.ndarray:
    """Complex `c` of each column of dots `(num, columns)` for which `Re(c exp(i angle))` plus a constant is nearest."""
    design = np.stack([np.cos(angle), -np.sin(angle), np.ones_like(angle)], axis=1)
    cosine, sine, _ = np.linalg.lstsq(design, dots, rcond=None)[0]
    return cosine + 1j * sine


def windings(angles: np.ndarray, dots: np.ndarray, count: int = 1, max_frequency: int = 3) -> np.ndarray:
    """The integer combinations of torus angles `(num, dim)` with the strongest waves of the dots, `(count, dim)`.

    A moon's dots are one wave. The sum of the dots of a drawing is one wave for each moon, whichever dot is whose.
    """
    directions = torusae.angles.primitive_directions(angles.shape[1], max_frequency)
    strengths = [np.abs(wave(angles @ direction, dots)).sum() for direction in directions]
    return directions[np.argsort(strengths)[::-1][:count]]


class Clock(NamedTuple):
    """How a moon goes round a torus, read from its dots.

    Attributes:
        winding: Integer array `(dim,)`; the moon's phase grows with time.
        zero: Of the phase, radians: it is 0 farthest east.
        days: The period.
        radius: Of the orbit, in the unit of the dots.
    """

    winding: np.ndarray
    zero: float
    days: float
    radius: float

    def phase(self, angles: np.ndarray) -> np.ndarray:
        """The phases of torus angles `(num, dim)`, radians."""
        return angles @ self.winding + self.zero


def clock(angles: np.ndarray, winding: np.ndarray, dots: np.ndarray) -> Clock:
    """The clock of a moon from the two drawings of each sample `(num, 2)`, without a date.

    The second drawing lags by `2π · 0.25 days / period`. That is less than half a turn if no moon is back after 12
    hours, which tells the direction of time.
    """
    first, second = wave(angles @ winding, dots)
    lag = np.angle(second / first)
    direction = 1 if lag > 0 else -1
    days = 2 * math.pi * DAYS[1] / abs(lag)
    return Clock(direction * winding, direction * np.angle(first), days, float(np.abs([first, second]).mean()))


def ties(phases: np.ndarray, max_frequency: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Integer vectors `n` without common divisors, and `mean exp(i n·phases)`, the strongest first."""
    directions = torusae.angles.primitive_directions(phases.shape[1], max_frequency)
    means = np.exp(1j * phases @ directions.T).mean(axis=0)
    best = np.argsort(-np.abs(means), kind="stable")
    return directions[best], means[best]


def tie_of_windings(turns: np.ndarray) -> np.ndarray:
    """The integer vector `n` with `n · turns = 0`, of three windings `(3, 2)` around a torus of two circles."""
    tie = np.cross(*turns.T)
    tie = tie // max(1, np.gcd.reduce(tie))
    return tie if tuple(tie) > (0, 0, 0) else -tie


def period(phase: np.ndarray, days: np.ndarray, shortest: float = 0.5) -> float:
    """The period in days of a phase that grows with time, from phases at random days.

    Formula: `2π / ω` with the largest `|mean exp(i (phase - ω days))|`, on a grid of an eighth of the peak's width,
    `2π / span`, and then on a finer one.
    """
    days = days - days.mean()
    step = 2 * math.pi / (8 * np.ptp(days))
    block = step * np.arange(1000)
    firsts = np.arange(step, 2 * math.pi / shortest, 1000 * step)
    heights = np.abs(np.exp(-1j * np.outer(block, days)) @ np.exp(1j * (phase[:, None] - np.outer(days, firsts))))
    row, column = np.unravel_index(heights.argmax(), heights.shape)
    rates = block[row] + firsts[column] + step * np.linspace(-0.5, 0.5, 101)
    heights = np.abs(np.exp(1j * (phase - np.outer(rates, days))).mean(axis=1))
    return float(2 * math.pi / rates[heights.argmax()])


def scores(angles: np.ndarray, truth: np.ndarray) -> list[float]:
    """How well each true phase is found, after `align`: 1 is perfect."""
    return torusae.align(angles, truth, max_entry=3).scores.round(4).tolist()


def clocks_of_named(angles: np.ndarray, dots: np.ndarray) -> list[Clock]:
    """A clock for each moon of dots `(num, 2, moons)`."""
    each = np.moveaxis(dots, 2, 0)
    return [clock(angles, windings(angles, dots)[0], dots) for dots in each]


def clocks_of_unnamed(angles: np.ndarray, dots: np.ndarray) -> list[Clock]:
    """Clocks of as many moons as there are dots, the fastest first. It reads the sums of the dots alone."""
    sums = dots.sum(axis=2)
    found = [clock(angles, winding, sums) for winding in windings(angles, sums, dots.shape[2])]
    return sorted(found, key=lambda each: each.days)


def run(seed: int, num: int, noise: float, epochs: int, verbose: str | int) -> tuple[dict, dict]:
    """The numbers of one seed, and what the figure shows."""
    begin = time.time()
    _, dots, _ = drawings(num, 0, noise, seed)
    days, new, truth = drawings(TEST_SAMPLES, YEARS, noise, 1000 + seed)
    scale = dots[:, :2].std(axis=(0, 1))

    def named(chosen: np.ndarray, *moons: int) -> np.ndarray:
        """The dots of some moons in two drawings."""
        return (chosen[:, :2, moons] / scale[list(moons)]).reshape(len(chosen), -1).astype("float32")

    def unnamed(chosen: np.ndarray) -> np.ndarray:
        """The dots of six drawings, from west to east."""
        return (np.sort(chosen, axis=2) / scale.max()).reshape(len(chosen), -1).astype("float32")

    def angles(text: str, rows: Callable, dim: int, *moons: int) -> tuple[torusae.TorusAutoencoder, np.ndarray]:
        """A model trained on rows of dots, and its angles of the test's rows."""
        if verbose:
            print(f"\n{text}")
        model = train(rows(dots, *moons), dim, epochs, seed, verbose)
        return model, model.angles(rows(new, *moons), verbose=0).astype("float64")

    pair = angles("Io and Europa on a torus of two circles.", named, 2, 0, 1)[1]
    single = angles("Ganymede on a circle.", named, 1, 2)[1]
    model, three = angles("All three moons on a torus of two circles.", named, 2, 0, 1, 2)
    nameless = angles("All three, whichever dot is whose, six drawings in three nights.", unnamed, 2)[1]

    seen = new[:, :2]
    apart = [*clocks_of_named(pair, seen[:, :, :2]), *clocks_of_named(single, seen[:, :, 2:])]
    phases = np.stack([each.phase(own) for each, own in zip(apart, (pair, pair, single), strict=True)], axis=1)
    together, guessed = clocks_of_named(three, seen), clocks_of_unnamed(nameless, seen)
    vectors, means = ties(phases)
    # Only now are dates and true phases read.
    periods = [period(column, days) for column in phases.T]
    row = {
        "seed": seed,
        "scores": scores(pair, truth[:, :2]) + scores(single, truth[:, 2:]),
        "scores, one torus": [scores(three, column[:, None])[0] for column in truth.T],
        "scores, moons unknown": [scores(nameless, column[:, None])[0] for column in truth.T],
        "ties": [[n.tolist(), round(float(abs(mean)), 4)] for n, mean in zip(vectors[:3], means[:3], strict=True)],
        "angle of the tie": round(float(np.angle(means[0], deg=True)) % 360, 2),
        "circles of all three": torusae.find_circles(named(dots, 0, 1, 2), 400).num_circles,
        "tie of windings": tie_of_windings(np.array([each.winding for each in together])).tolist(),
        "tie of windings, moons unknown": tie_of_windings(np.array([each.winding for each in guessed])).tolist(),
        "periods of six hours": [round(each.days, 4) for each in apart],
        "periods": [round(each, 5) for each in periods],
        "periods, moons unknown": [round(period(each.phase(nameless), days), 5) for each in guessed],
        "radii": [round(each.radius, 2) for each in apart],
        "radii, moons unknown": [round(each.radius, 2) for each in guessed],
        "seconds": round(time.time() - begin, 1),
    }
    shown = {"model": model, "clocks": together, "phases": phases, "days": days, "periods": periods}
    return row, {**shown, "radii": row["radii"]}


def table(row: dict) -> str:
    """The numbers of one seed as lines."""
    lines = [
        f"{'':<12}{'phase':>10}{'6 hours':>10}{'dates':>10}{'true':>10}{'off by':>11}{'orbit':>8}{'orbit³/days²':>14}"
    ]
    for moon, name in enumerate(MOONS):
        days, radius = row["periods"][moon], row["radii"][moon]
        lines.append(
            f"{name:<12}{row['scores'][moon]:>10.4f}{row['periods of six hours'][moon]:>10.3f}{days:>10.5f}"
            f"{SYNODIC[moon]:>10.5f}{days / SYNODIC[moon] - 1:>+11.4%}{radius:>8.2f}{radius**3 / days**2:>14.1f}"
        )
    strongest = ", ".join(f"{n} {height}" for n, height in row["ties"])
    lines += [
        "phase: |mean exp(i (true - found))| after `align`. Days of a period: by the lag of the second drawing, by",
        "dates, and the true synodic ones. orbit: its radius in radii of Jupiter.",
        "",
        f"Strongest ties: {strongest}. The angle of the first: {row['angle of the tie']}°.",
        f"Circles of all three: {row['circles of all three']}. Tie of their windings: {row['tie of windings']}.",
        f"Moons unknown: tie of their windings {row['tie of windings, moons unknown']},",
        f"    phases {row['scores, moons unknown']}, orbits {row['radii, moons unknown']},",
        f"    periods {row['periods, moons unknown']}.",
    ]
    return "\n".join(lines)


def draw(shown: dict, noise: float, path: Path) -> None:
    """Nights to come, the decoded torus, and the ties."""
    from matplotlib.figure import Figure

    colors = ("#d1495b", "#00798c", "#edae49")
    figure = Figure(figsize=(13, 7.4), layout="constrained")
    axes = figure.subplot_mosaic(
        [["sky", "Io", "Europa", "Ganymede"], ["sky", "ties", "ties", "tie"]], width_ratios=[1.5, 1, 1, 1]
    )
    nights, times = np.arange(14), np.linspace(0, 13, 800)
    start = shown["days"].max()  # the nights after the last test
    drawn = sky(start + nights)[0]
    for moon, (name, color) in enumerate(zip(MOONS, colors, strict=True)):
        rate = 2 * np.pi / shown["periods"][moon]
        zero = np.angle(np.exp(1j * (shown["phases"][:, moon] - rate * shown["days"])).mean())
        track = shown["radii"][moon] * np.cos(zero + rate * (start + times))
        axes["sky"].plot(track, times, color=color, linewidth=0.8)
        axes["sky"].plot(drawn[:, moon], nights, "*", color=color, markersize=8, label=name)
    axes["sky"].plot(np.zeros(len(nights)), nights, "o", color="0.4", markersize=7)
    axes["sky"].invert_yaxis()
    axes["sky"].set(xlim=(17, -17), xlabel="east, radii of Jupiter", ylabel="night")
    axes["sky"].set_title("Stars: nights to come. Lines: what is found")
    axes["sky"].legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=3, frameon=False)

    side = np.linspace(-np.pi, np.pi, 96)
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2).astype("float32")
    decoded = shown["model"].decode(torusae.to_cartesian(np.ones_like(grid), grid), verbose=0)
    for moon, name in enumerate(MOONS):
        image = decoded[:, moon].reshape(len(side), -1)
        axes[name].imshow(image, origin="lower", extent=[-np.pi, np.pi] * 2, cmap="twilight", aspect="auto")
        winding = shown["clocks"][moon].winding.tolist()
        axes[name].set(title=f"{name}: {tuple(winding)} turns", xlabel="φ₀", xticks=[], yticks=[])
    axes["Io"].set_ylabel("φ₁")

    vectors, means = ties(shown["phases"])
    names = [str(tuple(vector.tolist())) for vector in vectors[:8]]
    axes["ties"].barh(names, np.abs(means[:8]), color=[colors[0], *["0.6"] * 7])
    axes["ties"].invert_yaxis()
    axes["ties"].set(title=f"The strongest of {len(vectors)} ties", xlabel="|mean exp(i n·phases)|", xlim=(0, 1))
    for vector, name, color in zip(vectors[:2], names, (colors[0], "0.6"), strict=False):
        angle = np.rad2deg(shown["phases"] @ vector) % 360
        axes["tie"].hist(angle, np.arange(0, 361, 10), histtype="stepfilled", alpha=0.7, color=color, label=name)
    axes["tie"].set(title="n·phases", xlabel="degrees", xticks=[0, 90, 180, 270, 360], yticks=[])
    axes["tie"].legend(frameon=False)
    figure.suptitle(f"Three moons from dots on a line, {noise} radii of Jupiter of noise")
    figure.savefig(path, dpi=120)


def main(argv: list[str] | None = None) -> list[dict]:
    """Trains, and returns a row for each seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of times, noise and weights (default: 0)")
    parser.add_argument("--samples", type=int, default=4000, help="samples to train on")
    parser.add_argument("--noise", type=float, default=0.1, help="of a dot, in radii of Jupiter (default: 0.1)")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--output", type=Path, default=Path("out", "moons"), help="folder of the figure and the rows")
    args = parser.parse_args(argv)
    args.output.mkdir(parents=True, exist_ok=True)
    rows = []
    for seed in args.seeds:
        row, shown = run(seed, args.samples, args.noise, args.epochs, "auto" if len(args.seeds) == 1 else 0)
        rows.append(row)
        print(f"\nSeed {seed}\n{table(row)}", flush=True)
        with (args.output / "moons.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        if seed == args.seeds[0]:
            draw(shown, args.noise, args.output / "moons.png")
    print(f"\nFigure and rows are in {args.output.resolve()}")
    return rows


if __name__ == "__main__":
    main()
