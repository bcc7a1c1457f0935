"""What a new user relies on without reading: each test is named after one promise."""

import math
import socket

import keras
import numpy as np
import pytest
from keras import ops
from shared.tables import SHAPE, Informed, Uninformed, assert_same, autoencoder, plain_model, samples, values_of
from shared.tensors import compiled, gradient, to_numpy, to_tensor

import torusae


def angles_spread(model, x):
    """The largest Kuiper statistic of the angles that the first latent layer gives."""
    (latent,) = torusae.layers.logger.latent_layers(model)
    (raw,) = torusae.layers.logger.raw_values(model, [latent], x)
    return float(torusae.metrics.kuiper_statistic(np.arctan2(raw[:, 2:], raw[:, :2])).max())


# 1. Only training trains


@pytest.mark.parametrize("make", [plain_model, autoencoder])
def test_fifty_plain_calls_change_nothing(make):
    x = samples()
    results = []
    for calls in (0, 50):
        keras.utils.set_random_seed(0)
        model = make()
        model.train_on_batch(x, x)
        before = values_of(model)
        for _ in range(calls):
            model(to_tensor(x))
            assert model.losses == []
        assert_same(values_of(model), before)
        results.append((model.train_on_batch(x, x), values_of(model)))
    (loss, values), (loss_after_calls, values_after_calls) = results
    assert loss == loss_after_calls
    assert_same(values, values_after_calls)


def weights_after_fit(model_class, preset="uniform", **options):
    keras.utils.set_random_seed(0)
    model = model_class(torusae.TorusLatent(2, preset))
    model.compile("adam", "mse", **options)
    x = samples()
    model.fit(x, x, batch_size=64, epochs=2, shuffle=False, verbose=0)
    return values_of(model)[:6]


def test_a_call_without_a_training_argument_gets_the_terms_in_fit():
    balanced, informed, plain = (
        weights_after_fit(*each) for each in ((Uninformed,), (Informed,), (Uninformed, "none"))
    )
    assert_same(balanced, informed, rtol=1e-5, atol=1e-6)
    assert any(np.abs(one - two).max() > 1e-4 for one, two in zip(balanced, plain, strict=True))


def test_the_same_with_run_eagerly():
    assert_same(weights_after_fit(Uninformed, run_eagerly=True), weights_after_fit(Informed), rtol=1e-4, atol=1e-5)


# 2. A validation loss that means what the training loss means


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


def test_validation_does_not_depend_on_the_batch_size():
    x, model = samples(), autoencoder()
    model.fit(x, batch_size=64, verbose=0)
    losses = [model.evaluate(x, batch_size=size, verbose=0, return_dict=True)["loss"] for size in (16, 50, 128)]
    np.testing.assert_allclose(losses, losses[0], rtol=1e-5)


def test_early_stopping_waits_until_the_reconstruction_has_converged():
    x, held_out = samples(512), samples(256, seed=1)
    results = []
    for callbacks in ([], [keras.callbacks.EarlyStopping("val_loss", patience=5, restore_best_weights=True)]):
        model = autoencoder(seed=0)
        history = model.fit(
            x, batch_size=64, epochs=30, validation_data=held_out, callbacks=callbacks, verbose=0
        ).history
        results.append(model.evaluate(held_out, verbose=0, return_dict=True)["reconstruction"])
    reached, stopped = min(history["val_reconstruction"]), results[1]
    assert stopped <= 1.1 * min(results[0], reached)


# 4. Random losses are random in `compile` too


@pytest.mark.parametrize("name", ["SlicedLoss", "SlicedWassersteinLoss"])
def test_random_losses_do_not_freeze_in_compile(name):
    """A frozen loss draws one set of directions for ever."""
    loss = getattr(torusae.losses, name)(num_directions=1)
    reference = type(loss).from_config(loss.get_config())
    rng = np.random.default_rng(0)
    batches = [to_tensor(rng.normal(size=(64, 4)) * [1.0, 0.1, 3.0, 0.5]) for _ in range(8)]
    step = compiled(lambda values: loss(values, values))
    got = [float(step(batch)) for batch in batches]
    np.testing.assert_allclose(got, [float(reference(batch)) for batch in batches], rtol=1e-4)
    # Along one fixed direction, statistics of such batches agree within their noise; along random ones they do not.
    assert max(got) > 2 * min(got)


def test_random_losses_train_in_compile_by_name():
    inputs = keras.Input(SHAPE)
    angles = keras.layers.Dense(2, name="angles")(inputs)
    model = keras.Model(inputs, {"angles": angles})
    model.compile(keras.optimizers.SGD(0.0), {"angles": torusae.losses.SlicedLoss(num_directions=1, max_frequency=3)})
    x = samples()
    losses = [model.train_on_batch(x[rows : rows + 32], {"angles": x[rows : rows + 32, :2]}) for rows in (0, 32, 64)]
    assert len({float(np.ravel(loss)[0]) for loss in losses}) == 3


