"""Data files: the bundled ones, paths of the caller, and archives that may be damaged."""

import importlib.resources
import io
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import keras

# What zipfile raises for altered bytes: a wrong checksum, a broken stream, an early end, a flag that says encrypted or
# compressed by an unknown method, an offset outside the file, a name that is not UTF-8.
_DAMAGES = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError)


def bundled(name: str) -> Any:
    """A file that comes with torusae, as an `importlib.resources` path."""
    return importlib.resources.files("torusae").joinpath("datasets", "files", name)


def existing_file(owner: str, path: Any, kind: str, alternative: str) -> Path:
    """A caller's `path` as the `Path` of a file."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"{owner}: `path` must be a path to {kind} or None. Received: path={path!r}.")
    file = Path(path).expanduser()
    if not file.is_file():
        found = "a folder" if file.is_dir() else "nothing"
        raise FileNotFoundError(f"{owner}: `path` must be {kind}. Found {found} at {file}. {alternative}")
    return file


def read_archive(owner: str, content: bytes, where: str, kind: str) -> dict[str, bytes]:
    """All members of a zip archive, each compared with its checksum. Any damage is a ValueError that names the file."""
    if not content.startswith(b"PK\x03\x04"):
        raise ValueError(f"{owner}: {where} is not {kind}: not a zip archive. Copy or download it again.")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    except _DAMAGES as error:
        raise ValueError(f"{owner}: {where} is damaged or cut off ({error}). Copy or download it again.") from error


def load_keras(owner: str, file: Path, fix: str) -> Any:
    """The model in a .keras file, not compiled, with weights as they were written. `fix` says how to get another."""
    # Keras checks no checksum of the weights: altered bytes would give other outputs and no error.
    read_archive(owner, file.read_bytes(), str(file), "a .keras file")
    try:
        return keras.saving.load_model(file, compile=False)
    except Exception as error:  # an intact archive of something else: Keras raises many types
        raise ValueError(f"{owner}: Keras can't load {file} ({type(error).__name__}: {error}). {fix}") from error
