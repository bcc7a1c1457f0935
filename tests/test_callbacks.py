"""`LatentLogger`: what it logs is what the losses of the recorded batches are, in any model, in any order of use."""

import keras
import numpy as np
import pytest
from helpers import to_numpy, to_tensor

import torusae

WIDTH = 3


def latent_model(latent=None, nested=False):
    latent = latent or torusae.TorusLatent(2, "paper", name="torus")
    if nested:
        middle = keras.Sequential([keras.Input((WIDTH,)), latent], name="middle")
        latent = keras.Sequential([keras.Input((WIDTH,)), middle], name="outer")
    model = keras.Sequential([keras.Input((WIDTH,)), latent, keras.layers.Dense(WIDTH)])
    # A learning rate of 0 keeps the weights, so that every batch can be computed again.
    model.compile(keras.optimizers.SGD(0.0), "mse")
    return model


def expected(latent, batches):
    """Each term's mean over batches, and Kuiper's statistic over all their angles in 32 arcs."""
    codes = [to_numpy(latent.project(to_tensor(batch))) for batch in batches]
    terms = [latent.terms(to_tensor(code)) for code in codes]
    means = {name: np.mean([float(to_numpy(term[name])) for term in terms]) for name in terms[0]}
    _, angles = torusae.to_polar(to_tensor(np.concatenate(codes)))
    # Counted by hand: the library's own function counts in the graph.
    turns = to_numpy(angles) / (2 * np.pi) + 0.5
    above = [np.mean(turns < (arc + 1) / 32, axis=0) - (arc + 1) / 32 for arc in range(32)]
    kuiper = np.maximum(np.max(above, axis=0), 0) - np.minimum(np.min(above, axis=0), 0)
    return {**means, "kuiper": kuiper.max()}


def assert_logged(logs, latent, batches, prefix="", epoch=-1):
    for name, value in expected(latent, batches).items():
        got = logs[prefix + name]
        # float32 angles: atan2 of a short code magnifies rounding.
        np.testing.assert_allclose(got[epoch] if isinstance(got, list) else got, value, rtol=1e-4, err_msg=name)


@pytest.fixture
def data(rng):
    return rng.normal(size=(40, WIDTH)).astype("float32"), rng.normal(2.0, size=(24, WIDTH)).astype("float32")


def batches_of(x, size=16):
    return [x[i : i + size] for i in range(0, len(x), size)]


@pytest.mark.parametrize("nested", [False, True], ids=["flat", "nested"])
@pytest.mark.parametrize("eager", [False, True], ids=["compiled", "eager"])
def test_history_holds_every_term_of_both_data_sets(data, nested, eager):
    x, x_val = data
    latent = torusae.TorusLatent(2, "paper")
    model = latent_model(latent, nested)
    model.run_eagerly = eager
    logger = torusae.LatentLogger()
    history = model.fit(
        x, x, batch_size=16, epochs=2, shuffle=False, verbose=0, callbacks=[logger], validation_data=(x_val, x_val)
    ).history
    names = {"loss", "spring", "quantile", "kuiper"}
    assert set(history) == names | {f"val_{name}" for name in names}
    for epoch in (0, 1):  # an epoch's records do not run into the next one's, nor into the validation's
        assert_logged(history, latent, batches_of(x), epoch=epoch)
        assert_logged(history, latent, batches_of(x_val), "val_", epoch)
    assert_logged(logger.results, latent, batches_of(x))
    assert_logged(logger.results, latent, batches_of(x_val), "val_")


class Spy(keras.callbacks.Callback):
    """Keeps the logs of each batch."""

    def __init__(self):
        super().__init__()
        self.batches = []

    def on_train_batch_end(self, batch, logs=None):
        self.batches.append(dict(logs))


def test_logs_of_batches(data):
    x, _ = data
    latent = torusae.TorusLatent(2, "paper")
    model, spy = latent_model(latent), Spy()
    model.fit(x, x, batch_size=16, shuffle=False, verbose=0, callbacks=[torusae.LatentLogger(every=2), spy])
    assert ["spring" in logs for logs in spy.batches] == [True, False, True]
    assert_logged(spy.batches[0], latent, batches_of(x)[:1])
    assert_logged(spy.batches[2], latent, batches_of(x))


def test_evaluate_measures_and_predict_does_not(data):
    x, _ = data
    latent = torusae.TorusLatent(2, "paper")
    model, logger = latent_model(latent), torusae.LatentLogger()
    plain = model.evaluate(x, x, verbose=0)  # compiled before the logger comes
    loss = model.evaluate(x, x, batch_size=16, verbose=0, callbacks=[logger])
    np.testing.assert_allclose(loss, plain, rtol=1e-6)  # batches of another size sum in another order
    assert set(logger.results) == {"spring", "quantile", "kuiper"}
    assert_logged(logger.results, latent, batches_of(x))
    before = latent.records()
    model.predict(x, verbose=0)
    model.evaluate(x, x, verbose=0)
    assert latent.records() == before


def test_a_model_fitted_before_its_first_logger(data):
    x, x_val = data
    latent = torusae.TorusLatent(2, "paper")
    model = latent_model(latent)
    options = {"batch_size": 16, "shuffle": False, "verbose": 0, "validation_data": (x_val, x_val)}
    assert set(model.fit(x, x, **options).history) == {"loss", "val_loss"}
    history = model.fit(x, x, callbacks=[torusae.LatentLogger()], **options).history
    assert_logged(history, latent, batches_of(x))
    assert_logged(history, latent, batches_of(x_val), "val_")
    # Without it again, and with another one, after compiling anew.
    assert set(model.fit(x, x, **options).history) == {"loss", "val_loss"}
    model.compile(keras.optimizers.SGD(0.0), "mse")
    model.fit(x, x, **options)
    history = model.fit(x, x, epochs=2, callbacks=[torusae.LatentLogger()], **options).history
    assert_logged(history, latent, batches_of(x), epoch=1)
    assert_logged(history, latent, batches_of(x_val), "val_")


