"""Gaussian spaces: those of WAE, SWAE, CWAE, the Gaussian autoencoder and the VAE."""

import math

import keras
from keras import ops

from torusae._internal import checks
from torusae.losses import CramerWoldLoss, GaussianDistanceLoss, KLLoss, MMDLoss, SlicedWassersteinLoss
from torusae.losses.kl import draw_posterior, split_posterior
from torusae.paths import INTERPOLATIONS
from torusae.spaces._geometry import StraightLines
from torusae.spaces.base import action_tensors, draws, point_tensors
from torusae.spaces.terms import Term

_LOSSES = {
    "cwae": CramerWoldLoss,
    "wae": MMDLoss,
    "swae": SlicedWassersteinLoss,
    "gae": GaussianDistanceLoss,
    "vae": KLLoss,
}


@keras.saving.register_keras_serializable(package="torusae")
class Gaussian(StraightLines):
    """The Gaussian space: `dim` real numbers. The decoder reads the point. Prior: independent, standard normal.

    Presets: `"cwae"` (the default), `"wae"`, `"swae"`, `"gae"` and `"none"`. With `variational=True` also `"vae"`, then
    the default.

    Args:
        dim: Integer, at least 1.
        variational: Boolean, whether raw values are the means and log variances of posteriors, as in a VAE. In training
            a point is drawn; elsewhere it is the mean. Defaults to `False`.
        interpolation: String, the path of a morph: `"linear"`, `"variance_preserving"` or `"slerp"`. The last two keep
            to the prior: see `torusae.paths.interpolate`. Defaults to `"linear"`, the shortest.

    Example:

    >>> import torusae
    >>> torusae.Gaussian(4).sample(5, seed=0).shape[1]
    4

    Reference:
        Knop et al. (2020), arXiv:1805.09235; Tolstikhin et al. (2018), arXiv:1711.01558; Kolouri et al. (2018),
        arXiv:1804.01947; Duda (2018), arXiv:1811.04751; Kingma & Welling (2013), arXiv:1312.6114.
    """

    def __init__(self, dim: int, variational: bool = False, interpolation: str = "linear"):
        self.dim = checks.positive_int("Gaussian", "dim", dim)
        self.variational = bool(variational)
        self.interpolation = checks.option("Gaussian", "interpolation", interpolation, INTERPOLATIONS)
        self.is_stochastic = self.variational
        self.point_size = self.action_size = self.dim
        self.raw_size = 2 * self.dim if variational else self.dim
        self.views = ("mean",) if variational else ()
        presets = ("cwae", "wae", "swae", "gae", "none")
        self.presets = ("vae", *presets) if variational else presets

    def point(self, raw, seed=None):
        """The means. With a seed, in a variational space: values drawn from the posteriors."""
        if not self.variational:
            return raw
        return split_posterior(raw)[0] if seed is None else draw_posterior(raw, seed)

    def terms(self, preset):
        """The term of a preset: see the class."""
        if isinstance(preset, str) and preset == "vae" and not self.variational:
            raise ValueError(
                f"Gaussian: the preset 'vae' needs variances. Received: {self!r}. "
                f"Use Gaussian({self.dim}, variational=True)."
            )
        checks.option("Gaussian", "preset", preset, self.presets)
        if preset == "none":
            return []
        loss = _LOSSES[preset]()
        # The mean of a posterior, and not a draw from it, is what these losses were made for.
        return [Term(loss, reads="mean" if self.variational and loss.reads == "point" else loss.reads)]

    def view(self, name, raw, point):
        """Besides the raw values and points: `"mean"` in a variational space."""
        if name == "mean" and self.variational:
            return split_posterior(raw)[0]
        return super().view(name, raw, point)

    def sample(self, num_samples, seed=None):
        """Points drawn from the prior, `(num_samples, dim)`. See `Torus.sample`."""
        num_samples, seed = draws(self, num_samples, seed)
        return keras.random.normal((num_samples, self.dim), dtype="float32", seed=seed)

    def log_prob(self, point):
        """The log density of N(0, I), `(batch,)`, with respect to the volume."""
        return -0.5 * (ops.sum(point * point, axis=-1) + self.dim * math.log(2 * math.pi))

    def act(self, point, action):
        """Points shifted by numbers, `(dim,)` or `(batch, dim)`."""
        point, action = action_tensors(self, "act", point, action)
        return point + action

    def analogy(self, a, b, c):
        """`c + (b - a)`, as Radford et al. (2016), arXiv:1511.06434, and Reed et al. (2015) add features."""
        a, b, c = point_tensors(self, "analogy", a=a, b=b, c=c)
        return c + (b - a)
