"""Repairs of Keras, each with what makes it needed. Measured with Keras 3.15.1."""

import json
import shutil
import sys
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
    archive = getattr(store, "archive", None)
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
