"""The halves of an autoencoder as plain Keras models."""

from typing import Any

import keras

from torusae.autoencoder._training import SampleModel
from torusae.autoencoder.initialization import start_of_fit
from torusae.layers.latent import Latent, Read


class Halves(SampleModel):
    """A sample model with an encoder, a latent layer and a decoder, each half also a plain Keras model."""

    encoder: keras.Model
    latent: Latent
    decoder: keras.Model
    start: str | None
    was_trained = False  # or loaded: then `fit` leaves the start alone

    def _before_training(self, x, y, verbose, callbacks, first_epoch):
        if not self.was_trained and not first_epoch:
            start_of_fit(self, x, self._targets(x, y), verbose, callbacks)
        self.was_trained = True

    def __setattr__(self, name: str, value: Any) -> None:
        old = getattr(self, name, None) if name in ("encoder", "latent", "decoder") else None
        super().__setattr__(name, value)
        if isinstance(old, keras.layers.Layer) and old is not value:
            # Keras goes on training and saving a layer that was replaced, unless it leaves a list.
            self.replaced = [old]
            self.replaced.clear()

    @property
    def output_range(self) -> tuple[float, float] | None:
        """The range of the decoder's output, where its last layer is a sigmoid."""
        layers = getattr(self.decoder, "layers", None) or [self.decoder]
        activation = getattr(layers[-1], "activation", None)
        return (0.0, 1.0) if activation is keras.activations.sigmoid else None

    def _view(self, make: Any, *layers: Any) -> keras.Model:
        """A Functional model over some layers, made once, and again where a layer was replaced."""
        views = self.__dict__.setdefault("_views", {})  # past Keras' tracking, so that no layer is saved twice
        known = views.get(make.__name__)
        if known is None or any(a is not b for a, b in zip(known[0], layers, strict=True)):
            views[make.__name__] = known = layers, make()
        return known[1]

    def __dir__(self):
        # Keras saves what dir() lists: the views would be made, and the latent layer saved under one of them.
        return [name for name in super().__dir__() if name not in ("encoding_model", "decoding_model")]

    @property
    def encoding_model(self) -> keras.Model:
        """A Functional Keras model from a sample to a dict of its `"point"` and, if any, its `"angles"` in radians."""
        return self._view(self._make_encoding_model, self.encoder, self.latent)

    @property
    def decoding_model(self) -> keras.Model:
        """A Functional Keras model from a point to a sample."""
        return self._view(self._make_decoding_model, self.latent, self.decoder)

    def _make_encoding_model(self):
        inputs = keras.Input(self.sample_shape, name="sample")
        # Not by `return_point`: Keras takes the outputs of a layer's first symbolic call for those of all others.
        point = Read(self.latent.space, "point", name="point")(self.latent.projection(self.encoder(inputs)))
        outputs = {"point": point}
        if self.latent.space.num_angles:
            outputs["angles"] = Read(self.latent.space, "angles", name="angles")(point)
        return _called(keras.Model(inputs, outputs, name="encoding_model"))

    def _make_decoding_model(self):
        point = keras.Input((self.latent.space.point_size,), name="point")
        decoder_input = Read(self.latent.space, "decoder_input", name="decoder_input")(point)
        return _called(keras.Model(point, self.decoder(decoder_input), name="decoding_model"))


def _called(model: keras.Model) -> keras.Model:
    """A Functional model that was called once: Keras exports no other to ONNX."""
    model(model.inputs)
    return model
