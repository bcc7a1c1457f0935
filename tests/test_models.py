"""`TorusAutoencoder`: its total loss and gradient, every form of data, what it says about bad data, and its uses."""

import pathlib
import re
import sys
import threading
import time

import keras
import numpy as np
import pytest
from helpers import gradient, to_numpy, to_tensor
from keras import ops

import torusae

SHAPE = (4,)
TERMS = {"loss", "reconstruction", "spring", "quantile", "kuiper"}
DIGIT = {"digit_loss", "digit_accuracy"}


def tiny_model(heads=None, latent=None, shape=SHAPE):
    encoder = torusae.dense_encoder(shape, units=(6,))
    decoder = torusae.dense_decoder(shape, 2, units=(6,))
    return torusae.TorusAutoencoder(encoder, decoder, latent or torusae.TorusLatent(1, "paper"), heads)


def digit_head(**kwargs):
    return torusae.Head("classes", 3, units=(6,), **kwargs)


def samples(num=20):
    return np.random.default_rng(1).normal(size=(num, *SHAPE)).astype("float32")


def labels(num=20):
    return np.arange(num) % 3


@pytest.fixture(scope="module")
def trained():
    """A model with a head, trained for a step; tests that use it don't train it."""
    keras.utils.set_random_seed(0)
    model = tiny_model({"digit": digit_head()})
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(samples(), {"digit": labels()}, batch_size=20, verbose=0)
    return model


@pytest.fixture(scope="module")
def plain():
    """A compiled model without heads that any test may train: none depends on what it has learned."""
    keras.utils.set_random_seed(0)
    model = tiny_model()
    model.compile("adam", "mse")
    return model


# The loss


def parts_by_hand(model, x, y, weights=None):
    """R and the weighted terms, out of the pure functions."""
    outputs = model(to_tensor(x))
    code = outputs["code"]
    weights = np.ones(len(x), "float32") if weights is None else weights
    reconstruction = ops.mean(ops.mean((to_tensor(x) - outputs["reconstruction"]) ** 2, -1) * to_tensor(weights))
    quantiles = to_tensor(torusae.normal_quantiles(len(x)).astype("float32") ** 2)
    radii, angles = torusae.to_polar(code)
    weight = model.latent.loss_weights
    relative = weight["spring"] * torusae.spring_loss(angles, reduction="normalized")
    relative += weight["quantile"] * torusae.quantile_loss(radii**2, quantiles, reduction="normalized")
    if y is not None:
        picked = ops.sum(outputs["digit"] * ops.one_hot(to_tensor(y), 3), -1)
        relative += model.heads["digit"].weight * ops.mean(-ops.log(picked) * to_tensor(weights))
    return reconstruction, relative


@pytest.mark.parametrize("weighted", [False, True], ids=["equal", "weighted"])
def test_one_step_of_sgd_is_the_formulas_gradient(weighted):
    """R + |R| Σ w L with the factor held constant: checked in the weights after one step, and in the history."""
    x, y = samples(), labels()
    weights = np.linspace(0, 2, 20).astype("float32") if weighted else None
    latent = torusae.TorusLatent(1, "paper", loss_weights={"spring": 0.3, "quantile": 0.7})
    model = tiny_model({"digit": digit_head(weight=0.2)}, latent)
    kernel = model.latent.linear_maps[1].kernel
    start = to_numpy(kernel).copy()
    reconstruction, relative = parts_by_hand(model, x, y, weights)
    total = float(to_numpy(reconstruction)) * (1 + float(to_numpy(relative)))

    fixed = float(to_numpy(reconstruction))
    w = to_tensor(np.ones(20, "float32") if weights is None else weights)

    def with_factor_fixed(value):
        features = model.encoder(to_tensor(x))
        code = ops.concatenate([model.latent.linear_maps[0](features), features @ value], -1)
        output = model.decoder(code)
        r = ops.mean(ops.mean((to_tensor(x) - output) ** 2, -1) * w)
        terms = model.latent.terms(code)
        picked = ops.sum(model.heads["digit"](torusae.to_polar(code)[1]) * ops.one_hot(to_tensor(y), 3), -1)
        head = ops.mean(-ops.log(picked) * w)
        return r + fixed * (0.3 * terms["spring"] + 0.7 * terms["quantile"] + 0.2 * head)

    value, slope = gradient(with_factor_fixed, start)
    np.testing.assert_allclose(value, total, rtol=1e-5)  # float32 sums
    model.compile(keras.optimizers.SGD(0.1), "mse")
    history = model.fit(x, {"digit": y}, batch_size=20, verbose=0, sample_weight=weights).history
    np.testing.assert_allclose(history["loss"][0], total, rtol=1e-5)
    np.testing.assert_allclose(history["reconstruction"][0], fixed, rtol=1e-5)
    # A step of 0.1 times the slope; float32 rounds the weights to 1e-7.
    np.testing.assert_allclose(to_numpy(kernel), start - 0.1 * slope, rtol=1e-4, atol=1e-6)


