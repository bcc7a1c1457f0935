"""Training on checked samples: what a `SampleModel` adds to Keras' `fit`, `evaluate` and `predict`."""

import contextlib
import json
import math
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from torusae._internal import backend, batches, checks
from torusae._internal.checks import Tensor
from torusae.autoencoder._supervised import Supervised
from torusae.layers.head import Head
from torusae.layers.logger import LatentLogger

_LOGGED_ROWS = 512  # of the validation samples, for the latent statistics
_RANGE_TOLERANCE = 0.01


class Means(keras.metrics.Metric):
    """Weighted means by name, kept in one variable: one update a step in place of one for each name."""

    def __init__(self, names: list[str]):
        super().__init__(name="means", dtype="float32")
        self.own = names
        self.names: list[str] = []
        self.extend([])

    def extend(self, names: list[str]) -> None:
        """Has the names of the constructor and more."""
        changed = len(self.own) + len(names) != len(self.names)
        self.names = [*self.own, *names]
        if changed:
            shape = (2 * len(self.names),)
            self.sums = self.add_variable(shape=shape, initializer="zeros", name="sums", aggregation="sum")

    def update_state(self, values, weights):
        """Adds one value and one weight for each name, two lists of scalar tensors."""
        products = [value * weight for value, weight in zip(values, weights, strict=True)]
        self.sums.assign(self.sums.value + backend.direct_ops(values[0]).stack([*products, *weights]))

    def result(self):
        """Dict from each name to its mean, 0 where nothing was added."""
        sums = self.sums.value
        means = sums[: len(self.names)] / backend.direct_ops(sums).clip(sums[len(self.names) :], 1e-12, math.inf)
        return {name: means[index] for index, name in enumerate(self.names)}


