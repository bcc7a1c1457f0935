"""Tries the default losses in recipes that people type: optimizer, rate, batch, epochs, network, loss, data, circles.

    KERAS_BACKEND=jax python examples/benchmarks/recipes.py

A fixed seed draws the recipes. Each trains a plain Keras model with `TorusLatent(dim)` twice: with the default losses
and with none. All numbers are of samples that the model never saw:

- the reconstruction loss over that of the model without losses;
- the largest Kuiper statistic of any angle, and its value for independent uniform angles;
- up to three circles, the KL divergence to the uniform distribution over 8 cells per circle, and its value for
  independent uniform points;
- mean and standard deviation of the radii.

Data: 10,000 digits that come with the package, and the table of a torus with noise. `--full` is all of MNIST, from the
Keras cache or a download; `--data PATH` is a file. With 20 recipes and the 10,000 digits it takes about twenty minutes
on two cores. Rows are stored after every recipe.
"""

import argparse
import json
import math
import time
from pathlib import Path

import keras
import numpy as np

import torusae
from torusae import datasets, metrics

CHOICES = {
    "data": ["digits", "digits", "table"],
    "network": ["dense", "wide", "convolutions"],
    "loss": ["mse", "binary_crossentropy", "sum of squares"],
    "dim": [1, 2, 3, 3, 8],
    "optimizer": ["adam", "adam", "adamw", "rmsprop", "sgd"],
    "rate": [3e-4, 1e-3, 3e-3],
    "schedule": ["constant", "cosine"],
    "batch": [32, 64, 128, 256, 1024],
    "epochs": [5, 10, 20],
}
TABLE = {"network": ["dense", "wide"], "loss": ["mse", "sum of squares"]}  # what a table allows
UNITS = {"dense": (256, 128), "wide": (512, 256)}
SGD_FACTOR = 30  # SGD with momentum needs larger rates than Adam


def sum_of_squares(y_true, y_pred):
    """The sum of squared errors of a sample: the loss of a normal likelihood."""
    return keras.ops.sum(keras.ops.square(y_true - y_pred), axis=list(range(1, len(y_pred.shape))))


def draw_recipe(rng: np.random.Generator) -> dict:
    """One recipe."""
    recipe: dict = {}
    for name, choices in CHOICES.items():
        if recipe.get("data") == "table":
            choices = TABLE.get(name, choices)
        recipe[name] = choices[rng.integers(len(choices))]
    return recipe


def build(recipe: dict, shape: tuple[int, ...], num_steps: int, losses: str | None) -> keras.Model:
    """The model of a recipe, compiled."""
    latent = torusae.TorusLatent(recipe["dim"], losses, name="latent")
    size = latent.space.decoder_input_size
    if recipe["network"] == "convolutions":
        encoder, decoder = torusae.autoencoder_networks(shape, size)
    else:
        units = UNITS[recipe["network"]]
        activation = "sigmoid" if recipe["data"] == "digits" else None
        encoder = torusae.networks.dense_encoder(shape, units)
        decoder = torusae.networks.dense_decoder(shape, size, units[::-1], activation)
    inputs = keras.Input(shape)
    model = keras.Model(inputs, decoder(latent(encoder(inputs))))
    rate = recipe["rate"] * (SGD_FACTOR if recipe["optimizer"] == "sgd" else 1)
    if recipe["schedule"] == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, num_steps, alpha=0.01)
    optimizer = keras.optimizers.get(recipe["optimizer"]).__class__
    options = {"momentum": 0.9} if recipe["optimizer"] == "sgd" else {}
    loss = sum_of_squares if recipe["loss"] == "sum of squares" else recipe["loss"]
    model.compile(optimizer(rate, clipnorm=1.0 if recipe["optimizer"] == "sgd" else None, **options), loss)
    return model


def measure(recipe: dict, x: np.ndarray, x_test: np.ndarray, seed: int, most_steps: int | None) -> dict[str, float]:
    """The numbers of one recipe."""
    steps = recipe["epochs"] * math.ceil(len(x) / recipe["batch"])
    if most_steps:
        x = x[: recipe["batch"]]
        steps = min(steps, most_steps)
    epochs = steps if most_steps else recipe["epochs"]
    errors = []
    for losses in (None, "none"):
        keras.utils.set_random_seed(seed)
        model = build(recipe, x.shape[1:], steps, losses)
        model.fit(x, x, batch_size=recipe["batch"], epochs=epochs, verbose=0)
        errors.append(model.evaluate(x_test, x_test, batch_size=500, verbose=0))
        if losses is None:
            latent = model.get_layer("latent")
            points = keras.Model(model.inputs, latent.output).predict(x_test, batch_size=500, verbose=0)
    radii, angles = (keras.ops.convert_to_numpy(part) for part in torusae.to_polar(points))
    numbers = {
        "reconstruction": errors[0],
        "over none": errors[0] / errors[1],
        "Kuiper": float(metrics.kuiper_statistic(angles).max()),
        "uniform Kuiper": 1.25 / math.sqrt(len(angles)),
    }
    if recipe["dim"] <= 3:
        occupancy = metrics.cell_occupancy(angles)
        numbers.update({"KL": occupancy["kl"], "uniform KL": occupancy["expected_kl"]})
    return {**numbers, "radii": float(radii.mean()), "radii deviation": float(radii.std())}


def main(argv: list[str] | None = None) -> list[dict]:
    """Runs every recipe and returns the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--data", type=Path, help="an mnist.npz (default: the digits that come with the package)")
    source.add_argument("--full", action="store_true", help="all of MNIST, from the Keras cache or a download")
    parser.add_argument("--recipes", type=int, default=20, help="number of recipes (default 20)")
    parser.add_argument("--steps", type=int, help="the most training steps, all on one batch, for a quick trial")
    parser.add_argument("--seed", type=int, default=0, help="seed of the recipes and the weights")
    parser.add_argument("--output", type=Path, default=Path("out", "recipes.json"))
    args = parser.parse_args(argv)
    digits = datasets.load_mnist(args.data) if args.data or args.full else datasets.load_mnist_subset()
    rng = np.random.default_rng(args.seed)
    rows: list[dict] = []
    for number in range(args.recipes):
        recipe = draw_recipe(rng)
        if recipe["data"] == "digits":
            x, x_test = digits.x_train, digits.x_test
        else:
            table = datasets.torus_table(7500, dim=recipe["dim"], columns=50, noise=0.1, seed=args.seed)[0]
            x, x_test = table[:6000], table[6000:]
        start = time.perf_counter()
        numbers = measure(recipe, x, x_test, args.seed, args.steps)
        rows.append({**recipe, **numbers, "seconds": round(time.perf_counter() - start, 1)})
        described = ", ".join(str(value) for value in recipe.values())
        print(f"{number + 1}. {described}: " + ", ".join(f"{k} {v:.3g}" for k, v in numbers.items()), flush=True)
        args.output.parent.mkdir(parents=True, exist_ok=True)
        content = {"backend": keras.backend.backend(), "seed": args.seed, "steps": args.steps, "rows": rows}
        args.output.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    ratios, largest = ([row[name] for row in rows] for name in ("over none", "Kuiper"))
    print(f"Reconstruction over that without losses: median {np.median(ratios):.3f}, largest {max(ratios):.3f}.")
    print(f"Largest Kuiper statistic of an angle: median {np.median(largest):.3f}, largest {max(largest):.3f}.")
    print(f"Rows are in {args.output.resolve()}")
    return rows


if __name__ == "__main__":
    main()
