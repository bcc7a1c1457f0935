"""Supervision by numbers that come with the data: differences of pairs and groups, and true values of samples."""

from typing import Any

import keras
import numpy as np
from keras import ops

from torusae.supervision._pairs import pairs_of
from torusae.supervision.base import (
    Supervision,
    check_unit,
    columns_of,
    compare_points,
    number_array,
    reduced,
)


class _Labels(Supervision):
    """What takes true values of samples, in one of its forms at least."""

    def known_angles(self, values: Any, num: int) -> np.ndarray | None:
        """True angles of samples, `(num, len(circles))`, radians, NaN where unknown; `None` where `values` are none."""
        if self.circles is None or isinstance(values, (list, tuple)):
            return None
        array = number_array(type(self).__name__, "values", values, num, len(self.circles), "sample")
        return reduced(array, self.period) / self.to_unit


@keras.saving.register_keras_serializable(package="torusae")
class Relative(_Labels):
    """Known differences: two pictures 30° apart, two hours 5 h apart. The zero of the circle stays free.

    `fit` takes one of these under its name:

    - pairs `(x_a, x_b, difference)`: samples `(num_pairs, *sample_shape)`, `difference` their values `b - a`;
    - `values`: one for each sample of `x`, NaN where it is not known. Only their differences count;
    - groups `(groups, values)`: integers `(num,)`, -1 for no group, and values. Differences within a group count.

    Each step draws as many pairs as it has samples and encodes both sides. A stream brings the pairs of each step:
    `(x, {"hour": (x_a, x_b, difference)})`, with as many rows as it likes; a pair whose difference is NaN counts
    nothing there.

    The loss is `1 - cos(θ_b - θ_a - difference)`, the mean over pairs and circles. With `circle=None` the difference is
    an action, `(num_pairs, space.action_size)`, and the loss compares `space.act(a, difference)` with `b`: see
    `compare_points`. The logs have `<name>_loss` and `<name>_error`, the mean absolute error in the unit of the period
    (radians of `space.distance` with `circle=None`).

    Args:
        circle: As in `Supervision`. Defaults to `0`.
        period: As in `Supervision`. Defaults to `None`, radians.
        weight: As in `Supervision`. Defaults to `1.0`.

    Example:

    >>> import numpy as np, torusae
    >>> model = torusae.TorusAutoencoder.from_shape((4,), dim=1)
    >>> model.compile(supervision={"hour": torusae.supervision.Relative(circle=0, period=24)})
    >>> x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    >>> history = model.fit(x, {"hour": (x[:10], x[10:20], np.full(10, 5.0))}, verbose=0).history
    >>> 0 < history["hour_error"][0] < 12
    True
    """

    def check_data(self, owner, name, values, x, space):
        pairs_of(self, owner, name, values, x, space)

    def loss_and_error(self, space, encode, pairs):
        """The mean loss and the mean error of pairs `(x_a, x_b, difference)`, and the number of pairs."""
        if not isinstance(pairs, (list, tuple)) or len(pairs) != 3:
            raise ValueError(
                f"Relative: a stream must bring pairs (x_a, x_b, difference) in each step. Received: "
                f"{type(pairs).__name__}. Values and groups become pairs in `fit` on arrays only."
            )
        a, b, differences = pairs
        size = ops.shape(a)[0]
        points = encode(ops.concatenate([a, b]))
        a, b = points[:size], points[size:]
        differences, mask = self.rows(differences, space)
        if self.circles is None:
            moved = space.act(a, differences / self.to_unit)
            losses, errors = compare_points(space, moved, b), space.distance(moved, b)
        else:
            turned = columns_of(space, b, self.circles) - columns_of(space, a, self.circles)
            losses, errors = self.compare_angles(differences, turned)
        return losses, errors, mask


@keras.saving.register_keras_serializable(package="torusae")
class Anchor(_Labels):
    """True values of a few samples, directly on the coordinate and not through a head. They fix the circle's zero.

    `fit` takes the values under its name, `(num,)`, or `(num, len(circle))` for several circles, NaN where a sample has
    none. With `circle=None` they are points, `(num, point_size)`.

    The loss is `1 - cos(value - θ)`, the mean over the samples that have a value (points: see `compare_points`). The
    logs have `<name>_loss` and `<name>_error`, the mean absolute error in the unit of the period.

    Args:
        circle: As in `Supervision`. Defaults to `0`.
        period: As in `Supervision`. Defaults to `None`, radians.
        weight: As in `Supervision`. Defaults to `1.0`.

    Example:

    >>> import numpy as np, torusae
    >>> model = torusae.TorusAutoencoder.from_shape((4,), dim=2)
    >>> model.compile(supervision={"hour": torusae.supervision.Anchor(circle=1, period=24)})
    >>> x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    >>> hours = np.where(np.arange(64) < 5, 6.0, np.nan)
    >>> 0 < model.fit(x, {"hour": hours}, verbose=0).history["hour_error"][0] < 12
    True
    """

    def num_columns(self, space):
        return space.point_size if self.circles is None else len(self.circles)

    def check_data(self, owner, name, values, x, space):
        array = number_array(owner, name, values, len(x), self.num_columns(space), "sample")
        if self.circles is not None:
            check_unit(owner, name, array, self.period, "Anchor")

    def loss_and_error(self, space, point, values):
        """The losses and the errors of points, and a mask of those that have a value, each `(batch,)`."""
        values, mask = self.rows(values, space)
        if self.circles is None:
            # Without a value a sample is compared with itself: zeros are no point of most spaces.
            values = ops.where(mask[:, None] > 0, values, ops.stop_gradient(point))
            return compare_points(space, values, point), space.distance(values, point), mask
        return *self.compare_angles(values, columns_of(space, point, self.circles)), mask
