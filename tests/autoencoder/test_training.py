"""Training a `TorusAutoencoder`: its loss and gradient, every form of data, metrics and logs."""

import pathlib
import re
import sys
import threading
import time

import keras
import numpy as np
import pytest
from keras import ops
from shared.tensors import balanced, to_numpy, to_tensor
from shared.tiny import DIGIT, LOGGED, SHAPE, TERMS, Batches, digit_head, labels, samples, tiny_encoder, tiny_model

import torusae

ALL = LOGGED | TERMS


# The loss and its gradient


def parts_by_hand(model, x, y, weights, point):
    """R and the weighted loss of the head, out of NumPy's or Keras' functions, as functions of the point."""
    output = model.decoder(point)
    reconstruction = ops.mean(ops.mean((to_tensor(x) - output) ** 2, -1) * to_tensor(weights))
    _, angles = torusae.to_polar(point)
    read = ops.concatenate([ops.cos(angles), ops.sin(angles)], axis=-1)
    probabilities = ops.softmax(model.heads["digit"](read))
    picked = ops.sum(probabilities * ops.one_hot(to_tensor(y), 3), -1)
    return reconstruction, model.heads["digit"].weight * ops.mean(-ops.log(picked) * to_tensor(weights))


@pytest.mark.parametrize("weighted", [False, True], ids=["equal", "weighted"])
def test_one_step_of_sgd_is_the_formulas_gradient(weighted):
    """R + |R| Σ w L with the factor held constant, and the balanced terms: the weights after a step, the history."""
    x, y = samples(), labels()
    weights = np.linspace(0, 2, 20).astype("float32") if weighted else np.ones(20, "float32")
    latent = torusae.TorusLatent(1, "paper", loss_weights={"spring": 0.3, "quantile": 0.7})
    model = tiny_model({"digit": digit_head(weight=0.2)}, latent)
    kernel = latent.projection.kernel
    start, features = to_numpy(kernel).copy(), to_numpy(model.encoder(to_tensor(x)))
    point = features @ start
    reconstruction, head = (float(to_numpy(part)) for part in parts_by_hand(model, x, y, weights, to_tensor(point)))

    def own(point):
        r, digit = parts_by_hand(model, x, y, weights, point)
        return r + reconstruction * digit

    def terms(point):
        radii, angles = torusae.to_polar(point)
        quantiles = torusae.normal_quantiles(20).astype("float32") ** 2
        return 0.3 * torusae.spring_loss(angles, reduction="normalized") + 0.7 * torusae.quantile_loss(
            radii**2, quantiles, reduction="normalized"
        )

    slope = features.T @ balanced(own, terms, point)
    model.compile(keras.optimizers.SGD(0.1), "mse")
    history = model.fit(x, {"digit": y}, batch_size=20, verbose=0, sample_weight=weights if weighted else None).history
    # No term of the latent space is in the loss.
    np.testing.assert_allclose(history["loss"][0], reconstruction * (1 + head), rtol=1e-5)
    np.testing.assert_allclose(history["reconstruction"][0], reconstruction, rtol=1e-5)
    # A step of 0.1 times the slope; float32 rounds the weights to 1e-7, and sums in another order.
    np.testing.assert_allclose(to_numpy(kernel) - start, -0.1 * slope, rtol=1e-3, atol=1e-6)
    assert np.abs(slope).max() > 1e-2


def test_the_ratio_of_gradients_does_not_know_the_scale_of_the_data():
    """Data ten times as large: all gradients grow a hundredfold, so that a rate of a hundredth takes the same step."""
    x, steps = samples(), []
    first = tiny_model(latent=torusae.TorusLatent(1, "paper", loss_weights={"spring": 1.0}))
    start = to_numpy(first.latent.projection.kernel).copy()
    for scale in (1.0, 10.0):
        latent = torusae.TorusLatent(1, "paper", loss_weights={"spring": 1.0})
        inputs, codes = keras.Input(SHAPE), keras.Input((2,))
        encoder = keras.Model(inputs, first.encoder(keras.layers.Rescaling(1 / scale)(inputs)))
        decoder = keras.Model(codes, keras.layers.Rescaling(scale)(first.decoder(codes)))
        model = torusae.TorusAutoencoder(encoder, decoder, latent)
        latent.projection.set_weights(first.latent.projection.get_weights())
        first.encoder.trainable = first.decoder.trainable = False  # the two models share them
        model.compile(keras.optimizers.SGD(0.1 / scale**2), "mse")
        model.fit(scale * x, batch_size=20, verbose=0)
        steps.append(to_numpy(latent.projection.kernel) - start)
    # float32: products of numbers ten times as large round elsewhere.
    np.testing.assert_allclose(steps[1], steps[0], rtol=1e-3, atol=1e-6)
    assert np.abs(steps[0]).max() > 1e-3


