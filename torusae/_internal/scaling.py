"""Level and scale taken out of samples, and put back: one for each column, or one for all values; of groups each."""

from collections.abc import Iterator, Sequence
from typing import Any, Self

import keras
import numpy as np
from keras import ops

from torusae._internal import checks
from torusae._internal.arrays import blocks
from torusae._internal.checks import Tensor

_BLOCK = 1 << 22  # numbers that are float64 at a time
FEW_ROWS = 10  # of a group: its level and scale are uncertain
_LEAST_ROWS = 2  # of a group: one row is its own level


@keras.saving.register_keras_serializable(package="torusae")
class Scaling:
    """What is taken out of samples: `z = (x - mean) / scale`, and `x = mean + scale * z` back.

    With groups each has a mean and a scale of its own. `mean` and `scale` are then those of all rows and of the rows
    within their groups: a common level, at which samples are that belong to no group.

    Args:
        mean: Float array, `(columns,)` of a table, or a number for all values of a sample.
        scale: As `mean`, positive. 1 where a column is constant.
        columns: Names of the columns. Defaults to `None`.
        groups: Names of the groups, integers or strings. Defaults to `None`, no groups.
        group_mean: Float array `(groups, *mean.shape)`. Defaults to `None`.
        group_scale: As `group_mean`. Defaults to `None`.
    """

    def __init__(
        self,
        mean: Any,
        scale: Any,
        columns: Sequence[str] | None = None,
        groups: Sequence[Any] | None = None,
        group_mean: Any = None,
        group_scale: Any = None,
    ):
        self.mean, self.scale = np.asarray(mean, "float64"), np.asarray(scale, "float64")
        self.columns = None if columns is None else tuple(columns)
        self.groups = None if groups is None else tuple(groups)
        shape = (0, *self.mean.shape)
        self.group_mean = np.zeros(shape) if group_mean is None else np.asarray(group_mean, "float64")
        self.group_scale = np.ones(shape) if group_scale is None else np.asarray(group_scale, "float64")

    @classmethod
    def of(cls, x: np.ndarray, groups: np.ndarray | None = None, columns: Sequence[str] | None = None) -> Self:
        """The scaling of a table `(num, columns)`, or of samples `(num, ...)` with one level and scale for all values.

        NaN, what is not known, counts nowhere. Groups are those of `checked_groups`.
        """
        mean, scale = _moments(x)
        if groups is None:
            return cls(mean, _or_one(scale), columns)
        names, means, scales, share = _moments_of_groups(x, groups)
        # The scale within groups: between them it would hold what is taken out.
        unit = _or_one(scales.max(axis=0))
        within = unit * np.sqrt(np.tensordot(share, (scales / unit) ** 2, axes=1))
        within = _or_one(np.where(within > 0, within, scale))
        return cls(mean, within, columns, names, means, np.where(scales > 0, scales, within))

    def with_groups_of(self, x: np.ndarray, groups: np.ndarray) -> "Scaling":
        """This scaling with the groups among `groups` that it does not know, estimated from their rows."""
        new = self.index(groups) < 0
        if not new.any():
            return self
        names, means, scales, _ = _moments_of_groups(x[new], groups[new])
        scales = np.where(scales > 0, scales, self.scale)
        joined = [np.concatenate(pair) for pair in ((self.group_mean, means), (self.group_scale, scales))]
        return Scaling(self.mean, self.scale, self.columns, (*(self.groups or ()), *names), *joined)

    def index(self, groups: np.ndarray) -> np.ndarray:
        """The number of each row's group, `(num,)`, -1 where it is not known."""
        numbers = {name: number for number, name in enumerate(self.groups or ())}
        return np.array([numbers.get(group, -1) for group in groups.tolist()], dtype=int)

    def apply(self, x: Tensor, group: np.ndarray | None = None) -> Tensor:
        """Samples without level and scale: a NumPy float32 array, computed in float64, or a tensor of a tensor.

        `group` are numbers of groups from `index`; without, the common level is taken out.
        """
        if not isinstance(x, np.ndarray):
            mean, scale = self._tensors()
            return (x - mean) / scale
        result = np.empty(x.shape, "float32")
        for block in _blocks(x):
            mean, scale = self._of(group, block, x.ndim)
            result[block] = (x[block].astype("float64") - mean) / scale
        return result

    def undo(self, z: Tensor, group: np.ndarray | None = None) -> Tensor:
        """Samples with level and scale: a NumPy float64 array, or a tensor of a tensor."""
        if not isinstance(z, np.ndarray):
            mean, scale = self._tensors()
            return z * scale + mean
        mean, scale = self._of(group, slice(None), z.ndim)
        return z.astype("float64") * scale + mean

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, as lists."""
        config: dict[str, Any] = {"mean": self.mean.tolist(), "scale": self.scale.tolist()}
        if self.columns is not None:
            config["columns"] = list(self.columns)
        if self.groups is not None:
            means, scales = self.group_mean.tolist(), self.group_scale.tolist()
            config |= {"groups": list(self.groups), "group_mean": means, "group_scale": scales}
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Returns the scaling that `get_config` describes."""
        return cls(**config)

    def _of(self, group: np.ndarray | None, rows: slice, rank: int) -> tuple[np.ndarray, np.ndarray]:
        """Mean and scale of some rows, in a shape that broadcasts with samples of that rank."""
        if group is None:
            return self.mean, self.scale
        shape = (-1, *self.mean.shape) if self.mean.ndim else (-1, *(1,) * (rank - 1))
        return self.group_mean[group[rows]].reshape(shape), self.group_scale[group[rows]].reshape(shape)

    def _tensors(self) -> tuple[Tensor, Tensor]:
        return tuple(ops.convert_to_tensor(each.astype("float32")) for each in (self.mean, self.scale))


