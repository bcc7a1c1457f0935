"""MNIST from each of its sources, and files that are wrong. The network is a server on this machine."""

import contextlib
import hashlib
import importlib.resources
import inspect
import io
import re
import socket
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import keras
import numpy as np
import pytest

from torusae import datasets
from torusae.datasets import mnist as module


def digits(num_train=30, num_test=20):
    rng = np.random.default_rng(0)
    return {
        "x_train": rng.integers(0, 256, (num_train, 28, 28), dtype=np.uint8),
        "y_train": (np.arange(num_train) % 10).astype("uint8"),
        "x_test": rng.integers(0, 256, (num_test, 28, 28), dtype=np.uint8),
        "y_test": (np.arange(num_test) % 10).astype("uint8"),
    }


def npz_bytes(**arrays):
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


@pytest.fixture
def keras_cache(monkeypatch, tmp_path):
    """An empty Keras cache. The download fails the test unless it is replaced."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(module, "_download", lambda: pytest.fail("the download was tried"))
    folder = tmp_path / "keras" / "datasets"
    folder.mkdir(parents=True)
    return folder / "mnist.npz"


CONTENT = npz_bytes(**digits(12, 8))
DOWNLOAD = module._download  # a fixture replaces it


@contextlib.contextmanager
def server(answer):
    """The URL of a server on this machine; `answer` handles each request."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            answer(self)

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}/mnist.npz"
        running.shutdown()
        thread.join()


def send(request, content, length=None):
    request.send_response(200)
    request.send_header("Content-Length", str(len(content) if length is None else length))
    request.end_headers()
    request.wfile.write(content)


@pytest.fixture
def download_from(keras_cache, monkeypatch):
    """A function that calls `load_mnist` with the download from a server."""

    def load(answer):
        with server(answer) as url:
            monkeypatch.setattr(module, "_URL", url)
            return datasets.load_mnist()

    monkeypatch.setattr(module, "_SHA256", hashlib.sha256(CONTENT).hexdigest())
    monkeypatch.setattr(module, "_TIMEOUT", 0.3)
    monkeypatch.setattr(module, "_download", DOWNLOAD)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(socket, "setdefaulttimeout", lambda seconds: pytest.fail("a time-out for the whole process"))
    return load


def channel_axis():
    return 1 if keras.config.image_data_format() == "channels_first" else 3


def test_a_path_is_read_and_nothing_else(keras_cache, tmp_path):
    arrays = digits()
    np.savez_compressed(tmp_path / "mine.npz", **arrays)
    np.savez(keras_cache, **digits(5, 5))
    mnist = datasets.load_mnist(tmp_path / "mine.npz")
    assert mnist.source == f"MNIST from the file {tmp_path / 'mine.npz'}: 30 training and 20 test images."
    assert mnist.x_train.dtype == mnist.x_test.dtype == np.float32
    assert mnist.y_train.dtype == mnist.y_test.dtype == np.int32
    np.testing.assert_array_equal(mnist.x_train.squeeze(channel_axis()), arrays["x_train"].astype("float32") / 255)
    np.testing.assert_array_equal(mnist.y_test, arrays["y_test"])
    assert datasets.load_mnist(str(tmp_path / "mine.npz")).source == mnist.source
    assert repr(mnist).startswith("Mnist(x_train.shape=(30, ")


@pytest.mark.parametrize(("layout", "shape"), [("channels_last", (28, 28, 1)), ("channels_first", (1, 28, 28))])
def test_images_follow_the_layout_of_keras(keras_cache, layout, shape):
    np.savez(keras_cache, **digits())
    before = keras.config.image_data_format()
    keras.config.set_image_data_format(layout)
    try:
        assert datasets.load_mnist().x_train.shape == (30, *shape)
        assert datasets.hue_images(2, 8, seed=0)[0].shape == (
            (2, 8, 8, 3) if layout == "channels_last" else (2, 3, 8, 8)
        )
    finally:
        keras.config.set_image_data_format(before)


def test_the_cache_comes_before_the_download(keras_cache):
    np.savez(keras_cache, **digits())
    assert datasets.load_mnist().source.startswith(f"MNIST from the Keras cache, {keras_cache}: 30 training")


def test_the_download_comes_before_the_subset_and_fills_the_cache(download_from, keras_cache):
    mnist = download_from(lambda request: send(request, CONTENT))
    assert mnist.source == f"MNIST from the download of {module._URL}: 12 training and 8 test images."
    assert keras_cache.read_bytes() == CONTENT
    assert [file.name for file in keras_cache.parent.iterdir()] == ["mnist.npz"]
    assert "from the Keras cache" in datasets.load_mnist().source  # the server is gone


