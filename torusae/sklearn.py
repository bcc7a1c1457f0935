"""`TorusEstimator`: the Toroidal AutoEncoder as a scikit-learn transformer, for pipelines and grid searches.

Needs scikit-learn: `pip install 'scikit-learn>=1.6'`. `import torusae` alone does not load this module.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from torusae._internal import checks, seeds
from torusae.autoencoder import use
from torusae.autoencoder.model import TorusAutoencoder
from torusae.losses import LatentLoss
from torusae.spaces import Term

try:
    from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
    from sklearn.metrics import r2_score
    from sklearn.utils import check_array, check_random_state
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        'torusae.sklearn: needs scikit-learn 1.6 or newer. Install it with: pip install "scikit-learn>=1.6"'
    ) from error

__all__ = ["TorusEstimator"]

_ROWS = 512  # in one call of the encoder or the decoder


class TorusEstimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Angles of the rows of a table, learned by a `TorusAutoencoder` with dense networks.

    Rows are `(num, num_columns)`, finite numbers of similar scales, with NaN only where `missing` allows it: put a
    `StandardScaler` before it in a `Pipeline`. With `dim="auto"` it scales columns itself, and finds the circles and
    chooses the space as `TorusAutoencoder.from_data` does; `inverse_transform` then gives float64 rows in the units of
    the data.

    Angles are `(num, dim)`, radians, `[-π, π)`. All other results are float32. With
    `set_output(transform="pandas")` angles are a data frame with the columns `torus0`, `torus1` and so on.

    Nothing is checked before `fit`, as scikit-learn asks. `fit` leaves the random states of Python, NumPy and the
    backend as they were, except that a seed of TensorFlow's own starts again. These are one for all threads: fits in
    threads run one after another, and numbers that other code draws from them meanwhile change a fit. Use processes.

    Args:
        dim: Integer, number of circles, or `"auto"`, which needs 60 rows and ripser. Defaults to `3`.
        epochs: Integer, passes over the rows. Defaults to `50`.
        batch_size: Integer, rows in a step of training. Give 64 or more. Defaults to `128`.
        learning_rate: Float, of Adam. Defaults to `0.001`.
        losses: Latent losses as in `TorusLatent`: `"uniform"`, `"paper"`, `"none"` or a list. Defaults to `None`, the
            torus' own.
        loss_weights: Dict from a latent loss' name to its weight, as in `TorusLatent`. Defaults to `None`.
        init: As in `TorusAutoencoder`: `"auto"`, `"circles"` or `"random"`. Defaults to `"auto"`.
        missing: As in `TorusAutoencoder`: `"ignore"`, where NaN, pandas' NA and masked cells are unknown ones. Defaults
            to `None`: they are an error.
        random_state: Integer or `numpy.random.RandomState`, for the same angles in every fit on one backend and
            machine. Defaults to `None`, NumPy's global random state.
        verbose: Integer, as in `keras.Model.fit`; 0 is silent. Defaults to `0`.

    Attributes:
        model_: The trained `TorusAutoencoder`, with `morph`, `fit_density`, `save` and the rest.
        history_: Dict from a name to its values, one an epoch: what Keras' `fit` logs.
        n_features_in_: Integer, columns of the rows.
        feature_names_in_: Array of the columns' names, where the rows of `fit` were a data frame.

    Raises:
        ImportError: When this module is imported without scikit-learn.
        TypeError: In `fit`, if an argument is of the wrong type.
        ValueError: In `fit`, if an argument is out of range; in all methods, if rows are not as above.

    Example:

    >>> import torusae
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from torusae.sklearn import TorusEstimator
    >>> table, _ = torusae.datasets.torus_table(400, dim=1, seed=0)
    >>> pipeline = make_pipeline(StandardScaler(), TorusEstimator(dim=1, epochs=2, random_state=0))
    >>> angles = pipeline.fit_transform(table)
    >>> angles.shape, pipeline.inverse_transform(angles).shape == table.shape
    ((400, 1), True)

    Reference:
        Mikulski & Duda (2019), arXiv:1903.12286.
    """

    def __init__(
        self,
        dim: int | str = 3,
        *,
        epochs: int = 50,
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        losses: str | Sequence[Term | LatentLoss] | None = None,
        loss_weights: Mapping[str, float] | None = None,
        init: str = "auto",
        missing: str | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.dim = dim
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.losses = losses
        self.loss_weights = loss_weights
        self.init = init
        self.missing = missing
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None, groups: Any = None) -> "TorusEstimator":
        """Trains a new model to the rows `X`. `y` is ignored.

        `groups`, integers or strings `(num,)`, are the batch, subject or day of each row: the mean and the scale of
        each are taken out, and all methods that take rows ask for them.
        """
        owner = "TorusEstimator.fit"
        epochs = checks.positive_int(owner, "epochs", self.epochs)
        batch_size = checks.positive_int(owner, "batch_size", self.batch_size)
        learning_rate = checks.positive_float(owner, "learning_rate", self.learning_rate)
        X = self._rows(X, reset=True)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        with seeds.seeded(seed):
            options: dict[str, Any] = {
                "init": self.init,
                "missing": self.missing,
                "losses": self.losses,
                "loss_weights": self.loss_weights,
            }
            if self._chooses:
                model = TorusAutoencoder.from_data(X, None, groups, verbose=self.verbose, **options)
            else:
                model = TorusAutoencoder.from_shape(X.shape[1:], self.dim, **options)
            model.compile(keras.optimizers.Adam(learning_rate), "mse")
            training = {"batch_size": batch_size, "epochs": epochs, "verbose": self.verbose}
            self.history_ = model.fit(X, groups=groups, **training).history
        self.model_ = model
        return self

    def fit_transform(self, X: Any, y: Any = None, groups: Any = None) -> np.ndarray:
        """`fit`, then `transform` of the same rows and groups."""
        return self.fit(X, y, groups).transform(X, groups)

    def transform(self, X: Any, groups: Any = None, offset: str | None = None) -> np.ndarray:
        """Angles `(num, dim)` of rows, radians, `[-π, π)`. `groups` and `offset` as in `TorusAutoencoder.encode`."""
        check_is_fitted(self)
        return self._angles(self._rows(X), groups, offset)

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Rows `(num, num_columns)` of angles `(num, dim)`, radians. Any real number means its value modulo 2π."""
        check_is_fitted(self)
        dim = self.model_.space.num_angles
        angles = check_array(X, dtype="float64", input_name="X")
        if angles.shape[1] != dim:
            raise ValueError(
                f"TorusEstimator.inverse_transform: `X` must be angles of shape (num, {dim}). "
                f"Received: X.shape={angles.shape}. Give what transform returns."
            )
        angles = np.mod(angles, 2 * np.pi)  # large ones are no degrees here
        return _by_batches(lambda rows, **options: self.model_.decode(angles=rows, **options), angles)

    def score(self, X: Any, y: Any = None, groups: Any = None) -> float:
        """The share of the variance of rows that their angles explain: 1 at best, 0 for the mean of the rows.

        It is `1 - Σ (x - inverse_transform(transform(x)))² / Σ (x - mean)²`, over all known cells, in a model that
        scales without level and scale. `y` is ignored.
        """
        check_is_fitted(self)
        X = self._rows(X)
        found = self.inverse_transform(self._angles(X, groups))
        if self.model_.scaling is not None:
            X, found = self._taken_out(X, groups), self.model_.scaling.apply(found)
        X, found = X.astype("float64"), found.astype("float64")
        unknown = np.isnan(X)
        if unknown.any():  # neither an error nor a deviation
            means = np.nansum(X, axis=0) / np.maximum(np.sum(~unknown, axis=0), 1)
            X, found = np.where(unknown, means, X), np.where(unknown, means, found)
        return float(r2_score(X, found, multioutput="variance_weighted"))

    def log_likelihood(self, X: Any, y: Any = None) -> float:
        """The mean log likelihood of rows, nats, over all angles: of two models the better one has the larger.

        With rows that were not fitted it compares numbers of circles: give `scoring=TorusEstimator.log_likelihood` to a
        grid search. The noise is that of `model_.fit_noise`; without one, each half of `X` has that of the other half.
        `y` is ignored.
        """
        check_is_fitted(self)
        X = self._rows(X)
        if self.model_.noise is not None:
            return float(self.model_.posterior(X, verbose=0).log_likelihood.mean())
        found = []
        try:
            for half in (0, 1):
                self.model_.fit_noise(X[half::2], verbose=0)
                found.append(self.model_.posterior(X[1 - half :: 2], verbose=0).log_likelihood)
        finally:
            self.model_.noise = None
        return float(np.concatenate(found).mean())

    def sample(self, n_samples: int = 1, random_state: Any = None) -> np.ndarray:
        """New rows `(n_samples, num_columns)`, decoded from the density that `model_.fit_density(X)` fitted.

        Before it is called they are decoded from the prior, uniform angles: these look like the rows of the training
        only where the rows fill the torus. A pipeline's `X` is what its last step reads. `fit` forgets the density.

        Args:
            n_samples: Integer, number of rows. Defaults to `1`.
            random_state: Integer or `numpy.random.RandomState`, for the same rows. Defaults to `None`, NumPy's global
                random state.
        """
        check_is_fitted(self)
        n_samples = checks.positive_int("TorusEstimator.sample", "n_samples", n_samples)
        seed = int(check_random_state(random_state).randint(2**31 - 1))
        return self.model_.sample(n_samples, seed, _ROWS, 0)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the angles, `torus0`, `torus1` and so on. `input_features` may repeat the columns' names."""
        names = super().get_feature_names_out(input_features)  # checks them
        return np.array([f"torus{index}" for index in range(len(names))], dtype=object)

    @property
    def _n_features_out(self) -> int:
        return self.model_.space.num_angles

    @property
    def _chooses(self) -> bool:
        return isinstance(self.dim, str) and self.dim == "auto"

    def _taken_out(self, X: np.ndarray, groups: Any, offset: str | None = None) -> np.ndarray:
        """Rows as the model reads them."""
        return self.model_.adapter.check_rows("angles", "X", X, groups, offset).sample

    def _angles(self, X: np.ndarray, groups: Any = None, offset: str | None = None) -> np.ndarray:
        rows = self._taken_out(X, groups, offset)
        return _by_batches(lambda part, **options: use.predicted(self.model_, part, **options)["angles"], rows)

    def _rows(self, X: Any, reset: bool = False) -> np.ndarray:
        """Checked rows; with `reset` their columns are those to come."""
        missing = self.missing == "ignore"
        if isinstance(X, np.ma.MaskedArray):  # which scikit-learn reads without its mask
            X = checks.as_array("TorusEstimator", "X", X, missing=missing)
        finite, dtype = "allow-nan" if missing else True, "float64" if self._chooses else "float32"
        try:
            with np.errstate(over="ignore"):  # the check for finite numbers comes after the cast
                return validate_data(self, X, reset=reset, dtype=dtype, ensure_all_finite=finite)
        except ValueError as error:
            if "contains NaN" not in str(error):
                raise
            first = str(error).splitlines()[0]
            raise ValueError(f"{first} If NaN are unknown cells, use TorusEstimator(missing='ignore').") from error

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing == "ignore"
        tags.transformer_tags.preserves_dtype = ["float32"]  # others become it
        return tags


def _by_batches(function: Callable, rows: np.ndarray) -> np.ndarray:
    """`function` of rows, computed in batches of one size: JAX compiles for every other one."""
    padded = np.resize(rows, (-(-len(rows) // _ROWS) * _ROWS, rows.shape[1]))
    return function(padded, batch_size=_ROWS, verbose=0)[: len(rows)]
