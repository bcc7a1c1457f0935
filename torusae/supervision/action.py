"""Self-supervision: the point follows a known action on the data."""

import math
from collections.abc import Callable, Sequence

import keras
import numpy as np
from keras import ops

from torusae._internal import checks
from torusae._internal.checks import Tensor
from torusae.spaces import Space
from torusae.supervision.base import Supervision, compare_points


@keras.saving.register_keras_serializable(package="torusae")
class Action(Supervision):
    """A known action on the data: a rotation, a shift. The point follows it by a symmetry of the space, `space.act`.

    Each step draws an amount for each sample, acts on the samples, and encodes them. No labels are needed, so that
    streams need nothing either.

    The loss is `(1 - others) · (1 - cos(θ(f(x, a)) - θ(x) - a)) + others · compare_points(act(p(x), a), p(f(x, a)))`,
    the mean over the samples. So the acted circles follow, and with `others` above 0 the other coordinates stay. The
    logs have `<name>_loss` and `<name>_error`, the mean absolute error of the acted circles in the unit of the period
    (radians of `space.distance` with `circle=None`).

    Args:
        function: Function `(x, amounts) -> x`, made of `keras.ops`: samples `(batch, *sample_shape)` and amounts
            `(batch,)`, or `(batch, len(circle))` for several circles. `rotate_images`, `shift_images` and
            `shift_series` are some. A model with a function of your own is loaded after
            `keras.saving.register_keras_serializable` registered it.
        circle: The circle that an amount turns, or a sequence of circles; `None` if the amounts are whole actions of
            the space, `(batch, space.action_size)`, such as rotation vectors. Defaults to `0`.
        period: As in `Supervision`: amounts come in its unit, a period is one turn. Defaults to `None`, radians.
        weight: As in `Supervision`. Defaults to `1.0`.
        limit: Positive float, the largest amount. Amounts are uniform in `[-limit, limit)`. Defaults to `None`, half a
            period.
        step: Positive float: amounts are multiples of it, 1 for whole pixels. Defaults to `None`, any amounts.
        others: Float in [0, 1], see the loss. Defaults to `1.0`.

    Raises:
        ValueError: If an argument is out of range; in a step, if the function changes the shape of samples.

    Example:

    >>> import numpy as np, torusae
    >>> from torusae.supervision import Action, shift_series
    >>> model = torusae.TorusAutoencoder.from_shape((8,), dim=1)
    >>> model.compile(supervision={"shift": Action(shift_series, circle=0, period=8)})
    >>> x = np.random.default_rng(0).normal(size=(64, 8)).astype("float32")
    >>> 0 < model.fit(x, verbose=0).history["shift_error"][0] < 4
    True

    Reference:
        Cohen & Welling (2014), Learning the irreducible representations of commutative Lie groups.
    """

    needs_data = False
    needs_seed = True

    def __init__(
        self,
        function: Callable[[Tensor, Tensor], Tensor],
        circle: int | Sequence[int] | None = 0,
        period: float | None = None,
        weight: float = 1.0,
        limit: float | None = None,
        step: float | None = None,
        others: float = 1.0,
    ):
        super().__init__(circle, period, weight)
        if not callable(function):
            raise TypeError(
                f"Action: `function` must be a function of samples and amounts. Received: function={function!r}."
            )
        self.function = function
        self.limit = None if limit is None else checks.positive_float("Action", "limit", limit)
        self.step = None if step is None else checks.positive_float("Action", "step", step)
        self.others = checks.positive_float("Action", "others", others, zero_allowed=True)
        if self.others > 1:
            raise ValueError(f"Action: `others` must lie between 0 and 1. Received: others={others}.")

    def check_space(self, owner, space):
        super().check_space(owner, space)
        self.turns = None if self.circles is None else _turns(owner, space, self.circles)

    def draw(self, num: Tensor | int, columns: int, seed: keras.random.SeedGenerator) -> Tensor:
        """Random amounts, `(num, columns)`."""
        limit = math.pi * self.to_unit if self.limit is None else self.limit
        amounts = keras.random.uniform((num, columns), -limit, limit, dtype="float32", seed=seed)
        return amounts if self.step is None else self.step * ops.round(amounts / self.step)

    def losses_and_errors(self, values, step):
        """As in `Supervision`, of samples that are acted on by random amounts. Takes no values."""
        space, scaling = step.space, step.scaling
        x = step.sample if scaling is None else scaling.undo(step.sample)  # the action is one on the user's data
        amounts = self.draw(ops.shape(x)[0], self.num_columns(space), step.seed)
        moved = self.function(x, amounts[:, 0] if isinstance(self.circle, int) else amounts)
        if not checks.shapes_agree(moved.shape, x.shape):
            raise ValueError(
                f"Action: `function` must not change the shape of samples. Received: shape={tuple(moved.shape)} from "
                f"{getattr(self.function, '__name__', self.function)!r} for samples of shape {tuple(x.shape)}."
            )
        moved = ops.cast(moved, x.dtype)
        other = step.encode(moved if scaling is None else scaling.apply(moved))
        losses, errors = self.compare_differences(space, step.point, other, amounts)
        if self.circles is not None and self.others:
            action = ops.matmul(amounts / self.to_unit, ops.convert_to_tensor(self.turns))
            whole = compare_points(space, space.act(step.point, action), other)
            losses = (1 - self.others) * losses + self.others * whole
        return losses, errors, ops.ones_like(losses)


def _turns(owner: str, space: Space, circles: Sequence[int]) -> np.ndarray:
    """Per circle the action of the space that turns it by 1 and no other angle, `(len(circles), action_size)`."""
    turns = space.angle_actions[list(circles)].astype("float32")
    for circle, row in zip(circles, turns, strict=True):
        if not row.any():
            raise ValueError(
                f"{owner}: `circle` must be one that the space can turn. Received: circle={circle}, and no action of "
                f"{space!r} turns this angle alone. Use circle=None with actions of the space."
            )
    return turns
