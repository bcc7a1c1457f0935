"""Real hours and seasons: a year of weather on a torus, and a forecast with a torus layer beside other codes of time.

    pip install pvlib scikit-learn ripser matplotlib
    KERAS_BACKEND=jax python examples/hours.py                      # one to three minutes on one core
    KERAS_BACKEND=jax python examples/hours.py --seeds 0 1 2 3 4    # every block held out once

The data are files that the package `pvlib` ships (BSD 3-Clause licence): typical meteorological years, TMY3 of the
National Renewable Energy Laboratory (Wilcox & Marion 2008), 8760 hours at Greensboro (36° N) and at Sand Point (55° N).
Such a year is made of measured months of different years. Radiation is no measurement: models compute it, so it knows
the sun; `--no-sun` leaves it out. At Sand Point a third of the temperatures is filled in, and all of the pressure.

**Angles.** A sample is the last `--days` days: the mean day, 24 hours, and the daily means of each column. Its time is
its end. A `TorusAutoencoder` on `T2 x R4` learns hour and season from relative angles: 5 % of the year's hours have a
known time, of which only differences count. Every fifth block of days is held out, and no window of training shares an
hour with it. Scores are `|mean exp(i (θ - φ))|` of the windows within held-out blocks: an offset is free, 1 is perfect.
Each seed holds out other blocks, so five seeds hold out every block once. `unsupervised` is the same model without
known times, after `align`.

**Forecast.** A plain Keras model reads the last 24 hours and the time, and says the temperature 6 hours later. The
networks differ only in how they read the time. The table has mean absolute errors in °C on days held out.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

import torusae

PLACES = {"Greensboro": "723170TYA.CSV", "Sand Point": "703165TY.csv"}
RADIATION = ("ghi", "dni", "dhi")  # global, direct, diffuse; a forecast reads the first
DAY, YEAR = 24, 8760  # hours
FOLDS = 5
KNOWN = 0.05  # the share of the year's hours with a known time
AHEAD = 6  # hours, of the forecast
TASKS = ("angles", "unsupervised", "forecast")
BATCH, LEARNING_RATE = 256, 4e-3
WEIGHT, NOISE, DECAY = 4.0, 0.5, 4.0  # of the angles' training


def load(place: str, radiation: tuple[str, ...]) -> np.ndarray:
    """The weather, `(8760, columns)`: temperature, dew point, pressure, clouds, wind, radiation. Row 0 ends at 1:00."""
    import pvlib

    file = Path(pvlib.__file__).parent / "data" / PLACES[place]
    table, _ = pvlib.iotools.read_tmy3(file, map_variables=True)
    direction, speed = (table[name].to_numpy(float) for name in ("wind_direction", "wind_speed"))
    columns = [table[name].to_numpy(float) for name in ("temp_air", "temp_dew", "pressure", "TotCld (tenths)")]
    columns += [speed * np.cos(np.radians(direction)), speed * np.sin(np.radians(direction))]
    columns += [table[name].to_numpy(float) for name in radiation]
    return np.stack(columns, axis=1)


def held_out_hours(num_hours: int, block: int, fold: int) -> np.ndarray:
    """Which hours are held out: every fifth block of `block` hours, from the block `fold` on."""
    return np.arange(num_hours) // block % FOLDS == fold % FOLDS


def windows(held_out: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """The first hours of windows without any held-out hour, and of windows that have no other hours."""
    count = np.convolve(held_out.astype(int), np.ones(length, int), "valid")
    return np.flatnonzero(count == 0), np.flatnonzero(count == length)


def mean_days(weather: np.ndarray, days: int) -> np.ndarray:
    """Windows of some days, from each hour on: `(num_windows, columns * (24 + days))`.

    First each column's mean day, from the window's first hour to its last, then each column's daily means.
    """
    views = np.lib.stride_tricks.sliding_window_view(weather, days * DAY, axis=0)
    views = views.reshape(*views.shape[:2], days, DAY)
    return np.concatenate([views.mean(axis=axis).reshape(len(views), -1) for axis in (2, 3)], axis=1)


def standardised(x: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Columns of mean 0 and deviation 1 over the rows `train`. Columns that do not vary are left out."""
    mean, deviation = x[train].mean(axis=0), x[train].std(axis=0)
    varies = deviation > 1e-9
    return ((x - mean)[:, varies] / deviation[varies]).astype("float32")


