"""What the losses share: the base class."""

import keras

from torusae._internal import replicas
from torusae._internal.checks import Tensor
from torusae._internal.configs import Configured

REDUCTIONS = ("sum", "normalized")


class LatentLoss(Configured, keras.losses.Loss):
    """Base class of losses of a whole batch of latent variables: a pure function `(batch, columns) -> scalar`.

    A subclass sets `reads` and `default_weight`, implements `call(values)`, and keeps its constructor's arguments in
    attributes of their names, which make its config. It keeps no state and no random generator: equal values give
    equal losses. Called as `loss(values)`, or `loss(y_true, y_pred)` as Keras does in
    `compile(loss={"angles": loss})`, where `y_true` is ignored.

    Args:
        name: String, the name of the term in logs.
    """

    reads = "angles"
    """What of the points the loss reads by default: `"raw"`, `"point"` or a name among the space's `views`."""

    default_weight = 1.0
    """The weight of the term unless the user gives another."""

    def __init__(self, name: str):
        super().__init__(name=name)

    def __call__(self, y_true, y_pred=None, sample_weight=None):
        """Returns the loss of one batch, a scalar tensor."""
        if sample_weight is not None:
            raise ValueError(
                f"{type(self).__name__}: takes no `sample_weight`, since it is one statistic of a whole batch. "
                f"Received: sample_weight of shape {tuple(sample_weight.shape)}. Pass a dict of sample weights that "
                f"leaves out this output."
            )
        if y_pred is None:
            return self.call(y_true)
        return replicas.current().scaled(self.call(y_pred))

    def call(self, values: Tensor) -> Tensor:  # type: ignore[override]
        """Returns the loss of `values`, `(batch, columns)`, a scalar tensor."""
        raise NotImplementedError(
            f"{type(self).__name__}: a LatentLoss must define `call(values)`, a scalar of values (batch, columns)."
        )

    def gradient(self, values: Tensor) -> Tensor | None:
        """Returns the gradient at `values` in closed form; `None` where the backend must differentiate `call`.

        A class that inherits it is differentiated too: it may have another `call`.
        """
        return None
