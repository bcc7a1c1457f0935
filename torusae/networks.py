"""The paper's encoder, decoder and classifier head as Keras models, for images of any size and for vectors."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from torusae import _checks
from torusae._checks import Tensor
from torusae.angles import angle_difference, to_polar
from torusae.layers import CircularEmbedding
from torusae.losses import angular_loss


def _turned(inputs: Tensor, data_format: str) -> bool:
    """Whether an image in channels last is better handed over in channels first: on torch, while it computes.

    torch wants the axes of channels first and works fastest on the memory of channels last, which a transposed tensor
    has. Keras copies every input of a convolution or pooling in channels last to the memory of channels first and
    back, for half of a step's time.
    """
    return keras.backend.backend() == "torch" and data_format == "channels_last" and ops.is_tensor(inputs)


def _channels_first(images: Tensor) -> Tensor:
    return ops.transpose(images, (0, 3, 1, 2))


def _channels_last(images: Tensor) -> Tensor:
    return ops.transpose(images, (0, 2, 3, 1))


@keras.saving.register_keras_serializable(package="torusae")
class Conv2D(keras.layers.Conv2D):
    """Keras' convolution, on torch in the memory layout that it is fastest in: same arguments, weights and results."""

    def convolution_op(self, inputs, kernel):
        """Keras' convolution without a copy of its input."""
        if not _turned(inputs, self.data_format):
            return super().convolution_op(inputs, kernel)
        dtype = keras.backend.standardize_dtype(inputs.dtype)
        # Of float16 torch's CPU has only a slow convolution, which stops at some gradients: "must be contiguous".
        computed = "float32" if dtype == "float16" and inputs.device.type == "cpu" else dtype
        outputs = ops.conv(
            ops.cast(_channels_first(inputs), computed),
            ops.cast(kernel, computed),
            strides=list(self.strides),
            padding=self.padding,
            dilation_rate=self.dilation_rate,
            data_format="channels_first",
        )
        return ops.cast(_channels_last(outputs), dtype)


@keras.saving.register_keras_serializable(package="torusae")
class MaxPooling2D(keras.layers.MaxPooling2D):
    """Keras' pooling, on torch in the memory layout that it is fastest in: same arguments and results."""

    def call(self, inputs):
        """Keras' pooling without a copy of its input."""
        if not _turned(inputs, self.data_format):
            return super().call(inputs)
        pooled = ops.max_pool(_channels_first(inputs), self.pool_size, self.strides, self.padding, "channels_first")
        return _channels_last(pooled)


@keras.saving.register_keras_serializable(package="torusae")
class UpSampling2D(keras.layers.UpSampling2D):
    """Keras' up-sampling of nearest pixels, on torch in the memory layout that it is fastest in: same results."""

    def call(self, inputs):
        """Keras' up-sampling in one operation in place of four."""
        if not _turned(inputs, self.data_format) or self.interpolation != "nearest":
            return super().call(inputs)
        size = [self.size[0] * inputs.shape[1], self.size[1] * inputs.shape[2]]
        images = _channels_first(inputs)
        return _channels_last(ops.image.resize(images, size, interpolation="nearest", data_format="channels_first"))


def _image_axes(owner: str, name: str, shape: Sequence[int]) -> tuple[int, int, int]:
    """Height, width and channels of an image shape in the layout that Keras is set to."""
    shape = tuple(_checks.positive_int(owner, f"{name}[{axis}]", size) for axis, size in enumerate(shape))
    if len(shape) != 3:
        raise ValueError(
            f"{owner}: `{name}` must be an image shape such as (28, 28, 1). Received: {name}={shape}. "
            f"For vectors use dense_encoder and dense_decoder."
        )
    if keras.config.image_data_format() == "channels_first":
        return shape[1], shape[2], shape[0]
    return shape