def whole_batches(rows: np.ndarray, seed: int) -> np.ndarray:
    """Random rows, as many as fill whole batches: with parts of a batch a second step would be compiled."""
    return np.random.default_rng(seed).permutation(rows)[: len(rows) // BATCH * BATCH]


def offset(angles: np.ndarray, hours: np.ndarray, period: float) -> complex:
    """`mean exp(i (θ - φ))` of angles and true hours. Its size is the score, 1 is perfect; its angle is the offset."""
    return complex(np.exp(1j * (angles - 2 * np.pi * hours / period)).mean())


def optimizer(num_rows: int, epochs: int, weight_decay: float) -> keras.optimizers.Optimizer:
    """Adam whose learning rate falls to zero."""
    schedule = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, epochs * num_rows // BATCH)
    return keras.optimizers.AdamW(schedule, weight_decay=weight_decay)


def learn_angles(
    weather: np.ndarray, days: int, seed: int, supervised: bool = True, epochs: int = 15
) -> dict[str, Any]:
    """Trains on hours that are not held out. Returns the model, and angles and true hours of windows that are."""
    features, length = mean_days(weather, days), days * DAY
    hours = np.arange(len(features)) + float(length)  # the windows' ends
    train, test = windows(held_out_hours(len(weather), length + DAY, seed), length)
    train = whole_batches(train, seed)
    x = standardised(features, train)
    times = np.full(len(train), np.nan)
    num_known = round(KNOWN * len(weather))
    times[:num_known] = hours[train[:num_known]]  # they are in random order
    keras.utils.set_random_seed(seed)
    latent = torusae.Latent("T2 x R4")
    # Few known times and much noise: noise and a strong decay of the weights keep the encoder from learning by heart.
    encoder = torusae.networks.dense_encoder(x.shape[1:], (128, 64))
    encoder = keras.Sequential([keras.Input(x.shape[1:]), layers.GaussianNoise(NOISE), encoder])
    decoder = torusae.networks.dense_decoder(x.shape[1:], latent.space.decoder_input_size, (64, 128))
    model = torusae.TorusAutoencoder(encoder, decoder, latent)
    supervision = {
        "hour": torusae.supervision.Relative(circle=0, period=DAY, weight=WEIGHT),
        "season": torusae.supervision.Relative(circle=1, period=YEAR, weight=WEIGHT),
    }
    model.compile(optimizer(len(train), epochs, DECAY), "mse", supervision=supervision if supervised else None)
    model.fit(x[train], {"hour": times, "season": times} if supervised else None, BATCH, epochs, verbose=0)
    angles = model.angles(x[test], verbose=0)
    if not supervised:
        angles = torusae.align(angles, 2 * np.pi * hours[test, None] / [DAY, YEAR])(angles)
    # The last hour of the mean day of the first column, the temperature.
    temperature, rows = features[:, DAY - 1], features[train, DAY - 1]
    return {
        "model": model,
        "angles": angles,
        "hours": hours[test],
        "temperature": temperature,
        "scale": (rows.mean(), rows.std()),
    }


def hour_columns(hours: np.ndarray) -> np.ndarray:
    """The hours twice: for the hour of the day, and for the season."""
    return np.stack([hours, hours], axis=1).astype("float32")


def spline_columns(hours: np.ndarray) -> np.ndarray:
    """Eight periodic cubic splines of the day and eight of the year."""
    from sklearn.preprocessing import SplineTransformer

    columns = []
    for period in (DAY, YEAR):
        splines = SplineTransformer(knots=np.linspace(0, period, 9)[:, None], extrapolation="periodic")
        columns.append(splines.fit(np.array([[0.0], [period]])).transform(hours[:, None] % period))
    return np.concatenate(columns, axis=1).astype("float32")


def cell_columns(hours: np.ndarray, parts: int) -> np.ndarray:
    """The number of the hour in its day, and of the part of the year. The hour that ends at 1:00 is the first."""
    hours = np.asarray(hours).astype(int) - 1
    return np.stack([hours % DAY, hours % YEAR * parts // YEAR], axis=1).astype("int32")


def circles(num_harmonics: int) -> Callable:
    """Sines and cosines of hour and season, by `CircularEmbedding`."""
    return lambda weather, when: torusae.CircularEmbedding(num_harmonics, (DAY, YEAR))(when)


def embeddings(parts: int) -> Callable:
    """Four trained numbers for each hour of the day, and for each part of the year."""

    def read(weather, when):
        tables = [layers.Embedding(cells, 4) for cells in (DAY, parts)]
        return layers.Concatenate()([table(when[:, column]) for column, table in enumerate(tables)])

    return read


def bottleneck(make_layer: Callable, joined: bool = True) -> Callable:
    """A layer of four numbers that reads weather and time, with the sines and cosines beside it or alone."""

    def read(weather, when):
        code = circles(4)(weather, when)
        features = layers.Dense(64, "relu")(layers.Concatenate()([weather, code]))
        return layers.Concatenate()([code, make_layer()(features)]) if joined else make_layer()(features)

    return read


# How a network is given the time: columns of the hours, and what reads them.
CODES: dict[str, tuple[Callable, Callable]] = {
    "no time": (hour_columns, lambda weather, when: None),
    **{f"sine, cosine, harmonics 1 to {number}": (hour_columns, circles(number)) for number in (1, 2, 3, 4)},
    "periodic splines": (spline_columns, lambda weather, when: when),
    "embeddings of hour, month": (lambda hours: cell_columns(hours, 12), embeddings(12)),
    "embeddings of hour, day": (lambda hours: cell_columns(hours, 365), embeddings(365)),
    "torus layer": (hour_columns, bottleneck(lambda: torusae.TorusLatent(2))),
    "torus layer alone": (hour_columns, bottleneck(lambda: torusae.TorusLatent(2), joined=False)),
    "Dense(4) for the torus": (hour_columns, bottleneck(lambda: layers.Dense(4))),
}


def forecaster(num_features: int, when: np.ndarray, read: Callable) -> keras.Model:
    """A plain Keras model from weather and time to one number."""
    inputs = [keras.Input((num_features,)), keras.Input(when.shape[1:], dtype=str(when.dtype))]
    code = read(*inputs)
    x = inputs[0] if code is None else layers.Concatenate()([inputs[0], code])
    for _ in range(2):
        x = layers.Dropout(0.3)(layers.Dense(64, "relu")(x))
    return keras.Model(inputs, layers.Dense(1)(x))


def forecast(weather: np.ndarray, seed: int, epochs: int = 20) -> dict[str, float]:
    """Mean absolute errors in °C of the temperature's change in the next hours, of each code of the time."""
    length = DAY + AHEAD
    train, test = windows(held_out_hours(len(weather), 4 * DAY, seed), length)
    train = whole_batches(train, seed)
    first = np.arange(len(weather) - length + 1)
    views = np.lib.stride_tricks.sliding_window_view(weather, DAY, axis=0)[: len(first)]
    x = standardised(views.reshape(len(first), -1), train)
    temperature = weather[:, 0]
    change = temperature[first + length - 1] - temperature[first + DAY - 1]
    scale = change[train].std()
    errors = {"as the day before": np.abs(temperature[test + length - 1] - temperature[test + AHEAD - 1]).mean()}
    for name, (columns, read) in CODES.items():
        when = columns(first + float(DAY))
        keras.utils.set_random_seed(seed)
        model = forecaster(x.shape[1], when, read)
        model.compile(optimizer(len(train), epochs, 1.0), "mae")
        model.fit([x[train], when[train]], change[train] / scale, BATCH, epochs, verbose=0)
        found = model.predict([x[test], when[test]], batch_size=1024, verbose=0)[:, 0] * scale
        errors[name] = np.abs(found - change[test]).mean()
    return {name: round(float(error), 4) for name, error in errors.items()}


def draw(run: dict[str, Any], place: str, file: Path) -> None:
    """Learned hours and seasons against the true ones, and the temperature of hour and season, measured and decoded."""
    from matplotlib.figure import Figure

    figure = Figure((11, 7.5), layout="constrained")
    axes = figure.subplots(2, 2)
    circles_ = ((DAY, DAY, "hour of the day"), (YEAR, 12, "month of the year"))
    shifts = []
    for column, (panel, (period, units, name)) in enumerate(zip(axes[0], circles_, strict=True)):
        mean = offset(run["angles"][:, column], run["hours"], period)
        shifts.append(np.angle(mean))
        found = (run["angles"][:, column] - shifts[-1]) / (2 * np.pi) * units % units
        true = run["hours"] % period / period * units
        found += units * np.round((true - found) / units)  # the copy that is nearest to the diagonal
        panel.axline((0, 0), slope=1, color="0.8")
        colours = run["hours"] % YEAR if column == 0 else run["hours"] % DAY
        panel.scatter(true, found, c=colours, cmap="twilight", s=9)
        panel.set(title=f"held-out days: score {abs(mean):.3f}", xlabel=f"true {name}", ylabel=f"learned {name}")
    true = np.full(YEAR, np.nan)
    true[YEAR - len(run["temperature"]) :] = run["temperature"]
    space = run["model"].latent.space
    angles = (2 * np.pi * (np.arange(YEAR)[:, None] + 1) / [DAY, YEAR] + shifts).astype("float32")
    points = space.with_angles(keras.ops.zeros((YEAR, space.point_size)), keras.ops.convert_to_tensor(angles))
    decoded = run["model"].decode(keras.ops.convert_to_numpy(points), verbose=0)[:, DAY - 1]
    mean, deviation = run["scale"]
    decoded = mean + deviation * decoded
    for panel, values, name in zip(axes[1], (true, decoded), ("measured", "decoded from two angles"), strict=True):
        image = panel.imshow(
            values.reshape(-1, DAY).T,
            origin="lower",
            aspect="auto",
            extent=(0, 12, 0, DAY),
            cmap="RdYlBu_r",
            vmin=np.nanmin(true),
            vmax=np.nanmax(true),
        )
        panel.set(title=f"temperature, {name}", xlabel="month of the year", ylabel="hour of the day")
    figure.colorbar(image, ax=axes[1], label="°C, mean of the window's days")
    figure.suptitle(f"A year of weather at {place}")
    figure.savefig(file, dpi=120)


def table(rows: list[dict[str, Any]]) -> str:
    """Means and standard deviations over the seeds, one line for each task, place and name."""
    groups: dict[tuple, list[float]] = {}
    for row in rows:
        for name, value in row["results"].items():
            groups.setdefault((row["place"], row["task"], name), []).append(value)
    lines = [
        f"| {place} | {task} | {name} | {np.mean(values):.3f} ± {np.std(values):.3f} |"
        for (place, task, name), values in sorted(groups.items(), key=lambda item: item[0][:2])
    ]
    return "\n".join(["| place | task | | mean ± std |", "|---|---|---|---|", *lines])


def main(argv: list[str] | None = None) -> list[dict[str, Any]]:
    """Trains, prints the table, draws the figure and returns the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--places", nargs="+", default=["Greensboro"], choices=list(PLACES))
    parser.add_argument("--tasks", nargs="+", default=TASKS, choices=TASKS)
    parser.add_argument("--days", type=int, default=14, help="length of a sample for the angles (default: 14)")
    parser.add_argument("--no-sun", action="store_true", help="leave out the radiation")
    parser.add_argument("--output", type=Path, default=Path("out", "hours"))
    args = parser.parse_args(argv)
    args.output.mkdir(parents=True, exist_ok=True)
    rows = []
    for place in args.places:
        radiation, drawn = () if args.no_sun else RADIATION, False
        weather = load(place, radiation)
        for seed in args.seeds:
            for task in args.tasks:
                begin = time.time()
                if task == "forecast":
                    results = forecast(load(place, radiation[:1]), seed)
                else:
                    run = learn_angles(weather, args.days, seed, supervised=task == "angles")
                    results = {
                        name: round(abs(offset(run["angles"][:, column], run["hours"], period)), 4)
                        for column, (name, period) in enumerate({"hour": DAY, "season": YEAR}.items())
                    }
                    if task == "angles" and not drawn:
                        draw(run, place, args.output / f"{place.lower().replace(' ', '_')}.png")
                        drawn = True
                rows.append({"place": place, "task": task, "seed": seed, "results": results})
                rows[-1] |= {"days": args.days, "sun": not args.no_sun, "seconds": round(time.time() - begin, 1)}
                print(json.dumps(rows[-1]), flush=True)
                with (args.output / "rows.jsonl").open("a", encoding="utf-8") as file:
                    file.write(json.dumps(rows[-1]) + "\n")
    print(table(rows))
    return rows


if __name__ == "__main__":
    main()
