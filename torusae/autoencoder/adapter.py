"""What comes into a model: converted and checked once, and passed on as row-aligned parts with names."""

import dataclasses
import math
import warnings
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from torusae._internal import batches, checks, replicas
from torusae._internal.scaling import FEW_ROWS, Scaling, check_sizes, checked_groups, of_groups
from torusae.layers import Head
from torusae.spaces import Space
from torusae.supervision import Supervision

_RANGE_TOLERANCE = 0.01
WORD = "If they are unknown cells, make the model with missing='ignore'."


@dataclasses.dataclass(frozen=True)
class Rows:
    """Parts of data with one row a sample: arrays on their way to Keras, tensors in a step.

    Attributes:
        sample: Samples `(num, *sample_shape)`, or a stream of batches.
        targets: Dict from `"reconstruction"`, a head's or a supervision's name to what it is compared with; of a
            stream, which brings its own, what was given beside it.
        weight: Weights of the samples `(num,)`, a dict of them with the keys of `targets`, or `None`.
        pairs: Dict from the name of a target to the `PairSource` that it became, or `None`.
        known: Mask of the cells of the reconstruction's target that are known, or `None`, all. The others are NaN.
        group: Integers `(num,)`, the group of each sample, a number in `scaling`, or `None`.
        scaling: What was taken out of samples and targets, and is put back into what is made of them, or `None`.
    """

    sample: Any
    targets: Any = None
    weight: Any = None
    pairs: Any = None
    known: Any = None
    group: Any = None
    scaling: Scaling | None = None

    def __getitem__(self, rows: slice) -> "Rows":
        """Some of the rows, of every part."""
        parts = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        scaling = parts.pop("scaling")
        return Rows(**{name: batches.rows_of(part, rows) for name, part in parts.items()}, scaling=scaling)

    def weight_of(self, name: str) -> Any:
        """The weights of the samples in one target's loss."""
        return self.weight.get(name) if isinstance(self.weight, Mapping) else self.weight

    def in_units(self, samples: np.ndarray) -> np.ndarray:
        """What was made of these rows, in the units and at the levels of the data."""
        return samples if self.scaling is None else self.scaling.undo(samples, self.group)

    def for_keras(self) -> tuple[Any, Any, Any]:
        """Samples, targets and weights as Keras' `fit` takes them."""
        if not isinstance(self.targets, Mapping):
            return self.sample, self.targets, self.weight
        targets = dict(self.targets)
        # Keras would compare and copy what it has as samples already. But it drops weights of outputs without targets.
        if targets["reconstruction"] is self.sample and (self.weight is None or isinstance(self.weight, Mapping)):
            del targets["reconstruction"]
        return self.sample, targets or None, self.weight


