"""Options of Keras' training, each tried on a small model with latent terms."""

import keras
import numpy as np
import pytest
from shared.tables import SHAPE, Uninformed, assert_same, autoencoder, plain_model, samples, values_of
from shared.tensors import to_numpy, to_tensor

import torusae

ON_TORCH = keras.backend.backend() == "torch"


def heads():
    return {"digit": torusae.Head("classification", 2, units=(4,))}


def labels(x):
    return {"digit": (x[:, 0] > 0).astype("int32")}


def losses_of(model, epochs=10, batch_size=32, **options):
    x = samples()
    y = labels(x) if getattr(model, "heads", None) else (None if isinstance(model, torusae.TorusAutoencoder) else x)
    return model.fit(x, y, batch_size=batch_size, epochs=epochs, verbose=0, **options).history["loss"]


def assert_falls(losses):
    assert np.all(np.isfinite(losses))
    assert losses[-1] < 0.9 * losses[0]


OPTIONS = {"run_eagerly": {"run_eagerly": True}, "auto_scale_loss": {"auto_scale_loss": True}}
if not ON_TORCH:  # where Keras refuses several steps at once, and compiles for longer than this suite takes
    OPTIONS |= {"steps_per_execution": {"steps_per_execution": 2}, "jit_compile": {"jit_compile": True}}


@pytest.mark.parametrize("option", OPTIONS)
def test_options_of_compile(option):
    for model in (autoencoder(heads=heads(), **OPTIONS[option]), plain_model(**OPTIONS[option])):
        assert_falls(losses_of(model, epochs=3 if option == "run_eagerly" else 10))


@pytest.mark.parametrize("option", OPTIONS)
def test_options_of_compile_give_the_same_weights(option):
    results = []
    for options in ({}, OPTIONS[option]):
        model = autoencoder(seed=0, **options)
        losses_of(model, epochs=2, shuffle=False)
        results.append([to_numpy(variable) for variable in model.trainable_variables])
    assert_same(*results, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", [autoencoder, plain_model])
def test_gradient_accumulation_is_the_mean_gradient_of_its_batches(make):
    x = samples(64)
    keras.utils.set_random_seed(0)
    model = make()
    start = [to_numpy(variable) for variable in model.trainable_variables]

    def changes(steps, batches):
        for variable, value in zip(model.trainable_variables, start, strict=True):
            variable.assign(value)
        model.compile(keras.optimizers.SGD(1.0, gradient_accumulation_steps=steps), "mse")
        for batch in batches:
            model.train_on_batch(batch, batch)
        return [to_numpy(variable) - value for variable, value in zip(model.trainable_variables, start, strict=True)]

    halves = x[:32], x[32:]
    one, two = (changes(None, [half]) for half in halves)
    assert_same(changes(2, halves), [(a + b) / 2 for a, b in zip(one, two, strict=True)], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", [autoencoder, plain_model])
def test_gradient_accumulation_trains(make):
    model = make()
    model.compile(keras.optimizers.Adam(0.01, gradient_accumulation_steps=2), "mse")
    assert_falls(losses_of(model, epochs=20))


@pytest.fixture
def policy(request):
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"], indirect=True)
@pytest.mark.parametrize("make", ["autoencoder", "plain", "without training"])
def test_mixed_precision_trains(policy, make):
    model = {
        "autoencoder": lambda: autoencoder(heads=heads()),
        "plain": plain_model,
        "without training": lambda: Uninformed(torusae.TorusLatent(2)),
    }[make]()
    model.compile(keras.optimizers.Adam(0.01), "mse")  # under mixed_float16 Keras scales the loss
    losses = losses_of(model, epochs=15)
    if policy == "mixed_float16":
        assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert_falls(losses)
    assert all(np.all(np.isfinite(value)) for value in values_of(model))


def test_loss_scaling_does_not_change_the_balance():
    results = []
    for scale in (None, 1024.0):
        keras.utils.set_random_seed(0)
        model = plain_model()
        optimizer = keras.optimizers.SGD(0.01)
        if scale:
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=scale)
        model.compile(optimizer, "mse")
        x = samples()
        model.fit(x, x, batch_size=64, epochs=2, shuffle=False, verbose=0)
        results.append([to_numpy(variable) for variable in model.trainable_variables])
    assert_same(*results, rtol=1e-4, atol=1e-5)


def test_weights_shared_in_two_places():
    """One dense layer in front of two latent layers: both act on it, and both are logged."""
    inputs = keras.Input(SHAPE)
    shared = keras.layers.Dense(8, "relu")
    codes = [torusae.TorusLatent(1, name=name)(shared(inputs)) for name in ("first", "second")]
    model = keras.Model(inputs, keras.layers.Dense(*SHAPE)(keras.layers.Concatenate()(codes)))
    model.compile(keras.optimizers.Adam(0.01), "mse")
    x = samples()
    history = model.fit(x, x, batch_size=32, epochs=10, verbose=0, callbacks=[torusae.LatentLogger()]).history
    assert_falls(history["loss"])
    assert {"first_kuiper", "second_kuiper"} <= set(history)


def test_an_encoder_shared_by_two_autoencoders(tmp_path):
    encoder = torusae.networks.dense_encoder(SHAPE, units=(8,))
    models = [
        torusae.TorusAutoencoder(encoder, torusae.networks.dense_decoder(SHAPE, 4, units=(8,)), 2) for _ in range(2)
    ]
    x = samples()
    for model in models:
        model.compile("adam", "mse")
        model.fit(x, batch_size=64, verbose=0)
        model.save(tmp_path / "model.keras")
        np.testing.assert_allclose(
            keras.saving.load_model(tmp_path / "model.keras").encode(x, verbose=0),
            model.encode(x, verbose=0),
            atol=1e-6,
        )


@pytest.mark.parametrize("make", [lambda: autoencoder(heads=heads()), plain_model], ids=["autoencoder", "plain"])
def test_a_clone_has_the_structure_and_fresh_weights(make):
    x, model = samples(), make()
    losses_of(model, epochs=1)
    if hasattr(model, "fit_density"):
        model.fit_density(x, verbose=0)
    clone = keras.models.clone_model(model)
    assert getattr(clone, "density", None) is None
    pairs = list(zip(model.trainable_variables, clone.trainable_variables, strict=True))
    assert [a.shape for a, _ in pairs] == [b.shape for _, b in pairs]
    assert any(np.abs(to_numpy(a) - to_numpy(b)).max() > 1e-3 for a, b in pairs if len(a.shape) == 2)
    clone.compile("adam", "mse")
    before = [to_numpy(variable) for variable in model.trainable_variables]
    assert np.all(np.isfinite(losses_of(clone, epochs=1)))
    assert_same([to_numpy(variable) for variable in model.trainable_variables], before)
    clone.set_weights(model.get_weights())
    outputs = [each(to_tensor(x)) for each in (model, clone)]
    outputs = [each["reconstruction"] if isinstance(each, dict) else each for each in outputs]
    np.testing.assert_allclose(*map(to_numpy, outputs), atol=1e-6)