class SampleModel(Supervised):
    """A Keras model of samples of one shape, with heads, that checks its data before it computes anything.

    A subclass sets `sample_shape` and `heads`, and may override `output_range`.
    """

    sample_shape: tuple[int, ...]
    heads: dict[str, Head]

    @property
    def output_range(self) -> tuple[float, float] | None:
        """The least and the largest value that the reconstruction can have; `None` where it is not bounded."""
        return None

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        validation_split=0.0,
        validation_data=None,
        shuffle=True,
        class_weight=None,
        sample_weight=None,
        **kwargs,
    ):
        """Trains the model, as `keras.Model.fit` does, after checking the data. Other arguments are those of Keras.

        The history holds `loss`, `reconstruction`, each head's loss and score, each supervision's loss and error, and
        at the end of each epoch the latent terms and statistics (see `LatentLogger`); with validation data all of them
        also with the prefix `val_`.

        Of 300 or more samples in an array, the points are kept for the density that `sample` and `uniform=True` use. It
        is fitted at its first use, or when the model is saved: see the constructor's `density`.

        Args:
            x: Floating-point samples: an array or tensor, or a `tf.data.Dataset`, `keras.utils.PyDataset`, torch
                `DataLoader` or generator that yields `(x,)` or `(x, labels)`. Shapes and names of streams are checked
                as they come, values are not: `keras.callbacks.TerminateOnNaN` stops at the first bad batch. An error
                has a note with the step.
            y: Dict from a head's name to its labels, and from a supervision's name to its data: see `Relative` and
                `Anchor`. A `"reconstruction"` entry (or an array of the samples' shape) replaces `x` as the target of
                the reconstruction. Defaults to `None`.
            batch_size: Integer. Defaults to `None`, Keras' 32. Give 128 or more, for the latent losses.
            callbacks: `keras.callbacks.BackupAndRestore(..., double_checkpoint=True)` resumes a run that was killed,
                even while it wrote; one epoch may then be trained twice. Defaults to `None`.
            validation_data: `(x_val, labels)` or an array `x_val`. A head without labels in it is left out of the
                validation's logs. Defaults to `None`.
            class_weight: Not supported: give `sample_weight`. Defaults to `None`.
            sample_weight: Float array `(num,)`, weights of the samples in the losses of the reconstruction and the
                heads, or a dict of such arrays with the keys of `y`. Latent losses take none. Defaults to `None`.

        Raises:
            TypeError: If `x` is a list or does not hold floating-point numbers.
            ValueError: If data do not fit the model or hold NaN or infinity, or labels are missing or of no head.
        """
        if class_weight is not None:
            raise ValueError(
                f"{type(self).__name__}.fit: `class_weight` is not supported, since a model can have several heads. "
                f"Received: class_weight={class_weight!r}. Give sample_weight."
            )
        self._check_data("fit", x, y, needs_labels=True)
        if checks.is_array(validation_data):
            validation_data = (validation_data, None)
        if validation_split and checks.is_array(x) and (batches.must_be_batched((x, y)) or self._has_pairs(y)):
            # Keras splits arrays only, and what is batched here is none.
            self._check_split(f"{type(self).__name__}.fit", y)
            first = int(len(x) * (1 - validation_split))
            validation_data = batches.rows_of((x, y, sample_weight), slice(first, None))
            x, y, sample_weight = batches.rows_of((x, y, sample_weight), slice(first))
            validation_split = 0.0
        trained_on, size = x, batch_size
        logged = None
        if isinstance(validation_data, (tuple, list)):
            self._check_data("fit, validation_data", *validation_data[:2])
            x_val, y_val, weights = (*validation_data, None, None)[:3]
            logged = x_val[:_LOGGED_ROWS] if checks.is_array(x_val) else None
            validation_data = (x_val, _weighted_targets(x_val, y_val, weights), weights)
            stream = self._batches(validation_data, kwargs.get("validation_batch_size") or batch_size)
            validation_data = validation_data if stream is None else stream
        elif validation_split and checks.is_array(x):
            first = int(len(x) * (1 - validation_split))
            logged, trained_on = x[first : first + _LOGGED_ROWS], x[:first]
        if epochs:
            seen = slice(len(trained_on)) if checks.is_array(x) else None
            first_epoch = kwargs.get("initial_epoch", 0)
            self._before_training(*(batches.rows_of((x, y), seen) if seen else (x, y)), verbose, callbacks, first_epoch)
        y = _weighted_targets(x, y, sample_weight)
        stream = None if validation_split else self._batches((x, y, sample_weight), batch_size, shuffle)
        callbacks = _with_logger(callbacks)
        _repair_backups(callbacks)
        with _noted_errors(f"{type(self).__name__}.fit", x, callbacks), _measuring(callbacks, logged):
            if stream is not None:
                x, y, sample_weight, batch_size = stream, None, None, None
            history = super().fit(
                x,
                y,
                batch_size,
                epochs,
                verbose,
                callbacks,
                validation_split,
                validation_data,
                shuffle,
                sample_weight=sample_weight,
                **kwargs,
            )
        self._trained(trained_on, history, size, verbose)
        return history

    def _trained(self, x: Any, history: Any, batch_size: int | None, verbose: Any) -> None:
        """Called at the end of `fit` with the samples that it trained on."""

    def _before_training(self, x, y, verbose, callbacks, first_epoch):
        """Called by `fit` after the checks, with the samples that it trains on."""

    def evaluate(self, x=None, y=None, batch_size=None, verbose="auto", sample_weight=None, **kwargs):
        """Returns the loss and every metric, as `keras.Model.evaluate` does, after checking the data."""
        self._check_data("evaluate", x, y)
        y = _weighted_targets(x, y, sample_weight)
        stream = self._batches((x, y, sample_weight), batch_size)
        if stream is not None:
            return super().evaluate(stream, verbose=verbose, **kwargs)
        return super().evaluate(x, y, batch_size, verbose, sample_weight, **kwargs)

    def predict(self, x, batch_size=None, verbose="auto", **kwargs):
        """Returns a dict of every output as NumPy arrays, as `keras.Model.predict` does, after checking the data."""
        self._check_data("predict", x)
        outputs = batches.predict(super().predict, x, batch_size, verbose, **kwargs)
        return {name: value for name, value in outputs.items() if not name.endswith(RAW)}

    def train_step(self, *state_and_data):
        """One step of training, without padding rows."""
        *state, batch = state_and_data
        return super().train_step(*state, batches.without_padding(batch))

    def test_step(self, *state_and_data):
        """One step of evaluation, without padding rows."""
        *state, batch = state_and_data
        return super().test_step(*state, batches.without_padding(batch))

    def _targets(self, x: Any, y: Any) -> dict[str, Tensor]:
        """What each output is compared with. Without a target of its own, the reconstruction is compared with x."""
        owner = type(self).__name__
        if y is None:
            return {"reconstruction": x}
        if not isinstance(y, Mapping):
            shape = tuple(y.shape) if hasattr(y, "shape") else None
            if shape is None or not checks.shapes_agree(shape[1:], self.sample_shape):
                heads = list(self.heads)
                raise ValueError(
                    f"{owner}: `y` must be a dict of labels by head, or targets of the reconstruction with "
                    f"shape {self._batch_shape()}. Received: "
                    + (f"y of type {type(y).__name__}. " if shape is None else f"y.shape={shape}. ")
                    + (f"Use y={{{heads[0]!r}: labels}}." if heads else "This model has no heads for labels.")
                )
            y = {"reconstruction": y}
        for name, values in y.items():
            checks.option(owner, "y", name, ["reconstruction", *self.heads, *self.supervision])
            if name in self.supervision:
                continue
            if not hasattr(values, "shape"):
                raise TypeError(
                    f"{owner}: y[{name!r}] must be an array or a tensor. Received: {type(values).__name__}. "
                    f"Use numpy.asarray(values)."
                )
        if "reconstruction" in y:
            self._check_samples(owner, "y['reconstruction']", y["reconstruction"])
        return {"reconstruction": x, **y}

    def _batch_shape(self) -> str:
        return f"(batch, {', '.join(map(str, self.sample_shape))})"

    def _check_samples(self, owner: str, name: str, samples: Any) -> None:
        """Checks the shape and the dtype of samples: arrays, or tensors while a step compiles."""
        shape = tuple(samples.shape)
        if not checks.shapes_agree(shape[1:], self.sample_shape):
            fix = "Use x[..., None]." if (*shape[1:], 1) == self.sample_shape else "Reshape it first."
            if shape == self.sample_shape:
                fix = "For a single sample use x[None]."
            raise ValueError(f"{owner}: `{name}` must have shape {self._batch_shape()}. Received: shape={shape}. {fix}")
        dtype = str(samples.dtype)
        # Integers would train without a word: images of 0 to 255 against outputs between 0 and 1.
        if "float" not in dtype:
            raise TypeError(
                f"{owner}: `{name}` must be floating-point numbers. Received: dtype={dtype}. "
                f"For images of 0 to 255 use x.astype('float32') / 255."
            )

    def _check_range(self, owner: str, name: str, target: np.ndarray) -> None:
        """Checks that the decoder can produce a target: a sigmoid can't reach pixels of 0 to 255."""
        if self.output_range is None or not target.size:
            return
        least, largest = self.output_range
        found = float(target.min()), float(target.max())
        if found[0] < least - _RANGE_TOLERANCE or found[1] > largest + _RANGE_TOLERANCE:
            fix = f"Use {name} / 255." if found[0] >= 0 and 2 < found[1] <= 255 else "Scale the data, or give a decoder"
            fix += "" if fix.endswith(".") else " with a linear output: conv_decoder(..., activation=None)."
            raise ValueError(
                f"{owner}: `{name}` must lie in [{least:g}, {largest:g}], the range of the decoder's output. "
                f"Received: values from {found[0]:g} to {found[1]:g}. {fix}"
            )

    def _check_data(self, owner: str, x: Any, y: Any = None, needs_labels: bool = False) -> None:
        """Checks arrays before anything is computed. Streams are checked when they come."""
        owner = f"{type(self).__name__}.{owner}"
        if isinstance(x, (list, tuple)):
            raise TypeError(f"{owner}: `x` must be one array, not a {type(x).__name__}. Use numpy.asarray(x).")
        if isinstance(x, (str, bytes, Mapping)) or not any(hasattr(x, name) for name in ("__iter__", "__getitem__")):
            raise TypeError(f"{owner}: `x` must be an array or a stream of batches. Received: {type(x).__name__}.")
        if not checks.is_array(x):
            return
        self._check_samples(owner, "x", x)
        x = checks.host_array(x)
        checks.finite_array(owner, "x", x)
        targets = self._targets(x, y)
        name = "x" if targets["reconstruction"] is x else "y['reconstruction']"
        target = checks.host_array(targets["reconstruction"])
        if target is not x:
            checks.finite_array(owner, name, target)
        if needs_labels:
            self._check_range(owner, name, target)
        for name, head in self.heads.items():
            if name in targets:
                head.check_labels(targets[name], len(x), owner, f"y[{name!r}]")
            elif needs_labels:
                raise ValueError(self._no_labels(owner, name, y))
        self._check_supervision(owner, x, targets, needs_labels)

    def _no_labels(self, owner: str, name: str, y: Any) -> str:
        return (
            f"{owner}: `y` must hold labels for the head {name!r}. Received: {sorted(y) if y else y}. "
            f"Mark missing labels with {self.heads[name].missing_label}."
        )