def test_the_ratio_of_gradients_does_not_know_the_scale_of_the_data():
    """Data ten times as large: all gradients grow a hundredfold, so that a rate of a hundredth takes the same step."""
    x, steps = samples(), []
    first = tiny_model(latent=torusae.TorusLatent(1, "paper", loss_weights={"spring": 1.0}))
    start = to_numpy(first.latent.linear_maps[0].kernel).copy()
    for scale in (1.0, 10.0):
        latent = torusae.TorusLatent(1, "paper", loss_weights={"spring": 1.0})
        inputs, codes = keras.Input(SHAPE), keras.Input((2,))
        encoder = keras.Model(inputs, first.encoder(keras.layers.Rescaling(1 / scale)(inputs)))
        decoder = keras.Model(codes, keras.layers.Rescaling(scale)(first.decoder(codes)))
        model = torusae.TorusAutoencoder(encoder, decoder, latent)
        for linear, source in zip(latent.linear_maps, first.latent.linear_maps, strict=True):
            linear.set_weights(source.get_weights())
        first.encoder.trainable = first.decoder.trainable = False  # the two models share them
        model.compile(keras.optimizers.SGD(0.1 / scale**2), "mse")
        model.fit(scale * x, batch_size=20, verbose=0)
        steps.append(to_numpy(latent.linear_maps[0].kernel) - start)
    # float32: products of numbers ten times as large round elsewhere.
    np.testing.assert_allclose(steps[1], steps[0], rtol=1e-3, atol=1e-6)
    assert np.abs(steps[0]).max() > 1e-3


def test_regularizers_of_the_users_layers_count():
    encoder = torusae.dense_encoder(SHAPE, units=(6,))
    inputs = keras.Input((2,))
    decoder = keras.Model(inputs, keras.layers.Dense(4, kernel_regularizer=keras.regularizers.L2(0.5))(inputs))
    model = torusae.TorusAutoencoder(encoder, decoder, torusae.TorusLatent(1, "none"))
    model.compile(keras.optimizers.SGD(0.0), "mse")
    history = model.fit(samples(), batch_size=20, verbose=0).history
    extra = 0.5 * (to_numpy(decoder.layers[-1].kernel) ** 2).sum()
    np.testing.assert_allclose(history["loss"][0] - history["reconstruction"][0], extra, rtol=1e-4)  # a difference


def test_schedules_count_steps_of_fit_alone(plain):
    before = int(to_numpy(plain.latent.iterations))
    plain.fit(samples(), batch_size=8, verbose=0)
    assert int(to_numpy(plain.latent.iterations)) == before + 3
    plain.evaluate(samples(), verbose=0)
    plain.predict(samples(), verbose=0)
    assert int(to_numpy(plain.latent.iterations)) == before + 3


# Forms of data


class Batches(keras.utils.PyDataset):
    def __init__(self, items):
        super().__init__()
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


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
    assert set(history) == {prefix + name for prefix in ("", "val_") for name in TERMS | DIGIT}
    for name, values in history_of_arrays.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-5, err_msg=name)  # float32 sums


def test_validation_in_every_form():
    model = tiny_model({"digit": digit_head()})
    model.compile("adam", "mse")
    x, y = samples(), labels()
    without, with_labels = {f"val_{name}" for name in TERMS}, {f"val_{name}" for name in TERMS | DIGIT}
    for validation_data, names in (
        (x, without),
        ((x,), without),
        ((x, None), without),
        ((x, x), without),
        ((x, {"digit": y}), with_labels),
        ((x, {"digit": y}, np.ones(20, "float32")), with_labels),
        ([x, {"digit": np.full(20, -1)}], with_labels),
        (None, set()),
    ):
        history = model.fit(x, {"digit": y}, batch_size=20, verbose=0, validation_data=validation_data).history
        assert set(history) == TERMS | DIGIT | names
        assert all(np.isfinite(values).all() for values in history.values())
    history = model.fit(x, {"digit": y}, batch_size=10, verbose=0, validation_split=0.5).history
    assert set(history) == TERMS | DIGIT | with_labels