def test_the_users_layers_are_told_of_training():
    told = []

    class Told(keras.layers.Layer):
        def call(self, x, training=None):
            told.append(training)
            return x

    encoder = keras.Sequential([keras.Input(SHAPE), Told(), keras.layers.BatchNormalization(), keras.layers.Dense(6)])
    decoder = keras.Sequential([keras.Input((2,)), Told(), keras.layers.Dense(4)])
    model = torusae.TorusAutoencoder(encoder, decoder, torusae.TorusLatent(1), init="random")
    model.compile("sgd", "mse")
    told.clear()
    model.fit(samples(), batch_size=20, verbose=0)
    assert told[-2:] == [True, True]
    mean = to_numpy(encoder.layers[1].moving_mean).copy()
    np.testing.assert_allclose(mean, 0.01 * samples().mean(0), rtol=1e-4)
    model.evaluate(samples(), verbose=0)
    model.predict(samples(), verbose=0)
    assert not any(told[-4:])
    np.testing.assert_array_equal(to_numpy(encoder.layers[1].moving_mean), mean)


def test_regularizers_of_the_users_layers_count():
    encoder = tiny_encoder()
    inputs = keras.Input((2,))
    decoder = keras.Model(inputs, keras.layers.Dense(4, kernel_regularizer=keras.regularizers.L2(0.5))(inputs))
    model = torusae.TorusAutoencoder(encoder, decoder, torusae.TorusLatent(1, "none"))
    model.compile(keras.optimizers.SGD(0.0), "mse")
    history = model.fit(samples(), batch_size=20, verbose=0).history
    extra = 0.5 * (to_numpy(decoder.layers[-1].kernel) ** 2).sum()
    np.testing.assert_allclose(history["loss"][0] - history["reconstruction"][0], extra, rtol=1e-4)  # a difference


# Forms of data


def as_pydataset(items):
    return Batches(items)


def as_generator(items):
    while True:  # what Keras asks of a generator
        yield from items


def as_tf_dataset(items):
    import tensorflow as tf

    def dataset(item):
        return tf.data.Dataset.from_tensors(item)

    result = dataset(items[0])
    for item in items[1:]:
        result = result.concatenate(dataset(item))
    return result


def as_data_loader(items):
    import torch

    return torch.utils.data.DataLoader(items, batch_size=None)


STREAMS = [as_pydataset, as_generator]
STREAMS += {"tensorflow": [as_tf_dataset], "torch": [as_data_loader]}.get(keras.backend.backend(), [])


def model_for_streams():
    keras.utils.set_random_seed(3)
    model = tiny_model({"digit": digit_head()})
    model.compile(keras.optimizers.SGD(0.01), "mse")
    return model


@pytest.fixture(scope="module")
def history_of_arrays():
    data = (samples(), {"digit": labels()})
    return model_for_streams().fit(*data, batch_size=8, shuffle=False, verbose=0, validation_data=data).history


@pytest.mark.parametrize("stream", STREAMS)
def test_streams_give_what_arrays_give(stream, history_of_arrays):
    x, y = samples(), labels()
    items = [(x[i : i + 8], {"digit": y[i : i + 8]}) for i in range(0, 20, 8)]
    steps = {"steps_per_epoch": 3, "validation_steps": 3} if stream is as_generator else {}
    history = (
        model_for_streams().fit(stream(items), shuffle=False, verbose=0, validation_data=stream(items), **steps).history
    )
    # The validation's latent terms are measured on arrays alone.
    assert set(history) == TERMS | {prefix + name for prefix in ("", "val_") for name in LOGGED | DIGIT}
    assert set(history_of_arrays) == set(history) | {f"val_{name}" for name in TERMS}
    for name in history:
        values = history_of_arrays[name]
        np.testing.assert_allclose(history[name], values, rtol=1e-5, err_msg=name)  # float32 sums


