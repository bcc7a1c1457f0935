"""The global random numbers: of a whole training from one seed, and left alone by what only reads."""

import contextlib
import random
import threading
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

if keras.backend.backend() == "torch":
    import torch  # Keras can neither read nor set its global generator, from which it orders rows

DRAWS = keras.backend.backend() == "torch"
"""Whether Keras draws a number to read arrays, even in their order: see `quiet`."""

_NO_SEED_OF_TENSORFLOW = 87654321  # what `get_seed` returns while no seed is set
_LOCK = threading.RLock()  # the generators are one for all threads: two fits at a time would take each other's numbers


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Random numbers of Python, NumPy and torch go on afterwards where they were. JAX has no state.

    Keras draws the seeds of a layer's weights from Python's numbers, even where a file then brings the weights.
    """
    with _LOCK, contextlib.ExitStack() as stack:
        stack.callback(np.random.set_state, np.random.get_state())  # noqa: NPY002
        stack.callback(random.setstate, random.getstate())
        if keras.backend.backend() == "torch":
            stack.enter_context(torch.random.fork_rng(range(torch.cuda.device_count())))
        yield


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Random numbers of Python, NumPy and the backend from a seed; afterwards each goes on where it was.

    Keras orders rows by NumPy's numbers or by the backend's. TensorFlow shows its seed and not its place in the
    sequence: a seed that was set starts again.
    """
    with kept(), contextlib.ExitStack() as stack:
        if keras.backend.backend() == "torch":
            torch.manual_seed(seed)
        elif keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            before, _ = tf.compat.v1.get_seed(0)
            stack.callback(tf.random.set_seed, None if before == _NO_SEED_OF_TENSORFLOW else before)
            tf.random.set_seed(seed)
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        yield


def quiet(batches: keras.utils.PyDataset | None) -> Any:
    """Batches that Keras reads without a number of the global generators, on every backend.

    On torch Keras reads by a `DataLoader`, which draws a number even where it shuffles nothing. This one has a
    generator of its own: to set the global one back afterwards would turn back a training in another thread, too.
    """
    if batches is None or not DRAWS:
        return batches

    def tensors(batch):
        return keras.tree.map_structure(ops.convert_to_tensor, batch)

    return torch.utils.data.DataLoader(batches, batch_size=None, collate_fn=tensors, generator=torch.Generator())
