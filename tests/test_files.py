"""Files that the library writes: whole or absent, in nobody's way, as private as asked, and errors that name them."""

import errno
import os
import resource
import signal
import stat
import subprocess
import sys

import numpy as np
import pytest
from shared.tiny import samples, tiny_model

import torusae
from torusae import plots
from torusae._internal import files
from torusae.datasets import load_mnist

OLD, NEW = b"old" * 1000, b"new" * 2000
LEFTOVER = ".torusae-0123456789abcdef.html"


def write(path, content=NEW, overwrite=True):
    target = files.Target("explore", path, (".html",), "no browser", overwrite)
    with target.replacing() as part:
        part.write_bytes(content)
    return target.path


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "page.html"


@pytest.fixture
def masked():
    """Sets the umask."""
    before = os.umask(0o077)
    yield os.umask
    os.umask(before)


def test_a_new_file_follows_the_umask_and_a_replaced_one_keeps_its_mode(path, masked):
    for mask, mode in [(0o077, 0o600), (0o002, 0o664)]:
        masked(mask)
        assert mode_of(write(path)) == mode
        path.unlink()
    masked(0o022)
    path.write_bytes(OLD)
    path.chmod(0o640)
    target = files.Target("explore", path, (".html",), "no browser", True)
    with target.replacing() as part:
        assert mode_of(part) == 0o600  # nobody else reads what may be private
        part.write_bytes(NEW)
    assert (mode_of(path), path.read_bytes()) == (0o640, NEW)


def test_the_target_of_a_link_is_written_and_the_link_stays(path, tmp_path):
    for there in (True, False):
        (tmp_path / "folder").mkdir(exist_ok=True)
        goal = tmp_path / "folder" / f"goal{there}"
        if there:
            goal.write_bytes(OLD)
        path.symlink_to(os.path.relpath(goal, tmp_path))
        with pytest.raises(FileExistsError, match=r"explore: there is a file at .*page\.html"):
            write(path, overwrite=False)
        assert goal.exists() == there
        assert write(path) == path
        assert path.is_symlink()
        assert goal.read_bytes() == NEW
        path.unlink()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["folder"]


def test_what_is_no_file_is_refused_and_stays(path, tmp_path):
    (tmp_path / "folder.html").mkdir()
    os.mkfifo(tmp_path / "pipe.html")
    (tmp_path / "full.html").symlink_to("/dev/full")
    (tmp_path / "loop.html").symlink_to("loop.html")
    (tmp_path / "lost.html").symlink_to("missing/page")
    for name, error, message in [
        ("folder.html", IsADirectoryError, "must be a file"),
        ("page.html/", IsADirectoryError, "must be a file"),
        ("pipe.html", ValueError, "a pipe or a device"),
        ("full.html", ValueError, "a pipe or a device"),
        ("loop.html", OSError, "could not be written: Too many levels"),
        ("lost.html", FileNotFoundError, "folder of `path` must exist"),
        ("missing/page.html", FileNotFoundError, "folder of `path` must exist"),
        ("x" * 251 + ".html", OSError, "could not be written: File name too long"),
        ("a\0b.html", ValueError, "without null characters"),
        ("q/", ValueError, "must end in .html"),
    ]:
        with pytest.raises(error, match=rf"^(\[Errno \d+\] )?explore: .*{message}") as caught:
            write(os.path.join(tmp_path, name))
        assert name.replace("\0", r"\x00") in str(caught.value) or name.startswith("missing") or name == "lost.html"
    for place in ("~", ".", "", "/"):
        with pytest.raises(ValueError, match=r"explore: `path` must end in \.html"):
            write(place)
    names = {each.name for each in tmp_path.iterdir()}
    assert names == {"folder.html", "pipe.html", "full.html", "loop.html", "lost.html"}
    assert stat.S_ISFIFO((tmp_path / "pipe.html").stat().st_mode)


