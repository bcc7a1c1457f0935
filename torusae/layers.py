"""Layers that put a torus into any Keras model: `Polar`, `CircularEmbedding`, `Latent(space)`, `TorusLatent(dim)`."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from torusae import _checks, distribution
from torusae._checks import Tensor
from torusae.angles import to_cartesian, to_polar
from torusae.losses import LatentLoss
from torusae.spaces import Space, Torus

# A default weight rises as the cube of the step until this share of the training: an encoder first has to learn what
# the data hold. With full weights early, points freeze where the first steps left them, and neither the reconstruction
# nor the uniformity recovers. Found on MNIST.
_RAMP_SHARE = 0.6
_RAMP_POWER = 3.0
_RAMP_STEPS = 2000  # where nobody says how long the training will be


def _float32_by_default(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Angles of half precision tie: under a mixed policy these layers still compute in float32 (float64 stays)."""
    if kwargs.get("dtype") is None:
        kwargs["dtype"] = _checks.working_dtype(keras.config.floatx())
    return kwargs


@keras.saving.register_keras_serializable(package="torusae")
class Polar(keras.layers.Layer):
    """Turns a code into radii and angles, with finite value and gradient everywhere. See `to_polar`.

    Angles are in radians, `[-π, π)`.

    Args:
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`; `dtype` is float32 by default under any policy).

    Call arguments:
        code: Float tensor `(..., 2 * dim)`, all x values first, then all y values.

    Returns:
        The pair `(radii, angles)`, each `(..., dim)`.

    Example:

    >>> import keras, torusae
    >>> radii, angles = torusae.Polar()(keras.ops.ones((1, 2)))
    >>> round(float(angles[0, 0]), 4)
    0.7854

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, eq. 1.
    """

    def __init__(self, **kwargs):
        super().__init__(**_float32_by_default(kwargs))

    def call(self, code):
        return to_polar(code)

    def compute_output_shape(self, code_shape):
        """The shapes of radii and angles."""
        shape = (*code_shape[:-1], code_shape[-1] // 2)
        return shape, shape


@keras.saving.register_keras_serializable(package="torusae")
class CircularEmbedding(keras.layers.Layer):
    """Embeds angles as points on unit circles, so that a network sees no seam at ±π.

    Angles are in radians; any real value is accepted and read modulo 2π.

    Formula: `angles -> (cos(angles), sin(angles))`, all cosines first.

    Args:
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`; `dtype` is float32 by default under any policy).

    Call arguments:
        angles: Float tensor `(..., dim)`, radians.

    Returns:
        Tensor `(..., 2 * dim)`.

    Example:

    >>> import keras, torusae
    >>> layer = torusae.CircularEmbedding()
    >>> keras.ops.convert_to_numpy(layer(keras.ops.zeros((1, 2)))).tolist()
    [[1.0, 1.0, 0.0, 0.0]]
    """

    def __init__(self, **kwargs):
        super().__init__(**_float32_by_default(kwargs))

    def call(self, angles):
        return to_cartesian(ops.ones_like(angles), angles)

    def compute_output_shape(self, angles_shape):
        """The shape of the embedded angles."""
        return (*angles_shape[:-1], 2 * angles_shape[-1])


@keras.saving.register_keras_serializable(package="torusae")
class Latent(keras.layers.Layer):
    """A latent space as a layer: linear maps from features to a code, and the losses that shape it.

    Put it between any encoder and decoder. While training, the weighted losses are added to the model's own by
    `add_loss`. In `predict`, `evaluate` and exported graphs the layer is only its linear maps; the callback
    `LatentLogger` measures the terms there too.

    Args:
        space: A `Space`, for example `Torus(3)`.
        losses: The name of a preset of the space, or a sequence of `LatentLoss` objects. `"paper"` is the spring and
            the quantile loss of Mikulski & Duda alone, `"none"` no loss. `None` is the preset that the space
            recommends. Defaults to `None`.
        loss_weights: Dict from a loss's name to its weight, a float or a
            `keras.optimizers.schedules.LearningRateSchedule` over training steps; added to a model by this layer, the
            loss counts with just this weight. A loss that is not named has its `default_weight`, relative to the
            model's own loss, and reaches it at 60 % of the training, as the cube of the step: of the `fit` of a
            `TorusAutoencoder`, or of any `fit` with a `LatentLogger`; else after 2000 steps. Defaults to `None`.
        loss_scale: Positive float, the size that the model's own loss has at the end of training, which the default
            weights are multiplied with. Mean squared error and binary cross-entropy of data between 0 and 1 need no
            other; a sum over 784 pixels needs 784 times as much. `TorusAutoencoder` knows its reconstruction loss and
            uses that. Defaults to `0.02`.
        gather: Boolean, whether the losses see the rows of all replicas of a distributed run, and not each replica's
            own. With one replica, and on JAX, where a step has the whole batch, it does nothing. Defaults to `True`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`; `dtype` is float32 by default under any policy).

    Call arguments:
        features: Float tensor `(batch, num_features)`.

    Returns:
        Code, a float32 tensor `(batch, space.code_size)`.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If a preset or a name in `loss_weights` is unknown, a weight is negative, two losses share a name,
            a loss reads a part that the space does not have, or the features are not of rank 2.

    Notes:
        The losses are statistics of a batch: use batches of 64 or more. They mean the same at any batch size.

        In a subclassed model write `call(self, x, training=None)` and hand `training` on to the layers: otherwise they
        don't know whether they train (Dropout then never acts), and the losses count, and schedules go on, in every
        call, those of `evaluate` and `predict` too.

    Example:

    >>> import keras, torusae
    >>> model = keras.Sequential([keras.Input((5,)), torusae.Latent(torusae.Torus(2)), keras.layers.Dense(5)])
    >>> model.layers[0].output.shape
    (None, 4)
    """

    def __init__(
        self,
        space: Space,
        losses: str | Sequence[LatentLoss] | None = None,
        loss_weights: Mapping[str, Any] | None = None,
        loss_scale: float = 0.02,
        gather: bool = True,
        **kwargs,
    ):
        super().__init__(**_float32_by_default(kwargs))
        owner = type(self).__name__
        if not isinstance(space, Space):
            raise TypeError(f"{owner}: `space` must be a torusae Space such as Torus(3). Received: space={space!r}.")
        self.space = space
        self.losses_argument = space.default_losses if losses is None else losses
        self.latent_losses = self._resolve_losses(owner, self.losses_argument)
        self.loss_scale = _checks.positive_float(owner, "loss_scale", loss_scale)
        self.gather = bool(gather)
        self.given_weights = self._checked_weights(owner, loss_weights or {})
        defaults = {loss.name: loss.default_weight for loss in self.latent_losses}
        self.loss_weights: dict[str, Any] = {**defaults, **self.given_weights}
        self.linear_maps = [keras.layers.Dense(size, name=name, dtype=self.dtype_policy) for name, size in space.maps]
        self.code_seed = keras.random.SeedGenerator() if space.is_stochastic else None
        # Keras must see the state of random numbers in a layer, else JAX can't hand it through a compiled step.
        self.loss_seeds = [loss.seed_generator for loss in self.latent_losses if loss.seed_generator is not None]
        self._planned_ramp = _RAMP_STEPS
        # Set by LatentLogger. Without it nothing is recorded, and a step costs nothing more.
        self.records_training = False
        self.records_testing = False
        self.recording_step: Any = None

    def _resolve_losses(self, owner, losses) -> list[LatentLoss]:
        if isinstance(losses, str):
            return self.space.preset(losses)
        if isinstance(losses, LatentLoss):
            raise TypeError(f"{owner}: `losses` must be a list of losses. Received a single one: use losses=[loss].")
        losses = list(losses)
        for loss in losses:
            if not isinstance(loss, LatentLoss):
                raise TypeError(
                    f"{owner}: `losses` must be a name or hold LatentLoss objects such as SpringLoss(). "
                    f"Received: {loss!r}. Derive a loss of your own from torusae.LatentLoss."
                )
            _checks.option(f"{owner}, loss {loss.name!r}", "part", loss.part, self.space.parts)
        names = [loss.name for loss in losses]
        if len(set(names)) < len(names):
            raise ValueError(
                f"{owner}: `losses` must have different names. Received: {names}. Use SpringLoss(name=...)."
            )
        return losses

    def _checked_weights(self, owner, weights) -> dict[str, Any]:
        checked = {}
        for name, weight in weights.items():
            _checks.option(owner, "loss_weights", name, [loss.name for loss in self.latent_losses])
            if not isinstance(weight, keras.optimizers.schedules.LearningRateSchedule):
                weight = _checks.positive_float(owner, f"loss_weights[{name!r}]", weight, zero_allowed=True)
            checked[name] = weight
        return checked

    def build(self, features_shape):
        if len(features_shape) != 2:
            raise ValueError(
                f"{type(self).__name__}: features must have shape (batch, num_features). "
                f"Received: shape={tuple(features_shape)}. Put keras.layers.Flatten() before this layer."
            )
        for linear in self.linear_maps:
            linear.build(features_shape)
        # Replicas of a distributed run take the same steps, and what they record adds up.
        self.iterations = self._counter("iterations", (), "int32", "only_first_replica")
        # By its initializer: a model that is built within its first step must not assign it in every one.
        self.ramp_steps = self._counter("ramp_steps", (), "int32", "only_first_replica", self._planned_ramp)
        self.loss_states = {
            loss.name: self.add_weight(
                name=f"{loss.name}_state",
                shape=shape,
                dtype="float32",
                initializer="zeros",
                trainable=False,
                aggregation="mean",
            )
            for loss in self.latent_losses
            if (shape := loss.state_shape(self.space.part_size(loss.part))) is not None
        }
        self.recorded_terms = self._counter("recorded_terms", (len(self.latent_losses) + 1,))
        self.recorded_monitor = self._counter("recorded_monitor", self.space.monitor_shape)

    def _counter(self, name, shape, dtype="float32", aggregation="sum", value=0):
        start = keras.initializers.Constant(value)
        return self.add_weight(
            name=name, shape=shape, dtype=dtype, initializer=start, trainable=False, aggregation=aggregation
        )

    def call(self, features, training=None):
        projection = self.project(features)
        code = self.code(projection, training)
        # Where a model's own `call` hands on no `training`, its layers are told nothing, not even in `fit`.
        training = training is None or training
        if training or self.records_testing:
            terms = self.terms(projection, training)
            if training:
                for name, term in terms.items():
                    scale = 1.0 if name in self.given_weights else self.loss_scale
                    self.add_loss(term * self.weight_now(name) * scale)
                self.iterations.assign_add(1)
            if self.records_testing or self.records_training:
                self._record(code, terms)
        return code

    def compute_output_shape(self, features_shape):
        """The shape of the code."""
        return (features_shape[0], self.space.code_size)

    def project(self, features: Tensor) -> Tensor:
        """What the linear maps make of `features`, side by side: the code itself where nothing is random."""
        return ops.concatenate([linear(features) for linear in self.linear_maps], axis=-1)

    def code(self, projection: Tensor, training: bool | None = False) -> Tensor:
        """The code of a projection; in training it is drawn, in a space of posteriors."""
        return self.space.code(projection, self.code_seed if training else None)

    def terms(self, projection: Tensor, training: bool = False) -> dict[str, Tensor]:
        """The losses of a batch of projections by name, scalar tensors, not weighted; training renews their memory."""
        if self.gather and self.latent_losses:
            projection = distribution.gather(projection)
        parts = {name: self.space.part(projection, name) for name in {loss.part for loss in self.latent_losses}}
        terms = {}
        for loss in self.latent_losses:
            state = self.loss_states.get(loss.name)
            if training and state is not None:
                term, memory = loss.call_with_state(parts[loss.part], state.value)
                state.assign(memory)
            else:
                term = loss(parts[loss.part])
            terms[loss.name] = ops.cast(term, "float32")  # TensorFlow can't sum losses of different dtypes
        return terms

    def weight_now(self, name: str) -> Any:
        """The weight of a term at the present training step, a float or a scalar tensor."""
        weight = self.loss_weights[name]
        if name not in self.given_weights:
            share = ops.cast(self.iterations, "float32") / ops.cast(self.ramp_steps, "float32")
            return weight * ops.power(ops.minimum(share, 1.0), _RAMP_POWER)
        return weight(self.iterations) if callable(weight) else weight

    def plan(self, num_steps: int) -> None:
        """Says how many steps the training will have, before the first: default weights rise over a share of them."""
        self._planned_ramp = max(1, round(_RAMP_SHARE * num_steps))
        if self.built and not int(ops.convert_to_numpy(self.iterations)):
            self.ramp_steps.assign(self._planned_ramp)

    def _record(self, code, terms):
        self.recorded_terms.assign_add(ops.stack([*terms.values(), ops.ones((), dtype="float32")]))
        self.recorded_monitor.assign_add(self.space.monitor(code))

    def reset_records(self) -> None:
        """Forgets what was recorded."""
        for variable in (self.recorded_terms, self.recorded_monitor):
            variable.assign(np.zeros(variable.shape))

    def records(self) -> dict[str, float]:
        """What was recorded since the last reset: each term's mean over batches, and the space's statistics."""
        *totals, batches = ops.convert_to_numpy(self.recorded_terms).tolist()
        if not batches:
            return {}
        means = {loss.name: total / batches for loss, total in zip(self.latent_losses, totals, strict=True)}
        return {**means, **_floats(self.space.read_monitor(self.recorded_monitor.value))}

    def save_own_variables(self, store):
        """Saves the step that schedules count from and what losses remember; records of a run are not kept."""
        if self.built:
            store["iterations"] = ops.convert_to_numpy(self.iterations)
            store["ramp_steps"] = ops.convert_to_numpy(self.ramp_steps)
            for name, state in self.loss_states.items():
                store[f"state_{name}"] = ops.convert_to_numpy(state)

    def load_own_variables(self, store):
        """Loads what `save_own_variables` saved."""
        if self.built:
            self.iterations.assign(np.asarray(store["iterations"]))
            if "ramp_steps" in store:  # files of before version 0.1
                self.ramp_steps.assign(np.asarray(store["ramp_steps"]))
            for name, state in self.loss_states.items():
                state.assign(np.asarray(store[f"state_{name}"]))
        else:
            super().load_own_variables(store)  # fails with Keras' advice where the file holds anything

    def get_config(self):
        """Returns the constructor's arguments."""
        losses = self.losses_argument
        if not isinstance(losses, str):
            losses = [keras.saving.serialize_keras_object(loss) for loss in self.latent_losses]
        weights = {name: keras.saving.serialize_keras_object(weight) for name, weight in self.given_weights.items()}
        space = keras.saving.serialize_keras_object(self.space)
        return {
            **super().get_config(),
            "space": space,
            "losses": losses,
            "loss_weights": weights,
            "loss_scale": self.loss_scale,
            "gather": self.gather,
        }

    @classmethod
    def from_config(cls, config):
        """Returns the layer that `get_config` describes."""
        config = dict(config)
        for key in ("space", "losses", "loss_weights"):
            if key in config:
                config[key] = keras.saving.deserialize_keras_object(config[key])
        return cls(**config)


def _floats(tensors: Mapping[str, Tensor]) -> dict[str, float]:
    return {name: float(ops.convert_to_numpy(value)) for name, value in tensors.items()}


@keras.saving.register_keras_serializable(package="torusae")
class TorusLatent(Latent):
    """A torus in any Keras model: features become angles that are spread evenly, with no change to `fit`.

    Two linear maps X and Y make `dim` points in the plane; losses spread their angles and hold their radii near 1.
    The decoder reads the points' coordinates, all x values first, then all y values. Angles are in radians: use `Polar`
    or `to_polar` to read them.

    Args:
        dim: Integer, at least 1, the number of circles.
        losses: As in `Latent`. Defaults to `None`, the recommended preset.
        loss_weights: As in `Latent`. Defaults to `None`.
        loss_scale: As in `Latent`. Defaults to `0.02`.
        gather: As in `Latent`. Defaults to `True`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`; `dtype` is float32 by default under any policy).

    Call arguments:
        features: Float tensor `(batch, num_features)`.

    Returns:
        Code, a float32 tensor `(batch, 2 * dim)`.

    Raises:
        TypeError: If `dim` is not an integer.
        ValueError: If `dim` is below 1; otherwise as `Latent`.

    Example:

    >>> import keras, torusae
    >>> model = keras.Sequential([keras.Input((50,)), torusae.TorusLatent(3), keras.layers.Dense(50)])
    >>> model.compile("adam", "mse")
    >>> model.layers[0].output.shape
    (None, 6)

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, section 2.
    """

    def __init__(self, dim: int, losses=None, loss_weights=None, loss_scale=0.02, gather=True, **kwargs):
        super().__init__(Torus(dim), losses, loss_weights, loss_scale, gather, **kwargs)
        self.dim = int(dim)

    def get_config(self):
        """Returns the constructor's arguments."""
        config = super().get_config()
        del config["space"]
        return {**config, "dim": self.dim}
