"""MNIST from its sources, and files that are wrong."""

import importlib.resources
import inspect
import io

import keras
import numpy as np
import pytest

from torusae import datasets


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


@pytest.mark.parametrize(("layout", "axis"), [("channels_last", 3), ("channels_first", 1)])
def test_images_are_between_0_and_1_and_follow_the_layout_of_keras(tmp_path, layout, axis):
    arrays = digits()
    np.savez_compressed(tmp_path / "mine.npz", **arrays)
    before = keras.config.image_data_format()
    keras.config.set_image_data_format(layout)
    try:
        mnist = datasets.load_mnist(str(tmp_path / "mine.npz"))
        hues = datasets.hue_images(2, 8, seed=0)[0]
    finally:
        keras.config.set_image_data_format(before)
    assert mnist.source == f"MNIST from the file {tmp_path / 'mine.npz'}: 30 training and 20 test images."
    assert mnist.x_train.dtype == mnist.x_test.dtype == np.float32
    assert mnist.y_train.dtype == mnist.y_test.dtype == np.int32
    np.testing.assert_array_equal(mnist.x_train.squeeze(axis), arrays["x_train"].astype("float32") / 255)
    np.testing.assert_array_equal(mnist.x_test.squeeze(axis), arrays["x_test"].astype("float32") / 255)
    np.testing.assert_array_equal(mnist.y_test, arrays["y_test"])
    assert hues.shape[axis] == 3


def test_without_a_path_keras_downloads_its_own_file_once_and_checks_it(tmp_path, monkeypatch):
    np.savez(tmp_path / "mnist.npz", **digits(12, 8))
    source = inspect.getsource(keras.datasets.mnist.load_data)

    def get_file(name, origin, *, file_hash):
        assert file_hash in source
        assert origin.removesuffix(name) in source
        return str(tmp_path / name)

    monkeypatch.setattr(keras.utils, "get_file", get_file)
    assert datasets.load_mnist().source == "MNIST from Keras' cache: 12 training and 8 test images."


def test_the_bundled_subset_is_balanced_and_has_its_licence():
    mnist = datasets.load_mnist_subset()
    assert mnist.source == "MNIST from the subset bundled with torusae: 8000 training and 2000 test images."
    np.testing.assert_array_equal(np.bincount(mnist.y_train), [800] * 10)
    np.testing.assert_array_equal(np.bincount(mnist.y_test), [200] * 10)
    # MNIST's mean grey value is 0.1307 (all 60000 training images).
    assert mnist.x_train.mean() == pytest.approx(0.1307, abs=0.002)
    text = importlib.resources.files("torusae").joinpath("datasets/files/README.md").read_text(encoding="utf-8")
    assert "Y. LeCun, C. Cortes, C. J. C. Burges; Creative Commons Attribution-Share Alike 3.0" in " ".join(
        text.split()
    )


def test_a_missing_path_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.npz"):
        datasets.load_mnist(tmp_path / "none.npz")
    with pytest.raises(TypeError, match=r"load_mnist: `path` must be a path\. Received: path=3"):
        datasets.load_mnist(3)


CONTENT = npz_bytes(**digits())


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", r"must be an npz file with the arrays x_train, y_train, x_test, y_test\. Received: EOFError"),
        (b"<html>log in first</html>", "must be an npz file"),
        (CONTENT[:-2000], "must be an npz file"),
        (CONTENT[:5000] + bytes(64) + CONTENT[5064:], "must be an npz file"),
        (npz_bytes(x_train=digits()["x_train"]), "Received: KeyError: .*y_train"),
        (npz_bytes(**{**digits(), "y_train": np.array([None] * 30)}), "must be an npz file"),
        (npz_bytes(**{**digits(), "x_test": np.zeros((20, 784), "uint8")}), r"Received: x_test.shape=\(20, 784\)"),
        (npz_bytes(**{**digits(), "x_train": np.zeros((30, 28, 28))}), "x_train.shape=.*, dtype=float64"),
        (npz_bytes(**{**digits(), "x_train": np.zeros((0, 28, 28), "uint8")}), r"x_train.shape=\(0, 28, 28\)"),
        (npz_bytes(**{**digits(), "y_train": np.zeros((30, 10), int)}), r"y_train.shape=\(30, 10\)"),
        (npz_bytes(**{**digits(), "y_test": np.zeros(20)}), "y_test.shape=.*, dtype=float64"),
        (npz_bytes(**{**digits(), "y_train": np.arange(30)}), "integers from 0 to 9"),
        (npz_bytes(**{**digits(), "y_train": np.arange(30) - 25}), "integers from 0 to 9"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(tmp_path, content, match):
    file = tmp_path / "wrong.npz"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"load_mnist: .*wrong\.npz") as caught:
        datasets.load_mnist(file)
    assert caught.match(match)