def test_denoising(plain):
    """A target of its own is what the reconstruction is compared with, as an array or in the dict."""
    x, clean = samples(), samples() + 5
    expected = np.mean((plain.predict(x, verbose=0)["reconstruction"] - clean) ** 2)
    for y in (clean, {"reconstruction": clean}):
        got = plain.evaluate(x, y, verbose=0, return_dict=True)["reconstruction"]
        np.testing.assert_allclose(got, expected, rtol=1e-5)
    assert set(plain.fit(x, clean, batch_size=20, verbose=0).history) == TERMS


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


def test_a_batch_of_one_has_its_own_optimum(plain):
    # One angle on a circle: its one gap is the whole turn, so the normalized spring loss is 1.
    assert plain.evaluate(samples(1), verbose=0, return_dict=True)["spring"] == pytest.approx(1.0, abs=1e-6)


def test_means_over_batches_go_by_their_sizes(plain):
    x = samples(300)
    whole = plain.evaluate(x, batch_size=128, verbose=0, return_dict=True)
    parts = [plain.evaluate(x[i : i + 128], batch_size=128, verbose=0, return_dict=True) for i in (0, 128, 256)]
    sizes = np.array([128, 128, 44])
    for name in ("loss", "reconstruction", "spring"):
        mean = (np.array([part[name] for part in parts]) * sizes).sum() / 300
        np.testing.assert_allclose(whole[name], mean, rtol=1e-5, err_msg=name)  # float32 sums


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
    assert set(results) == TERMS | DIGIT | {"mae"}
    outputs = trained.predict(samples(), verbose=0)
    np.testing.assert_allclose(results["mae"], np.abs(outputs["reconstruction"] - samples()).mean(), rtol=1e-5)
    np.testing.assert_allclose(results["digit_accuracy"], np.mean(outputs["digit"].argmax(-1) == labels()), rtol=1e-6)
    as_list = trained.evaluate(samples(), {"digit": labels()}, verbose=0)
    assert as_list[0] == results["loss"]
    assert len(as_list) == len(results)


def test_metrics_by_output_and_several_heads():
    heads = {
        "digit": digit_head(weight=0.5),
        "size": torusae.Head("number", 2, weight=0.0, units=(6,)),
        "phase": torusae.Head("angle", units=(6,)),
    }
    model = tiny_model(heads, torusae.TorusLatent(1, "paper", {"spring": 0.1, "quantile": 3.0}))
    model.compile("sgd", "mse", metrics={"reconstruction": ["mae"], "digit": ["sparse_categorical_accuracy"]})
    y = {
        "digit": labels(),
        "size": np.full((20, 2), np.nan, "float32"),
        "phase": np.linspace(-9, 9, 20).astype("float32"),
    }
    history = model.fit(samples(), y, batch_size=20, verbose=0).history
    names = {"digit_loss", "digit_accuracy", "size_loss", "size_error", "phase_loss", "phase_error"}
    metrics = {"reconstruction_mae", "digit_sparse_categorical_accuracy"}
    assert set(history) == TERMS | names | metrics
    assert history["digit_sparse_categorical_accuracy"] == pytest.approx(history["digit_accuracy"])
    assert history["size_loss"] == history["size_error"] == [0.0]  # no label at all
    relative = sum(weight * history[name][0] for name, weight in model.latent.loss_weights.items())
    relative += 0.5 * history["digit_loss"][0] + history["phase_loss"][0]
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


@pytest.mark.parametrize("options", [{"run_eagerly": True}, {"steps_per_execution": 2}], ids=str)
def test_options_of_compile(options):
    if "steps_per_execution" in options and keras.backend.backend() == "torch":
        options = {}  # Keras has none there
    model = tiny_model()
    model.compile("adam", keras.losses.MeanAbsoluteError(), **options)
    assert set(model.fit(samples(), batch_size=10, verbose=0).history) == TERMS


