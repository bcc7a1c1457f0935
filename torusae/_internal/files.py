"""Files that the library writes for a person: a path that is checked first, and a file that is whole or absent."""

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any


def target(owner: str, path: Any, endings: Sequence[str], reader: str, overwrite: bool) -> Path:
    """The path of a file that can be written. `reader` says what would not open it with an ending not in `endings`."""
    file = as_path(owner, "path", path)
    if file.suffix.lower() not in endings:
        raise ValueError(
            f"{owner}: `path` must end in {endings[0]}, or {reader} opens the file. Received: path={path!r}."
        )
    if file.is_dir():
        raise IsADirectoryError(f"{owner}: `path` must be a file. Found a folder at {file}.")
    if file.exists() and not overwrite:
        raise FileExistsError(f"{owner}: there is a file at {file}. Give another path, or overwrite=True.")
    if not file.parent.is_dir():
        raise FileNotFoundError(
            f"{owner}: the folder of `path` must exist. Found none at {file.parent}. Make it first."
        )
    return file


def as_path(owner: str, name: str, path: Any) -> Path:
    """An argument as a `Path`."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"{owner}: `{name}` must be a path. Received: {name}={path!r}.")
    return Path(path).expanduser()


@contextlib.contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """The path of a new file that takes the place of `file` at the end, or is removed after an error."""
    handle, name = tempfile.mkstemp(prefix=f".{file.stem}.", suffix=file.suffix, dir=file.parent)
    os.close(handle)
    try:
        yield Path(name)
        os.chmod(name, 0o644)
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
