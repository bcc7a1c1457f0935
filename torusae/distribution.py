"""Several devices: computes batch losses over the rows of all replicas.

On JAX a compiled step is written for the global batch, so there is one replica. TensorFlow's `MirroredStrategy` and
torch's `DistributedDataParallel` run the step on each replica with its own rows, and then average the gradients.
"""

import contextlib
from collections.abc import Iterator

from torusae._internal import checks, replicas
from torusae._internal.checks import Tensor


def num_replicas() -> int:
    """The number of replicas that run the present step, each with its own rows of the batch; 1 on JAX."""
    return replicas.current().size


def gather(values: Tensor) -> Tensor:
    """The rows of all replicas, `(global batch, ...)`; the number of rows may differ between replicas.

    A loss of the gathered rows is the loss of the global batch. The mean over replicas of its gradients, which
    `MirroredStrategy` and `DistributedDataParallel` take, is the gradient of the global batch.
    """
    return replicas.current().gather(values)


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
    found, scope = replicas.parallel_devices()
    if num_devices is not None and num_devices > len(found):
        raise ValueError(
            f"data_parallel: `num_devices` must be at most {len(found)}, the devices found: {', '.join(found)}. "
            f"Received: num_devices={num_devices}. Ask for fewer, or pass None for all."
        )
    with scope(found[:num_devices]):
        yield
