"""Losses on latent variables: each a pure function with the formula, and a thin serializable class."""

from torusae.losses.angular import AngularLoss, angular_loss
from torusae.losses.base import LatentLoss, replica_mean
from torusae.losses.paper import (
    QuantileLoss,
    SpringLoss,
    normal_quantiles,
    quantile_loss,
    spring_loss,
)
from torusae.losses.torus import (
    CircularWassersteinLoss,
    DiaphonyLoss,
    ProductMomentLoss,
    SlicedLoss,
    circular_wasserstein_loss,
    diaphony_loss,
    product_moment_loss,
    sliced_loss,
)

__all__ = [
    "AngularLoss",
    "CircularWassersteinLoss",
    "DiaphonyLoss",
    "LatentLoss",
    "ProductMomentLoss",
    "QuantileLoss",
    "SlicedLoss",
    "SpringLoss",
    "angular_loss",
    "circular_wasserstein_loss",
    "diaphony_loss",
    "normal_quantiles",
    "product_moment_loss",
    "quantile_loss",
    "replica_mean",
    "sliced_loss",
    "spring_loss",
]
