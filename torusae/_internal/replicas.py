"""The replicas of a training step, and how values travel between them: Keras has no operation that does it."""

import contextlib
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from torusae._internal.checks import Tensor

if keras.backend.backend() == "torch":
    import torch


class Replicas:
    """The replicas that run the present step, each with its own rows of the batch. Here there is one.

    A step fetches them once, with `current`.
    """

    size = 1
    separates_added_losses = True

    def gather(self, values: Tensor) -> Tensor:
        """The rows of all replicas."""
        return values

    def sum(self, value: Tensor) -> Tensor:
        """The sum over the replicas, without a gradient."""
        return ops.stop_gradient(value)

    def all_reduce_mean(self, value: Tensor) -> Tensor:
        """The mean over the replicas, without a gradient."""
        return ops.stop_gradient(value)

    def weighted_means(self, means: list[Tensor], counts: list[Tensor]) -> list[Tensor]:
        """A replica's means, each over some samples, scaled so that their means over replicas are those of all rows."""
        return means

    def loss_of_all(self, loss: Tensor) -> Tensor:
        """What `compute_loss` returns: the mean over the replicas, with the gradient of the replica's own loss."""
        return loss

    def scaled(self, loss: Tensor) -> Tensor:
        """A loss as Keras wants it: divided by the number of replicas where it adds up their gradients."""
        return loss

    def unscaled(self, loss: Tensor) -> Tensor:
        """What a loss of Keras returned, without that division."""
        return loss


class _SeveralReplicas(Replicas):
    def all_reduce_mean(self, value):
        return self.sum(value) / self.size

    def weighted_means(self, means, counts):
        counts = ops.cast(ops.stack(counts), "float32")
        shares = counts * self.size / ops.maximum(self.sum(counts), 1e-12)
        return [mean * ops.cast(shares[index], mean.dtype) for index, mean in enumerate(means)]

    def loss_of_all(self, loss):
        return self.scaled(loss + self.all_reduce_mean(loss) - ops.stop_gradient(loss))


class _MirroredReplicas(_SeveralReplicas):
    """The replicas of a TensorFlow strategy: threads that share each layer, and with it Keras' list of its losses."""

    separates_added_losses = False

    def __init__(self, context):
        self.context = context
        self.size = context.num_replicas_in_sync

    def gather(self, values):
        rows = self.context.all_gather(values, axis=0)
        return ops.reshape(rows, (-1, *values.shape[1:]))  # tracing loses the shape of gathered rows

    def sum(self, value):
        return self.context.all_reduce("SUM", ops.stop_gradient(value))

    def scaled(self, loss):
        return loss / self.size

    def unscaled(self, loss):
        return loss * self.size


class _ProcessReplicas(_SeveralReplicas):
    """The processes of a torch group. `DistributedDataParallel` takes the mean of their gradients."""

    def __init__(self):
        import torch.distributed

        self.torch = torch
        self.size = torch.distributed.get_world_size()

    def gather(self, values):
        # all_gather needs equal shapes, and replicas may hold different numbers of rows.
        count = self.torch.tensor(values.shape[0], device=values.device)
        counts = [self.torch.empty_like(count) for _ in range(self.size)]
        self.torch.distributed.all_gather(counts, count)
        counts = [int(each) for each in counts]
        padded = self.torch.zeros((max(counts), *values.shape[1:]), dtype=values.dtype, device=values.device)
        padded[: values.shape[0]] = values.detach()
        parts = [self.torch.empty_like(padded) for _ in range(self.size)]
        self.torch.distributed.all_gather(parts, padded)
        parts = [part[:rows] for part, rows in zip(parts, counts, strict=True)]
        # Only the own rows carry a gradient. It is scaled by the number of replicas, so that averaging over the
        # replicas gives the gradient of the global loss.
        parts[self.torch.distributed.get_rank()] = values + (self.size - 1) * (values - values.detach())
        return ops.concatenate(parts)

    def sum(self, value):
        total = value.detach().clone()
        self.torch.distributed.all_reduce(total)
        return total


_ONE_REPLICA = Replicas()


def current() -> Replicas:
    """The replicas that run the present step, each with its own rows of the batch.

    On JAX there is always one: a compiled step is written for the global batch.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        context = tf.distribute.get_replica_context()
        if context is not None and context.num_replicas_in_sync > 1:
            return _MirroredReplicas(context)
    elif backend == "torch":
        import torch.distributed

        ready = torch.distributed.is_available() and torch.distributed.is_initialized()
        if ready and torch.distributed.get_world_size() > 1:
            return _ProcessReplicas()
    return _ONE_REPLICA


def num_parts() -> int:
    """The number of equal parts into which `keras.distribution` divides a batch; 1 without a distribution."""
    distribution = keras.distribution.distribution()
    if distribution is None or distribution.batch_dim_name is None:
        return 1
    mesh = distribution.device_mesh
    return int(mesh.shape[mesh.axis_names.index(distribution.batch_dim_name)])


def variable_scope(model: Any) -> contextlib.AbstractContextManager:
    """The scope in which the variables of a model's training step are made: TensorFlow has one for its replicas."""
    strategy = getattr(model, "distribute_strategy", None)
    return contextlib.nullcontext() if strategy is None else strategy.scope()


def parallel_devices() -> tuple[list[str], Callable[[list[str]], Any]]:
    """The devices of this machine, and a function from some of them to the scope in which models train on them."""
    backend = keras.backend.backend()
    if backend == "torch":
        raise RuntimeError(
            "data_parallel: torch trains on several devices with one process for each. Start the script with "
            "`torchrun --nproc-per-node N` and wrap the model in torch.nn.parallel.DistributedDataParallel; "
            "the latent losses then gather the global batch by themselves. docs/devices.md has a recipe."
        )
    if backend == "tensorflow":
        import tensorflow as tf

        found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices()
        return [device.name for device in found], lambda devices: tf.distribute.MirroredStrategy(devices).scope()
    return keras.distribution.list_devices(), lambda devices: keras.distribution.DataParallel(devices=devices).scope()


def devices() -> list[str]:
    """The devices that Keras computes on."""
    if keras.backend.backend() == "torch":  # where Keras lists none
        names = [f"cuda:{index} ({torch.cuda.get_device_name(index)})" for index in range(torch.cuda.device_count())]
        return names or (["mps"] if torch.backends.mps.is_available() else ["cpu"])
    return keras.distribution.list_devices()
