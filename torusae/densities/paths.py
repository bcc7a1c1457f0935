"""A sampler for any latent space: fitted points, moved along shortest paths to their neighbours."""

from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from torusae._internal import checks
from torusae._internal.arrays import blocks
from torusae.densities.base import Density, optional_seed

_BLOCK = 500  # rows at a time against all points: bounds the memory


@keras.saving.register_keras_serializable(package="torusae")
class PathDensity(Density):
    """Samples near fitted points of any space: each moves a point along the shortest path to one of its neighbours.

    From about eight circles on, data lie near surfaces of fewer dimensions. Noise of equal width in all directions
    leaves these surfaces; steps to and from neighbours stay close to them. With `scale < 1`, samples lie closer to
    training points than held-out points do. There is no `log_density`.

    It asks the space for `shortest(start, end, t)` and for `decoder_input(points)`: neighbours are nearest by the
    Euclidean distance of what a decoder reads.

    Formula: with a random fitted point `p`, one of its `k` nearest neighbours `q`, and `t ~ N(0, scale²)`, at least -1
    and at most 1, the sample is the point that divides the shortest path from `p` to `q` at the share `t`; a negative
    one goes on beyond `p`. Steps towards neighbours alone would draw the samples together.

    Args:
        space: The latent space of the points. It is a part of the config.
        num_neighbors: Integer, `k`. Defaults to `5`.
        scale: Float, positive, root mean square of the share of the way to the neighbour. Defaults to `0.4`.
        max_points: Integer, above `num_neighbors`. Of more points a random choice is kept. Defaults to `20000`.
        seed: Integer, seed of that choice. Defaults to `None`, a random seed.

    Example:

    >>> import torusae
    >>> space = torusae.Torus(2) * torusae.Gaussian(1)
    >>> torusae.densities.PathDensity(space).fit(space.sample(100, seed=0))
    PathDensity(100 points of Torus(2) * Gaussian(1))

    Reference:
        Chawla et al. (2002), SMOTE, for steps to neighbours; along geodesics and with these shares a torusae choice.
    """

    _state: ClassVar = {"points": ("num", "columns")}
    _dtype = "float32"

    def __init__(
        self,
        space: Any,
        num_neighbors: int = 5,
        scale: float = 0.4,
        max_points: int = 20000,
        seed: int | None = None,
    ):
        owner = "PathDensity"
        if isinstance(space, type) or not all(
            callable(getattr(space, name, None)) for name in ("decoder_input", "shortest")
        ):
            raise TypeError(
                f"{owner}: `space` must be a latent space with the methods `decoder_input` and `shortest`. "
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
            "VonMisesMixture or a TorusFlow."
        )

    def _summary(self):
        return f"{len(self.points)} points of {self.space!r}"

    def _num_columns(self, fitting):
        return self.space.point_size

    def _least_points(self):
        return self.num_neighbors + 1, "Lower num_neighbors."

    def _neighbors(self, rows: np.ndarray) -> np.ndarray:
        """The nearest fitted points of some of them, `(rows, k)`, the nearest first, by what a decoder reads."""
        read = ops.convert_to_numpy(self.space.decoder_input(ops.convert_to_tensor(self.points.astype("float32"))))
        read = read.astype("float64")
        squares, k = (read**2).sum(axis=1), self.num_neighbors
        neighbors = np.empty((len(rows), k), "int64")
        for block in blocks(len(rows), _BLOCK):
            own = rows[block]
            distances = squares - 2 * read[own] @ read.T  # but for the square of the point itself
            distances[np.arange(len(own)), own] = np.inf
            nearest = np.argpartition(distances, k - 1)[:, :k]
            ranks = np.argsort(np.take_along_axis(distances, nearest, axis=1), axis=1)
            neighbors[block] = np.take_along_axis(nearest, ranks, axis=1)
        return neighbors

    def _sample(self, num_samples, rng):
        rows, places = np.unique(rng.integers(len(self.points), size=num_samples), return_inverse=True)
        ends = self._neighbors(rows)[places, rng.integers(self.num_neighbors, size=num_samples)]
        t = np.clip(rng.normal(scale=self.scale, size=num_samples), -1, 1)
        arrays = (array.astype("float32") for array in (self.points[rows[places]], self.points[ends], t))
        return ops.convert_to_numpy(self.space.shortest(*map(ops.convert_to_tensor, arrays)))