def checked_groups(owner: str, groups: Any, num: int) -> np.ndarray:
    """Groups of samples as a NumPy array `(num,)` of integers or strings.

    Raises:
        TypeError: If they are numbers with fractions, or of several types.
        ValueError: If they are of another shape, or one is missing.
    """
    array = checks.numpy_array(owner, "groups", groups, numbers=False)
    if array.shape != (num,):
        raise ValueError(
            f"{owner}: `groups` must have shape ({num},), a group for each row. Received: groups.shape={array.shape}."
        )
    values = array.tolist()
    missing = [row for row, value in enumerate(values) if value is None or value != value]
    if missing:
        raise ValueError(
            f"{owner}: `groups` must name a group for each row. Received: {values[missing[0]]} in row {missing[0]}, "
            f"{len(missing)} such row(s). Give these a group of their own, or leave them out."
        )
    if array.dtype.kind == "f" and (array == np.round(array)).all():
        return array.astype("int64")  # integers of a column that lacked some
    kinds = {str if isinstance(value, str) else int if isinstance(value, int) else type(value) for value in values}
    if not kinds <= {int} and kinds != {str}:
        names = sorted(kind.__name__ for kind in kinds)
        raise TypeError(
            f"{owner}: `groups` must be all integers or all strings. Received: {' and '.join(names)}. Use "
            f"groups.astype(str)."
        )
    return np.array(values) if values else array


def taken_out(owner: str, x: np.ndarray, groups: Any = None) -> np.ndarray:
    """Samples without their own level and scale, and with groups without that of each, float32."""
    if groups is None:
        return Scaling.of(x).apply(x)
    scaling, group = of_groups(owner, x, groups)
    return scaling.apply(x, group)


def of_groups(owner: str, x: np.ndarray, groups: Any) -> tuple[Scaling, np.ndarray]:
    """The scaling of samples with groups as they came, and the number of each row's group, `(num,)`.

    Raises as `checked_groups` and `check_sizes`.
    """
    groups = checked_groups(owner, groups, len(x))
    check_sizes(owner, groups)
    scaling = Scaling.of(x, groups)
    return scaling, scaling.index(groups)


def check_sizes(owner: str, groups: np.ndarray) -> None:
    """Raises if a group has a single row: nothing tells its level from its sample."""
    names, counts = np.unique(groups, return_counts=True)
    alone = names[counts < _LEAST_ROWS].tolist()
    if alone:
        raise ValueError(
            f"{owner}: each of `groups` must have {_LEAST_ROWS} rows at least, better 100, for its level and scale. "
            f"Received: one row of {alone[0]!r}, {len(alone)} such group(s). Leave these out, or join them to another."
        )


def _moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the columns of a table, or of all values of other samples; 0 where constant."""
    axis = 0 if x.ndim == 2 else None

    def reduced(function: Any, values: Any) -> np.ndarray:
        parts = [function(values(x[block].astype("float64")), axis=axis) for block in _blocks(x)]
        return function(np.stack(parts), axis=0)

    with np.errstate(invalid="ignore"):
        largest = reduced(np.fmax.reduce, lambda values: values if axis == 0 else values.ravel())
        least = reduced(np.fmin.reduce, lambda values: values if axis == 0 else values.ravel())
    middle = largest / 2 + least / 2
    # From the middle and in this unit: neither far levels nor extreme scales lose digits.
    unit = _or_one(largest - middle)
    num = np.maximum(reduced(np.sum, lambda values: ~np.isnan(values)), 1)
    mean = reduced(np.nansum, lambda values: (values - middle) / unit) / num
    variance = reduced(np.nansum, lambda values: ((values - middle) / unit - mean) ** 2) / num
    middle = np.nan_to_num(middle)  # of columns of which nothing is known
    return middle + unit * mean, np.where(largest > least, unit * np.sqrt(variance), 0.0)


def _moments_of_groups(x: np.ndarray, groups: np.ndarray) -> tuple[list, np.ndarray, np.ndarray, np.ndarray]:
    """Names of groups, means and deviations of each, `(groups, ...)`, and each group's share of the rows."""
    names, index = np.unique(groups, return_inverse=True)
    found = [_moments(x[index == group]) for group in range(len(names))]
    means, scales = (np.stack(each) for each in zip(*found, strict=True))
    return names.tolist(), means, scales, np.bincount(index) / len(index)


def _or_one(scale: np.ndarray) -> np.ndarray:
    """Scales, 1 where there is none."""
    return np.where(scale > 0, scale, 1.0)


def _blocks(x: np.ndarray) -> Iterator[slice]:
    """Slices of rows: a large file is float64 in parts."""
    return blocks(len(x), _BLOCK // max(1, x[:1].size))