def test_one_logger_in_two_models_that_share_a_layer(data):
    x, _ = data
    latent, logger = torusae.TorusLatent(2, "paper"), torusae.LatentLogger()
    first, second = latent_model(latent), latent_model(latent)
    options = {"batch_size": 16, "shuffle": False, "verbose": 0}
    second.fit(x, x, **options)  # compiled without recording
    for model in (first, second, first):
        history = model.fit(x, x, callbacks=[logger], **options).history
        assert_logged(history, latent, batches_of(x))


def test_a_second_fit_with_a_logger_does_not_compile_again(data):
    x, _ = data
    model = latent_model()
    model.fit(x, x, verbose=0, callbacks=[torusae.LatentLogger()])
    step = model.train_function
    model.fit(x, x, verbose=0, callbacks=[torusae.LatentLogger()])
    assert model.train_function is step


def test_validation_now_and_then(data):
    x, x_val = data
    latent = torusae.TorusLatent(2, "paper")
    history = (
        latent_model(latent)
        .fit(
            x,
            x,
            batch_size=16,
            epochs=3,
            shuffle=False,
            verbose=0,
            validation_data=(x_val, x_val),
            validation_freq=2,
            callbacks=[torusae.LatentLogger()],
        )
        .history
    )
    assert len(history["spring"]) == 3
    assert len(history["val_spring"]) == 1
    assert_logged(history, latent, batches_of(x), epoch=2)


def test_several_latent_layers_have_prefixes(data):
    x, _ = data
    inputs = keras.Input((WIDTH,))
    codes = [torusae.TorusLatent(dim, "paper", name=name)(inputs) for dim, name in ((1, "phase"), (2, "pose"))]
    model = keras.Model(inputs, keras.layers.Dense(WIDTH)(keras.layers.Concatenate()(codes)))
    model.compile(keras.optimizers.SGD(0.0), "mse")
    history = model.fit(x, x, batch_size=40, verbose=0, callbacks=[torusae.LatentLogger()]).history
    terms = ("spring", "quantile", "kuiper")
    assert set(history) == {"loss", *(f"{name}_{term}" for name in ("phase", "pose") for term in terms)}
    for name in ("phase", "pose"):
        assert_logged(history, model.get_layer(name), [x], f"{name}_")


@keras.saving.register_keras_serializable(package="torusae_tests")
class Branches(keras.Model):
    """Latent layers in a dict and in a list; its `call` takes no `training`."""

    def __init__(self):
        super().__init__()
        self.by_name = {"a": torusae.TorusLatent(1, "paper", name="a")}
        self.listed = [keras.layers.Identity(), torusae.TorusLatent(1, "paper", name="b")]
        self.out = keras.layers.Dense(WIDTH)

    def call(self, x):
        return self.out(keras.ops.concatenate([self.by_name["a"](x), self.listed[1](x)], axis=-1))


def test_layers_are_found_in_containers(data):
    x, x_val = data
    model = Branches()
    model.compile(keras.optimizers.SGD(0.0), "mse")
    history = model.fit(
        x, x, batch_size=40, verbose=0, callbacks=[torusae.LatentLogger()], validation_data=(x_val, x_val)
    ).history
    assert_logged(history, model.by_name["a"], [x], "a_")
    assert_logged(history, model.listed[1], [x], "b_")
    assert_logged(history, model.listed[1], [x_val], "val_b_")
    # TensorFlow builds such a model within its first step, after the plan for the ramp was made.
    assert int(model.listed[1].ramp_steps) == max(1, round(0.6 * len(x) / 40))


def test_early_stopping_reads_what_is_logged(data):
    x, x_val = data
    callbacks = [torusae.LatentLogger(), keras.callbacks.EarlyStopping("val_spring", mode="min", patience=1)]
    history = latent_model().fit(x, x, epochs=5, verbose=0, validation_data=(x_val, x_val), callbacks=callbacks).history
    assert len(history["loss"]) == 2  # with a learning rate of 0 nothing gets better


def test_a_model_without_latent_layers_is_left_alone(data):
    x, _ = data
    model = keras.Sequential([keras.Input((WIDTH,)), keras.layers.Dense(WIDTH)])
    model.compile("sgd", "mse")
    assert set(model.fit(x, x, verbose=0, callbacks=[torusae.LatentLogger()]).history) == {"loss"}


def test_the_autoencoder_logs_by_itself(data):
    x, x_val = data
    histories = []
    for callbacks in ([], [torusae.LatentLogger()]):
        keras.utils.set_random_seed(1)
        model = torusae.TorusAutoencoder.from_shape((WIDTH,), dim=1, losses="paper")
        model.compile("adam", "mse")
        histories.append(model.fit(x, validation_data=x_val, verbose=0, callbacks=callbacks).history)
    assert histories[0] == histories[1]


def test_records_are_not_saved(data, tmp_path):
    x, _ = data
    model = latent_model()
    model.fit(x, x, verbose=0, callbacks=[torusae.LatentLogger()])
    assert model.get_layer("torus").records()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    latent = loaded.get_layer("torus")
    assert latent.records() == {}
    assert not latent.records_training
    assert int(to_numpy(latent.iterations)) == int(to_numpy(model.get_layer("torus").iterations)) > 0


@pytest.mark.parametrize(("every", "error"), [(0, ValueError), (1.5, TypeError)])
def test_wrong_interval(every, error):
    with pytest.raises(error, match=f"LatentLogger: `every` must be .* Received: every={every}"):
        torusae.LatentLogger(every=every)
