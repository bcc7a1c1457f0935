"""Training on a GPU. Run by `nox -s gpu`; each test fails, and is not skipped, where the backend finds no GPU."""

import helpers
import keras
import numpy as np
import pytest

import torusae

pytestmark = pytest.mark.gpu


def assert_on_gpu(tensor):
    """torch says cuda:0, JAX cuda:0, TensorFlow .../device:GPU:0."""
    device = str(tensor.device).lower()
    assert "cuda" in device or "gpu" in device, f"{keras.backend.backend()} found no GPU: the tensor is on {device}"


@pytest.fixture
def patterns(rng):
    return rng.uniform(size=(512, 28, 28, 1)).astype("float32")


def test_tensors_are_on_the_gpu():
    assert_on_gpu(keras.ops.convert_to_tensor(np.zeros((2, 2), "float32")))


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_training_stays_on_the_gpu_and_finite(patterns, policy):
    keras.config.set_dtype_policy(policy)
    try:
        model = torusae.TorusAutoencoder.from_shape((28, 28, 1), dim=3)
    finally:
        keras.config.set_dtype_policy("float32")
    model.compile("adam", "mse")
    history = model.fit(patterns, batch_size=128, epochs=2, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())
    for variable in model.trainable_variables:
        assert_on_gpu(variable.value)
    assert_on_gpu(model(keras.ops.convert_to_tensor(patterns[:4]))["code"])


@pytest.mark.parametrize("loss", [torusae.SpringLoss(), torusae.QuantileLoss()], ids=lambda loss: loss.name)
def test_losses_agree_with_float64_on_the_host(rng, loss):
    values = rng.uniform(-3, 3, (4096, 3))
    value, gradient = helpers.gradient(loss, values.astype("float32"))
    if loss.name == "spring":
        gaps = np.diff(np.sort(values, 0), axis=0, append=np.sort(values, 0)[:1] + 2 * np.pi)
        expected = (gaps**2).sum() * 4096 / (3 * (2 * np.pi) ** 2)
    else:
        expected = ((np.sort(values, 0) - torusae.normal_quantiles(4096)[:, None]) ** 2).mean()
    # float32 rounds the angles to 2e-7 rad beside gaps of 1.5e-3.
    np.testing.assert_allclose(float(value), expected, rtol=1e-4)
    assert np.isfinite(gradient).all()
