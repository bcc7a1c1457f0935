"""Writes tests/models/<backend>.keras and .npz: what every later version, on every backend, must load.

Run it once under each backend, from the root of the repository: `KERAS_BACKEND=torch python tests/make_models.py`.
A file of a released version is never written again; the next one gets another name.

`KERAS_BACKEND=jax python tests/make_models.py pretrained` writes tests/models/pretrained.npz: angles by the models that
come with the package, after `examples/pretrained.py` has written these.
"""

import pathlib
import sys

import keras
import numpy as np

import torusae

MODELS = pathlib.Path(__file__).parent / "models"


def data():
    """24 samples on a circle in the plane, and the third of the circle that each lies in."""
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    x = np.stack([np.cos(angles), np.sin(angles), np.cos(2 * angles)], axis=1).astype("float32")
    return x, np.arange(24) // 8


def make_model():
    """A small model with everything that a file can hold: terms with weights, a head, a learning rate's schedule."""
    model = torusae.TorusAutoencoder(
        torusae.networks.dense_encoder((3,), units=(8,)),
        torusae.networks.dense_decoder((3,), 2, units=(8,)),
        torusae.TorusLatent(1, [torusae.SpringLoss(), torusae.QuantileLoss(squared=True)], {"spring": 0.5}),
        {"third": torusae.Head("classification", 3, weight=0.5, units=(8,))},
    )
    rate = keras.optimizers.schedules.ExponentialDecay(0.01, 4, 0.9)
    model.compile(keras.optimizers.Adam(rate), "mse", metrics=["mae"])
    return model


def train(model):
    """Two epochs of three steps, in the order of the data."""
    x, y = data()
    return model.fit(x, {"third": y}, batch_size=8, epochs=2, shuffle=False, verbose=0)


def held_out(name):
    """Samples that a pretrained model was not trained on, and the true angles of a table."""
    if name == "mnist":
        return torusae.datasets.load_mnist_subset().x_test, None
    table, truth = torusae.datasets.torus_table(7000, int(name[-1]), noise=0.1, seed=0)
    return table[6000:], truth[6000:].astype("float64")


def note_pretrained():
    """Notes the angles of 20 samples by each model."""
    names = ("mnist", "table1", "table2", "table3")
    angles = {name: torusae.datasets.load_model(name).angles(held_out(name)[0][:20], verbose=0) for name in names}
    np.savez_compressed(MODELS / "pretrained.npz", **angles)


def main():
    """Trains, saves, and notes the outputs at that time and after more training."""
    keras.utils.set_random_seed(0)
    name = keras.backend.backend()
    x, _ = data()
    model = make_model()
    train(model)
    model.fit_density(x, torusae.densities.VonMisesMixture(2, seed=0), verbose=0)
    MODELS.mkdir(exist_ok=True)
    model.save(MODELS / f"{name}.keras")
    saved = {**model.predict(x, verbose=0), "drawn": model.sample(5, seed=0, density="fitted", verbose=0)}
    history = train(model).history
    later = model.predict(x, verbose=0)
    np.savez_compressed(
        MODELS / f"{name}.npz",
        **saved,
        **{f"later_{key}": value for key, value in later.items()},
        later_loss=history["loss"],
    )
    sys.stdout.write(f"{MODELS / name}.keras\n")


if __name__ == "__main__":
    note_pretrained() if sys.argv[1:] == ["pretrained"] else main()
