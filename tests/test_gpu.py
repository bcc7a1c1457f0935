"""Training on a GPU. Run by `nox -s gpu`; each test fails, and is not skipped, where the backend finds no GPU."""

import contextlib

import keras
import numpy as np
import pytest
from shared import golden, tensors

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
    assert_on_gpu(model(keras.ops.convert_to_tensor(patterns[:4]))["point"])


@pytest.mark.parametrize("loss", [torusae.SpringLoss(), torusae.QuantileLoss()], ids=lambda loss: loss.name)
def test_losses_agree_with_float64_on_the_host(rng, loss):
    values = rng.uniform(-3, 3, (4096, 3))
    value, gradient = tensors.gradient(loss, values.astype("float32"))
    if loss.name == "spring":
        gaps = np.diff(np.sort(values, 0), axis=0, append=np.sort(values, 0)[:1] + 2 * np.pi)
        expected = (gaps**2).sum() * 4096 / (3 * (2 * np.pi) ** 2)
    else:
        expected = ((np.sort(values, 0) - torusae.normal_quantiles(4096)[:, None]) ** 2).mean()
    # float32 rounds the angles to 2e-7 rad beside gaps of 1.5e-3.
    np.testing.assert_allclose(float(value), expected, rtol=1e-4)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("name", golden.CASES)
def test_losses_agree_with_the_golden_values(name):
    assert_on_gpu(keras.ops.convert_to_tensor(0.0))
    case = golden.CASES[name]
    # Sums come in another order than on the CPU, so ten times its tolerance; products of matrices may be of TF32, with
    # 11 bits. Spring and quantile losses have none.
    rtol = 10 * case["rtol"] if case["loss"] in ("spring", "quantile") else 1e-2
    golden.check(name, "normalized", "float32" if "options" in case else case["dtype"], rtol, compile=True)


@contextlib.contextmanager
def no_transfer_to_the_host():
    """Fails where something computed on the GPU is read back within."""
    if keras.backend.backend() == "torch":
        import torch

        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
            yield
            torch.cuda.synchronize()
        names = [event.name for event in profile.events()]
        assert names, "the profiler saw nothing on the GPU"
        assert not [name for name in names if "DtoH" in name]
    elif keras.backend.backend() == "jax":
        import jax

        with jax.transfer_guard_device_to_host("disallow"):
            yield
    else:
        yield


@pytest.mark.parametrize("losses", ["paper", "uniform"])
def test_a_step_sends_nothing_back_to_the_host(rng, losses):
    latent = torusae.TorusLatent(3, losses)
    features = keras.ops.convert_to_tensor(rng.normal(size=(128, 16)).astype("float32"))
    assert_on_gpu(features)
    latent(features)
    angles = latent.space.angles(latent(features))

    def total(angles):
        return sum(term.loss(angles) for term in latent.terms if term.reads == "angles")

    step = tensors.compiled(lambda x: tensors.value_and_gradient(total, x))
    step(angles)  # compiles, and moves constants to the GPU
    with no_transfer_to_the_host():
        value, slope = step(angles)
    assert_on_gpu(value)
    assert_on_gpu(slope)
    if (
        keras.backend.backend() == "tensorflow"
    ):  # a graph can leave the GPU only through Python, or an op that has no kernel
        import tensorflow as tf

        graph = tf.function(total).get_concrete_function(tf.TensorSpec([None, 3], "float32")).graph
        assert not [op.name for op in graph.get_operations() if "PyFunc" in op.type]
