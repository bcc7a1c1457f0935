"""Models of every kind around a latent layer, and a loss of a user's own."""

import keras
from keras import ops

import torusae

FEATURES = 5


def host_model(kind, latent):
    """A model around a latent layer, not compiled."""
    if kind == "functional":
        inputs = keras.Input((FEATURES,))
        outputs = keras.layers.Dense(FEATURES, activation="sigmoid")(latent(keras.layers.Dense(6)(inputs)))
        return keras.Model(inputs, outputs)
    if kind == "sequential":  # without an Input: built when the first batch comes
        return keras.Sequential([keras.layers.Dense(6), latent, keras.layers.Dense(FEATURES, activation="sigmoid")])
    if kind == "nested":
        inner = keras.Sequential([keras.Input((6,)), latent], name="inner")
        outer = [keras.Input((FEATURES,)), keras.layers.Dense(6), inner, keras.layers.Dense(FEATURES, "sigmoid")]
        return keras.Sequential(outer)
    if kind == "nested subclassed":
        inputs = keras.Input((FEATURES,))
        return keras.Model(inputs, Subclassed(latent)(inputs))
    return Subclassed(latent) if kind == "subclassed" else SubclassedTraining(latent)


@keras.saving.register_keras_serializable(package="torusae_tests")
class Subclassed(keras.Model):
    """Its `call` takes no `training`, as in many tutorials: Keras then tells its layers nothing, not even in `fit`."""

    def __init__(self, latent, **kwargs):
        super().__init__(**kwargs)
        self.features = keras.layers.Dense(6)
        self.latent = latent
        self.reconstruct = keras.layers.Dense(FEATURES, activation="sigmoid")

    def call(self, x):
        return self.reconstruct(self.latent(self.features(x)))  # no training: Dropout would never act here

    def get_config(self):
        return {"latent": keras.saving.serialize_keras_object(self.latent)}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config["latent"]))


@keras.saving.register_keras_serializable(package="torusae_tests")
class SubclassedTraining(Subclassed):
    def call(self, x, training=None):
        # On JAX it does not reach the layers by itself.
        return self.reconstruct(self.latent(self.features(x), training=training))


@keras.saving.register_keras_serializable(package="torusae_tests")
class RadiusLoss(torusae.LatentLoss):
    """A loss of a user's own."""

    reads = "radii"
    default_weight = 4.0

    def __init__(self, name="radius"):
        super().__init__(name)

    def call(self, values):
        return ops.mean(values)
