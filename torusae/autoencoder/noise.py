"""`Noise`: how samples lie around what a decoder says of their place, fitted beside a model."""

import keras
import numpy as np

from torusae._internal.configs import Configured

_KINDS = ("gaussian", "poisson", "bernoulli")
LEAST_MEAN = 1e-6  # of counts, and of a probability beside 0 and 1


@keras.saving.register_keras_serializable(package="torusae")
class Noise(Configured):
    """The noise of samples around a model's decoder: what `TorusAutoencoder.fit_noise` returns.

    Gaussian noise has a size for each column of a table and one for all pixels of an image. Counts of a model with the
    loss `"poisson"` have Poisson noise, pixels of 0 and 1 of one with `"binary_crossentropy"` Bernoulli noise.

    Args:
        kind: `"gaussian"`, `"poisson"` or `"bernoulli"`.
        num_rows: Integer, the rows that it was fitted to.
        rows: `"held out"`, rows that the model was not trained on; `"training"`, rows that it was trained on: then the
            noise is too small, and intervals are too short; `"unknown"`, as for a model from a file.

    Attributes:
        scale: Array of the samples' shape, the noise's standard deviations; 0 in constant columns, which say nothing of
            the place and are left out. Ones where the noise is not Gaussian.
        misfit: Array `(2,)`, shape and scale of the gamma distribution that the misfits of the fitted rows have.
        blur: Float, radians, of one or two circles: what the decoder says of an angle is its mean over a normal
            distribution of angles with this standard deviation, the one that makes the fitted rows most likely.
            Ripples of a decoder would count as information: intervals would be too short. 0 leaves it as it is.

    Example:

    >>> import numpy as np, torusae
    >>> x = torusae.datasets.torus_table(200, dim=1, columns=6, noise=0.3, seed=0)[0]
    >>> model = torusae.TorusAutoencoder.from_shape((6,), dim=1, init="random")
    >>> model.compile("adam", "mse")
    >>> history = model.fit(x, epochs=2, batch_size=50, validation_split=0.2, verbose=0)
    >>> model.fit_noise(x, verbose=0)
    Noise(gaussian, of 40 rows held out)
    """

    def __init__(self, kind: str, num_rows: int, rows: str):
        self.kind = kind
        self.num_rows = num_rows
        self.rows = rows
        self.scale = np.ones(())
        self.misfit = np.ones(2)
        self.blur = 0.0

    def __repr__(self) -> str:
        where = {"held out": "rows held out", "training": "training rows", "unknown": "rows"}[self.rows]
        constant = int(np.sum(self.scale == 0))
        left_out = f", {constant} constant column{'s' * (constant > 1)} left out" if constant else ""
        return f"Noise({self.kind}, of {self.num_rows} {where}{left_out})"

    def state(self) -> dict[str, np.ndarray]:
        """What was fitted, for a file."""
        return {"scale": self.scale, "misfit": self.misfit, "blur": np.asarray(self.blur)}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Takes what `state` returned.

        Raises:
            ValueError: If an array is missing or can't be one of noise.
        """
        if self.kind not in _KINDS or set(state) != set(self.state()):
            raise ValueError(
                f"Noise: `state` must hold the arrays {sorted(self.state())} of one of the kinds {_KINDS}. "
                f"Received: {sorted(state)}, kind={self.kind!r}."
            )
        values = {name: np.asarray(array, "float64") for name, array in state.items()}
        scale, misfit, blur = values["scale"], values["misfit"], values["blur"]
        finite = all(np.isfinite(array).all() for array in values.values())
        if misfit.shape != (2,) or blur.shape or not finite or min(scale.min(), blur) < 0:
            raise ValueError(
                f"Noise: `state` must hold finite sizes that are not negative. Received: scale={scale}, "
                f"misfit={misfit}, blur={blur}."
            )
        self.scale, self.misfit, self.blur = scale, misfit, float(blur)

    # Of flat samples `(num, size)`, NaN where a cell is not known, and means of the decoder. The log likelihood of a
    # sample at a place is a sum over its cells: `x slope - offset` + what the place says nothing of.

    def tables(self, means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The slopes and the offsets of means `(places, size)`, each of that shape."""
        from scipy import special

        if self.kind == "gaussian":
            return means * self.precision, 0.5 * means**2 * self.precision
        means = np.maximum(means, LEAST_MEAN)
        if self.kind == "poisson":
            return np.log(means), means
        means = np.minimum(means, 1 - LEAST_MEAN)
        return special.logit(means), -np.log1p(-means)

    @staticmethod
    def explained(x: np.ndarray, slopes: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """The log likelihood of samples at places by their tables, `(num, places)`, but for the constants."""
        known = ~np.isnan(x)
        offsets = offsets.sum(axis=1) if known.all() else known @ offsets.T
        return np.where(known, x, 0.0) @ slopes.T - offsets

    def constants(self, x: np.ndarray, center: np.ndarray | float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """What the place says nothing of, and the largest log likelihood of any place beside it: `(num,)` each."""
        from scipy import special

        if self.kind == "gaussian":
            used = self.scale.ravel() > 0
            square = 0.5 * (x - center) ** 2 * self.precision
            norm = np.where(used, np.log(np.where(used, self.scale.ravel(), 1.0)) + 0.5 * np.log(2 * np.pi), 0.0)
            return -np.nansum(square + np.where(np.isnan(x), np.nan, norm), axis=1), np.nansum(square, axis=1)
        if self.kind == "poisson":
            return -np.nansum(special.gammaln(x + 1), axis=1), np.nansum(special.xlogy(x, x) - x, axis=1)
        return np.zeros(len(x)), np.nansum(special.xlogy(x, x) + special.xlog1py(1 - x, -x), axis=1)

    def information(self, means: np.ndarray) -> np.ndarray:
        """The inverse of the variance of each cell at means `(places, size)`."""
        if self.kind == "gaussian":
            return np.broadcast_to(self.precision, means.shape)
        means = np.maximum(means, LEAST_MEAN)
        return 1 / means if self.kind == "poisson" else 1 / (means * np.maximum(1 - means, LEAST_MEAN))

    @property
    def precision(self) -> np.ndarray:
        """The inverse variances of Gaussian noise, flat; 0 in constant columns."""
        scale = self.scale.ravel()
        return np.where(scale > 0, 1 / np.where(scale > 0, scale, 1.0) ** 2, 0.0)

    def quantile(self, misfit: np.ndarray, share: np.ndarray) -> np.ndarray:
        """The share of rows that have a smaller misfit, `(num,)`; `share` of the cells are known."""
        from scipy import special

        shape, scale = self.misfit
        with np.errstate(invalid="ignore"):
            return np.where(share > 0, special.gammainc(np.maximum(shape * share, 1e-9), misfit / scale), np.nan)


def gamma_of(values: np.ndarray) -> np.ndarray:
    """Shape and scale of the gamma distribution with the quartiles of positive values: outliers do not matter."""
    from scipy import special

    shapes = np.geomspace(0.25, 1e6, 400)
    ratios = special.gammaincinv(shapes, 0.75) / special.gammaincinv(shapes, 0.25)
    low, high = np.quantile(values, (0.25, 0.75))
    shape = np.interp(-high / max(low, 1e-300), -ratios, shapes)
    return np.array([shape, np.median(values) / special.gammaincinv(shape, 0.5)])