# 5. A TorusAutoencoder inside another model


class Wrapped(keras.Model):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def call(self, x):
        return self.inner(x)["reconstruction"]


def wrapped(kind, inner):
    if kind == "functional":
        inputs = keras.Input(SHAPE)
        return keras.Model(inputs, inner(inputs)["reconstruction"])
    return Wrapped(inner)


@pytest.mark.parametrize("kind", ["functional", "subclassed"])
def test_an_autoencoder_inside_another_model_trains_with_its_terms(kind):
    x = samples()
    weights = {}
    for preset in ("uniform", "none"):
        keras.utils.set_random_seed(0)
        inner = autoencoder(torusae.TorusLatent(2, preset))
        model = wrapped(kind, inner)
        model.compile("adam", "mse")
        history = model.fit(x, x, batch_size=64, epochs=2, verbose=0, callbacks=[torusae.LatentLogger(x)]).history
        assert {"kuiper", "val_kuiper"} <= set(history)
        weights[preset] = [to_numpy(variable) for variable in inner.trainable_variables]
    assert any(np.abs(a - b).max() > 1e-4 for a, b in zip(*weights.values(), strict=True))


def test_the_halves_inside_another_model_train_with_the_terms():
    x = samples()
    weights = {}
    for preset in ("uniform", "none"):
        inner = autoencoder(torusae.TorusLatent(2, preset), seed=0)
        inputs = keras.Input(SHAPE)
        point = inner.encoder_model(inputs)["point"]
        model = keras.Model(inputs, inner.decoder_model(point))
        model.compile("adam", "mse")
        model.fit(x, x, batch_size=64, epochs=2, verbose=0)
        weights[preset] = [to_numpy(variable) for variable in inner.trainable_variables]
    assert any(np.abs(a - b).max() > 1e-4 for a, b in zip(*weights.values(), strict=True))


# 6. Any order of fits, shared and frozen layers


def test_one_epoch_first_changes_nothing_of_the_epochs_after_it():
    x = samples()
    results = []
    for epochs in ([1, 4], [5]):
        model = autoencoder(seed=0)
        for count in epochs:
            history = model.fit(x, batch_size=64, epochs=count, shuffle=False, verbose=0).history
        results.append((values_of(model), {name: values[-1] for name, values in history.items()}))
    assert_same(results[0][0], results[1][0], rtol=1e-5, atol=1e-6)
    for name, value in results[0][1].items():
        np.testing.assert_allclose(value, results[1][1][name], rtol=1e-3, atol=1e-5, err_msg=name)


def gradients_at(build, x):
    """The change of the weights in one step of SGD with learning rate 1, two latent layers' terms included."""
    keras.utils.set_random_seed(0)
    model, latent = build()
    before = [to_numpy(variable) for variable in latent.trainable_variables]
    model.compile(keras.optimizers.SGD(1.0), "mse")
    targets = [x] * len(model.outputs)
    model.train_on_batch(x, targets if len(targets) > 1 else x)
    return [old - to_numpy(variable) for old, variable in zip(before, latent.trainable_variables, strict=True)]


def test_a_layer_called_twice_on_the_same_features_acts_as_two_layers_would():
    x = samples()
    kernel, bias = np.random.default_rng(3).normal(size=(6, 4)) / 2, np.zeros(4)

    def shared():
        latent = torusae.TorusLatent(2)
        inputs = keras.Input(SHAPE)
        first, second = keras.layers.Dense(6, name="first"), keras.layers.Dense(6, name="second")
        outputs = [first(latent(inputs)), second(latent(-0.5 * inputs))]
        latent.projection.set_weights([kernel, bias])
        model = keras.Model(inputs, outputs)
        return model, latent

    def alone(which):
        def build():
            latents = [torusae.TorusLatent(2), torusae.TorusLatent(2)]
            inputs = keras.Input(SHAPE)
            first, second = keras.layers.Dense(6, name="first"), keras.layers.Dense(6, name="second")
            model = keras.Model(inputs, [first(latents[0](inputs)), second(latents[1](-0.5 * inputs))])
            for latent in latents:
                latent.projection.set_weights([kernel, bias])
            return model, latents[which]

        return build

    # The dense layers behind the torus start alike: their seeds count layers.
    def with_equal_ends(build):
        def built():
            model, latent = build()
            for name, seed in (("first", 1), ("second", 2)):
                weights = np.random.default_rng(seed).normal(size=(4, 6)) / 2
                model.get_layer(name).set_weights([weights, np.zeros(6)])
            return model, latent

        return built

    both = gradients_at(with_equal_ends(shared), x)
    apart = [gradients_at(with_equal_ends(alone(which)), x) for which in (0, 1)]
    assert_same(both, [one + two for one, two in zip(*apart, strict=True)], rtol=1e-4, atol=1e-5)


