"""Losses on latent variables: each a pure function with the formula, and a thin serializable class.

A latent loss is a scalar tensor, float32 (float64 for float64 input). All but `kl_loss` couple the whole batch. Input
of another rank than documented is a ValueError, input that is not floating-point a TypeError.
"""

from torusae.losses.angular import angular_loss
from torusae.losses.base import LatentLoss
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
