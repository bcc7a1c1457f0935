"""A sampler for any latent space: fitted points, moved along shortest paths to their neighbours."""

from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from torusae._internal import checks
from torusae.densities.base import Density, optional_seed

_PAIRS = 1 << 19  # distances at a time: bounds the memory


@keras.saving.register_keras_serializable(package="torusae")
class PathDensity(Density):
    """Samples near fitted points of any space: each moves a point along the shortest path to one of its neighbours.

    It asks the space for `distance(a, b)` and `shortest(start, end, t)` alone, and has no `log_density`.

    Formula: with a random fitted point `p`, one of its `k` nearest neighbours `q`, and `t = min(|ε|, 1)` for
    `ε ~ N(0, scale²)`, the sample is the point that divides the shortest path from `p` to `q` at the share `t`. The
    mean square step is the one of `TorusNeighborDensity` along the data.

    Args:
        space: The latent space of the points. It is a part of the config.
        num_neighbors: Integer, `k`. Defaults to `5`.
        scale: Float, positive, root mean square of the share of the way to the neighbour. Defaults to `0.4`.
        max_points: Integer, above `num_neighbors`. Of more points a random choice is kept. Defaults to `5000`.
        seed: Integer, seed of that choice. Defaults to `None`, a random seed.

    Example:

    >>> import torusae
    >>> space = torusae.Torus(2) * torusae.Gaussian(1)
    >>> torusae.densities.PathDensity(space).fit(space.sample(100, seed=0))
    PathDensity(100 points of Torus(2) * Gaussian(1))

    Reference:
        Chawla et al. (2002), SMOTE, for steps to neighbours; along geodesics and with these shares a torusae choice.
    """

    _arguments = ("space", "num_neighbors", "scale", "max_points", "seed")
    _state: ClassVar = {"points": "float32"}

    def __init__(
        self,
        space: Any,
        num_neighbors: int = 5,
        scale: float = 0.4,
        max_points: int = 5000,
        seed: int | None = None,
    ):
        owner = "PathDensity"
        if isinstance(space, type) or not all(
            callable(getattr(space, name, None)) for name in ("distance", "shortest")
        ):
            raise TypeError(
                f"{owner}: `space` must be a latent space with the methods `distance` and `shortest`. "
                f"Received: space={space!r}. Give the space of the model's latent layer, model.latent.space."
            )
        self.space = space
        self.num_neighbors = checks.positive_int(owner, "num_neighbors", num_neighbors)
        self.scale = checks.positive_float(owner, "scale", scale)
        self.max_points = checks.positive_int(owner, "max_points", max_points, least=self.num_neighbors + 1)
        self.seed = optional_seed(owner, seed)

    def log_density(self, points):
        """Not available: a step along a path has no density on the whole space."""
        raise NotImplementedError(
            "PathDensity.log_density: PathDensity can only sample. For log densities on a torus fit a "
            "VonMisesMixture or a TorusNeighborDensity."
        )

    def get_config(self):
        return {**super().get_config(), "space": keras.saving.serialize_keras_object(self.space)}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "space": keras.saving.deserialize_keras_object(config["space"])})

    def _summary(self):
        return f"{len(self.points)} points of {self.space!r}"

    def _num_columns(self, fitting):
        return self.space.point_size

    def _least_points(self):
        return self.num_neighbors + 1, "Lower num_neighbors."

    def _prepare(self):
        # Filled row by row as points are drawn: few samples need few of the distances.
        self._neighbors = np.full((len(self.points), self.num_neighbors), -1)

    def _find_neighbors(self, rows: np.ndarray) -> None:
        """Fills some rows of the table of neighbours, the nearest first."""
        points = self.points.astype("float32")
        num, k = len(points), self.num_neighbors
        for block in np.array_split(rows, -(-len(rows) * num // _PAIRS)):
            starts, ends = np.repeat(points[block], num, axis=0), np.tile(points, (len(block), 1))
            distances = self.space.distance(ops.convert_to_tensor(starts), ops.convert_to_tensor(ends))
            distances = ops.convert_to_numpy(distances).reshape(len(block), num).copy()
            distances[np.arange(len(block)), block] = np.inf
            nearest = np.argpartition(distances, k - 1)[:, :k]
            order = np.argsort(np.take_along_axis(distances, nearest, axis=1), axis=1)
            self._neighbors[block] = np.take_along_axis(nearest, order, axis=1)

    def _sample(self, num_samples, rng):
        chosen = rng.integers(len(self.points), size=num_samples)
        missing = np.unique(chosen[self._neighbors[chosen, 0] < 0])
        if len(missing):
            self._find_neighbors(missing)
        neighbors = self._neighbors[chosen, rng.integers(self.num_neighbors, size=num_samples)]
        shares = np.minimum(np.abs(rng.normal(scale=self.scale, size=num_samples)), 1)
        arrays = self.points[chosen], self.points[neighbors], shares
        return ops.convert_to_numpy(self.space.shortest(*(ops.convert_to_tensor(a.astype("float32")) for a in arrays)))
