"""The intrinsic dimension of points whose dimension is known."""

import numpy as np
import pytest

from torusae import metrics


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_intrinsic_dimension_of_uniform_points_and_of_a_surface(dim, rng):
    angles = rng.uniform(-np.pi, np.pi, (3000, dim))
    allowed = 4 * dim / np.sqrt(3000)  # four deviations
    assert abs(metrics.intrinsic_dimension(angles) - dim) < allowed
    turned = np.concatenate([angles, angles + 1.0, -2 * angles], axis=1)  # linear, so that no distance ratio changes
    assert abs(metrics.intrinsic_dimension(turned) - dim) < allowed
    repeated = np.concatenate([angles, angles[:50]])
    assert metrics.intrinsic_dimension(repeated) == pytest.approx(metrics.intrinsic_dimension(angles), abs=0.01)


def test_intrinsic_dimension_needs_three_points():
    with pytest.raises(ValueError, match="at least 3 different points"):
        metrics.intrinsic_dimension(np.zeros((10, 2)))
