"""The loss of periodic targets: units, shapes, and what Keras passes to it."""

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


@pytest.mark.parametrize(("a", "b"), [((4,), (4, 1)), ((4, 1), (4,)), ((4, 1), (4, 2)), ((3, 1), (4, 1))])
def test_shapes_that_differ_are_refused(a, b):
    with pytest.raises(ValueError, match=r"same shape. Received: targets.shape=.*Give|same shape. Received: targets"):
        torusae.losses.angular_loss(np.zeros(a, "float32"), np.zeros(b, "float32"))


def test_the_object_aligns_a_column_as_the_losses_of_keras_do(rng):
    hours, found = rng.uniform(0, 24, 5).astype("float32"), rng.uniform(0, 24, (5, 1)).astype("float32")
    loss = torusae.losses.AngularLoss(period=24.0)
    expected = (1 - np.cos(2 * np.pi * (hours - found[:, 0]) / 24)).mean()
    for targets, outputs in [(hours, found), (hours[:, None], found), (hours[:, None], found[:, 0])]:
        assert float(loss(to_tensor(targets), to_tensor(outputs))) == pytest.approx(expected, abs=1e-5)
    with pytest.raises(ValueError, match=r"same shape. Received: targets.shape=\(5,\), angles.shape=\(5, 2\)"):
        loss(to_tensor(hours), to_tensor(np.repeat(found, 2, axis=1)))


def test_a_model_of_hours_trains_on_flat_targets(rng):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
    model.compile("sgd", torusae.losses.AngularLoss(period=24.0))
    hours = rng.uniform(0, 24, 16).astype("float32")
    # The output is the input: aligned, the loss is 0; broadcast to (16, 16), it would be about 1.
    assert model.evaluate(hours[:, None], hours, verbose=0) == pytest.approx(0, abs=1e-5)


def test_period_is_kept_and_checked():
    loss = torusae.losses.AngularLoss(period=24.0)
    assert keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss)).period == 24.0
    with pytest.raises(ValueError, match=r"`period` must be finite and positive. Received: period=0"):
        torusae.losses.AngularLoss(period=0)
