"""Heads: small networks that predict labels from the coordinates of a latent space."""

import math
import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from torusae._internal import checks
from torusae._internal.checks import Tensor
from torusae.angles import angle_difference, to_polar, to_radians, wrap_angles
from torusae.losses.angular import angular_loss

_TASKS = ("classification", "regression", "circular_regression")
_OTHER_WORDS = {"number": "regression", "angle": "circular_regression", "circular": "circular_regression"}
_TURN = 2 * math.pi


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
        self.task = checks.option("Head", "task", task, _TASKS, _OTHER_WORDS)
        self.num_outputs = checks.positive_int(
            "Head", "num_outputs", num_outputs, least=2 if task == "classification" else 1
        )
        self.weight = checks.positive_float("Head", "weight", weight, zero_allowed=True)
        self.units = checks.positive_ints("Head", "units", units)
        if period is not None and task != "circular_regression":
            raise ValueError(
                f"Head: `period` is for the task 'circular_regression' alone. Received: task={task!r}, "
                f"period={period!r}. Use Head('circular_regression', period={period!r}) for periodic labels."
            )
        self.period = None if period is None else checks.period("Head", period)
        self.hidden = [keras.layers.Dense(size, activation="relu", dtype=self.dtype_policy) for size in self.units]
        # A point in the plane for each angle: angles on both sides of the seam are close outputs.
        size = 2 * self.num_outputs if task == "circular_regression" else self.num_outputs
        self.output_layer = keras.layers.Dense(size, dtype="float32")
        self._has_warned = False

    @property
    def score_name(self) -> str:
        """The name of the score, `"accuracy"` or `"error"`, the mean absolute error in units of the labels."""
        return "accuracy" if self.task == "classification" else "error"

    @property
    def missing_label(self) -> str:
        """The value that marks a missing label, `"-1"` or `"NaN"`, as text for messages."""
        return "-1" if self.task == "classification" else "NaN"

    def build(self, inputs_shape):
        if len(inputs_shape) != 2:
            raise ValueError(
                f"Head: inputs must have shape (batch, head_input_size). Received: shape={tuple(inputs_shape)}. "
                f"For a single sample use inputs[None, :]."
            )
        shape = inputs_shape
        for layer in (*self.hidden, self.output_layer):
            layer.build(shape)
            shape = layer.compute_output_shape(shape)

    def call(self, inputs):
        x = inputs
        for layer in self.hidden:
            x = layer(x)
        return self.output_layer(x)

    def compute_output_shape(self, inputs_shape):
        return (inputs_shape[0], self.output_layer.units)

    def predictions(self, outputs: Tensor) -> Tensor:
        """Probabilities, numbers or angles from raw outputs, `(batch, num_outputs)`.

        Angles are in units of the period, `[-period / 2, period / 2)`.
        """
        if self.task == "classification":
            return ops.softmax(outputs, axis=-1)
        if self.task == "regression":
            return outputs
        angles = to_polar(outputs)[1]
        return angles if self.period is None else wrap_angles(angles * (self.period / _TURN), self.period)

    def loss_and_score(
        self, labels: Tensor, outputs: Tensor, sample_weight: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The mean loss over the samples that have labels, the score of each sample, and a mask of labelled samples.

        Args:
            labels: `(batch,)` or `(batch, num_outputs)`; `(batch,)` or `(batch, 1)` for classes.
            outputs: What the head returned.
            sample_weight: Float tensor `(batch,)`, or `None`. Defaults to `None`.

        Returns:
            Three tensors: a scalar, the sum of weighted losses divided by the number of labelled samples, or 0 without
            any; scores `(batch,)`, 1 for a right class, otherwise the mean absolute error in units of the labels; the
            mask `(batch,)`, 1.0 where there is a label and 0.0 where it is missing.

        Raises:
            ValueError: If labels are of another shape.
        """
        _check_columns(self, labels)
        outputs = ops.cast(outputs, "float32")
        losses, scores, labelled = self._losses_of_task()(labels, outputs)
        mask = ops.cast(labelled, "float32")
        weights = mask if sample_weight is None else mask * ops.cast(ops.reshape(sample_weight, (-1,)), "float32")
        loss = ops.sum(weights * losses) / ops.maximum(ops.sum(mask), 1.0)
        return loss, ops.cast(scores, "float32"), mask

    def _losses_of_task(self):
        """The function from labels and raw outputs to losses, scores and whether there is a label, each `(batch,)`."""
        losses = {
            "classification": self._classes_losses,
            "regression": self._number_losses,
            "circular_regression": self._angle_losses,
        }
        return losses[self.task]

    def _classes_losses(self, labels, logits):
        labels = ops.cast(ops.reshape(labels, (-1,)), "int32")
        labelled = labels >= 0
        labels = ops.where(labelled, labels, 0)
        # From logits: cross-entropy of float32 probabilities has no gradient for a confident mistake.
        losses = keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
        return losses, ops.cast(ops.argmax(logits, axis=-1), "int32") == labels, labelled

    def _number_losses(self, labels, numbers):
        labels, labelled = self._without_nan(labels)
        errors = labels - numbers
        return ops.mean(errors * errors, axis=-1), ops.mean(ops.abs(errors), axis=-1), labelled

    def _angle_losses(self, labels, points):
        labels, labelled = self._without_nan(labels)
        period = self.period or _TURN
        labels = to_radians(labels, period)
        angles = to_polar(points)[1]
        scores = (period / _TURN) * ops.mean(ops.abs(angle_difference(labels, angles)), axis=-1)
        return angular_loss(labels, angles), scores, labelled

    def _without_nan(self, labels):
        """Labels `(batch, num_outputs)` with zeros for missing ones, and which samples have all of theirs."""
        labels = ops.reshape(ops.cast(labels, "float32"), (-1, self.num_outputs))
        labelled = ops.logical_not(ops.any(ops.isnan(labels), axis=-1))
        return ops.where(labelled[:, None], labels, 0.0), labelled

    def check_labels(self, labels: Any, num_samples: int, owner: str, name: str) -> None:
        """Checks all labels of a data set before training, on the host.

        Warns once for a head for angles without a `period` if its labels look like hours or degrees.

        Messages name `owner`, the function that was called, and `name`, its argument, such as `"y['digit']"`.

        Raises:
            ValueError: If labels are of another number, shape or type, or hold classes out of range or infinity.
        """
        labels = checks.host_array(labels)
        if labels.ndim == 0 or len(labels) != num_samples:
            raise ValueError(
                f"{owner}: {name} must hold {num_samples} labels, one per sample. Received: shape={labels.shape}. "
                f"Give every sample a label, {self.missing_label} where it is missing."
            )
        if self.task == "classification":
            _check_classes(self, labels, num_samples, owner, name)
        else:
            _check_numbers(self, labels, num_samples, owner, name)
        if self.task == "circular_regression" and self.period is None:
            self._warn_of_other_units(labels, owner, name)

    def _warn_of_other_units(self, labels, owner, name):
        known = labels[~np.isnan(labels)]
        if self._has_warned or not known.size or max(np.abs(known).max(), np.ptp(known)) <= 2 * _TURN:
            return
        self._has_warned = True
        warnings.warn(
            f"{owner}: {name} should hold radians, the default unit of a head for angles. "
            f"Received: values from {known.min():g} to {known.max():g}, beyond two turns. For hours use "
            f"Head('circular_regression', period=24), for degrees period=360. For radians, period=2 * math.pi stops "
            f"this warning.",
            UserWarning,
            stacklevel=3,
        )

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


def _check_columns(head, labels):
    """Checks shape and type of a batch of labels."""
    num_columns = 1 if head.task == "classification" else head.num_outputs
    columns = tuple(labels.shape[1:])
    if columns != (num_columns,) and not (columns == () and num_columns == 1):
        layout = "(batch,)" if num_columns == 1 else f"(batch, {num_columns})"
        raise ValueError(
            f"Head: labels of the task {head.task!r} must have shape {layout}. "
            f"Received: shape={tuple(labels.shape)}. "
            + ("For one-hot rows use labels.argmax(-1)." if head.task == "classification" else "Reshape them first.")
        )
    if head.task == "classification" and "int" not in str(labels.dtype):
        raise TypeError(
            f"Head: labels of the task 'classification' must be integers. Received: dtype={labels.dtype}. "
            f"Use labels.astype('int32')."
        )


def _check_classes(head, labels, num_samples, owner, name):
    """Checks the class labels of a data set."""
    if labels.dtype.kind not in "iu" or labels.size != num_samples:
        fix = "For one-hot rows use labels.argmax(-1)." if labels.ndim > 1 else "Use labels.astype('int32')."
        raise ValueError(
            f"{owner}: {name} must be integer classes of shape ({num_samples},). "
            f"Received: shape={labels.shape}, dtype={labels.dtype}. {fix}"
        )
    if labels.size and not -1 <= labels.min() <= labels.max() < head.num_outputs:
        raise ValueError(
            f"{owner}: {name} must hold classes 0 to {head.num_outputs - 1}, or -1 where missing. "
            f"Received: values from {labels.min()} to {labels.max()}. A head for more classes is "
            f"Head('classification', num_outputs)."
        )


def _check_numbers(head, labels, num_samples, owner, name):
    """Checks the number or angle labels of a data set."""
    if labels.dtype.kind not in "iuf" or labels.size != num_samples * head.num_outputs:
        raise ValueError(
            f"{owner}: {name} must be numbers of shape ({num_samples}, {head.num_outputs}). "
            f"Received: shape={labels.shape}, dtype={labels.dtype}. "
            f"A head for other columns is Head({head.task!r}, num_outputs)."
        )
    infinite = np.argwhere(np.isinf(labels))
    if len(infinite):
        raise ValueError(
            f"{owner}: {name} must be finite, or NaN where missing. "
            f"Received: infinity at position {tuple(int(i) for i in infinite[0])}. Replace it with NaN."
        )