RAW = "_outputs"
"""The ending of the names of a head's raw outputs, such as logits, among the outputs of a model."""


def weight_of(name: str, sample_weight: Any) -> Any:
    """The samples' weights for one output: Keras turns one array into a dict with the keys of `y`."""
    return sample_weight.get(name) if isinstance(sample_weight, Mapping) else sample_weight


def _weighted_targets(x: Any, y: Any, sample_weight: Any = None) -> Any:
    """The targets of samples that have weights: Keras drops the weights of outputs without a target."""
    if sample_weight is None or isinstance(sample_weight, Mapping) or not (y is None or isinstance(y, Mapping)):
        return y
    return {"reconstruction": x, **(y or {})}


def _repair_backups(callbacks: Any) -> None:
    """Replaces the number of the epoch that a killed run wrote in part: Keras restores weights alone from a copy."""
    for callback in getattr(callbacks, "callbacks", callbacks):
        if not isinstance(callback, keras.callbacks.BackupAndRestore):
            continue
        path = Path(callback.backup_dir, "training_metadata.json")
        copy = Path(f"{path}.bkp")
        try:
            json.loads(path.read_text())
        except FileNotFoundError:
            continue
        except ValueError:
            path.unlink()
            if copy.exists():
                shutil.copy(copy, path)


