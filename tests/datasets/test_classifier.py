"""The classifier of digits, and files that are wrong."""

import importlib.resources
import zipfile

import keras
import numpy as np
import pytest

from torusae import datasets


@pytest.fixture(scope="module")
def judged():
    """The bundled classifier, and its features and probabilities of the bundled test digits."""
    classifier = datasets.load_digit_classifier()
    both = keras.Model(classifier.inputs, [classifier.get_layer("features").output, classifier.outputs[0]])
    subset = np.load(importlib.resources.files("torusae").joinpath("datasets/files/mnist_subset.npz"))
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
    resource = importlib.resources.files("torusae").joinpath("datasets/files/digit_classifier.keras")
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


CLASSIFIER = importlib.resources.files("torusae").joinpath("datasets/files/digit_classifier.keras").read_bytes()


@pytest.mark.parametrize("length", [0, 3, 30, 1000, len(CLASSIFIER) // 2, len(CLASSIFIER) - 1])
def test_a_classifier_that_is_cut_off(tmp_path, length):
    (tmp_path / "cut.keras").write_bytes(CLASSIFIER[:length])
    with pytest.raises(ValueError, match=r"load_digit_classifier: .*cut\.keras is (not a \.keras file|damaged)"):
        datasets.load_digit_classifier(tmp_path / "cut.keras")


def test_altered_bytes_are_found_or_change_nothing(tmp_path):
    """Keras alone loads altered weights without an error."""
    file = tmp_path / "altered.keras"
    expected = datasets.load_digit_classifier().get_weights()
    found = 0
    size = len(CLASSIFIER)
    for position in [*np.linspace(0, size - 1, 25, dtype=int), *range(size - 250, size, 25)]:
        content = bytearray(CLASSIFIER)
        content[position] ^= 0xFF
        file.write_bytes(content)
        try:
            weights = datasets.load_digit_classifier(file).get_weights()
        except ValueError as error:
            assert "altered.keras" in str(error)  # noqa: PT017
            found += 1
            continue
        for ours, theirs in zip(weights, expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert found > 20


def test_an_archive_that_is_no_model(tmp_path):
    with zipfile.ZipFile(tmp_path / "text.keras", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(ValueError, match=r"load_digit_classifier: Keras can't load .*text\.keras \("):
        datasets.load_digit_classifier(tmp_path / "text.keras")
