"""`TorusAutoencoder`: encoder, latent space, decoder and heads as one Keras model."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from torusae import distribution
from torusae._internal import backend, batches, checks
from torusae.autoencoder._edits import Edits
from torusae.autoencoder._training import RAW, Means, weight_of
from torusae.autoencoder.initialization import checked_start
from torusae.densities import densities_of
from torusae.layers.balance import as_float32
from torusae.layers.head import Head
from torusae.layers.latent import Latent, TorusLatent
from torusae.losses import replica_mean
from torusae.networks import autoencoder_networks
from torusae.spaces import Space


@keras.saving.register_keras_serializable(package="torusae")
class TorusAutoencoder(Edits):
    """The Toroidal AutoEncoder: an autoencoder whose latent coordinates are angles spread evenly over a torus.

    `fit(x)` trains it to reproduce `x`; `fit(x, {"digit": labels})` trains its heads too. Called on a batch, the model
    returns a dict: `"reconstruction"`, `"point"` (of the latent space), each head's predictions by its name, and its
    raw outputs (logits of classes) by its name with `"_outputs"`.

    The loss is `R + |R| Σ w L`, with the reconstruction loss `R`, and the loss `L` and the weight `w` of each head and
    each supervision. The factor `|R|` is held constant for the gradient, so that one weight serves any loss and any
    scale of data. The latent terms add their gradient at the points and have no part in the loss: see `Latent`.

    Samples `x` are an array `(num, *sample_shape)`, or anything that Keras' `predict` accepts. In all methods
    `batch_size` is Keras' 32 by default, and `verbose=0` hides the progress bar. Results are NumPy arrays.

    Args:
        encoder: Keras model from a sample to features `(batch, num_features)`. Its input shape must be known.
        decoder: Keras model from `(batch, decoder_input_size)` to a sample. For a torus these are `2 * dim` values.
        latent: A `Latent` layer such as `TorusLatent(3)`, or an integer `dim` for `TorusLatent(dim)`.
        heads: Dict from a name to a `Head`, which reads the points. Defaults to `None`.
        start: Whether the first `fit` begins with `start_at_circles`: `"auto"`, where supervision has values of
            samples, or without supervision, where an array shows circles and ripser is installed; `"circles"`, or an
            error; `None`, never. Defaults to `"auto"`.
        density: What `fit` fits to the points of an array of 300 or more samples, see `fit_density`: one of the space's
            `densities`, `None` for nothing, or `"auto"`: the space's first if it is a flow. Defaults to `"auto"`.
        **kwargs: Passed to `keras.Model` (`name`).

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If the parts do not fit together, or a head has a name that the model uses itself.

    Example:

    >>> import numpy as np, torusae
    >>> model = torusae.TorusAutoencoder.from_shape((4,), dim=1)
    >>> model.compile("adam", "mse")
    >>> x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    >>> sorted(model.fit(x, verbose=0).history)
    ['diaphony', 'kuiper', 'loss', 'quantile', 'reconstruction']

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286. The relative weights are a torusae choice.
    """

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        latent: Latent | int,
        heads: Mapping[str, Head] | None = None,
        start: str | None = "auto",
        density: str | None = "auto",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if isinstance(latent, int) and not isinstance(latent, bool):
            latent = TorusLatent(latent)
        if not isinstance(latent, Latent):
            raise TypeError(
                f"TorusAutoencoder: `latent` must be a layer such as TorusLatent(3). Received: latent={latent!r}."
            )
        for name, network in (("encoder", encoder), ("decoder", decoder)):
            if not isinstance(network, keras.layers.Layer):
                raise TypeError(
                    f"TorusAutoencoder: `{name}` must be a Keras model. Received: {name}={network!r}. "
                    f"torusae.autoencoder_networks(shape, decoder_input_size) makes both."
                )
        self.start = checked_start("TorusAutoencoder", start, latent.space)
        self.encoder = encoder
        self.latent = latent
        self.decoder = decoder
        if heads is not None and not isinstance(heads, Mapping):
            raise TypeError(f"TorusAutoencoder: `heads` must be a dict from names to Heads. Received: heads={heads!r}.")
        self.heads = dict(heads or {})
        if density is not None:
            checks.option("TorusAutoencoder", "density", density, ["auto", *densities_of(latent.space)])
        self._density_choice = density
        self.latent.records = True
        self.sample_shape = _build_and_check(encoder, latent, decoder, self.heads)
        names = ["reconstruction"]
        for name, head in self.heads.items():
            names += [f"{name}_loss", f"{name}_{head.score_name}"]
        logged = ["loss", *names, *(term.name for term in latent.terms)]
        twice = [name for name in logged if logged.count(name) > 1]
        if twice:
            raise ValueError(
                f"TorusAutoencoder: losses and heads must have different names in the logs. Received: {twice[0]!r} "
                f"more than once among {logged}. Rename it, for example Term(loss, name=...)."
            )
        self.means = Means(names)
        self.reconstruction_loss: Any = None
        self.built = True

    @classmethod
    def from_shape(
        cls,
        input_shape: Sequence[int],
        dim: int | str | Space = 3,
        heads: Mapping[str, Head] | None = None,
        start: str | None = "auto",
        density: str | None = "auto",
        **latent_arguments: Any,
    ) -> "TorusAutoencoder":
        """A model for samples of a shape, not compiled: convolutions for images in [0, 1], dense layers for vectors.

        Args:
            input_shape: Shape of one sample, for example `x.shape[1:]`.
            dim: Integer, number of circles, or a `Space` such as `Torus(3) * Gaussian(4)`, or a text for
                `spaces.parse` such as `"T3 x R4"`. Defaults to `3`.
            heads: As in the constructor. Defaults to `None`.
            start: As in the constructor. Defaults to `"auto"`.
            density: As in the constructor. Defaults to `"auto"`.
            **latent_arguments: Passed to `TorusLatent` or `Latent` (`losses`, `loss_weights`).

        Example:

        >>> import torusae
        >>> torusae.TorusAutoencoder.from_shape((28, 28, 1), dim=3).latent.dim
        3
        """
        if isinstance(dim, (str, Space)):
            latent = Latent(dim, **latent_arguments)
        else:
            latent = TorusLatent(dim, **latent_arguments)
        return cls(*autoencoder_networks(input_shape, latent.space.decoder_input_size), latent, heads, start, density)

    def call(self, x, training=None):
        if isinstance(x, Mapping):  # Keras passes the first batch before any step, with its padding
            x, *_ = batches.without_padding((x,))
        self._check_samples("TorusAutoencoder", "x", x)
        # Keras tells them `training`: given by name, it would cost half as much as the layer.
        code, point = self.latent(self.encoder(x), return_point=True)
        outputs = {"reconstruction": self.decoder(code), "point": point}
        if self.heads:
            read = self.latent.space.head_input(point)
            for name, head in self.heads.items():
                outputs[name + RAW] = head(read)
                outputs[name] = head.predictions(outputs[name + RAW])
        return outputs

    def compile(self, optimizer: Any = "adam", loss: Any = "mse", metrics: Any = None, **kwargs: Any) -> None:
        """Configures the model for training, as `keras.Model.compile` does.

        Args:
            optimizer: Keras optimizer or its name. Defaults to `"adam"`.
            loss: The reconstruction loss: a name, a function or a `keras.losses.Loss`. Defaults to `"mse"`.
            metrics: Metrics of the reconstruction, or a dict from an output's name to its metrics. Defaults to `None`.
            **kwargs: `supervision`, a dict from a name to an object of `torusae.supervision`, for example
                `{"hour": Relative(circle=0, period=24)}`; its data come in `fit(x, {"hour": ...})`. Others are passed
                to `keras.Model.compile`. Not `loss_weights`: heads, supervision and latent terms have weights.
        """
        if isinstance(loss, (Mapping, list, tuple)) or loss is None:
            raise ValueError(
                f"TorusAutoencoder: `loss` must be one reconstruction loss such as 'mse'. Received: loss={loss!r}. "
                f"Heads have their own: Head('classification', 10, weight=0.1)."
            )
        if kwargs.get("loss_weights") is not None:
            raise ValueError(
                f"TorusAutoencoder: `loss_weights` is not used here. Received: {kwargs['loss_weights']!r}. Give "
                f"weights to the latent layer, TorusLatent(3, loss_weights={{'spring': 1.0}}), and to heads, "
                f"Head('classification', 10, weight=0.1)."
            )
        self._loss_argument = loss
        self.reconstruction_loss = keras.losses.get(loss)
        if not isinstance(self.reconstruction_loss, keras.losses.Loss):
            self.reconstruction_loss = _FunctionLoss(self.reconstruction_loss)
        self.metric_outputs = list(metrics) if isinstance(metrics, Mapping) else None
        for name in self.metric_outputs or ():
            checks.option("TorusAutoencoder", "metrics", name, ["reconstruction", *self.heads])
        # Without a loss of its own, Keras leaves all of it to compute_loss.
        super().compile(optimizer=optimizer, loss=None, metrics=metrics, **kwargs)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The total loss of a batch. Also adds each part to its mean."""
        if self.reconstruction_loss is None:
            raise ValueError("TorusAutoencoder: call compile(optimizer, loss) before training or evaluating.")
        targets, added = self._targets(x, y), list(self.losses)
        size = ops.cast(ops.shape(y_pred["point"])[0], "float32")
        pair = targets["reconstruction"], y_pred["reconstruction"]
        reconstruction = _reconstruction(self.reconstruction_loss, *pair, weight_of("reconstruction", sample_weight))
        total = distribution.share(reconstruction, size)
        values, weights, relative = [reconstruction], [size], 0.0
        for name, head in self.heads.items():
            if name in targets:
                labels, sample_weights = targets[name], weight_of(name, sample_weight)
                loss, score, count = head.loss_and_score(labels, y_pred[name + RAW], sample_weights)
                values += [loss, score]
                weights += [count, count]
                relative = relative + head.weight * distribution.share(loss, count)
            elif training:
                raise ValueError(self._no_labels("TorusAutoencoder", name, y))
            else:
                values += [ops.zeros(()), ops.zeros(())]
                weights += [ops.zeros(()), ops.zeros(())]
        if self.supervision:
            more = self._supervised_losses(x, targets, y_pred["point"], training)
            values, weights, relative = values + more[0], weights + more[1], relative + more[2]
        self.means.update_state(values, weights)
        if self.heads or self.supervision:
            total = total + ops.abs(distribution.mean(total)) * relative
        for extra in added:  # of the user's own layers, and terms that are not relative
            total = total + ops.cast(ops.sum(extra), "float32")
        return replica_mean(distribution.agree(total))

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Updates the metrics given to `compile` and returns all results. A head without labels has none."""
        targets = self._targets(x, y)
        names = self.metric_outputs
        if names is None:
            weights = weight_of("reconstruction", sample_weight)
            results = super().compute_metrics(x, targets["reconstruction"], y_pred["reconstruction"], weights)
        else:
            for name in names:
                if name not in targets:
                    raise ValueError(f"{self._no_labels('TorusAutoencoder', name, y)} Its metrics need them.")
            weights = None if sample_weight is None else {name: weight_of(name, sample_weight) for name in names}
            chosen = ({name: values[name] for name in names} for values in (targets, y_pred))
            results = super().compute_metrics(x, *chosen, weights)
        left_out = {
            f"{name}_{part}"
            for name in {*self.heads, *self._names_of_data()} - set(targets)
            for part in ("loss", self.heads[name].score_name if name in self.heads else "error")
        }
        return {name: value for name, value in results.items() if name not in left_out}

    def get_config(self):
        """Returns the constructor's arguments. A fitted density belongs to the weights, and is saved with them."""
        parts = {"encoder": self.encoder, "decoder": self.decoder, "latent": self.latent, "heads": self.heads}
        config = {name: keras.saving.serialize_keras_object(part) for name, part in parts.items()}
        options = {"trainable": self.trainable, "start": self.start, "density": self._density_choice}
        return {"name": self.name, **options, **config}

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        for name in ("encoder", "decoder", "latent", "heads"):
            config[name] = keras.saving.deserialize_keras_object(config[name])
        trainable = config.pop("trainable", True)
        model = cls(**config)
        model.trainable = trainable
        return model

    def get_compile_config(self):
        """Returns the arguments of `compile`, in a form that every backend can read."""
        config = super().get_compile_config()
        if not config:
            return config
        config["loss"] = keras.saving.serialize_keras_object(self._loss_argument)
        config["optimizer"] = backend.portable(config["optimizer"])
        config.pop("jit_compile", None)  # a choice of the backend that saved the file, not of the model
        config.pop("loss_weights", None)
        return config

    def compile_from_config(self, config):
        """Compiles the model with what `get_compile_config` returned."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)


def _reconstruction(loss: keras.losses.Loss, target: Any, output: Any, sample_weight: Any) -> Any:
    """The reconstruction loss of a batch, a scalar tensor."""
    if sample_weight is not None:
        # A loss of images has a value for each pixel, and Keras multiplies their last axis by the samples' weights.
        rank = len(loss.call(target, output).shape)
        sample_weight = ops.reshape(sample_weight, (-1,) + (1,) * max(rank - 1, 0))
    value = as_float32(loss(target, output, sample_weight))
    # Keras divides a loss among the replicas of TensorFlow. Here `compute_loss` does it once, at its end.
    return value if distribution.num_replicas() == 1 else value / replica_mean(ops.ones_like(value))


def _build_and_check(encoder: Any, latent: Latent, decoder: Any, heads: dict[str, Head]) -> tuple[int, ...]:
    """Builds what is not built, checks that the parts fit together, and returns the shape of a sample."""
    owner = "TorusAutoencoder"
    shape = getattr(encoder, "input_shape", None) if encoder.built else None
    if not isinstance(shape, tuple) or None in shape[1:]:
        raise ValueError(
            f"{owner}: `encoder` must have a known input shape, that of one sample. Received: {encoder!r} with "
            f"input shape {shape}. Begin it with keras.Input(shape), every size given."
        )
    sample_shape = tuple(shape[1:])
    space = latent.space
    features = encoder.output_shape
    if len(features) != 2 or features[1] is None:
        raise ValueError(
            f"{owner}: `encoder` must return features of shape (batch, num_features). "
            f"Received: encoder.output_shape={features}. End it with Flatten() or a Dense layer."
        )
    if not latent.built:
        latent.build(features)
    if decoder.built and hasattr(decoder, "input_shape") and decoder.input_shape[1:] != (space.decoder_input_size,):
        raise ValueError(
            f"{owner}: `decoder` must read inputs of shape (batch, {space.decoder_input_size}). "
            f"Received: decoder.input_shape={decoder.input_shape}. Give it keras.Input(({space.decoder_input_size},))."
        )
    output = decoder(keras.KerasTensor((None, space.decoder_input_size), dtype="float32"))
    if tuple(output.shape[1:]) != sample_shape:
        raise ValueError(
            f"{owner}: `decoder` must return samples of the encoder's input shape {sample_shape}. "
            f"Received: decoder output shape {tuple(output.shape[1:])}. "
            f"torusae.autoencoder_networks({sample_shape}, {space.decoder_input_size}) makes a pair that fits."
        )
    for name, head in heads.items():
        if not isinstance(head, Head):
            raise TypeError(f"{owner}: heads[{name!r}] must be a torusae Head. Received: {head!r}.")
        if name in ("reconstruction", "point", "loss"):
            raise ValueError(f"{owner}: `heads` can't have the name {name!r}, which the model uses itself.")
        head(keras.KerasTensor((None, space.head_input_size), dtype="float32"))
    return sample_shape


@keras.saving.register_keras_serializable(package="torusae")
class _FunctionLoss(keras.losses.Loss):
    """A loss function of the user's, averaged over the batch as Keras does."""

    def __init__(self, function):
        super().__init__(name="reconstruction")
        self.function = function

    def call(self, y_true, y_pred):
        return self.function(y_true, y_pred)
