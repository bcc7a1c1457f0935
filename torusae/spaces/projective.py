"""Real projective spaces."""

import math

import keras
import numpy as np
from keras import ops

from torusae._internal import checks
from torusae._internal.tensors import constant
from torusae.losses import HarmonicLoss
from torusae.spaces import _geometry
from torusae.spaces._quotient import Quotient
from torusae.spaces.base import point_tensors
from torusae.spaces.sphere import Sphere
from torusae.spaces.terms import Term

_WEIGHT = 3.0  # of 1 to 10: more changes little
_MIN_GAP = 1e-6


@keras.saving.register_keras_serializable(package="torusae")
class ProjectiveSpace(Quotient):
    """The real projective space RP^n: lines through the origin, a sphere with opposite points made one.

    A point is a unit vector `x` up to its sign. The decoder reads the matrix `x xᵀ`, the same for both signs: its upper
    triangle, off-diagonal entries times √2, `(n + 1)(n + 2) / 2` values.

    Raw values are such a triangle of any symmetric matrix; the point is its axis with the largest eigenvalue. So the
    decoder input has no seam: no continuous choice of a sign exists on the whole space.

    Prior: uniform. Actions turn points as those of the sphere: see `Sphere.act`.

    Presets: `"uniform"`, the default: `HarmonicLoss` of the even degrees; `"none"`.

    Args:
        n: Integer, at least 1. 2 is the projective plane. Defaults to `2`.

    Raises:
        TypeError: If `n` is not an integer.
        ValueError: If `n` is below 1.

    Example:

    >>> import keras, torusae
    >>> plane = torusae.spaces.ProjectiveSpace(2)
    >>> x = plane.sample(1, seed=0)
    >>> abs(round(float(plane.distance(x, -x)[0]), 4))
    0.0

    Reference:
        Peretroukhin et al. (2020), arXiv:2006.01031, for the eigenvector of a symmetric matrix as a smooth map.
    """

    signs = (-1,)
    num_windings = 2

    def __init__(self, n: int = 2):
        self.n = checks.positive_int("ProjectiveSpace", "n", n)
        self.cover = Sphere(self.n)
        self.point_size = self.n + 1
        self.raw_size = self.decoder_input_size = (self.n + 1) * (self.n + 2) // 2
        self.action_size = self.cover.action_size

    def _triangle(self):
        """Rows, columns and factors of the entries of a decoder input."""
        rows, columns = np.triu_indices(self.n + 1)
        return rows, columns, np.where(rows == columns, 1.0, math.sqrt(2.0))

    def point(self, raw, seed=None):
        """The axes of the largest eigenvalues, their last entries not negative. Equal eigenvalues leave a choice."""
        raw = checks.float_tensor("ProjectiveSpace.point", "raw", raw, 2, "(batch, raw_size)")
        rows, columns, factors = self._triangle()
        size = self.n + 1
        basis = np.zeros((len(rows), size, size))
        basis[np.arange(len(rows)), rows, columns] = basis[np.arange(len(rows)), columns, rows] = 1 / factors
        matrices = ops.reshape(raw @ constant(basis.reshape(len(rows), -1), raw), (-1, size, size))
        # torch raises an error of its own for matrices that are not finite; their points are NaN by `step` below.
        fixed = ops.stop_gradient(ops.where(ops.isfinite(matrices), matrices, 0.0))
        values, vectors = ops.eigh(fixed)
        values, vectors = ops.stop_gradient(values), ops.stop_gradient(vectors)
        axis = vectors[..., -1]
        axis = ops.where(axis[:, -1:] < 0, -axis, axis)
        # The derivative by hand, `(λ - A)⁺ dA x`: that of `eigh` is infinite where any two eigenvalues are equal.
        gaps = ops.maximum(values[:, -1:] - values[:, :-1], _MIN_GAP * (1.0 + ops.abs(values[:, -1:])))
        step = _geometry.turned(matrices - fixed, axis)  # of value zero
        others = vectors[..., :-1]
        along = _geometry.turned(ops.transpose(others, (0, 2, 1)), step) / gaps
        return axis + _geometry.turned(others, along)

    def decoder_input(self, point):
        """The upper triangle of `x xᵀ`, off-diagonal entries times √2: as far apart as the matrices."""
        rows, columns, factors = self._triangle()
        pairs = ops.take(point, rows, axis=-1) * ops.take(point, columns, axis=-1)
        return pairs * ops.convert_to_tensor(factors, dtype=pairs.dtype)

    def terms(self, preset):
        """The term of a preset: see the class."""
        checks.option("ProjectiveSpace", "preset", preset, self.presets)
        return [Term(HarmonicLoss(4 if self.n <= 3 else 2, even=True), _WEIGHT)] if preset == "uniform" else []

    def analogy(self, a, b, c):
        """The smallest turn that takes a to the nearer of b and -b turns c: see `Sphere.analogy`."""
        a, b, c = point_tensors(self, "analogy", a=a, b=b, c=c)
        return self.cover.analogy(a, self.nearer(a, b), c)
