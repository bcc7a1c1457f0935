"""The last raw values of a training, kept for a logger."""

from typing import Any

import keras
import numpy as np
from keras import ops

from torusae._internal.checks import Tensor

_ROWS = 512


class RecentRows(keras.layers.Layer):
    """The last 512 rows that passed in training while a logger is attached: state of a step, and no weight.

    Keras collects the state of a compiled step from `variables`, and what it counts, saves and sets from `weights`. So
    the variable is in the first alone, as the state of a seed is. Keras would make a weight of an attribute that it
    tracks: hence `__dict__`.
    """

    variables: Any = ()  # in place of Keras' property, which is asked a dozen times a step

    def __init__(self, num_columns: int):
        super().__init__(name="recent", dtype="float32")
        self.num_columns = num_columns
        self.is_attached = False
        self.collected: list[Tensor] | None = None  # a list collects the rows of every call
        self.built = True

    def attach(self) -> None:
        """The rows become part of a training step that is compiled from now on."""
        if "rows" not in self.__dict__:  # one for all trainings: a step that TensorFlow compiled holds it
            self.__dict__["rows"] = keras.Variable(
                "zeros", (_ROWS, self.num_columns), "float32", False, aggregation="only_first_replica", name="rows"
            )
        self.is_attached, self.__dict__["variables"] = True, [self.__dict__["rows"]]

    def detach(self) -> None:
        """Ends what `attach` began. The rows can still be read."""
        self.is_attached, self.__dict__["variables"] = False, ()

    def clear(self) -> None:
        """Forgets the rows of an earlier training."""
        self.__dict__["rows"].assign(ops.zeros((_ROWS, self.num_columns)))

    def add(self, raw: Tensor) -> None:
        """Keeps the rows of a batch, `(batch, num_columns)`, and the last ones before them."""
        variable = self.__dict__["rows"]
        rows = ops.concatenate([ops.cast(ops.stop_gradient(raw), "float32"), variable.value])
        variable.assign(rows[:_ROWS])

    def numpy(self) -> np.ndarray:
        """The rows, newest batch first, `(at most 512, num_columns)`."""
        rows: Any = ops.convert_to_numpy(self.__dict__["rows"])
        return rows[np.any(rows != 0, axis=1)]
