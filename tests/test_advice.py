"""What an error advises is run: code that it shows must work with the arguments that the user gave."""

import re

import keras
import numpy as np
import pytest
from shared.tiny import digit_head, samples, tiny_decoder, tiny_encoder, tiny_model

import torusae
from torusae import angles, densities, losses, metrics, networks, plots, spaces, supervision, topology
from torusae.autoencoder import TorusAutoencoder

_MODULES = (torusae, angles, densities, losses, metrics, networks, plots, spaces, supervision, topology, keras.layers)
_OPEN, _CLOSE = "([{", ")]}"


def snippets(message):
    """The calls and subscripts in a message, each up to its last bracket."""
    for start in re.finditer(r"(?<![\w.\]])[A-Za-z_][\w.]*(?=[(\[])", message):
        end = start.end()
        while end < len(message) and message[end] in _OPEN:
            depth = 0
            for end in range(end, len(message)):  # noqa: B020 - goes on where the bracket begins
                depth += (message[end] in _OPEN) - (message[end] in _CLOSE)
                if not depth:
                    break
            end += 1
            rest = re.match(r"\.\w+(?=[(\[])", message[end:])
            end += rest.end() if rest else 0
        yield message[start.start() : end]


def run_advice(error, names):
    """Runs the snippets that begin with a known name, and returns how many these are."""
    known = {"keras": keras, "np": np, "numpy": np, "torusae": torusae}
    for module in _MODULES:
        known |= {name: getattr(module, name) for name in dir(module) if not name.startswith("_")}
    known |= names
    found = [text for text in snippets(str(error)) if text.split("(")[0].split("[")[0].split(".")[0] in known]
    found = [text for text in found if "=..." not in text]
    for text in found:
        eval(text, known)
    return len(found)


def model_names():
    model = tiny_model({"digit": digit_head()})
    model.compile("adam", "mse")
    methods = ("encode", "angles", "decode", "fit_density", "compile")
    return {"model": model, "fit": densities.VonMisesMixture(2).fit, **{name: getattr(model, name) for name in methods}}


X, ANGLES = samples(20), np.linspace(-1, 1, 40).reshape(20, 2)
ADVICE = [
    (lambda m, x: m.compile("adam", "mse", loss_weights={"spring": 1}), X),
    (lambda m, x: m.compile("adam", {"reconstruction": "mse"}), X),
    (lambda m, x: m.encode(x), X[0]),
    (lambda m, x: m.encode(x), (X * 255).astype("uint8")),
    (lambda m, x: m.encode(x), tuple(X)),
    (lambda m, x: m.morph(x, x), X[:1]),
    (lambda m, x: m.sample(3, density="fitted"), X),
    (lambda m, x: m.angles(x, uniform=True), X),
    (lambda m, x: TorusAutoencoder(tiny_encoder(), tiny_decoder(), "T3"), X),
    (lambda m, x: TorusAutoencoder(tiny_encoder(), tiny_decoder((4,), 6), torusae.TorusLatent(1)), X),
    (lambda m, x: torusae.Head("regression", period=24), X),
    (lambda m, x: torusae.Head("classification", 3).loss_and_score(np.eye(3), np.zeros((3, 3), "float32")), np.eye(3)),
    (lambda m, x: supervision.rotate_images(x, np.zeros(2, "float32")), np.zeros((2, 3, 3), "float32")),
    (lambda m, x: densities.VonMisesMixture(2).log_density(x), ANGLES),
    (lambda m, x: torusae.Term("spring"), X),
    (lambda m, x: torusae.TorusLatent(2)(keras.ops.zeros((2, 3, 4))), X),
    (lambda m, x: torusae.Latent(3), X),
    (lambda m, x: metrics.kuiper_statistic(x), ANGLES[:, 0]),
    (lambda m, x: metrics.kuiper_statistic(x), np.arange(20)),
    (lambda m, x: torusae.spring_loss(x), ANGLES[:, 0]),
    (lambda m, x: topology.align(x, x), ANGLES[:, 0]),
]


@pytest.mark.parametrize("number", range(len(ADVICE)))
def test_advice_of_an_error_runs(number):
    call, x = ADVICE[number]
    names = model_names()
    with pytest.raises((TypeError, ValueError)) as error:
        call(names["model"], x)
    given = dict.fromkeys(("x", "start", "points", "angles", "images", "labels", "values", "inputs", "inner"), x)
    assert run_advice(error.value, {**names, **given, "optimizer": "adam", "loss": "mse"})