def test_a_download_that_can_not_be_kept_is_used(download_from, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match=r"can't be kept in the Keras cache \(.*Set KERAS_HOME"):
        mnist = download_from(lambda request: send(request, CONTENT))
    assert len(mnist.x_train) == 12


def test_no_half_written_file_stays(download_from, keras_cache, monkeypatch):
    def replace(self, target):
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.warns(UserWarning, match="no space left"):
        download_from(lambda request: send(request, CONTENT))
    assert list(keras_cache.parent.iterdir()) == []


def hang(request):
    threading.Event().wait(0.8)  # longer than the time-out


def hang_in_the_middle(request):
    send(request, CONTENT[:100], len(CONTENT))
    request.wfile.flush()
    hang(request)


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        (hang, "the download failed .*timed out"),
        (hang_in_the_middle, "the download failed .*timed out"),
        (lambda request: send(request, CONTENT[:-10], len(CONTENT)), "the download failed .IncompleteRead"),
        (lambda request: send(request, CONTENT[:-10]), "SHA-256 than expected, [0-9a-f]{64}: cut off, altered"),
        (lambda request: send(request, b"<html>log in first</html>"), "25 bytes from http.*SHA-256"),
        (lambda request: request.send_error(404), "HTTP Error 404"),
        (lambda request: None, "the download failed"),
    ],
    ids=["silent", "silent in the middle", "cut off", "short", "a page of a proxy", "not found", "no answer"],
)
def test_a_failed_download_falls_back_with_a_warning(download_from, keras_cache, answer, match):
    with pytest.warns(UserWarning, match=match) as caught:
        mnist = download_from(answer)
    assert "so the bundled subset of 8000 training and 2000 test images is used" in str(caught[0].message)
    assert mnist.source.startswith(
        "MNIST from the subset bundled with torusae: 8000 training and 2000 test images (no "
    )
    assert re.search(match, mnist.source)
    assert list(keras_cache.parent.iterdir()) == []


def test_a_damaged_cache_is_replaced_by_the_download(download_from, keras_cache):
    keras_cache.write_bytes(CONTENT[:-50])
    with pytest.warns(UserWarning, match="the Keras cache can't be used .*damaged or cut off"):
        mnist = download_from(lambda request: send(request, CONTENT))
    assert len(mnist.x_train) == 12
    assert keras_cache.read_bytes() == CONTENT


def test_the_server_is_that_of_keras():
    source = inspect.getsource(keras.datasets.mnist.load_data)
    assert module._SHA256 in source
    assert module._URL.removesuffix("mnist.npz") in source


def test_the_bundled_subset_is_balanced_and_needs_no_cache_and_no_network(keras_cache):
    np.savez(keras_cache, **digits())
    mnist = datasets.load_mnist_subset()
    assert mnist.source == "MNIST from the subset bundled with torusae: 8000 training and 2000 test images."
    np.testing.assert_array_equal(np.bincount(mnist.y_train), [800] * 10)
    np.testing.assert_array_equal(np.bincount(mnist.y_test), [200] * 10)
    assert mnist.x_train.min() == 0
    assert mnist.x_train.max() == 1
    # MNIST's mean grey value is 0.1307 (all 60000 training images).
    assert mnist.x_train.mean() == pytest.approx(0.1307, abs=0.002)


def test_without_cache_and_download_the_subset_is_loaded(keras_cache):
    assert datasets.load_mnist(download=False).source.endswith(
        f"(no file in the Keras cache at {keras_cache}; download=False)."
    )


def test_the_subset_is_a_small_resource_with_its_licence():
    data = importlib.resources.files("torusae") / "datasets" / "files"
    assert len(data.joinpath("mnist_subset.npz").read_bytes()) < 1_900_000
    text = " ".join(data.joinpath("README.md").read_text(encoding="utf-8").split())
    assert "Y. LeCun, C. Cortes, C. J. C. Burges; Creative Commons Attribution-Share Alike 3.0" in text


def test_a_damaged_cache_is_passed_over_with_a_warning(keras_cache):
    keras_cache.write_bytes(b"<html>not found</html>")
    with pytest.warns(UserWarning, match=r"the Keras cache can't be used \(load_mnist: .* is not an npz file"):
        mnist = datasets.load_mnist(download=False)
    assert "the Keras cache can't be used" in mnist.source


