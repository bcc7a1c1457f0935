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

__all__ = [
    "AngularLoss",
    "LatentLoss",
    "QuantileLoss",
    "SpringLoss",
    "angular_loss",
    "normal_quantiles",
    "quantile_loss",
    "replica_mean",
    "spring_loss",
]
