"""Images in the layout that a backend computes fastest.

torch computes images with the axes of channels first, and is fastest when their memory is in the order of channels
last. A transposed tensor has both. Keras copies the input of every convolution and pooling in channels last to
contiguous channels first and back, which takes half of a training step.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from torusae._internal.checks import Tensor

if keras.backend.backend() == "torch":
    import torch


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
