"""Losses on latent variables: each a pure function with the formula, and a thin serializable class."""

from torusae.losses.angular import AngularLoss, angular_loss
from torusae.losses.base import LatentLoss, replica_mean
from torusae.losses.circles import (
    CircularWassersteinLoss,
    ProductMomentLoss,
    SlicedLoss,
    circular_wasserstein_loss,
    product_moment_loss,
    sliced_loss,
)
from torusae.losses.cramer_wold import CramerWoldLoss, cramer_wold_loss
from torusae.losses.diaphony import DiaphonyLoss, diaphony_loss
from torusae.losses.distances import GaussianDistanceLoss, gaussian_distance_loss
from torusae.losses.harmonics import CharacterLoss, HarmonicLoss, character_loss, harmonic_loss
from torusae.losses.kl import KLLoss, kl_loss
from torusae.losses.mmd import MMDLoss, maximum_mean_discrepancy
from torusae.losses.quantiles import QuantileLoss, normal_quantiles, quantile_loss
from torusae.losses.sliced_wasserstein import SlicedWassersteinLoss, sliced_wasserstein_loss
from torusae.losses.springs import SpringLoss, spring_loss

__all__ = [
    "AngularLoss",
    "CharacterLoss",
    "CircularWassersteinLoss",
    "CramerWoldLoss",
    "DiaphonyLoss",
    "GaussianDistanceLoss",
    "HarmonicLoss",
    "KLLoss",
    "LatentLoss",
    "MMDLoss",
    "ProductMomentLoss",
    "QuantileLoss",
    "SlicedLoss",
    "SlicedWassersteinLoss",
    "SpringLoss",
    "angular_loss",
    "character_loss",
    "circular_wasserstein_loss",
    "cramer_wold_loss",
    "diaphony_loss",
    "gaussian_distance_loss",
    "harmonic_loss",
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
