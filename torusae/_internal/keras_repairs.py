"""Repairs of Keras, each with what makes it needed. Measured with Keras 3.15.1."""

import contextlib
import json
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras


def repair_backups(callbacks: Any) -> None:
    """Replaces the number of the epoch that a killed run wrote in part.

    `BackupAndRestore(double_checkpoint=True)` restores weights from its copy, and not this file.
    """
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


def refuse_damaged(owner: str, store: Any) -> None:
    """An error for weights in a `.keras` file whose checksums are not theirs.

    Keras reads such weights piece by piece, `load_weights` any. From Python 3.13 on nothing compares checksums there.
    """
    archive: Any = getattr(store, "archive", None)
    damaged = archive.testzip() if archive else None
    if damaged:
        raise ValueError(
            f"{owner}: {damaged} in {archive.filename} is damaged: its checksum is another one. Use another copy."
        )


def forget_layer(model: keras.Model, layer: Any) -> None:
    """Ends the tracking of a layer whose attribute was replaced: Keras goes on training and saving it.

    It forgets a layer that leaves a list.
    """
    model.replaced = [layer]
    model.replaced.clear()


def portable_optimizer(config: Any) -> Any:
    """An optimizer's config without its backend: Keras names the torch optimizers by a class that only torch has."""
    if isinstance(config, dict):
        config = {key: portable_optimizer(value) for key, value in config.items()}
        name = config.get("class_name", "")
        if str(config.get("module", "")).startswith("keras.") and hasattr(keras.optimizers, str(name)):
            config.update(module="keras.optimizers", registered_name=None)
    return config


def all_layers(model: Any) -> list[Any]:
    """A model or a layer and every layer inside it, however deep, each once.

    `keras.Model.layers` holds the direct ones alone, and a layer that is no model has no such list.
    """
    return model._flatten_layers() if isinstance(model, keras.layers.Layer) else []


def in_train_step() -> bool:
    """Whether a Keras trainer's `train_step` is running, up the call stack.

    A subclassed model whose `call` has no `training` argument, or on JAX does not pass it on, tells its layers nothing
    of `fit`: Keras then leaves `training` at `None` in the call context, as in a plain call.
    """
    frame: Any = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "train_step":
            return True
        frame = frame.f_back
    return False


_STATE = ("trainable_variables", "non_trainable_variables", "optimizer_variables", "metrics_variables")
_STATES = {"train_function": _STATE, "test_function": (*_STATE[:2], _STATE[3]), "predict_function": _STATE[:2]}


def keep_state(model: keras.Model) -> None:
    """Has the variables of a model on JAX come back after an error and Ctrl-C.

    Keras takes the values out of the variables before the first step. A step frees those that it is given, and Keras
    puts the last ones back only after a step that went well. So here Keras is given the values where it takes them, and
    before and after each step; Ctrl-C waits for the end of both. A second Ctrl-C does not wait. The values are lost
    where a step itself fails while it runs, as when the device has no memory left, and after a second Ctrl-C within
    one.
    """
    if keras.backend.backend() != "jax" or "_get_jax_state" in vars(model):
        return
    take = model._get_jax_state

    def note(names, state):
        # Not by Keras' `__setattr__`, which looks for layers in every value, twice a step.
        vars(model).update(_jax_state=dict(zip(names, state, strict=True)), _jax_state_synced=False)

    def taken(purge_model_variables=False, **parts):
        with _interrupts_after():
            state = take(purge_model_variables=purge_model_variables, **parts)
            note([name for name in _STATE if parts.get(name)], state)
        return state

    def kept(function, names):
        def step(state, iterator):
            try:
                with _interrupts_after():
                    note(names, state)
                    results, state = function(state, iterator)
                    note(names, state)
            except BaseException:
                model.jax_state_sync()
                raise
            return results, state

        step.keeps_state = True  # type: ignore[attr-defined]
        return step

    def making(make, name):
        def made(force=False):
            make(force)
            if not hasattr(getattr(model, name), "keeps_state"):
                setattr(model, name, kept(getattr(model, name), _STATES[name]))
            return getattr(model, name)

        return made

    vars(model)["_get_jax_state"] = taken
    vars(model).update({f"make_{name}": making(getattr(model, f"make_{name}"), name) for name in _STATES})


def is_validation(arguments: dict[str, Any]) -> bool:
    """Whether arguments of `evaluate` are those of Keras' `fit`, which validates by it."""
    return "_use_cached_eval_dataset" in arguments


@contextlib.contextmanager
def state_kept(model: keras.Model) -> Iterator[None]:
    """As `keep_state`, after an error between two steps too: Keras' `fit` does that, `evaluate`, `predict` do not."""
    keep_state(model)
    try:
        yield
    finally:
        if keras.backend.backend() == "jax":
            model.jax_state_sync()
            model._jax_state = None


@contextlib.contextmanager
def _interrupts_after() -> Iterator[None]:
    """Lets the first Ctrl-C wait for the end."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    came: list[tuple] = []

    def note(*received):
        came.append(received)
        if len(came) > 1:
            before(*received)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            before(*came[0])