def test_a_loss_function_of_the_users():
    model = tiny_model()
    model.compile("sgd", lambda y_true, y_pred: ops.mean(ops.abs(y_true - y_pred), axis=-1))
    got = model.evaluate(samples(), verbose=0, return_dict=True)["reconstruction"]
    error = np.abs(model.predict(samples(), verbose=0)["reconstruction"] - samples())
    np.testing.assert_allclose(got, error.mean(), rtol=1e-5)


# Uses


def test_predict_returns_every_output(trained):
    outputs = trained.predict(samples(), verbose=0)
    assert {name: value.shape for name, value in outputs.items()} == {
        "reconstruction": (20, 4),
        "code": (20, 2),
        "digit": (20, 3),
    }


def test_encode_and_decode_are_the_two_halves_of_predict(trained):
    x = samples()
    outputs = trained.predict(x, verbose=0)
    codes = trained.encode(x, batch_size=7, verbose=0)
    # Batches of another size may be multiplied in another order.
    np.testing.assert_allclose(codes, outputs["code"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(trained.decode(codes, verbose=0), outputs["reconstruction"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(trained.reconstruct(x, verbose=0), outputs["reconstruction"], rtol=1e-5, atol=1e-5)


def test_encode_follows_further_training(plain):
    x = samples()
    before = plain.encode(x, verbose=0)
    plain.fit(x, batch_size=20, verbose=0)
    after = plain.encode(x, verbose=0)
    assert np.abs(after - before).max() > 1e-5
    np.testing.assert_allclose(after, plain.predict(x, verbose=0)["code"], rtol=1e-5, atol=1e-6)


def test_no_loss_is_computed_in_predict(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a loss is computed in predict")

    model = tiny_model({"digit": digit_head()})
    model.compile("sgd", "mse")
    monkeypatch.setattr(torusae.SpringLoss, "call", refuse)
    monkeypatch.setattr(torusae.QuantileLoss, "call", refuse)
    monkeypatch.setattr(torusae.Head, "loss_and_score", refuse)
    model.predict(samples(), verbose=0)
    model.encode(samples(), verbose=0)
    with pytest.raises(AssertionError, match="a loss is computed"):
        model.evaluate(samples(), verbose=0)


def test_sampling_follows_the_seed(trained):
    first, again, other = (trained.sample(5, seed=seed, verbose=0) for seed in (1, 1, 2))
    assert first.shape == (5, 4)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-4
    # Not a constant: the decoder reads what was drawn.
    assert np.abs(first - first[:1]).max() > 1e-4


def test_a_morph_begins_and_ends_with_the_reconstructions(trained):
    start, end = samples()[:2]
    paths = trained.morph(start, end, num_steps=5, verbose=0)
    assert paths.shape == (2, 5, 4)
    ends = trained.reconstruct(samples()[:2], verbose=0)
    for path in paths:
        np.testing.assert_allclose(path[[0, -1]], ends, rtol=1e-5, atol=1e-5)  # batches of another size
    codes = trained.encode(samples()[:2], verbose=0)
    shortest = to_numpy(torusae.shortest_winding(*codes))
    np.testing.assert_allclose(trained.morph(start, end, [shortest], 5, verbose=0)[0], paths[0], rtol=1e-5, atol=1e-5)


def test_from_shape():
    model = torusae.TorusAutoencoder.from_shape(
        (4,), 2, {"digit": digit_head()}, losses="paper", loss_weights={"spring": 0.5}
    )
    assert model.sample_shape == (4,)
    assert model.latent.dim == 2
    assert model.latent.loss_weights["spring"] == 0.5
    assert list(model.heads) == ["digit"]
    assert not model.compiled


# What it says about wrong parts


def encoder(shape=SHAPE, units=(6,)):
    return torusae.dense_encoder(shape, units=units)


def decoder(shape=SHAPE, code_size=2):
    return torusae.dense_decoder(shape, code_size, units=(6,))


def subclassed_encoder():
    class Encoder(keras.Model):
        def call(self, x):
            return x

    return Encoder()


LOSS = torusae.SpringLoss


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: (encoder(), decoder((5,)), 1),
            ValueError,
            r"`decoder` must return samples of the encoder's input shape \(4,\). Received: decoder output shape \(5,\)",
        ),
        (
            lambda: (encoder(), decoder(code_size=6), 1),
            ValueError,
            r"`decoder` must read codes of shape \(batch, 2\). Received: decoder.input_shape=\(None, 6\)",
        ),
        (lambda: (encoder(), decoder(), 1.0), TypeError, r"`latent` must be a layer.*latent=1.0"),
        (lambda: (encoder(), decoder(), True), TypeError, r"`latent` must be a layer.*latent=True"),
        (lambda: ("encoder", decoder(), 1), TypeError, r"`encoder` must be a Keras model.*'encoder'"),
        (lambda: (subclassed_encoder(), decoder(), 1), ValueError, r"`encoder` must know its input shape"),
        (
            lambda: (keras.Sequential([keras.Input((None, 4)), keras.layers.GlobalMaxPool1D()]), decoder(), 1),
            ValueError,
            r"`encoder` must know its input shape.*\(None, None, 4\)",
        ),
        (
            lambda: (keras.Sequential([keras.Input((4, 1)), keras.layers.ReLU()]), decoder((4, 1)), 1),
            ValueError,
            r"`encoder` must return features of shape \(batch, num_features\).*\(None, 4, 1\)",
        ),
        (lambda: (encoder(), decoder(), 1, {"digit": 3}), TypeError, r"heads\['digit'\] must be a torusae Head.*3"),
        (lambda: (encoder(), decoder(), 1, {"code": digit_head()}), ValueError, r"`heads` can't have the name 'code'"),
        (
            lambda: (encoder(), decoder(), torusae.TorusLatent(1, [LOSS(name="reconstruction")])),
            ValueError,
            r"losses and heads must have names that differ in the logs. Received: 'reconstruction' more than once",
        ),
    ],
)
def test_parts_that_do_not_fit(make, error, message):
    with pytest.raises(error, match=f"TorusAutoencoder: {message}"):
        torusae.TorusAutoencoder(*make())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"loss": {"reconstruction": "mse"}}, r"`loss` must be one reconstruction loss.*Heads have their own"),
        ({"loss": None}, r"`loss` must be one reconstruction loss.*loss=None"),
        ({"loss_weights": {"spring": 1}}, r"`loss_weights` is not used here.*TorusLatent\(3, loss_weights="),
        ({"metrics": {"digits": "mae"}}, r"`metrics` must be one of .*metrics='digits'. Did you mean 'digit'\?"),
    ],
)
def test_wrong_options_of_compile(trained, arguments, message):
    with pytest.raises(ValueError, match=message):
        tiny_model({"digit": digit_head()}).compile(**{"optimizer": "sgd", **arguments})


