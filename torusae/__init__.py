"""Latent spaces that are a torus, for Keras 3 on torch, JAX or TensorFlow."""

__version__ = "0.1.0"

try:
    import keras as _keras  # noqa: F401
except Exception as _error:
    from torusae.__main__ import is_asked_for, main, not_loaded

    if is_asked_for():  # Python imports this package before its __main__
        raise SystemExit(main()) from None
    raise ImportError(f"torusae: Keras or its backend is {not_loaded(_error)}") from _error

from torusae import (
    data,
    datasets,
    densities,
    distribution,
    losses,
    metrics,
    networks,
    plots,
    spaces,
    supervision,
    topology,
)
from torusae.angles import angle_difference, to_cartesian, to_polar, wrap_angles
from torusae.autoencoder import Noise, Posterior, TorusAutoencoder, initialize_at_circles
from torusae.diagnostics import diagnose
from torusae.explorer import explore
from torusae.layers import CircularEmbedding, Head, Latent, LatentLogger, Polar, TorusLatent
from torusae.losses import (
    DiaphonyLoss,
    LatentLoss,
    QuantileLoss,
    SpringLoss,
    diaphony_loss,
    normal_quantiles,
    quantile_loss,
    spring_loss,
)
from torusae.networks import autoencoder_networks
from torusae.paths import morph_paths, shortest_winding, two_way_windings, windings
from torusae.spaces import Gaussian, Product, Space, Term, Torus
from torusae.topology import align, find_circles

__all__ = [
    "CircularEmbedding",
    "DiaphonyLoss",
    "Gaussian",
    "Head",
    "Latent",
    "LatentLogger",
    "LatentLoss",
    "Noise",
    "Polar",
    "Posterior",
    "Product",
    "QuantileLoss",
    "Space",
    "SpringLoss",
    "Term",
    "Torus",
    "TorusAutoencoder",
    "TorusLatent",
    "__version__",
    "align",
    "angle_difference",
    "autoencoder_networks",
    "data",
    "datasets",
    "densities",
    "diagnose",
    "diaphony_loss",
    "distribution",
    "explore",
    "find_circles",
    "initialize_at_circles",
    "losses",
    "metrics",
    "morph_paths",
    "networks",
    "normal_quantiles",
    "plots",
    "quantile_loss",
    "shortest_winding",
    "spaces",
    "spring_loss",
    "supervision",
    "to_cartesian",
    "to_polar",
    "topology",
    "two_way_windings",
    "windings",
    "wrap_angles",
]
