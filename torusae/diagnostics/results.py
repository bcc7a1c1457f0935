"""What a diagnosis consists of: statistics, problems in words, and all of them together."""

import dataclasses
from typing import Any

import numpy as np

from torusae.spaces import Space


@dataclasses.dataclass(frozen=True)
class Statistic:
    """How far points are from a space's prior; `"tears"` and `"stress"` of `diagnose`: from being unrelated to samples.

    Attributes:
        value: Float, or float array with one value per coordinate. Larger is further from the prior. Tears and stress
            are small where the points follow the samples.
        chance: Float, the mean of one value for as many independent points of the prior; for tears and stress the value
            of shuffled points.
        unit: String, the unit of the value, such as `"rad"`. Defaults to `""`, no unit.
    """

    value: Any
    chance: float
    unit: str = ""

    @property
    def largest(self) -> float:
        """The largest value over the coordinates."""
        return float(np.max(self.value))


@dataclasses.dataclass(frozen=True)
class Problem:
    """One defect of a latent space.

    Attributes:
        name: String, the kind of problem.
        where: Tuple of integers, the coordinates that it concerns.
        measured: Float, the measured value.
        expected: Float, the value for points of the prior.
        message: String, a sentence with the measurement.
        advice: String, a sentence that says what to change, and that is not done yet.
    """

    name: str
    where: tuple[int, ...]
    measured: float
    expected: float
    message: str
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.message} {self.advice}"


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """What `diagnose` found. `str(diagnosis)` says it in sentences, `plots.plot_diagnosis(diagnosis)` draws it.

    Attributes:
        problems: Tuple of `Problem`, the worst first.
        statistics: Dict from a name to a `Statistic`.
        points: Float array `(num, point_size)`.
        space: The `Space`.
        details: Dict of further measurements by name.
        notes: Tuple of sentences about measurements that are no problems.
    """

    problems: tuple[Problem, ...]
    statistics: dict[str, Statistic]
    points: np.ndarray = dataclasses.field(repr=False)
    space: Space
    details: dict[str, Any] = dataclasses.field(default_factory=dict, repr=False)
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        head = f"{len(self.points)} points on {self.space!r}: "
        count = len(self.problems)
        found = f"{count} problem{'s' if count > 1 else ''}." if count else "nothing wrong found."
        return "\n".join([head + found, *(f"- {problem}" for problem in self.problems), *self.notes])
