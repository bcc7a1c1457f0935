"""The configuration of an object: the arguments of its constructor, which are attributes of the same names."""

import inspect
from typing import Any, Self

import keras


class Configured:
    """What Keras asks of an object that it saves: `get_config` and `from_config`."""

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments: the attributes of their names."""
        names = inspect.signature(type(self)).parameters
        return {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in names}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Returns the object that `get_config` describes."""
        return cls(**{name: keras.saving.deserialize_keras_object(value) for name, value in config.items()})