class Adapter:
    """Checks data against what a model takes, and names their parts.

    Args:
        owner: String, the model's class, for messages.
        sample_shape: Tuple of integers, the shape of one sample.
        output_range: Pair of floats, the least and the largest value that a reconstruction can have, or `None`.
        heads: Dict from a name to a `Head`.
        space: The latent `Space`.
        missing: Boolean, whether cells of samples may be NaN: unknown. Defaults to `False`.

    Attributes:
        supervision: Dict from a name to a `Supervision`. `compile` sets it.
        columns: Tuple of the columns' names of the data frame that the model was trained on, or `None`.
        scaling: The `Scaling` that is taken out of all samples, or `None`. In a step samples are without it.
    """

    def __init__(
        self,
        owner: str,
        sample_shape: tuple[int, ...],
        output_range: tuple[float, float] | None,
        heads: Mapping[str, Head],
        space: Space,
        missing: bool = False,
    ):
        self.owner = owner
        self.sample_shape = sample_shape
        self.output_range = output_range
        self.heads = heads
        self.space = space
        self.missing = missing
        self.supervision: Mapping[str, Supervision] = {}
        self.columns: tuple[str, ...] | None = None
        self.scaling: Scaling | None = None

    def named(self, method: str) -> str:
        """A method's name for messages."""
        return f"{self.owner}.{method}"

    # In a step: names, shapes and types, which are known while the step compiles.

    def rows(self, owner: str, x: Any, y: Any, sample_weight: Any = None) -> Rows:
        """The parts of arrays or of one batch. Without a target of its own, the reconstruction is compared with x."""
        if y is None:
            return Rows(x, {"reconstruction": x}, sample_weight, known=self._known(x), scaling=self.scaling)
        if not isinstance(y, Mapping):
            shape = tuple(y.shape) if hasattr(y, "shape") else None
            if shape is None or not checks.shapes_agree(shape[1:], self.sample_shape):
                heads = list(self.heads)
                raise ValueError(
                    f"{owner}: `y` must be a dict of labels by head, or targets of the reconstruction with "
                    f"shape {self._batch_shape()}. Received: "
                    + (f"y of type {type(y).__name__}. " if shape is None else f"y.shape={shape}. ")
                    + (f"Use y={{{heads[0]!r}: labels}}." if heads else "This model has no heads for labels.")
                )
            y = {"reconstruction": y}
        for name, values in y.items():
            if name not in self.heads and name not in self.supervision and name != "reconstruction":
                checks.option(owner, "y", name, ["reconstruction", *self.heads, *self.supervision])
            if name not in self.supervision and not hasattr(values, "shape"):
                raise TypeError(
                    f"{owner}: y[{name!r}] must be an array or a tensor. Received: {type(values).__name__}. "
                    f"Use numpy.asarray(values)."
                )
        if "reconstruction" in y:
            self.check_samples(owner, "y['reconstruction']", y["reconstruction"])
        targets = {"reconstruction": x, **y}
        return Rows(x, targets, sample_weight, known=self._known(targets["reconstruction"]), scaling=self.scaling)

    def _known(self, target: Any) -> Any:
        """The mask of the known cells: of a step, which gets no mask beside its batch."""
        return ops.logical_not(ops.isnan(target)) if self.missing and not isinstance(target, np.ndarray) else None

    def check_samples(self, owner: str, name: str, samples: Any) -> None:
        """Checks the shape and the dtype of samples: arrays, or tensors while a step compiles."""
        shape = tuple(samples.shape)
        if shape[1:] != self.sample_shape and not checks.shapes_agree(shape[1:], self.sample_shape):
            fix = "Use x[..., None]." if (*shape[1:], 1) == self.sample_shape else "Reshape it first."
            if shape == self.sample_shape:
                fix = "For a single sample use x[None]. For many, make the model with x.shape[1:]."
            raise ValueError(f"{owner}: `{name}` must have shape {self._batch_shape()}. Received: shape={shape}. {fix}")
        dtype = str(samples.dtype)
        # Integers would train without a word: images of 0 to 255 against outputs between 0 and 1.
        if "float" not in dtype and self.scaling is None:
            raise TypeError(
                f"{owner}: `{name}` must be floating-point numbers. Received: dtype={dtype}. "
                f"For images of 0 to 255 use x.astype('float32') / 255."
            )

    def _batch_shape(self) -> str:
        return f"(batch, {', '.join(map(str, self.sample_shape))})"

    def no_labels(self, owner: str, name: str, y: Any) -> ValueError:
        """The error for a head without labels."""
        return ValueError(
            f"{owner}: `y` must hold labels for the head {name!r}. Received: {sorted(y) if y else y}. "
            f"Mark missing labels with {self.heads[name].missing_label}."
        )

    # At the door: values too, before anything is computed.

    def check(
        self,
        method: str,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        least: int = 0,
        groups: Any = None,
        offset: str | None = None,
    ) -> Rows:
        """The parts of a data set of so many rows at least. A stream's batches are checked in the steps."""
        return self._with_pairs(method, self._checked(method, x, y, sample_weight, least, groups, offset))

    def check_and_split(
        self, method: str, x: Any, y: Any, sample_weight: Any, fraction: float, groups: Any = None
    ) -> tuple[Rows, Rows | None]:
        """As `check` of training data: the rows to train on, and the last ones, a fraction, to validate on.

        Every head and supervision must have its data, and the decoder must reach every target. A stream can't be split.
        """
        rows = self._checked(method, x, y, sample_weight, 1, groups, trains=True)
        if not fraction or not checks.is_array(rows.sample):
            return self._with_pairs(method, rows), None
        owner, num = self.named(method), len(rows.sample)
        for name, each in self.supervision.items():
            if name in rows.targets and not each.can_be_split(rows.targets[name]):
                raise ValueError(
                    f"{owner}: `validation_split` can't divide pairs. Received: pairs in y[{name!r}]. Give "
                    f"validation_data."
                )
        first = math.floor(num * (1 - fraction))
        if not 0 < first < num:
            raise ValueError(
                f"{owner}: `validation_split` must leave rows on both sides. Received: validation_split={fraction} of "
                f"{num} rows."
            )
        return self._with_pairs(method, rows[:first]), self._with_pairs(method, rows[first:])

    def _checked(
        self,
        method: str,
        x: Any,
        y: Any,
        sample_weight: Any,
        least: int,
        groups: Any = None,
        offset: str | None = None,
        trains: bool = False,
    ) -> Rows:
        owner = self.named(method)
        x = self._array(owner, "x", x, trains)
        if not checks.is_array(x):
            self._no_stream(owner, x, groups)
            return Rows(x, y, sample_weight)
        self.check_samples(owner, "x", x)
        if len(x) < least:
            raise ValueError(f"{owner}: `x` must hold at least one sample. Received: x.shape={tuple(x.shape)}.")
        y, weight = _named(owner, "y", y, numbers=False), _named(owner, "sample_weight", sample_weight)
        rows = self.rows(owner, x, y, weight)
        for each in keras.tree.flatten(weight):
            checks.finite_array(owner, "sample_weight", 0.0 if each is None else checks.host_array(each))
        targets = dict(rows.targets)
        host = checks.host_array(x)
        name, target = "x", host
        complete = self._check_finite(owner, name, host)
        if targets["reconstruction"] is not x:
            name, target = "y['reconstruction']", checks.host_array(targets["reconstruction"])
            complete = self._check_finite(owner, name, target)
        known = None if complete else ~np.isnan(target)
        given = self._scaled(owner, host, groups, offset, trains)
        if given.scaling is not None:
            rows = dataclasses.replace(given, weight=rows.weight)
            host, target = given.sample, given.sample if target is host else given.scaling.apply(target, given.group)
            targets["reconstruction"] = target
        if trains:
            self._check_range(owner, name, target)
        for name, head in self.heads.items():
            if name in targets:
                head.check_labels(targets[name], len(x), owner, f"y[{name!r}]")
            elif trains:
                raise self.no_labels(owner, name, y)
        for name, each in self.supervision.items():
            if name in targets:
                if not each.needs_data:
                    raise ValueError(
                        f"{owner}: {type(each).__name__} {name!r} takes no data. Received: y[{name!r}]. Leave it out."
                    )
                if given.scaling is not None:
                    targets[name] = self._scaled_pairs(owner, name, targets[name], given.scaling)
                if not each.draws_pairs:
                    targets[name] = each.prepared(owner, f"y[{name!r}]", targets[name], host, self.space)
            elif trains and each.needs_data:
                raise ValueError(
                    f"{owner}: `y` must hold data for the supervision {name!r}, {each!r}. "
                    f"Received: {sorted(set(targets) - {'reconstruction'})}. Mark missing values with NaN, or compile "
                    f"without it."
                )
        return dataclasses.replace(rows, targets=targets, known=known)

    def _with_pairs(self, method: str, rows: Rows) -> Rows:
        """The rows, with targets that are pairs, or values that become pairs, as sources of them."""
        if not checks.is_array(rows.sample):
            return rows
        owner, x = self.named(method), checks.host_array(rows.sample)
        pairs = {
            name: each.prepared(owner, f"y[{name!r}]", rows.targets[name], x, self.space)
            for name, each in self.supervision.items()
            if each.draws_pairs and name in rows.targets
        }
        for name, source in pairs.items():
            for side, samples in zip(("x_a", "x_b"), getattr(source, "arrays", ()), strict=False):
                self._check_finite(owner, f"y[{name!r}], {side}", samples)
        return dataclasses.replace(rows, pairs=pairs)

    def check_rows(self, method: str, name: str, x: Any, groups: Any = None, offset: str | None = None) -> Rows:
        """Samples, checked: where a stream is an error."""
        owner = self.named(method)
        x = self._array(owner, name, x)
        if not checks.is_array(x):
            raise TypeError(f"{owner}: `{name}` must be an array of samples. Received: {type(x).__name__}.")
        self.check_samples(owner, name, x)
        x = checks.host_array(x)
        self._check_finite(owner, name, x)
        return self._scaled(owner, x, groups, offset)

    def in_units(self, samples: np.ndarray) -> np.ndarray:
        """Decoded samples in the units of the data; with groups at their common level."""
        return Rows(None, scaling=self.scaling).in_units(samples)

    def _scaled(self, owner: str, x: np.ndarray, groups: Any, offset: str | None = None, trains: bool = False) -> Rows:
        """Samples without level and scale, and what was taken out."""
        scaling = self.scaling
        if offset is not None:
            checks.option(owner, "offset", offset, ("estimate",))
        if groups is not None:
            if scaling is None and trains:
                return scaled_groups(owner, x, groups)
            groups = checked_groups(owner, groups, len(x))
            if scaling is None or scaling.groups is None:
                raise ValueError(
                    f"{owner}: `groups` must be left out: this model was made without them. Received: groups of "
                    f"{len(groups)} rows. Give groups to TorusAutoencoder.from_data, or to the first fit."
                )
        elif scaling is None or scaling.groups is None or not len(x):
            return Rows(x) if scaling is None else Rows(scaling.apply(x), scaling=scaling)
        elif offset is None:
            raise ValueError(
                f"{owner}: `groups` must be given: this model takes out the level and the scale of each group. "
                f"Received: groups=None. Give the group of each row, or offset='estimate' where all rows are of one "
                f"new group."
            )
        else:
            scaling = Scaling(scaling.mean, scaling.scale)  # all rows are one new group
            groups = np.zeros(len(x), int)
        new = groups[scaling.index(groups) < 0]
        if len(new):
            if offset is None:
                shown = ", ".join(map(repr, (scaling.groups or ())[:5])) + (
                    ", ..." if len(scaling.groups or ()) > 5 else ""
                )
                raise ValueError(
                    f"{owner}: `groups` must be those of the training: {shown}. Received: {new.tolist()[0]!r}, in "
                    f"{len(new)} row(s) of groups it does not know. Use offset='estimate', which takes a new group's "
                    f"level and scale from the rows given here."
                )
            check_sizes(owner, new)
            scaling = scaling.with_groups_of(x, groups)
        group = scaling.index(groups)
        return Rows(scaling.apply(x, group), group=group, scaling=scaling)

    def _scaled_pairs(self, owner: str, name: str, values: Any, scaling: Scaling) -> Any:
        """Supervision's data, with samples among them, as in pairs, without level and scale."""
        if not isinstance(values, tuple) or len(values) != 3:
            return values
        if scaling.groups is not None:
            raise ValueError(
                f"{owner}: y[{name!r}] can't be pairs of samples in a model with groups, whose groups nobody knows. "
                f"Received: a triple. Give values of the samples, or (groups, values)."
            )
        fits = [checks.shapes_agree(checks.host_array(each).shape[1:], self.sample_shape) for each in values[:2]]
        return (*(map(scaling.apply, map(checks.host_array, values[:2])) if all(fits) else values[:2]), values[2])

    def _no_stream(self, owner: str, x: Any, groups: Any) -> None:
        """Raises where a stream came that would have to be scaled."""
        if self.scaling is not None or groups is not None:
            raise TypeError(
                f"{owner}: `x` must be an array or a data frame: level and scale are taken out of it. Received: "
                f"{type(x).__name__}. For streams use TorusAutoencoder.from_shape, with samples that are scaled."
            )

    def _check_finite(self, owner: str, name: str, x: np.ndarray) -> bool:
        return checks.finite_array(owner, name, x, self.missing, WORD)

    def _array(self, owner: str, name: str, x: Any, trains: bool = False) -> Any:
        """Samples by the door of data, or a stream as it is. Training keeps the names of a frame's columns."""
        if isinstance(x, tuple):
            raise TypeError(f"{owner}: `{name}` must be one array, not a tuple. Use numpy.asarray(x).")
        if not isinstance(x, list) and not checks.is_array(x):
            if isinstance(x, (str, bytes, Mapping)) or not (hasattr(x, "__iter__") or hasattr(x, "__getitem__")):
                raise TypeError(
                    f"{owner}: `{name}` must be an array or a stream of batches. Received: {type(x).__name__}."
                )
            return x
        array = checks.as_array(owner, name, x, missing=self.missing)
        if not checks.is_frame(x):
            return array.astype("float32") if isinstance(x, list) and self.scaling is None else array
        columns = tuple(map(str, x.columns))
        if (not trains or self.scaling is not None) and self.columns not in (None, columns):
            raise ValueError(
                f"{owner}: `{name}` must have the columns of the training, in their order: {list(self.columns or ())}. "
                f"Received: {list(columns)}."
            )
        if not self.missing:
            check_frame(owner, name, array, columns)
        if trains:
            self.columns = columns
        return array if self.scaling is not None else array.astype("float32")

    def _check_range(self, owner: str, name: str, target: np.ndarray) -> None:
        """Checks that the decoder can produce a target: a sigmoid can't reach pixels of 0 to 255."""
        if self.output_range is None or not target.size:
            return
        least, largest = self.output_range
        found = float(np.fmin.reduce(target, axis=None)), float(np.fmax.reduce(target, axis=None))  # but for NaN
        if found[0] < least - _RANGE_TOLERANCE or found[1] > largest + _RANGE_TOLERANCE:
            fix = f"Use {name} / 255." if found[0] >= 0 and 2 < found[1] <= 255 else "Scale the data, or give a decoder"
            fix += "" if fix.endswith(".") else " with a linear output: conv_decoder(..., activation=None)."
            raise ValueError(
                f"{owner}: `{name}` must lie in [{least:g}, {largest:g}], the range of the decoder's output. "
                f"Received: values from {found[0]:g} to {found[1]:g}. {fix}"
            )

    # On the way to Keras.

    def batches(
        self, rows: Rows, batch_size: int | None, shuffle: bool = False, always: bool = False
    ) -> keras.utils.PyDataset | None:
        """The rows in batches, where Keras can't take them as they are or `always`; else `None`."""
        x, y, sample_weight = arrays = rows.for_keras()
        if not checks.is_array(x):
            return None
        num_parts, batch_size = replicas.num_parts(), batch_size or 32
        divides = all(size % num_parts == 0 for size in (len(x), batch_size))
        if divides and not (always or rows.pairs or batches.copies_memory_maps(arrays)):
            return None
        if rows.pairs:
            y = {name: values for name, values in y.items() if name not in rows.pairs}
        given = [each for each in (x, y, sample_weight) if each is not None]
        given = keras.tree.map_structure(checks.host_array, given)
        return batches.PaddedBatches(tuple(given), batch_size, num_parts, shuffle, num_parts > 1, rows.pairs)