def test_a_frozen_layer_adds_no_gradient():
    x = samples()
    weights = {}
    for preset in ("uniform", "none"):
        keras.utils.set_random_seed(0)
        model = plain_model(torusae.TorusLatent(2, preset))
        model.layers[1].trainable = False
        model.compile("adam", "mse")
        model.fit(x, x, batch_size=64, epochs=2, verbose=0)
        assert model.losses == []
        weights[preset] = values_of(model)[:4]
    assert_same(*weights.values())


# 7. Wrapped angles stay in range


@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.parametrize("period", [2 * math.pi, 24.0, 360.0, 1e-3, 1e6])
def test_wrapped_angles_stay_in_range_however_large(period, compile):
    angles = np.outer([*(10.0 ** np.arange(39)), *(-(10.0 ** np.arange(39)))], np.linspace(0.1, 1, 50))

    def wrap(values):
        return torusae.wrap_angles(values, period)

    wrapped = to_numpy((compiled(wrap) if compile else wrap)(to_tensor(angles.astype("float32"))))
    half = np.float32(period / 2)
    assert np.all(np.isfinite(wrapped))
    assert np.all((-half <= wrapped) & (wrapped < half))


# 8. Heads learn from confident mistakes


def test_a_confident_mistake_of_a_head_moves_the_weights():
    x = samples()
    labels = np.zeros(len(x), "int32")
    model = autoencoder(heads={"digit": torusae.Head("classification", 2, units=())}, seed=0)
    output = model.heads["digit"].output_layer
    output.set_weights([np.zeros(output.kernel.shape), np.array([-60.0, 60.0])])  # sure of the wrong class
    model.compile(keras.optimizers.SGD(1.0), "mse")
    loss = model.train_on_batch(x, {"digit": labels}, return_dict=True)["digit_loss"]
    np.testing.assert_allclose(float(loss), 120.0, rtol=1e-4)
    bias = to_numpy(output.bias)
    assert bias[0] > -60.0 + 1e-2
    assert bias[1] < 60.0 - 1e-2


def test_the_heads_part_of_the_gradient_is_that_of_the_logits():
    logits = np.random.default_rng(0).normal(size=(20, 3)).astype("float32") * 30
    labels = np.arange(20) % 3
    head = torusae.Head("classification", 3)
    _, slope = gradient(lambda values: head.loss_and_score(to_tensor(labels), values)[0], logits)
    exact = np.exp(logits.astype("float64") - logits.max(1, keepdims=True))
    exact = (exact / exact.sum(1, keepdims=True) - np.eye(3)[labels]) / 20
    np.testing.assert_allclose(slope, exact, atol=1e-6)


# 9. Weights of one set of losses load into another


@pytest.mark.parametrize(
    "losses", ["uniform", "none", [torusae.losses.SlicedLoss()]], ids=["uniform", "none", "sliced"]
)
def test_weights_of_the_paper_load_into_other_losses(losses, tmp_path):
    x = samples()
    model = autoencoder(torusae.TorusLatent(2, "paper"))
    model.fit(x, batch_size=64, verbose=0)
    model.save_weights(tmp_path / "model.weights.h5")
    other = autoencoder(torusae.TorusLatent(2, losses))
    other.optimizer.build(other.trainable_variables)  # Keras loads its state too
    other.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_allclose(other.encode(x, verbose=0), model.encode(x, verbose=0), atol=1e-6)
    assert np.isfinite(other.fit(x, batch_size=64, verbose=0).history["loss"][0])
    host = plain_model(torusae.TorusLatent(2, "paper"))
    host.save_weights(tmp_path / "host.weights.h5")
    other = plain_model(torusae.TorusLatent(2, losses))
    other.load_weights(tmp_path / "host.weights.h5")
    np.testing.assert_allclose(to_numpy(other(x)), to_numpy(host(x)), atol=1e-6)


# 11. Bad input is named and leaves no trace


@pytest.mark.parametrize("labels", [np.zeros(4), np.zeros((4, 1))], ids=["(batch,)", "(batch, 1)"])
def test_angular_losses_of_a_column_do_not_broadcast(labels):
    predictions = to_tensor(np.array([[0.0], [np.pi / 2], [np.pi], [-np.pi / 2]]))
    np.testing.assert_allclose(float(torusae.losses.AngularLoss()(to_tensor(labels), predictions)), 1.0, atol=1e-6)
    with pytest.raises(ValueError, match="must have the same shape"):
        torusae.losses.angular_loss(to_tensor(np.zeros(4)), predictions)


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


