"""The toroidal autoencoder: the model, and what initializes it."""

from torusae.autoencoder.initialization import initialize_at_circles
from torusae.autoencoder.model import TorusAutoencoder
from torusae.autoencoder.noise import Noise
from torusae.autoencoder.posterior import Posterior
