"""A decoder as a short list of operations on arrays, which `network.js` computes in the page.

All operations are in channels last; a layer in channels first stands between two permutations. An operation is a dict:

- `"dense"`: `kernel` (inputs, outputs), `bias`; along the last axis;
- `"conv"`: `kernel` (height, width, inputs, outputs), `bias`, `strides`, `padding`;
- `"up"`: each pixel repeated `size` times along height and width;
- `"crop"`: `sizes` (top, bottom, left, right);
- `"affine"`: `scale` and `shift` of the last axis;
- `"activation"`: `name`, and the `slope` of a leaky ReLU;
- `"reshape"`: `shape`; `"permute"`: `axes`.

Arrays stand in a list of their own; an operation has their numbers in it, or -1 where there is none.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from torusae import networks

TO_CHANNELS_LAST, TO_CHANNELS_FIRST = [1, 2, 0], [2, 0, 1]

_ACTIVATIONS = {
    getattr(keras.activations, name): name
    for name in ("linear", "relu", "sigmoid", "tanh", "softplus", "elu", "silu", "exponential")
}
_LEAKY_SLOPE = 0.2  # Keras' default of the function
_SKIPPED = (  # what does nothing outside training
    keras.layers.InputLayer,
    keras.layers.Identity,
    keras.layers.Dropout,
    keras.layers.SpatialDropout2D,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.ActivityRegularization,
)


class UnknownLayer(Exception):
    """A layer, or a form of it, that the page can't compute."""


class Description:
    """The operations of a decoder and their arrays.

    Raises:
        UnknownLayer: If a layer has no operation here, or the layers are no chain.
    """

    def __init__(self, decoder: Any, decoder_input_size: int):
        self.operations: list[dict[str, Any]] = []
        self.arrays: list[np.ndarray] = []
        self.shape: tuple[int, ...] = (decoder_input_size,)  # of the result so far, without the batch
        self._add_layer(decoder)

    def add(self, kind: str, **fields: Any) -> None:
        """Appends an operation; arrays among its fields go to the list of arrays. Opposite permutations cancel."""
        last = self.operations[-1] if self.operations else {}
        if kind == last.get("op") == "permute" and np.array_equal(np.take(last["axes"], fields["axes"]), range(3)):
            self.operations.pop()
            return
        self.operations.append({"op": kind, **{name: self._numbered(value) for name, value in fields.items()}})

    def _numbered(self, value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return value
        self.arrays.append(value)
        return len(self.arrays) - 1

    def _add_layer(self, layer: Any) -> None:
        if isinstance(layer, keras.Model):
            for inner in _chain(layer):
                self._add_layer(inner)
            return
        if type(layer) in _SKIPPED:
            return
        if type(layer) not in LAYERS:
            raise UnknownLayer(f"{type(layer).__name__} {layer.name!r}")
        after = tuple(layer.compute_output_shape((None, *self.shape))[1:])
        LAYERS[type(layer)](self, layer, after)
        self.shape = after

    def activation(self, layer: Any) -> None:
        """The activation function of a layer."""
        function = layer.activation
        if function is keras.activations.leaky_relu:
            self.add("activation", name="leaky_relu", slope=_LEAKY_SLOPE)
        elif function not in _ACTIVATIONS:
            raise UnknownLayer(f"the activation of {layer.name!r}")
        elif _ACTIVATIONS[function] != "linear":
            self.add("activation", name=_ACTIVATIONS[function])

    def add_to_image(self, channels_first: bool, kind: str, **fields: Any) -> None:
        """Appends an operation on an image, in channels last."""
        if channels_first:
            self.add("permute", axes=TO_CHANNELS_LAST)
        self.add(kind, **fields)
        if channels_first:
            self.add("permute", axes=TO_CHANNELS_FIRST)


def _chain(model: keras.Model) -> Sequence[Any]:
    """The layers of a model in which each reads the one before it and nothing else."""
    if type(model) is keras.Sequential:
        return model.layers
    try:
        layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
        given = [model.input, *(layer.output for layer in layers)]
        read = [*(layer.input for layer in layers), model.output]
        if list(map(id, given)) == list(map(id, read)):
            return layers
    except (AttributeError, ValueError):  # a model of the user's own class, or a layer used twice
        pass
    raise UnknownLayer(f"{model.name!r}, which is no chain of layers, each of which reads the one before it")


def _array(weight: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(weight, "float32")), "float32")


