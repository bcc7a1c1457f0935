"""A latent space in any Keras model: its layer, heads for labels, periodic inputs, and its terms in the logs."""

from torusae.layers.head import Head
from torusae.layers.latent import Latent, TorusLatent
from torusae.layers.logger import LatentLogger
from torusae.layers.periodic import CircularEmbedding, Polar
