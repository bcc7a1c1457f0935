"""Arrays in batches where Keras can't take them: several devices, memory-mapped files."""

import math
from typing import Any

import keras
import numpy as np

from torusae._internal import checks, keras_repairs, replicas, seeds

# The keys of a padded batch.
_SAMPLES, _COUNT = "padded samples", "number of samples"


class PaddedBatches(keras.utils.PyDataset):
    """Arrays in batches, each padded to a multiple of the number of devices.

    JAX divides a batch into equal parts, and Keras raises an error for a batch that is not divisible. Here rows are
    repeated as padding. `without_padding` removes them at the start of a step, so that the step computes the smaller
    batch exactly. A compiled step knows the shapes of its arrays but not their values, so the number of samples is
    passed as the shape of an array. Memory-mapped files are read one batch at a time.

    Args:
        arrays: `(x,)`, `(x, y)` or `(x, y, sample_weight)`, structures of NumPy arrays with one row per sample.
        batch_size: Integer, samples per batch.
        num_parts: Integer, the number of devices.
        shuffle: Boolean, whether each epoch has a new order, drawn as in Keras. Defaults to `False`.
        marked: Boolean, whether batches carry their number of samples for `without_padding`. Defaults to `True`.
        sources: Dict from the name of a target to a `PairSource`: a batch has as many pairs of it as samples. Defaults
            to `None`.
    """

    def __init__(
        self,
        arrays: tuple,
        batch_size: int,
        num_parts: int,
        shuffle: bool = False,
        marked: bool = True,
        sources: dict[str, Any] | None = None,
    ):
        super().__init__()
        self.arrays = arrays
        self.batch_size = batch_size
        self.num_parts = num_parts
        self.shuffle = shuffle
        self.marked = marked
        self.num_rows = len(keras.tree.flatten(arrays)[0])
        self.sources = sources or {}
        if self.sources:  # of the generator that Keras seeds
            self.generator = np.random.default_rng(np.random.randint(1 << 31) if shuffle else 0)  # noqa: NPY002
        self.order = np.arange(self.num_rows)
        self.on_epoch_begin()

    def __len__(self):
        return math.ceil(self.num_rows / self.batch_size)

    def on_epoch_begin(self):
        if self.shuffle:
            self.order = np.random.permutation(self.num_rows)  # noqa: NPY002, the generator that Keras seeds

    def __getitem__(self, index):
        rows = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        count = len(rows)
        rows = np.resize(rows, count + -count % self.num_parts)
        x, *rest = keras.tree.map_structure(lambda array: np.asarray(array[rows]), self.arrays)
        if self.sources:
            start = None if self.shuffle else index * self.batch_size
            pairs = {name: source.draw(len(rows), self.generator, start) for name, source in self.sources.items()}
            rest = [{**rest[0], **pairs}, *rest[1:]]
        if not self.marked:
            return (x, *rest)
        # Batches without padding are marked too: Keras lays out every batch as it does the first.
        return ({_SAMPLES: x, _COUNT: np.zeros((self.num_parts, count), "int8")}, *rest)


def without_padding(data: Any) -> Any:
    """A batch of `PaddedBatches` without its padding rows; any other batch unchanged."""
    x = data[0] if isinstance(data, (tuple, list)) and data else data
    if not (isinstance(x, dict) and set(x) == {_SAMPLES, _COUNT}):
        return data
    count = x[_COUNT].shape[1]
    return keras.tree.map_structure(lambda array: array[:count], (x[_SAMPLES], *data[1:]))


def rows_of(arrays: Any, rows: slice) -> Any:
    """Some rows of every array of a structure."""
    return keras.tree.map_structure(lambda array: None if array is None else array[rows], arrays)


def must_be_batched(arrays: Any) -> bool:
    """Whether Keras can't take arrays: it can't divide their batches, or would copy memory-mapped files."""
    return replicas.num_parts() > 1 or copies_memory_maps(arrays)


def copies_memory_maps(arrays: Any) -> bool:
    """Whether some arrays are memory-mapped files that Keras would copy into memory: as tensors, on TensorFlow."""
    flat = keras.tree.flatten(arrays)
    return keras.backend.backend() == "tensorflow" and any(isinstance(array, np.memmap) for array in flat)


def predict(function: Any, x: Any, batch_size: int | None, verbose: Any, **kwargs: Any) -> Any:
    """`function(x)`, a model's `predict`, also where Keras can't take `x` as it is: rows are padded and cut off."""
    with keras_repairs.state_kept(function.__self__):
        return _predict(function, x, batch_size, verbose, **kwargs)


def _predict(function: Any, x: Any, batch_size: int | None, verbose: Any, **kwargs: Any) -> Any:
    if checks.is_array(x) and not len(x):  # an error in Keras, after which a model on JAX has no weights
        outputs = _predict(function, np.zeros((1, *x.shape[1:]), "float32"), None, 0, **kwargs)
        return keras.tree.map_structure(lambda output: output[:0], outputs)
    if not checks.is_array(x) or not (seeds.DRAWS or must_be_batched(x)):
        return function(x, batch_size=batch_size, verbose=verbose, **kwargs)
    num_parts = replicas.num_parts()
    batch_size = batch_size or 32
    batch_size += -batch_size % num_parts
    batches = PaddedBatches((checks.host_array(x),), batch_size, num_parts, marked=False)
    outputs = function(seeds.quiet(batches), verbose=verbose, **kwargs)
    return keras.tree.map_structure(lambda output: output[: len(x)], outputs)
