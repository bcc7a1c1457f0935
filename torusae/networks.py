"""The paper's encoder and decoder as Keras models, for images of any size and for vectors.

Encoders map `(batch, *input_shape)` to features `(batch, num_features)`, decoders `(batch, decoder_input_size)` to
`(batch, *output_shape)`.
"""

import math
import warnings
from collections.abc import Sequence

import keras
from keras import ops

from torusae._internal import checks, images


@keras.saving.register_keras_serializable(package="torusae")
class Conv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` with a faster image layout on torch: same arguments, weights and results."""

    def convolution_op(self, inputs, kernel):
        return images.convolve(
            inputs,
            kernel,
            self.data_format,
            strides=list(self.strides),
            padding=self.padding,
            dilation_rate=self.dilation_rate,
        )


@keras.saving.register_keras_serializable(package="torusae")
class MaxPooling2D(keras.layers.MaxPooling2D):
    """`keras.layers.MaxPooling2D` with a faster image layout on torch: same arguments and results."""

    def call(self, inputs):
        def pool(images, data_format):
            return ops.max_pool(images, self.pool_size, self.strides, self.padding, data_format)

        return images.in_fastest_layout(pool, inputs, self.data_format)


@keras.saving.register_keras_serializable(package="torusae")
class UpSampling2D(keras.layers.UpSampling2D):
    """`keras.layers.UpSampling2D`, faster on torch, and of known sizes on TensorFlow: same arguments and results."""

    def call(self, inputs):
        outputs = images.enlarge(inputs, self.size, self.data_format) if self.interpolation == "nearest" else None
        if outputs is not None:
            return outputs
        return images.with_known_sizes(super().call(inputs), self.compute_output_shape(inputs.shape))


def _image_axes(owner: str, name: str, shape: Sequence[int]) -> tuple[int, int, int]:
    """Height, width and channels of an image shape in the layout of `keras.config.image_data_format()`."""
    shape = checks.positive_ints(owner, name, shape)
    if len(shape) != 3:
        raise ValueError(
            f"{owner}: `{name}` must be an image shape such as (28, 28, 1). Received: {name}={shape}. "
            f"For vectors use dense_encoder and dense_decoder."
        )
    if keras.config.image_data_format() == "channels_first":
        return shape[1], shape[2], shape[0]
    return shape


def conv_encoder(
    input_shape: Sequence[int], filters: Sequence[int] = (32, 64, 64), num_features: int = 256, name: str = "encoder"
) -> keras.Model:
    """The paper's encoder: convolutions, each followed by max pooling by two, then one dense layer.

    Args:
        input_shape: Shape of one image, without the batch, in the layout of `keras.config.image_data_format()`.
        filters: Integers, one per convolution; the paper does not give them. Defaults to `(32, 64, 64)`.
        num_features: Integer, units of the dense layer. Defaults to `256`.

    Example:

    >>> import torusae
    >>> torusae.networks.conv_encoder((28, 28, 1)).output_shape
    (None, 256)

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, section 2.1.
    """
    _image_axes("conv_encoder", "input_shape", input_shape)
    filters = checks.positive_ints("conv_encoder", "filters", filters)
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
    decoder_input_size: int,
    filters: Sequence[int] = (64, 64, 32),
    activation: str | None = "sigmoid",
    name: str = "decoder",
) -> keras.Model:
    """The paper's decoder: one dense layer, then convolutions, each followed by up-sampling by two.

    Args:
        output_shape: Shape of one image, without the batch, in the layout of `keras.config.image_data_format()`.
        decoder_input_size: Integer, `2 * dim` for `Torus(dim)`.
        filters: Sequence of integers, one per up-sampling. Defaults to `(64, 64, 32)`, the encoder's in reverse.
        activation: `"sigmoid"` for images in [0, 1], `None` for any real values. Defaults to `"sigmoid"`.

    Example:

    >>> import torusae
    >>> torusae.networks.conv_decoder((28, 28, 1), decoder_input_size=6).output_shape
    (None, 28, 28, 1)

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, section 2.4.
    """
    height, width, channels = _image_axes("conv_decoder", "output_shape", output_shape)
    filters = checks.positive_ints("conv_decoder", "filters", filters)
    if not filters:
        raise ValueError(
            "conv_decoder: `filters` must hold one integer or more. Received: filters=(). Use (64, 64, 32)."
        )
    decoder_input_size = checks.positive_int("conv_decoder", "decoder_input_size", decoder_input_size)
    # Heights and widths as the encoder pools them, the smallest first: 4, 7, 14, 28.
    sizes = [(-(-height // 2**level), -(-width // 2**level)) for level in range(len(filters), -1, -1)]
    first = keras.config.image_data_format() == "channels_first"
    start = (filters[0], *sizes[0]) if first else (*sizes[0], filters[0])
    inputs = keras.Input((decoder_input_size,), name="decoder_input")
    x = keras.layers.Dense(math.prod(start), activation="relu", kernel_initializer="he_normal")(inputs)
    x = keras.layers.Reshape(start)(x)
    for count, (height, width), (last_height, last_width) in zip(filters, sizes[1:], sizes, strict=False):
        x = Conv2D(count, 3, padding="same", activation="relu", kernel_initializer="he_normal")(x)
        x = UpSampling2D(2)(x)
        surplus = ((0, 2 * last_height - height), (0, 2 * last_width - width))
        if surplus != ((0, 0), (0, 0)):
            x = keras.layers.Cropping2D(surplus)(x)
    # A sigmoid starts dark and with small weights. Most images are mostly dark. Outputs that start around 0.5 first
    # become black everywhere and then stay black under mean squared error, because the sigmoid's derivative vanishes
    # there (seen on MNIST on all three backends).
    start_dark = activation == "sigmoid"
    x = Conv2D(
        channels,
        3,
        padding="same",
        kernel_initializer=keras.initializers.VarianceScaling(0.01 if start_dark else 1.0, "fan_avg", "uniform"),
        bias_initializer=keras.initializers.Constant(-2.0 if start_dark else 0.0),
    )(x)
    # float32 also under a mixed policy: the loss takes the dtype of the outputs.
    outputs = keras.layers.Activation(activation or "linear", dtype="float32")(x)
    return keras.Model(inputs, outputs, name=name)


def dense_encoder(input_shape: Sequence[int], units: Sequence[int] = (256, 128), name: str = "encoder") -> keras.Model:
    """An encoder for vectors, or for small arrays after flattening: dense layers with ReLU.

    Args:
        input_shape: Shape of one sample, without the batch.
        units: Sequence of integers, units of each layer. The last is the number of features. Defaults to `(256, 128)`.

    Example:

    >>> import torusae
    >>> torusae.networks.dense_encoder((50,)).output_shape
    (None, 128)
    """
    input_shape = checks.positive_ints("dense_encoder", "input_shape", input_shape)
    units = checks.positive_ints("dense_encoder", "units", units)
    inputs = keras.Input(input_shape, name="vector")
    x = keras.layers.Flatten()(inputs) if len(input_shape) != 1 else inputs
    for size in units:
        x = keras.layers.Dense(size, activation="relu", kernel_initializer="he_normal")(x)
    return keras.Model(inputs, x, name=name)


def dense_decoder(
    output_shape: Sequence[int],
    decoder_input_size: int,
    units: Sequence[int] = (128, 256),
    activation: str | None = None,
    name: str = "decoder",
) -> keras.Model:
    """A decoder for vectors or small arrays: dense layers with ReLU.

    Args:
        output_shape: Shape of one sample, without the batch.
        decoder_input_size: Integer, `2 * dim` for `Torus(dim)`.
        units: Sequence of integers, units of each hidden layer. Defaults to `(128, 256)`.
        activation: String, activation of the output. Defaults to `None`, any real values.

    Example:

    >>> import torusae
    >>> torusae.networks.dense_decoder((50,), decoder_input_size=6).output_shape
    (None, 50)
    """
    output_shape = checks.positive_ints("dense_decoder", "output_shape", output_shape)
    units = checks.positive_ints("dense_decoder", "units", units)
    inputs = keras.Input(
        (checks.positive_int("dense_decoder", "decoder_input_size", decoder_input_size),), name="decoder_input"
    )
    x = inputs
    for size in units:
        x = keras.layers.Dense(size, activation="relu", kernel_initializer="he_normal")(x)
    x = keras.layers.Dense(math.prod(output_shape))(x)
    if len(output_shape) != 1:
        x = keras.layers.Reshape(output_shape)(x)
    return keras.Model(inputs, keras.layers.Activation(activation or "linear", dtype="float32")(x), name=name)


def autoencoder_networks(
    input_shape: Sequence[int], decoder_input_size: int, activation: str | None = "sigmoid"
) -> tuple[keras.Model, keras.Model]:
    """The pair of an encoder and a decoder for samples of a shape.

    Args:
        input_shape: Shape of one sample. A shape of three axes is an image with values in [0, 1]. It gets convolutions
            if height and width are at least 8; anything else gets dense layers.
        decoder_input_size: Integer, `2 * dim` for `Torus(dim)`.
        activation: Of the outputs of images: `None` for any real values. Those of vectors have none. Defaults to
            `"sigmoid"`.

    Example:

    >>> import torusae
    >>> encoder, decoder = torusae.autoencoder_networks((28, 28, 1), decoder_input_size=6)
    >>> decoder.output_shape
    (None, 28, 28, 1)
    """
    input_shape = checks.positive_ints("autoencoder_networks", "input_shape", input_shape)
    if len(input_shape) == 3:
        height, width, _ = _image_axes("autoencoder_networks", "input_shape", input_shape)
        if min(height, width) >= 8:
            return conv_encoder(input_shape), conv_decoder(input_shape, decoder_input_size, activation=activation)
        return dense_encoder(input_shape), dense_decoder(input_shape, decoder_input_size, activation=activation)
    if len(input_shape) == 2 and input_shape[0] == input_shape[1] >= 8:
        warnings.warn(
            f"autoencoder_networks: samples of shape {input_shape} get dense layers. If they are images, give them a "
            f"channel axis, x[..., None], and {(*input_shape, 1)}. Otherwise use dense_encoder and dense_decoder.",
            stacklevel=checks.users_level(),
        )
    return dense_encoder(input_shape), dense_decoder(input_shape, decoder_input_size)
