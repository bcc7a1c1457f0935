"""Supervision by numbers that come with the data: differences of pairs and groups, and true values of samples."""

from typing import Any

import keras
import numpy as np
from keras import ops

from torusae._internal import checks, units
from torusae.layers.head import circular_errors
from torusae.supervision._pairs import GivenPairs, GroupPairs, PairSource
from torusae.supervision.base import Supervision, compare_points, reduced


class _Labels(Supervision):
    """What takes true values of samples, in one of its forms at least."""

    def known_angles(self, values, num):
        """As in `Supervision`; values that are whole points, or no values, have none."""
        if self.circles is None or isinstance(values, (list, tuple)):
            return None
        array = checks.label_numbers(type(self).__name__, "values", values, num, len(self.circles))
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

    draws_pairs = True

    def prepared(self, owner: str, name: str, values: Any, x: np.ndarray, space: Any) -> PairSource:
        """The pairs that `fit` was given, or those of its values or groups, checked."""
        in_parts = isinstance(values, (list, tuple))
        if in_parts and len(values) == 3:
            return self._given_pairs(owner, name, values, x.shape[1:], self.num_columns(space))
        if self.circles is None or (in_parts and len(values) != 2):
            received = f"{len(values)} things" if in_parts else type(values).__name__
            raise ValueError(
                f"{owner}: {name} must be pairs (x_a, x_b, difference)"
                + ("" if self.circles is None else ", values of the samples, or (groups, values)")
                + f". Received: {received}."
            )
        groups, values = values if in_parts else (np.zeros(len(x), int), values)
        return self._pairs_of_groups(owner, name, groups, values, x)

    def _given_pairs(self, owner, name, pairs, sample_shape, columns):
        x_a, x_b = (checks.numpy_array(owner, name, each) for each in pairs[:2])
        for side, each in (("x_a", x_a), ("x_b", x_b)):
            if each.shape[1:] != tuple(sample_shape) or each.ndim == 0 or len(each) != len(x_a) or not len(each):
                raise ValueError(
                    f"{owner}: {name} must be pairs (x_a, x_b, difference) of samples of shape "
                    f"(num_pairs, {', '.join(map(str, sample_shape))}). Received: {side}.shape={each.shape}"
                    f"{'' if side == 'x_a' else f', x_a.shape={x_a.shape}'}."
                )
            if "float" not in str(each.dtype):
                raise TypeError(
                    f"{owner}: {name} must hold floating-point samples. Received: {side}.dtype={each.dtype}."
                )
        differences = checks.label_numbers(owner, f"{name}, difference,", pairs[2], len(x_a), columns, "pair")
        missing = np.flatnonzero(np.isnan(differences).any(axis=1))
        if len(missing):
            raise ValueError(
                f"{owner}: every pair of {name} must have a difference. Received: NaN for {len(missing)} of "
                f"{len(differences)} pairs, the first in row {int(missing[0])}. Leave these pairs out."
            )
        if self.circles is not None:
            units.check_radians(owner, f"{name}, difference,", differences, "Relative(", self.period)
            differences = reduced(differences, self.period)
        return GivenPairs(x_a, x_b, differences.astype("float32"))

    def _pairs_of_groups(self, owner, name, groups, values, x):
        groups = checks.numpy_array(owner, name, groups)
        if groups.dtype.kind not in "iu" or groups.shape != (len(x),):
            raise ValueError(
                f"{owner}: {name} must hold the groups of samples as integers of shape ({len(x)},), -1 for none. "
                f"Received: shape={groups.shape}, dtype={groups.dtype}."
            )
        values = checks.label_numbers(owner, name, values, len(x), len(self.circles))
        units.check_radians(owner, name, values - np.nan_to_num(values[:1]), "Relative(", self.period)
        source = GroupPairs(x, groups, reduced(values, self.period))
        if not len(source.places):
            raise ValueError(
                f"{owner}: {name} must hold two known values of one group at least. Received: {len(source.members)} "
                f"known values in {len(np.unique(groups[source.members]))} groups. A difference needs two."
            )
        return source

    def can_be_split(self, values):
        """As in `Supervision`: pairs can't."""
        return not (isinstance(values, (list, tuple)) and len(values) == 3)

    def losses_and_errors(self, values, step):
        """As in `Supervision`, of pairs `(x_a, x_b, difference)`."""
        if not isinstance(values, (list, tuple)) or len(values) != 3:
            raise ValueError(
                f"Relative: a stream must bring pairs (x_a, x_b, difference) in each step. Received: "
                f"{type(values).__name__}. Values and groups become pairs in `fit` on arrays only."
            )
        a, b, differences = values
        size = ops.shape(a)[0]
        points = step.encode(ops.concatenate([a, b]))
        differences, mask = self.numbers(differences, step.space)
        return *self.compare_differences(step.space, points[:size], points[size:], differences), mask


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

    fixes_zero = True

    def num_columns(self, space):
        return space.point_size if self.circles is None else len(self.circles)

    def prepared(self, owner: str, name: str, values: Any, x: np.ndarray, space: Any) -> np.ndarray:
        """The values, checked, `(num, columns)`."""
        array = checks.label_numbers(owner, name, values, len(x), self.num_columns(space))
        if self.circles is not None:
            units.check_radians(owner, name, array, "Anchor(", self.period)
            array = reduced(array, self.period)
        return array  # float64: hours since 1970 keep their digits

    def losses_and_errors(self, values, step):
        """As in `Supervision`, of the points of the samples that have a value."""
        values, mask = self.numbers(values, step.space)
        if self.circles is not None:
            angles = self.angles_of(step.space, step.point)
            return *circular_errors(values, angles, self.period), mask
        # Without a value a sample is compared with itself: zeros are no point of most spaces.
        values = ops.where(mask[:, None] > 0, values, ops.stop_gradient(step.point))
        return compare_points(step.space, values, step.point), step.space.distance(values, step.point), mask