def _pooled_sizes(size: int, num_poolings: int) -> list[int]:
    """The sizes of one image axis before and after each pooling by two: 28 -> [28, 14, 7, 4]."""
    sizes = [size]
    for _ in range(num_poolings):
        sizes.append((sizes[-1] + 1) // 2)
    return sizes


def conv_encoder(
    input_shape: Sequence[int], filters: Sequence[int] = (32, 64, 64), num_features: int = 256, name: str = "encoder"
) -> keras.Model:
    """The paper's encoder: convolutions, each with max pooling by two, and one dense layer.

    Args:
        input_shape: Image shape without the batch, in the layout of `keras.config.image_data_format()`.
        filters: One count per convolution. Defaults to `(32, 64, 64)`; the paper gives three convolutions and no count.
        num_features: Integer, size of the dense layer. Defaults to `256`.
        name: String. Defaults to `"encoder"`.

    Returns:
        Keras model from `(batch, *input_shape)` to `(batch, num_features)`.

    Raises:
        ValueError: If `input_shape` is not an image shape.

    Example:

    >>> import torusae
    >>> torusae.conv_encoder((28, 28, 1)).output_shape
    (None, 256)

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, section 2.1.
    """
    _image_axes("conv_encoder", "input_shape", input_shape)
    inputs = keras.Input(tuple(input_shape), name="image")
    x = inputs
    for count in filters:
        x = Conv2D(count, 3, padding="same", activation="relu", kernel_initializer="he_normal")(x)
        x = MaxPooling2D(2, padding="same")(x)
    x = keras.layers.Flatten()(x)
    outputs = keras.layers.Dense(num_features, activation="relu", kernel_initializer="he_normal")(x)
    return keras.Model(inputs, outputs, name=name)


def conv_decoder(
    output_shape: Sequence[int],
    code_size: int,
    filters: Sequence[int] = (64, 64, 32),
    activation: str | None = "sigmoid",
    name: str = "decoder",
) -> keras.Model:
    """The paper's decoder: a dense layer, reshaped to an image, then convolutions and up-sampling by two.

    Args:
        output_shape: Image shape without the batch, in the layout of `keras.config.image_data_format()`.
        code_size: Integer, `2 * dim` for `Torus(dim)`.
        filters: One count per up-sampling. Defaults to `(64, 64, 32)`, the encoder's in reverse.
        activation: Activation of the output; `"sigmoid"` for images in [0, 1], `None` for any real value.
            Defaults to `"sigmoid"`.
        name: String. Defaults to `"decoder"`.

    Returns:
        Keras model from `(batch, code_size)` to `(batch, *output_shape)`.

    Raises:
        ValueError: If `output_shape` is not an image shape or `code_size` is below 1.

    Example:

    >>> import torusae
    >>> torusae.conv_decoder((28, 28, 1), code_size=6).output_shape
    (None, 28, 28, 1)

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, section 2.4.
    """
    height, width, channels = _image_axes("conv_decoder", "output_shape", output_shape)
    code_size = _checks.positive_int("conv_decoder", "code_size", code_size)
    heights, widths = _pooled_sizes(height, len(filters)), _pooled_sizes(width, len(filters))
    start = (heights[-1], widths[-1], filters[0])
    if keras.config.image_data_format() == "channels_first":
        start = (start[2], *start[:2])
    inputs = keras.Input((code_size,), name="code")
    x = keras.layers.Dense(start[0] * start[1] * start[2], activation="relu", kernel_initializer="he_normal")(inputs)
    x = keras.layers.Reshape(start)(x)
    for level, count in reversed(list(enumerate(reversed(filters)))):
        x = Conv2D(count, 3, padding="same", activation="relu", kernel_initializer="he_normal")(x)
        x = UpSampling2D(2)(x)
        surplus = ((0, heights[level + 1] * 2 - heights[level]), (0, widths[level + 1] * 2 - widths[level]))
        if surplus != ((0, 0), (0, 0)):
            x = keras.layers.Cropping2D(surplus)(x)
    # Most images are mostly dark. From random outputs around 0.5 a sigmoid first runs to black everywhere and, with
    # mean squared error, stays there, since its derivative vanishes (seen on MNIST on three backends). So it starts
    # dark, and with small weights: then what it learns first is where to be bright.
    start_dark = activation == "sigmoid"
    x = Conv2D(
        channels,
        3,
        padding="same",
        kernel_initializer=keras.initializers.VarianceScaling(0.01 if start_dark else 1.0, "fan_avg", "uniform"),
        bias_initializer=keras.initializers.Constant(-2.0 if start_dark else 0.0),
    )(x)
    # float32 under a mixed policy: a loss of half precision numbers is of half precision.
    outputs = keras.layers.Activation(activation or "linear", dtype="float32")(x)
    return keras.Model(inputs, outputs, name=name)


def dense_encoder(input_shape: Sequence[int], units: Sequence[int] = (256, 128), name: str = "encoder") -> keras.Model:
    """An encoder for vectors (or anything small, flattened): dense layers with ReLU.

    Args:
        input_shape: Shape without the batch.
        units: Sizes of the layers, the last one the number of features. Defaults to `(256, 128)`.
        name: String. Defaults to `"encoder"`.

    Returns:
        Keras model from `(batch, *input_shape)` to `(batch, units[-1])`.

    Example:

    >>> import torusae
    >>> torusae.dense_encoder((50,)).output_shape
    (None, 128)
    """
    inputs = keras.Input(tuple(input_shape), name="vector")
    x = keras.layers.Flatten()(inputs) if len(input_shape) != 1 else inputs
    for size in units:
        x = keras.layers.Dense(size, activation="relu", kernel_initializer="he_normal")(x)
    return keras.Model(inputs, x, name=name)


def dense_decoder(
    output_shape: Sequence[int],
    code_size: int,
    units: Sequence[int] = (128, 256),
    activation: str | None = None,
    name: str = "decoder",
) -> keras.Model:
    """A decoder for vectors (or anything small): dense layers with ReLU.

    Args:
        output_shape: Shape without the batch.
        code_size: Integer, `2 * dim` for `Torus(dim)`.
        units: Sizes of the hidden layers. Defaults to `(128, 256)`.
        activation: Activation of the output. Defaults to `None`.
        name: String. Defaults to `"decoder"`.

    Returns:
        Keras model from `(batch, code_size)` to `(batch, *output_shape)`.

    Example:

    >>> import torusae
    >>> torusae.dense_decoder((50,), code_size=6).output_shape
    (None, 50)
    """
    inputs = keras.Input((_checks.positive_int("dense_decoder", "code_size", code_size),), name="code")
    x = inputs
    for size in units:
        x = keras.layers.Dense(size, activation="relu", kernel_initializer="he_normal")(x)
    size = 1
    for axis, length in enumerate(output_shape):
        size *= _checks.positive_int("dense_decoder", f"output_shape[{axis}]", length)
    x = keras.layers.Dense(size)(x)
    if len(output_shape) != 1:
        x = keras.layers.Reshape(tuple(output_shape))(x)
    return keras.Model(inputs, keras.layers.Activation(activation or "linear", dtype="float32")(x), name=name)


def autoencoder_networks(input_shape: Sequence[int], code_size: int) -> tuple[keras.Model, keras.Model]:
    """An encoder and a decoder that fit data of a shape: convolutions for images, dense layers for anything else.

    Args:
        input_shape: Shape of one sample. Three axes with both sides at least 8 are an image with values in [0, 1].
        code_size: Integer, `2 * dim` for `Torus(dim)`.

    Returns:
        The pair `(encoder, decoder)`.

    Example:

    >>> import torusae
    >>> encoder, decoder = torusae.autoencoder_networks((28, 28, 1), code_size=6)
    >>> decoder.output_shape
    (None, 28, 28, 1)
    """
    input_shape = tuple(input_shape)
    if len(input_shape) == 3:
        height, width, _ = _image_axes("autoencoder_networks", "input_shape", input_shape)
        if min(height, width) >= 8:
            return conv_encoder(input_shape), conv_decoder(input_shape, code_size)
        return dense_encoder(input_shape), dense_decoder(input_shape, code_size, activation="sigmoid")
    return dense_encoder(input_shape), dense_decoder(input_shape, code_size)


_TASKS = ("classes", "number", "angle")


@keras.saving.register_keras_serializable(package="torusae")
class Head(keras.layers.Layer):
    """A network that reads a latent space's coordinates and predicts labels; its loss shapes the coordinates.

    The paper's classifier: three dense layers on Φ with cross-entropy. The angles enter as their sine and cosine, so
    that the head sees no seam at ±π.

    Args:
        task: `"classes"` for integer labels `0..num_outputs - 1`: softmax and cross-entropy; -1 is a missing label.
            `"number"` for real labels: mean squared error; NaN is a missing label. `"angle"` for periodic labels in
            radians: `1 - cos` of the difference; NaN is a missing label.
        num_outputs: Integer, the number of classes, or of label columns. Defaults to `1`.
        weight: Float, not negative, weight of the loss beside the reconstruction. Defaults to `1.0`.
        units: Sizes of the hidden dense layers. Defaults to `(64, 64)`: three dense layers with the output.
        is_circular: Booleans, which coordinates are angles; `None` means all. A model fills it in from its latent
            space. Defaults to `None`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`).

    Call arguments:
        coordinates: Float tensor `(batch, num_coordinates)`, for a torus the angles in radians.

    Returns:
        `"classes"`: probabilities `(batch, num_outputs)`. `"number"` and `"angle"`: `(batch, num_outputs)`.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If `task` is unknown, there are fewer than two classes, `weight` is negative, or the coordinates
            are not of rank 2.

    Example:

    >>> import keras, torusae
    >>> head = torusae.Head("classes", 10)
    >>> head(keras.ops.zeros((2, 3))).shape[1]
    10

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, section 2.3.
    """

    def __init__(
        self,
        task: str,
        num_outputs: int = 1,
        weight: float = 1.0,
        units: Sequence[int] = (64, 64),
        is_circular: Sequence[bool] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.task = _checks.option("Head", "task", task, _TASKS)
        self.num_outputs = _checks.positive_int("Head", "num_outputs", num_outputs, least=2 if task == "classes" else 1)
        self.weight = _checks.positive_float("Head", "weight", weight, zero_allowed=True)
        self.units = tuple(_checks.positive_int("Head", "units", size) for size in units)
        self.embedding = CircularEmbedding()
        self.is_circular = None if is_circular is None else tuple(is_circular)
        self.hidden = [keras.layers.Dense(size, activation="relu") for size in self.units]
        # An angle comes out as a point in the plane: no output is far from its neighbour across the seam.
        size = 2 * self.num_outputs if task == "angle" else self.num_outputs
        self.output_layer = keras.layers.Dense(size, dtype="float32")

    def build(self, coordinates_shape):
        if len(coordinates_shape) != 2:
            raise ValueError(
                f"Head: coordinates must have shape (batch, num_coordinates). "
                f"Received: shape={tuple(coordinates_shape)}. For a single sample use coordinates[None, :]."
            )
        shape = (coordinates_shape[0], coordinates_shape[1] + sum(self.is_circular or (True,) * coordinates_shape[1]))
        for layer in (*self.hidden, self.output_layer):
            layer.build(shape)
            shape = layer.compute_output_shape(shape)

    def call(self, coordinates):
        x = self._embed(coordinates)
        for layer in self.hidden:
            x = layer(x)
        outputs = self.output_layer(x)
        if self.task == "classes":
            return ops.softmax(outputs, axis=-1)
        return to_polar(outputs)[1] if self.task == "angle" else outputs

    def _embed(self, coordinates):
        """Points on the unit circle for angles, other coordinates as they are."""
        if self.is_circular is None:
            return self.embedding(coordinates)
        circular = np.array(self.is_circular)
        parts = [ops.take(coordinates, np.flatnonzero(~circular).tolist(), axis=-1)]
        if circular.any():
            parts.insert(0, self.embedding(ops.take(coordinates, np.flatnonzero(circular).tolist(), axis=-1)))
        return ops.concatenate(parts, axis=-1)

    @property
    def score_name(self) -> str:
        """What `score` measures: `"accuracy"`, or `"error"`, the mean absolute error."""
        return "accuracy" if self.task == "classes" else "error"

    def loss_and_score(
        self, labels: Tensor, outputs: Tensor, sample_weight: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The mean loss over the labelled samples of a batch, each sample's score, and a mask of those that have one.

        Args:
            labels: `(batch,)` or `(batch, num_outputs)`; `(batch,)` or `(batch, 1)` for classes.
            outputs: What the head returned.
            sample_weight: Float tensor `(batch,)` or `None`.

        Returns:
            Scalar tensor, tensor `(batch,)`, float tensor `(batch,)` of zeros and ones.

        Raises:
            TypeError: If classes are not integers.
            ValueError: If labels are of another shape.
        """
        num_columns = 1 if self.task == "classes" else self.num_outputs
        columns = tuple(labels.shape[1:])
        if columns != (num_columns,) and not (columns == () and num_columns == 1):
            layout = "(batch,)" if num_columns == 1 else f"(batch, {num_columns})"
            raise ValueError(
                f"Head: labels of the task {self.task!r} must have shape {layout}. "
                f"Received: shape={tuple(labels.shape)}."
                + (" For one-hot rows use labels.argmax(-1)." if self.task == "classes" else "")
            )
        if self.task == "classes" and "int" not in str(labels.dtype):
            raise TypeError(
                f"Head: labels of the task 'classes' must be integers. Received: dtype={labels.dtype}. "
                f"Use labels.astype('int32')."
            )
        outputs = ops.cast(outputs, "float32")
        if self.task == "classes":
            labels = ops.cast(ops.reshape(labels, (-1,)), "int32")
            labelled = labels >= 0
            labels = ops.where(labelled, labels, 0)
            losses = keras.losses.sparse_categorical_crossentropy(labels, outputs)
            scores = ops.cast(ops.argmax(outputs, axis=-1), "int32") == labels
        else:
            labels = ops.reshape(ops.cast(labels, "float32"), (-1, self.num_outputs))
            labelled = ops.logical_not(ops.any(ops.isnan(labels), axis=-1))
            labels = ops.where(labelled[:, None], labels, 0.0)
            if self.task == "number":
                losses = ops.mean(ops.square(labels - outputs), axis=-1)
                scores = ops.mean(ops.abs(labels - outputs), axis=-1)
            else:
                losses = angular_loss(labels, outputs)
                scores = ops.mean(ops.abs(angle_difference(labels, outputs)), axis=-1)
        mask = ops.cast(labelled, "float32")
        weights = mask if sample_weight is None else mask * ops.cast(ops.reshape(sample_weight, (-1,)), "float32")
        loss = ops.sum(weights * losses) / ops.maximum(ops.sum(mask), 1.0)
        return loss, ops.cast(scores, "float32"), mask

    def compute_output_shape(self, coordinates_shape):
        """The shape of the outputs."""
        return (coordinates_shape[0], self.num_outputs)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "task": self.task,
            "num_outputs": self.num_outputs,
            "weight": self.weight,
            "units": list(self.units),
            **({} if self.is_circular is None else {"is_circular": list(self.is_circular)}),
        }
