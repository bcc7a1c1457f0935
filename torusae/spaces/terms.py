"""The losses of a latent space, each with its weight and what it reads."""

from typing import Any

import keras

from torusae._internal import checks
from torusae._internal.configs import Configured
from torusae.losses import LatentLoss


@keras.saving.register_keras_serializable(package="torusae")
class Term(Configured):
    """One loss of a latent space: what it is called, what it reads, and its weight.

    Args:
        loss: `LatentLoss`.
        weight: Float, not negative. Defaults to `None`, the loss's `default_weight`.
        reads: String, `"raw"`, `"point"`, or one of the space's `views`. Defaults to `None`, what the loss reads.
        name: String, the name in logs. Defaults to `None`, the loss's name.
        relative: Boolean. `True`: the weight is relative to the gradient that arrives at the point (see `Latent`).
            `False`: `weight * loss` is added to the model's loss, as in a variational bound. Defaults to `True`.

    Example:

    >>> import torusae
    >>> torusae.Term(torusae.SpringLoss(), weight=2.0)
    Term('spring', reads='angles', weight=2)
    """

    def __init__(
        self,
        loss: LatentLoss,
        weight: float | None = None,
        reads: str | None = None,
        name: str | None = None,
        relative: bool = True,
    ):
        if not isinstance(loss, LatentLoss):
            raise TypeError(
                f"Term: `loss` must be a LatentLoss such as SpringLoss(). Received: loss={loss!r}. "
                f"Derive a loss of your own from torusae.LatentLoss."
            )
        self.loss = loss
        self.weight = checks.positive_float(
            "Term", "weight", loss.default_weight if weight is None else weight, zero_allowed=True
        )
        self.reads = loss.reads if reads is None else reads
        self.name = loss.name if name is None else name
        self.relative = bool(relative)

    def __repr__(self) -> str:
        return f"Term({self.name!r}, reads={self.reads!r}, weight={self.weight:.4g})"

    def replaced(self, **changes: Any) -> "Term":
        """A copy with some arguments replaced."""
        return Term(**{**vars(self), **changes})
