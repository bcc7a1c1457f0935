"""What every kind of supervision shares: circles, units, what it reads of a step, and the comparison of points."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from torusae._internal import checks
from torusae._internal.checks import Tensor
from torusae._internal.configs import Configured
from torusae._internal.scaling import Scaling
from torusae.layers.head import circular_errors, known_means, known_rows
from torusae.spaces import Space

_TURN = 2 * math.pi


@dataclasses.dataclass(frozen=True)
class Step:
    """What supervision reads of a training step, besides its own data.

    Attributes:
        space: The latent `Space`.
        sample: Samples of the step, `(batch, *sample_shape)`.
        point: Their points, `(batch, space.point_size)`.
        encode: Function from other samples to their points.
        seed: `keras.random.SeedGenerator` of random amounts, or `None` where nothing is drawn.
        scaling: The `Scaling` that was taken out of the samples, or `None`.
    """

    space: Space
    sample: Tensor
    point: Tensor
    encode: Callable[[Tensor], Tensor]
    seed: keras.random.SeedGenerator | None = None
    scaling: Scaling | None = None


class Supervision(Configured):
    """Base class: a loss of some circles of the latent space, or of whole points, given to `compile` by a name.

    A kind of its own defines `losses_and_errors`, and `prepared` where it takes data.

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
    needs_seed = False  # whether it draws random numbers in a step
    draws_pairs = False  # whether these become a `PairSource`
    fixes_zero = False  # whether the numbers say where the zero of a circle is

    def __init__(self, circle: int | Sequence[int] | None = 0, period: float | None = None, weight: float = 1.0):
        owner = type(self).__name__
        self.circle: int | tuple[int, ...] | None
        if isinstance(circle, (list, tuple)):
            self.circle = tuple(checks.positive_int(owner, "circle", each, least=0) for each in circle)
            if not circle or len(set(circle)) < len(circle):
                raise ValueError(f"{owner}: `circle` must name different circles. Received: circle={circle!r}.")
        else:
            self.circle = checks.optional_int(owner, "circle", circle, least=0)
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

    def prepared(self, owner: str, name: str, values: Any, x: np.ndarray, space: Space) -> Any:
        """What `fit` was given under this supervision's name, checked: one row for each sample, or a `PairSource`.

        Errors name `owner`, the method that was called, and `name`, such as `"y['hour']"`.
        """
        raise NotImplementedError(
            f"{type(self).__name__}: a Supervision with data must define `prepared(owner, name, values, x, space)`."
        )

    def can_be_split(self, values: Any) -> bool:
        """Whether what `fit` was given has one row for each sample, so that it can be divided with them."""
        return True

    def known_angles(self, values: Any, num: int) -> np.ndarray | None:
        """True angles of samples in `values`, `(num, len(circles))`, radians, NaN where unknown; `None` without any."""
        return None

    def loss_and_error(self, values: Any, step: Step) -> tuple[Tensor, Tensor, Tensor]:
        """The mean loss, the mean error in the unit of the numbers, and the number of rows behind both: scalars.

        Args:
            values: What this supervision has been given for the rows of the step; `None` if it needs no data.
            step: The `Step`.
        """
        return known_means(*self.losses_and_errors(values, step))

    def losses_and_errors(self, values: Any, step: Step) -> tuple[Tensor, Tensor, Tensor]:
        """The loss and the error of each row, and a mask of those that count, 1.0 or 0.0: each `(rows,)`."""
        raise NotImplementedError(
            f"{type(self).__name__}: a Supervision must define `losses_and_errors(values, step)`."
        )

    def numbers(self, values: Tensor, space: Space) -> tuple[Tensor, Tensor]:
        """Numbers of a step as `(rows, columns)`, zeros where one is missing, and a mask of complete rows."""
        columns, shape = self.num_columns(space), tuple(values.shape)
        if shape[1:] not in [(columns,), *([()] if columns == 1 else [])]:
            raise ValueError(
                f"{type(self).__name__}: numbers of a step must have shape (batch, {columns}). Received: shape={shape}."
            )
        values, known = known_rows(values, columns)
        return values, ops.cast(known, "float32")

    def compare_differences(self, space: Space, start: Tensor, end: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Losses and errors of the ways from points to others, `(rows,)`: their angles, or whole actions."""
        if self.circles is not None:
            ways = self.angles_of(space, end) - self.angles_of(space, start)
            return circular_errors(numbers, ways, self.period)
        moved = space.act(start, numbers / self.to_unit)
        return compare_points(space, moved, end), space.distance(moved, end)

    def angles_of(self, space: Space, point: Tensor) -> Tensor:
        """The angles of the circles, `(rows, len(circles))`, radians."""
        angles = space.angles(point)
        return ops.stack([angles[:, circle] for circle in self.circles or ()], axis=-1)


def compare_points(space: Space, targets: Tensor, points: Tensor) -> Tensor:
    """Half the squared distance of what heads read of points, `(rows,)`.

    A head reads a seamless form without radii: cosines and sines of a torus, unit vectors of a sphere. So the loss is
    the sum over circles of `1 - cos` of the error on a torus, `1 - cos` of the distance on a sphere, and half the
    squared distance in a Gaussian space.
    """
    difference = space.head_input(targets) - space.head_input(points)
    return 0.5 * ops.sum(difference * difference, axis=-1)


def reduced(values: np.ndarray, period: float | None) -> np.ndarray:
    """Values modulo their period, in float64: float32 has few digits for the hours since 1970."""
    return np.remainder(values, period or _TURN)
