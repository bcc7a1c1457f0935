"""A small trained classifier of digits."""

import importlib.resources
import os

import keras

from torusae.datasets import _files

_OWNER = "load_digit_classifier"
_FIX = "Train a classifier with examples/digit_classifier.py."


def load_digit_classifier(path: str | os.PathLike[str] | None = None) -> keras.Model:
    """A small trained classifier of MNIST's digits, for measuring the quality of generated digits.

    The Fréchet distance between real and generated digits compares the outputs of its layer `"features"`, 64 units with
    tanh: `keras.Model(classifier.inputs, classifier.get_layer("features").output)`. The bundled classifier, trained by
    `examples/digit_classifier.py`, has an accuracy of 99.24 % on MNIST's test digits.

    Args:
        path: A `.keras` file from `examples/digit_classifier.py`. Defaults to `None`, the bundled classifier.

    Returns:
        Keras model, not compiled, from images `(batch, 28, 28, 1)` in [0, 1] to probabilities `(batch, 10)`. The
        channel is the last axis, for any `keras.config.image_data_format()`.

    Raises:
        FileNotFoundError: If there is no file at `path`.
        ValueError: If the file is damaged, or its model has other shapes or no layer `"features"`.

    Example:

    >>> import torusae.datasets
    >>> classifier = torusae.datasets.load_digit_classifier()
    >>> classifier.output_shape, classifier.get_layer("features").output.shape
    ((None, 10), (None, 64))

    Reference:
        Heusel et al. (2017), arXiv:1706.08500, for the distance. The architecture is a torusae choice.
    """
    if path is None:
        with importlib.resources.as_file(_files.bundled("digit_classifier.keras")) as file:
            return _files.load_keras(_OWNER, file, _FIX)
    file = _files.existing_file(
        _OWNER, path, "a .keras file", "Leave `path` out to use the classifier that comes with torusae."
    )
    model = _files.load_keras(_OWNER, file, _FIX)
    shapes = getattr(model, "input_shape", None), getattr(model, "output_shape", None)
    if shapes != ((None, 28, 28, 1), (None, 10)):
        raise ValueError(
            f"{_OWNER}: the model must map images (None, 28, 28, 1) to (None, 10). Found: {shapes[0]} to {shapes[1]} "
            f"in {file}. Train one with examples/digit_classifier.py."
        )
    names = [layer.name for layer in model.layers]
    if "features" not in names:
        raise ValueError(
            f"{_OWNER}: the model must have a layer named 'features'. Found: {names} in {file}. Train one with "
            f"examples/digit_classifier.py."
        )
    return model
