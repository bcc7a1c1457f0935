"""The Fréchet distance of two sets of feature vectors."""

import numpy as np

from torusae._internal.arrays import float_rows
from torusae._internal.checks import Tensor


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Fréchet distance of the normal distributions that have the means and covariances of two sets of features.

    Formula: `|μ_a - μ_b|² + tr(Σ_a + Σ_b - 2 (Σ_a Σ_b)^½)`.

    Args:
        a: Float tensor `(num_a, num_features)`, at least two rows. The covariance is a poor estimate below about ten
            rows per feature, and so is the distance.
        b: Float tensor `(num_b, num_features)`, at least two rows.

    Returns:
        Float, not negative, in the squared unit of the features.

    Raises:
        ValueError: If there are fewer than two rows, or the numbers of features differ.

    Example:

    >>> import numpy as np, torusae
    >>> square = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> round(torusae.metrics.frechet_distance(square, square + [3.0, 4.0]), 6)
    25.0

    Reference:
        Dowson & Landau (1982). Heusel et al. (2017), arXiv:1706.08500, apply it to features of images.
    """
    moments = []
    for name, features in (("a", a), ("b", b)):
        features = float_rows("frechet_distance", name, features, least=2)
        moments.append((features.mean(axis=0), np.atleast_2d(np.cov(features.T))))
    (mean_a, cov_a), (mean_b, cov_b) = moments
    if mean_a.shape != mean_b.shape:
        raise ValueError(
            f"frechet_distance: `a` and `b` must have the same number of features. Received: {len(mean_a)} and "
            f"{len(mean_b)}. Compute both with the same feature extractor."
        )
    # The eigenvalues of Σ_a Σ_b are those of the symmetric Σ_a^½ Σ_b Σ_a^½.
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ cov_b @ root), 0)).sum()
    distance = np.sum((mean_a - mean_b) ** 2) + np.trace(cov_a) + np.trace(cov_b) - 2 * cross
    return float(max(distance, 0.0))
