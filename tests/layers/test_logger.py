"""`LatentLogger`: what it logs is measured on the most recent training samples, in any model, in any order of use."""

import keras
import numpy as np
import pytest
from shared import tables
from shared.tensors import to_numpy, to_tensor

import torusae

pytestmark = pytest.mark.eager

WIDTH = 3
NAMES = {"spring", "quantile", "kuiper"}


def latent_model(latent=None, nested=False):
    latent = latent or torusae.TorusLatent(2, "paper", name="torus")
    if nested:
        middle = keras.Sequential([keras.Input((WIDTH,)), latent], name="middle")
        latent = keras.Sequential([keras.Input((WIDTH,)), middle], name="outer")
    model = keras.Sequential([keras.Input((WIDTH,)), latent, keras.layers.Dense(WIDTH)])
    # A learning rate of 0 keeps the weights, so that every batch can be computed again.
    model.compile(keras.optimizers.SGD(0.0), "mse")
    return model


def kuiper(angles):
    """By its definition: the largest distances of the empirical distribution above and below the uniform one."""
    turns = np.sort(np.asarray(angles, "float64") / (2 * np.pi) + 0.5, axis=0)
    steps = np.arange(len(turns))[:, None]
    return ((steps + 1) / len(turns) - turns).max(axis=0) + (turns - steps / len(turns)).max(axis=0)


def expected(latent, rows):
    """Each term of some features, out of the pure functions, and the largest Kuiper statistic."""
    radii, angles = torusae.to_polar(latent.projection(to_tensor(rows)))
    quantiles = torusae.normal_quantiles(len(rows)).astype("float32") ** 2
    return {
        "spring": float(to_numpy(torusae.spring_loss(angles, reduction="normalized"))),
        "quantile": float(to_numpy(torusae.quantile_loss(radii**2, quantiles, reduction="normalized"))),
        "kuiper": kuiper(to_numpy(angles)).max(),
    }


def assert_logged(logs, latent, rows, prefix="", epoch=-1):
    for name, value in expected(latent, rows).items():
        got = logs[prefix + name]
        # float32 angles: atan2 of a short code magnifies rounding.
        np.testing.assert_allclose(got[epoch] if isinstance(got, list) else got, value, rtol=1e-4, err_msg=name)


@pytest.fixture
def data(rng):
    return rng.normal(size=(40, WIDTH)).astype("float32"), rng.normal(2.0, size=(24, WIDTH)).astype("float32")


def fit(model, x, *loggers, **options):
    return model.fit(x, x, batch_size=16, shuffle=False, verbose=0, callbacks=list(loggers), **options).history


@pytest.mark.eager(False)
@pytest.mark.parametrize(("nested", "eager"), [(False, False), (True, True)], ids=["compiled-flat", "eager-nested"])
def test_history_holds_every_term_of_both_samples(data, nested, eager):
    x, x_val = data
    latent = torusae.TorusLatent(2, "paper")
    model = latent_model(latent, nested)
    model.run_eagerly = eager
    logger = torusae.LatentLogger(x_val)
    history = fit(model, x, logger, epochs=2, validation_data=(x_val, x_val))
    assert set(history) == {"loss", "val_loss"} | NAMES | {f"val_{name}" for name in NAMES}
    for epoch in (0, 1):
        assert_logged(history, latent, np.concatenate([x] * (epoch + 1)), epoch=epoch)
        assert_logged(history, latent, x_val, "val_", epoch)
    assert_logged(logger.results, latent, np.concatenate([x, x]))
    assert_logged(logger.results, latent, x_val, "val_")


def test_the_last_512_training_samples_are_measured(rng):
    x = rng.normal(size=(640, WIDTH)).astype("float32")
    latent = torusae.TorusLatent(2, "paper")
    history = fit(latent_model(latent), x, torusae.LatentLogger(x[:300]))
    assert latent.recent.numpy().shape == (512, 4)
    assert_logged(history, latent, x[-512:])
    assert_logged(history, latent, x[:300], "val_")  # several batches of the logger's own


def test_evaluate_and_predict_record_nothing(data):
    x, x_val = data
    latent = torusae.TorusLatent(2, "paper")
    model, logger = latent_model(latent), torusae.LatentLogger()
    fit(model, x, logger)
    before = latent.recent.numpy()
    model.evaluate(x_val, x_val, verbose=0, callbacks=[logger])
    model.predict(x_val, verbose=0)
    np.testing.assert_array_equal(latent.recent.numpy(), before)
    assert_logged(logger.results, latent, x)


