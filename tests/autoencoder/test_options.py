"""Options of Keras' training: what each changes, and what none may change."""

import keras
import numpy as np
import pytest
from shared.tables import assert_same, autoencoder, plain_model, samples
from shared.tensors import to_numpy

import torusae

OPTIONS = {"run_eagerly": {"run_eagerly": True}, "auto_scale_loss": {"auto_scale_loss": True}}
if keras.backend.backend() != "torch":  # where Keras refuses several steps at once, and compiles for too long
    OPTIONS |= {"steps_per_execution": {"steps_per_execution": 2}, "jit_compile": {"jit_compile": True}}


def test_options_of_compile_give_the_same_weights():
    results = {}
    for name, options in {"none": {}, **OPTIONS}.items():
        model = autoencoder(seed=0, **options)
        model.fit(samples(), batch_size=32, epochs=2, shuffle=False, verbose=0)
        results[name] = [to_numpy(variable) for variable in model.trainable_variables]
    for values in results.values():
        assert_same(values, results["none"], rtol=1e-4, atol=1e-5)


@pytest.mark.eager
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


def step_under(policy):
    """The loss and the change of the weights in one step of SGD, for gradients of every kind."""
    keras.config.set_dtype_policy(policy)
    try:
        keras.utils.set_random_seed(0)
        model = autoencoder(heads={"digit": torusae.Head("classification", 2, units=(4,))})
        optimizer = keras.optimizers.SGD(0.1)
        if policy == "mixed_float16":  # Keras' own scale of 32768 overflows at first, and skips the step
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=256.0)
        model.compile(optimizer, "mse")
        x = samples()
        before = [to_numpy(variable) for variable in model.trainable_variables]
        loss = model.train_on_batch(x, {"digit": (x[:, 0] > 0).astype("int32")}, return_dict=True)["loss"]
        changes = [to_numpy(v) - start for v, start in zip(model.trainable_variables, before, strict=True)]
        return float(loss), np.concatenate([change.ravel() for change in changes])
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize(("policy", "rtol"), [("mixed_float16", 0.01), ("mixed_bfloat16", 0.05)])
def test_a_step_in_half_precision_is_that_of_float32(policy, rtol):
    loss, change = step_under("float32")
    other_loss, other_change = step_under(policy)
    np.testing.assert_allclose(other_loss, loss, rtol=rtol)
    assert np.linalg.norm(other_change - change) < rtol * np.linalg.norm(change)


def test_the_loss_of_an_epoch_is_what_evaluate_gives():
    x = samples()
    model = autoencoder()
    model.compile(keras.optimizers.SGD(0.0), "mse")
    history = model.fit(x, batch_size=len(x), epochs=3, validation_data=x, validation_batch_size=len(x), verbose=0)
    losses = history.history["loss"]
    np.testing.assert_allclose(losses, losses[0], rtol=1e-5)
    np.testing.assert_allclose(history.history["val_loss"], losses, rtol=1e-5)
    np.testing.assert_allclose(
        model.evaluate(x, batch_size=len(x), verbose=0, return_dict=True)["loss"], losses[0], 1e-5
    )


def test_one_epoch_first_changes_nothing_of_the_epochs_after_it():
    x = samples()
    results = []
    for epochs in ([1, 4], [5]):
        model = autoencoder(seed=0)
        for count in epochs:
            history = model.fit(x, batch_size=64, epochs=count, shuffle=False, verbose=0).history
        results.append(
            (
                [to_numpy(variable) for variable in model.variables],
                {name: values[-1] for name, values in history.items()},
            )
        )
    assert_same(results[0][0], results[1][0], rtol=1e-5, atol=1e-6)
    for name, value in results[0][1].items():
        np.testing.assert_allclose(value, results[1][1][name], rtol=1e-3, atol=1e-5, err_msg=name)


@pytest.mark.eager
@pytest.mark.parametrize("make", [plain_model, autoencoder])
def test_a_batch_with_nan_leaves_the_later_steps_alone(make):
    """The gradient of a batch with NaN is NaN; with the weights set back, the next step is as if it had never been."""
    x = samples()
    bad = x.copy()
    bad[5, 1] = np.nan
    results = []
    for first in (x, bad):
        keras.utils.set_random_seed(0)
        model = make()
        model.compile(keras.optimizers.SGD(0.01), "mse")
        weights = [to_numpy(variable) for variable in model.trainable_variables]
        model.train_on_batch(first, first)
        for variable, value in zip(model.trainable_variables, weights, strict=True):
            variable.assign(value)
        model.reset_metrics()
        results.append((model.train_on_batch(x, x), [to_numpy(variable) for variable in model.trainable_variables]))
    assert np.isfinite(np.ravel(results[1][0])).all()
    np.testing.assert_array_equal(*[loss for loss, _ in results])
    assert_same(results[0][1], results[1][1])


def test_a_head_is_scored_in_the_unit_of_its_period():
    x = samples()
    hours = (np.arctan2(x[:, 1], x[:, 0]) * 12 / np.pi) % 24
    model = autoencoder(heads={"hour": torusae.Head("circular_regression", period=24, units=(16,))}, seed=0)
    predicted = model.predict(x, verbose=0)["hour"][:, 0]
    assert np.all((-12 <= predicted) & (predicted < 12))
    error = np.abs((predicted - hours + 12) % 24 - 12)
    scored = model.evaluate(x, {"hour": hours}, batch_size=len(x), verbose=0, return_dict=True)["hour_error"]
    np.testing.assert_allclose(scored, error.mean(), rtol=1e-4)
