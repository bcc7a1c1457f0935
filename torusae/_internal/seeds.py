"""Random numbers of a whole training from one seed."""

import contextlib
import random
from collections.abc import Iterator

import keras
import numpy as np

if keras.backend.backend() == "torch":
    import torch

_NO_SEED_OF_TENSORFLOW = 87654321  # what `get_seed` returns while no seed is set


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Random numbers of Python, NumPy and the backend from a seed; afterwards each goes on where it was.

    Keras draws the seeds of weights from Python's numbers, and orders rows by NumPy's or by the backend's. JAX has no
    state. TensorFlow shows its seed and not its place in the sequence: a seed that was set starts again.
    """
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    with contextlib.ExitStack() as stack:
        stack.callback(np.random.set_state, numpy)
        stack.callback(random.setstate, python)
        if keras.backend.backend() == "torch":
            stack.enter_context(torch.random.fork_rng(range(torch.cuda.device_count())))
            torch.manual_seed(seed)
        elif keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            before, _ = tf.compat.v1.get_seed(0)
            stack.callback(tf.random.set_seed, None if before == _NO_SEED_OF_TENSORFLOW else before)
            tf.random.set_seed(seed)
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        yield
