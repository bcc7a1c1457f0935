"""Latent spaces that are a torus, for Keras 3 on torch, JAX or TensorFlow."""

from torusae import datasets, plots
from torusae.angles import (
    angle_difference,
    primitive_directions,
    split_code,
    squared_radii,
    to_cartesian,
    to_polar,
    wrap_angles,
)
from torusae.callbacks import LatentLogger
from torusae.densities import TorusKernelDensity, VonMisesMixture
from torusae.layers import CircularEmbedding, Latent, Polar, TorusLatent
from torusae.losses import (
    AngularLoss,
    CircularWassersteinLoss,
    DiaphonyLoss,
    LatentLoss,
    ProductMomentLoss,
    QuantileLoss,
    SlicedLoss,
    SpringLoss,
    angular_loss,
    circular_wasserstein_loss,
    diaphony_loss,
    normal_quantiles,
    product_moment_loss,
    quantile_loss,
    sliced_loss,
    spring_loss,
)
from torusae.metrics import cell_occupancy, frechet_distance, kuiper_statistic, max_moment
from torusae.models import TorusAutoencoder
from torusae.morph import morph_paths, shortest_winding, two_way_windings, windings
from torusae.networks import (
    Head,
    autoencoder_networks,
    conv_decoder,
    conv_encoder,
    dense_decoder,
    dense_encoder,
)
from torusae.spaces import Space, Torus

__version__ = "0.1.0"

__all__ = [
    "AngularLoss",
    "CircularEmbedding",
    "CircularWassersteinLoss",
    "DiaphonyLoss",
    "Head",
    "Latent",
    "LatentLogger",
    "LatentLoss",
    "Polar",
    "ProductMomentLoss",
    "QuantileLoss",
    "SlicedLoss",
    "Space",
    "SpringLoss",
    "Torus",
    "TorusAutoencoder",
    "TorusKernelDensity",
    "TorusLatent",
    "VonMisesMixture",
    "__version__",
    "angle_difference",
    "angular_loss",
    "autoencoder_networks",
    "cell_occupancy",
    "circular_wasserstein_loss",
    "conv_decoder",
    "conv_encoder",
    "datasets",
    "dense_decoder",
    "dense_encoder",
    "diaphony_loss",
    "frechet_distance",
    "kuiper_statistic",
    "max_moment",
    "morph_paths",
    "normal_quantiles",
    "plots",
    "primitive_directions",
    "product_moment_loss",
    "quantile_loss",
    "shortest_winding",
    "sliced_loss",
    "split_code",
    "spring_loss",
    "squared_radii",
    "to_cartesian",
    "to_polar",
    "two_way_windings",
    "windings",
    "wrap_angles",
]
