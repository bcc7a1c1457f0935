"""Heads: small networks that predict labels from the coordinates of a latent space."""

import abc
import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from torusae._internal import checks, units
from torusae._internal.checks import Tensor
from torusae.angles import angle_difference, to_polar, to_radians, wrap_angles
from torusae.losses.angular import angular_loss

_TURN = 2 * math.pi
_OTHER_WORDS = {"number": "regression", "angle": "circular_regression", "circular": "circular_regression"}


class Task(abc.ABC):
    """What the labels of a task are, and how outputs are compared with them. A new one goes into `TASKS`.

    Args:
        num_columns: Integer, the number of classes, or of label columns.
        period: Float, the period of the labels, or `None`.
    """

    score_name = "error"
    missing_label = "NaN"
    takes_period = False
    least_columns = 1

    def __init__(self, num_columns: int, period: float | None):
        self.num_columns = self.num_outputs = self.num_labels = num_columns
        self.period = period

    @abc.abstractmethod
    def predictions(self, outputs: Tensor) -> Tensor:
        """What a user reads, from the outputs of the network, `(batch, num_columns)`."""

    @abc.abstractmethod
    def compare(self, labels: Tensor, outputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The loss, the score, and whether there is a label, of each sample, `(batch,)`."""

    def check(self, labels: np.ndarray, num: int, owner: str, name: str) -> None:
        """Checks all labels of a data set, on the host."""
        labels = checks.label_numbers(owner, name, labels, num, self.num_labels)
        if self.takes_period:
            units.check_radians(owner, name, labels, "Head('circular_regression', ", self.period)


class Classification(Task):
    """Integer classes, -1 is missing; the cross-entropy."""

    score_name = "accuracy"
    missing_label = "-1"
    least_columns = 2

    def __init__(self, num_columns, period):
        super().__init__(num_columns, period)
        self.num_labels = 1

    def predictions(self, outputs):
        return ops.softmax(outputs, axis=-1)

    def compare(self, labels, outputs):
        if "int" not in str(labels.dtype):
            raise TypeError(
                f"Head: labels of the task 'classification' must be integers. Received: dtype={labels.dtype}. "
                f"Use labels.astype('int32')."
            )
        labels = ops.cast(ops.reshape(labels, (-1,)), "int32")
        labelled = labels >= 0
        labels = ops.where(labelled, labels, 0)
        # From logits: cross-entropy of float32 probabilities has no gradient for a confident mistake.
        losses = keras.losses.sparse_categorical_crossentropy(labels, outputs, from_logits=True)
        return losses, ops.cast(ops.argmax(outputs, axis=-1), "int32") == labels, labelled

    def check(self, labels, num, owner, name):
        if labels.dtype.kind not in "iu" or labels.shape not in ((num,), (num, 1)):
            fix = "For one-hot rows use labels.argmax(-1)." if labels.ndim > 1 else "Use labels.astype('int32')."
            raise ValueError(
                f"{owner}: {name} must be integer classes of shape ({num},), -1 where missing. "
                f"Received: shape={labels.shape}, dtype={labels.dtype}. {fix}"
            )
        if labels.size and not -1 <= labels.min() <= labels.max() < self.num_columns:
            raise ValueError(
                f"{owner}: {name} must hold classes 0 to {self.num_columns - 1}, or -1 where missing. "
                f"Received: values from {labels.min()} to {labels.max()}. A head for more classes is "
                f"Head('classification', num_outputs)."
            )


class Regression(Task):
    """Real numbers; the squared error."""

    def predictions(self, outputs):
        return outputs

    def compare(self, labels, outputs):
        labels, labelled = known_rows(labels, self.num_columns)
        errors = labels - outputs
        return ops.mean(errors * errors, axis=-1), ops.mean(ops.abs(errors), axis=-1), labelled


class CircularRegression(Regression):
    """Periodic numbers, each output as a point in the plane; `1 - cos` of the error."""

    takes_period = True

    def __init__(self, num_columns, period):
        super().__init__(num_columns, period)
        self.num_outputs = 2 * num_columns  # a point for each angle: on both sides of the seam outputs are close

    def predictions(self, outputs):
        angles = to_polar(outputs)[1]
        return angles if self.period is None else wrap_angles(angles * (self.period / _TURN), self.period)

    def compare(self, labels, outputs):
        labels, labelled = known_rows(labels, self.num_columns)
        return *circular_errors(labels, to_polar(outputs)[1], self.period), labelled


TASKS: dict[str, type[Task]] = {
    "classification": Classification,
    "regression": Regression,
    "circular_regression": CircularRegression,
}


def known_rows(labels: Tensor, num_columns: int) -> tuple[Tensor, Tensor]:
    """Labels as float32 `(rows, num_columns)`, zeros in rows where one is NaN, and which rows have all of theirs."""
    labels = ops.reshape(ops.cast(labels, "float32"), (-1, num_columns))
    known = ops.logical_not(ops.any(ops.isnan(labels), axis=-1))
    return ops.where(known[:, None], labels, 0.0), known


def circular_errors(targets: Tensor, angles: Tensor, period: float | None) -> tuple[Tensor, Tensor]:
    """`1 - cos` of the errors of angles, and the sizes of the errors, means over the columns, `(rows,)`.

    Angles are in radians; targets and sizes in the unit of the period, radians with `None`.
    """
    period = period or _TURN
    targets = to_radians(targets, period)
    arcs = ops.mean(ops.abs(angle_difference(targets, angles)), axis=-1)
    return angular_loss(targets, angles), (period / _TURN) * arcs


def known_means(
    losses: Tensor, scores: Tensor, known: Tensor, weights: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The mean loss and the mean score over known rows, 0 without any, and how many these are: three scalars.

    Args:
        losses: `(rows,)`.
        scores: `(rows,)`.
        known: `(rows,)`, which rows count.
        weights: Weights of the losses, `(rows,)`; their sum is still divided by the number of rows. Defaults to `None`.
    """
    known = ops.cast(known, "float32")
    count = ops.sum(known)
    least = ops.maximum(count, 1.0)
    weighted = known if weights is None else known * ops.cast(ops.reshape(weights, (-1,)), "float32")
    return ops.sum(weighted * losses) / least, ops.sum(known * ops.cast(scores, "float32")) / least, count


@keras.saving.register_keras_serializable(package="torusae")
class Head(keras.layers.Layer):
    """Predicts labels from the coordinates of a latent space; its loss shapes these coordinates.

    It is the paper's classifier: three dense layers with cross-entropy. It reads what `space.head_input` returns. For a
    torus that is the cosine and sine of each angle, so the head has no seam at ±π.

    - `"classification"`: labels are integers `0..num_outputs - 1`, -1 is missing; the loss is the cross-entropy.
    - `"regression"`: real numbers, NaN is missing; the squared error, mean over the columns.
    - `"circular_regression"`: periodic numbers, for example hours with `period=24`, NaN is missing; `1 - cos` of the
      error.

    Args:
        task: `"classification"`, `"regression"` or `"circular_regression"`.
        num_outputs: Integer, the number of classes, or of label columns. Defaults to `1`.
        weight: Float, not negative, weight of the loss in the model. Defaults to `1.0`.
        units: Sequence of integers, units of each hidden layer. Defaults to `(64, 64)`.
        period: Positive float, the period of circular labels: `24` for hours, `360` for degrees. A label means its
            value modulo the period. Defaults to `None`, 2π: radians.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`).

    Call arguments:
        inputs: Float tensor `(batch, head_input_size)`, what `space.head_input` returns.

    Returns:
        Raw outputs, a float32 tensor: logits or numbers `(batch, num_outputs)`, or for angles points in the plane
        `(batch, 2 * num_outputs)`, all x values first, then all y values. `predictions` turns them into probabilities,
        numbers and angles.

    Raises:
        ValueError: If `task` is unknown, a number is out of range, or a task without circles has a `period`.

    Example:

    >>> import keras, torusae
    >>> head = torusae.Head("classification", 10)
    >>> logits = head(keras.ops.zeros((2, 6)))
    >>> keras.ops.convert_to_numpy(head.predictions(logits)).shape
    (2, 10)

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286, section 2.3, has the classifier. Both regressions are torusae choices.
    """

    def __init__(
        self,
        task: str,
        num_outputs: int = 1,
        weight: float = 1.0,
        units: Sequence[int] = (64, 64),
        period: float | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.task = checks.option("Head", "task", task, TASKS, _OTHER_WORDS)
        kind = TASKS[self.task]
        self.num_outputs = checks.positive_int("Head", "num_outputs", num_outputs, least=kind.least_columns)
        self.weight = checks.positive_float("Head", "weight", weight, zero_allowed=True)
        self.units = checks.positive_ints("Head", "units", units)
        if period is not None and not kind.takes_period:
            raise ValueError(
                f"Head: `period` is for the task 'circular_regression' alone. Received: task={task!r}, "
                f"period={period!r}. Use Head('circular_regression', period={period!r}) for periodic labels."
            )
        self.period = None if period is None else checks.period("Head", period)
        self.labels = kind(self.num_outputs, self.period)
        self.hidden = [keras.layers.Dense(size, activation="relu", dtype=self.dtype_policy) for size in self.units]
        self.output_layer = keras.layers.Dense(self.labels.num_outputs, dtype="float32")

    @property
    def score_name(self) -> str:
        """The name of the score, `"accuracy"` or `"error"`, the mean absolute error in units of the labels."""
        return self.labels.score_name

    @property
    def missing_label(self) -> str:
        """The value that marks a missing label, `"-1"` or `"NaN"`, as text for messages."""
        return self.labels.missing_label

    def build(self, inputs_shape):
        if len(inputs_shape) != 2 or inputs_shape[1] is None:
            raise ValueError(
                f"Head: inputs must have shape (batch, head_input_size), with a known head_input_size. "
                f"Received: shape={tuple(inputs_shape)}. For a single sample use inputs[None, :]."
            )
        shape = inputs_shape
        for layer in (*self.hidden, self.output_layer):
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        self.input_spec = keras.InputSpec(ndim=2, axes={-1: inputs_shape[1]})

    def call(self, inputs):
        x = inputs
        for layer in self.hidden:
            x = layer(x)
        return self.output_layer(x)

    def compute_output_shape(self, inputs_shape):
        return (inputs_shape[0], self.output_layer.units)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), "float32")  # under any policy

    def predictions(self, outputs: Tensor) -> Tensor:
        """Probabilities, numbers or angles from raw outputs, `(batch, num_outputs)`.

        Angles are in units of the period, `[-period / 2, period / 2)`.
        """
        return self.labels.predictions(outputs)

    def loss_and_score(
        self, labels: Tensor, outputs: Tensor, sample_weight: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The mean loss and the mean score over the samples that have labels, and how many these are.

        Args:
            labels: `(batch,)` or `(batch, num_outputs)`; `(batch,)` or `(batch, 1)` for classes.
            outputs: What the head returned.
            sample_weight: Float tensor `(batch,)`, or `None`. Defaults to `None`.

        Returns:
            Three scalar tensors: the sum of weighted losses divided by the number of labelled samples; the share of
            right classes, otherwise the mean absolute error in units of the labels; the number of labelled samples.
            Without any, all are 0.

        Raises:
            TypeError: If classes are no integers.
            ValueError: If labels are of another shape.
        """
        columns = self.labels.num_labels
        if tuple(labels.shape[1:]) not in [(columns,), *([()] if columns == 1 else [])]:
            layout = "(batch,)" if columns == 1 else f"(batch, {columns})"
            raise ValueError(
                f"Head: labels of the task {self.task!r} must have shape {layout}. "
                f"Received: shape={tuple(labels.shape)}. "
                + (
                    "For one-hot rows use labels.argmax(-1)."
                    if self.task == "classification"
                    else "Reshape them first."
                )
            )
        return known_means(*self.labels.compare(labels, ops.cast(outputs, "float32")), sample_weight)

    def check_labels(self, labels: Any, num_samples: int, owner: str, name: str) -> None:
        """Checks all labels of a data set before training, on the host.

        Messages name `owner`, the function that was called, and `name`, its argument, such as `"y['digit']"`.

        Raises:
            ValueError: If labels are of another number, shape or type, or hold classes out of range or infinity.

        Warns where circular labels without a `period` look like hours or degrees.
        """
        self.labels.check(checks.numpy_array(owner, name, labels, numbers=False), num_samples, owner, name)

    def get_config(self):
        """Returns the constructor's arguments, and the policies of dense layers that were quantized."""
        config = {
            **super().get_config(),
            "task": self.task,
            "num_outputs": self.num_outputs,
            "weight": self.weight,
            "units": list(self.units),
            "period": self.period,
        }
        layers = (*self.hidden, self.output_layer)
        if any(layer.quantization_mode for layer in layers):
            config["quantized"] = [keras.dtype_policies.serialize(layer.dtype_policy) for layer in layers]
        return config

    @classmethod
    def from_config(cls, config):
        quantized = config.get("quantized", ())
        head = cls(**{name: value for name, value in config.items() if name != "quantized"})
        for layer, policy in zip((*head.hidden, head.output_layer), quantized, strict=False):
            layer.dtype_policy = keras.dtype_policies.deserialize(policy)
        return head