@pytest.mark.eager(False)
def test_a_model_fitted_before_its_first_logger(data):
    x, x_val = data
    latent = torusae.TorusLatent(2, "paper")
    model = latent_model(latent)
    assert set(fit(model, x_val)) == {"loss"}
    plain = [variable.path for variable in model.variables]
    assert_logged(fit(model, x, torusae.LatentLogger()), latent, x)
    # Without it again, and with another one, after compiling anew: of each training its own samples.
    assert [variable.path for variable in model.variables] == plain
    assert set(fit(model, x)) == {"loss"}
    model.compile(keras.optimizers.SGD(0.0), "mse")
    fit(model, x_val)
    assert_logged(fit(model, x_val, torusae.LatentLogger()), latent, x_val)


@pytest.mark.eager(False)
def test_one_logger_in_two_models_that_share_a_layer(data):
    x, x_val = data
    latent, logger = torusae.TorusLatent(2, "paper"), torusae.LatentLogger()
    first, second = latent_model(latent), latent_model(latent)
    fit(second, x)  # compiled without recording
    assert_logged(fit(first, x, logger), latent, x)
    assert_logged(fit(second, x_val, logger), latent, x_val)
    assert_logged(fit(first, x_val, logger), latent, x_val)


@pytest.mark.eager(False)
def test_a_second_fit_with_a_logger_does_not_compile_again(data):
    x, _ = data
    model = latent_model()
    fit(model, x, torusae.LatentLogger())
    step = model.train_function
    fit(model, x, torusae.LatentLogger())
    assert model.train_function is step


class Weights(keras.callbacks.Callback):
    """What a model counts and keeps as its weights in the middle of a training."""

    def on_epoch_end(self, epoch, logs=None):
        self.found = self.model.count_params(), len(self.model.get_weights())


def test_rows_are_state_of_a_training_and_no_weights(data):
    x, _ = data
    model = latent_model()
    plain = model.count_params(), len(model.get_weights())
    during = Weights()
    fit(model, x, torusae.LatentLogger(), during)
    assert during.found == plain == (model.count_params(), len(model.get_weights()))
    lone = torusae.TorusLatent(3)
    lone.build((None, 8))
    assert lone.count_params() == 6 * 8 + 6


def test_early_stopping_restores_weights_behind_a_logger(data):
    x, _ = data
    model = latent_model()
    model.compile(keras.optimizers.SGD(1.0), "mse")
    stop = keras.callbacks.EarlyStopping("loss", restore_best_weights=True)
    fit(model, x, torusae.LatentLogger(), stop, epochs=3)


def test_a_list_of_callbacks_serves_two_trainings(data):
    x, x_val = data
    latent = torusae.TorusLatent(2, "paper")
    model = latent_model(latent)
    callbacks = keras.callbacks.CallbackList([torusae.LatentLogger()], add_history=True, model=model)
    for samples in (x, x_val):
        history = model.fit(samples, samples, verbose=0, callbacks=callbacks).history
        assert_logged(history, latent, samples)


def test_several_latent_layers_have_prefixes(data):
    x, x_val = data
    inputs = keras.Input((WIDTH,))
    codes = [torusae.TorusLatent(dim, "paper", name=name)(inputs) for dim, name in ((1, "phase"), (2, "pose"))]
    model = keras.Model(inputs, keras.layers.Dense(WIDTH)(keras.layers.Concatenate()(codes)))
    model.compile(keras.optimizers.SGD(0.0), "mse")
    history = fit(model, x, torusae.LatentLogger(x_val))
    keys = {f"{name}_{term}" for name in ("phase", "pose") for term in NAMES}
    assert set(history) == {"loss"} | keys | {f"val_{key}" for key in keys}
    for name in ("phase", "pose"):
        assert_logged(history, model.get_layer(name), x, f"{name}_")
        assert_logged(history, model.get_layer(name), x_val, f"val_{name}_")


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
    history = fit(model, x, torusae.LatentLogger(x_val))
    assert_logged(history, model.by_name["a"], x, "a_")
    assert_logged(history, model.listed[1], x, "b_")
    assert_logged(history, model.listed[1], x_val, "val_b_")


def test_early_stopping_reads_what_is_logged(data):
    x, x_val = data
    stop = keras.callbacks.EarlyStopping("val_spring", mode="min", patience=1)
    history = fit(latent_model(), x, torusae.LatentLogger(x_val), stop, epochs=5)
    assert len(history["loss"]) == 2  # with a learning rate of 0 nothing gets better


def test_a_model_without_latent_layers_is_left_alone(data):
    x, _ = data
    model = keras.Sequential([keras.Input((WIDTH,)), keras.layers.Dense(WIDTH)])
    model.compile("sgd", "mse")
    assert set(fit(model, x, torusae.LatentLogger())) == {"loss"}


@pytest.fixture(scope="module")
def still():
    """An autoencoder that no fit changes: one model, compiled once, for what several fits log."""
    keras.utils.set_random_seed(1)
    model = torusae.TorusAutoencoder.from_shape((WIDTH,), dim=1, losses="paper")
    model.compile(keras.optimizers.SGD(0.0), "mse")
    model.fit(np.random.default_rng(0).normal(size=(40, WIDTH)).astype("float32"), verbose=0)
    return model


