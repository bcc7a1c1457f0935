"""Layers that put a latent space into any Keras model."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from torusae._internal import checks, replicas
from torusae._internal.checks import Tensor
from torusae._internal.keras_repairs import in_train_step
from torusae._internal.tensors import as_float32
from torusae.diagnostics import prior_statistics
from torusae.layers.balance import Balance
from torusae.layers.closed_form import closed_gradient
from torusae.layers.periodic import Float32Layer
from torusae.layers.recent import RecentRows
from torusae.losses import LatentLoss
from torusae.spaces import Space, Term, Torus, parse


@keras.saving.register_keras_serializable(package="torusae")
class Latent(Float32Layer):
    """A latent space as a layer: a linear map from features to points, and the losses that shape them.

    Put it between any encoder and decoder. In training, the gradient of the terms is added at the points, balanced with
    that of the model:

    - With `p`, the gradient of `Σ weight · L` at the points, `G · p / max(1, |p| / max_ratio)` is added. `G` is the
      size of the gradient that arrives at the points from the rest of the model: the root mean square, over the
      samples, of each sample's own gradient; `|p|` is the size of `p`. So weights are relative and suit any loss and
      any scale of data, and what is added is at most `max_ratio` times as large as the model's own gradient.
    - Nothing is added to the model's loss: `loss` and `val_loss` are the model's own.
    - In `predict`, `evaluate`, exported graphs and a plain call, the layer is only its linear map and the space.
    - A frozen layer (`trainable = False`) adds none.

    The losses are statistics of a batch: use batches of 64 or more. They read masked rows too, and end a mask.
    `LatentLogger` logs the terms and the statistics.

    Args:
        space: A `Space`, for example `Torus(3)`, or a text such as `"T2 x R4"`: see `spaces.parse`.
        losses: The name of a preset of the space, or a sequence of `Term` and `LatentLoss` objects. `"none"` means no
            loss. Defaults to `None`, the first preset of the space.
        loss_weights: Dict from a term's name to its weight, a float. Others keep their own. Defaults to `None`.
        max_ratio: Positive float, the largest size of the added gradient, relative to `G`. A larger one gives more
            uniform points and a larger reconstruction error. Defaults to `1.0`.
        gather: Boolean, whether the losses see the rows of all replicas of a distributed run. Defaults to `True`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`; `dtype` is float32 by default under any policy).

    Call arguments:
        features: Float tensor `(batch, num_features)`.
        return_point: Boolean, whether the result is the pair `(decoder input, point)`. Defaults to `False`.

    Returns:
        What the decoder reads: a tensor `(batch, space.decoder_input_size)`, float32 (float64 with `dtype="float64"`).

    Raises:
        ValueError: If a name is unknown or occurs twice, a weight is negative, or the features are not of rank 2.

    Example:

    >>> import keras, torusae
    >>> model = keras.Sequential([keras.Input((5,)), torusae.Latent(torusae.Torus(2)), keras.layers.Dense(5)])
    >>> model.layers[0].output.shape
    (None, 4)
    """

    def __init__(
        self,
        space: Space | str,
        losses: str | Sequence[Term | LatentLoss] | None = None,
        loss_weights: Mapping[str, float] | None = None,
        max_ratio: float = 1.0,
        gather: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        owner = type(self).__name__
        if isinstance(space, str):
            space = parse(space)
        if not isinstance(space, Space):
            raise TypeError(f"{owner}: `space` must be a torusae Space such as Torus(3). Received: space={space!r}.")
        self.space = space
        self.max_ratio = checks.positive_float(owner, "max_ratio", max_ratio)
        self.gather = bool(gather)
        if loss_weights is not None and not isinstance(loss_weights, Mapping):
            raise TypeError(
                f"{owner}: `loss_weights` must be a dict from names to weights. Received: {loss_weights!r}."
            )
        self.terms = _resolved_terms(owner, space, space.presets[0] if losses is None else losses, loss_weights or {})
        self.balanced_terms = [term for term in self.terms if term.relative and term.weight]
        self.added_terms = [term for term in self.terms if not term.relative]
        self.projection = keras.layers.Dense(space.raw_size, name="raw", dtype=self.dtype_policy)
        self.seed_generator = keras.random.SeedGenerator() if space.is_stochastic else None
        self.recent = RecentRows(space.raw_size)
        self.num_initialized: int | None = None  # angles that began at circles; `None` before a first `fit`, or unknown

    def build(self, features_shape):
        if len(features_shape) != 2 or features_shape[1] is None:
            raise ValueError(
                f"{type(self).__name__}: features must have shape (batch, num_features), with a known num_features. "
                f"Received: shape={tuple(features_shape)}. Put keras.layers.Flatten() before this layer."
            )
        self.projection.build(features_shape)
        self.input_spec = keras.InputSpec(ndim=2, axes={-1: features_shape[1]})

    def call(self, features, training=None, return_point=False):
        trains = training or (training is None and in_train_step())
        raw = self.projection(features)
        if self.projection.compute_dtype in ("float16", "bfloat16"):
            raw = ops.cast(raw, "float32")
        if self.recent.collected is not None:
            self.recent.collected.append(raw)
        if trains and self.recent.is_attached:
            self.recent.add(raw)
        seed = self.seed_generator if trains else None
        if trains and self.trainable and self.balanced_terms and raw.shape[0] != 0:
            point = self._balanced_point(raw, seed, self.balanced_terms)
        else:
            point = self.space.point(raw, seed)
        if self.added_terms:
            self._add_losses(raw, point, self.added_terms)
        decoder_input = self.space.decoder_input(point)
        return (decoder_input, point) if return_point else decoder_input

    def compute_output_shape(self, features_shape):
        return (features_shape[0], self.space.decoder_input_size)

    def _balanced_point(self, raw, seed, terms):
        """The points, tied to the gradient of the terms."""
        together = replicas.current()
        balance = Balance(self.max_ratio, together)
        alone = not self.gather or together.size == 1
        p = closed_gradient(self.space, ops.stop_gradient(raw), terms) if alone else None
        if p is not None:
            return balance.add(raw, p)
        raw, raw_read = balance.fork(raw)
        point = self.space.point(raw, seed)
        point, point_read = (point, raw_read) if point is raw else balance.fork(point)
        values = self.losses_of(raw_read, point_read, terms)
        return balance.join(point, sum(term.weight * values[term.name] for term in terms))

    def _add_losses(self, raw, point, terms):
        """Adds terms to the loss of the model."""
        if not replicas.current().separates_added_losses:
            raise ValueError(
                f"{type(self).__name__}: terms with relative=False can't be added to the loss of several replicas on "
                f"TensorFlow, where Keras would count them once for each. Received: {terms}. Use one device, or "
                f"relative=True."
            )
        for term, value in zip(terms, self.losses_of(raw, point, terms).values(), strict=True):
            self.add_loss(term.weight * value)

    def losses_of(self, raw: Tensor, point: Tensor, terms: Sequence[Term] | None = None) -> dict[str, Tensor]:
        """The values of the terms by name, scalar tensors, not weighted."""
        terms = self.terms if terms is None else terms
        if self.gather and terms:
            same = raw is point
            together = replicas.current()
            point = together.gather(point)
            raw = point if same else together.gather(raw)
        views = {name: self.space.view(name, raw, point) for name in {term.reads for term in terms}}
        return {term.name: as_float32(term.loss(views[term.reads])) for term in terms}

    def measure(self, raw: Any) -> dict[str, float]:
        """The terms and the statistics of raw values by name, floats. A statistic of several values is the largest.

        All are NaN where a raw value is not finite, as in a training that diverged.
        """
        if not np.isfinite(raw).all():
            return dict.fromkeys(self.measure(np.ones_like(raw)), float("nan"))
        raw = ops.convert_to_tensor(raw, dtype="float32")
        point = self.space.point(raw)
        terms = {name: float(value) for name, value in self.losses_of(raw, point).items()}
        statistics = prior_statistics(self.space, np.asarray(ops.convert_to_numpy(point), dtype="float64"))
        return {**terms, **{name: statistic.largest for name, statistic in statistics.items()}}

    def get_config(self):
        """Returns the constructor's arguments, and the policy of a linear map that was quantized."""
        config = {
            **super().get_config(),
            "space": keras.saving.serialize_keras_object(self.space),
            "losses": [keras.saving.serialize_keras_object(term) for term in self.terms],
            "max_ratio": self.max_ratio,
            "gather": self.gather,
        }
        if self.projection.quantization_mode:
            config["quantized"] = keras.dtype_policies.serialize(self.projection.dtype_policy)
        return config

    @classmethod
    def from_config(cls, config):
        config = {name: keras.saving.deserialize_keras_object(value) for name, value in config.items()}
        quantized = config.pop("quantized", None)
        layer = cls(**config)
        if quantized:
            layer.projection.dtype_policy = quantized
        return layer


def _resolved_terms(owner: str, space: Space, losses: Any, weights: Mapping[str, Any]) -> list[Term]:
    """The terms that a preset's name or a list of losses stands for, with the weights that were given."""
    if isinstance(losses, str):
        checks.option(owner, "losses", losses, dict.fromkeys([*space.presets, "none"]))
        losses = [] if losses == "none" else space.terms(losses)
    elif isinstance(losses, (LatentLoss, Term)):
        raise TypeError(f"{owner}: `losses` must be a list of losses. Received a single one: use losses=[loss].")
    elif not isinstance(losses, (list, tuple)):
        raise TypeError(f"{owner}: `losses` must be a name or a list of losses. Received: losses={losses!r}.")
    terms = []
    for loss in losses:
        if not isinstance(loss, (LatentLoss, Term)):
            raise TypeError(
                f"{owner}: `losses` must be a name or hold Term or LatentLoss objects such as SpringLoss(). "
                f"Received: {loss!r}. Derive a loss of your own from torusae.LatentLoss."
            )
        term = loss if isinstance(loss, Term) else Term(loss)
        checks.option(f"{owner}, term {term.name!r}", "reads", term.reads, ("raw", "point", *space.views))
        terms.append(term)
    names = [term.name for term in terms]
    if len(set(names)) < len(names):
        raise ValueError(f"{owner}: `losses` must have different names. Received: {names}. Use Term(loss, name=...).")
    for name in weights:
        checks.option(owner, "loss_weights", name, names)
    return [
        term.replaced(weight=checks.positive_float(owner, f"loss_weights[{term.name!r}]", weights[term.name], True))
        if term.name in weights
        else term
        for term in terms
    ]


@keras.saving.register_keras_serializable(package="torusae")
class TorusLatent(Latent):
    """A torus in any Keras model: features become angles that are spread evenly, with no change to `fit`.

    A linear map makes `dim` points in the plane. Losses spread their angles and hold their radii near 1. The decoder
    reads the coordinates of the points, all x values first, then all y values. `Polar` and `to_polar` read angles, in
    radians.

    Args:
        dim: Integer, the number of circles.
        losses: As in `Latent`. Defaults to `None`, the preset `"uniform"`.
        loss_weights: As in `Latent`. Defaults to `None`.
        max_ratio: As in `Latent`. Defaults to `1.0`.
        gather: As in `Latent`. Defaults to `True`.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`; `dtype` is float32 by default under any policy).

    Call arguments:
        features: Float tensor `(batch, num_features)`.

    Returns:
        Points, a float32 tensor `(batch, 2 * dim)`.

    Example:

    >>> import keras, torusae
    >>> model = keras.Sequential([keras.Input((50,)), torusae.TorusLatent(3), keras.layers.Dense(50)])
    >>> model.layers[0].output.shape
    (None, 6)

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, section 2.
    """

    def __init__(self, dim: int, losses=None, loss_weights=None, max_ratio=1.0, gather=True, **kwargs):
        super().__init__(Torus(dim), losses, loss_weights, max_ratio, gather, **kwargs)
        self.dim = int(dim)

    def get_config(self):
        config = super().get_config()
        del config["space"]
        return {**config, "dim": self.dim}