def test_a_name_as_long_as_the_system_allows(tmp_path):
    path = write(tmp_path / ("x" * 250 + ".html"))
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_a_full_disk_leaves_the_old_file_and_names_it(path):
    model = tiny_model()
    model.compile("adam", "mse")
    model.was_trained = True
    path.write_bytes(OLD)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match=r"explore: .*page\.html could not be written: File too large") as caught:
            torusae.explore(model, path, overwrite=True)
        with pytest.raises(OSError, match=r"save_morph: .*a\.gif could not be written: File too large"):
            plots.save_morph(path.with_name("a.gif"), np.zeros((2, 6, 8, 8, 1)))
        film = plots.Film(path.with_name("b.gif"), samples())
        with pytest.raises(OSError, match=r"Film: .*b\.gif could not be written: File too large"):
            model.fit(samples(), verbose=0, callbacks=[film])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.errno == errno.EFBIG
    assert path.read_bytes() == OLD
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_no_permission_is_told(path):
    path.write_bytes(OLD)
    path.chmod(0o400)
    path.parent.chmod(0o555)
    user = os.geteuid()
    if not user:  # everything is allowed to root
        os.seteuid(65534)
    try:
        for name in ("page.html", "other.html"):
            with pytest.raises(PermissionError, match=rf"explore: .*{name} could not be written: Permission denied"):
                write(path.with_name(name))
        with pytest.raises(PermissionError, match=r"load_mnist: .*page\.html could not be read: Permission denied"):
            load_mnist(path)
    finally:
        os.seteuid(user)
        path.parent.chmod(0o755)
    assert path.read_bytes() == OLD


def test_a_file_that_came_meanwhile_is_not_replaced(path):
    def slow(target):
        with target.replacing() as part:
            part.write_bytes(NEW)
            path.write_bytes(OLD)

    target = files.Target("explore", path, (".html",), "no browser", False)
    with pytest.raises(FileExistsError, match=r"explore: .*page\.html could not be written: File exists"):
        slow(target)
    assert path.read_bytes() == OLD
    path.unlink()
    for content in (OLD, NEW):  # what it wrote itself it may write again
        with target.replacing() as part:
            part.write_bytes(content)
        assert path.read_bytes() == content
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_the_parts_of_killed_writers_go_and_nothing_else_does(path):
    leftover = path.with_name(LEFTOVER)
    others = [path.with_name(name) for name in (".torusae-notes.html", ".torusae-0123456789abcdeg.html", ".page.html")]
    for each in (leftover, *others):
        each.write_bytes(OLD)
    target = files.Target("explore", path, (".html",), "no browser", True)
    with target.replacing() as part:
        part.write_bytes(NEW)
        assert not leftover.exists()
        write(path.with_name("other.html"))  # another writer leaves the part of one that lives
        assert part.exists()
    assert {each.name for each in path.parent.iterdir()} == {"page.html", "other.html", *(each.name for each in others)}


def test_where_there_are_no_locks_and_no_hard_links(path, monkeypatch):
    def refused(*arguments):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    write(path, overwrite=False)
    path.with_name(LEFTOVER).write_bytes(OLD)
    monkeypatch.setattr(files.fcntl, "flock", refused)
    write(path)
    monkeypatch.setattr(files, "fcntl", None)
    write(path, OLD)
    assert path.read_bytes() == OLD
    assert {each.name for each in path.parent.iterdir()} == {path.name, LEFTOVER}


WRITER = """
import importlib.util, itertools, sys
spec = importlib.util.spec_from_file_location("files", sys.argv[1])  # no backend: it starts at once
files = importlib.util.module_from_spec(spec)
spec.loader.exec_module(files)
target = files.Target("explore", sys.argv[2], (".html",), "no browser", True)
print("ready", flush=True)
for number in itertools.count():
    with target.replacing() as part, part.open("wb") as stream:
        for _ in range(20):
            stream.write(bytes([65 + number % 26]) * 10_000)
"""


def writer(path):
    """A process that writes a file again and again."""
    process = subprocess.Popen([sys.executable, "-c", WRITER, files.__file__, str(path)], stdout=subprocess.PIPE)
    process.stdout.readline()
    return process


def whole(path):
    content = path.read_bytes()
    return len(content) == 200_000 and len(set(content)) == 1


@pytest.mark.slow
def test_two_writers_and_kills_at_random_moments(path):
    """Two at once, killed 20 times: the file is always one of theirs, and the next write leaves nothing else."""
    write(path, b"A" * 200_000)
    rng = np.random.default_rng(0)
    for _ in range(20):
        both = [writer(path), writer(path)]
        for process in both:
            deadline = rng.uniform(0.005, 0.05)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(deadline)
            assert whole(path)
            process.send_signal(signal.SIGKILL)
            process.communicate()
        assert whole(path)
        write(path, b"A" * 200_000)
        assert [each.name for each in path.parent.iterdir()] == [path.name]
