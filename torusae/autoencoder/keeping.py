"""Whether a training keeps the angles of the data that it began at."""

import warnings
from typing import Any

import numpy as np

from torusae._internal import checks
from torusae._internal.arrays import agreement_of, even
from torusae.angles import integer_vectors
from torusae.autoencoder import use
from torusae.diagnostics.problems import way_back
from torusae.topology import align

_ROWS = 480  # whole batches of Keras' 32: later calls of `angles` need no other compiled step
_LOST = 0.9  # share of the agreement after the start. Trainings that keep their circles keep 0.98 of it
_REACHED = 0.8  # agreement after the start: at data of similar scales it is 0.95 and more


class Kept:
    """Angles of the data that a model began at, and how its own angles followed them: after the start, and since.

    Args:
        model: A `TorusAutoencoder` that was trained to the angles.
        x: Its samples, a NumPy array, without level and scale.
        angles: Float array `(num, num_circles)`, radians, NaN where unknown, with a row at least that is known.
    """

    def __init__(self, model: Any, x: np.ndarray, angles: np.ndarray):
        known = np.flatnonzero(np.isfinite(angles).all(axis=1))
        rows = known[np.linspace(0, len(known) - 1, min(len(known), _ROWS)).astype(int)]
        self.x, self.angles = x[rows], angles[rows]
        self.start = self.last = self._measured(model)
        self.was_lost = False

    def after_training(self, owner: str, model: Any) -> dict[str, np.ndarray]:
        """What the history says, measured anew. Warns once where the circles were lost since the start, or never hit.

        `owner` is the method that trained the model.
        """
        self.last = self._measured(model)
        windings, agreement = (np.stack(each) for each in zip(self.start, self.last, strict=True))
        first, last = agreement
        missed = bool((first < _REACHED).any() and (last < _REACHED).any())
        lost = missed or bool((last < _LOST * first).any())
        if lost and not self.was_lost:
            advice = (
                "The start did not reach them. Give columns of similar scales, (x - x.mean(0)) / x.std(0), or use "
                "TorusAutoencoder.from_data(x)."
                if missed
                else f"Training left them, as where data vary along more than circles. Train a new model with "
                f"{way_back(model.space, model.latent)}. TorusAutoencoder.from_data(x) chooses the space."
            )
            warnings.warn(
                f"{owner}: the angles agree with the circles of the data by {_shown(last)}, and by {_shown(first)} "
                f"before the training (1 is equal). {advice}",
                stacklevel=checks.users_level(),
            )
        self.was_lost = lost
        return {"windings": windings, "agreement": agreement}

    def _measured(self, model: Any) -> tuple[np.ndarray, np.ndarray]:
        """Windings `(num_angles, num_circles)` and agreement `(num_circles,)` of the model's angles."""
        own = use.predicted(model, self.x, None, 0)["angles"].astype("float64")
        count = self.angles.shape[1]
        if not np.isfinite(own).all():
            return np.zeros((own.shape[1], count), int), np.zeros(count)
        agreement = np.diagonal(agreement_of(own[:, :count], self.angles)).copy()
        if (agreement < _LOST).any():  # in another basis, at other entries?
            agreement = np.maximum(agreement, align(even(own), even(self.angles)).scores)
        return followed(own, self.angles), agreement


def followed(angles: np.ndarray, circles: np.ndarray) -> np.ndarray:
    """The integer combination of circles that each angle follows best, `(num_angles, num_circles)`."""
    lines = integer_vectors(circles.shape[1], 2, 2)
    combinations = np.concatenate([np.zeros_like(lines[:1]), lines, -lines])
    waves = np.exp(-1j * angles).T @ np.exp(1j * (circles @ combinations.T))
    return combinations[np.abs(waves).argmax(axis=1)]


def _shown(values: np.ndarray) -> str:
    return " and ".join(f"{value:.2f}" for value in values)
