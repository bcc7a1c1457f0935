"""`TorusAutoencoder`: encoder, latent space, decoder and heads as one Keras model."""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import keras
import numpy as np
from keras import ops

from torusae import _checks, distribution
from torusae._checks import Tensor
from torusae.densities import TorusKernelDensity, TorusNeighborDensity, VonMisesMixture
from torusae.layers import Latent, TorusLatent
from torusae.losses import replica_mean
from torusae.networks import Head, autoencoder_networks
from torusae.spaces import Space, Torus


class _Monitor(keras.metrics.Metric):
    """A space's live statistics over everything seen since the last reset."""

    def __init__(self, space: Space):
        super().__init__(name="monitor", dtype="float32")
        self.space = space
        self.total = self.add_variable(shape=space.monitor_shape, initializer="zeros", name="total", aggregation="sum")

    def update_state(self, code, sample_weight=None):
        self.total.assign(self.total + self.space.monitor(ops.stop_gradient(code)))

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
    ['diaphony', 'kuiper', 'loss', 'quantile', 'reconstruction']
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
        twice = [name for name in names if names.count(name) > 1 or name == "loss"]
        if twice:
            raise ValueError(
                f"TorusAutoencoder: losses and heads must have names that differ in the logs. Received: {twice[0]!r} "
                f"more than once among {['loss', *names]}. Rename it, for example SpringLoss(name=...)."
            )
        self.trackers = {name: keras.metrics.Mean(name=name) for name in names}
        self.monitor = _Monitor(latent.space)
        self.reconstruction_loss: Any = None
        self.density: Any = None  # set by fit_density

    @classmethod
    def from_shape(
        cls,
        input_shape: Sequence[int],
        dim: int | Space = 3,
        heads: Mapping[str, Head] | None = None,
        **latent_arguments: Any,
    ) -> "TorusAutoencoder":
        """A model for samples of a shape: convolutions for images in [0, 1], dense layers for vectors.

        Args:
            input_shape: Shape of one sample, for example `x.shape[1:]`.
            dim: Integer, number of circles, or a `Space` such as `Torus(3) * Gaussian(4)`. Defaults to `3`.
            heads: As in the constructor. Defaults to `None`.
            **latent_arguments: Passed to `TorusLatent` or `Latent` (`losses`, `loss_weights`).

        Returns:
            `TorusAutoencoder`, not compiled.

        Example:

        >>> import torusae
        >>> torusae.TorusAutoencoder.from_shape((28, 28, 1), dim=3).latent.dim
        3
        """
        latent = Latent(dim, **latent_arguments) if isinstance(dim, Space) else TorusLatent(dim, **latent_arguments)
        return cls(*autoencoder_networks(input_shape, latent.space.code_size), latent, heads)

    def _build_and_check(self):
        owner = "TorusAutoencoder"
        shape = getattr(self.encoder, "input_shape", None) if self.encoder.built else None
        if not isinstance(shape, tuple) or None in shape[1:]:
            raise ValueError(
                f"{owner}: `encoder` must know its input shape, that of one sample. Received: {self.encoder!r} with "
                f"input shape {shape}. Begin it with keras.Input(shape), every size given."
            )
        self.sample_shape = tuple(shape[1:])
        code_size = self.latent.space.code_size
        features = self.encoder.output_shape
        if len(features) != 2 or features[1] is None:
            raise ValueError(
                f"{owner}: `encoder` must return features of shape (batch, num_features). "
                f"Received: encoder.output_shape={features}. End it with Flatten() or a Dense layer."
            )
        if not self.latent.built:
            self.latent.build(features)
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
        taken = {"reconstruction", "code", "posterior", "loss"}
        coordinates = self.latent.space.coordinates(keras.KerasTensor((None, code_size), dtype="float32"))
        for name, head in self.heads.items():
            if not isinstance(head, Head):
                raise TypeError(f"{owner}: heads[{name!r}] must be a torusae Head. Received: {head!r}.")
            if name in taken:
                raise ValueError(f"{owner}: `heads` can't have the name {name!r}, which the model uses itself.")
            if not all(self.latent.space.is_circular):
                head.is_circular = self.latent.space.is_circular
            head(coordinates)
        self.built = True

    def call(self, x, training=None):
        if isinstance(x, Mapping):  # Keras looks at the first batch before any step
            x, *_ = distribution.without_filling((x,))
        self._check_samples("TorusAutoencoder", "x", x)
        projection = self.latent.project(self.encoder(x, training=training))
        code = self.latent.code(projection, training)
        coordinates = self.latent.space.coordinates(code) if self.heads else None
        outputs = {name: head(coordinates, training=training) for name, head in self.heads.items()}
        if self.latent.space.is_stochastic:
            outputs["posterior"] = projection
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
            shape = tuple(y.shape) if hasattr(y, "shape") else None
            if shape is None or not _shapes_agree(shape[1:], self.sample_shape):
                heads = list(self.heads)
                raise ValueError(
                    f"TorusAutoencoder: `y` must be a dict of labels by head, or targets of the reconstruction with "
                    f"shape {self._batch_shape()}. Received: "
                    + (f"y of type {type(y).__name__}. " if shape is None else f"y.shape={shape}. ")
                    + (f"Use y={{{heads[0]!r}: labels}}." if heads else "This model has no heads for labels.")
                )
            y = {"reconstruction": y}
        for name, values in y.items():
            _checks.option("TorusAutoencoder", "y", name, ["reconstruction", *self.heads])
            if not hasattr(values, "shape"):
                raise TypeError(
                    f"TorusAutoencoder: y[{name!r}] must be an array or a tensor. Received: {type(values).__name__}. "
                    f"Use numpy.asarray(values)."
                )
        if "reconstruction" in y:
            self._check_samples("TorusAutoencoder", "y['reconstruction']", y["reconstruction"])
        return {"reconstruction": x, **y}

    def _batch_shape(self) -> str:
        return f"(batch, {', '.join(map(str, self.sample_shape))})"

    def _check_samples(self, owner: str, name: str, samples: Any) -> None:
        """Names what is wrong with the shape or the dtype of samples: arrays, or tensors while a step compiles."""
        shape = tuple(samples.shape)
        if not _shapes_agree(shape[1:], self.sample_shape):
            fix = "Use x[..., None]." if (*shape[1:], 1) == self.sample_shape else "Reshape it first."
            if shape == self.sample_shape:
                fix = "For a single sample use x[None]."
            raise ValueError(f"{owner}: `{name}` must have shape {self._batch_shape()}. Received: shape={shape}. {fix}")
        dtype = str(samples.dtype)
        # Integers would train without a word: images of 0 to 255 against outputs between 0 and 1.
        if "float" not in dtype:
            raise TypeError(
                f"{owner}: `{name}` must be floating-point numbers. Received: dtype={dtype}. "
                f"For images of 0 to 255 use x.astype('float32') / 255."
            )

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The total loss of a batch; also counts each term in its metric."""
        if self.reconstruction_loss is None:
            raise ValueError("TorusAutoencoder: call compile(optimizer, loss) before training or evaluating.")
        targets = self._targets(x, y)
        size = ops.cast(ops.shape(y_pred["code"])[0], "float32")

        def track(name, value, weight=size):
            self.trackers[name].update_state(value, sample_weight=weight)

        reconstruction = self._reconstruction(
            targets["reconstruction"], y_pred["reconstruction"], _weight_of("reconstruction", sample_weight)
        )
        track("reconstruction", reconstruction)
        total = distribution.share(reconstruction, size)
        scale = ops.abs(distribution.mean(total))
        relative = ops.zeros_like(total)
        for name, term in self.latent.terms(y_pred.get("posterior", y_pred["code"]), training).items():
            track(name, term)
            relative = relative + self.latent.weight_now(name) * term
        for name, head in self.heads.items():
            if name in targets:
                loss, score, mask = head.loss_and_score(targets[name], y_pred[name], _weight_of(name, sample_weight))
                track(f"{name}_loss", loss, ops.sum(mask))
                track(f"{name}_{head.score_name}", score, mask)
                relative = relative + head.weight * distribution.share(loss, ops.sum(mask))
            elif training:
                raise ValueError(self._no_labels("TorusAutoencoder", name, y))
        self.monitor.update_state(y_pred["code"])
        if training:
            self.latent.iterations.assign_add(1)
        total = total + scale * relative
        for extra in self.losses:  # regularizers of the user's own layers
            total = total + ops.cast(ops.sum(extra), "float32")
        return replica_mean(distribution.agree(total))

    def _reconstruction(self, target, output, sample_weight):
        if sample_weight is not None:
            # A loss of images has a value for each pixel, and Keras multiplies their last axis by the samples' weights.
            rank = len(self.reconstruction_loss.call(target, output).shape)
            sample_weight = ops.reshape(sample_weight, (-1,) + (1,) * max(rank - 1, 0))
        loss = ops.cast(self.reconstruction_loss(target, output, sample_weight), "float32")
        # Keras gives each replica of TensorFlow its share of a loss; here it is shared out at the end, in one place.
        return loss if distribution.num_replicas() == 1 else loss / replica_mean(ops.ones_like(loss))

    def _no_labels(self, owner, name, y) -> str:
        return (
            f"{owner}: `y` must hold labels for the head {name!r}. Received: {sorted(y) if y else y}. "
            f"Mark missing labels with {'-1' if self.heads[name].task == 'classes' else 'NaN'}."
        )

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Updates the metrics given to `compile` and returns all results; a head without labels has none."""
        targets = self._targets(x, y)
        names = self.metric_outputs
        if names is None:
            weights = _weight_of("reconstruction", sample_weight)
            results = super().compute_metrics(x, targets["reconstruction"], y_pred["reconstruction"], weights)
        else:
            for name in names:
                if name not in targets:
                    raise ValueError(f"{self._no_labels('TorusAutoencoder', name, y)} Its metrics need them.")
            weights = None if sample_weight is None else {name: _weight_of(name, sample_weight) for name in names}
            results = super().compute_metrics(
                x, {name: targets[name] for name in names}, {name: y_pred[name] for name in names}, weights
            )
        for name, head in self.heads.items():
            if name not in targets:
                del results[f"{name}_loss"], results[f"{name}_{head.score_name}"]
        return results

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        validation_split=0.0,
        validation_data=None,
        shuffle=True,
        class_weight=None,
        sample_weight=None,
        **kwargs,
    ):
        """Trains the model, as `keras.Model.fit` does, after checking the data.

        Args:
            x: Floating-point samples: an array or tensor, or a `tf.data.Dataset`, `keras.utils.PyDataset`, torch
                `DataLoader` or generator that yields `x` or `(x, labels)`. Of what streams, shapes and names are
                checked as it comes, values are not; an error then has a note of the step.
            y: Dict from a head's name to its labels. A `"reconstruction"` entry (or an array of the samples' shape)
                is what the model is to reproduce instead of `x`. Defaults to `None`.
            batch_size: Integer. Defaults to `None`, Keras' 32: give 128 or more, since the latent losses are
                statistics of a batch.
            epochs: Integer. Defaults to `1`.
            verbose: As in Keras. Defaults to `"auto"`.
            callbacks: As in Keras. `keras.callbacks.BackupAndRestore(..., double_checkpoint=True)` resumes a run that
                was killed, even in the middle of writing. Defaults to `None`.
            validation_split: As in Keras. Defaults to `0.0`.
            validation_data: As in Keras; `(x_val, labels)` or just an array `x_val`. A head without labels in it is
                left out of the validation's logs. Defaults to `None`.
            shuffle: As in Keras. Defaults to `True`.
            class_weight: Not supported: give `sample_weight`. Defaults to `None`.
            sample_weight: Float array `(num,)`, weights of the samples in the losses of the reconstruction and the
                heads, or a dict of such arrays with the keys of `y`; the latent losses are statistics of a whole
                batch and take none. Defaults to `None`.
            **kwargs: Passed to `keras.Model.fit`.

        Returns:
            Keras `History`.

        Raises:
            TypeError: If `x` is a list or does not hold floating-point numbers.
            ValueError: If data hold NaN or infinity, or do not have the shape that the model needs, or labels name a
                head that does not exist, or a head has no labels.
        """
        if class_weight is not None:
            raise ValueError(
                "TorusAutoencoder.fit: `class_weight` is not supported, since a model can have several heads. "
                f"Received: class_weight={class_weight!r}. Give sample_weight."
            )
        self._check_data("fit", x, y, needs_labels=True)
        steps = kwargs.get("steps_per_epoch") or _num_batches(x, batch_size or 32, validation_split)
        if steps:
            self.latent.plan(steps * max(1, epochs - kwargs.get("initial_epoch", 0)))
        if _checks.is_array(validation_data):
            validation_data = (validation_data, None)
        if validation_split and _checks.is_array(x) and (distribution.num_parts() > 1 or _would_be_read_whole((x, y))):
            # Keras splits arrays only, and what is batched here is none.
            start = int(len(x) * (1 - validation_split))
            validation_data = _rows((x, y, sample_weight), slice(start, None))
            x, y, sample_weight = _rows((x, y, sample_weight), slice(start))
            validation_split = 0.0
        if isinstance(validation_data, (tuple, list)):
            self._check_data("fit, validation_data", *validation_data[:2])
            x_val, y_val, *weights = (*validation_data, None)[:3]
            y_val = _weighed_targets(x_val, y_val, *weights)
            validation_data = _filled_batches(
                (x_val, y_val, *weights), kwargs.get("validation_batch_size") or batch_size
            )
            if validation_data is None:
                validation_data = (x_val, y_val, *weights)
        y = _weighed_targets(x, y, sample_weight)
        if not validation_split:
            filled = _filled_batches((x, y, sample_weight), batch_size, shuffle)
            if filled is not None:
                x, y, sample_weight, batch_size = filled, None, None, None
        place = _Place()
        # What streams was not checked before, and can go wrong anywhere.
        if not _checks.is_array(x) and not isinstance(callbacks, keras.callbacks.CallbackList):
            callbacks = [*keras.tree.flatten(callbacks or []), place]
        try:
            return super().fit(
                x,
                y,
                batch_size,
                epochs,
                verbose,
                callbacks,
                validation_split,
                validation_data,
                shuffle,
                sample_weight=sample_weight,
                **kwargs,
            )
        except Exception as error:
            if place.step is not None:
                error.add_note(f"TorusAutoencoder.fit: stopped in step {place.step + 1} of epoch {place.epoch + 1}.")
            raise

    def evaluate(self, x=None, y=None, batch_size=None, verbose="auto", sample_weight=None, **kwargs):
        """Returns the loss and every metric, as `keras.Model.evaluate` does, after checking the data."""
        self._check_data("evaluate", x, y)
        y = _weighed_targets(x, y, sample_weight)
        filled = _filled_batches((x, y, sample_weight), batch_size)
        if filled is not None:
            return super().evaluate(filled, verbose=verbose, **kwargs)
        return super().evaluate(x, y, batch_size, verbose, sample_weight, **kwargs)

    def predict(self, x, batch_size=None, verbose="auto", **kwargs):
        """Returns a dict of every output as NumPy arrays, as `keras.Model.predict` does, after checking the data."""
        self._check_data("predict", x)
        return _predict(super().predict, x, batch_size, verbose, **kwargs)

    def train_step(self, *state_and_data):
        """One step of training, on the rows of a batch that are not there to fill it up."""
        *state, data = state_and_data
        return super().train_step(*state, distribution.without_filling(data))

    def test_step(self, *state_and_data):
        """One step of evaluation, on the rows of a batch that are not there to fill it up."""
        *state, data = state_and_data
        return super().test_step(*state, distribution.without_filling(data))

    def _check_data(self, owner: str, x: Any, y: Any = None, needs_labels: bool = False) -> None:
        """Names what is wrong with arrays before anything is computed; what streams is looked at when it comes."""
        owner = f"TorusAutoencoder.{owner}"
        if isinstance(x, (list, tuple)):
            raise TypeError(f"{owner}: `x` must be one array, not a {type(x).__name__}. Use numpy.asarray(x).")
        if not _checks.is_array(x):
            return
        self._check_samples(owner, "x", x)
        x = _checks.host_array(x)
        _checks.finite_array(owner, "x", x)
        targets = self._targets(x, y)
        _checks.finite_array(owner, "y['reconstruction']", _checks.host_array(targets["reconstruction"]))
        for name, head in self.heads.items():
            if name in targets:
                self._check_labels(owner, name, head, _checks.host_array(targets[name]), len(x))
            elif needs_labels:
                raise ValueError(self._no_labels(owner, name, y))

    def _check_labels(self, owner, name, head, labels, num_samples):
        if labels.ndim == 0 or len(labels) != num_samples:
            raise ValueError(
                f"{owner}: y[{name!r}] must hold {num_samples} labels, one per sample. Received: shape={labels.shape}."
            )
        if head.task == "classes":
            if labels.dtype.kind not in "iu" or labels.size != num_samples:
                fix = "For one-hot rows use labels.argmax(-1)." if labels.ndim > 1 else "Use labels.astype('int32')."
                raise ValueError(
                    f"{owner}: y[{name!r}] must be integer classes of shape ({num_samples},). "
                    f"Received: shape={labels.shape}, dtype={labels.dtype}. {fix}"
                )
            if labels.size and not -1 <= labels.min() <= labels.max() < head.num_outputs:
                raise ValueError(
                    f"{owner}: y[{name!r}] must hold classes 0 to {head.num_outputs - 1}, or -1 where the label is "
                    f"missing. Received: values from {labels.min()} to {labels.max()}."
                )
            return
        if labels.dtype.kind not in "iuf" or labels.size != num_samples * head.num_outputs:
            raise ValueError(
                f"{owner}: y[{name!r}] must be numbers of shape ({num_samples}, {head.num_outputs}). "
                f"Received: shape={labels.shape}, dtype={labels.dtype}. "
                f"A head for other columns is Head({head.task!r}, num_outputs)."
            )
        infinite = np.argwhere(np.isinf(labels))
        if len(infinite):
            raise ValueError(
                f"{owner}: y[{name!r}] must be finite, or NaN where missing. "
                f"Received: infinity at position {tuple(int(i) for i in infinite[0])}."
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
        return _predict(self._encoder_model.predict, x, batch_size, verbose)

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
        codes = _checks.host_array(codes)
        if codes.ndim != 2 or codes.shape[1] != size:
            raise ValueError(
                f"TorusAutoencoder.decode: `codes` must have shape (num, {size}). Received: codes.shape={codes.shape}."
            )
        _checks.finite_array("TorusAutoencoder.decode", "codes", codes)
        return _predict(self._decoder_model.predict, codes, batch_size, verbose)

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
        self,
        num_samples: int,
        seed: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        density: str = "prior",
    ) -> np.ndarray:
        """Decodes codes drawn from the latent space's prior, or from the density that `fit_density` fitted.

        Args:
            num_samples: Integer, at least 1.
            seed: Integer or `keras.random.SeedGenerator`; one integer gives the same samples on one backend.
                Defaults to `None`, a random seed.
            batch_size: Integer. Defaults to `None`, Keras' 32.
            verbose: As in `predict`; `0` is silent. Defaults to `"auto"`.
            density: `"prior"` or `"fitted"`. Defaults to `"prior"`.

        Returns:
            NumPy array `(num_samples, *sample_shape)`.

        Raises:
            ValueError: If `density` is `"fitted"` and `fit_density` was not called.
        """
        _checks.option("TorusAutoencoder.sample", "density", density, ("prior", "fitted"))
        if density == "fitted" and self.density is None:
            raise ValueError(
                "TorusAutoencoder.sample: density='fitted' needs a fitted density. Received: a model without one. "
                "Call fit_density(x) with the training data first, or sample from the prior."
            )
        source = self.latent.space if density == "prior" else self.density
        return self.decode(ops.convert_to_numpy(source.sample(num_samples, seed)), batch_size, verbose)

    def fit_density(
        self,
        x: Any,
        density: Any = "mixture",
        seed: int | None = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
    ) -> Any:
        """Fits a density to the codes of samples, for `sample(..., density="fitted")`; it is saved with the model.

        Samples of the prior look like data only as far as the data fill the torus, which they do less with every
        circle. After further training of the model, fit it again.

        Args:
            x: Samples `(num, *sample_shape)`, or anything that `predict` accepts: best the training data.
            density: `"mixture"` for `VonMisesMixture()`, `"kernel"` for `TorusKernelDensity()`, `"neighbors"` for
                `TorusNeighborDensity()`, which serves best from about eight circles on, or an object like these, with
                `fit(codes)` and `sample(num_samples, seed)`. Defaults to `"mixture"`.
            seed: Integer, seed of the density where `density` is a name. Defaults to `None`, a random seed.
            batch_size: Integer. Defaults to `None`, Keras' 32.
            verbose: As in `predict`; `0` is silent. Defaults to `"auto"`.

        Returns:
            The fitted density, also the model's attribute `density`.

        Raises:
            TypeError: If `density` is neither a name nor an object with `fit` and `sample`.
            ValueError: If the latent space is not a `Torus`, or the name is not known.

        Example:

        >>> import numpy as np, torusae
        >>> model = torusae.TorusAutoencoder.from_shape((4,), dim=2)
        >>> x = np.random.default_rng(0).normal(size=(100, 4)).astype("float32")
        >>> model.fit_density(x, torusae.VonMisesMixture(3, seed=0), verbose=0)
        VonMisesMixture(3 components, dim 2)
        >>> model.sample(5, seed=0, density="fitted", verbose=0).shape
        (5, 4)
        """
        owner = "TorusAutoencoder.fit_density"
        if type(self.latent.space) is not Torus:
            raise ValueError(
                f"{owner}: the latent space must be a Torus. Received: {self.latent.space!r}. Its own prior is what "
                f"sample(num_samples) draws from."
            )
        if isinstance(density, str):
            named = {
                "mixture": VonMisesMixture,
                "kernel": TorusKernelDensity,
                "neighbors": TorusNeighborDensity,
            }
            density = named[_checks.option(owner, "density", density, named)](seed=seed)
        if isinstance(density, type) or not all(callable(getattr(density, name, None)) for name in ("fit", "sample")):
            raise TypeError(
                f"{owner}: `density` must be 'mixture', 'kernel', 'neighbors' or an object such as "
                f"VonMisesMixture(20). Received: density={density!r}."
            )
        density.fit(self.encode(x, batch_size, verbose))
        self.density = density
        return density

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
            sample = _checks.host_array(sample)
            if tuple(sample.shape) != self.sample_shape:
                fix = f" Use {name}[0]." if tuple(sample.shape[1:]) == self.sample_shape else ""
                raise ValueError(
                    f"TorusAutoencoder.morph: `{name}` must be one sample of shape {self.sample_shape}. "
                    f"Received: {name}.shape={tuple(sample.shape)}.{fix}"
                )
            pair.append(sample)
        first, last = self.encode(np.stack(pair), verbose=0)
        if windings is None:
            windings = self.latent.space.two_way_windings(first, last)
        paths = ops.convert_to_numpy(self.latent.space.paths(first, last, windings, num_steps))
        samples = self.decode(paths.reshape(-1, paths.shape[-1]), batch_size, verbose)
        return samples.reshape(*paths.shape[:2], *self.sample_shape)

    # Saving

    def get_config(self):
        """Returns the constructor's arguments and the fitted density, if there is one."""
        parts = {"encoder": self.encoder, "decoder": self.decoder, "latent": self.latent, "heads": self.heads}
        config = {name: keras.saving.serialize_keras_object(part) for name, part in parts.items()}
        if self.density is not None:
            config["density"] = keras.saving.serialize_keras_object(self.density)
        return {"name": self.name, "trainable": self.trainable, **config}

    @classmethod
    def from_config(cls, config):
        """Returns the model that `get_config` describes."""
        config = dict(config)
        for name in ("encoder", "decoder", "latent", "heads"):
            config[name] = keras.saving.deserialize_keras_object(config[name])
        trainable = config.pop("trainable", True)
        density = config.pop("density", None)  # files without one lack the key
        model = cls(**config)
        model.trainable = trainable
        model.density = keras.saving.deserialize_keras_object(density)
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