def test_a_missing_path_never_falls_back(keras_cache, tmp_path):
    np.savez(keras_cache, **digits())
    with pytest.raises(
        FileNotFoundError, match=r"load_mnist: `path` must be an npz file\. Found nothing at .*none\.npz"
    ):
        datasets.load_mnist(tmp_path / "none.npz")
    with pytest.raises(FileNotFoundError, match="Found a folder at"):
        datasets.load_mnist(tmp_path)
    with pytest.raises(TypeError, match=r"`path` must be a path .* Received: path=3"):
        datasets.load_mnist(3)


def flipped(data):
    """The same bytes with a hole in the first array's data."""
    middle = len(data) // 4
    return data[:middle] + bytes(64) + data[middle + 64 :]


def zipped_text():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr("readme.txt", "hello")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (lambda: b"", "is not an npz file"),
        (lambda: b"\x93NUMPY", "is not an npz file"),
        (lambda: npz_bytes(**digits())[:-2000], "is damaged or cut off .*again"),
        (lambda: npz_bytes(**digits())[:40], "is damaged or cut off"),
        (lambda: flipped(npz_bytes(**digits())), "is damaged or cut off"),
        (zipped_text, r"must hold the arrays \['x_train', .* Found: \['readme.txt'\], without"),
        (
            lambda: npz_bytes(x_train=digits()["x_train"]),
            r"Found: \['x_train'\], without \['y_train', 'x_test', 'y_test'\]",
        ),
        (lambda: npz_bytes(**{**digits(), "x_test": np.zeros((20, 784), "uint8")}), r"'x_test' .*shape \(20, 784\)"),
        (lambda: npz_bytes(**{**digits(), "x_train": np.zeros((30, 28, 28))}), r"'x_train' .*dtype float64"),
        (lambda: npz_bytes(**{**digits(), "x_train": np.zeros((0, 28, 28), "uint8")}), r"shape \(0, 28, 28\)"),
        (lambda: npz_bytes(**{**digits(), "y_train": np.zeros((30, 10), int)}), r"'y_train' .*one-hot"),
        (lambda: npz_bytes(**{**digits(), "y_test": np.zeros(19, int)}), r"one integer an image, shape \(20,\)"),
        (lambda: npz_bytes(**{**digits(), "y_test": np.zeros(20)}), "dtype float64"),
        (lambda: npz_bytes(**{**digits(), "y_train": np.arange(30)}), "Found: values from 0 to 29"),
        (lambda: npz_bytes(**{**digits(), "y_train": np.arange(30) - 1}), "Found: values from -1 to 28"),
        (lambda: npz_bytes(**{**digits(), "y_train": np.array([None] * 30)}), "array 'y_train' .* can't be read"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(keras_cache, tmp_path, content, match):
    file = tmp_path / "wrong.npz"
    file.write_bytes(content())
    with pytest.raises(ValueError, match=r"load_mnist: .*wrong\.npz") as caught:
        datasets.load_mnist(file)
    assert caught.match(match)


def altered(content, position, mask):
    return content[:position] + bytes([content[position] ^ mask]) + content[position + 1 :]


def test_any_cut_is_found(tmp_path):
    file = tmp_path / "cut.npz"
    for length in np.linspace(0, len(CONTENT) - 1, 50, dtype=int):
        file.write_bytes(CONTENT[:length])
        with pytest.raises(ValueError, match=r"load_mnist: .*cut\.npz is (not|damaged)"):
            datasets.load_mnist(file)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed], ids=lambda save: save.__name__)
def test_altered_bytes_are_found_or_change_nothing(tmp_path, save):
    """A date or a version in a header may differ; an image or a label may not."""
    file = tmp_path / "altered.npz"
    save(file, **digits(3, 2))
    content = file.read_bytes()
    expected = datasets.load_mnist(file)
    found = 0
    everywhere = [*np.linspace(0, len(content) - 1, 120, dtype=int), *range(len(content) - 300, len(content), 2)]
    for position in everywhere:
        for mask in (0x01, 0xFF):
            file.write_bytes(altered(content, position, mask))
            try:
                mnist = datasets.load_mnist(file)
            except ValueError as error:
                assert "altered.npz" in str(error)  # noqa: PT017
                found += 1
                continue
            for name in ("x_train", "y_train", "x_test", "y_test"):
                np.testing.assert_array_equal(getattr(mnist, name), getattr(expected, name))
    assert found > 200
