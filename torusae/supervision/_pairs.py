"""Pairs of samples with a known difference, drawn for each step of a training."""

from typing import Protocol

import numpy as np


class PairSource(Protocol):
    """Pairs of which any number can be drawn."""

    def draw(self, num: int, generator: np.random.Generator, start: int | None) -> tuple[np.ndarray, ...]:
        """`num` pairs `(x_a, x_b, difference)`: random ones, or those from number `start` on, in their order."""
        ...


class GivenPairs:
    """Pairs that were given. Random draws see each once before any comes again."""

    def __init__(self, x_a: np.ndarray, x_b: np.ndarray, differences: np.ndarray):
        self.arrays = (x_a, x_b, differences)
        self.queue = np.empty(0, int)

    def draw(self, num, generator, start):
        """As in `PairSource`."""
        total = len(self.arrays[2])
        if start is not None:
            rows = np.arange(start, start + num) % total
        else:
            while len(self.queue) < num:
                self.queue = np.concatenate([self.queue, generator.permutation(total)])
            rows, self.queue = self.queue[:num], self.queue[num:]
        return tuple(np.asarray(array[rows]) for array in self.arrays)


class GroupPairs:
    """Pairs of samples of one group, with the differences of their values. -1 is no group, NaN no value.

    Pairs in their order are the same ones in draws of any size, and for rows in any order where no values are equal.
    """

    def __init__(self, x: np.ndarray, groups: np.ndarray, values: np.ndarray):
        known = np.flatnonzero((groups >= 0) & ~np.isnan(values).any(axis=1))
        self.x, self.values = x, values
        self.members = known[np.lexsort((*values[known].T, groups[known]))]
        _, first, count = np.unique(groups[self.members], return_index=True, return_counts=True)
        self.first, self.count = np.repeat(first, count), np.repeat(count, count)
        self.places = np.flatnonzero(self.count > 1)  # of the members that have a partner
        self.steps = np.random.default_rng(0).integers(1, np.maximum(self.count, 2))  # to the partner, in their order

    def draw(self, num, generator, start):
        """As in `PairSource`. A partner is any other member of the group."""
        if start is not None:
            a = self.places[np.arange(start, start + num) % len(self.places)]
            steps = self.steps[a]
        else:
            a = self.places[generator.integers(len(self.places), size=num)]
            steps = generator.integers(1, self.count[a])
        first = self.first[a]
        b = first + (a - first + steps) % self.count[a]
        rows_a, rows_b = self.members[a], self.members[b]
        differences = (self.values[rows_b] - self.values[rows_a]).astype("float32")
        return np.asarray(self.x[rows_a]), np.asarray(self.x[rows_b]), differences