def test_validation_in_every_form():
    model = tiny_model({"digit": digit_head()})
    model.compile("adam", "mse")
    x, y = samples(), labels()
    without, with_labels = ({f"val_{name}" for name in names} for names in (ALL, ALL | DIGIT))
    for validation_data, names in (
        (x, without),
        ((x,), without),
        ((x, x), without),
        ((x, {"digit": y}, np.ones(20, "float32")), with_labels),
        ([x, {"digit": np.full(20, -1)}], with_labels),
        (None, set()),
    ):
        history = model.fit(x, {"digit": y}, batch_size=20, verbose=0, validation_data=validation_data).history
        assert set(history) == ALL | DIGIT | names
        assert all(np.isfinite(values).all() for values in history.values())
    history = model.fit(x, {"digit": y}, batch_size=10, verbose=0, validation_split=0.5).history
    assert set(history) == ALL | DIGIT | with_labels


def test_denoising(plain):
    """A target of its own is what the reconstruction is compared with, as an array or in the dict."""
    x, clean = samples(), samples() + 5
    expected = np.mean((plain.predict(x, verbose=0)["reconstruction"] - clean) ** 2)
    for y in (clean, {"reconstruction": clean}):
        got = plain.evaluate(x, y, verbose=0, return_dict=True)["reconstruction"]
        np.testing.assert_allclose(got, expected, rtol=1e-5)
    assert set(plain.fit(x, clean, batch_size=20, verbose=0).history) == ALL


@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_other_floats_just_work(plain, dtype):
    x = samples().astype(dtype)
    history = plain.fit(x, validation_data=x, batch_size=20, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())
    codes = plain.encode(x, verbose=0)
    assert codes.dtype == np.float32
    # float16 data are rounded to 1e-3.
    np.testing.assert_allclose(codes, plain.encode(samples(), verbose=0), atol=2e-2)


@pytest.mark.parametrize("num", [300, 1], ids=["partial last batch", "batch of one"])
def test_batches_of_any_size(plain, num):
    history = plain.fit(samples(num), batch_size=128, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())


@pytest.mark.parametrize("weighted", [False, True], ids=["equal", "weighted"])
def test_the_loss_is_that_of_the_means_over_all_rows(weighted, rng):
    """Labels of few rows, in the first ones alone: the same in batches of any size, the last one smaller, and order."""
    num = 200
    digit, number, hour = np.full(num, -1), np.full(num, np.nan), np.full(num, np.nan)
    digit[:10], number[:20], hour[5:12] = np.arange(10) % 3, rng.normal(size=20), rng.uniform(0, 24, 7)
    x, weights = samples(num), rng.uniform(0.5, 2, num).astype("float32") if weighted else np.ones(num, "float32")
    pairs = x[:25], x[25:50], rng.uniform(-3, 3, 25)
    model = tiny_model({"digit": digit_head(weight=0.7), "number": torusae.Head("regression", units=(6,))})
    model.init = "random"
    kinds = {
        "hour": torusae.supervision.Anchor(0, period=24, weight=0.3),
        "pair": torusae.supervision.Relative(0, weight=2.0),
    }
    model.compile(keras.optimizers.SGD(0.0), "mse", supervision=kinds)

    def mean(losses, known):
        return losses[known].sum() / known.sum()

    found = model.predict(x, verbose=0)
    angles, a, b = (model.angles(rows, verbose=0)[:, 0].astype("float64") for rows in (x, *pairs[:2]))
    known, valued, timed = digit >= 0, ~np.isnan(number), ~np.isnan(hour)
    reconstruction = (weights * ((found["reconstruction"] - x) ** 2).mean(axis=1)).mean()
    relative = (
        0.7 * mean(-weights * np.log(found["digit"][np.arange(num), digit]), known)
        + mean(weights * (found["number"][:, 0] - number) ** 2, valued)
        + 0.3 * mean(1 - np.cos(2 * np.pi / 24 * hour - angles), timed)
        + 2.0 * (1 - np.cos(b - a - pairs[2])).mean()
    )
    expected = reconstruction * (1 + relative)
    for size, order in [(num, np.arange(num)), (64, np.arange(num)), (8, np.arange(num)), (8, rng.permutation(num))]:
        y = {"digit": digit[order], "number": number[order], "hour": hour[order], "pair": pairs}
        given = x[order], y, weights[order] if weighted else None
        got = model.evaluate(*given[:2], batch_size=size, verbose=0, sample_weight=given[2], return_dict=True)["loss"]
        np.testing.assert_allclose(got, expected, rtol=1e-5, err_msg=f"batches of {size}")  # float32 sums
    history = model.fit(
        *given[:2], batch_size=8, shuffle=False, verbose=0, sample_weight=given[2], validation_data=given
    ).history
    np.testing.assert_allclose([history["loss"], history["val_loss"]], expected, rtol=1e-5)