def test_training_before_compile():
    with pytest.raises(ValueError, match="compile"):
        tiny_model().fit(samples(), verbose=0)


def broken(position, value):
    x = samples()
    x[position] = value
    return x


Y = {"digit": labels()}
BAD_DATA = [
    (broken((3, 1), np.nan), Y, ValueError, r"`x` must hold finite numbers only. Received: nan at position \(3, 1\)"),
    (broken((0, 0), -np.inf), Y, ValueError, r"Received: -inf at position \(0, 0\)"),
    (np.ones((20, 5), "float32"), Y, ValueError, r"`x` must have shape \(batch, 4\). Received: shape=\(20, 5\)"),
    (np.ones(4, "float32"), Y, ValueError, r"Received: shape=\(4,\). For a single sample use x\[None\]"),
    (np.ones((20, 4), "uint8"), Y, TypeError, r"floating-point.*dtype=uint8.*x.astype\('float32'\) / 255"),
    (np.ones((20, 4), bool), Y, TypeError, r"floating-point numbers. Received: dtype=bool"),
    (samples().tolist(), Y, TypeError, r"`x` must be one array, not a list. Use numpy.asarray"),
    (samples(), None, ValueError, r"`y` must hold labels for the head 'digit'. Received: None. Mark missing.*-1"),
    (samples(), {"reconstruction": samples()}, ValueError, r"the head 'digit'. Received: \['reconstruction'\]"),
    (samples(), {"digits": labels()}, ValueError, r"`y` must be one of .*y='digits'. Did you mean 'digit'\?"),
    (samples(), labels(), ValueError, r"`y` must be a dict of labels.*y.shape=\(20,\). Use y=\{'digit': labels\}"),
    (samples(), labels().tolist(), ValueError, r"`y` must be a dict of labels.*y of type list"),
    (samples(), {"digit": labels().tolist()}, TypeError, r"y\['digit'\] must be an array.*list. Use numpy.asarray"),
    (samples(), {"digit": labels(19)}, ValueError, r"y\['digit'\] must hold 20 labels.*shape=\(19,\)"),
    (samples(), {"digit": labels() * 1.0}, ValueError, r"integer classes.*dtype=float64. Use labels.astype"),
    (samples(), {"digit": np.eye(3, dtype=int)[labels()]}, ValueError, r"integer classes.*one-hot.*argmax"),
    (samples(), {"digit": labels() + 1}, ValueError, r"classes 0 to 2, or -1 where.*values from 1 to 3"),
    (samples(), {"digit": labels() - 2}, ValueError, r"classes 0 to 2, or -1 where.*values from -2 to 0"),
    (samples(), {**Y, "reconstruction": samples()[:, :3]}, ValueError, r"y\['reconstruction'\]` must have shape"),
    (samples(), {**Y, "reconstruction": broken((2, 0), np.nan)}, ValueError, r"y\['reconstruction'\]` must hold"),
    (samples(), {**Y, "reconstruction": labels(80).reshape(20, 4)}, TypeError, r"y\['reconstruction'\]` must be"),
]


