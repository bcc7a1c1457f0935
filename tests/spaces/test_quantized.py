"""The torus of codes: the quantiser's error in training alone, and its gradient."""

import math

import keras
import numpy as np
import pytest
import scipy.stats
from keras import ops
from shared.tensors import gradient, to_numpy, to_tensor

import torusae
from torusae import codes
from torusae.spaces import QuantizedTorus


def raw_points(num, dim=2, seed=0):
    return np.random.default_rng(seed).normal(size=(num, 2 * dim)).astype("float32")


def angles_of(values):
    x, y = np.split(np.asarray(values, "float64"), 2, axis=1)
    return np.arctan2(y, x)


def test_a_point_has_the_angles_of_its_raw_values_and_radius_one():
    raw = raw_points(50)
    for training in ("rounding", "noise", "none"):
        space = QuantizedTorus(2, 3, training)
        expected = np.concatenate([np.cos(angles_of(raw)), np.sin(angles_of(raw))], axis=1)
        np.testing.assert_allclose(to_numpy(space.point(to_tensor(raw))), expected, atol=1e-6)
    seeded = QuantizedTorus(2, 3, "none").point(to_tensor(raw), keras.random.SeedGenerator(0))
    np.testing.assert_allclose(to_numpy(seeded), expected, atol=1e-6)


@pytest.mark.parametrize("bits", [1, 3, 8])
def test_rounding_moves_training_points_to_their_codes(bits):
    raw = raw_points(50)
    point = to_numpy(QuantizedTorus(2, bits).point(to_tensor(raw), keras.random.SeedGenerator(0)))
    places = codes.dequantize(codes.quantize_angles(angles_of(raw), bits), bits)
    np.testing.assert_allclose(point, np.concatenate([np.cos(places), np.sin(places)], axis=1), atol=2e-6)


def test_noise_is_uniform_over_one_cell_and_seeded():
    raw, space, step = raw_points(2000), QuantizedTorus(2, 4, "noise"), 2 * math.pi / 16
    seed = keras.random.SeedGenerator(5)
    first, second = (to_numpy(space.point(to_tensor(raw), seed)) for _ in range(2))
    np.testing.assert_array_equal(first, to_numpy(space.point(to_tensor(raw), keras.random.SeedGenerator(5))))
    assert np.abs(first - second).max() > step / 4
    errors = np.angle(np.exp(1j * (angles_of(first) - angles_of(raw)))).ravel()
    # Of 4000 uniform values the statistic is above 0.035 once in 10,000 times; a tenth too wide gives 0.05.
    assert scipy.stats.kstest(errors, scipy.stats.uniform(-step / 2, step).cdf).statistic < 0.035
    np.testing.assert_allclose(np.hypot(*np.split(first, 2, axis=1)), 1, atol=1e-6)


@pytest.mark.parametrize("training", ["rounding", "noise"])
def test_the_gradient_passes_through_the_error(training):
    raw = raw_points(20, 1)
    weights = np.random.default_rng(1).normal(size=(20, 2))
    space = QuantizedTorus(1, 3, training)

    def loss(raw):
        return ops.sum(space.point(raw, keras.random.SeedGenerator(0)) * to_tensor(weights))

    _, slope = gradient(loss, raw)
    # Rounding: the tangent of the exact point, as if it were not rounded. Noise is a turn by a constant.
    seed = keras.random.SeedGenerator(0) if training == "noise" else None
    x, y = to_numpy(space.point(to_tensor(raw), seed)).astype("float64").T
    along = -y * weights[:, 0] + x * weights[:, 1]
    by_raw = np.stack([-raw[:, 1], raw[:, 0]], axis=1) / np.sum(raw.astype("float64") ** 2, axis=1, keepdims=True)
    np.testing.assert_allclose(slope, along[:, None] * by_raw, rtol=1e-4, atol=1e-5)


def test_terms_read_the_raw_values():
    raw, space = raw_points(30), QuantizedTorus(2, 1)
    point = space.point(to_tensor(raw), keras.random.SeedGenerator(0))
    np.testing.assert_allclose(to_numpy(space.view("angles", to_tensor(raw), point)), angles_of(raw), atol=1e-6)
    radii = np.hypot(*np.split(raw, 2, axis=1))
    np.testing.assert_allclose(to_numpy(space.view("radii", to_tensor(raw), point)), radii, atol=1e-6)
    assert repr(space.terms("uniform")) == repr(torusae.Torus(2).terms("uniform"))


def test_the_layer_draws_noise_in_training_alone():
    keras.utils.set_random_seed(0)
    layer = torusae.Latent(QuantizedTorus(2, 2, "noise"), losses="none")
    features = to_tensor(raw_points(40))
    quiet, again = (to_numpy(layer(features)) for _ in range(2))
    np.testing.assert_array_equal(quiet, again)
    noisy = to_numpy(layer(features, training=True))
    assert 0.2 < np.abs(np.angle(np.exp(1j * (angles_of(noisy) - angles_of(quiet))))).max() <= math.pi / 4 + 1e-5
    keras.utils.set_random_seed(0)
    twin = torusae.Latent(QuantizedTorus(2, 2, "noise"), losses="none")
    np.testing.assert_array_equal(to_numpy(twin(features, training=True)), noisy)


def test_a_model_that_is_trained_decodes_its_codes():
    keras.utils.set_random_seed(0)
    x = raw_points(64, 3)
    latent, decoder = torusae.Latent(QuantizedTorus(2, bits=8)), keras.layers.Dense(6)
    model = keras.Sequential([keras.Input((6,)), latent, decoder])
    before = to_numpy(latent.projection.kernel)
    model.compile("sgd", "mse")
    model.fit(x, x, batch_size=64, epochs=1, verbose=0)
    assert np.abs(to_numpy(latent.projection.kernel) - before).max() > 0
    exact = to_numpy(latent(to_tensor(x)))
    angles = codes.dequantize(codes.quantize_angles(angles_of(exact)))
    read = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    # A code is within half a place, 0.0123 rad, of its angle.
    np.testing.assert_allclose(read, exact, atol=0.0124)
    kernel = np.abs(to_numpy(decoder.kernel)).sum(axis=0).max()
    np.testing.assert_allclose(to_numpy(decoder(to_tensor(read))), to_numpy(decoder(exact)), atol=0.0124 * kernel)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"^QuantizedTorus: `bits` must be at most 16\. Received: bits=17"):
        QuantizedTorus(2, 17)
    with pytest.raises(ValueError, match=r"`training` must be one of .*Received: training='round'.*'rounding'"):
        QuantizedTorus(2, 4, "round")