def test_a_loss_divided_by_the_sum_of_weights_is_averaged_by_it(rng):
    x, weights = samples(40), rng.uniform(size=40).astype("float32")
    model = tiny_model(latent=torusae.TorusLatent(1, "none"))
    model.compile("sgd", keras.losses.MeanSquaredError(reduction="mean_with_sample_weight"))
    error = ((model.predict(x, verbose=0)["reconstruction"] - x) ** 2).mean(axis=1)
    got = model.evaluate(x, sample_weight=weights, batch_size=8, verbose=0, return_dict=True)["loss"]
    np.testing.assert_allclose(got, (weights * error).sum() / weights.sum(), rtol=1e-5)


def test_sample_weights_without_targets(plain):
    """Keras drops weights that come without targets; here a weight of 0 takes a sample out."""
    x = samples()
    weights = (np.arange(20) < 10).astype("float32")
    got = plain.evaluate(x, sample_weight=weights, batch_size=20, verbose=0, return_dict=True)["reconstruction"]
    error = ((plain.predict(x, verbose=0)["reconstruction"] - x) ** 2).mean(axis=1)
    np.testing.assert_allclose(got, error[:10].sum() / 20, rtol=1e-5)
    history = plain.fit(x, sample_weight=0 * weights, validation_data=(x, None, 0 * weights), verbose=0).history
    assert history["reconstruction"] == history["val_reconstruction"] == [0.0]


def test_sample_weights_by_output():
    model = tiny_model({"digit": digit_head()})
    model.compile("sgd", "mse", weighted_metrics=["mae"])
    x, y = samples(), {"digit": labels(), "reconstruction": samples()}
    first = (np.arange(20) < 1).astype("float32")
    plain = model.evaluate(x, y, verbose=0, return_dict=True)
    both = model.evaluate(x, {"digit": labels()}, sample_weight=first, verbose=0, return_dict=True)
    results = model.evaluate(
        x, y, sample_weight={"digit": first, "reconstruction": 0 * first + 1}, verbose=0, return_dict=True
    )
    np.testing.assert_allclose(results["reconstruction"], plain["reconstruction"], rtol=1e-5)
    np.testing.assert_allclose(results["digit_loss"], both["digit_loss"], rtol=1e-5)
    outputs = model.predict(x, verbose=0)
    np.testing.assert_allclose(both["digit_loss"], -np.log(outputs["digit"][0, 0]) / 20, rtol=1e-5)
    # A weighted metric is divided by the sum of the weights.
    np.testing.assert_allclose(both["mae"], np.abs(outputs["reconstruction"] - x)[0].mean(), rtol=1e-5)


def test_sample_weights_of_images(rng):
    # As many samples as columns: Keras would multiply the columns by the samples' weights.
    x = rng.uniform(size=(3, 3, 3, 1)).astype("float32")
    model = tiny_model(shape=(3, 3, 1))
    model.compile("sgd", "mse")
    weights = np.array([0.0, 1.0, 5.0], "float32")
    got = model.evaluate(x, sample_weight=weights, verbose=0, return_dict=True)["reconstruction"]
    error = ((model.predict(x, verbose=0)["reconstruction"] - x) ** 2).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(got, (error * weights).mean(), rtol=1e-5)


# Metrics, logs, callbacks


def test_metrics_of_the_reconstruction(trained):
    results = trained.evaluate(samples(), {"digit": labels()}, verbose=0, return_dict=True)
    assert set(results) == LOGGED | DIGIT | {"mae"}
    outputs = trained.predict(samples(), verbose=0)
    np.testing.assert_allclose(results["mae"], np.abs(outputs["reconstruction"] - samples()).mean(), rtol=1e-5)
    np.testing.assert_allclose(results["digit_accuracy"], np.mean(outputs["digit"].argmax(-1) == labels()), rtol=1e-6)
    as_list = trained.evaluate(samples(), {"digit": labels()}, verbose=0)
    assert as_list[0] == results["loss"]
    assert len(as_list) == len(results)