@pytest.mark.parametrize(("x", "y", "error", "message"), BAD_DATA, ids=lambda value: "")
def test_bad_arrays_are_named_before_training_starts(trained, x, y, error, message):
    with pytest.raises(error, match=f"TorusAutoencoder.*{message}"):
        trained.fit(x, y, verbose=0)


@pytest.mark.parametrize(
    ("task", "values", "message"),
    [
        ("number", np.zeros((20, 3)), r"numbers of shape \(20, 2\). Received: shape=\(20, 3\)"),
        ("angle", np.zeros(20), r"numbers of shape \(20, 2\). Received: shape=\(20,\)"),
        ("angle", np.full((20, 2), "a"), r"numbers of shape \(20, 2\). Received: shape=\(20, 2\), dtype=<U1"),
        ("number", np.full((20, 2), np.inf), r"finite, or NaN where missing. Received: infinity at position \(0, 0\)"),
    ],
)
def test_bad_numbers_for_a_head(task, values, message):
    model = tiny_model({"size": torusae.Head(task, 2, units=(6,))})
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=message):
        model.fit(samples(), {"size": values}, verbose=0)


def test_validation_data_are_checked_too(trained):
    with pytest.raises(ValueError, match=r"fit, validation_data: `x` must have shape \(batch, 4\)"):
        trained.fit(samples(), Y, validation_data=np.ones((3, 5), "float32"), verbose=0)
    with pytest.raises(ValueError, match=r"evaluate: `x` must hold finite numbers"):
        trained.evaluate(broken((3, 1), np.nan), verbose=0)
    with pytest.raises(ValueError, match=r"encode: `x` must hold finite numbers"):
        trained.encode(broken((3, 1), np.nan), verbose=0)


def test_class_weight_is_refused(trained):
    with pytest.raises(ValueError, match=r"`class_weight` is not supported.*Give sample_weight"):
        trained.fit(samples(), Y, class_weight={0: 1.0}, verbose=0)


BAD_BATCHES = [
    ((np.ones((5, 3), "float32"), {"digit": labels(5)}), r"`x` must have shape \(batch, 4\)"),
    ((np.ones((5, 4), "uint8"), {"digit": labels(5)}), r"`x` must be floating-point numbers. Received: dtype=.*uint8"),
    ((samples(5), {"digits": labels(5)}), r"y='digits'. Did you mean 'digit'\?"),
    ((samples(5),), r"`y` must hold labels for the head 'digit'"),
    ((samples(5), labels(5)), r"`y` must be a dict of labels by head"),
    ((samples(5), {"digit": np.eye(3)[labels(5)]}), r"labels of the task 'classes' must have shape \(batch,\)"),
    ((samples(5), {"digit": labels(5).astype("float32")}), r"labels of the task 'classes' must be integers"),
]


@pytest.mark.parametrize(("item", "message"), BAD_BATCHES, ids=lambda value: "")
def test_the_first_bad_batch_of_a_stream_is_named(item, message):
    model = tiny_model({"digit": digit_head()})  # of its own: on JAX a step that fails takes the weights with it
    model.compile("sgd", "mse")
    # While it builds a model's metrics, Keras turns a TypeError into a RuntimeError that quotes it.
    with pytest.raises((TypeError, ValueError, RuntimeError), match=message):
        model.fit(Batches([item]), verbose=0)