def check_frame(owner: str, name: str, array: np.ndarray, columns: tuple[str, ...]) -> None:
    """Raises if a frame lacks a value, naming the column."""
    missing = np.argwhere(np.isnan(array))
    if len(missing):
        row, column = missing[0]
        raise ValueError(
            f"{owner}: `{name}` must hold finite numbers only. Received: nan at position ({row}, {column}), the "
            f"column {columns[column]!r}, {len(missing)} such value(s). Fill these values, or leave their rows out. "
            f"{WORD}"
        )


def scaled_groups(owner: str, x: np.ndarray, groups: Any) -> Rows:
    """Samples without level and scale of their groups. Warns of groups that are too small to tell these.

    Raises:
        ValueError: If a group has one row.
    """
    scaling, group = of_groups(owner, x, groups)
    counts = np.bincount(group)
    few = [name for name, count in zip(scaling.groups or (), counts, strict=True) if count < FEW_ROWS]
    parts = [x[group == number].reshape(count, -1) for number, count in enumerate(counts)]
    constant = np.array([(part == part[0]).all(axis=0) for part in parts])
    some = int((constant.any(axis=0) & ~(x.reshape(len(x), -1) == x[:1].reshape(1, -1)).all(axis=0)).sum())
    said = [f"{len(few)} of `groups` have fewer than {FEW_ROWS} rows, such as {few[0]!r}"] if few else []
    said += [f"{some} column(s) are constant within a group, where they say nothing"] if some else []
    if said:
        warnings.warn(f"{owner}: {'; '.join(said)}.", stacklevel=checks.users_level())
    return Rows(scaling.apply(x, group), group=group, scaling=scaling)


def _named(owner: str, name: str, values: Any, numbers: bool = True) -> Any:
    """Labels or weights by the door of data, in a dict each by its name, and so the parts of pairs and groups."""
    if values is None:
        return None
    if isinstance(values, Mapping):
        return {key: _named(owner, f"{name}[{key!r}]", each, numbers) for key, each in values.items()}
    if isinstance(values, tuple) or (isinstance(values, list) and len(values) in (2, 3) and np.ndim(values[0])):
        return tuple(checks.as_array(owner, name, each, numbers) for each in values)
    return checks.as_array(owner, name, values, numbers)
