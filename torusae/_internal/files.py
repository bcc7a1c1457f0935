"""Files that the library writes for a person: a path that is checked first, and a file that is whole or absent."""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows, where the parts of killed writers stay
    fcntl = None  # type: ignore[assignment]

_PART = ".torusae-"
_RANDOM_BYTES = 8  # in the name of a part


class Target:
    """A file to write: checked now, so that nothing is computed in vain, and written later.

    A link stays, and the file that it leads to is written.

    Args:
        owner: String, the method that the user called, before each error message.
        path: What the user gave.
        endings: The endings that `reader`, a few words, opens.
        overwrite: Whether a file that is there may be replaced.
    """

    def __init__(self, owner: str, path: Any, endings: Sequence[str], reader: str, overwrite: bool):
        self.path = as_path(owner, "path", path)
        self._owner, self._overwrite = owner, overwrite
        self._file = Path(os.path.realpath(self.path))  # of today's working directory
        if self.path.suffix.lower() not in endings:
            raise ValueError(
                f"{owner}: `path` must end in {endings[0]}, or {reader} opens the file. Received: path={path!r}."
            )
        with naming(owner, self.path, "written"):
            mode = self._mode()
            if stat.S_ISDIR(mode or 0) or os.fspath(path).endswith(("/", os.sep)):
                raise IsADirectoryError(f"{owner}: `path` must be a file. Received: path={path!r}, a folder.")
            if mode is not None and not stat.S_ISREG(mode):
                raise ValueError(f"{owner}: `path` must be a file. Received: path={path!r}, a pipe or a device.")
            if os.path.lexists(self.path) and not overwrite:
                raise FileExistsError(f"{owner}: there is a file at {self.path}. Give another path, or overwrite=True.")
            folder = self._file.parent
            if not folder.is_dir():
                raise FileNotFoundError(
                    f"{owner}: the folder of `path` must exist. Found none at {folder}. Make it first."
                )
            if not (os.access(folder, os.W_OK) and (mode is None or os.access(self._file, os.W_OK))):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def _mode(self) -> int | None:
        """Type and permissions of the file that is there."""
        try:
            return os.stat(self._file).st_mode
        except FileNotFoundError:
            return None

    @contextlib.contextmanager
    def replacing(self) -> Iterator[Path]:
        """The path of a new file that takes its place at the end, or is removed after an error.

        A file that this target wrote may be replaced by it.
        """
        with naming(self._owner, self.path, "written"):
            _remove_leftovers(self._file.parent)
            part, handle = _new_part(self._file, 0o666 if self._mode() is None else 0o600)  # less the umask
            try:
                yield part
                os.fsync(handle)
                if (mode := self._mode()) is not None:
                    os.chmod(part, mode & 0o777)
                if self._overwrite or not _was_linked(part, self._file):
                    os.replace(part, self._file)
            finally:
                part.unlink(missing_ok=True)
                os.close(handle)
        self._overwrite = True


def as_path(owner: str, name: str, path: Any) -> Path:
    """An argument as a `Path`."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"{owner}: `{name}` must be a path. Received: {name}={path!r}.")
    if "\0" in str(path):
        raise ValueError(f"{owner}: `{name}` must be a path without null characters. Received: {name}={path!r}.")
    return Path(os.path.expanduser(path))


@contextlib.contextmanager
def naming(owner: str, file: Path, done: str) -> Iterator[None]:
    """Errors of the system in here say which method has not read, or not written, which file."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # a message of ours
            raise
        raise OSError(error.errno, f"{owner}: {file} could not be {done}: {error.strerror}") from error


def _new_part(file: Path, mode: int) -> tuple[Path, int]:
    """A new file beside another one, and a handle that locks it while its writer lives."""
    while True:
        part = file.with_name(f"{_PART}{secrets.token_hex(_RANDOM_BYTES)}{file.suffix}")
        handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        with contextlib.suppress(OSError, AttributeError):  # a system, or a file system, without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            return part, handle
        os.close(handle)  # another writer took it for a leftover before it was locked


def _remove_leftovers(folder: Path) -> None:
    """Removes the parts of writers that were killed: nobody has locked them."""
    for part in folder.glob(f"{_PART}{'[0-9a-f]' * 2 * _RANDOM_BYTES}.*") if fcntl else ():
        with contextlib.suppress(OSError):
            handle = os.open(part, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                part.unlink()
            finally:
                os.close(handle)


def _was_linked(part: Path, file: Path) -> bool:
    """Gives a part the name of its file too, where the file system can. An error if there is a file by now."""
    try:
        os.link(part, file)
        return True
    except FileExistsError:
        raise
    except OSError:  # no hard links
        return False
