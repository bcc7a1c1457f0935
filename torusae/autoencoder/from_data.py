"""What `TorusAutoencoder.from_data` does before it makes a model: looks at data, scales them, chooses a space."""

import dataclasses
import sys
import warnings
from typing import Any

import keras
import numpy as np

from torusae._internal import checks, fingerprints
from torusae._internal.arrays import random_rows
from torusae._internal.scaling import Scaling
from torusae.autoencoder import adapter
from torusae.networks import autoencoder_networks, dense_decoder, dense_encoder
from torusae.topology import Suggestion, _graph
from torusae.topology.suggest import suggested

_BYTE = 255
_TOLERANCE = 0.01
_MAX_ROWS = 2000  # of which components are computed


class Start:
    """Angles that were found in rows, for a first training on these rows or some of them.

    Args:
        angles: Float array `(num, num_angles)`, radians.
        samples: The rows, as the model reads them.
    """

    def __init__(self, angles: np.ndarray, samples: np.ndarray):
        self.angles = angles
        self.rows = {number: row for row, number in enumerate(fingerprints.numbers(samples).tolist())}

    def of(self, samples: Any) -> np.ndarray | None:
        """The angles of these samples; `None` where one is new."""
        if not checks.is_array(samples):
            return None
        rows = [self.rows.get(number, -1) for number in fingerprints.numbers(checks.host_array(samples)).tolist()]
        if -1 in rows or not rows:
            return None
        return self.angles[rows]


@dataclasses.dataclass
class Looked:
    """What was seen in data and chosen for them.

    Attributes:
        sample_shape: Shape of a sample.
        columns: Names of a frame's columns, or `None`.
        scaling: `Scaling`, or `None` for images between 0 and 1.
        activation: Of images' outputs: `"sigmoid"`, or `None` for any numbers.
        dim: The space, as `from_shape` takes it.
        components: Level and principal components that stand out of noise, `(values,)` and `(count, values)`, as the
            encoder reads them; `None` where it reads samples as they are.
        suggestion: `Suggestion`, or `None` where the caller gave the space.
        start: `Start`, or `None`.
    """

    sample_shape: tuple[int, ...]
    columns: tuple[str, ...] | None
    scaling: Scaling | None
    activation: str | None
    dim: Any
    components: tuple[np.ndarray, np.ndarray] | None = None
    suggestion: Suggestion | None = None
    start: Start | None = None


def look(owner: str, x: Any, dim: Any, groups: Any, missing: bool, seed: int, verbose: Any) -> Looked:
    """Looks at data, and says in three lines what was seen and chosen."""
    seed = checks.positive_int(owner, "seed", seed, least=0)
    if dim is None:
        _graph.require(f"{owner}, dim=None")
    columns = tuple(map(str, x.columns)) if checks.is_frame(x) else None
    array = checks.numpy_array(owner, "x", x, missing=missing)
    least = 1 if dim is not None else _graph.LEAST_ROWS
    if array.ndim < 2 or len(array) < least or not array.size:
        raise ValueError(
            f"{owner}: `x` must have shape (num, ...) with at least {least} row(s). Received: x.shape={array.shape}."
            + ("" if dim is not None else " With fewer no circle can be found: name a space, such as dim=1.")
        )
    _check_values(owner, array, columns, missing)
    lines = [
        f"{len(array)} rows of " + (f"{array.shape[1]} columns" if array.ndim == 2 else f"shape {array.shape[1:]}")
    ]
    activation = None
    scaling: Scaling | None
    if groups is not None:
        rows = adapter.scaled_groups(owner, array, groups)
        scaling, sample = rows.scaling, rows.sample
        num_groups = len(np.unique(rows.group))
        lines[0] += f"; level and scale of each of {num_groups} groups are taken out."
    elif array.ndim == 4 and array.dtype == np.uint8:
        scaling, activation = Scaling(0.0, _BYTE), "sigmoid"
        lines[0] += "; images, divided by 255."
    elif array.ndim == 4 and np.nanmin(array) >= -_TOLERANCE and np.nanmax(array) <= 1 + _TOLERANCE:
        scaling, activation = None, "sigmoid"
        lines[0] += "; images, between 0 and 1 already."
    else:
        scaling = Scaling.of(array)
        lines[0] += f"; level and scale {'of each column' if array.ndim == 2 else 'of all values'} are taken out."
    if groups is None:
        sample = array if scaling is None else scaling.apply(array)
    looked = Looked(tuple(array.shape[1:]), columns, scaling, activation, dim)
    if array.ndim != 4:
        looked.components = _components(sample, np.random.default_rng(seed))
    if dim is None:
        looked.suggestion = suggestion = suggested(sample, seed)
        looked.start, looked.dim = Start(suggestion.angles, sample), suggestion.space
        lines += str(suggestion).splitlines()
        if not suggestion.circles.num_circles:
            warnings.warn(f"{owner}: {' '.join(suggestion.reasons)}", stacklevel=checks.users_level())
    else:
        lines.append(f"{dim!r}: as it was asked for.")
    if verbose:
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()
    return looked


