"""The loss of a batch: the reconstruction's, and those of heads and supervision relative to it."""

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import keras
from keras import ops

from torusae._internal.checks import Tensor
from torusae._internal.replicas import Replicas
from torusae._internal.tensors import as_float32, native_ops
from torusae.autoencoder.adapter import Rows
from torusae.layers import Head
from torusae.spaces import Space
from torusae.supervision import Supervision
from torusae.supervision.base import Step

RAW = "_outputs"
"""The ending of the names of a head's raw outputs, such as logits, among the outputs of a model."""


class Objective:
    """`R + |R| Σ w L`, with the reconstruction loss `R`, and the loss `L` and weight `w` of heads and supervision.

    The factor `|R|` is held constant for the gradient. Over several replicas it is the loss of all their rows.

    Args:
        reconstruction: Name, function or `keras.losses.Loss`.
        heads: Dict from a name to a `Head`.
        supervision: Dict from a name to a `Supervision`.
        space: The latent `Space`.
        seed: `keras.random.SeedGenerator` of the amounts of actions, or `None` without any.
    """

    def __init__(
        self,
        reconstruction: Any,
        heads: Mapping[str, Head],
        supervision: Mapping[str, Supervision],
        space: Space,
        seed: keras.random.SeedGenerator | None,
    ):
        self.argument = reconstruction
        loss = keras.losses.get(reconstruction)
        self.reconstruction = loss if isinstance(loss, keras.losses.Loss) else _FunctionLoss(loss)
        self.heads = heads
        self.supervision = supervision
        self.space = space
        self.seed = seed

        # The names of the loss and of the score of each part.
        self.scored = {name: (f"{name}_loss", f"{name}_{head.score_name}") for name, head in heads.items()}
        self.scored |= {name: (f"{name}_loss", f"{name}_error") for name in supervision}

    @property
    def weights(self) -> dict[str, float]:
        """The means that `__call__` returns by name, in their order, each with its weight `w` in the loss."""
        parts: list[Any] = [*self.heads.values(), *self.supervision.values()]
        weights = {"reconstruction": 0.0}
        for part, (loss, score) in zip(parts, self.scored.values(), strict=True):
            weights |= {loss: part.weight, score: 0.0}
        return weights

    def __call__(
        self,
        rows: Rows,
        outputs: Mapping[str, Tensor],
        encode: Callable[[Tensor], Tensor],
        fill: Callable[[Tensor], Tensor],
        together: Replicas,
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """The loss of a batch, a scalar, and the means that are logged with the number of rows behind each.

        Args:
            rows: The parts of the batch.
            outputs: The model's outputs by name.
            encode: Function from samples to their points, for pairs and for samples that were acted on.
            fill: Function from samples to samples without unknown cells, which can be acted on.
            together: The `Replicas` of the step.
        """
        size = ops.cast(ops.shape(outputs["point"])[0], "float32")
        target, weight = rows.targets["reconstruction"], rows.weight_of("reconstruction")
        output = outputs["reconstruction"]
        share = None
        if rows.known is not None:
            # Unknown cells are zero on both sides: without an error, and without a gradient.
            target, output = ops.where(rows.known, target, 0.0), ops.where(rows.known, output, 0.0)
            share = _known_share(rows.known, weight)
        reconstruction = together.unscaled(self._reconstruction(target, output, weight))
        if weight is not None and self.reconstruction.reduction == "mean_with_sample_weight":
            size = ops.sum(ops.cast(weight, "float32"))
        if share is not None:
            reconstruction, size = reconstruction / ops.maximum(share, 1e-12), size * share
        values, counts, losses, weights = [reconstruction], [size], [reconstruction], []
        step = Step(self.space, fill(rows.sample), outputs["point"], encode, self.seed, rows.scaling)
        parts: Mapping[str, Any] = {**self.heads, **self.supervision}
        for name, part in parts.items():
            if name in self.heads and name in rows.targets:
                found = part.loss_and_score(rows.targets[name], outputs[name + RAW], rows.weight_of(name))
            elif name in self.supervision and (name in rows.targets or not part.needs_data):
                found = part.loss_and_error(rows.targets.get(name), step)
            else:
                found = (ops.zeros(()),) * 3
            loss, score, count = found
            values += [loss, score]
            counts += [count, count]
            losses.append(loss)
            weights.append(part.weight)
        total, *means = together.weighted_means(losses, counts[:1] + counts[1::2])
        if means:
            relative = sum(map(operator.mul, weights, means))
            total = total + ops.abs(together.all_reduce_mean(total)) * relative
        return total, values, counts

    def _reconstruction(self, target: Tensor, output: Tensor, weight: Tensor | None) -> Tensor:
        """The reconstruction loss of a batch, a scalar tensor."""
        if weight is not None:
            # A loss of images has a value for each pixel, and Keras multiplies their last axis by the samples' weights.
            rank = len(self.reconstruction.call(target, output).shape)
            weight = ops.reshape(weight, (-1,) + (1,) * max(rank - 1, 0))
        return as_float32(self.reconstruction(target, output, weight))


def _known_share(known: Tensor, weight: Tensor | None) -> Tensor:
    """The share of a batch's cells that are known, a scalar tensor. Rows count by their weights."""
    # From the unknown ones, so that it is exactly 1 where all are known.
    unknown = 1.0 - ops.cast(known, "float32")
    if weight is None:
        return 1.0 - ops.mean(unknown)
    weight = ops.reshape(ops.cast(weight, "float32"), (-1,))
    rows = ops.mean(unknown, axis=tuple(range(1, len(known.shape))))
    return 1.0 - ops.sum(weight * rows) / ops.maximum(ops.sum(weight), 1e-12)


def cells(known: Tensor, target: Tensor, output: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """The cells of a batch as rows of their own, `(num, 1)` twice, and their weights: 0 where a cell is unknown."""
    weights = ops.cast(known, "float32")
    if weight is not None:
        weights = weights * ops.reshape(ops.cast(weight, "float32"), (-1,) + (1,) * (len(known.shape) - 1))
    target, output = (ops.reshape(ops.where(known, values, 0.0), (-1, 1)) for values in (target, output))
    return target, output, ops.reshape(weights, (-1,))


@keras.saving.register_keras_serializable(package="torusae")
class _FunctionLoss(keras.losses.Loss):
    """A loss function of the user's, averaged over the batch as Keras does."""

    def __init__(self, function):
        super().__init__(name="reconstruction")
        self.function = function

    def call(self, y_true, y_pred):
        return self.function(y_true, y_pred)


class Means(keras.metrics.Metric):
    """Weighted means by name, kept in one variable: one update a step in place of one for each name.

    `"loss"` is that of these means, `R + |R| Σ w L`: the mean of the batches' losses would depend on how samples that
    have no label are spread over the batches.
    """

    def __init__(self):
        super().__init__(name="means", dtype="float32")
        self.names: list[str] = []

    def configure(self, weights: dict[str, float]) -> None:
        """Has other names from now on, `"reconstruction"` first, with their weights in the loss."""
        changed, self.names = len(weights) + 1 != len(self.names), ["loss", *weights]
        self.weights = {name: weight for name, weight in weights.items() if weight}
        if changed:
            shape = (2 * len(self.names),)
            self.sums = self.add_variable(shape=shape, initializer="zeros", name="sums", aggregation="sum")

    def update_state(self, values, weights):
        """Adds one value and one weight for each name, two lists: first those of what was added to the loss."""
        self.sums.assign(self.sums.value + native_ops.stack([*map(operator.mul, values, weights), *weights]))

    def result(self):
        """Dict from each name to its mean, 0 where nothing was added."""
        sums = self.sums.value
        means = sums[: len(self.names)] / native_ops.clip(sums[len(self.names) :], 1e-12, math.inf)
        named = dict(zip(self.names, ops.unstack(means), strict=True))
        named["loss"] = named["loss"] + named["reconstruction"]
        if self.weights:
            relative = sum(map(operator.mul, self.weights.values(), map(named.__getitem__, self.weights)))
            named["loss"] = named["loss"] + abs(named["reconstruction"]) * relative
        return named
