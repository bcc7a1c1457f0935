"""Set-up of every test. A backend is a process: set KERAS_BACKEND, run pytest, and all of the suite runs on it."""

import contextlib
import gc
import os

# TensorFlow that is loaded before torch can crash the process, so torch comes first where both are installed.
with contextlib.suppress(ModuleNotFoundError):
    import torch  # noqa: F401

import hypothesis
import keras
import matplotlib
import numpy as np
import pytest

if keras.backend.backend() == "tensorflow" and os.environ.get("TESTS_OF_PLAIN_GRAPHS"):
    import tensorflow as tf

    # A graph that runs a few times is not worth its optimization.
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})

matplotlib.use("Agg")
pytest.register_assert_rewrite("shared")

# The same examples in every run: a failure is then a change of the code, never of the dice.
hypothesis.settings.register_profile("torusae", deadline=None, derandomize=True, max_examples=20)
hypothesis.settings.load_profile("torusae")


def pytest_collection_finish():
    """What was imported stays: no collection of garbage goes through the backend's million objects again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Tests marked `eager` run op by op on TensorFlow, with the fixtures that they make; `eager(False)` is none."""
    marker = item.get_closest_marker("eager")
    if keras.backend.backend() != "tensorflow" or not marker or marker.args == (False,):
        return (yield)
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    try:
        return (yield)
    finally:
        tf.config.run_functions_eagerly(False)


@pytest.fixture(autouse=True)
def _seed():
    """Every test starts from the same state of Python's, NumPy's and the backend's random numbers."""
    keras.utils.set_random_seed(0)


@pytest.fixture
def rng():
    """A NumPy generator with a fixed seed."""
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def trained():
    """A tiny model with a head, trained for a step; tests that use it don't train it."""
    from shared import tiny

    keras.utils.set_random_seed(0)
    model = tiny.tiny_model({"digit": tiny.digit_head()})
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(tiny.samples(), {"digit": tiny.labels()}, batch_size=20, verbose=0)
    return model


@pytest.fixture(scope="module")
def plain():
    """A compiled tiny model without heads that any test may train: none depends on what it has learned."""
    from shared import tiny

    keras.utils.set_random_seed(0)
    model = tiny.tiny_model()
    model.compile("adam", "mse")
    return model
