"""Losses on latent variables: each a pure function with the formula, and a thin serializable class."""

from torusae.losses.angular import AngularLoss, angular_loss
from torusae.losses.base import LatentLoss, replica_mean
from torusae.losses.gaussian import (
    CramerWoldLoss,
    GaussianDistanceLoss,
    KLLoss,
    MMDLoss,
    SlicedWassersteinLoss,
    cramer_wold_loss,
    gaussian_distance_loss,
    kl_loss,
    maximum_mean_discrepancy,
    sliced_wasserstein_loss,
)
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
    "CramerWoldLoss",
    "DiaphonyLoss",
    "GaussianDistanceLoss",
    "KLLoss",
    "LatentLoss",
    "MMDLoss",
    "ProductMomentLoss",
    "QuantileLoss",
    "SlicedLoss",
    "SlicedWassersteinLoss",
    "SpringLoss",
    "angular_loss",
    "circular_wasserstein_loss",
    "cramer_wold_loss",
    "diaphony_loss",
    "gaussian_distance_loss",
    "kl_loss",
    "maximum_mean_discrepancy",
    "normal_quantiles",
    "product_moment_loss",
    "quantile_loss",
    "replica_mean",
    "sliced_loss",
    "sliced_wasserstein_loss",
    "spring_loss",
]