def test_metrics_by_output_and_several_heads():
    heads = {
        "digit": digit_head(weight=0.5),
        "size": torusae.Head("regression", 2, weight=0.0, units=(6,)),
        "phase": torusae.Head("circular_regression", units=(6,)),
    }
    model = tiny_model(heads)
    model.compile("sgd", "mse", metrics={"reconstruction": ["mae"], "digit": ["sparse_categorical_accuracy"]})
    y = {
        "digit": labels(),
        "size": np.full((20, 2), np.nan, "float32"),
        "phase": np.linspace(-6, 6, 20).astype("float32"),
    }
    history = model.fit(samples(), y, batch_size=20, verbose=0).history
    names = {"digit_loss", "digit_accuracy", "size_loss", "size_error", "phase_loss", "phase_error"}
    metrics = {"reconstruction_mae", "digit_sparse_categorical_accuracy"}
    assert set(history) == ALL | names | metrics
    assert history["digit_sparse_categorical_accuracy"] == pytest.approx(history["digit_accuracy"])
    assert history["size_loss"] == history["size_error"] == [0.0]  # no label at all
    relative = 0.5 * history["digit_loss"][0] + history["phase_loss"][0]
    np.testing.assert_allclose(history["loss"][0], history["reconstruction"][0] * (1 + relative), rtol=1e-5)
    with pytest.raises(ValueError, match=r"labels for the head 'digit'.*Its metrics need them"):
        model.evaluate(samples(), verbose=0)


def test_early_stopping_on_the_total(plain):
    stop = keras.callbacks.EarlyStopping("val_loss", patience=1, min_delta=1e9)  # no progress is enough
    history = plain.fit(samples(), epochs=5, validation_data=samples(), verbose=0, callbacks=[stop]).history
    assert len(history["val_loss"]) == 2


def test_the_same_seed_gives_the_same_run():
    runs = []
    for _ in range(2):
        keras.utils.set_random_seed(7)
        model = tiny_model()
        model.compile("adam", "mse")
        model.fit(samples(), batch_size=8, verbose=0)  # shuffled
        runs.append(model.predict(samples(), verbose=0))
    np.testing.assert_array_equal(runs[0]["reconstruction"], runs[1]["reconstruction"])


def test_a_loss_function_of_the_users():
    model = tiny_model()
    model.compile("sgd", lambda y_true, y_pred: ops.mean(ops.abs(y_true - y_pred), axis=-1))
    got = model.evaluate(samples(), verbose=0, return_dict=True)["reconstruction"]
    error = np.abs(model.predict(samples(), verbose=0)["reconstruction"] - samples())
    np.testing.assert_allclose(got, error.mean(), rtol=1e-5)


# Memory-mapped files


@pytest.mark.parametrize("validation", ["data", "split"])
def test_memory_mapped_files_are_arrays(tmp_path, validation):
    np.save(tmp_path / "x.npy", samples())
    np.save(tmp_path / "y.npy", labels())

    def run(mode):
        x, y = (np.load(tmp_path / f"{name}.npy", mmap_mode=mode) for name in "xy")
        model = model_for_streams()
        asked = {"validation_split": 0.2} if validation == "split" else {"validation_data": (x, {"digit": y})}
        history = model.fit(x, {"digit": y}, batch_size=8, shuffle=False, verbose=0, **asked).history
        evaluated = model.evaluate(x, {"digit": y}, batch_size=8, verbose=0, return_dict=True)
        return {**history, **evaluated, "codes": model.encode(x, batch_size=8, verbose=0)}

    expected = run(None)
    for name, values in run("r").items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-5, atol=1e-6, err_msg=name)  # float32 sums


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory that is not of files from Linux' /proc")
def test_memory_does_not_grow_with_a_memory_mapped_file(tmp_path):
    num_rows = 200 * 1024
    x = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", "float32", (num_rows, 500))  # 400 MB
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    model = torusae.TorusAutoencoder.from_shape((500,), dim=1)
    model.compile("adam", "mse")
    use = [
        lambda x: model.fit(x, batch_size=1024, verbose=0),
        lambda x: model.evaluate(x, batch_size=1024, verbose=0),
        lambda x: model.encode(x, batch_size=1024, verbose=0),
        lambda x: torusae.data.sample_rows(x, 1000, seed=0),
    ]
    # What is compiled and loaded once takes 200 MB on JAX. All batches are whole: no shape is new later.
    for call in use:
        call(x[: num_rows // 4])
    largest = 0
    running = True

    def watch():
        nonlocal largest
        while running:
            largest = max(largest, anonymous_memory())
            time.sleep(0.01)

    before = anonymous_memory()
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for call in use:
            call(x)
    finally:
        running = False
        watcher.join()
    # A quarter of the file. The backends' own pools take up to 80 MB, and the order of the rows and the codes 5 MB.
    assert largest - before < 100e6


def anonymous_memory():
    """Bytes of this process that are not of files."""
    status = pathlib.Path("/proc/self/status").read_text()
    return 1024 * int(re.search(r"RssAnon:\s+(\d+)", status).group(1))
