"""Pairs of samples with a known difference, drawn for each step of a training."""

from typing import Protocol, runtime_checkable

import numpy as np


@runtime_checkable
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
    """Pairs of samples of one group, with the differences of their values. -1 is no group, NaN no value."""

    def __init__(self, x: np.ndarray, groups: np.ndarray, values: np.ndarray):
        known = np.flatnonzero((groups >= 0) & ~np.isnan(values).any(axis=1))
        self.x, self.values = x, values
        self.members = known[np.argsort(groups[known], kind="stable")]
        _, first, count = np.unique(groups[self.members], return_index=True, return_counts=True)
        self.first, self.count = np.repeat(first, count), np.repeat(count, count)
        self.places = np.flatnonzero(self.count > 1)  # of the members that have a partner

    def draw(self, num, generator, start):
        """As in `PairSource`. A partner is any other member of the group."""
        if start is not None:
            generator = np.random.default_rng(start)
            chosen = np.arange(start, start + num) % len(self.places)
        else:
            chosen = generator.integers(len(self.places), size=num)
        a = self.places[chosen]
        first, count = self.first[a], self.count[a]
        b = first + (a - first + generator.integers(1, count)) % count
        rows_a, rows_b = self.members[a], self.members[b]
        differences = (self.values[rows_b] - self.values[rows_a]).astype("float32")
        return np.asarray(self.x[rows_a]), np.asarray(self.x[rows_b]), differences
