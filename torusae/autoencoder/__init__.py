"""The toroidal autoencoder: the model, and what initializes it."""

from torusae.autoencoder.initialization import start_at_circles
from torusae.autoencoder.model import TorusAutoencoder
