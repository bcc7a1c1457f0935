"""Callbacks: the terms and the statistics of latent layers in the logs and the history of any Keras model."""

from typing import Any

import keras
import numpy as np
from keras import ops

from torusae._internal import checks, keras_repairs, replicas
from torusae.layers.latent import Latent

_ROWS = 128  # of the samples to measure at a time


def latent_layers(model: Any) -> list[Latent]:
    """Every `Latent` inside a model, however deep, each once."""
    return [layer for layer in keras_repairs.all_layers(model) if isinstance(layer, Latent)]


def latent_layer(owner: str, model: Any, name: str | None = None) -> Latent:
    """The latent layer of a model, or the one with a name."""
    layers = latent_layers(model)
    names = [layer.name for layer in layers]
    if layers and name is not None:
        return layers[names.index(checks.option(owner, "layer", name, names))]
    if len(layers) != 1:
        raise ValueError(
            f"{owner}: the model must have one latent layer, such as TorusLatent(3). Received: latent layers {names}."
        )
    return layers[0]


def raw_values(model: Any, layers: list[Latent], x: Any) -> list[np.ndarray]:
    """The raw values of samples in some latent layers of a model, however deep."""
    for layer in layers:
        layer.recent.collected = []  # Keras keeps a copy of the list: only the attribute collects
    try:
        for start in range(0, len(x), _ROWS):
            model(ops.convert_to_tensor(x[start : start + _ROWS]), training=False)
        collected = [layer.recent.collected or [] for layer in layers]
        return [np.concatenate([ops.convert_to_numpy(raw) for raw in rows]) for rows in collected]
    finally:
        for layer in layers:
            layer.recent.collected = None


class LatentLogger(keras.callbacks.Callback):
    """Logs every latent layer's terms and statistics at the end of each epoch, in the history of any Keras model.

    For a torus these are each loss by its name, not weighted, and `kuiper`, the largest Kuiper statistic of any angle
    (0 = uniform, 1 = all in one point). They are measured on the last 512 training samples of the `fit`. With `x` they
    are also measured on these samples, with the prefix `val_`. In a model with several latent layers each name begins
    with its layer's. `TorusAutoencoder` logs all this without it; to one of yours without `x`, its `fit` lends the
    validation samples.

    Callbacks that read these names, such as `EarlyStopping("kuiper")`, must come after it in the list.

    Args:
        x: Samples to measure besides the training samples, an array. Defaults to `None`.

    Attributes:
        results: Dict with the last measurements.

    Example:

    >>> import keras, numpy as np, torusae
    >>> model = keras.Sequential([keras.Input((4,)), torusae.TorusLatent(1), keras.layers.Dense(4)])
    >>> model.compile("adam", "mse")
    >>> x = np.ones((64, 4), "float32")
    >>> sorted(model.fit(x, x, verbose=0, callbacks=[torusae.LatentLogger()]).history)
    ['diaphony', 'kuiper', 'loss', 'quantile']
    """

    def __init__(self, x: Any = None):
        super().__init__()
        self.x = None if x is None else checks.as_array("LatentLogger", "x", x)
        self.layers: list[Latent] = []
        self.results: dict[str, float] = {}

    def set_model(self, model):
        super().set_model(model)
        self.layers = latent_layers(model)
        self._attach()
        if model.train_function is not getattr(model, "_step_with_rows", None):
            model.train_function = None  # compiled without the rows

    def _attach(self):
        with replicas.variable_scope(self.model):
            for layer in self.layers:
                layer.recent.attach()

    def on_train_begin(self, logs=None):
        self._attach()  # again, where a `CallbackList` serves a second training
        self.model._step_with_rows = self.model.train_function
        for layer in self.layers:
            layer.recent.clear()

    def on_train_end(self, logs=None):
        for layer in self.layers:
            layer.recent.detach()

    def on_epoch_end(self, epoch, logs=None):
        self.model  # noqa: B018 - on JAX, reading it brings the layers' variables up to date
        self.results = self._measured([layer.recent.numpy() for layer in self.layers], "")
        if self.x is not None:
            self.results.update(self._measured(raw_values(self.model, self.layers, self.x), "val_"))
        if logs is not None:
            logs.update(self.results)

    def _measured(self, raws: list[np.ndarray], prefix: str) -> dict[str, float]:
        several = len(self.layers) > 1
        return {
            f"{prefix}{layer.name}_{name}" if several else f"{prefix}{name}": value
            for layer, raw in zip(self.layers, raws, strict=True)
            if len(raw)
            for name, value in layer.measure(raw).items()
        }
