"""Supervision of coordinates in a model: its part of `compile`, of the data and of the loss."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import keras
import numpy as np
from keras import ops

from torusae import distribution
from torusae._internal import batches, checks
from torusae._internal.checks import Tensor
from torusae.supervision import Supervision
from torusae.supervision.base import Step


class Supervised(keras.Model):
    """A model whose latent coordinates can be supervised. A subclass has `encoder`, `latent` and `heads`."""

    supervision: Mapping[str, Supervision] = MappingProxyType({})  # set by `compile`
    supervision_seed: keras.random.SeedGenerator | None = None

    def compile(
        self,
        optimizer: Any = "adam",
        loss: Any = None,
        metrics: Any = None,
        *,
        supervision: Mapping[str, Supervision] | None = None,
        **kwargs: Any,
    ) -> None:
        """Checks and keeps the supervision, and compiles the rest as Keras does."""
        if supervision is not None and not isinstance(supervision, Mapping):
            raise TypeError(
                f"TorusAutoencoder: `supervision` must be a dict from names to Relative, Anchor or Action objects. "
                f"Received: supervision={supervision!r}."
            )
        supervision = dict(supervision or {})
        for name, each in supervision.items():
            owner = f"TorusAutoencoder, supervision[{name!r}]"
            if not isinstance(each, Supervision):
                raise TypeError(f"{owner}: must be a Relative, an Anchor or an Action. Received: {each!r}.")
            if name in ("reconstruction", "point", "loss") or name in self.heads:
                raise ValueError(
                    f"{owner}: another name is needed. Received: {name!r}, the name of an output or of a head."
                )
            each.check_space(owner, self.latent.space)
        logged = [f"{name}_{part}" for name in supervision for part in ("loss", "error")]
        taken = {term.name for term in self.latent.terms} | set(self.means.own)
        if twice := taken & set(logged):
            raise ValueError(
                f"TorusAutoencoder: `supervision` must have names of its own in the logs. Received: {sorted(twice)}, "
                f"logged by the model already."
            )
        if any(each.needs_seed for each in supervision.values()) and self.supervision_seed is None:
            self.supervision_seed = keras.random.SeedGenerator()
        self.supervision = supervision
        self.means.extend(logged)
        super().compile(optimizer=optimizer, loss=loss, metrics=metrics, **kwargs)

    def get_compile_config(self):
        """The arguments of `compile`, with the supervision if there is any."""
        config = super().get_compile_config()
        if config and self.supervision:
            config["supervision"] = {
                name: keras.saving.serialize_keras_object(each) for name, each in self.supervision.items()
            }
        return config

    def _supervised_losses(
        self, x: Tensor, targets: Mapping[str, Any], point: Tensor, training: bool
    ) -> tuple[list[Tensor], list[Tensor], Tensor | float]:
        """Mean losses and errors, their weights in the logs, and the weighted sum of the losses."""
        space = self.latent.space
        values, weights, relative = [], [], 0.0

        def encode(samples):
            # Not through the layer: its terms act on the samples of the batch alone.
            return space.point(self.latent.projection(self.encoder(samples, training=training)))

        step = Step(space, x, point, encode, self.supervision_seed)
        for name, each in self.supervision.items():
            if each.needs_data and name not in targets:
                values += [ops.zeros(())] * 2
                weights += [ops.zeros(())] * 2
                continue
            loss, error, count = each.loss_and_error(targets.get(name), step)
            values += [loss, error]
            weights += [count, count]
            relative = relative + each.weight * distribution.share(loss, count)
        return values, weights, relative

    def _check_split(self, owner: str, y: Any) -> None:
        """Raises where `validation_split` would have to divide pairs."""
        for name in self._names_of_data():
            if isinstance(y, Mapping) and name in y and not self.supervision[name].can_be_split(y[name]):
                raise ValueError(
                    f"{owner}: `validation_split` can't divide pairs. Received: pairs in y[{name!r}]. Give "
                    f"validation_data."
                )

    def _known_angles(self, num: int, targets: Mapping[str, Any]) -> np.ndarray | None:
        """True angles of samples as the supervision has them, `(num, num_angles)`, NaN where unknown, or `None`."""
        angles = np.full((num, self.latent.space.num_angles), np.nan)
        # Differences leave the zero of a circle free: anchors of the same one come last and count.
        for name, each in sorted(self.supervision.items(), key=lambda item: item[1].fixes_zero):
            values = each.known_angles(targets[name], num) if each.weight and name in targets else None
            if values is not None:
                angles[:, each.circles] = values
        return None if np.isnan(angles).all() else angles

    def _names_of_data(self) -> list[str]:
        """The names of the supervision that needs data."""
        return [name for name, each in self.supervision.items() if each.needs_data]

    def _has_pairs(self, y: Any) -> bool:
        """Whether targets hold pairs, or values that become pairs."""
        return isinstance(y, Mapping) and any(each.draws_pairs and name in y for name, each in self.supervision.items())

    def _check_supervision(self, owner: str, x: Any, targets: Mapping[str, Any], needs_data: bool) -> None:
        """Checks the numbers of a data set before training, on the host."""
        for name, each in self.supervision.items():
            if name in targets:
                if not each.needs_data:
                    raise ValueError(
                        f"{owner}: {type(each).__name__} {name!r} takes no data. Received: y[{name!r}]. Leave it out."
                    )
                each.prepared(owner, f"y[{name!r}]", targets[name], x, self.latent.space)
            elif needs_data and each.needs_data:
                raise ValueError(
                    f"{owner}: `y` must hold data for the supervision {name!r}, {each!r}. "
                    f"Received: {sorted(set(targets) - {'reconstruction'})}. Mark missing values with NaN, or compile "
                    f"without it."
                )

    def _batches(self, arrays: tuple, batch_size: int | None, shuffle: bool = False) -> batches.PaddedBatches | None:
        """Samples, targets and weights in batches, where Keras can't take them as they are; else `None`."""
        x, y, sample_weight = arrays
        if not self._has_pairs(y) or not checks.is_array(x):
            return batches.padded_batches(arrays, batch_size, shuffle)
        names = [name for name, each in self.supervision.items() if each.draws_pairs and name in y]
        x = checks.host_array(x)
        owner, space = type(self).__name__, self.latent.space
        sources = {name: self.supervision[name].prepared(owner, f"y[{name!r}]", y[name], x, space) for name in names}
        y = {name: checks.host_array(values) for name, values in y.items() if name not in names}
        given = (x, y) if sample_weight is None else (x, y, keras.tree.map_structure(checks.host_array, sample_weight))
        num_parts = distribution.num_parts()
        return batches.PaddedBatches(given, batch_size or 32, num_parts, shuffle, num_parts > 1, sources)
