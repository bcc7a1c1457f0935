"""Several devices: what a loss of a batch sees is the whole batch, wherever its rows lie.

On JAX a compiled step is written for the global batch, so nothing is to be done there. TensorFlow's `MirroredStrategy`
and torch's `DistributedDataParallel` run the step on each replica with its own rows; both then average gradients.
"""

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from torusae import _checks
from torusae._checks import Tensor

_FILLED, _COUNT = "samples and filling", "number of samples"


def _engine() -> Any:
    """What moves tensors between the replicas of the running step: `None` where there is one replica.

    Keras has no operation for this, so this module, and no other, imports a backend's own.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        context = tf.distribute.get_replica_context()
        return _Mirrored(context) if context is not None and context.num_replicas_in_sync > 1 else None
    if backend == "torch":
        import torch.distributed

        ready = torch.distributed.is_available() and torch.distributed.is_initialized()
        return _Processes() if ready and torch.distributed.get_world_size() > 1 else None
    return None


class _Mirrored:
    """The replicas of a TensorFlow strategy."""

    def __init__(self, context):
        self.context = context
        self.size = context.num_replicas_in_sync

    def gather(self, values: Tensor) -> Tensor:
        rows = self.context.all_gather(values, axis=0)
        return ops.reshape(rows, (-1, *values.shape[1:]))  # the gathered shape is not known while tracing

    def sum(self, value: Tensor) -> Tensor:
        return self.context.all_reduce("SUM", value)


class _Processes:
    """The processes of a torch group."""

    def __init__(self):
        import torch.distributed

        self.torch = torch
        self.size = torch.distributed.get_world_size()

    def gather(self, values: Tensor) -> Tensor:
        # Replicas may hold different numbers of rows, and all_gather takes equal ones.
        count = self.torch.tensor(values.shape[0], device=values.device)
        gathered = [self.torch.empty_like(count) for _ in range(self.size)]
        self.torch.distributed.all_gather(gathered, count)
        counts = [int(each) for each in gathered]
        filled = self.torch.zeros((max(counts), *values.shape[1:]), dtype=values.dtype, device=values.device)
        filled[: values.shape[0]] = values.detach()
        parts = [self.torch.empty_like(filled) for _ in range(self.size)]
        self.torch.distributed.all_gather(parts, filled)
        parts = [part[:rows] for part, rows in zip(parts, counts, strict=True)]
        # Each replica differentiates by its own rows, so often that the mean over replicas is the sum over all rows.
        parts[self.torch.distributed.get_rank()] = values + (self.size - 1) * (values - values.detach())
        return ops.concatenate(parts)

    def sum(self, value: Tensor) -> Tensor:
        total = value.detach().clone()
        self.torch.distributed.all_reduce(total)
        return total


def num_replicas() -> int:
    """The number of replicas that run the present step, each with its own rows of the batch; 1 on JAX.

    Example:

    >>> from torusae import distribution
    >>> distribution.num_replicas()
    1
    """
    engine = _engine()
    return 1 if engine is None else engine.size


def gather(values: Tensor) -> Tensor:
    """The rows of all replicas, with the gradient of a loss of all of them; `values` itself where there is one replica.

    Each replica then has the loss of the global batch, and the mean over the replicas of their gradients, which
    `MirroredStrategy` and `DistributedDataParallel` take, is its gradient.

    Args:
        values: Float tensor `(batch, ...)`; the number of rows may differ from replica to replica.

    Returns:
        Tensor `(global batch, ...)`.

    Example:

    >>> import keras
    >>> from torusae import distribution
    >>> distribution.gather(keras.ops.ones((3, 2))).shape[0]
    3
    """
    engine = _engine()
    return values if engine is None else engine.gather(values)


def share(mean: Tensor, count: Tensor) -> Tensor:
    """A replica's mean of `count` samples, so weighted that the mean over replicas is that over all samples."""
    engine = _engine()
    if engine is None:
        return mean
    count = ops.cast(count, mean.dtype)
    return mean * count * engine.size / ops.maximum(engine.sum(count), 1e-12)


def mean(value: Tensor) -> Tensor:
    """The mean of a number over the replicas, without a gradient."""
    engine = _engine()
    return ops.stop_gradient(value) if engine is None else engine.sum(ops.stop_gradient(value)) / engine.size


def agree(value: Tensor) -> Tensor:
    """The mean of a number over the replicas, as `mean`, with the gradient that the replica's own number has."""
    return value if _engine() is None else value + mean(value) - ops.stop_gradient(value)


