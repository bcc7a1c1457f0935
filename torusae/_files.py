"""Files that are written whole or not at all."""

import os
import tempfile
from pathlib import Path
from typing import Any


def target_file(owner: str, path: Any, overwrite: bool) -> Path:
    """A caller's `path` as the `Path` of a file that can be written: its folder exists, and it replaces nothing."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"{owner}: `path` must be a path. Received: path={path!r}.")
    target = Path(path).expanduser()
    if target.is_dir():
        raise IsADirectoryError(f"{owner}: `path` must be a file. Found a folder at {target}.")
    if target.exists() and not overwrite:
        raise FileExistsError(f"{owner}: there is a file at {target}. Give another path, or overwrite=True.")
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"{owner}: the folder of `path` must exist. Found none at {target.parent}. Make it first."
        )
    return target


def write_whole(target: Path, content: bytes) -> None:
    """Writes a file whole or not at all."""
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(name, 0o644)
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
