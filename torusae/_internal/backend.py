"""Every special case of one backend, each with its reason. All else in the library is `keras` and `keras.ops`."""

import contextlib
import random
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import keras
import numpy as np
from keras import ops

from torusae._internal.checks import Tensor

if keras.backend.backend() == "torch":
    import torch


def direct_ops(values: Tensor) -> Any:
    """`torch` for a tensor of torch, else `keras.ops`: use it for functions that mean the same in both.

    Keras adds 1 to 11 microseconds to a call on torch, as much as the operation itself takes on a batch of angles. It
    also computes `arctan2`, `floor` and `round` of float64 in float32 there.
    """
    if keras.backend.backend() == "torch" and isinstance(values, torch.Tensor):
        return torch
    return ops


def constant(array: np.ndarray, like: Tensor) -> Tensor:
    """A NumPy array as a tensor of the dtype and on the device of `like`; on torch on the CPU without a copy."""
    if keras.backend.backend() == "torch" and isinstance(like, torch.Tensor):
        return torch.as_tensor(array, dtype=like.dtype, device=like.device)
    return ops.convert_to_tensor(array, dtype=like.dtype)


def columns(values: Tensor) -> Tensor:
    """The transpose of `(batch, dim)`: each column in one piece of memory.

    torch keeps a transpose as a view; sorts and products of such a view are several times slower.
    """
    if keras.backend.backend() == "torch" and isinstance(values, torch.Tensor):
        return values.T.contiguous()
    return ops.transpose(values)


def is_on_cpu(values: Tensor) -> bool:
    """Whether a CPU computes these values. Works while tracing too, when a tensor has no device."""
    if keras.backend.backend() == "torch":  # where Keras lists no devices
        return values.device.type == "cpu"
    return _has_only_cpus()


@lru_cache(maxsize=1)
def _has_only_cpus() -> bool:
    return all(device.startswith("cpu") for device in keras.distribution.list_devices())


def counting_dtype() -> str:
    """The widest float dtype: JAX has no float64 unless the user enables it."""
    return "float32" if keras.backend.backend() == "jax" else "float64"


def sort_columns(values: Tensor) -> Tensor:
    """Sorts `(batch, dim)` along the batch and returns `(dim, batch)`.

    The order is stable: equal values get the same gradients on every backend. `ops.sort` is not stable on torch.
    """
    values = columns(values)
    if keras.backend.backend() == "torch" and isinstance(values, torch.Tensor):
        # Between argsort and take_along_axis Keras casts the indices twice and looks for negative ones, which takes
        # half as long as the sort.
        return values.gather(-1, values.detach().argsort(dim=-1, stable=True))
    fixed = ops.stop_gradient(values)
    order = _radix_argsort(fixed) if _sorts_floats_slowly(fixed) else ops.argsort(fixed, axis=-1)
    return ops.take_along_axis(values, order, axis=-1)


def at_sorted_columns(function: Callable[[Tensor], Tensor], values: Tensor) -> Tensor:
    """`function` of the result of `sort_columns`, each number at the place of the value that it belongs to."""
    values = columns(values)
    if keras.backend.backend() == "torch":
        order = values.argsort(dim=-1, stable=True)
        return torch.empty_like(values).scatter_(-1, order, function(values.gather(-1, order))).T
    order = _radix_argsort(values) if _sorts_floats_slowly(values) else ops.argsort(values, axis=-1)
    results = function(ops.take_along_axis(values, order, axis=-1))
    return ops.transpose(ops.take_along_axis(results, ops.argsort(order, axis=-1), axis=-1))


# Index bits -> radix passes: the more bits the index needs, the fewer key bits are left for each pass.
_PASSES = {15: 2, 20: 3}


def _sorts_floats_slowly(values: Tensor) -> bool:
    """Whether to sort integers instead: JAX on the CPU, where XLA compares floats by a slow total order.

    Only a sort of one array of integers has a fast path there. https://github.com/openxla/xla/issues/35587
    """
    return (
        keras.backend.backend() == "jax"
        and isinstance(values.shape[-1], int)  # Keras builds some models with a batch of symbolic size
        and values.shape[-1] <= 1 << max(_PASSES)
        and str(values.dtype) == "float32"
        and is_on_cpu(values)
    )