def test_predict_names_a_wrong_shape(trained):
    with pytest.raises(ValueError, match=r"predict: `x` must have shape \(batch, 4\)"):
        trained.predict(np.ones((5, 3), "float32"), verbose=0)


def test_an_image_without_channels():
    model = tiny_model(shape=(3, 3, 1))
    with pytest.raises(ValueError, match=r"\(batch, 3, 3, 1\). Received: shape=\(5, 3, 3\). Use x\[..., None\]"):
        model.encode(np.ones((5, 3, 3), "float32"), verbose=0)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (np.ones((2, 3)), r"decode: `codes` must have shape \(num, 2\). Received: codes.shape=\(2, 3\)"),
        (np.ones(2), r"decode: `codes` must have shape \(num, 2\). Received: codes.shape=\(2,\)"),
        (np.full((2, 2), np.nan), r"decode: `codes` must hold finite numbers"),
    ],
)
def test_bad_codes(trained, codes, message):
    with pytest.raises(ValueError, match=message):
        trained.decode(codes, verbose=0)


def test_morph_takes_one_sample_at_each_end(trained):
    with pytest.raises(ValueError, match=r"`start` must be one sample of shape \(4,\).*\(1, 4\). Use start\[0\]"):
        trained.morph(samples()[:1], samples()[1], verbose=0)
    with pytest.raises(ValueError, match=r"morph: `end` must be one sample of shape \(4,\).*\(3,\)"):
        trained.morph(samples()[0], np.ones(3, "float32"), verbose=0)


@pytest.mark.parametrize("callbacks", [None, [keras.callbacks.TerminateOnNaN()]])
def test_a_stream_that_changes_its_shape_is_named_with_the_step(callbacks):
    class Stream(keras.utils.PyDataset):
        def __len__(self):
            return 6

        def __getitem__(self, index):
            return (np.zeros((8, 4 if index < 3 else 5), "float32"),)

    model = torusae.TorusAutoencoder.from_shape((4,), dim=1)
    model.compile("sgd", "mse")
    # TensorFlow's own pipeline stops before the model sees the batch, with another error.
    with pytest.raises(Exception, match=r"\(8, 5\)") as caught:
        model.fit(Stream(), shuffle=False, verbose=0, callbacks=callbacks)
    assert "stopped in step 4 of epoch 1" in "".join(caught.value.__notes__)


@pytest.mark.parametrize("validation", ["data", "split"])
def test_memory_mapped_files_are_arrays(tmp_path, validation):
    np.save(tmp_path / "x.npy", samples())
    np.save(tmp_path / "y.npy", labels())

    def run(mode):
        x, y = (np.load(tmp_path / f"{name}.npy", mmap_mode=mode) for name in "xy")
        model = model_for_streams()
        asked = {"validation_split": 0.3} if validation == "split" else {"validation_data": (x, {"digit": y})}
        history = model.fit(x, {"digit": y}, batch_size=8, shuffle=False, verbose=0, **asked).history
        evaluated = model.evaluate(x, {"digit": y}, batch_size=8, verbose=0, return_dict=True)
        return {**history, **evaluated, "codes": model.encode(x, batch_size=8, verbose=0)}

    expected = run(None)
    for name, values in run("r").items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-5, atol=1e-6, err_msg=name)  # float32 sums


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory that is not of files from Linux' /proc")
def test_memory_does_not_grow_with_a_memory_mapped_file(tmp_path):
    num_rows = 200_000
    x = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", "float32", (num_rows, 500))  # 400 MB
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    model = torusae.TorusAutoencoder.from_shape((500,), dim=1)
    model.compile("adam", "mse")
    use = [
        lambda x: model.fit(x, batch_size=1024, verbose=0),
        lambda x: model.evaluate(x, batch_size=1024, verbose=0),
        lambda x: model.encode(x, batch_size=1024, verbose=0),
        lambda x: torusae.datasets.sample_rows(x, 1000, seed=0),
    ]
    for call in use:  # what is compiled and loaded once
        call(x[:3000])
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
    # A quarter of the file. The backends' own pools take up to 60 MB, and the order of the rows and the codes 5 MB.
    assert largest - before < 100e6


def anonymous_memory():
    """Bytes of this process that are not of files."""
    status = pathlib.Path("/proc/self/status").read_text()
    return 1024 * int(re.search(r"RssAnon:\s+(\d+)", status).group(1))
