"""Keras metrics of angles. They add up over batches, so their memory does not grow with the number of points."""

import math

import keras
import numpy as np
from keras import ops

from torusae._internal import checks
from torusae.angles import integer_vectors, wrap_angles
from torusae.metrics.circles import arc_counts, kuiper_of_counts


class _StreamedMetric(keras.metrics.Metric):
    """Base of metrics that keep one sum over points. Call `update_state(angles)` or `(y_true, y_pred)`."""

    def __init__(self, dim: int, shape: tuple[int, ...], name: str):
        super().__init__(name=name, dtype="float32")
        self.dim = dim
        self.total = self.add_variable(shape=shape, initializer="zeros", name="total", aggregation="sum")

    def update_state(self, y_true, y_pred=None, sample_weight=None):
        """Adds a batch of angles, `(batch, dim)`. Reads `y_pred` if it is given, `y_true` otherwise."""
        owner = type(self).__name__
        if sample_weight is not None:
            raise ValueError(
                f"{owner}: takes no `sample_weight`, because each point counts once. Received: sample_weight of type "
                f"{type(sample_weight).__name__}. Pass the metric in `metrics`, not in `weighted_metrics`."
            )
        angles = checks.float_tensor(owner, "angles", y_true if y_pred is None else y_pred, 2, "(batch, dim)")
        if angles.shape[1] != self.dim:
            raise ValueError(
                f"{owner}: angles must have {self.dim} columns. Received: shape={tuple(angles.shape)}. "
                f"Set `dim` to the number of circles."
            )
        self.total.assign(self.total + self.summed(angles))

    def summed(self, angles):
        """Returns the batch's contribution to the sum."""
        raise NotImplementedError

    def get_config(self):
        return {"name": self.name, "dim": self.dim}


@keras.saving.register_keras_serializable(package="torusae")
class KuiperStatistic(_StreamedMetric):
    """The largest Kuiper statistic of any circle over all batches since the last reset. See `kuiper_of_counts`.

    Args:
        dim: Integer, the number of circles.
        num_arcs: Integer, at least 2. Defaults to `64`.

    Example:

    >>> import keras, torusae
    >>> metric = torusae.metrics.KuiperStatistic(2)
    >>> metric.update_state(keras.ops.zeros((10, 2)))
    >>> round(float(metric.result()), 2)
    0.98
    """

    def __init__(self, dim: int, num_arcs: int = 64, name: str = "kuiper"):
        dim = checks.positive_int("KuiperStatistic", "dim", dim)
        self.num_arcs = checks.positive_int("KuiperStatistic", "num_arcs", num_arcs, least=2)
        super().__init__(dim, (dim, self.num_arcs), name)

    def summed(self, angles):
        return arc_counts(angles, self.num_arcs)

    def result(self):
        """The largest statistic, a scalar tensor."""
        return ops.max(kuiper_of_counts(self.total.value))

    def get_config(self):
        return {**super().get_config(), "num_arcs": self.num_arcs}


@keras.saving.register_keras_serializable(package="torusae")
class LargestMoment(_StreamedMetric):
    """The largest `|mean e^{ik·φ}|` over all batches since the last reset. See `max_moment`.

    Args:
        dim: Integer, the number of circles.
        order: Integer, the largest entry of `k`. Defaults to `2`.
        interactions: Integer, the largest number of nonzero entries of `k`; `None` for `dim`. Defaults to `2`.

    Raises:
        ValueError: If there would be more than 2**16 vectors `k`.

    Example:

    >>> import keras, torusae
    >>> metric = torusae.metrics.LargestMoment(2)
    >>> metric.update_state(keras.ops.zeros((10, 2)))
    >>> float(metric.result())
    1.0
    """

    def __init__(self, dim: int, order: int = 2, interactions: int | None = 2, name: str = "moment"):
        dim = checks.positive_int("LargestMoment", "dim", dim)
        self.order, self.interactions = order, interactions
        self.k = integer_vectors(dim, order, interactions, most=1 << 16)
        super().__init__(dim, (3, len(self.k)), name)

    def summed(self, angles):
        phases = ops.matmul(wrap_angles(angles), ops.convert_to_tensor(self.k.T, dtype=angles.dtype))
        sums = [ops.sum(part, axis=0) for part in (ops.cos(phases), ops.sin(phases), ops.ones_like(phases))]
        return ops.cast(ops.stack(sums), "float32")

    def result(self):
        """The largest modulus, a scalar tensor."""
        cos, sin, count = self.total.value[0], self.total.value[1], ops.maximum(self.total.value[2], 1.0)
        return ops.sqrt(ops.max(ops.square(cos / count) + ops.square(sin / count)))

    def get_config(self):
        return {**super().get_config(), "order": self.order, "interactions": self.interactions}


@keras.saving.register_keras_serializable(package="torusae")
class CellDivergence(_StreamedMetric):
    """Kullback-Leibler divergence of the cells' frequencies to uniform, nats, over all batches. See `cell_occupancy`.

    Args:
        dim: Integer, the number of circles.
        cells: Integer, at least 2, cells along each circle; at most 2**20 in all. Defaults to `8`.

    Example:

    >>> import keras, torusae
    >>> metric = torusae.metrics.CellDivergence(1, cells=4)
    >>> metric.update_state(keras.ops.zeros((10, 1)))
    >>> round(float(metric.result()), 4)
    1.3863
    """

    def __init__(self, dim: int, cells: int = 8, name: str = "cell_kl"):
        dim = checks.positive_int("CellDivergence", "dim", dim)
        self.cells = checks.positive_int("CellDivergence", "cells", cells, least=2)
        if self.cells**dim > 1 << 20:
            raise ValueError(
                f"CellDivergence: `cells`={cells} at dim {dim} makes {self.cells**dim} cells, more than {1 << 20}. "
                f"Use fewer cells."
            )
        super().__init__(dim, (self.cells**dim,), name)

    def summed(self, angles):
        turns = wrap_angles(angles) / (2 * math.pi) + 0.5
        index = ops.minimum(ops.cast(ops.floor(turns * self.cells), "int32"), self.cells - 1)
        strides = ops.convert_to_tensor(self.cells ** np.arange(self.dim)[::-1], dtype="int32")
        return ops.segment_sum(
            ops.ones_like(turns[:, 0]), ops.sum(index * strides, axis=-1), num_segments=self.cells**self.dim
        )

    def result(self):
        """The divergence, a scalar tensor. It is 0 where nothing was counted."""
        share = self.total.value / ops.maximum(ops.sum(self.total.value), 1.0)
        return ops.sum(share * ops.log(ops.maximum(share * self.cells**self.dim, 1e-30)))

    def get_config(self):
        return {**super().get_config(), "cells": self.cells}
