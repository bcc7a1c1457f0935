"""What every kind of supervision shares: circles, units, the comparison of points, and checks of numbers."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from keras import ops

from torusae._internal import checks
from torusae._internal.checks import Tensor
from torusae.angles import angle_difference, to_radians
from torusae.losses.angular import angular_loss
from torusae.spaces import Space

_TURN = 2 * math.pi
_MOST_RADIANS = 2 * _TURN  # larger numbers are degrees or hours, not radians


class Supervision:
    """Base class: a loss of some circles of the latent space, or of whole points, given to `compile` by a name.

    Args:
        circle: Integer, the column of `model.angles(x)` that is supervised, or a sequence of them; `None` for whole
            points. Defaults to `0`.
        period: Positive float, the period of the numbers: `24` for hours, `360` for degrees. Defaults to `None`, 2π:
            radians.
        weight: Float, not negative, weight of the loss in the model. Defaults to `1.0`.

    Example:

    >>> import torusae
    >>> torusae.supervision.Anchor(circle=0, period=24)
    Anchor(circle=0, period=24.0, weight=1.0)
    """

    needs_data = True  # whether `fit` must be given numbers
    loss_and_error: Callable[..., tuple[Tensor, Tensor, Tensor]]  # losses, errors, and a mask of those that count

    def __init__(self, circle: int | Sequence[int] | None = 0, period: float | None = None, weight: float = 1.0):
        owner = type(self).__name__
        self.circle: int | tuple[int, ...] | None
        if circle is None:
            self.circle = None
        elif isinstance(circle, (list, tuple)):
            self.circle = tuple(checks.positive_int(owner, "circle", each, least=0) for each in circle)
            if not circle or len(set(circle)) < len(circle):
                raise ValueError(f"{owner}: `circle` must name different circles. Received: circle={circle!r}.")
        else:
            self.circle = checks.positive_int(owner, "circle", circle, least=0)
        self.period = None if period is None else checks.period(owner, period)
        self.weight = checks.positive_float(owner, "weight", weight, zero_allowed=True)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"

    @property
    def circles(self) -> tuple[int, ...] | None:
        """The circles as a tuple, `None` for whole points."""
        return (self.circle,) if isinstance(self.circle, int) else self.circle

    @property
    def to_unit(self) -> float:
        """The factor from radians to the unit of the numbers."""
        return 1.0 if self.period is None else self.period / _TURN

    def check_space(self, owner: str, space: Space) -> None:
        """Raises if the space has no such circle, or for whole points nothing that numbers could say."""
        if self.circles is None:
            if not self.num_columns(space):
                raise ValueError(
                    f"{owner}: circle=None needs a space with symmetries. Received: {space!r}, whose `action_size` is "
                    f"0. Name a circle."
                )
            return
        if max(self.circles) >= space.num_angles:
            has = f"the angles 0 to {space.num_angles - 1}" if space.num_angles else "no angles"
            raise ValueError(
                f"{owner}: `circle` must name an angle of the latent space. Received: circle={self.circle!r}, and "
                f"{space!r} has {has}. Give another circle, or circle=None for whole points."
            )

    def num_columns(self, space: Space) -> int:
        """How many numbers a sample or a pair has: one for each circle, or those of an action of the space."""
        return space.action_size if self.circles is None else len(self.circles)

    def check_data(self, owner: str, name: str, values: Any, x: np.ndarray, space: Space) -> None:
        """Checks, on the host, what `fit` was given under this supervision's name."""
        raise NotImplementedError

    def rows(self, values: Tensor, space: Space) -> tuple[Tensor, Tensor]:
        """Numbers of a step as `(batch, columns)`, zeros where one is missing, and a mask of complete rows."""
        columns, shape = self.num_columns(space), tuple(values.shape)
        if shape[1:] not in [(columns,), *([()] if columns == 1 else [])]:
            raise ValueError(
                f"{type(self).__name__}: numbers of a step must have shape (batch, {columns}). Received: shape={shape}."
            )
        values = ops.reshape(ops.cast(values, "float32"), (-1, columns))
        known = ops.logical_not(ops.any(ops.isnan(values), axis=-1))
        return ops.where(known[:, None], values, 0.0), ops.cast(known, "float32")

    def compare_angles(self, numbers: Tensor, angles: Tensor) -> tuple[Tensor, Tensor]:
        """`1 - cos` of the errors and their mean sizes in the unit of the numbers, `(batch,)`; angles in radians."""
        targets = to_radians(numbers, _TURN if self.period is None else self.period)
        errors = self.to_unit * ops.mean(ops.abs(angle_difference(targets, angles)), axis=-1)
        return angular_loss(targets, angles), errors

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"circle": self.circle, "period": self.period, "weight": self.weight}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Supervision":
        """Returns the supervision that `get_config` describes."""
        return cls(**config)


def columns_of(space: Space, point: Tensor, circles: Sequence[int]) -> Tensor:
    """The angles of some circles, `(batch, len(circles))`, radians."""
    angles = space.angles(point)
    return ops.stack([angles[:, circle] for circle in circles], axis=-1)


def compare_points(space: Space, targets: Tensor, points: Tensor) -> Tensor:
    """Half the squared distance of what heads read of points, `(batch,)`.

    A head reads a seamless form without radii: cosines and sines of a torus, unit vectors of a sphere. So the loss is
    the sum over circles of `1 - cos` of the error on a torus, `1 - cos` of the distance on a sphere, and half the
    squared distance in a Gaussian space.
    """
    difference = space.head_input(targets) - space.head_input(points)
    return 0.5 * ops.sum(difference * difference, axis=-1)


def number_array(owner: str, name: str, values: Any, num: int, columns: int, each: str) -> np.ndarray:
    """Numbers as a float64 array `(num, columns)`, after checks of type, shape and infinity. `each`: what has one."""
    array = checks.host_array(checks.as_array(owner, name, values))
    layout = f"({num},)" if columns == 1 else f"({num}, {columns})"
    if array.dtype.kind not in "iuf" or array.shape not in [(num, columns), *([(num,)] if columns == 1 else [])]:
        raise ValueError(
            f"{owner}: {name} must be numbers of shape {layout}, one for each {each}"
            f"{'' if columns == 1 else ' and circle'}. Received: shape={array.shape}, dtype={array.dtype}."
        )
    array = array.astype("float64").reshape(num, columns)
    infinite = np.argwhere(np.isinf(array))
    if len(infinite):
        raise ValueError(
            f"{owner}: {name} must be finite, or NaN where missing. Received: infinity in row {int(infinite[0][0])}. "
            f"Replace it with NaN."
        )
    return array


def reduced(values: np.ndarray, period: float | None) -> np.ndarray:
    """Values modulo their period, in float64: float32 has few digits for the hours since 1970."""
    return np.remainder(values, period or _TURN)


def check_unit(owner: str, name: str, array: np.ndarray, period: float | None, kind: str) -> None:
    """Raises where numbers that should be radians look like another unit."""
    known = array[~np.isnan(array)]
    if period is not None or not known.size or np.abs(known).max() <= _MOST_RADIANS:
        return
    found = float(known[np.abs(known).argmax()])
    unit = "degrees" if np.abs(known).max() > 24 else "degrees or hours"
    raise ValueError(
        f"{owner}: {name} must be radians, the default unit. Received: {found:g}, beyond two turns, which looks like "
        f"{unit}. Give {kind}(period=360) for degrees, {kind}(period=24) for hours, or {kind}(period=2 * math.pi) if "
        f"they are radians."
    )
