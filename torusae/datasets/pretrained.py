"""Small trained autoencoders."""

import importlib.resources

import keras

from torusae._internal import checks, seeds
from torusae.autoencoder.model import TorusAutoencoder

_NAMES = ("mnist", "table1", "table2", "table3")


def load_model(name: str = "mnist") -> TorusAutoencoder:
    """A small trained `TorusAutoencoder`, for a first look at morphs, films, the explorer or an export.

    - `"mnist"`: three circles, digits `(28, 28, 1)` in [0, 1], trained on MNIST's 60,000 training digits.
    - `"table1"`, `"table2"`, `"table3"`: one to three circles, trained on the first 6000 rows of
      `torus_table(7000, dim, noise=0.1, seed=0)`.

    `examples/pretrained.py` trained them, with the default losses and no labels. Each has a `TorusFlow` of its training
    points, for `sample` and `uniform=True`. To train on, call `compile` first.

    Args:
        name: One of the names above. Defaults to `"mnist"`.

    Returns:
        `TorusAutoencoder`, not compiled, on every backend with the same angles up to rounding.

    Raises:
        ValueError: If there is no model of this name.

    Example:

    >>> import torusae.datasets
    >>> model = torusae.datasets.load_model("table2")
    >>> table, truth = torusae.datasets.torus_table(20, dim=2, noise=0.1, seed=0)
    >>> model.angles(table, verbose=0).shape
    (20, 2)
    """
    checks.option("load_model", "name", name, _NAMES)
    bundled = importlib.resources.files("torusae").joinpath("datasets", "files", f"{name}.keras")
    with importlib.resources.as_file(bundled) as file, seeds.kept():
        return keras.saving.load_model(file, compile=False)
