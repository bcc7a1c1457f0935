"""`TorusAutoencoder`: encoder, latent space, decoder and heads as one Keras model."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import keras
import numpy as np
from keras import ops

from torusae import _checks, morph
from torusae._checks import Tensor
from torusae.layers import Latent, TorusLatent
from torusae.losses import replica_mean
from torusae.networks import Head, autoencoder_networks
from torusae.spaces import Space


class _Monitor(keras.metrics.Metric):
    """A space's live statistics over everything seen since the last reset."""

    def __init__(self, space: Space):
        super().__init__(name="monitor", dtype="float32")
        self.space = space
        self.total = self.add_variable(shape=space.monitor_shape, initializer="zeros", name="total", aggregation="sum")

    def update_state(self, code, sample_weight=None):
        self.total.assign(self.total + self.space.monitor(code))

    def result(self):
        return self.space.read_monitor(self.total.value)


@keras.saving.register_keras_serializable(package="torusae")
class TorusAutoencoder(keras.Model):
    """The Toroidal AutoEncoder: an autoencoder whose latent coordinates are angles spread evenly over a torus.

    `fit(x)` trains it to reproduce `x`; `fit(x, {"digit": labels})` trains its heads too. Called on a batch, the model
    returns a dict: `"reconstruction"`, `"code"`, and each head's output by its name.

    The weights of the latent losses and of the heads are relative to the reconstruction's: the total is
    `R + |R| (Σ w_t L_t)` with the factor `|R|`, the reconstruction loss of the batch, held constant for the gradient.
    That is the gradient of `log R + Σ w_t L_t`, times `R`, so that one weight serves mean squared error and
    cross-entropy, images and tables, whatever the scale of the data.

    Args:
        encoder: Keras model from a sample to features `(batch, num_features)`; its input shape must be known.
        decoder: Keras model from a code `(batch, 2 * dim)` to a sample.
        latent: A `Latent` layer such as `TorusLatent(3)`, or an integer `dim` for `TorusLatent(dim)`.
        heads: Dict from a name to a `Head` that reads the angles Φ. Defaults to `None`.
        **kwargs: Passed to `keras.Model` (`name`).

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If the encoder's input shape is unknown, the decoder does not read the code or does not make
            samples of the encoder's input shape, or a head has a name that the model uses itself.

    Example:

    >>> import numpy as np, torusae
    >>> encoder, decoder = torusae.autoencoder_networks((4,), code_size=2)
    >>> model = torusae.TorusAutoencoder(encoder, decoder, torusae.TorusLatent(1))
    >>> model.compile("adam", "mse")
    >>> x = np.zeros((8, 4), "float32")
    >>> history = model.fit(x, verbose=0).history
    >>> sorted(history)
    ['kuiper', 'loss', 'quantile', 'reconstruction', 'spring']
    >>> model.encode(x, verbose=0).shape
    (8, 2)

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286. The relative weights are a torusae choice.
    """

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        latent: Latent | int,
        heads: Mapping[str, Head] | None = None,
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
                    f"torusae.autoencoder_networks(shape, code_size) makes both."
                )
        self.encoder = encoder
        self.latent = latent
        self.decoder = decoder
        self.heads = dict(heads or {})
        self._build_and_check()
        names = ["reconstruction", *(loss.name for loss in latent.latent_losses)]
        for name, head in self.heads.items():
            names += [f"{name}_loss", f"{name}_{head.score_name}"]
        self.trackers = {name: keras.metrics.Mean(name=name) for name in names}
        self.monitor = _Monitor(latent.space)
        self.reconstruction_loss: Any = None

    @classmethod
    def from_shape(
        cls, input_shape: Sequence[int], dim: int = 3, heads: Mapping[str, Head] | None = None, **latent_arguments: Any
    ) -> "TorusAutoencoder":
        """A model for samples of a shape: convolutions for images in [0, 1], dense layers for vectors.

        Args:
            input_shape: Shape of one sample, for example `x.shape[1:]`.
            dim: Integer, number of circles. Defaults to `3`.
            heads: As in the constructor. Defaults to `None`.
            **latent_arguments: Passed to `TorusLatent` (`losses`, `loss_weights`).

        Returns:
            `TorusAutoencoder`, not compiled.

        Example:

        >>> import torusae
        >>> torusae.TorusAutoencoder.from_shape((28, 28, 1), dim=3).latent.dim
        3
        """
        latent = TorusLatent(dim, **latent_arguments)
        return cls(*autoencoder_networks(input_shape, latent.space.code_size), latent, heads)

    def _build_and_check(self):
        owner = "TorusAutoencoder"
        if not self.encoder.built or not hasattr(self.encoder, "input_shape"):
            raise ValueError(
                f"{owner}: `encoder` must know its input shape. Received: {self.encoder!r}. "
                f"Begin it with keras.Input(shape)."
            )
        self.sample_shape = tuple(self.encoder.input_shape[1:])
        code_size = self.latent.space.code_size
        features = self.encoder.output_shape
        if len(features) != 2 or features[1] is None:
            raise ValueError(
                f"{owner}: `encoder` must return features of shape (batch, num_features). "
                f"Received: encoder.output_shape={features}. End it with Flatten() or a Dense layer."
            )
        if not self.latent.built:
            self.latent.build(features)
            self.latent.built = True
        if self.decoder.built and hasattr(self.decoder, "input_shape") and self.decoder.input_shape[1:] != (code_size,):
            raise ValueError(
                f"{owner}: `decoder` must read codes of shape (batch, {code_size}). "
                f"Received: decoder.input_shape={self.decoder.input_shape}. Give it keras.Input(({code_size},))."
            )
        output = self.decoder(keras.KerasTensor((None, code_size), dtype="float32"))
        if tuple(output.shape[1:]) != self.sample_shape:
            raise ValueError(
                f"{owner}: `decoder` must return samples of the encoder's input shape {self.sample_shape}. "
                f"Received: decoder output shape {tuple(output.shape[1:])}. "
                f"torusae.autoencoder_networks({self.sample_shape}, {code_size}) makes a pair that fits."
            )
        taken = {"reconstruction", "code", "loss"}
        coordinates = self.latent.space.coordinates(keras.KerasTensor((None, code_size), dtype="float32"))
        for name, head in self.heads.items():
            if not isinstance(head, Head):
                raise TypeError(f"{owner}: heads[{name!r}] must be a torusae Head. Received: {head!r}.")
            if name in taken:
                raise ValueError(f"{owner}: `heads` can't have the name {name!r}, which the model uses itself.")
            head(coordinates)
        self.built = True

    def call(self, x, training=None):
        code = self.latent.project(self.encoder(x, training=training))
        coordinates = self.latent.space.coordinates(code)
        outputs = {name: head(coordinates, training=training) for name, head in self.heads.items()}
        return {"reconstruction": self.decoder(code, training=training), "code": code, **outputs}

    # Training

    def compile(self, optimizer: Any = "adam", loss: Any = "mse", metrics: Any = None, **kwargs: Any) -> None:
        """Configures the model for training, as `keras.Model.compile` does.

        Args:
            optimizer: Keras optimizer or its name. Defaults to `"adam"`.
            loss: The reconstruction loss: a name, a function or a `keras.losses.Loss`. Defaults to `"mse"`.
            metrics: Metrics of the reconstruction, or a dict from an output's name to its metrics. Defaults to `None`.
            **kwargs: Passed to `keras.Model.compile`.

        Raises:
            ValueError: If `loss` is a dict or `loss_weights` is given: a head has its own loss and weight, the latent
                layer those of its terms.
        """
        if isinstance(loss, (Mapping, list, tuple)) or loss is None:
            raise ValueError(
                f"TorusAutoencoder: `loss` must be one reconstruction loss such as 'mse'. Received: loss={loss!r}. "
                f"Heads have their own: Head('classes', 10, weight=0.1)."
            )
        if kwargs.get("loss_weights") is not None:
            raise ValueError(
                f"TorusAutoencoder: `loss_weights` is not used here. Received: {kwargs['loss_weights']!r}. Give "
                f"weights to the latent layer, TorusLatent(3, loss_weights={{'spring': 0.01}}), and to heads, "
                f"Head('classes', 10, weight=0.1)."
            )
        self._loss_argument = loss
        self.reconstruction_loss = keras.losses.get(loss)
        if not isinstance(self.reconstruction_loss, keras.losses.Loss):
            self.reconstruction_loss = _FunctionLoss(self.reconstruction_loss)
        self.metric_outputs = list(metrics) if isinstance(metrics, Mapping) else None
        for name in self.metric_outputs or ():
            _checks.option("TorusAutoencoder", "metrics", name, ["reconstruction", *self.heads])
        # Without a loss of its own, Keras leaves all of it to compute_loss.
        super().compile(optimizer=optimizer, loss=None, metrics=metrics, **kwargs)

    def _targets(self, x, y) -> dict[str, Tensor]:
        """What each output is compared with. Without a target of its own, the reconstruction is compared with x."""
        if y is None:
            return {"reconstruction": x}
        if not isinstance(y, Mapping):
            if tuple(y.shape[1:]) != self.sample_shape:
                heads = list(self.heads)
                raise ValueError(
                    f"TorusAutoencoder: `y` must be a dict of labels by head, or targets of the reconstruction with "
                    f"shape (batch, {', '.join(map(str, self.sample_shape))}). Received: y.shape={tuple(y.shape)}. "
                    + (f"Use y={{{heads[0]!r}: labels}}." if heads else "This model has no heads for labels.")
                )
            return {"reconstruction": y}
        for name in y:
            _checks.option("TorusAutoencoder", "y", name, ["reconstruction", *self.heads])
        return {"reconstruction": x, **y}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The total loss of a batch; also counts each term in its metric."""
        if self.reconstruction_loss is None:
            raise ValueError("TorusAutoencoder: call compile(optimizer, loss) before training or evaluating.")
        targets = self._targets(x, y)
        size = ops.cast(ops.shape(y_pred["code"])[0], "float32")

        def track(name, value, weight=size):
            self.trackers[name].update_state(value, sample_weight=weight)

        reconstruction = self.reconstruction_loss(targets["reconstruction"], y_pred["reconstruction"], sample_weight)
        reconstruction = ops.cast(reconstruction, "float32")
        track("reconstruction", reconstruction)
        relative = ops.zeros_like(reconstruction)
        for name, term in self.latent.terms(y_pred["code"]).items():
            track(name, term)
            relative = relative + self.latent.weight_now(name) * replica_mean(term)
        for name, head in self.heads.items():
            if name in targets:
                loss, score, mask = head.loss_and_score(targets[name], y_pred[name], sample_weight)
                track(f"{name}_loss", loss, ops.sum(mask))
                track(f"{name}_{head.score_name}", score, mask)
                relative = relative + head.weight * loss
        self.monitor.update_state(y_pred["code"])
        if training:
            self.latent.iterations.assign_add(1)
        total = reconstruction + ops.stop_gradient(ops.abs(reconstruction)) * relative
        for extra in self.losses:  # regularizers of the user's own layers
            total = total + ops.cast(ops.sum(extra), "float32")
        return total

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Updates the metrics given to `compile` and returns all results."""
        targets = self._targets(x, y)
        if self.metric_outputs is None:
            return super().compute_metrics(x, targets["reconstruction"], y_pred["reconstruction"], sample_weight)
        names = self.metric_outputs
        return super().compute_metrics(
            x, {name: targets[name] for name in names}, {name: y_pred[name] for name in names}, sample_weight
        )

    def fit(self, x=None, y=None, batch_size=None, epochs=1, validation_data=None, **kwargs):
        """Trains the model, as `keras.Model.fit` does, after checking the data.

        Args:
            x: Samples: an array or tensor, or a `tf.data.Dataset`, `keras.utils.PyDataset` or torch `DataLoader` that
                yields `x` or `(x, labels)`.
            y: Dict from a head's name to its labels. A `"reconstruction"` entry (or an array of the samples' shape)
                is what the model is to reproduce instead of `x`. Defaults to `None`.
            batch_size: Integer. Defaults to `None`, Keras' 32: give 128 or more, since the latent losses are
                statistics of a batch.
            epochs: Integer. Defaults to `1`.
            validation_data: As in Keras; `(x_val, labels)` or just an array `x_val`. Defaults to `None`.
            **kwargs: Passed to `keras.Model.fit`.

        Returns:
            Keras `History`.

        Raises:
            ValueError: If data hold NaN or infinity, or do not have the shape that the model needs, or labels name a
                head that does not exist, or a head has no labels.
        """
        self._check_data("fit", x, y, needs_labels=True)
        if _is_array(validation_data):
            validation_data = (validation_data, None)
        if isinstance(validation_data, (tuple, list)):
            self._check_data("fit, validation_data", *validation_data[:2])
        return super().fit(x, y, batch_size, epochs, validation_data=validation_data, **kwargs)

    def evaluate(self, x=None, y=None, batch_size=None, **kwargs):
        """Returns the loss and every metric, as `keras.Model.evaluate` does, after checking the data."""
        self._check_data("evaluate", x, y)
        return super().evaluate(x, y, batch_size, **kwargs)

    def _check_data(self, owner: str, x: Any, y: Any = None, needs_labels: bool = False) -> None:
        """Names what is wrong with arrays before anything is computed; what streams is looked at when it comes."""
        owner = f"TorusAutoencoder.{owner}"
        if not _is_array(x):
            return
        x = _host_array(x)
        if tuple(x.shape[1:]) != self.sample_shape:
            fix = "Use x[..., None]." if (*tuple(x.shape[1:]), 1) == self.sample_shape else "Reshape it first."
            raise ValueError(
                f"{owner}: `x` must have shape (batch, {', '.join(map(str, self.sample_shape))}). "
                f"Received: x.shape={tuple(x.shape)}. {fix}"
            )
        _checks.finite_array(owner, "x", x)
        targets = self._targets(x, y)
        _checks.finite_array(owner, "y['reconstruction']", _host_array(targets["reconstruction"]))
        for name, head in self.heads.items():
            if name in targets:
                self._check_labels(owner, name, head, _host_array(targets[name]), len(x))
            elif needs_labels:
                raise ValueError(
                    f"{owner}: `y` must hold labels for the head {name!r}. Received: {sorted(y) if y else y}. "
                    f"Mark missing labels with {'-1' if head.task == 'classes' else 'NaN'}."
                )

    def _check_labels(self, owner, name, head, labels, num_samples):
        if len(labels) != num_samples:
            raise ValueError(
                f"{owner}: y[{name!r}] must hold {num_samples} labels, one per sample. Received: {len(labels)}."
            )
        if head.task == "classes":
            if labels.dtype.kind not in "iu" or labels.size != num_samples:
                raise ValueError(
                    f"{owner}: y[{name!r}] must be integer classes of shape ({num_samples},). "
                    f"Received: shape={labels.shape}, dtype={labels.dtype}. For one-hot rows use labels.argmax(-1)."
                )
            if labels.size and not -1 <= labels.min() <= labels.max() < head.num_outputs:
                raise ValueError(
                    f"{owner}: y[{name!r}] must hold classes 0 to {head.num_outputs - 1}, or -1 where the label is "
                    f"missing. Received: values from {labels.min()} to {labels.max()}."
                )
        elif np.isinf(labels.astype("float64")).any():
            position = tuple(int(i) for i in np.argwhere(np.isinf(labels.astype("float64")))[0])
            raise ValueError(
                f"{owner}: y[{name!r}] must be finite, or NaN where missing. Received: infinity at position {position}."
            )

    # Use

    @cached_property
    def _encoder_model(self) -> keras.Model:
        # A cached property is written past Keras' tracking, so that no layer is saved twice.
        inputs = keras.Input(self.sample_shape)
        return keras.Model(inputs, self.latent(self.encoder(inputs)))

    @cached_property
    def _decoder_model(self) -> keras.Model:
        inputs = keras.Input((self.latent.space.code_size,))
        return keras.Model(inputs, self.decoder(inputs))

    def encode(self, x: Any, batch_size: int | None = None, verbose: Any = "auto") -> np.ndarray:
        """Codes of samples, in batches, with a progress bar. `to_polar(codes)` gives radii and angles.

        Args:
            x: Samples `(num, *sample_shape)`, or anything that `predict` accepts.
            batch_size: Integer. Defaults to `None`, Keras' 32.
            verbose: As in `predict`; `0` is silent. Defaults to `"auto"`.

        Returns:
            NumPy array `(num, 2 * dim)`.
        """
        self._check_data("encode", x)
        return self._encoder_model.predict(x, batch_size=batch_size, verbose=verbose)

    def decode(self, codes: Any, batch_size: int | None = None, verbose: Any = "auto") -> np.ndarray:
        """Samples that codes stand for, in batches, with a progress bar.

        Args:
            codes: Float array `(num, 2 * dim)`.
            batch_size: Integer. Defaults to `None`, Keras' 32.
            verbose: As in `predict`; `0` is silent. Defaults to `"auto"`.

        Returns:
            NumPy array `(num, *sample_shape)`.

        Raises:
            ValueError: If the codes are not of rank 2 or of another size.
        """
        size = self.latent.space.code_size
        codes = _host_array(codes)
        if codes.ndim != 2 or codes.shape[1] != size:
            raise ValueError(
                f"TorusAutoencoder.decode: `codes` must have shape (num, {size}). Received: codes.shape={codes.shape}."
            )
        _checks.finite_array("TorusAutoencoder.decode", "codes", codes)
        return self._decoder_model.predict(codes, batch_size=batch_size, verbose=verbose)

    def reconstruct(self, x: Any, batch_size: int | None = None, verbose: Any = "auto") -> np.ndarray:
        """`decode(encode(x))`.

        Args:
            x: Samples `(num, *sample_shape)`, or anything that `predict` accepts.
            batch_size: Integer. Defaults to `None`, Keras' 32.
            verbose: As in `predict`; `0` is silent. Defaults to `"auto"`.

        Returns:
            NumPy array `(num, *sample_shape)`.
        """
        return self.decode(self.encode(x, batch_size, verbose), batch_size, verbose)

    def sample(
        self, num_samples: int, seed: Any = None, batch_size: int | None = None, verbose: Any = "auto"
    ) -> np.ndarray:
        """Decodes codes drawn from the latent space's prior.

        Args:
            num_samples: Integer, at least 1.
            seed: Integer or `keras.random.SeedGenerator`; one integer gives the same samples on one backend.
                Defaults to `None`, a random seed.
            batch_size: Integer. Defaults to `None`, Keras' 32.
            verbose: As in `predict`; `0` is silent. Defaults to `"auto"`.

        Returns:
            NumPy array `(num_samples, *sample_shape)`.
        """
        return self.decode(ops.convert_to_numpy(self.latent.space.sample(num_samples, seed)), batch_size, verbose)

    def morph(
        self,
        start: Any,
        end: Any,
        windings: Any = None,
        num_steps: int = 12,
        batch_size: int | None = None,
        verbose: Any = "auto",
    ) -> np.ndarray:
        """Morphs one sample into another along many ways around the torus.

        Args:
            start: One sample, `sample_shape`.
            end: One sample, `sample_shape`.
            windings: Integer array `(num_paths, dim)`. Defaults to `None`, `two_way_windings`: each circle the short
                or the long way, the shortest path first.
            num_steps: Integer, at least 2, samples along each path. Defaults to `12`.
            batch_size: Integer. Defaults to `None`, Keras' 32.
            verbose: As in `predict`; `0` is silent. Defaults to `"auto"`.

        Returns:
            NumPy array `(num_paths, num_steps, *sample_shape)`. The ends are the reconstructions of both samples.

        Raises:
            ValueError: If a sample is of another shape.
        """
        pair = []
        for name, sample in (("start", start), ("end", end)):
            sample = _host_array(sample)
            if tuple(sample.shape) != self.sample_shape:
                fix = f" Use {name}[0]." if tuple(sample.shape[1:]) == self.sample_shape else ""
                raise ValueError(
                    f"TorusAutoencoder.morph: `{name}` must be one sample of shape {self.sample_shape}. "
                    f"Received: {name}.shape={tuple(sample.shape)}.{fix}"
                )
            pair.append(sample)
        first, last = self.encode(np.stack(pair), verbose=0)
        if windings is None:
            windings = morph.two_way_windings(first, last)
        paths = ops.convert_to_numpy(self.latent.space.paths(first, last, windings, num_steps))
        samples = self.decode(paths.reshape(-1, paths.shape[-1]), batch_size, verbose)
        return samples.reshape(*paths.shape[:2], *self.sample_shape)

    # Saving

    def get_config(self):
        """Returns the constructor's arguments."""
        parts = {"encoder": self.encoder, "decoder": self.decoder, "latent": self.latent, "heads": self.heads}
        config = {name: keras.saving.serialize_keras_object(part) for name, part in parts.items()}
        return {"name": self.name, "trainable": self.trainable, **config}

    @classmethod
    def from_config(cls, config):
        """Returns the model that `get_config` describes."""
        config = dict(config)
        for name in ("encoder", "decoder", "latent", "heads"):
            config[name] = keras.saving.deserialize_keras_object(config[name])
        trainable = config.pop("trainable", True)
        model = cls(**config)
        model.trainable = trainable
        return model

    def get_compile_config(self):
        """Returns what `compile` was given, in a form that every backend can read."""
        config = super().get_compile_config()
        if not config:
            return config
        config["loss"] = keras.saving.serialize_keras_object(self._loss_argument)
        config["optimizer"] = _portable(config["optimizer"])
        config.pop("jit_compile", None)  # a choice of the backend that saved the file, not of the model
        config.pop("loss_weights", None)
        return config

    def compile_from_config(self, config):
        """Compiles the model with what `get_compile_config` returned."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)


@keras.saving.register_keras_serializable(package="torusae")
class _FunctionLoss(keras.losses.Loss):
    """A loss function of the user's, averaged over the batch as Keras does."""

    def __init__(self, function):
        super().__init__(name="reconstruction")
        self.function = function

    def call(self, y_true, y_pred):
        return self.function(y_true, y_pred)


def _portable(config: Any) -> Any:
    """An optimizer's config without its backend: Keras names the torch optimizers by a class that only torch has."""
    if isinstance(config, dict):
        config = {key: _portable(value) for key, value in config.items()}
        name = config.get("class_name", "")
        if "optimizers" in str(config.get("module", "")) and hasattr(keras.optimizers, str(name)):
            config.update(module="keras.optimizers", registered_name=None)
    return config


def _is_array(value: Any) -> bool:
    """Whether data are an array or tensor that lies in memory as a whole, and not a stream of batches."""
    return hasattr(value, "shape") and hasattr(value, "dtype") and hasattr(value, "__getitem__")


def _host_array(value: Any) -> np.ndarray:
    """A NumPy view (memory-mapped files included) or copy of an array or tensor."""
    return value if isinstance(value, np.ndarray) else np.asarray(ops.convert_to_numpy(value))
