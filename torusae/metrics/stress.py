"""How well distances on a space keep the proportions of other distances."""

import numpy as np

from torusae._internal.arrays import float_array
from torusae._internal.checks import Tensor


def geodesic_stress(a: Tensor, b: Tensor) -> float:
    """Kruskal's stress-1 between two sets of distances of the same pairs, each divided by its mean.

    0 means that one set is the other times a constant. Distances that have nothing to do with each other give
    `sqrt((v_a + v_b) / (1 + v_a))`, where `v` is the variance of distances over their squared mean: 0.71, 0.49 and 0.39
    for uniform angles of one, two and three circles. So compare with the value for shuffled points.

    Formula: `sqrt(Σ_i (a_i / mean(a) - b_i / mean(b))² / Σ_i (a_i / mean(a))²)`.

    Args:
        a: Float tensor `(num_pairs,)`, the distances that are to be kept, not negative.
        b: Float tensor `(num_pairs,)`, the distances that are judged, not negative. If all are 0, the stress is 1.

    Returns:
        Float, not negative.

    Raises:
        ValueError: If the tensors differ in length, a distance is negative, or all of `a` are 0.

    Example:

    >>> import numpy as np, torusae
    >>> a = np.array([1.0, 2.0, 3.0])
    >>> torusae.metrics.geodesic_stress(a, 10 * a)
    0.0
    >>> round(torusae.metrics.geodesic_stress(a, np.array([2.0, 2.0, 2.0])), 4)  # sqrt(2 / 14)
    0.378

    Reference:
        Kruskal (1964), Multidimensional scaling by optimizing goodness of fit to a nonmetric hypothesis. The means
        instead of a fitted scale are a choice of van Hulst's topovae (github.com/JvHulst/VAE-Topology).
    """
    owner = "geodesic_stress"
    a, b = (float_array(owner, name, value, 1, "(num_pairs,)") for name, value in (("a", a), ("b", b)))
    if len(a) != len(b) or not len(a):
        raise ValueError(
            f"{owner}: `a` and `b` must hold as many distances, at least one. Received: {len(a)} and {len(b)}."
        )
    if min(a.min(), b.min()) < 0 or not a.any():
        raise ValueError(
            f"{owner}: distances must not be negative, and those of `a` not all 0. "
            f"Received: min(a)={a.min()}, min(b)={b.min()}, max(a)={a.max()}."
        )
    kept = a / a.mean()
    judged = b / b.mean() if b.any() else b
    return float(np.sqrt(np.sum((kept - judged) ** 2) / np.sum(kept**2)))