def _radix_argsort(values: Tensor) -> Tensor:
    """Stable `argsort` of float32 along the last axis, of at most 2**20 values: a radix sort.

    Each pass sorts integers that hold some bits of the key above the bits of the index, low key bits first.
    """
    index_bits = next(bits for bits in _PASSES if values.shape[-1] <= 1 << bits)
    num_passes = _PASSES[index_bits]
    pass_bits = -(-32 // num_passes)
    # The bits of positive floats, read as integers, are in ascending order; those of negative ones in descending order.
    bits = ops.view(ops.where(values == 0, ops.zeros_like(values), values), dtype="int32")  # -0 equals 0
    keys = ops.where(bits < 0, ops.bitwise_xor(bits, 0x7FFFFFFF), bits)
    index = ops.arange(values.shape[-1], dtype="int32")
    order = None
    for number in range(num_passes):
        digit = ops.right_shift(keys, number * pass_bits)
        if number < num_passes - 1:  # the last digit keeps the sign
            digit = ops.bitwise_and(digit, (1 << pass_bits) - 1)
        if order is not None:
            digit = ops.take_along_axis(digit, order, axis=-1)
        step = ops.bitwise_and(ops.sort(digit * (1 << index_bits) + index, axis=-1), (1 << index_bits) - 1)
        order = step if order is None else ops.take_along_axis(order, step, axis=-1)
    return order


# Image layout

# torch computes images with the axes of channels first, and is fastest when their memory is in the order
# of channels last. A transposed tensor has both. Keras copies the input of every convolution and pooling in channels
# last to contiguous channels first and back, which takes half of a training step.


def in_fastest_layout(operation: Callable[[Tensor, str], Tensor], images: Tensor, data_format: str) -> Tensor:
    """`operation(images, data_format)`; on torch, channels last is passed as transposed channels first."""
    if not _is_torch_channels_last(images, data_format):
        return operation(images, data_format)
    outputs = operation(ops.transpose(images, (0, 3, 1, 2)), "channels_first")
    return ops.transpose(outputs, (0, 2, 3, 1))


def _is_torch_channels_last(images: Tensor, data_format: str) -> bool:
    return keras.backend.backend() == "torch" and data_format == "channels_last" and ops.is_tensor(images)


def convolve(images: Tensor, kernel: Tensor, data_format: str, **options: Any) -> Tensor:
    """`keras.ops.conv` in the fastest layout; float16 images on torch's CPU are computed in float32.

    torch's float16 convolution on the CPU is slow, and some of its gradients raise "must be contiguous".
    """

    def operation(images, data_format):
        return ops.conv(images, kernel, data_format=data_format, **options)

    dtype = keras.backend.standardize_dtype(images.dtype)
    on_torch = keras.backend.backend() == "torch" and ops.is_tensor(images)
    if not (on_torch and dtype == "float16" and images.device.type == "cpu"):
        return in_fastest_layout(operation, images, data_format)
    kernel = ops.cast(kernel, "float32")
    return ops.cast(in_fastest_layout(operation, ops.cast(images, "float32"), data_format), dtype)


def enlarge(images: Tensor, factors: Sequence[int], data_format: str) -> Tensor | None:
    """Each pixel repeated along height and width, in one operation; `None` where `UpSampling2D` does it as fast.

    Only for torch. A resize is four times slower than a repeat on JAX, and XLA does not compile it on TensorFlow.
    """
    if not _is_torch_channels_last(images, data_format):
        return None

    def operation(images, data_format):
        # Not `ops.image.resize`, whose "nearest-exact" has no form in ONNX. For whole factors both are the same.
        return torch.nn.functional.interpolate(images, scale_factor=tuple(map(float, factors)), mode="nearest")

    return in_fastest_layout(operation, images, data_format)


def with_known_sizes(images: Tensor, shape: Sequence[int | None]) -> Tensor:
    """Images whose sizes a graph knows. TensorFlow's repeat forgets them, and LiteRT has no convolution without."""
    if keras.backend.backend() != "tensorflow" or not ops.is_tensor(images) or None in shape[1:]:
        return images
    return ops.reshape(images, (-1, *shape[1:]))


# Replicas

# Keras has no operation that moves tensors between the replicas of a training step.


class Replicas:
    """The replicas of the running step: how many they are, and how values travel between them. Here there is one."""

    size = 1
    separates_added_losses = True

    def gather(self, values: Tensor) -> Tensor:
        """The rows of all replicas."""
        return values

    def sum(self, value: Tensor) -> Tensor:
        """The sum over the replicas, without a gradient."""
        return ops.stop_gradient(value)


class _MirroredReplicas(Replicas):
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


class _ProcessReplicas(Replicas):
    """The processes of a torch group."""

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


def replicas() -> Replicas:
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


# Random numbers


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


# Data and files


def copies_memory_maps(arrays: list[Any]) -> bool:
    """Whether some arrays are memory-mapped files that Keras would copy into memory: as tensors, on TensorFlow."""
    return keras.backend.backend() == "tensorflow" and any(isinstance(array, np.memmap) for array in arrays)


def portable(config: Any) -> Any:
    """An optimizer's config without its backend: Keras names the torch optimizers by a class that only torch has."""
    if isinstance(config, dict):
        config = {key: portable(value) for key, value in config.items()}
        name = config.get("class_name", "")
        if str(config.get("module", "")).startswith("keras.") and hasattr(keras.optimizers, str(name)):
            config.update(module="keras.optimizers", registered_name=None)
    return config
