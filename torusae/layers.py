"""Layers that put a latent space into any Keras model."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from torusae import _backend, _checks, distribution
from torusae._checks import Tensor
from torusae.angles import to_cartesian, to_polar
from torusae.losses import LatentLoss
from torusae.spaces import Space, Term, Torus

_RECENT_ROWS = 512  # the most recent training points that a logger measures


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
class Read(keras.layers.Layer):
    """Reads something of the points of a space: their angles, their code, or the input of a head.

    Args:
        space: A `Space`.
        what: `"angles"`, `"code"` or `"head_input"`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`; `dtype` is float32 by default under any policy).

    Call arguments:
        point: Float tensor `(batch, space.point_size)`.

    Returns:
        Tensor `(batch, columns)`.

    Raises:
        ValueError: If `what` is unknown.

    Example:

    >>> import torusae
    >>> space = torusae.Torus(2)
    >>> torusae.layers.Read(space, "angles")(space.sample(3, seed=0)).shape[1]
    2
    """

    def __init__(self, space: Space, what: str, **kwargs):
        super().__init__(**_float32_by_default(kwargs))
        self.space = space
        self.what = _checks.option("Read", "what", what, ("angles", "code", "head_input"))

    def call(self, point):
        return getattr(self.space, self.what)(point)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "space": keras.saving.serialize_keras_object(self.space),
            "what": self.what,
        }

    @classmethod
    def from_config(cls, config):
        """Returns the layer that `get_config` describes."""
        return cls(**{**config, "space": keras.saving.deserialize_keras_object(config["space"])})


def pull(point: Tensor, value: Tensor) -> Tensor:
    """Returns `point`. In the gradient, adds the pull of a scalar loss `value` that was computed from it.

    Formula: with the gradient `g` that arrives at the point from the rest of the model, `(batch, point_size)`, the
    gradient of `value` is added with the factor `G = sqrt(S Σ |g|²)`, where `S` is the batch size. For a mean loss, `G`
    is the root mean square, over the samples, of each sample's own gradient.

    So one weight suits every loss, reduction and scale of data: the pull is as strong as the model's own gradient.

    Args:
        point: Float tensor `(batch, point_size)`.
        value: Scalar tensor.

    Returns:
        Tensor of the shape of `point`.

    Notes:
        With several replicas the sums run over all of them, and each replica adds its share.
    """

    @ops.custom_gradient
    def joined(point, value):
        def gradient(*arguments, upstream=None):
            g = arguments[-1] if upstream is None else upstream
            squares = _float32(g)
            squares = ops.sum(squares * squares)
            size = g.shape[0]
            replicas = distribution.num_replicas()
            if replicas > 1 or not isinstance(size, int):
                size = distribution.sum_over_replicas(ops.cast(ops.shape(g)[0], "float32"))
                squares = distribution.sum_over_replicas(squares)
            return g, (size * squares) ** 0.5 / replicas

        return point, gradient

    return joined(point, value)


def _float32(value: Tensor) -> Tensor:
    """A tensor as float32. A cast that changes nothing would cost as much as an operation on torch."""
    return value if keras.backend.standardize_dtype(value.dtype) == "float32" else ops.cast(value, "float32")


def _in_train_step() -> bool:
    """Whether a Keras trainer's `train_step` is running, up the call stack.

    A subclassed model whose `call` has no `training` argument is called without one in `fit`, and Keras then tells its
    layers nothing. Its training step has no other mark that a layer could see.
    """
    frame: Any = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "train_step":
            return True
        frame = frame.f_back
    return False


@keras.saving.register_keras_serializable(package="torusae")
class Latent(keras.layers.Layer):
    """A latent space as a layer: a linear map from features to points, and the losses that shape them.

    Put it between any encoder and decoder. In training, each term of the space pulls at the points:

    - The pull of a term is `weight · G · ∂L/∂point`. `G` is the size of the gradient that arrives at the points from
      the rest of the model (see `pull`). A weight is relative to it, and suits any loss and any scale of data.
    - Nothing is added to the model's loss: `loss` and `val_loss` are the model's own.
    - In `predict`, `evaluate`, exported graphs and a plain call, the layer is only its linear map and the space.
    - A frozen layer (`trainable = False`) does not pull.

    The callback `LatentLogger` logs the terms and the statistics of the space.

    Args:
        space: A `Space`, for example `Torus(3)`.
        losses: The name of a preset of the space, or a sequence of `Term` and `LatentLoss` objects. `"none"` means no
            loss. `None` is the first preset of the space. Defaults to `None`.
        loss_weights: Dict from a term's name to its weight, a float. Others keep their own. Defaults to `None`.
        gather: Boolean, whether the losses see the rows of all replicas of a distributed run, and not each replica's
            own. With one replica, and on JAX, it does nothing. Defaults to `True`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`; `dtype` is float32 by default under any policy).

    Call arguments:
        features: Float tensor `(batch, num_features)`.
        return_point: Boolean, whether the result is the pair `(code, point)`. Defaults to `False`.

    Returns:
        Code, which the decoder reads: a float32 tensor `(batch, space.code_size)`.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If a preset or a name in `loss_weights` is unknown, a weight is negative, two terms share a name,
            a term reads a part that the space does not have, or the features are not of rank 2.

    Notes:
        The losses are statistics of a batch: use batches of 64 or more. They mean the same at any batch size.

    Example:

    >>> import keras, torusae
    >>> model = keras.Sequential([keras.Input((5,)), torusae.Latent(torusae.Torus(2)), keras.layers.Dense(5)])
    >>> model.layers[0].output.shape
    (None, 4)
    """

    def __init__(
        self,
        space: Space,
        losses: str | Sequence[Term | LatentLoss] | None = None,
        loss_weights: Mapping[str, float] | None = None,
        gather: bool = True,
        **kwargs,
    ):
        super().__init__(**_float32_by_default(kwargs))
        owner = type(self).__name__
        if not isinstance(space, Space):
            raise TypeError(f"{owner}: `space` must be a torusae Space such as Torus(3). Received: space={space!r}.")
        self.space = space
        self.gather = bool(gather)
        self.terms = _resolved_terms(owner, space, space.presets[0] if losses is None else losses, loss_weights or {})
        self.projection = keras.layers.Dense(space.raw_size, name="raw", dtype=self.dtype_policy)
        self.seed_generator = keras.random.SeedGenerator() if space.is_stochastic else None
        self.records = False  # set by a logger, before a training step is compiled
        self.captured: list[Tensor] | None = None  # a list collects the raw values of every call

    def build(self, features_shape):
        if len(features_shape) != 2:
            raise ValueError(
                f"{type(self).__name__}: features must have shape (batch, num_features). "
                f"Received: shape={tuple(features_shape)}. Put keras.layers.Flatten() before this layer."
            )
        self.projection.build(features_shape)
        self.recent = self.add_weight(
            name="recent",
            shape=(_RECENT_ROWS, self.space.raw_size),
            dtype="float32",
            initializer="zeros",
            trainable=False,
            aggregation="only_first_replica",
        )

    def call(self, features, training=None, return_point=False):
        trains = training or (training is None and _in_train_step())
        raw = self.projection(features)
        point = self.space.point(raw, self.seed_generator if trains else None)
        if self.captured is not None:
            self.captured.append(raw)
        if trains and self.records:
            rows = ops.concatenate([_float32(ops.stop_gradient(raw)), self.recent.value])
            self.recent.assign(rows[:_RECENT_ROWS])
        added = [term for term in self.terms if not term.relative]
        pulling = [term for term in self.terms if term.relative and term.weight] if trains and self.trainable else []
        if added or pulling:
            if added and not _backend.replicas().separates_added_losses:
                raise ValueError(
                    f"{type(self).__name__}: terms with relative=False can't be added to the loss of several replicas "
                    f"on TensorFlow, where Keras would count them once for each. Received: {added}. Use one device, "
                    f"or relative=True."
                )
            values = self.losses_of(raw, point, [*added, *pulling])
            for term in added:
                self.add_loss(term.weight * values[term.name])
            if pulling:
                point = pull(point, sum(term.weight * values[term.name] for term in pulling))
        code = self.space.code(point)
        return (code, point) if return_point else code

    def losses_of(self, raw: Tensor, point: Tensor, terms: Sequence[Term] | None = None) -> dict[str, Tensor]:
        """The values of the terms by name, scalar tensors, not weighted."""
        terms = self.terms if terms is None else terms
        if self.gather and terms:
            same = raw is point
            point = distribution.gather(point)
            raw = point if same else distribution.gather(raw)
        parts = {name: self.space.part(name, raw, point) for name in {term.reads for term in terms}}
        return {term.name: _float32(term.loss(parts[term.reads])) for term in terms}

    def measure(self, raw: Any) -> dict[str, float]:
        """The terms and the statistics of raw values by name, floats. A statistic of several values is the largest."""
        raw = ops.convert_to_tensor(raw, dtype="float32")
        point = self.space.point(raw)
        terms = {name: float(value) for name, value in self.losses_of(raw, point).items()}
        statistics = self.space.statistics(np.asarray(ops.convert_to_numpy(point), dtype="float64"))
        return {**terms, **{name: statistic.largest for name, statistic in statistics.items()}}

    def recent_raw(self) -> np.ndarray:
        """The raw values of the most recent training samples, at most 512 rows; none without a logger."""
        rows = ops.convert_to_numpy(self.recent)
        return rows[np.any(rows != 0, axis=1)]

    def save_own_variables(self, store):
        """Saves nothing: recent points belong to a run, and files of one set of losses load into another."""

    def load_own_variables(self, store):
        """Loads nothing: see `save_own_variables`."""

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "space": keras.saving.serialize_keras_object(self.space),
            "losses": [keras.saving.serialize_keras_object(term) for term in self.terms],
            "gather": self.gather,
        }

    @classmethod
    def from_config(cls, config):
        """Returns the layer that `get_config` describes."""
        config = dict(config)
        for key in ("space", "losses"):
            if key in config:
                config[key] = keras.saving.deserialize_keras_object(config[key])
        return cls(**config)


def _resolved_terms(owner: str, space: Space, losses: Any, weights: Mapping[str, Any]) -> list[Term]:
    """The terms that a preset's name or a list of losses stands for, with the weights that were given."""
    if isinstance(losses, str):
        _checks.option(owner, "losses", losses, dict.fromkeys([*space.presets, "none"]))
        losses = [] if losses == "none" else space.terms(losses)
    elif isinstance(losses, (LatentLoss, Term)):
        raise TypeError(f"{owner}: `losses` must be a list of losses. Received a single one: use losses=[loss].")
    terms = []
    for loss in losses:
        if not isinstance(loss, (LatentLoss, Term)):
            raise TypeError(
                f"{owner}: `losses` must be a name or hold Term or LatentLoss objects such as SpringLoss(). "
                f"Received: {loss!r}. Derive a loss of your own from torusae.LatentLoss."
            )
        term = loss if isinstance(loss, Term) else Term(loss)
        _checks.option(f"{owner}, term {term.name!r}", "reads", term.reads, ("raw", "point", *space.parts))
        terms.append(term)
    names = [term.name for term in terms]
    if len(set(names)) < len(names):
        raise ValueError(f"{owner}: `losses` must have different names. Received: {names}. Use Term(loss, name=...).")
    for name in weights:
        _checks.option(owner, "loss_weights", name, names)
    return [
        term.replaced(weight=_checks.positive_float(owner, f"loss_weights[{term.name!r}]", weights[term.name], True))
        if term.name in weights
        else term
        for term in terms
    ]


@keras.saving.register_keras_serializable(package="torusae")
class TorusLatent(Latent):
    """A torus in any Keras model: features become angles that are spread evenly, with no change to `fit`.

    A linear map makes `dim` points in the plane. Losses spread their angles and hold their radii near 1. The decoder
    reads the coordinates of the points, all x values first, then all y values. Angles are in radians: read them with
    `Polar` or `to_polar`.

    Args:
        dim: Integer, at least 1, the number of circles.
        losses: As in `Latent`. Defaults to `None`, the preset `"uniform"`.
        loss_weights: As in `Latent`. Defaults to `None`.
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

    def __init__(self, dim: int, losses=None, loss_weights=None, gather=True, **kwargs):
        super().__init__(Torus(dim), losses, loss_weights, gather, **kwargs)
        self.dim = int(dim)

    def get_config(self):
        """Returns the constructor's arguments."""
        config = super().get_config()
        del config["space"]
        return {**config, "dim": self.dim}
