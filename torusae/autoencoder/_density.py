"""The density of a model: fitted to the points of a training, saved with the weights, out of date when these change."""

import json
import random
import time
import warnings
import zlib
from typing import Any

import keras
import numpy as np
from keras import ops

from torusae._internal import batches, checks
from torusae.autoencoder._halves import Halves
from torusae.densities import densities_of

_MOST_ROWS = 60_000  # a fit then takes seconds
_LEAST_ROWS = 300  # with fewer, a density says less than the prior
_STATE = "density_"  # before the names of a density's arrays in a weights file


class Deferred:
    """A density with the points that it will be fitted to.

    A fit takes about 1000 short steps, and a compilation on JAX and TensorFlow: 2 to 4 seconds for a table of 2000 rows
    that trains in as many, and again for every call of `fit` in a loop. So `fit` only keeps the points, which costs
    less than a fifth of an epoch, and the fit waits until someone asks for the density.
    """

    def __init__(self, density: Any, points: np.ndarray, verbose: bool):
        self.density = density
        self.points = points
        self.verbose = verbose

    def fitted(self) -> Any:
        """The density, fitted. Says so in one line."""
        start = time.perf_counter()
        self.density.fit(self.points)
        if self.verbose:
            held_out = getattr(self.density, "held_out", None)
            print(  # noqa: T201 - `verbose` asks for it
                f"Fitted {type(self.density).__name__} to {len(self.points)} points of the training in "
                f"{time.perf_counter() - start:.1f} s"
                + ("." if held_out is None else f": held-out log likelihood {held_out:.3f} nats.")
            )
        return self.density


class Fitted(Halves):
    """A model with a density of its points."""

    _density: Any = None  # fitted, `Deferred` or `None`
    _density_mark: int | None = None  # of the weights that it was fitted with
    _density_choice: str | None = None  # "auto" or a name: what `fit` fits

    @property
    def density(self) -> Any:
        """The density that `fit` or `fit_density` fitted to points, or `None`. That of `fit` is fitted at first use."""
        if isinstance(self._density, Deferred):
            self._density = self._density.fitted()
        return self._density

    @density.setter
    def density(self, density: Any) -> None:
        self._density = density
        self._density_mark = None if density is None else _mark(self)
        self._said_stale = False

    @property
    def density_is_stale(self) -> bool:
        """Whether the weights changed after the density was fitted."""
        return self._density_mark is not None and self._density_mark != _mark(self)

    def _trained(self, x, history, batch_size, verbose):
        """Keeps the points of a training's samples for a density that is fitted at its first use."""
        if not self._density_choice or not checks.is_array(x) or len(x) < _LEAST_ROWS:
            return
        if not history.epoch or not np.isfinite(history.history["loss"][-1]):
            return
        named = densities_of(self.latent.space)
        name = next(iter(named)) if self._density_choice == "auto" else self._density_choice
        seed = random.randrange(2**31)  # the generator that Keras seeds its layers with
        density = named[name](seed=seed)
        if self._density_choice == "auto" and not hasattr(density, "to_uniform"):
            return
        rows = np.arange(len(x))
        if len(rows) > _MOST_ROWS:
            rows = np.sort(np.random.default_rng(seed).choice(len(x), _MOST_ROWS, replace=False))
        x = checks.host_array(x)
        size = 4 * (batch_size or 32)  # without gradients they need no more memory than a batch of the training
        # In blocks, so that of a memory-mapped file only some rows are in memory.
        blocks = [rows[start : start + 4 * size] for start in range(0, len(rows), 4 * size)]
        points = [batches.predict(self.encoding_model.predict, x[block], size, 0)["point"] for block in blocks]
        points = np.concatenate(points)
        if np.isfinite(points).all():
            self.density = Deferred(density, points, verbose != 0)

    def _fresh_density(self, method: str) -> Any:
        """The density. Warns once if it is out of date."""
        if self.density_is_stale and not self._said_stale:
            self._said_stale = True
            warnings.warn(
                f"TorusAutoencoder.{method}: the weights changed after the density was fitted. Call fit_density(x) "
                f"with the training data.",
                stacklevel=3,
            )
        return self.density

    def _flow(self, method: str) -> Any:
        """The fitted density, if it is a map onto uniform angles."""
        owner = f"TorusAutoencoder.{method}"
        if hasattr(self.density, "to_uniform"):
            return self._fresh_density(method)
        if "flow" not in densities_of(self.latent.space):
            raise ValueError(
                f"{owner}: uniform=True needs a flow, and only a torus has one. Received: {self.latent.space!r}. "
                f"Use uniform=False."
            )
        raise ValueError(
            f"{owner}: uniform=True needs a fitted flow. Received: {self.density!r}. "
            f"Call fit_density(x, 'flow') with the training data first."
        )

    def save_own_variables(self, store):
        """Saves the fitted density."""
        _save(self, store)

    def load_own_variables(self, store):
        """Loads the fitted density, if the file holds one."""
        self._density, self._density_mark = _loaded(store)
        self.was_trained = True
        self._said_stale = False


def _mark(model: Fitted) -> int:
    """A checksum of weights that every step of training changes: the latent layer's, and the encoder's small ones."""
    weights = model.latent.projection.weights + [each for each in model.encoder.weights if len(each.shape) < 2]
    arrays = [np.asarray(ops.convert_to_numpy(each), dtype="float32") for each in weights]
    return zlib.crc32(b"".join(array.tobytes() for array in arrays))


def _save(model: Fitted, store: Any) -> None:
    """Writes a density. One of a user's own class must be registered with Keras and have a state."""
    density = model._density
    if density is None:
        return
    try:
        density = model.density
        config = keras.saving.serialize_keras_object(density)
        keras.saving.deserialize_keras_object(config)
        state = density.state()
    except Exception as error:  # whatever a user's own class raises: the model itself must be saved
        warnings.warn(
            f"TorusAutoencoder: the density {density!r} is not saved with the model ({error}). Register its class with "
            f"keras.saving.register_keras_serializable, and give it get_config(), state() and set_state(arrays).",
            stacklevel=2,
        )
        return
    store["density"] = np.frombuffer(json.dumps(config).encode(), dtype="uint8")
    store["mark"] = np.array(model._density_mark, "int64")
    for name, array in state.items():
        store[_STATE + name] = array


def _loaded(store: Any) -> tuple[Any, int | None]:
    """The density in a file and the mark of the weights that it was fitted with."""
    names = list(store.keys())
    if "density" not in names:
        return None, None
    config = json.loads(np.asarray(store["density"]).tobytes().decode())
    density = keras.saving.deserialize_keras_object(config)
    density.set_state({name.removeprefix(_STATE): np.asarray(store[name]) for name in names if name.startswith(_STATE)})
    return density, int(np.asarray(store["mark"])) if "mark" in names else None
