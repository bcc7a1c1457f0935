"""`TorusAutoencoder`: encoder, latent space, decoder and heads as one Keras model."""

import functools
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from torusae._internal import batches, checks, fingerprints, keras_repairs, replicas, seeds
from torusae._internal.scaling import Scaling
from torusae.autoencoder import parts, use
from torusae.autoencoder import posterior as inference
from torusae.autoencoder.adapter import Adapter
from torusae.autoencoder.callbacks import measuring, noted_errors, with_logger
from torusae.autoencoder.fitted import Fitted
from torusae.autoencoder.from_data import Start, look, networks
from torusae.autoencoder.initialization import checked_init, initialize
from torusae.autoencoder.keeping import Kept
from torusae.autoencoder.noise import Noise
from torusae.autoencoder.objective import RAW, Means, Objective, cells
from torusae.layers import Head, Latent, TorusLatent
from torusae.networks import autoencoder_networks
from torusae.spaces import Space
from torusae.supervision import Supervision
from torusae.topology import Suggestion

_LOGGED_ROWS = 512  # of the validation samples, for the latent statistics
_FEW_ROWS = 8  # of a batch: fewer say nothing about a space
_PLAIN_MODELS = ("codec", "encoder_model", "decoder_model")
_TAKEN = ("reconstruction", "point", "loss")  # names that the model uses itself