def _is_channels_first(layer: Any) -> bool:
    return getattr(layer, "data_format", "") == "channels_first"


def _bias(layer: Any) -> Any:
    return _array(layer.bias) if layer.use_bias else -1


def _dense(to: Description, layer: Any, after: tuple[int, ...]) -> None:
    to.add("dense", kernel=_array(layer.kernel), bias=_bias(layer))
    to.activation(layer)


def _conv(to: Description, layer: Any, after: tuple[int, ...]) -> None:
    if layer.groups != 1 or tuple(layer.dilation_rate) != (1, 1) or layer.padding not in ("same", "valid"):
        raise UnknownLayer(f"{layer.name!r}, a convolution with groups or dilation")
    fields = {"strides": list(layer.strides), "padding": layer.padding}
    to.add_to_image(_is_channels_first(layer), "conv", kernel=_array(layer.kernel), bias=_bias(layer), **fields)
    to.activation(layer)


def _up(to: Description, layer: Any, after: tuple[int, ...]) -> None:
    if layer.interpolation != "nearest":
        raise UnknownLayer(f"{layer.name!r}, an up-sampling by interpolation={layer.interpolation!r}")
    to.add_to_image(_is_channels_first(layer), "up", size=list(layer.size))


def _crop(to: Description, layer: Any, after: tuple[int, ...]) -> None:
    to.add_to_image(_is_channels_first(layer), "crop", sizes=[size for pair in layer.cropping for size in pair])


def _normalization(to: Description, layer: Any, after: tuple[int, ...]) -> None:
    axis = layer.axis % (len(after) + 1)
    if axis != len(after) and not (axis == 1 and len(after) == 3):
        raise UnknownLayer(f"{layer.name!r}, a normalization along axis {layer.axis}")
    deviation = np.sqrt(_array(layer.moving_variance) + np.float32(layer.epsilon))
    scale = (_array(layer.gamma) if layer.scale else np.float32(1)) / deviation
    shift = (_array(layer.beta) if layer.center else np.float32(0)) - _array(layer.moving_mean) * scale
    to.add_to_image(axis != len(after), "affine", scale=scale, shift=shift)


def _reshape(to: Description, layer: Any, after: tuple[int, ...]) -> None:
    if _is_channels_first(layer) and len(to.shape) == 3:
        to.add("permute", axes=TO_CHANNELS_LAST)  # as Keras flattens images
    to.add("reshape", shape=list(after))


def _relu(to: Description, layer: Any, after: tuple[int, ...]) -> None:
    if type(layer) is keras.layers.LeakyReLU:
        to.add("activation", name="leaky_relu", slope=float(layer.negative_slope))
    elif layer.max_value is not None or layer.negative_slope or layer.threshold:
        raise UnknownLayer(f"{layer.name!r}, a ReLU with options")
    else:
        to.add("activation", name="relu")


LAYERS: dict[type, Callable[[Description, Any, tuple[int, ...]], None]] = {
    keras.layers.Dense: _dense,
    keras.layers.Conv2D: _conv,
    networks.Conv2D: _conv,
    keras.layers.UpSampling2D: _up,
    networks.UpSampling2D: _up,
    keras.layers.Cropping2D: _crop,
    keras.layers.BatchNormalization: _normalization,
    keras.layers.Reshape: _reshape,
    keras.layers.Flatten: _reshape,
    keras.layers.ReLU: _relu,
    keras.layers.LeakyReLU: _relu,
    keras.layers.Activation: lambda to, layer, after: to.activation(layer),
}
