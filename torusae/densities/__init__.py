"""Densities that are fitted to the points of a trained model: samples from where the data are.

The prior covers the whole space. Data cover a part of it that shrinks with every dimension.

- `VonMisesMixture`: few components on a torus; the best choice for up to about eight circles.
- `TorusFlow`: a flow on a torus; also a map that makes angles uniform.
- `PathDensity`: samples only, on any space; the best ones from about eight circles on.

All but `TorusFlow`, which is fitted on the backend, are NumPy in float64: the same points and seed give the same result
on every backend. A random seed is the next number of Keras' own generator, which `keras.utils.set_random_seed` sets.
Angles are in radians, log densities in nats. A method before `fit` and a number out of range are a ValueError.
"""

from torusae.densities.base import Density
from torusae.densities.flow import TorusFlow
from torusae.densities.mixture import VonMisesMixture
from torusae.densities.of_spaces import densities_of
from torusae.densities.paths import PathDensity
