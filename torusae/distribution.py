"""Several devices: computes batch losses over the rows of all replicas.

On JAX a compiled step is written for the global batch, so there is one replica. TensorFlow's `MirroredStrategy` and
torch's `DistributedDataParallel` run the step on each replica with its own rows, and then average the gradients.
"""

import contextlib
from collections.abc import Iterator

import keras
from keras import ops

from torusae._internal import backend, checks
from torusae._internal.checks import Tensor


def num_replicas() -> int:
    """The number of replicas that run the present step, each with its own rows of the batch; 1 on JAX."""
    return backend.replicas().size


def gather(values: Tensor) -> Tensor:
    """The rows of all replicas, `(global batch, ...)`; the number of rows may differ between replicas.

    A loss of the gathered rows is the loss of the global batch. The mean over replicas of its gradients, which
    `MirroredStrategy` and `DistributedDataParallel` take, is the gradient of the global batch.
    """
    return backend.replicas().gather(values)


def sum_over_replicas(value: Tensor) -> Tensor:
    """The sum of a tensor over the replicas, without a gradient; `value` itself where there is one replica."""
    replicas = backend.replicas()
    return value if replicas.size == 1 else replicas.sum(value)


def share(mean: Tensor, count: Tensor) -> Tensor:
    """A replica's mean over `count` samples, scaled so that the mean over replicas is the mean over all samples."""
    replicas = backend.replicas()
    if replicas.size == 1:
        return mean
    count = ops.cast(count, mean.dtype)
    return mean * count * replicas.size / ops.maximum(replicas.sum(count), 1e-12)


def mean(value: Tensor) -> Tensor:
    """The mean of a tensor over the replicas, without a gradient."""
    replicas = backend.replicas()
    return ops.stop_gradient(value) if replicas.size == 1 else replicas.sum(value) / replicas.size


def agree(value: Tensor) -> Tensor:
    """The mean of a tensor over the replicas, with the gradient of the replica's own value."""
    return value if num_replicas() == 1 else value + mean(value) - ops.stop_gradient(value)


def num_parts() -> int:
    """The number of equal parts into which `keras.distribution` divides a batch; 1 without a distribution."""
    current = keras.distribution.distribution()
    if current is None or current.batch_dim_name is None:
        return 1
    mesh = current.device_mesh
    return int(mesh.shape[mesh.axis_names.index(current.batch_dim_name)])


@contextlib.contextmanager
def data_parallel(num_devices: int | None = None) -> Iterator[None]:
    """A scope whose models train on several devices of this machine, with the losses of the global batch.

    On JAX this is `keras.distribution.DataParallel`, on TensorFlow `tf.distribute.MirroredStrategy`. Build the model
    and call `fit`, `evaluate` and `predict` within the scope.

    Args:
        num_devices: Integer, GPUs or TPUs if there are any, otherwise CPU devices. Defaults to `None`, all.

    Raises:
        ValueError: If `num_devices` is larger than the number of devices.
        RuntimeError: On torch, where each device has its own process: use `DistributedDataParallel`.

    Example:

        with torusae.distribution.data_parallel(4):
            model = torusae.TorusAutoencoder.from_shape((28, 28, 1), dim=3)
            model.compile("adam", "mse")
            model.fit(x, batch_size=512)
    """
    num_devices = checks.optional_int("data_parallel", "num_devices", num_devices)
    found, scope = backend.parallel_devices()
    if num_devices is not None and num_devices > len(found):
        raise ValueError(
            f"data_parallel: `num_devices` must be at most {len(found)}, the devices found: {', '.join(found)}. "
            f"Received: num_devices={num_devices}. Ask for fewer, or pass None for all."
        )
    with scope(found[:num_devices]):
        yield
