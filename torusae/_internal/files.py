"""Files that the library writes for a person: a path that is checked first, and a file that is whole or absent."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def target(owner: str, path: Any, endings: Sequence[str], reader: str, overwrite: bool) -> Path:
    """The path of a file that can be written.

    `reader` says what would not open it with another ending than one of `endings`; none of them is any ending.
    """
    file = as_path(owner, "path", path)
    if endings and file.suffix.lower() not in endings:
        raise ValueError(
            f"{owner}: `path` must end in {endings[0]}, or {reader} opens the file. Received: path={path!r}."
        )
    if file.is_dir():
        raise IsADirectoryError(f"{owner}: `path` must be a file. Found a folder at {file}.")
    check_place(owner, "path", [file], overwrite)
    return file


def as_path(owner: str, name: str, path: Any) -> Path:
    """An argument as a `Path`."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"{owner}: `{name}` must be a path. Received: {name}={path!r}.")
    return Path(path).expanduser()


def check_place(owner: str, name: str, files: Sequence[Path], overwrite: bool) -> None:
    """Raises where files of one folder would replace others, or there is no folder for them."""
    found = [file for file in files if file.exists()]
    if found and not overwrite:
        raise FileExistsError(f"{owner}: there is a file at {found[0]}. Give another path, or overwrite=True.")
    if not files[0].parent.is_dir():
        raise FileNotFoundError(
            f"{owner}: the folder of `{name}` must exist. Found none at {files[0].parent}. Make it first."
        )


def write(file: Path, content: bytes) -> None:
    """Writes a file whole or not at all; one that was there stays until then."""
    handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        os.chmod(name, 0o644)
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