class _Place(keras.callbacks.Callback):
    """Where a training is."""

    epoch = 0
    step: int | None = None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        self.step = batch


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
        if str(config.get("module", "")).startswith("keras.") and hasattr(keras.optimizers, str(name)):
            config.update(module="keras.optimizers", registered_name=None)
    return config


def _weighed_targets(x: Any, y: Any, sample_weight: Any = None) -> Any:
    """The targets of samples that have weights: Keras drops the weights of what has no target."""
    if sample_weight is None or isinstance(sample_weight, Mapping) or not (y is None or isinstance(y, Mapping)):
        return y
    return {"reconstruction": x, **(y or {})}


def _weight_of(name: str, sample_weight: Any) -> Any:
    """The samples' weights for one output: Keras turns one array into a dict with the keys of `y`."""
    return sample_weight.get(name) if isinstance(sample_weight, Mapping) else sample_weight


def _shapes_agree(shape: Sequence[int | None], expected: Sequence[int]) -> bool:
    """Whether a shape, its unknown sizes apart, is the expected one."""
    return len(shape) == len(expected) and all(a is None or a == b for a, b in zip(shape, expected, strict=True))


def _rows(arrays: Any, rows: slice) -> Any:
    """Some rows of every array of a structure."""
    return keras.tree.map_structure(lambda array: None if array is None else array[rows], arrays)


