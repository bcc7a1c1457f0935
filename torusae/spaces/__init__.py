"""Latent spaces: the contract, and one file per space."""

from torusae.spaces.base import Space, Term
from torusae.spaces.gaussian import Gaussian
from torusae.spaces.interval import Interval
from torusae.spaces.klein import KleinBottle
from torusae.spaces.mobius import MobiusBand
from torusae.spaces.product import Product
from torusae.spaces.projective import ProjectiveSpace
from torusae.spaces.quantized import QuantizedTorus
from torusae.spaces.so3 import SO3
from torusae.spaces.sphere import Sphere
from torusae.spaces.text import parse
from torusae.spaces.torus import Torus