def num_parts() -> int:
    """The number of equal parts that `keras.distribution` lays a batch out in; 1 where none is set."""
    current = keras.distribution.distribution()
    if current is None or current.batch_dim_name is None:
        return 1
    mesh = current.device_mesh
    return int(mesh.shape[mesh.axis_names.index(current.batch_dim_name)])


class FilledBatches(keras.utils.PyDataset):
    """Arrays in batches that are filled up to a multiple of the devices, and marked with how many of their rows count.

    JAX lays a batch out in equal parts, and Keras stops at one that does not divide. Here rows are added, and a step
    begins by cutting them off, `without_filling`: what is computed is exactly the step of the smaller batch. The mark
    is the shape of an array, since a compiled step knows its shapes and no other numbers. Memory-mapped files are read
    a batch at a time.

    Args:
        arrays: Nested structure of NumPy arrays with one row a sample: `(x,)`, `(x, y)` or `(x, y, sample_weight)`.
        batch_size: Integer.
        num_parts: Integer, the number of devices.
        shuffle: Boolean, whether each epoch has a new order, from NumPy's global random numbers as in Keras.
        marked: Boolean, whether batches are marked, for a step that begins with `without_filling`.
    """

    def __init__(self, arrays: tuple, batch_size: int, num_parts: int, shuffle: bool = False, marked: bool = True):
        super().__init__()
        self.arrays = arrays
        self.batch_size = batch_size
        self.num_parts = num_parts
        self.shuffle = shuffle
        self.marked = marked
        self.num_rows = len(keras.tree.flatten(arrays)[0])
        self.order = np.arange(self.num_rows)
        self.on_epoch_begin()

    def __len__(self):
        return math.ceil(self.num_rows / self.batch_size)

    def on_epoch_begin(self):
        """Draws the order of an epoch."""
        if self.shuffle:
            self.order = np.random.permutation(self.num_rows)  # noqa: NPY002, the state that Keras seeds

    def __getitem__(self, index):
        rows = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        count = len(rows)
        rows = np.resize(rows, count + -count % self.num_parts)
        x, *rest = keras.tree.map_structure(lambda array: np.asarray(array[rows]), self.arrays)
        if not self.marked:
            return (x, *rest)
        # All batches alike: Keras lays out every one as the first.
        return ({_FILLED: x, _COUNT: np.zeros((self.num_parts, count), "int8")}, *rest)


def without_filling(data: Any) -> Any:
    """A batch of `FilledBatches` without the rows that were added; any other batch as it is."""
    x = data[0] if isinstance(data, (tuple, list)) and data else data
    if not (isinstance(x, dict) and set(x) == {_FILLED, _COUNT}):
        return data
    count = x[_COUNT].shape[1]
    return keras.tree.map_structure(lambda array: array[:count], (x[_FILLED], *data[1:]))


@contextlib.contextmanager
def data_parallel(num_devices: int | None = None) -> Iterator[None]:
    """Models that are built within train on several devices of this machine, with the losses of the global batch.

    On JAX this is `keras.distribution.DataParallel`, on TensorFlow `tf.distribute.MirroredStrategy`; `fit`, `evaluate`
    and `predict` go within, too.

    Args:
        num_devices: Integer, at least 1, or `None` for all: GPUs or TPUs where there are any, else CPU devices.
            Defaults to `None`.

    Raises:
        TypeError: If `num_devices` is not an integer.
        ValueError: If more devices are asked for than there are.
        RuntimeError: On torch, where each device has a process of its own: use `DistributedDataParallel`.

    Example:

    ```python
    with torusae.distribution.data_parallel(4):
        model = torusae.TorusAutoencoder.from_shape((28, 28, 1), dim=3)
        model.compile("adam", "mse")
        model.fit(x, batch_size=512)
    ```
    """
    if num_devices is not None:
        num_devices = _checks.positive_int("data_parallel", "num_devices", num_devices)
    if keras.backend.backend() == "torch":
        raise RuntimeError(
            "data_parallel: torch trains on several devices with one process for each. Start the script with "
            "`torchrun --nproc-per-node N` and wrap the model in torch.nn.parallel.DistributedDataParallel; "
            "the latent losses then gather the global batch by themselves. docs/devices.md has a recipe."
        )
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        found = [device.name for device in tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices()]
        scope = lambda devices: tf.distribute.MirroredStrategy(devices).scope()  # noqa: E731
    else:
        found = keras.distribution.list_devices()
        scope = lambda devices: keras.distribution.DataParallel(devices=devices).scope()  # noqa: E731
    if num_devices is not None and num_devices > len(found):
        raise ValueError(
            f"data_parallel: `num_devices` must be at most {len(found)}, the devices found: {', '.join(found)}. "
            f"Received: num_devices={num_devices}."
        )
    with scope(found[:num_devices]):
        yield
