"""What is fitted beside a trained model, a density and the noise: saved with it, forgotten when its weights change."""

import json
import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from torusae.autoencoder.noise import Noise
from torusae.spaces import Space


class Fitted:
    """Parts that were fitted to what a model makes of data, by name.

    A part is a density, an object with `sample(num_samples, seed)`, points of the model's space, or the `Noise` of
    samples. To be saved it is registered with Keras and has `get_config()`, `state()`, a dict of arrays, and
    `set_state(arrays)`.

    Args:
        owner: String, the model's class, for messages.
        space: The latent `Space` of the model.
        sample_shape: Tuple of integers, the shape of one sample.
    """

    def __init__(self, owner: str, space: Space, sample_shape: tuple[int, ...]):
        self.owner = owner
        self.space = space
        self.sample_shape = sample_shape
        self.parts: dict[str, Any] = {}
        self.made: dict[str, Any] = {}

    def get(self, name: str) -> Any:
        """The part, or `None`."""
        return self.parts.get(name)

    def set(self, name: str, part: Any) -> None:
        """Keeps a fitted part in place of the one before; `None` takes it away.

        Raises:
            ValueError: If it is of another space, or of other samples.
        """
        self.made.clear()
        if part is None:
            self.parts.pop(name, None)
            return
        if name == "noise":
            self._check_noise(part)
        else:
            self._check_density(name, part)
        self.parts[name] = part

    def _check_noise(self, part: Any) -> None:
        if not isinstance(part, Noise) or part.scale.shape != self.sample_shape:
            raise ValueError(
                f"{self.owner}.noise: must be the noise of samples of shape {self.sample_shape}. Received: {part!r}"
                f". Call fit_noise(x)."
            )

    def _check_density(self, name: str, part: Any) -> None:
        drawn, space = np.asarray(part.sample(1, 0)), getattr(part, "space", self.space)
        size = self.space.point_size
        if drawn.shape != (1, size) or not np.isfinite(drawn).all() or repr(space) != repr(self.space):
            raise ValueError(
                f"{self.owner}.{name}: must be of the model's space, {self.space!r}, with finite points of {size} "
                f"values. Received: {part!r}, which draws {drawn}. Call fit_{name}(x)."
            )

    def clear(self) -> None:
        """Forgets all parts: the weights are others now."""
        self.parts.clear()
        self.made.clear()

    def derived(self, name: str, make: Callable[[], Any]) -> Any:
        """What is made of the parts and the weights, once; it is not saved."""
        if name not in self.made:
            self.made[name] = make()
        return self.made[name]

    def save(self, store: Any) -> None:
        """Writes the parts to a store of Keras, a mapping from names to arrays. Warns of one that can't be saved."""
        for name, part in self.parts.items():
            try:
                config = keras.saving.serialize_keras_object(part)
                keras.saving.deserialize_keras_object(config)
                state = part.state()
            except Exception as error:  # whatever a user's own class raises: the model itself must be saved
                warnings.warn(
                    f"{self.owner}: the {name} {part!r} is not saved with the model ({error}). Register its class "
                    f"with keras.saving.register_keras_serializable, and give it get_config(), state() and "
                    f"set_state(arrays).",
                    stacklevel=2,
                )
                continue
            described = {"space": repr(self.space), "config": config}
            store[name] = np.frombuffer(json.dumps(described).encode(), dtype="uint8")
            for array, values in state.items():
                store[f"{name}:{array}"] = values

    def load(self, store: Any) -> None:
        """Replaces the parts by those of a store.

        Raises:
            ValueError: If one is damaged, or of another space.
        """
        self.clear()
        for name in [key for key in store.keys() if ":" not in key]:
            prefix = f"{name}:"
            try:
                described = json.loads(np.asarray(store[name]).tobytes().decode())
                if described["space"] != repr(self.space):
                    raise ValueError(f"it is of {described['space']}, not of the model's space, {self.space!r}")
                part = keras.saving.deserialize_keras_object(described["config"])
                keys = [key for key in store.keys() if key.startswith(prefix)]
                part.set_state({key.removeprefix(prefix): np.asarray(store[key]) for key in keys})
                self.set(name, part)
            except Exception as error:  # whatever the bytes of a damaged file make Keras or a user's class raise
                raise ValueError(
                    f"{self.owner}: the file's {name} must be one of this model. Received: {type(error).__name__}, "
                    f"{error}. Use another copy of the file, or save the model without it, after `model.{name} = None`."
                ) from error
