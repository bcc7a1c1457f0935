"""What `fit` adds to the callbacks that it was given."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

from torusae._internal import checks
from torusae._internal.scaling import Scaling
from torusae.layers import LatentLogger


def with_logger(callbacks: Any) -> Any:
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
def measuring(callbacks: Any, x: Any, scaling: Scaling | None) -> Iterator[None]:
    """Lends samples to the loggers that have none of their own, for one `fit`, and scales those that have."""
    given = getattr(callbacks, "callbacks", callbacks)
    loggers = [callback for callback in given if isinstance(callback, LatentLogger)]
    own = [logger.x for logger in loggers]
    for logger in loggers:
        if logger.x is None:
            logger.x = x
        elif scaling is not None:
            logger.x = scaling.apply(checks.host_array(logger.x))
    try:
        yield
    finally:
        for logger, samples in zip(loggers, own, strict=True):
            logger.x = samples


class _Place(keras.callbacks.Callback):
    """The present epoch and step of a training."""

    epoch = 0
    step: int | None = None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        self.step = batch


@contextlib.contextmanager
def noted_errors(owner: str, x: Any, callbacks: Any) -> Iterator[None]:
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
