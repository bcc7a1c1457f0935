"""The loss of periodic targets: units and shapes."""

import keras
import numpy as np
import pytest
from shared.tensors import gradient, to_numpy, to_tensor

import torusae


@pytest.mark.parametrize("period", [2 * np.pi, 24.0, 1.0])
def test_any_period_is_the_angle_of_its_share_of_a_turn(rng, period):
    targets, found = rng.uniform(-3 * period, 3 * period, (2, 6, 3))
    expected = (1 - np.cos(2 * np.pi * (targets - found) / period)).mean(axis=1)
    value = to_numpy(torusae.losses.angular_loss(to_tensor(targets), to_tensor(found), period))
    np.testing.assert_allclose(value, expected, atol=5e-6)
    _, slope = gradient(
        lambda x: keras.ops.sum(torusae.losses.angular_loss(to_tensor(targets), x, period)), found, compile=True
    )
    turn = 2 * np.pi / period
    np.testing.assert_allclose(slope, turn * np.sin(turn * (found - targets)) / 3, atol=5e-6 * turn)


def test_shapes_that_differ_are_refused():
    for a, b in [((4,), (4, 1)), ((4, 1), (4,)), ((4, 1), (4, 2)), ((3, 1), (4, 1))]:
        with pytest.raises(
            ValueError, match=r"same shape. Received: targets.shape=.*Give|same shape. Received: targets"
        ):
            torusae.losses.angular_loss(np.zeros(a, "float32"), np.zeros(b, "float32"))


def test_the_period_is_checked():
    with pytest.raises(ValueError, match=r"`period` must be finite and positive. Received: period=0"):
        torusae.losses.angular_loss(np.zeros((3, 1), "float32"), np.zeros((3, 1), "float32"), period=0)