def _with_logger(callbacks: Any) -> Any:
    """Callbacks with a `LatentLogger` before them, so that they can read its logs: a given one or a new one."""
    in_list = isinstance(callbacks, keras.callbacks.CallbackList)
    given = callbacks.callbacks if in_list else keras.tree.flatten(callbacks or [])
    given.sort(key=lambda callback: not isinstance(callback, LatentLogger))
    if not any(isinstance(callback, LatentLogger) for callback in given):
        logger = LatentLogger()
        given.insert(0, logger)
        if in_list:  # which has a model already
            logger.set_model(callbacks.model)
    return callbacks if in_list else given


@contextlib.contextmanager
def _measuring(callbacks: Any, x: Any) -> Iterator[None]:
    """Lends samples to the loggers that have none of their own, for one `fit`."""
    given = getattr(callbacks, "callbacks", callbacks)
    loggers = [callback for callback in given if isinstance(callback, LatentLogger) and callback.x is None]
    for logger in loggers:
        logger.x = x
    try:
        yield
    finally:
        for logger in loggers:
            logger.x = None


class _Place(keras.callbacks.Callback):
    """The present epoch and step of a training."""

    epoch = 0
    step: int | None = None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        self.step = batch


@contextlib.contextmanager
def _noted_errors(owner: str, x: Any, callbacks: Any) -> Iterator[None]:
    """Adds the step and the epoch to an error while a stream trains a model: values of streams aren't checked before.

    A callback is added to the list `callbacks`. `owner` is what is called, for the note.
    """
    place = _Place()
    if not checks.is_array(x) and isinstance(callbacks, list):
        callbacks.append(place)
    try:
        yield
    except Exception as error:
        if place.step is not None:
            error.add_note(f"{owner}: stopped in step {place.step + 1} of epoch {place.epoch + 1}.")
        raise