def networks(looked: Looked, decoder_input_size: int) -> tuple[keras.Model, keras.Model]:
    """The encoder and the decoder of a model. Where samples hold much noise, the encoder reads their components."""
    if looked.components is None:
        return autoencoder_networks(looked.sample_shape, decoder_input_size, looked.activation)
    level, axes = looked.components
    inputs = keras.Input(looked.sample_shape, name="vector")
    read = keras.layers.Dense(len(axes), trainable=False, name="components")
    values = read(inputs if len(looked.sample_shape) == 1 else keras.layers.Flatten()(inputs))
    read.set_weights([axes.T, -axes @ level])
    encoder = keras.Model(inputs, dense_encoder((len(axes),), name="of_components")(values), name="encoder")
    return encoder, dense_decoder(looked.sample_shape, decoder_input_size)


def _components(x: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray] | None:
    """Level and principal components of samples that stand out of noise, the largest with variance 1.

    `None` where few do not. An encoder of few rows learns the noise of the others by heart, and new rows have another.
    """
    rows = np.nan_to_num(x.reshape(len(x), -1)[random_rows(len(x), _MAX_ROWS, rng)]).astype("float64")
    level = rows.mean(axis=0)
    _, sizes, axes = np.linalg.svd(rows - level, full_matrices=False)
    count = int(_graph.above_noise(sizes[: _graph.MAX_COMPONENTS] ** 2, (sizes**2).sum(), len(sizes)).sum())
    if count < 2 or len(sizes) - count < _graph.LEAST_NOISY:
        return None
    return level, axes[:count] * (np.sqrt(len(rows)) / sizes[0])


def _check_values(owner: str, x: np.ndarray, columns: tuple[str, ...] | None, missing: bool) -> None:
    """Raises where numbers are not finite or all rows are equal; warns of columns that say nothing."""
    if columns is not None and not missing:
        adapter.check_frame(owner, "x", x, columns)
    checks.finite_array(owner, "x", x, missing, adapter.WORD)
    if x.ndim != 2 or len(x) < 2:
        return
    constant = np.flatnonzero((x == x[0]).all(axis=0))
    if len(constant) == x.shape[1]:
        raise ValueError(f"{owner}: `x` must vary. Received: {len(x)} equal rows.")
    steps = np.diff(x.astype("float64"), axis=0)
    counters = np.flatnonzero((steps == steps[0]).all(axis=0) & (np.abs(steps[0]) == 1))

    def named(which: np.ndarray) -> str:
        names = [repr(columns[index]) if columns else str(index) for index in which[:5]]
        return ", ".join(names) + (", ..." if len(which) > 5 else "")

    said = []
    if len(constant):
        said.append(f"the column(s) {named(constant)} are constant and say nothing")
    if len(counters):
        said.append(f"the column(s) {named(counters)} count the rows: leave them out if they only name these")
    if said:
        warnings.warn(f"{owner}: {'; '.join(said)}.", stacklevel=checks.users_level())
