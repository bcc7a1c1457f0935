"""Random numbers: what draws follows Keras' seed, and what only reads leaves the generators where they were."""

import random

import keras
import numpy as np
import pytest
from shared.tiny import digit_head, labels, samples, tiny_model

import torusae
from torusae import densities, metrics, plots, topology


def states():
    """The generators of Python, NumPy and torch."""
    found = {"random": random.getstate(), "numpy": tuple(map(str, np.random.get_state()))}  # noqa: NPY002
    if keras.backend.backend() == "torch":
        import torch

        found["torch"] = torch.random.get_rng_state().tolist()
    return found


@pytest.fixture(scope="module")
def trained():
    model = tiny_model({"digit": digit_head()})
    model.compile("adam", "mse")
    model.fit(samples(200), {"digit": labels(200)}, verbose=0)
    model.fit_density(samples(200), densities.TorusFlow(epochs=1, seed=0), verbose=0)
    model.fit_noise(samples(200), verbose=0)
    return model


def circles_of(path):
    turn = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    topology.find_circles(np.stack([np.cos(turn), np.sin(turn)], axis=1))


X = samples(200)
READS = {
    "call": lambda model, path: model(X[:4]),
    "predict": lambda model, path: model.predict(X, verbose=0),
    "evaluate": lambda model, path: model.evaluate(X, {"digit": labels(200)}, verbose=0),
    "encode": lambda model, path: model.encode(X, verbose=0),
    "angles": lambda model, path: model.angles(X, verbose=0, uniform=True),
    "reconstruct": lambda model, path: model.reconstruct(X, verbose=0),
    "decode": lambda model, path: model.decode(angles=np.zeros((3, 1)), verbose=0),
    "morph": lambda model, path: model.morph(X[0], X[1], verbose=0, uniform=True),
    "analogy": lambda model, path: model.analogy(X, X, X, verbose=0),
    "rotate": lambda model, path: model.rotate(X, {0: 1.0}, verbose=0),
    "remove": lambda model, path: model.remove(X, 0, verbose=0),
    "sample": lambda model, path: model.sample(3, seed=0, verbose=0),
    "posterior": lambda model, path: model.posterior(X, verbose=0),
    "save": lambda model, path: model.save(path / "m.keras"),
    "summary": lambda model, path: model.summary(print_fn=lambda *_: None),
    "diagnose": lambda model, path: torusae.diagnose(model, X),
    "explore": lambda model, path: torusae.explore(model, path / "m.html", X),
    "load_model": lambda model, path: torusae.datasets.load_model("table1"),
    "find_circles": lambda model, path: circles_of(path),
    "plot_angles": lambda model, path: plots.plot_angles(model.angles(X, verbose=0)),
    "plot_diagnosis": lambda model, path: plots.plot_diagnosis(torusae.diagnose(model, X)),
    "intrinsic_dimension": lambda model, path: metrics.intrinsic_dimension(model.angles(X, verbose=0), max_points=20),
    "torus_table": lambda model, path: torusae.datasets.torus_table(20, 1, seed=0),
}


@pytest.mark.parametrize("name", READS)
def test_what_only_reads_draws_nothing(trained, tmp_path, name):
    before = states()
    READS[name](trained, tmp_path)
    moved = [generator for generator, state in states().items() if state != before[generator]]
    assert not moved


def test_a_fitted_density_follows_keras_seed():
    """Its fit, its samples, those of a model; a seed of one's own leaves Keras' generator alone."""
    model = tiny_model()
    drawn = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        density = model.fit_density(X, densities.VonMisesMixture(3), verbose=0)
        drawn.append([density.means, model.sample(5, verbose=0), model.sample(5, verbose=0)])
    for first, again in zip(*drawn, strict=True):
        np.testing.assert_array_equal(first, again)
    assert not np.array_equal(drawn[0][1], drawn[0][2])