def _would_be_read_whole(arrays: Any) -> bool:
    """Whether some are memory-mapped files that Keras would copy into memory, as tensors, on TensorFlow."""
    return keras.backend.backend() == "tensorflow" and any(
        isinstance(array, np.memmap) for array in keras.tree.flatten(arrays)
    )


def _filled_batches(
    arrays: tuple[Any, Any, Any], batch_size: int | None, shuffle: bool = False
) -> distribution.FilledBatches | None:
    """Samples, targets and weights in batches, where Keras can't take them as they are; else `None`.

    `keras.distribution` may not be able to divide them, and files may be larger than memory.
    """
    x = arrays[0]
    num_parts = distribution.num_parts()
    batch_size = batch_size or 32
    if not _checks.is_array(x):
        return None
    if all(size % num_parts == 0 for size in (len(x), batch_size)) and not _would_be_read_whole(arrays):
        return None
    given = tuple(keras.tree.map_structure(_checks.host_array, each) for each in arrays if each is not None)
    return distribution.FilledBatches(given, batch_size, num_parts, shuffle, marked=num_parts > 1)


def _predict(predict: Any, x: Any, batch_size: int | None, verbose: Any, **kwargs: Any) -> Any:
    """`predict(x)`, also of what Keras can't take as it is: rows are added, where they must be, and dropped again."""
    num_parts = distribution.num_parts()
    if not _checks.is_array(x) or (num_parts == 1 and not _would_be_read_whole(x)):
        return predict(x, batch_size=batch_size, verbose=verbose, **kwargs)
    batch_size = batch_size or 32
    batch_size += -batch_size % num_parts
    batches = distribution.FilledBatches((_checks.host_array(x),), batch_size, num_parts, marked=False)
    outputs = predict(batches, verbose=verbose, **kwargs)
    return keras.tree.map_structure(lambda output: output[: len(x)], outputs)


def _num_batches(x: Any, batch_size: int, validation_split: float) -> int | None:
    """Batches of an epoch, where the data know their number."""
    if _checks.is_array(x):
        return math.ceil(int(len(x) * (1 - validation_split)) / batch_size)
    try:
        return len(x)
    except TypeError:  # a generator, or a tf.data.Dataset of unknown length
        return None
