"""MNIST, small data with known angles, and small trained models.

NumPy makes the synthetic data, so one seed gives the same data on every backend. Angles are in radians, `[-π, π)`.
"""

from torusae.datasets.mnist import Mnist, load_mnist, load_mnist_subset
from torusae.datasets.pretrained import load_model
from torusae.datasets.synthetic import hue_images, torus_table
