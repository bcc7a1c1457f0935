"""MNIST from each of its sources, files that are wrong, and data with known truth. Nothing here uses a network."""

import importlib.resources
import io
import itertools
import socket
import zipfile

import keras
import numpy as np
import pytest
import scipy.stats

from torusae import datasets


def digits(num_train=30, num_test=20):
    rng = np.random.default_rng(0)
    return {
        "x_train": rng.integers(0, 256, (num_train, 28, 28), dtype=np.uint8),
        "y_train": (np.arange(num_train) % 10).astype("uint8"),
        "x_test": rng.integers(0, 256, (num_test, 28, 28), dtype=np.uint8),
        "y_test": (np.arange(num_test) % 10).astype("uint8"),
    }


@pytest.fixture
def keras_cache(monkeypatch, tmp_path):
    """An empty Keras cache and a download that fails the test unless it is replaced."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    folder = tmp_path / "keras" / "datasets"
    folder.mkdir(parents=True)

    def load_data():
        pytest.fail("the download was tried")

    monkeypatch.setattr(keras.datasets.mnist, "load_data", load_data)
    return folder / "mnist.npz"


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


def test_the_download_comes_before_the_subset(keras_cache, monkeypatch):
    arrays, seen = digits(), []

    def load_data():
        seen.append(socket.getdefaulttimeout())
        return (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])

    monkeypatch.setattr(keras.datasets.mnist, "load_data", load_data)
    mnist = datasets.load_mnist()
    assert mnist.source == "MNIST from the download by keras.datasets.mnist: 30 training and 20 test images."
    assert seen == [10.0]  # seconds: an unreachable network must not hang
    assert socket.getdefaulttimeout() is None


def test_a_failed_download_falls_back_with_a_warning(keras_cache, monkeypatch):
    def load_data():
        raise Exception("URL fetch failure on example: None -- timed out")

    monkeypatch.setattr(keras.datasets.mnist, "load_data", load_data)
    with pytest.warns(
        UserWarning, match=r"the download failed \(URL fetch failure .*8000 training and 2000 test images"
    ):
        mnist = datasets.load_mnist()
    assert mnist.source == (
        "MNIST from the subset bundled with torusae: 8000 training and 2000 test images "
        f"(no file in the Keras cache at {keras_cache}; "
        "the download failed (URL fetch failure on example: None -- timed out))."
    )
    assert socket.getdefaulttimeout() is None


def test_the_bundled_subset_is_balanced_and_needs_no_network(keras_cache):
    mnist = datasets.load_mnist(download=False)
    assert "bundled with torusae: 8000 training and 2000 test images" in mnist.source
    assert "download=False" in mnist.source
    np.testing.assert_array_equal(np.bincount(mnist.y_train), [800] * 10)
    np.testing.assert_array_equal(np.bincount(mnist.y_test), [200] * 10)
    assert mnist.x_train.min() == 0
    assert mnist.x_train.max() == 1
    # MNIST's mean grey value is 0.1307 (all 60000 training images).
    assert mnist.x_train.mean() == pytest.approx(0.1307, abs=0.002)


def test_the_subset_is_a_small_resource_with_its_licence():
    data = importlib.resources.files("torusae") / "data"
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


def npz_bytes(**arrays):
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


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
        (zipped_text, r"lacks the arrays \['x_train', .* Found: \['readme.txt'\]"),
        (lambda: npz_bytes(x_train=digits()["x_train"]), r"lacks the arrays \['y_train', 'x_test', 'y_test'\]"),
        (lambda: npz_bytes(**{**digits(), "x_test": np.zeros((20, 784), "uint8")}), r"'x_test' .*shape \(20, 784\)"),
        (lambda: npz_bytes(**{**digits(), "x_train": np.zeros((30, 28, 28))}), r"'x_train' .*dtype float64"),
        (lambda: npz_bytes(**{**digits(), "x_train": np.zeros((0, 28, 28), "uint8")}), r"shape \(0, 28, 28\)"),
        (lambda: npz_bytes(**{**digits(), "y_train": np.zeros((30, 10), int)}), r"'y_train' .*one-hot"),
        (lambda: npz_bytes(**{**digits(), "y_test": np.zeros(19, int)}), r"one integer per image, shape \(20,\)"),
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


@pytest.mark.parametrize("make", [datasets.torus_table, datasets.hue_images], ids=lambda make: make.__name__)
def test_seeds(make):
    first, angles = make(20, seed=3)
    again, angles_again = make(20, seed=3)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(angles, angles_again)
    assert not np.array_equal(angles, make(20, seed=4)[1])
    assert not np.array_equal(make(20)[1], make(20)[1])
    generator = np.random.default_rng(3)
    from_generator = make(20, seed=generator)[1]
    np.testing.assert_array_equal(from_generator, angles)
    assert not np.array_equal(make(20, seed=generator)[1], from_generator)  # a generator moves on
    for array in (first, angles):
        assert array.dtype == np.float32
    assert np.abs(angles).max() < np.pi


def test_the_same_seed_gives_the_same_data_everywhere():
    # Printed by this function with NumPy 2.4: a change here changes the data of everyone who wrote a seed down.
    table, angles = datasets.torus_table(2, dim=2, columns=2, seed=0)
    np.testing.assert_allclose(angles, [[1.1133606, -1.6148618], [0.7022327, -0.4831780]], atol=1e-5)
    np.testing.assert_allclose(table, [[-0.3240244, -0.1371833], [0.7633613, -0.6911686]], atol=1e-5)


@pytest.mark.parametrize(("dim", "noise"), [(1, 0.0), (2, 0.5), (3, 0.0), (5, 0.05)])
def test_table_is_standardised(dim, noise):
    table, angles = datasets.torus_table(20000, dim, columns=12, noise=noise, seed=1)
    assert table.shape == (20000, 12)
    assert angles.shape == (20000, dim)
    # Four standard errors of a mean of 20000, and of a variance of about that relative size.
    np.testing.assert_allclose(table.mean(axis=0), 0, atol=0.03)
    np.testing.assert_allclose(table.var(axis=0), 1, atol=0.05)


def test_table_rows_do_not_depend_on_how_many_there_are():
    small, large = (datasets.torus_table(num, noise=0.1, seed=2) for num in (10, 100))
    np.testing.assert_array_equal(small[1], large[1][:10])
    np.testing.assert_allclose(small[0], large[0][:10], atol=1e-5)


def test_table_is_a_smooth_function_of_the_angles():
    """A least-squares fit on the sines and cosines of the documented waves leaves nothing, and with noise its share."""
    for noise in (0.0, 0.5):
        table, angles = datasets.torus_table(2000, dim=2, columns=6, noise=noise, seed=0)
        waves = np.array([[1, 0], [0, 1], [2, 0], [0, 2], [1, 1], [1, -1]])
        features = np.concatenate([np.cos(angles @ waves.T), np.sin(angles @ waves.T)], axis=1)
        rest = table - features @ np.linalg.lstsq(features, table, rcond=None)[0]
        np.testing.assert_allclose(rest.var(axis=0), noise**2 / (1 + noise**2), atol=0.03 if noise else 1e-6)


def test_table_columns_depend_on_every_circle():
    table, angles = datasets.torus_table(5000, dim=3, columns=50, seed=0)
    for circle in range(3):
        wave = np.exp(1j * angles[:, circle])
        assert np.abs(table.T @ wave / len(wave)).max() > 0.3


def test_hue_images_show_hue_and_direction():
    images, angles = datasets.hue_images(500, size=16, seed=0)
    assert images.min() >= 0
    assert images.max() <= 1
    channels = np.moveaxis(images, 1, -1) if keras.config.image_data_format() == "channels_first" else images
    axis = (np.arange(16) + 0.5) / 8 - 1
    weight = channels.sum(axis=-1)
    x = (weight * axis[None, None, :]).sum(axis=(1, 2))
    y = (weight * -axis[None, :, None]).sum(axis=(1, 2))
    difference = (np.arctan2(y, x) - angles[:, 1] + np.pi) % (2 * np.pi) - np.pi
    assert np.abs(difference).max() < 0.05  # the centre of mass lies on the hand, up to the pixels' size
    colour = channels.sum(axis=(1, 2))
    hue = np.angle(colour @ np.exp(2j * np.pi / 3 * np.arange(3)))
    difference = (hue - angles[:, 0] + np.pi) % (2 * np.pi) - np.pi
    assert np.abs(difference).max() < 1e-3


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: datasets.torus_table(0), ValueError, "torus_table: `num_samples` must be at least 1"),
        (lambda: datasets.torus_table(5, dim=0), ValueError, "`dim` must be at least 1"),
        (
            lambda: datasets.torus_table(5, columns=1.5),
            TypeError,
            "`columns` must be an integer. Received: columns=1.5",
        ),
        (lambda: datasets.torus_table(5, noise=-1), ValueError, "`noise` must be finite and not negative"),
        (lambda: datasets.torus_table(5, seed=-1), ValueError, "`seed` must be at least 0"),
        (lambda: datasets.torus_table(5, seed="a"), TypeError, "`seed` must be an integer. Received: seed='a'"),
        (lambda: datasets.hue_images(5, size=7), ValueError, "hue_images: `size` must be at least 8. Received: size=7"),
        (lambda: datasets.hue_images(2.0), TypeError, "hue_images: `num_samples` must be an integer"),
    ],
)
def test_synthetic_errors(call, error, match):
    with pytest.raises(error, match=match):
        call()


# The classifier of digits


@pytest.fixture(scope="module")
def judged():
    """The bundled classifier, and its features and probabilities of the bundled test digits."""
    classifier = datasets.load_digit_classifier()
    both = keras.Model(classifier.inputs, [classifier.get_layer("features").output, classifier.outputs[0]])
    subset = np.load(importlib.resources.files("torusae").joinpath("data/mnist_subset.npz"))
    images = subset["x_test"][..., None].astype("float32") / 255
    features, probabilities = both.predict(images, batch_size=500, verbose=0)
    return features, probabilities, subset["y_test"]


def test_the_classifier_gives_the_same_outputs_everywhere(judged):
    features, probabilities, labels = judged
    # Written down by TensorFlow: the same float32 sums in another order.
    expected = [[-0.910946, 0.999615, -0.990309, 0.315844], [-0.821237, -0.990294, 0.849062, -0.609005]]
    np.testing.assert_allclose(features[:2, :4], expected, atol=1e-5)
    np.testing.assert_allclose(features.mean(axis=0)[:4], [-0.338693, -0.239558, -0.068598, -0.010598], atol=1e-5)
    hard = [76, 128, 181, 33, 139]  # digits that it is less sure of
    expected = [0.120086, 0.124598, 0.166459, 0.174783, 1.437132]
    np.testing.assert_allclose(-np.log(probabilities[hard, labels[hard]]), expected, rtol=1e-4)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_the_classifier_knows_digits(judged):
    features, probabilities, labels = judged
    assert (probabilities.argmax(axis=1) == labels).mean() == 0.995
    # No unit that is always the same: a Fréchet distance needs the covariance of the features.
    assert features.std(axis=0).min() > 0.1
    assert np.linalg.eigvalsh(np.cov(features.T)).min() > 0.01


def test_the_classifier_is_small_and_has_no_optimizer():
    resource = importlib.resources.files("torusae").joinpath("data/digit_classifier.keras")
    assert len(resource.read_bytes()) < 400_000
    assert not datasets.load_digit_classifier().compiled


def test_a_classifier_of_ones_own(tmp_path):
    datasets.load_digit_classifier().save(tmp_path / "mine.keras")
    mine = datasets.load_digit_classifier(str(tmp_path / "mine.keras"))
    assert mine.get_layer("features").output.shape == (None, 64)


@pytest.mark.parametrize(
    ("shape", "units", "name", "match"),
    [
        (
            (32, 32, 1),
            10,
            "features",
            r"must map images \(None, 28, 28, 1\) to \(None, 10\). Found: \(None, 32, 32, 1\)",
        ),
        ((28, 28, 1), 11, "features", r"Found: \(None, 28, 28, 1\) to \(None, 11\)"),
        ((28, 28, 1), 10, "other", r"must have a layer named 'features'. Found: \["),
    ],
)
def test_a_classifier_that_does_not_fit(tmp_path, shape, units, name, match):
    layers = [keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(3, name=name), keras.layers.Dense(units)]
    keras.Sequential(layers).save(tmp_path / "other.keras")
    with pytest.raises(ValueError, match=match):
        datasets.load_digit_classifier(tmp_path / "other.keras")


def test_a_classifier_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Found nothing at .*nowhere\.keras. Leave `path` out"):
        datasets.load_digit_classifier(tmp_path / "nowhere.keras")
    with pytest.raises(FileNotFoundError, match="Found a folder at"):
        datasets.load_digit_classifier(tmp_path)
    with pytest.raises(TypeError, match=r"must be a path to a \.keras file or None. Received: path=3"):
        datasets.load_digit_classifier(3)


# Random samples of streams


class Numbered(keras.utils.PyDataset):
    """Batches of 7 rows that hold their own numbers, 100 in all."""

    def __len__(self):
        return 15

    def __getitem__(self, index):
        rows = np.arange(7 * index, min(7 * index + 7, 100))
        return rows[:, None].astype("float32"), {"number": rows}


def numbered_stream(kind):
    batches = [Numbered()[i] for i in range(15)]
    if kind == "tensorflow":
        import tensorflow as tf

        return tf.data.Dataset.from_generator(
            lambda: batches,
            output_signature=(tf.TensorSpec([None, 1], "float32"), {"number": tf.TensorSpec([None], "int64")}),
        )
    if kind == "torch":
        import torch

        return torch.utils.data.DataLoader(batches, batch_size=None)
    return {"generator": (batch for batch in batches), "PyDataset": Numbered()}[kind]


KINDS = ["generator", "PyDataset", *({"torch", "tensorflow"} & {keras.backend.backend()})]


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_a_stream_stay_together_and_in_order(kind):
    x, y = datasets.sample_rows(numbered_stream(kind), 30, seed=0)
    assert type(x) is np.ndarray
    assert x.shape == (30, 1)
    assert (np.diff(y["number"]) > 0).all()
    np.testing.assert_array_equal(x[:, 0], y["number"])
    again, _ = datasets.sample_rows(numbered_stream(kind), 30, seed=0)
    np.testing.assert_array_equal(x, again)
    everything, _ = datasets.sample_rows(numbered_stream(kind), 500)
    np.testing.assert_array_equal(everything[:, 0], np.arange(100))


def test_every_row_of_a_stream_has_the_same_chance():
    counts = np.zeros(20)
    for seed in range(2000):
        batches = (np.arange(i, min(i + 6, 20)) for i in range(0, 20, 6))
        counts[datasets.sample_rows(batches, 5, seed=seed)] += 1
    # Each row is drawn with probability 1/4; the chi-square of 19 free counts, drawn without replacement.
    statistic = ((counts - 500) ** 2 / (500 * 0.75)).sum() * 19 / 20
    assert statistic < scipy.stats.chi2.ppf(0.999, 19)


def test_of_a_memory_mapped_file_only_the_rows_drawn_are_read(tmp_path):
    x = np.arange(60, dtype="float32").reshape(30, 2)
    np.save(tmp_path / "x.npy", x)
    rows, labels = datasets.sample_rows((np.load(tmp_path / "x.npy", mmap_mode="r"), np.arange(30)), 10, seed=1)
    assert not isinstance(rows, np.memmap)
    np.testing.assert_array_equal(rows, x[labels])
    assert (np.diff(labels) > 0).all()
    assert datasets.sample_rows(x, 100).shape == (30, 2)


def test_a_stream_without_an_end_needs_steps():
    endless = (np.full(3, i) for i in itertools.count())
    assert datasets.sample_rows(endless, 100, steps=4).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]

    class Endless(Numbered):
        @property
        def num_batches(self):
            return None

    with pytest.raises(ValueError, match=r"never ends.*Give the number of batches"):
        datasets.sample_rows(Endless(), 5)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (lambda: [[1.0, 2.0]], TypeError, "arrays or a stream of batches. Received: list"),
        (lambda: 3, TypeError, "Received: int"),
        (lambda: iter([]), ValueError, "has no rows"),
        (lambda: iter([np.zeros((2, 3)), np.zeros((2, 4))]), ValueError, r"shapes \(2, 4\) in batch 2"),
        (lambda: iter([np.zeros(2), (np.zeros(2), np.zeros(2))]), ValueError, "in batch 2"),
        (lambda: iter([(np.zeros(2), np.zeros(3))]), ValueError, "batch 1 must be arrays with one row a sample"),
        (lambda: (np.zeros(2), np.zeros(3)), ValueError, "`data` must be arrays with one row a sample"),
        (lambda: np.float32(3), ValueError, r"shapes \[\(\)\]"),
    ],
)
def test_streams_that_can_not_be_sampled(data, error, message):
    with pytest.raises(error, match=message):
        datasets.sample_rows(data(), 5)