@keras.saving.register_keras_serializable(package="torusae")
class TorusAutoencoder(keras.Model):
    """The Toroidal AutoEncoder: an autoencoder whose latent coordinates are angles spread evenly over a torus.

    `fit(x)` trains it to reproduce `x`; `fit(x, {"digit": labels})` trains its heads too. Called on a batch, the model
    returns a dict: `"reconstruction"`, `"point"` (of the latent space), each head's predictions by its name, and its
    raw outputs (logits of classes) by its name with `"_outputs"`.

    The loss is `R + |R| Σ w L`, with the reconstruction loss `R`, and the loss `L` and the weight `w` of each head and
    each supervision. The factor `|R|` is held constant for the gradient, so that one weight serves any loss and any
    scale of data. The latent terms add their gradient at the points and have no part in the loss: see `Latent`. A step
    has the loss of its batch. Logs, `history` and `evaluate` have that of the means over all rows so far, each over the
    rows that have a label: it does not depend on the size and the order of batches, but for what layers add to it.

    Samples `x` are an array `(num, *sample_shape)` in any container: a list, a data frame of numbers, a tensor, a
    memory-mapped file, a data set of h5py; or a stream that Keras' `predict` accepts. No rows give no results. In
    all methods `batch_size` is Keras' 32 by default, and `verbose=0` hides the progress bar. Results are NumPy arrays.

    Args:
        encoder: Keras model from a sample to features `(batch, num_features)`. Its input shape must be known.
        decoder: Keras model from a decoder input `(batch, decoder_input_size)` to a sample. That of a torus has
            `2 * dim` values.
        latent: A `Latent` layer such as `TorusLatent(3)`, or an integer `dim` for `TorusLatent(dim)`.
        heads: Dict from a name to a `Head`, which reads the points. Defaults to `None`.
        init: What the first `fit` begins with: `"auto"`, `initialize_at_circles` where supervision has values of
            samples, or without supervision where an array shows circles and ripser is installed; `"circles"`, the same
            or an error; `"random"`, the random weights. Defaults to `"auto"`.
        missing: `"ignore"`: cells of samples may be NaN, unknown. The reconstruction's loss is then the mean over the
            known cells of a batch, and the encoder reads the mean of the training in place of an unknown one, of
            streams 0: standardize these. Complete data give the same as without it. Defaults to `None`: NaN is an
            error.
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
        init: str = "auto",
        missing: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        keras_repairs.keep_state(self)
        owner = type(self).__name__
        if isinstance(latent, int) and not isinstance(latent, bool):
            latent = TorusLatent(latent)
        if not isinstance(latent, Latent):
            raise TypeError(f"{owner}: `latent` must be a layer such as TorusLatent(3). Received: latent={latent!r}.")
        for name, network in (("encoder", encoder), ("decoder", decoder)):
            if not isinstance(network, keras.layers.Layer):
                raise TypeError(
                    f"{owner}: `{name}` must be a Keras model. Received: {name}={network!r}. "
                    f"torusae.autoencoder_networks(shape, decoder_input_size) makes both."
                )
        self.init = checked_init(owner, init, latent.space)
        if missing is not None:
            checks.option(owner, "missing", missing, ("ignore",))
        self.missing = missing
        self.sample_shape = parts.build_and_check(owner, encoder, latent, decoder)
        self.encoder = encoder
        self.latent = latent
        self.decoder = decoder
        self.heads = _built_heads(owner, heads, latent.space)
        self.fill: Any = None
        if missing:
            self.fill = parts.Fill(name="fill")
            self.fill.build((None, *self.sample_shape))
        output_range = parts.output_range(decoder)
        self.adapter = Adapter(owner, self.sample_shape, output_range, self.heads, latent.space, bool(missing))
        self.fitted = Fitted(owner, latent.space, self.sample_shape)
        self.objective: Objective | None = None
        self.supervision_seed: keras.random.SeedGenerator | None = None
        self.kept: Kept | None = None  # the circles that the training began at
        self.trained_loss: float | None = None  # of the reconstruction of samples, in the last epoch
        self.was_trained = False  # or loaded: then `fit` does not initialize
        self.suggestion: Suggestion | None = None  # of `from_data`
        self.known_start: Start | None = None
        self.trained_rows: np.ndarray | None = np.zeros(0, "int64")  # fingerprints; None: not known
        self.means = Means()
        self._log(Objective("mse", self.heads, {}, latent.space, None).weights)
        self.built = True

    @classmethod
    def from_shape(
        cls,
        input_shape: Sequence[int],
        dim: int | str | Space = 3,
        heads: Mapping[str, Head] | None = None,
        init: str = "auto",
        missing: str | None = None,
        **latent_arguments: Any,
    ) -> "TorusAutoencoder":
        """A model for samples of a shape, not compiled: convolutions for images in [0, 1], dense layers for vectors.

        Args:
            input_shape: Shape of one sample, for example `x.shape[1:]`.
            dim: Integer, number of circles, or a `Space` such as `Torus(3) * Gaussian(4)`, or a text for
                `spaces.parse` such as `"T3 x R4"`. Defaults to `3`.
            heads: As in the constructor. Defaults to `None`.
            init: As in the constructor. Defaults to `"auto"`.
            missing: As in the constructor. Defaults to `None`.
            **latent_arguments: Passed to `TorusLatent` or `Latent` (`losses`, `loss_weights`).

        Example:

        >>> import torusae
        >>> torusae.TorusAutoencoder.from_shape((28, 28, 1), dim=3).latent.dim
        3
        """
        latent = _latent(dim, latent_arguments)
        return cls(*autoencoder_networks(input_shape, latent.space.decoder_input_size), latent, heads, init, missing)

    @classmethod
    def from_data(
        cls,
        x: Any,
        dim: int | str | Space | None = None,
        groups: Any = None,
        heads: Mapping[str, Head] | None = None,
        init: str = "auto",
        missing: str | None = None,
        seed: int = 0,
        verbose: Any = "auto",
        **latent_arguments: Any,
    ) -> "TorusAutoencoder":
        """A model for data as they are, not compiled: finds their circles, chooses the space, keeps units and names.

        The model takes the mean and the scale out of samples before it reads them, and puts them back into what it
        decodes: of each column of a table; of samples of another rank of all values together. Images `(num, height,
        width, channels)` of uint8 are divided by 255, and those between 0 and 1 stay. So all methods take and give the
        units of `x`, and the loss is that of standardized samples. `model.scaling` has the numbers,
        `model.suggestion` the choice. `fit(x)`, on these rows or some of them, starts at the circles that were found.

        Where eight principal components or more look like noise, the encoder reads the others, at most 50, by a first
        layer that is not trained: those with more than twice the mean variance of the smaller half. Then new rows get
        angles as good as those of the training. Networks of your own: `TorusAutoencoder(encoder, decoder, latent)`.

        Called on a batch, `model(x)`, and in a training loop of your own, the model reads `model.scaling.apply(x)`.
        Streams are not scaled: give arrays.

        Args:
            x: Array of samples `(num, ...)`, or a data frame of numbers, whose names later frames must have. At least
                60 rows where the space is to be chosen.
            dim: The space, as in `from_shape`, without a search. Defaults to `None`, that of
                `topology.suggest_space(x)`.
            groups: Integers or strings `(num,)`, such as the batch, subject or day of each row. The mean and the scale
                of each group are taken out, and all methods that take samples ask for `groups`. Defaults to `None`.
            heads: As in the constructor. Defaults to `None`.
            init: As in the constructor. Defaults to `"auto"`.
            missing: As in the constructor. Defaults to `None`.
            seed: Integer, seed of the search. Defaults to `0`.
            verbose: Whether it prints what it saw and chose, in three lines; 0 prints nothing. Defaults to `"auto"`.
            **latent_arguments: As in `from_shape`.

        Raises:
            ImportError: If the space is to be chosen and ripser is missing: `pip install ripser scikit-learn`.
            TypeError: If `x` does not hold numbers, or groups are neither integers nor strings.
            ValueError: If `x` has too few rows, is constant, or holds infinity, or NaN without `missing`; if groups are
                of another length, or one has a single row.

        Example:

        >>> import torusae
        >>> table, _ = torusae.datasets.torus_table(500, dim=1, noise=0.1, seed=0)
        >>> model = torusae.TorusAutoencoder.from_data(20 + 3 * table, verbose=0)
        >>> model.space
        Torus(1)
        """
        owner = f"{cls.__name__}.from_data"
        looked = look(owner, x, dim, groups, missing is not None, seed, verbose)
        latent = _latent(looked.dim, latent_arguments)
        model = cls(*networks(looked, latent.space.decoder_input_size), latent, heads, init, missing)
        model.adapter.columns, model.adapter.scaling = looked.columns, looked.scaling
        model.suggestion, model.known_start = looked.suggestion, looked.start
        return model

    def __setattr__(self, name: str, value: Any) -> None:
        old = getattr(self, name, None) if name in ("encoder", "latent", "decoder") else None
        super().__setattr__(name, value)
        if isinstance(old, keras.layers.Layer) and old is not value:
            keras_repairs.forget_layer(self, old)
            self._forget_models()

    def _forget_models(self) -> None:
        """Forgets the plain models, whose parts have changed."""
        for name in _PLAIN_MODELS:
            self.__dict__.pop(name, None)

    def __dir__(self):
        # Keras saves what dir() lists: the plain models would be made, and the latent layer saved under one of them.
        return [name for name in super().__dir__() if name not in _PLAIN_MODELS]

    @property
    def space(self) -> Space:
        """The latent space."""
        return self.latent.space

    @property
    def supervision(self) -> Mapping[str, Supervision]:
        """The supervision that `compile` was given, by name."""
        return self.adapter.supervision

    @property
    def scaling(self) -> Scaling | None:
        """What is taken out of samples and put back, with `mean`, `scale`, and those of groups; `None`, nothing."""
        return self.adapter.scaling

    @functools.cached_property
    def codec(self) -> tuple[keras.Model, keras.Model]:
        """`encoder_model` and `decoder_model` for samples without level and scale."""
        return (
            parts.encoder_model(self.sample_shape, self.encoder, self.latent, self.fill),
            parts.decoder_model(self.latent, self.decoder),
        )

    @functools.cached_property
    def encoder_model(self) -> keras.Model:
        """A Functional Keras model from a sample to a dict of its `"point"` and, if any, its `"angles"` in radians."""
        plain = self.codec[0]
        return plain if self.scaling is None else parts.reads_units(plain, self.sample_shape, self.scaling)

    @functools.cached_property
    def decoder_model(self) -> keras.Model:
        """A Functional Keras model from a point to a sample."""
        return self.codec[1] if self.scaling is None else parts.gives_units(self.codec[1], self.scaling)

    @property
    def density(self) -> Any:
        """The density that `fit_density` fitted to points of these weights, or `None`."""
        return self.fitted.get("density")

    @density.setter
    def density(self, density: Any) -> None:
        self.fitted.set("density", density)

    @property
    def noise(self) -> Noise | None:
        """The `Noise` that `fit_noise` fitted around the decoder of these weights, or `None`."""
        return self.fitted.get("noise")

    @noise.setter
    def noise(self, noise: Noise | None) -> None:
        self.fitted.set("noise", noise)

    def call(self, x, training=None):
        if isinstance(x, Mapping):  # Keras passes the first batch before any step, with its padding
            x, *_ = batches.without_padding((x,))
        self.adapter.check_samples(self.adapter.owner, "x", x)
        # Keras tells the layers inside, and by name it would cost half as much as a layer. But a step of JAX calls this
        # method itself: there they would never train, such as dropout and batch normalization of an encoder.
        told = {"training": training} if keras.backend.backend() == "jax" else {}
        decoder_input, point = self.latent(self.encoder(self._filled(x), **told), return_point=True, **told)
        outputs = {"reconstruction": self.decoder(decoder_input, **told), "point": point}
        if self.heads:
            read = self.latent.space.head_input(point)
            for name, head in self.heads.items():
                outputs[name + RAW] = head(read)
                outputs[name] = head.predictions(outputs[name + RAW])
        return outputs

    def _filled(self, x: Any) -> Any:
        """Samples as the encoder reads them: without unknown cells."""
        return x if self.fill is None else self.fill(x)

    def compile(
        self,
        optimizer: Any = "adam",
        loss: Any = "mse",
        metrics: Any = None,
        *,
        supervision: Mapping[str, Supervision] | None = None,
        **kwargs: Any,
    ) -> None:
        """Configures the model for training, as `keras.Model.compile` does.

        Args:
            optimizer: Keras optimizer or its name. Defaults to `"adam"`.
            loss: The reconstruction loss: a name, a function or a `keras.losses.Loss`. Defaults to `"mse"`.
            metrics: Metrics of the reconstruction, or a dict from an output's name to its metrics. With
                `missing="ignore"` give those of the reconstruction as `weighted_metrics`: they compare single cells,
                and unknown ones have no weight. Defaults to `None`.
            supervision: Dict from a name to an object of `torusae.supervision`, for example
                `{"hour": Relative(circle=0, period=24)}`; its data come in `fit(x, {"hour": ...})`. Defaults to `None`.
            **kwargs: Passed to `keras.Model.compile`. Not `loss_weights`: heads, supervision and latent terms have
                weights.

        Raises:
            TypeError: If `supervision` is no dict of `Supervision` objects.
            ValueError: If `loss` is not one loss, a name is taken or unknown, or `loss_weights` are given.
        """
        owner = self.adapter.owner
        if isinstance(loss, (Mapping, list, tuple)) or loss is None:
            raise ValueError(
                f"{owner}: `loss` must be one reconstruction loss such as 'mse'. Received: loss={loss!r}. "
                f"Heads have their own: Head('classification', 10, weight=0.1)."
            )
        if kwargs.get("loss_weights") is not None:
            raise ValueError(
                f"{owner}: `loss_weights` is not used here. Received: {kwargs['loss_weights']!r}. Give "
                f"weights to the latent layer, TorusLatent(3, loss_weights={{'diaphony': 1.0}}), and to heads, "
                f"Head('classification', 10, weight=0.1)."
            )
        supervision = _checked_supervision(owner, supervision, self.heads, self.space)
        if any(each.needs_seed for each in supervision.values()) and self.supervision_seed is None:
            self.supervision_seed = keras.random.SeedGenerator()
        objective = Objective(loss, self.heads, supervision, self.space, self.supervision_seed)
        names = list(metrics) if isinstance(metrics, Mapping) else None
        for name in names or ():
            checks.option(owner, "metrics", name, ["reconstruction", *self.heads])
        if self.missing and (metrics if names is None else "reconstruction" in names):
            raise ValueError(
                f"{owner}: metrics of a reconstruction with unknown cells must be weighted. Received: "
                f"metrics={metrics!r}. Give them as weighted_metrics."
            )
        self._log(objective.weights)
        self.objective, self.metric_outputs, self.adapter.supervision = objective, names, supervision
        self.has_weighted_metrics = bool(kwargs.get("weighted_metrics"))
        # Without a loss of its own, Keras leaves all of it to compute_loss.
        super().compile(optimizer=optimizer, loss=None, metrics=metrics, **kwargs)

    def _log(self, weights: dict[str, float]) -> None:
        """Logs means of these names, after checking that each has one meaning."""
        logged = ["loss", *weights, *(term.name for term in self.latent.terms)]
        twice = sorted({name for name in logged if logged.count(name) > 1})
        if twice:
            raise ValueError(
                f"{self.adapter.owner}: losses, heads and supervision must have different names in the logs. "
                f"Received: {twice[0]!r} more than once among {logged}. Rename it, for example Term(loss, name=...)."
            )
        self.means.configure(weights)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The total loss of a batch. Also adds each part to its mean."""
        if self.objective is None:
            raise ValueError(f"{self.adapter.owner}: call compile(optimizer, loss) before training or evaluating.")
        added = list(self.losses)
        rows = self.adapter.rows(self.adapter.owner, x, y, sample_weight)
        for name in self.heads if training else ():
            if name not in rows.targets:
                raise self.adapter.no_labels(self.adapter.owner, name, y)

        def encode(samples):
            # Not through the layer: its terms act on the samples of the batch alone.
            return self.latent.space.point(
                self.latent.projection(self.encoder(self._filled(samples), training=training))
            )

        together = replicas.current()
        total, values, counts = self.objective(rows, y_pred, encode, self._filled, together)
        # Of the user's own layers, and terms that are not relative.
        extra = 0.0
        for each in added:
            extra = extra + ops.cast(ops.sum(each), "float32")
        self.means.update_state([extra, *values], [counts[0], *counts])
        return together.loss_of_all(total + extra)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Updates the metrics given to `compile` and returns all results. A head without labels has none."""
        rows, names = self.adapter.rows(self.adapter.owner, x, y, sample_weight), self.metric_outputs
        if names is None:
            pair, weight = (rows.targets["reconstruction"], y_pred["reconstruction"]), rows.weight_of("reconstruction")
            if rows.known is not None and self.has_weighted_metrics:
                *pair, weight = cells(rows.known, *pair, weight)
            results = super().compute_metrics(x, *pair, weight)
        else:
            for name in names:
                if name not in rows.targets:
                    raise ValueError(f"{self.adapter.no_labels(self.adapter.owner, name, y)} Its metrics need them.")
            weights = None if sample_weight is None else {name: rows.weight_of(name) for name in names}
            chosen = ({name: values[name] for name in names} for values in (rows.targets, y_pred))
            results = super().compute_metrics(x, *chosen, weights)
        for part, names in self.objective.scored.items():
            if part not in rows.targets and (part in self.heads or self.adapter.supervision[part].needs_data):
                for name in names:
                    del results[name]
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
        circles=None,
        groups=None,
        **kwargs,
    ):
        """Trains the model, as `keras.Model.fit` does, after checking the data. Other arguments are those of Keras.

        The history holds `loss`, `reconstruction`, each head's loss and score, each supervision's loss and error, and
        at the end of each epoch the latent terms and statistics (see `LatentLogger`); with validation data all of them
        also with the prefix `val_`.

        Where the model began at circles of the data, `history.circles` says whether it kept them, of 480 rows: a dict
        of `"agreement"`, `(2, num_circles)`, how well the model's angles agree with those, after the start and at the
        end, `|mean exp(i difference)|` of both, or of both made even by their ranks, and of `"windings"`,
        `(2, num_angles, num_circles)`, how often each angle goes around each circle. An agreement that falls below 0.9
        times that of the start is a warning.

        What was fitted before, a density or the noise, is forgotten: it belongs to other weights. So it is by
        `train_on_batch`, `load_weights` and `set_weights`. After a custom training loop fit it again.

        Args:
            x: Floating-point samples: an array or tensor, a data frame of numbers, or a `tf.data.Dataset`,
                `keras.utils.PyDataset`, torch `DataLoader` or generator that yields `(x,)` or `(x, labels)`. Shapes and
                names of streams are checked as they come, values are not: `keras.callbacks.TerminateOnNaN` stops at the
                first bad batch. An error has a note with the step.
            y: Dict from a head's name to its labels, and from a supervision's name to its data: see `Relative` and
                `Anchor`. A `"reconstruction"` entry (or an array of the samples' shape) replaces `x` as the target of
                the reconstruction. Defaults to `None`.
            batch_size: Integer. Defaults to `None`, Keras' 32. Give 128 or more, for the latent losses.
            callbacks: `keras.callbacks.BackupAndRestore(..., double_checkpoint=True)` resumes a run that was killed,
                even while it wrote; one epoch may then be trained twice. Defaults to `None`.
            validation_data: `(x_val, labels)` or an array `x_val`. A head without labels in it is left out of the
                validation's logs. Defaults to `None`.
            class_weight: Not supported: give `sample_weight`. Defaults to `None`.
            sample_weight: Float array `(num,)`, weights of the samples in the losses of the reconstruction and the
                heads, or a dict of such arrays with the keys of `y`. Latent losses take none. Defaults to `None`.
            circles: `Circles` that `find_circles(x)` found, or angles `(num, num_circles)`, radians: the model is
                initialized at them, without a search. Defaults to `None`, as `init` says.
            groups: Integers or strings `(num,)`, the batch, subject or day of each row: the mean and the scale of each
                are taken out, as in `from_data`. `validation_data` must then be a split. Defaults to `None`.

        Raises:
            TypeError: If `x` does not hold floating-point numbers, or is sparse.
            ValueError: If data do not fit the model or hold NaN or infinity, or labels are missing or of no head.
        """
        owner = self.adapter.named("fit")
        if class_weight is not None:
            raise ValueError(
                f"{owner}: `class_weight` is not supported, since a model can have several heads. "
                f"Received: class_weight={class_weight!r}. Give sample_weight."
            )
        fraction = 0.0 if validation_data is not None else validation_split
        if groups is not None and self.was_trained and self.scaling is None:
            raise ValueError(
                f"{owner}: `groups` must be given to the first training. Received: groups for a model that was trained "
                f"without. Make a new one, TorusAutoencoder.from_data(x, groups=groups)."
            )
        rows, validation = self.adapter.check_and_split("fit", x, y, sample_weight, fraction, groups)
        if rows.scaling is not self.scaling:
            self.adapter.scaling = rows.scaling
            self._forget_models()
        few = isinstance(batch_size, int) and 0 < batch_size < _FEW_ROWS
        if few and self.latent.terms and checks.is_array(rows.sample):
            warnings.warn(
                f"{owner}: the latent losses compare the points of a batch. Received: batch_size={batch_size}. "
                f"Give 128 or more.",
                stacklevel=2,
            )
        if validation is not None:
            circles = batches.rows_of(getattr(circles, "angles", circles), slice(len(rows.sample)))
            validation_split = 0.0
        elif checks.is_array(validation_data) or isinstance(validation_data, (tuple, list)):
            given = (validation_data,) if checks.is_array(validation_data) else validation_data
            if groups is not None:
                raise ValueError(
                    f"{owner}: `validation_data` can't say the groups of their rows. Received: groups of `x`. Give all "
                    f"rows together, and validation_split."
                )
            validation = self.adapter.check("fit, validation_data", *(*given, None, None)[:3], least=1)
        elif validation_data is not None and self.scaling is not None:
            self.adapter.check("fit, validation_data", validation_data)  # a stream, an error
        logged = None
        if validation is not None:
            size = kwargs.get("validation_batch_size") or batch_size
            validation_data = self.adapter.batches(validation, size) or validation.for_keras()
            logged = validation.sample[:_LOGGED_ROWS] if checks.is_array(validation.sample) else None
        self.fitted.clear()
        if self.fill is not None and not self.was_trained and checks.is_array(rows.sample):
            self.fill.fit(checks.host_array(rows.sample))
        if epochs and (circles is not None or not (self.was_trained or kwargs.get("initial_epoch", 0))):
            found = self.known_start and self.known_start.of(rows.sample)
            initialize(self, rows, circles, verbose, callbacks, found)
            self.known_start = None
        self.was_trained = self.was_trained or bool(epochs)
        self.trained_rows = fingerprints.added(self.trained_rows, rows.sample)
        stream = self.adapter.batches(rows, batch_size, shuffle)
        if stream is not None:
            x, y, sample_weight, batch_size = stream, None, None, None
        else:
            x, y, sample_weight = rows.for_keras()
        callbacks = with_logger(callbacks)
        keras_repairs.repair_backups(callbacks)
        with noted_errors(owner, rows.sample, callbacks), measuring(callbacks, logged, self.scaling):
            history = super().fit(
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
        targets = rows.targets if isinstance(rows.targets, Mapping) else {}  # a stream brings its own
        plain = targets.get("reconstruction") is rows.sample
        losses = history.history.get("reconstruction") if plain else None
        self.trained_loss = float(losses[-1]) if losses else None
        if self.kept is not None:
            history.circles = self.kept.after_training(owner, self)
        return history

    def train_on_batch(self, *args, **kwargs):
        """One step of training, as `keras.Model.train_on_batch` does. What was fitted to points is forgotten."""
        self.fitted.clear()
        self.was_trained, self.trained_rows = True, None
        return super().train_on_batch(*args, **kwargs)

    def evaluate(
        self, x=None, y=None, batch_size=None, verbose="auto", sample_weight=None, groups=None, offset=None, **kwargs
    ):
        """Returns the loss and every metric, as `keras.Model.evaluate` does, after checking the data."""
        if self.scaling is not None and keras_repairs.is_validation(kwargs):  # of data that `fit` has scaled
            return super().evaluate(x, y, batch_size, verbose, sample_weight, **kwargs)
        rows = self.adapter.check("evaluate", x, y, sample_weight, 1, groups, offset)
        stream = seeds.quiet(self.adapter.batches(rows, batch_size, always=seeds.DRAWS))
        if stream is not None:
            x, y, sample_weight, batch_size = stream, None, None, None
        else:
            x, y, sample_weight = rows.for_keras()
        with keras_repairs.state_kept(self):
            return super().evaluate(x, y, batch_size, verbose, sample_weight, **kwargs)

    def predict(self, x, batch_size=None, verbose="auto", groups=None, offset=None, **kwargs):
        """Returns a dict of every output as NumPy arrays, as `keras.Model.predict` does, after checking the data."""
        rows = self.adapter.check("predict", x, groups=groups, offset=offset)
        outputs = batches.predict(super().predict, rows.sample, batch_size, verbose, **kwargs)
        outputs["reconstruction"] = rows.in_units(outputs["reconstruction"])
        return {name: value for name, value in outputs.items() if not name.endswith(RAW)}

    def train_step(self, *state_and_data):
        """One step of training, without padding rows."""
        *state, batch = state_and_data
        return super().train_step(*state, batches.without_padding(batch))

    def test_step(self, *state_and_data):
        """One step of evaluation, without padding rows."""
        *state, batch = state_and_data
        return super().test_step(*state, batches.without_padding(batch))

    # What is done with a trained model: see `use`.

    def encode(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        groups: Any = None,
        offset: str | None = None,
    ) -> np.ndarray:
        """Points of samples, `(num, point_size)`. For a torus, `to_polar(points)` gives radii and angles.

        Args:
            x: Samples.
            groups: In a model with groups, the group of each row, `(num,)`. Defaults to `None`.
            offset: What is done with groups that were not in the training: `"estimate"` takes their level and scale
                from their rows in `x`; with `groups=None` all rows are one new group. Give whole turns of the circles
                then. Defaults to `None`, an error.
        """
        return use.encode(self, x, batch_size, verbose, groups, offset)

    def angles(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        uniform: bool = False,
        groups: Any = None,
        offset: str | None = None,
    ) -> np.ndarray:
        """Angles of samples, `(num, num_angles)`, radians, `[-π, π)`. `groups` and `offset` are those of `encode`.

        With `uniform=True` they are mapped by the fitted flow, the probability integral transform: data like those of
        `fit_density(x, "flow")` then have uniform and independent angles. Decoder and heads read angles that are not
        mapped.
        """
        return use.angles(self, x, batch_size, verbose, uniform, groups, offset)

    def decode(
        self, points: Any = None, batch_size: int | None = None, verbose: Any = "auto", angles: Any = None
    ) -> np.ndarray:
        """Samples `(num, *sample_shape)` of points, or of angles.

        Args:
            points: Float array `(num, point_size)`, what `encode` returns. Defaults to `None`: give `angles`.
            angles: Float array `(num, num_angles)`, radians. Alone, radii are 1 and other coordinates those of raw
                values of zero; with points, all else comes from these. Defaults to `None`.

        Example:

        >>> import numpy as np, torusae
        >>> model = torusae.TorusAutoencoder.from_shape((4,), dim=2)
        >>> model.decode(angles=np.zeros((3, 2)), verbose=0).shape
        (3, 4)
        """
        return use.decode(self, points, batch_size, verbose, angles)

    def reconstruct(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        groups: Any = None,
        offset: str | None = None,
    ) -> np.ndarray:
        """`decode(encode(x))`, with groups at the level of each row's. `groups` and `offset` are those of `encode`."""
        return use.reconstruct(self, x, batch_size, verbose, groups, offset)

    def sample(
        self,
        num_samples: int,
        seed: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        density: str | None = None,
    ) -> np.ndarray:
        """Decodes points drawn from the fitted density, or from the latent space's prior.

        Args:
            num_samples: Integer.
            seed: Integer or `keras.random.SeedGenerator`, for the same samples on one backend. Defaults to `None`.
            density: `"prior"` or `"fitted"`. Defaults to `None`: the model's `density` if there is one, else the prior.
                Samples of the prior look like data only where the data fill the space: else call `fit_density(x)`.

        Returns:
            NumPy array `(num_samples, *sample_shape)`.
        """
        return use.sample(self, num_samples, seed, batch_size, verbose, density)

    def fit_density(
        self,
        x: Any,
        density: Any = None,
        seed: int | None = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        groups: Any = None,
    ) -> Any:
        """Fits a density to the points of samples, for `sample`, and returns it. It is saved with the weights.

        Samples of the prior look like data only where the data fill the space. A `"flow"` also makes angles uniform,
        `angles(x, uniform=True)` and `morph(..., uniform=True)`. Further training forgets it. Ctrl-C while a flow
        is fitted leaves the model with the best map so far.

        Args:
            x: Samples, best the training data.
            density: A name among the space's `densities`, for a torus `"flow"`, `"mixture"` or `"neighbors"`; or an
                object with `fit(points)` and `sample(num_samples, seed)`, such as `VonMisesMixture(20)`. Defaults to
                `None`, the space's first.
            seed: Integer, seed of the density where `density` is a name. Defaults to `None`, a random seed.
            groups: As in `encode`. Defaults to `None`.

        Example:

        >>> import numpy as np, torusae
        >>> model = torusae.TorusAutoencoder.from_shape((4,), dim=2)
        >>> x = np.random.default_rng(0).normal(size=(100, 4)).astype("float32")
        >>> model.fit_density(x, torusae.densities.VonMisesMixture(3, seed=0), verbose=0)
        VonMisesMixture(3 components, dim 2)
        """
        return use.fit_density(self, x, density, seed, batch_size, verbose, groups)

    def fit_noise(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        groups: Any = None,
        offset: str | None = None,
    ) -> Noise:
        """Fits the noise of samples around the decoder, for `posterior`, and returns it. It is saved with the weights.

        The noise holds the decoder's own error too, so it is that of samples which the model was not trained on.
        Outliers do not count. Further training forgets it.

        Args:
            x: Array of samples, best such as were not trained on. At most 4000 of them are read, of two
                circles 1000, of other spaces 500.

        Raises:
            ValueError: Before a training, or if all samples are equal.

        Example: see `posterior`.
        """
        return inference.fit_noise(self, x, groups, offset, batch_size, verbose)

    def posterior(
        self,
        x: Any,
        level: float = 0.9,
        batch_size: int | None = None,
        verbose: Any = "auto",
        groups: Any = None,
        offset: str | None = None,
    ) -> inference.Posterior:
        """The angles of samples by Bayes' rule through the decoder, each with its error. Call `fit_noise(x)` before.

        Formula: `p(φ | x) ∝ p(φ) p(x | φ)`, with the prior of the space, radii of 1 on a torus, and `p(x | φ)` the
        noise around the decoded point. Of one or two circles it is computed on a grid of angles, in other spaces by a
        search for its modes, each with a normal distribution around it. The encoder's `angles` are faster and less
        exact. Of a model made with `missing="ignore"`, cells that are NaN are left out.

        Args:
            x: Array of samples `(num, *sample_shape)`.
            level: Float between 0 and 1, the probability that an interval holds. Defaults to `0.9`.
            groups: As in `encode`. Defaults to `None`.
            offset: As in `encode`. Defaults to `None`.

        Returns:
            A `Posterior`.

        Raises:
            ValueError: Before a training, or without noise.

        Example:

        >>> import numpy as np, torusae
        >>> x = torusae.datasets.torus_table(200, dim=1, columns=6, noise=0.3, seed=0)[0]
        >>> model = torusae.TorusAutoencoder.from_shape((6,), dim=1, init="random")
        >>> model.compile("adam", "mse")
        >>> history = model.fit(x[:160], epochs=2, batch_size=40, verbose=0)
        >>> noise = model.fit_noise(x[160:], verbose=0)
        >>> model.posterior(x, verbose=0)
        Posterior(200 rows, 1 angle, level 0.9)
        """
        return inference.posterior(self, x, level, groups, offset, batch_size, verbose)

    def morph(
        self,
        start: Any,
        end: Any,
        windings: Any = None,
        num_steps: int = 12,
        batch_size: int | None = None,
        verbose: Any = "auto",
        uniform: bool = False,
    ) -> np.ndarray:
        """Morphs one sample into another along several paths of the latent space.

        Args:
            start: One sample, `sample_shape`.
            end: One sample, `sample_shape`.
            windings: Integer array `(num_paths, num_windings)`, one row per path. Defaults to `None`, the space's own,
                the shortest path first. A torus takes each circle the short or the long way: see `two_way_windings`. A
                Gaussian space takes the straight line, and has three other ways: see `Gaussian`.
            num_steps: Integer, at least 2, samples along each path. Defaults to `12`.
            uniform: Boolean, whether paths are straight in the uniform angles of the fitted flow, and windings count
                their turns. Defaults to `False`.

        Returns:
            NumPy array `(num_paths, num_steps, *sample_shape)`. The ends are the reconstructions of both samples.
        """
        return use.morph(self, start, end, windings, num_steps, batch_size, verbose, uniform)

    def analogy(self, a: Any, b: Any, c: Any, batch_size: int | None = None, verbose: Any = "auto") -> np.ndarray:
        """Samples d of which is said: a is to b as c is to d.

        Formula: the symmetry of the space that takes the point of a to that of b takes the point of c to that of d.
        On a torus angles add, `φ_d = φ_c + (φ_b - φ_a)`, and radii multiply, `r_d = r_c r_b / r_a`. In a Gaussian space
        points add, `d = c + (b - a)`. On a sphere the smallest turn from a to b turns c; rotations multiply,
        `D = B Aᵀ C`. An interval, a Möbius band and a Klein bottle have no such symmetries, nor has a product with one
        of them.

        Args:
            a: Samples `(num, *sample_shape)`, or `(1, *sample_shape)` for all rows.
            b: As `a`.
            c: As `a`.

        Returns:
            NumPy array `(num, *sample_shape)`.

        Raises:
            ValueError: If the space has no analogies, or the numbers of samples do not fit.

        Example:

        >>> import numpy as np, torusae
        >>> model = torusae.TorusAutoencoder.from_shape((4,), dim=2)
        >>> a, b, c = np.random.default_rng(0).normal(size=(3, 10, 4)).astype("float32")
        >>> model.analogy(a, b, c, verbose=0).shape
        (10, 4)
        >>> np.allclose(model.analogy(a, a, c, verbose=0), model.reconstruct(c, verbose=0), atol=1e-5)
        True

        Reference:
            Reed et al. (2015), Deep Visual Analogy-Making; Radford et al. (2016), arXiv:1511.06434. They add features.
        """
        return use.analogy(self, a, b, c, batch_size, verbose)

    def rotate(
        self,
        x: Any,
        angles: Mapping[int, Any],
        batch_size: int | None = None,
        verbose: Any = "auto",
        groups: Any = None,
        offset: str | None = None,
    ) -> np.ndarray:
        """Reconstructions of samples with some circles rotated, and all other coordinates as they are.

        Args:
            x: Samples `(num, *sample_shape)`.
            angles: Dict from the number of a circle, its column in `angles(x)`, to the angle to add, radians: a number,
                or an array `(num,)` with one for each sample.
            groups: As in `encode`, and so is `offset`. Defaults to `None`.

        Returns:
            NumPy array `(num, *sample_shape)`. A whole turn changes nothing, but on a Möbius band and a Klein bottle it
            turns the other coordinate over.

        Raises:
            TypeError: If `angles` is no dict, or its keys are no integers.
            ValueError: If the space has no such circle, or angles are of another shape.

        Example:

        >>> import numpy as np, torusae
        >>> model = torusae.TorusAutoencoder.from_shape((4,), dim=2)
        >>> x = np.random.default_rng(0).normal(size=(10, 4)).astype("float32")
        >>> rotated = model.rotate(x, {1: np.pi / 2}, verbose=0)
        >>> np.allclose(model.rotate(x, {1: 2 * np.pi}, verbose=0), model.reconstruct(x, verbose=0), atol=1e-5)
        True
        """
        return use.rotate(self, x, angles, batch_size, verbose, groups, offset)

    def remove(
        self,
        x: Any,
        circle: int,
        batch_size: int | None = None,
        verbose: Any = "auto",
        groups: Any = None,
        offset: str | None = None,
    ) -> np.ndarray:
        """Samples without what depends on one circle, such as cells without the cell cycle.

        Formula: `x - x̂(θ) + mean over θ' of x̂(θ')`, where `x̂(θ')` is the reconstruction with the circle's angle at
        `θ'` and all else as it is. What the reconstruction leaves out of x stays, noise for example, and so does the
        circle's radius. Without what is left out: `remove(x, circle) - x + reconstruct(x)`.

        Args:
            x: Array of samples `(num, *sample_shape)`.
            circle: Integer, the number of a circle, its column in `angles(x)`.
            groups: As in `encode`, and so is `offset`. Defaults to `None`.

        Returns:
            NumPy float32 array `(num, *sample_shape)`. All samples are decoded 32 times.

        Raises:
            TypeError: If `circle` is no integer.
            ValueError: If the space has no such circle.

        Example:

        >>> import numpy as np, torusae
        >>> model = torusae.TorusAutoencoder.from_shape((4,), dim=2)
        >>> x = np.random.default_rng(0).normal(size=(10, 4)).astype("float32")
        >>> model.remove(x, 0, verbose=0).shape
        (10, 4)

        Reference:
            Liang et al. (2020), Latent periodic process inference from single-cell RNA-seq data (Cyclum), subtract the
            waves of a linear decoder. With one, this is the same. The mean is a torusae choice for other decoders.
        """
        return use.remove(self, x, circle, batch_size, verbose, groups, offset)

    # Files.

    def load_weights(self, *args, **kwargs):
        """Loads weights, as `keras.Model.load_weights` does, with the density that the file holds, or none."""
        self.fitted.clear()
        super().load_weights(*args, **kwargs)

    def set_weights(self, weights):
        """Sets weights, as `keras.Model.set_weights` does. What was fitted to points is forgotten."""
        self.fitted.clear()
        self.trained_rows = None
        super().set_weights(weights)

    def save_own_variables(self, store):
        """Saves what was fitted to points, and the loss of the last training."""
        self.fitted.save(store)
        if self.trained_loss is not None:
            store["training:loss"] = np.float64(self.trained_loss)

    def load_own_variables(self, store):
        """Loads what was fitted to points, and the loss of the last training, if the file holds them."""
        keras_repairs.refuse_damaged(type(self).__name__, store)
        self.fitted.load(store)
        self.trained_loss = float(store["training:loss"][()]) if "training:loss" in store.keys() else None
        self.was_trained, self.trained_rows = True, None

    def get_config(self):
        """Returns the constructor's arguments. A fitted density belongs to the weights, and is saved with them."""
        held = {"encoder": self.encoder, "decoder": self.decoder, "latent": self.latent, "heads": self.heads}
        config = {name: keras.saving.serialize_keras_object(part) for name, part in held.items()}
        more: dict[str, Any] = {"columns": self.adapter.columns} if self.adapter.columns else {}
        if self.scaling is not None:
            more["scaling"] = self.scaling.get_config()
        return {
            "name": self.name,
            "trainable": self.trainable,
            "init": self.init,
            "missing": self.missing,
            **more,
            **config,
        }

    @classmethod
    def from_config(cls, config):
        """Returns the model that `get_config` describes."""
        config = dict(config)
        for name in ("encoder", "decoder", "latent", "heads"):
            config[name] = keras.saving.deserialize_keras_object(config[name])
        trainable, columns = config.pop("trainable", True), config.pop("columns", None)
        scaling = config.pop("scaling", None)
        model = cls(**config)
        model.trainable = trainable
        model.adapter.columns = tuple(columns) if columns else None
        model.adapter.scaling = None if scaling is None else Scaling.from_config(scaling)
        return model

    def get_compile_config(self):
        """Returns the arguments of `compile`, in a form that every backend can read."""
        config = super().get_compile_config()
        if not config:
            return config
        config["loss"] = keras.saving.serialize_keras_object(self.objective.argument)
        config["optimizer"] = keras_repairs.portable_optimizer(config["optimizer"])
        if self.supervision:
            named = self.supervision.items()
            config["supervision"] = {name: keras.saving.serialize_keras_object(each) for name, each in named}
        config.pop("jit_compile", None)  # a choice of the backend that saved the file, not of the model
        config.pop("loss_weights", None)
        return config

    def compile_from_config(self, config):
        """Compiles the model with what `get_compile_config` returned."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)


def _latent(dim: int | str | Space, arguments: Mapping[str, Any]) -> Latent:
    """The latent layer of a number of circles, a space, or its text."""
    return Latent(dim, **arguments) if isinstance(dim, (str, Space)) else TorusLatent(dim, **arguments)


def _built_heads(owner: str, heads: Mapping[str, Head] | None, space: Space) -> dict[str, Head]:
    """The heads, checked and built."""
    if heads is not None and not isinstance(heads, Mapping):
        raise TypeError(f"{owner}: `heads` must be a dict from names to Heads. Received: heads={heads!r}.")
    for name, head in (heads or {}).items():
        if not isinstance(head, Head):
            raise TypeError(f"{owner}: heads[{name!r}] must be a torusae Head. Received: {head!r}.")
        if name in _TAKEN:
            raise ValueError(f"{owner}: `heads` can't have the name {name!r}, which the model uses itself.")
        head(keras.KerasTensor((None, space.head_input_size), dtype="float32"))
    return dict(heads or {})


def _checked_supervision(
    owner: str, supervision: Mapping[str, Supervision] | None, heads: Mapping[str, Head], space: Space
) -> dict[str, Supervision]:
    """The supervision given to `compile`, checked."""
    if supervision is not None and not isinstance(supervision, Mapping):
        raise TypeError(
            f"{owner}: `supervision` must be a dict from names to Relative, Anchor or Action objects. "
            f"Received: supervision={supervision!r}."
        )
    for name, each in (supervision or {}).items():
        if not isinstance(each, Supervision):
            raise TypeError(
                f"{owner}, supervision[{name!r}]: must be a Relative, an Anchor or an Action. Received: {each!r}."
            )
        if name in _TAKEN or name in heads:
            raise ValueError(
                f"{owner}, supervision[{name!r}]: another name is needed. Received: {name!r}, the name of an output "
                f"or of a head."
            )
        each.check_space(f"{owner}, supervision[{name!r}]", space)
    return dict(supervision or {})
