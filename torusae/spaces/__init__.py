"""Latent spaces: the contract, and one file per space."""

from torusae.spaces.base import Diagnosis, Problem, Space, Statistic, Term
from torusae.spaces.gaussian import Gaussian
from torusae.spaces.product import Product
from torusae.spaces.torus import Torus
