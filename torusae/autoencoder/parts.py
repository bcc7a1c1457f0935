"""The encoder and the decoder of a latent space as plain Functional models: to be exported, quantized, looked at."""

from typing import Any

import keras
import numpy as np
from keras import ops

from torusae._internal.scaling import Scaling
from torusae.layers import Latent
from torusae.layers.periodic import Float32Layer
from torusae.spaces import Space

_ROWS = 1024  # of samples at a time


@keras.saving.register_keras_serializable(package="torusae")
class SpaceFunction(Float32Layer):
    """A function of a space as a layer: `"angles"`, `"decoder_input"` or `"point"`, which reads raw values."""

    def __init__(self, space: Space, function: str, **kwargs):
        super().__init__(**kwargs)
        self.space = space
        self.function = function

    def call(self, values):
        return getattr(self.space, self.function)(values)

    def get_config(self):
        space = keras.saving.serialize_keras_object(self.space)
        return {**super().get_config(), "space": space, "function": self.function}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "space": keras.saving.deserialize_keras_object(config["space"])})


@keras.saving.register_keras_serializable(package="torusae")
class Scaled(Float32Layer):
    """Takes level and scale out of samples, `undo=False`, or puts them back."""

    def __init__(self, scaling: Scaling, undo: bool, **kwargs):
        super().__init__(**kwargs)
        self.scaling = scaling
        self.undo = undo

    def call(self, samples):
        return self.scaling.undo(samples) if self.undo else self.scaling.apply(samples)

    def get_config(self):
        scaling = keras.saving.serialize_keras_object(self.scaling)
        return {**super().get_config(), "scaling": scaling, "undo": self.undo}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "scaling": keras.saving.deserialize_keras_object(config["scaling"])})


@keras.saving.register_keras_serializable(package="torusae")
class Fill(Float32Layer):
    """Samples for an encoder: unknown cells, NaN, become the mean of the known ones in the training data."""

    def build(self, input_shape):
        self.means = self.add_weight(shape=tuple(input_shape[1:]), initializer="zeros", trainable=False, name="means")

    def call(self, samples):
        return ops.where(ops.isnan(samples), ops.convert_to_tensor(self.means), samples)

    def of_array(self, x: np.ndarray) -> np.ndarray:
        """As a call, of a NumPy array."""
        return np.where(np.isnan(x), ops.convert_to_numpy(self.means), x)

    def fit(self, x: np.ndarray) -> None:
        """Takes the means of samples; 0 where a cell is known in none."""
        total, count = np.zeros(x.shape[1:]), np.zeros(x.shape[1:])
        for start in range(0, len(x), _ROWS):  # memory-mapped files stay on disk
            rows = np.asarray(x[start : start + _ROWS], dtype="float64")
            total += np.nansum(rows, axis=0)
            count += np.sum(~np.isnan(rows), axis=0)
        self.means.assign((total / np.maximum(count, 1)).astype("float32"))


def encoder_model(
    sample_shape: tuple[int, ...], encoder: keras.Model, latent: Latent, fill: Fill | None = None
) -> keras.Model:
    """A model from a sample to a dict of its `"point"` and, if there are any, its `"angles"` in radians."""
    inputs = keras.Input(sample_shape, name="sample")
    samples = inputs if fill is None else fill(inputs)
    # Not by `return_point`: Keras takes the outputs of a layer's first symbolic call for those of all others.
    point = SpaceFunction(latent.space, "point", name="point")(latent.projection(encoder(samples)))
    outputs = {"point": point}
    if latent.space.num_angles:
        outputs["angles"] = SpaceFunction(latent.space, "angles", name="angles")(point)
    return _called(keras.Model(inputs, outputs, name="encoder_model"))


def decoder_model(latent: Latent, decoder: keras.Model) -> keras.Model:
    """A model from a point to a sample."""
    point = keras.Input((latent.space.point_size,), name="point")
    decoder_input = SpaceFunction(latent.space, "decoder_input", name="decoder_input")(point)
    return _called(keras.Model(point, decoder(decoder_input), name="decoder_model"))


def reads_units(encoder: keras.Model, sample_shape: tuple[int, ...], scaling: Scaling) -> keras.Model:
    """An encoder model that takes level and scale out of its samples itself."""
    inputs = keras.Input(sample_shape, name="sample")
    return _called(keras.Model(inputs, encoder(Scaled(scaling, False, name="scaled")(inputs)), name=encoder.name))


def gives_units(decoder: keras.Model, scaling: Scaling) -> keras.Model:
    """A decoder model whose samples have level and scale."""
    point = keras.Input(decoder.input_shape[1:], name="point")
    return _called(keras.Model(point, Scaled(scaling, True, name="units")(decoder(point)), name=decoder.name))


def output_range(decoder: Any) -> tuple[float, float] | None:
    """The range of a decoder's output, where its last layer is a sigmoid; `None` where it is not bounded."""
    layers = getattr(decoder, "layers", None) or [decoder]
    return (0.0, 1.0) if getattr(layers[-1], "activation", None) is keras.activations.sigmoid else None


def build_and_check(owner: str, encoder: Any, latent: Latent, decoder: Any) -> tuple[int, ...]:
    """Builds what is not built, checks that the parts fit together, and returns the shape of a sample."""
    shape = getattr(encoder, "input_shape", None) if encoder.built else None
    if not isinstance(shape, tuple) or None in shape[1:]:
        raise ValueError(
            f"{owner}: `encoder` must have a known input shape, that of one sample. Received: {encoder!r} with "
            f"input shape {shape}. Begin it with keras.Input(shape), every size given."
        )
    sample_shape = tuple(shape[1:])
    size = latent.space.decoder_input_size
    features = encoder.output_shape
    if len(features) != 2 or features[1] is None:
        raise ValueError(
            f"{owner}: `encoder` must return features of shape (batch, num_features). "
            f"Received: encoder.output_shape={features}. End it with Flatten() or a Dense layer."
        )
    if not latent.built:
        latent.build(features)
    if decoder.built and hasattr(decoder, "input_shape") and decoder.input_shape[1:] != (size,):
        raise ValueError(
            f"{owner}: `decoder` must read inputs of shape (batch, {size}). "
            f"Received: decoder.input_shape={decoder.input_shape}. Give it keras.Input(({size},))."
        )
    output = decoder(keras.KerasTensor((None, size), dtype="float32"))
    if tuple(output.shape[1:]) != sample_shape:
        raise ValueError(
            f"{owner}: `decoder` must return samples of the encoder's input shape {sample_shape}. "
            f"Received: decoder output shape {tuple(output.shape[1:])}. "
            f"torusae.autoencoder_networks({sample_shape}, {size}) makes a pair that fits."
        )
    return sample_shape


def _called(model: keras.Model) -> keras.Model:
    """A Functional model that was called once: Keras exports no other to ONNX."""
    model(model.inputs)
    return model
