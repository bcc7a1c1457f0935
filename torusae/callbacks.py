"""Callbacks: what a latent layer measures, in the logs and the history of any Keras model."""

from collections.abc import Iterator
from typing import Any

import keras

from torusae import _checks
from torusae.layers import Latent
from torusae.models import TorusAutoencoder


def _latent_layers(root: Any) -> list[Latent]:
    """Every `Latent` inside a model, however deep, each once, in the order of definition."""
    seen: set[int] = set()

    def walk(value: Any) -> Iterator[Latent]:
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, (list, tuple)):
            for item in value:
                yield from walk(item)
        elif isinstance(value, keras.layers.Layer) and id(value) not in seen:
            seen.add(id(value))
            if isinstance(value, Latent):
                yield value
            # Keras offers no public walk through the layers of a layer; its attributes hold them all.
            yield from walk(list(vars(value).values()))

    return list(walk(root))


class LatentLogger(keras.callbacks.Callback):
    """Puts every latent layer's terms and its live uniformity into the progress bar, the logs and the history.

    For a torus these are each loss by its name, not weighted, averaged over the epoch's batches, and `kuiper`, the
    largest Kuiper statistic of any angle over the epoch so far (0 = uniform, 1 = all in one point). With validation
    data, or in `evaluate(callbacks=[...])`, the same with the prefix that Keras gives. In a model with several latent
    layers each name begins with its layer's. `TorusAutoencoder` logs all this without it.

    Callbacks that read these names, such as `EarlyStopping("val_spring")`, must come after it in the list.

    Args:
        every: Integer, at least 1: the progress bar is updated every so many batches, since each update waits for the
            device. The history is always exact. Defaults to `10`.

    Attributes:
        results: Dict of what was measured last, in an epoch of `fit` or in `evaluate`, whose return value Keras keeps
            closed to callbacks.

    Raises:
        TypeError: If `every` is not an integer.
        ValueError: If `every` is below 1.

    Example:

    >>> import keras, numpy as np, torusae
    >>> model = keras.Sequential([keras.Input((4,)), torusae.TorusLatent(1), keras.layers.Dense(4)])
    >>> model.compile("adam", "mse")
    >>> x = np.zeros((8, 4), "float32")
    >>> history = model.fit(x, x, verbose=0, callbacks=[torusae.LatentLogger()]).history
    >>> sorted(history)
    ['diaphony', 'kuiper', 'loss', 'quantile']
    """

    def __init__(self, every: int = 10):
        super().__init__()
        self.every = _checks.positive_int("LatentLogger", "every", every)
        self.layers: list[Latent] = []
        self.results: dict[str, float] = {}
        self._fitting = False
        self._training: dict[str, float] = {}
        self._validation: dict[str, float] = {}

    def set_model(self, model):
        """Finds the latent layers of the model."""
        super().set_model(model)
        self.layers = [] if isinstance(model, TorusAutoencoder) else _latent_layers(model)
        # A step that was compiled without recording must be compiled again to record anything.
        if self.layers:
            if any(layer.recording_step is not model.train_function for layer in self.layers):
                model.train_function = None
            model.test_function = None

    def _records(self) -> dict[str, float]:
        self.model  # noqa: B018 - on JAX, reading it brings the layers' variables up to date
        several = len(self.layers) > 1
        return {
            f"{layer.name}_{name}" if several else name: value
            for layer in self.layers
            for name, value in layer.records().items()
        }

    def _reset(self):
        self.model  # noqa: B018 - as above
        for layer in self.layers:
            if layer.built:
                layer.reset_records()

    def on_train_begin(self, logs=None):
        self._fitting = True
        steps = self.params.get("steps")
        for layer in self.layers:
            layer.records_training = True
            if steps:
                layer.plan(steps * self.params["epochs"])

    def on_train_end(self, logs=None):
        self._fitting = False
        for layer in self.layers:
            layer.records_training = False
            layer.recording_step = self.model.train_function  # the next `fit` with a logger need not compile again
        self._forget_test_step()

    def _forget_test_step(self):
        # An `evaluate` without the logger must not go on measuring.
        if self.layers:
            self.model.test_function = None

    def on_epoch_begin(self, epoch, logs=None):
        self._training, self._validation = {}, {}
        self._reset()

    def on_train_batch_end(self, batch, logs=None):
        if logs is not None and self.layers and batch % self.every == 0:
            logs.update(self._records())

    def on_test_begin(self, logs=None):
        # Validation comes before the end of the epoch and uses the same variables.
        self._training = self._records()
        self._reset()
        for layer in self.layers:
            layer.records_testing = True

    def on_test_end(self, logs=None):
        for layer in self.layers:
            layer.records_testing = False
        self._validation = self._records()
        if not self._fitting:
            self.results = self._validation
            self._forget_test_step()
        if logs is not None:
            logs.update(self._validation)

    def on_epoch_end(self, epoch, logs=None):
        validation = {f"val_{name}": value for name, value in self._validation.items()}
        self.results = {**(self._training or self._records()), **validation}
        if logs is not None:
            logs.update(self.results)
