"""Latent spaces: the contract, and one file per space."""

from torusae.spaces.base import Product, Space
from torusae.spaces.gaussian import Gaussian
from torusae.spaces.interval import Interval
from torusae.spaces.klein import KleinBottle
from torusae.spaces.mobius import MobiusBand
from torusae.spaces.projective import ProjectiveSpace
from torusae.spaces.quantized import QuantizedTorus
from torusae.spaces.so3 import SO3
from torusae.spaces.sphere import Sphere
from torusae.spaces.terms import Term
from torusae.spaces.text import parse
from torusae.spaces.torus import Torus