def history_of(model, x, **options):
    """The same order of the rows in every call."""
    keras.utils.set_random_seed(1)
    return model.fit(x, verbose=0, **options).history


def test_the_autoencoder_logs_by_itself(data, still):
    x, x_val = data
    history = history_of(still, x, validation_data=x_val)
    assert history == history_of(still, x, validation_data=x_val, callbacks=[torusae.LatentLogger(x_val)])
    assert {"kuiper", "val_kuiper"} < set(history)


@pytest.mark.parametrize("split", [False, True], ids=["data", "split"])
def test_a_logger_without_samples_measures_the_validation_data_of_each_fit(data, split, still):
    x, x_val = data
    validation = {"validation_split": 0.5} if split else {"validation_data": x_val}
    expected = history_of(still, x, **validation)
    assert {f"val_{name}" for name in NAMES} < set(expected)
    for in_list in (False, True):
        logger = torusae.LatentLogger()
        callbacks = keras.callbacks.CallbackList([logger], add_history=True, model=still) if in_list else [logger]
        assert history_of(still, x, callbacks=callbacks, **validation) == expected
        # The samples are lent: neither a fit without them nor a plain Keras model sees those of an earlier one.
        assert logger.x is None
        assert "val_kuiper" not in still.fit(x, verbose=0, callbacks=[logger]).history
        with pytest.raises(RuntimeError, match="stop here"):
            still.fit(x, verbose=0, callbacks=[logger, Stop()], **validation)
        assert logger.x is None


class Stop(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise RuntimeError("stop here")


def test_a_logger_with_samples_keeps_them(data, still):
    x, x_val = data
    own, plain = (
        history_of(still, x, validation_data=x_val, callbacks=callbacks)
        for callbacks in ([torusae.LatentLogger(x[:20])], [])
    )
    assert own["val_loss"] == plain["val_loss"]
    assert own["val_kuiper"] != plain["val_kuiper"]


def test_callbacks_of_an_autoencoder_read_what_it_logs(data, still):
    x, x_val = data
    stop = keras.callbacks.EarlyStopping("val_kuiper", mode="min", patience=1, min_delta=9)  # no progress is enough
    assert len(still.fit(x, validation_data=x_val, epochs=5, verbose=0, callbacks=[stop]).history["loss"]) == 2
    several = keras.callbacks.CallbackList([keras.callbacks.History()], add_history=True, model=still)
    history = still.fit(x, validation_split=0.25, verbose=0, callbacks=several).history
    assert {"kuiper", "val_kuiper"} < set(history)


def test_a_logger_of_the_callers_comes_before_what_reads_its_logs(data, still):
    x, x_val = data
    stop = keras.callbacks.EarlyStopping("val_kuiper", mode="min", patience=1, min_delta=9)
    callbacks = [stop, torusae.LatentLogger(x_val)]
    history = still.fit(x, epochs=5, verbose=0, callbacks=callbacks).history
    assert len(history["loss"]) == 2
    assert isinstance(callbacks[1], torusae.LatentLogger)  # the caller's list is as it was


def test_a_table_of_keras_holds_all_that_is_logged(data, still, tmp_path):
    x, x_val = data
    table = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    history = still.fit(x, validation_data=x_val, epochs=2, verbose=0, callbacks=[table]).history
    names, *rows = [line.split(",") for line in (tmp_path / "log.csv").read_text().splitlines()]
    assert {"val_kuiper", "val_spring"} < set(names)
    for epoch, row in enumerate(rows):
        values = dict(zip(names, map(float, row), strict=True))
        assert values == {"epoch": epoch, **{name: history[name][epoch] for name in history}}


def test_recent_samples_are_not_saved(data, tmp_path):
    x, _ = data
    model = latent_model()
    fit(model, x, torusae.LatentLogger())
    assert len(model.get_layer("torus").recent.numpy()) == 40
    model.save(tmp_path / "model.keras")
    latent = keras.saving.load_model(tmp_path / "model.keras").get_layer("torus")
    assert not latent.recent.is_attached
    assert latent.count_params() == latent.projection.count_params()


def test_samples_that_are_no_array():
    with pytest.raises(TypeError, match=r"LatentLogger: `x` must be numbers. Received: dtype=object"):
        torusae.LatentLogger(iter(()))


def test_a_training_that_diverged_logs_nan_and_goes_on():
    x, model = tables.samples(), tables.autoencoder()
    model.compile(keras.optimizers.SGD(1e30), "mse")
    history = model.fit(x, batch_size=64, epochs=2, verbose=0).history
    assert np.isnan(history["kuiper"][-1])
    assert np.isnan(history["loss"][-1])
