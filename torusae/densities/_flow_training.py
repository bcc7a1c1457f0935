"""The training of a triangular map: by the likelihood of positions on the torus, on the backend."""

import math

import keras
import numpy as np
from keras import ops

from torusae._internal import keras_repairs
from torusae._internal.arrays import blocks
from torusae.densities import _triangular

_HELD_OUT = 0.1  # share of the points that judge the others' fit
_LEAST_HELD_OUT = 500  # of them, where these are at most a quarter of the points
_UNITS = 64  # of both hidden layers
_MANY_UNITS = 128  # for more than four circles
_RATE = 0.02  # of Adam at the start, for 64 units; for more it is smaller in proportion. It falls to 0 as a cosine.
_DECAY = 600  # of the weights, divided by the number of points
_PATIENCE = 2  # epochs without progress, after which the best weights and a smaller rate come back
_BACKOFF = 0.3  # the factor of that smaller rate
_LEAST_BACKOFF = 0.005  # the training ends below this product of factors
_BATCHES = (64, 1024)  # least and largest batch, powers of 2
_STEPS = 50  # least number of steps in an epoch
_BLOCK = 1 << 11  # rows at a time: bounds the memory


class Training:
    """The training of a map on positions `(num, dim)` in turns, with the best weights so far.

    Attributes:
        weights: The weights with the largest likelihood of the points held out, those of the identity at first.
        score: The mean log density of the points held out by these weights, nats.
        epoch: The epoch of these weights, -1 for the identity.
    """

    def __init__(self, turns: np.ndarray, num_bins: int, units: int | None, rng: np.random.Generator):
        turns = rng.permutation(turns)
        num_held = int(max(_HELD_OUT * len(turns), min(_LEAST_HELD_OUT, len(turns) / 4)))
        self.held, self.seen = turns[:num_held], turns[num_held:]
        self.batch = int(np.clip(2 ** int(math.log2(len(self.seen) / _STEPS + 1)), *_BATCHES))
        self.batch = min(self.batch, len(self.seen))
        dim = turns.shape[1]
        units = units or (_UNITS if dim <= 4 else _MANY_UNITS)
        self.rng, self.rate = rng, _RATE * min(_UNITS / units, 1.0)
        self.network = _Network(_triangular.identity(dim, units, num_bins, rng))
        optimizer = keras.optimizers.AdamW(self.rate, weight_decay=min(_DECAY / len(self.seen), 1.0))
        optimizer.exclude_from_weight_decay(var_names=["bias"])
        self.network.compile(optimizer)
        self.weights, self.score, self.epoch = self.network.get_weights(), -math.inf, -1

    def run(self, epochs: int, verbose: bool) -> None:
        """Trains for at most so many epochs."""
        progress = keras.utils.Progbar(epochs, stateful_metrics=["held_out"], unit_name="epoch")
        failures, backoff = 0, 1.0
        self._judge(-1)  # the uniform density too
        for epoch in range(epochs):
            self.network.optimizer.learning_rate = self.rate * backoff * math.cos(math.pi * epoch / epochs / 2) ** 2
            # In this order and without a last smaller batch: Keras shuffles by the global seed.
            self.network.fit(self._rows(), batch_size=self.batch, shuffle=False, verbose=0)
            better, score = self._judge(epoch)
            failures = 0 if better else failures + 1
            if verbose:
                progress.update(epoch + 1, [("held_out", score)])
            if failures == _PATIENCE:
                self.network.set_weights(self.weights)
                failures, backoff = 0, backoff * _BACKOFF
                if backoff < _LEAST_BACKOFF:
                    break

    def _rows(self) -> np.ndarray:
        """The points of an epoch in a random order, repeated where they are few."""
        num = self.batch * max(_STEPS, len(self.seen) // self.batch)
        orders = [self.rng.permutation(len(self.seen)) for _ in range(-(-num // len(self.seen)))]
        return self.seen[np.concatenate(orders)[:num]].astype("float32")

    def _judge(self, epoch: int) -> tuple[bool, float]:
        """Keeps the present weights if they are the best, and returns whether they are, and their score."""
        weights = [array.astype("float64") for array in self.network.get_weights()]
        logs = [_triangular.log_density(self.held[rows], weights) for rows in blocks(len(self.held), _BLOCK)]
        score = float(np.mean(np.concatenate(logs)))
        better = score > self.score
        if better:
            self.weights, self.score, self.epoch = weights, score, epoch
        return better, score


class _Network(keras.Model):
    """The networks of all circles while they learn. It returns the log density of positions in turns."""

    def __init__(self, weights: list[np.ndarray]):
        super().__init__(name="flow", dtype="float32")
        keras_repairs.keep_state(self)
        self.arrays = [
            self.add_weight(shape=array.shape, initializer="zeros", name=name)
            for name, array in zip(_triangular.WEIGHTS, weights, strict=True)
        ]
        self.built = True
        self.set_weights(weights)

    def call(self, turns):
        return _triangular.log_density(turns, [ops.convert_to_tensor(array) for array in self.arrays])

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return -ops.mean(y_pred)
