"""What the suite assumes of the process that runs it."""

import os

import keras


def test_backend_is_the_one_requested():
    # Keras falls back to the file in ~/.keras; a run that names no backend must fail, not pass on some other one.
    assert keras.backend.backend() == os.environ["KERAS_BACKEND"]
