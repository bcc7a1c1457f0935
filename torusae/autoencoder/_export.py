"""Exports of Keras models: whole or not at all, with errors that say what is missing."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import keras

from torusae._internal import backend, checks, files

# The formats that Keras knows, and what the name of their file must end in. A SavedModel is a folder.
FORMATS = {"tf_saved_model": "", "onnx": ".onnx", "openvino": ".xml", "litert": ".tflite", "torch": ".pt2"}
_BESIDE = {".xml": (".bin",)}  # OpenVINO writes its weights into a second file


def export(owner: str, model: keras.Model, path: Any, format: str, overwrite: bool, options: dict[str, Any]) -> Path:
    """Writes a model in a format of Keras, and returns the path."""
    checks.option(owner, "format", format, FORMATS)
    target, ending = files.as_path(owner, "filepath", path), FORMATS[format]
    if ending and target.suffix != ending:
        raise ValueError(
            f"{owner}: `filepath` must end in {ending} for format={format!r}. Received: filepath={path!r}."
        )
    written = [target, *(target.with_suffix(each) for each in _BESIDE.get(ending, ()))]
    files.check_place(owner, "filepath", written, overwrite)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
        try:
            options = {**backend.export_options(format), **options}
            model.export(str(Path(folder, target.name)), format=format, **options)
        except Exception as error:  # exporters raise many types, whose messages name their own parts alone
            kind = ImportError if isinstance(error, ImportError) else RuntimeError
            raise kind(
                f"{owner}: Keras {keras.__version__} can't write format={format!r} on {keras.backend.backend()}. "
                f"Received: {type(error).__name__}: {str(error).strip()} docs/export.md says which format works on "
                f"which backend, and the packages that it needs."
            ) from error
        for made in Path(folder).iterdir():
            place = target.parent / made.name
            if place.is_dir():
                shutil.rmtree(place)
            os.replace(made, place)
    return target