def test_a_stream_with_nan_is_stopped_by_keras_own_callback():
    x = samples()
    bad = np.full_like(x, np.nan)
    model = autoencoder()

    def stream():
        yield (x,)
        yield (bad,)
        yield from ((x,) for _ in range(10))

    history = model.fit(
        stream(),
        steps_per_epoch=12,
        verbose=0,
        shuffle=False,
        callbacks=[keras.callbacks.TerminateOnNaN(raise_error=False)],
    )
    assert model.stop_training
    assert len(history.epoch) == 1


def images(dtype="float32"):
    return np.random.default_rng(0).uniform(0, 255, (16, 8, 8, 1)).astype(dtype)


def test_float_images_of_0_to_255_are_refused_where_the_output_is_a_sigmoid():
    model = torusae.TorusAutoencoder.from_shape((8, 8, 1), dim=1)
    model.compile("adam", "mse")
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\].*Use x / 255"):
        model.fit(images(), verbose=0)
    assert np.isfinite(model.fit(images() / 255, verbose=0).history["loss"][0])


def test_float_images_of_0_to_255_train_with_a_linear_output():
    encoder, _ = torusae.autoencoder_networks((8, 8, 1), decoder_input_size=2)
    decoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(64), keras.layers.Reshape((8, 8, 1))])
    model = torusae.TorusAutoencoder(encoder, decoder, 1)
    model.compile("adam", "mse")
    assert np.isfinite(model.fit(images(), verbose=0).history["loss"][0])


def test_a_new_decoder_is_the_one_that_decodes():
    x, model = samples(), autoencoder()
    model.fit(x, batch_size=64, verbose=0)
    points = model.encode(x, verbose=0)
    before = model.decode(points, verbose=0)
    model.decoder = torusae.networks.dense_decoder(SHAPE, 4, units=(5,))
    after = model.decode(points, verbose=0)
    np.testing.assert_allclose(after, to_numpy(model.decoder(to_tensor(points))), atol=1e-6)
    np.testing.assert_allclose(model.predict(x, verbose=0)["reconstruction"], after, atol=1e-5)
    assert np.abs(after - before).max() > 1e-3


def test_a_new_encoder_is_the_one_that_encodes():
    x, model = samples(), autoencoder()
    model.encode(x, verbose=0)
    model.encoder = torusae.networks.dense_encoder(SHAPE, units=(8,))
    np.testing.assert_allclose(model.encode(x, verbose=0), model.predict(x, verbose=0)["point"], atol=1e-6)


def test_loading_mnist_leaves_the_time_out_of_the_process_alone(monkeypatch):
    monkeypatch.setattr(socket, "setdefaulttimeout", lambda seconds: pytest.fail("set for the whole process"))
    torusae.datasets.load_mnist_subset()


# 12. What a person reaches for first


def test_angles_of_samples():
    x, model = samples(), autoencoder()
    angles = model.angles(x, verbose=0)
    assert angles.shape == (len(x), 2)
    np.testing.assert_allclose(angles, to_numpy(torusae.to_polar(model.encode(x, verbose=0))[1]), atol=1e-6)


def test_a_head_reads_hours():
    x = samples()
    hours = (np.arctan2(x[:, 1], x[:, 0]) * 12 / np.pi) % 24
    model = autoencoder(heads={"hour": torusae.Head("circular_regression", period=24, units=(16,))}, seed=0)
    model.fit(x, {"hour": hours}, batch_size=32, epochs=60, verbose=0)
    predicted = model.predict(x, verbose=0)["hour"][:, 0]
    assert np.all((-12 <= predicted) & (predicted < 12))
    error = np.abs((predicted - hours + 12) % 24 - 12)
    assert error.mean() < 3  # of at most 12; 6 by chance
    scored = model.evaluate(x, {"hour": hours}, batch_size=len(x), verbose=0, return_dict=True)["hour_error"]
    np.testing.assert_allclose(scored, error.mean(), rtol=1e-4)


def test_the_first_loss_can_be_read():
    """No weight of a latent loss is in it: on a table with unit columns the first epoch starts near 1."""
    x = samples(512)
    x = (x - x.mean(0)) / x.std(0)
    history = autoencoder(seed=0).fit(x, batch_size=64, verbose=0).history
    assert 0.1 < history["loss"][0] < 4
    np.testing.assert_allclose(history["loss"], history["reconstruction"], rtol=1e-5)


def test_the_default_spreads_the_angles():
    x = samples(512)
    spread = {}
    for preset in ("uniform", "none"):
        model = autoencoder(torusae.TorusLatent(2, preset), seed=0)
        model.fit(x, batch_size=128, epochs=40, verbose=0)
        spread[preset] = angles_spread(model, x)
    assert spread["uniform"] < 0.6 * spread["none"]
    assert ops.is_tensor(model(to_tensor(x))["point"])
