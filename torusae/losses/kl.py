"""Kullback-Leibler divergence of a variational autoencoder (VAE), and its posteriors."""

import keras
from keras import ops

from torusae._internal import checks
from torusae._internal.checks import Tensor
from torusae.losses.base import LatentLoss

_LARGEST_LOG_VARIANCE = 20.0  # exp(88) is the last that float32 holds; e¹⁰ deviations are far from any posterior


def split_posterior(posterior: Tensor) -> tuple[Tensor, Tensor]:
    """The means and the log variances of posteriors `(batch, 2 * dim)`, each `(batch, dim)`, in at least float32."""
    posterior = checks.float_tensor("kl_loss", "posterior", posterior, 2, "(batch, 2 * dim)")
    size = posterior.shape[1]
    if size % 2 or size == 0:
        raise ValueError(
            f"kl_loss: `posterior` must have shape (batch, 2 * dim), dim means followed by dim log variances. "
            f"Received: posterior.shape={tuple(posterior.shape)}."
        )
    return posterior[:, : size // 2], posterior[:, size // 2 :]


def draw_posterior(posterior: Tensor, seed: keras.random.SeedGenerator) -> Tensor:
    """Values drawn from a posterior `(batch, 2 * dim)`: `mean + exp(log_variance / 2) ε`."""
    mean, log_variance = split_posterior(posterior)
    noise = keras.random.normal(ops.shape(mean), dtype=keras.backend.standardize_dtype(mean.dtype), seed=seed)
    return mean + ops.exp(0.5 * ops.minimum(log_variance, _LARGEST_LOG_VARIANCE)) * noise


def kl_loss(posterior: Tensor) -> Tensor:
    """Kullback-Leibler divergence from N(0, I) of the posteriors of a variational autoencoder, in nats.

    Formula, with `v` the log variances: `L = 1 / S Σ_s Σ_i (μ_s,i² + exp(v_s,i) - 1 - v_s,i) / 2`. Above `v = 20` the
    exponential continues as its tangent: nothing overflows, and the gradient still points back.

    Args:
        posterior: Float tensor `(batch, 2 * dim)`, the means, then the log variances.

    Returns:
        Scalar tensor, 0 where every posterior is N(0, I).

    Raises:
        ValueError: If `posterior` is not of rank 2, or its last axis is odd.

    Example:

    >>> import keras, torusae
    >>> float(torusae.losses.kl_loss(keras.ops.convert_to_tensor([[2.0, 0.0]])))
    2.0

    Reference:
        Kingma & Welling (2013), arXiv:1312.6114, appendix B.
    """
    mean, log_variance = split_posterior(posterior)
    bounded = ops.minimum(log_variance, _LARGEST_LOG_VARIANCE)
    # expm1 keeps the digits near the minimum, where the exponential cancels 1 + v.
    variance_less_one = ops.expm1(bounded) + ops.exp(bounded) * (log_variance - bounded)
    return ops.mean(0.5 * ops.sum(ops.square(mean) + variance_less_one - log_variance, axis=-1))


@keras.saving.register_keras_serializable(package="torusae")
class KLLoss(LatentLoss):
    """`kl_loss` as an object. It reads raw values, the posteriors."""

    reads = "raw"
    default_weight = 0.1

    def __init__(self, name: str = "kl"):
        super().__init__(name)

    def call(self, values):
        return kl_loss(values)
