"""Pairs of samples with a known difference: checked, and drawn for each step of a training."""

from typing import Any, Protocol

import numpy as np

from torusae._internal import checks
from torusae._internal.batches import PaddedBatches
from torusae.spaces import Space
from torusae.supervision.base import Supervision, check_unit, number_array, reduced


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
    """Pairs of samples of one group, with the differences of their values."""

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


def pairs_of(relative: Supervision, owner: str, name: str, given: Any, x: np.ndarray, space: Space) -> PairSource:
    """The pairs that `fit` was given: see `Relative`."""
    columns = relative.num_columns(space)
    whole = relative.circles is None
    if isinstance(given, (list, tuple)) and len(given) == 3:
        return _given_pairs(relative, owner, name, given, x.shape[1:], columns)
    if whole or (isinstance(given, (list, tuple)) and len(given) != 2):
        received = f"{len(given)} things" if isinstance(given, (list, tuple)) else type(given).__name__
        raise ValueError(
            f"{owner}: {name} must be pairs (x_a, x_b, difference)"
            + ("" if whole else ", values of the samples, or (groups, values)")
            + f". Received: {received}."
        )
    groups, values = given if isinstance(given, (list, tuple)) else (np.zeros(len(x), int), given)
    groups = checks.host_array(checks.as_array(owner, name, groups))
    if groups.dtype.kind not in "iu" or groups.shape != (len(x),):
        raise ValueError(
            f"{owner}: {name} must hold the groups of samples as integers of shape ({len(x)},), -1 for none. "
            f"Received: shape={groups.shape}, dtype={groups.dtype}."
        )
    values = number_array(owner, name, values, len(x), columns, "sample")
    check_unit(owner, name, values - np.nan_to_num(values[:1]), relative.period, "Relative")
    source = GroupPairs(x, groups, reduced(values, relative.period))
    if not len(source.places):
        raise ValueError(
            f"{owner}: {name} must hold two known values of one group at least. Received: {len(source.members)} known "
            f"values in {len(np.unique(groups[source.members]))} groups. A difference needs two."
        )
    return source


def _given_pairs(relative, owner, name, given, sample_shape, columns):
    x_a, x_b = (checks.host_array(checks.as_array(owner, name, each)) for each in given[:2])
    for side, each in (("x_a", x_a), ("x_b", x_b)):
        if each.shape[1:] != tuple(sample_shape) or each.ndim == 0 or len(each) != len(x_a) or not len(each):
            raise ValueError(
                f"{owner}: {name} must be pairs (x_a, x_b, difference) of samples of shape "
                f"(num_pairs, {', '.join(map(str, sample_shape))}). Received: {side}.shape={each.shape}"
                f"{'' if side == 'x_a' else f', x_a.shape={x_a.shape}'}."
            )
        if "float" not in str(each.dtype):
            raise TypeError(f"{owner}: {name} must hold floating-point samples. Received: {side}.dtype={each.dtype}.")
        checks.finite_array(owner, f"{name}, {side}", each)
    differences = number_array(owner, f"{name}, difference,", given[2], len(x_a), columns, "pair")
    missing = np.flatnonzero(np.isnan(differences).any(axis=1))
    if len(missing):
        raise ValueError(
            f"{owner}: every pair of {name} must have a difference. Received: NaN for {len(missing)} of "
            f"{len(differences)} pairs, the first in row {int(missing[0])}. Leave these pairs out."
        )
    check_unit(owner, f"{name}, difference,", differences, relative.period, "Relative")
    if relative.circles is not None:
        differences = reduced(differences, relative.period)
    return GivenPairs(x_a, x_b, differences.astype("float32"))


class PairedBatches(PaddedBatches):
    """Batches of arrays with pairs: each has as many pairs as samples.

    Args:
        arrays: As in `PaddedBatches`, with a dict of targets.
        sources: Dict from a supervision's name to its `PairSource`.
        batch_size: As in `PaddedBatches`.
        num_parts: As in `PaddedBatches`.
        shuffle: Boolean, whether order and pairs are random. Defaults to `False`.
    """

    def __init__(
        self,
        arrays: tuple,
        sources: dict[str, PairSource],
        batch_size: int,
        num_parts: int,
        shuffle: bool = False,
    ):
        self.sources = sources
        # Of the generator that Keras seeds.
        self.generator = np.random.default_rng(np.random.randint(1 << 31) if shuffle else 0)  # noqa: NPY002
        super().__init__(arrays, batch_size, num_parts, shuffle, marked=num_parts > 1)

    def __getitem__(self, index):
        x, y, *weights = super().__getitem__(index)
        start = index * self.batch_size
        num = min(self.batch_size, self.num_rows - start)
        num += -num % self.num_parts
        pairs = {
            name: source.draw(num, self.generator, None if self.shuffle else start)
            for name, source in self.sources.items()
        }
        return (x, {**y, **pairs}, *weights)
