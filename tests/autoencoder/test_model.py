"""What `TorusAutoencoder` is made of, and what it says about wrong parts, options and data."""

import keras
import numpy as np
import pytest
from shared.tiny import Batches, broken, digit_head, labels, samples, tiny_decoder, tiny_encoder, tiny_model

import torusae


def test_from_shape():
    model = torusae.TorusAutoencoder.from_shape(
        (4,), 2, {"digit": digit_head()}, losses="paper", loss_weights={"spring": 0.5}
    )
    assert model.sample_shape == (4,)
    assert model.latent.dim == 2
    assert {term.name: term.weight for term in model.latent.terms}["spring"] == 0.5
    assert list(model.heads) == ["digit"]
    assert not model.compiled
    product = torusae.TorusAutoencoder.from_shape((4,), torusae.Torus(2) * torusae.Gaussian(1), losses="none")
    assert product.latent.space.decoder_input_size == 5
    assert product.latent.terms == []


# What it says about wrong parts


def subclassed_encoder():
    class Encoder(keras.Model):
        def call(self, x):
            return x

    return Encoder()


LOSS = torusae.SpringLoss


def test_parts_that_do_not_fit():
    for make, error, message in [
        (
            lambda: (tiny_encoder(), tiny_decoder((5,)), 1),
            ValueError,
            r"`decoder` must return samples of the encoder's input shape \(4,\). Received: decoder output shape \(5,\)",
        ),
        (
            lambda: (tiny_encoder(), tiny_decoder(decoder_input_size=6), 1),
            ValueError,
            r"`decoder` must read inputs of shape \(batch, 2\). Received: decoder.input_shape=\(None, 6\)",
        ),
        (lambda: (tiny_encoder(), tiny_decoder(), 1.0), TypeError, r"`latent` must be a layer.*latent=1.0"),
        (lambda: (tiny_encoder(), tiny_decoder(), True), TypeError, r"`latent` must be a layer.*latent=True"),
        (lambda: ("encoder", tiny_decoder(), 1), TypeError, r"`encoder` must be a Keras model.*'encoder'"),
        (lambda: (subclassed_encoder(), tiny_decoder(), 1), ValueError, r"`encoder` must have a known input shape"),
        (
            lambda: (keras.Sequential([keras.Input((None, 4)), keras.layers.GlobalMaxPool1D()]), tiny_decoder(), 1),
            ValueError,
            r"`encoder` must have a known input shape.*\(None, None, 4\)",
        ),
        (
            lambda: (keras.Sequential([keras.Input((4, 1)), keras.layers.ReLU()]), tiny_decoder((4, 1)), 1),
            ValueError,
            r"`encoder` must return features of shape \(batch, num_features\).*\(None, 4, 1\)",
        ),
        (
            lambda: (tiny_encoder(), tiny_decoder(), 1, {"digit": 3}),
            TypeError,
            r"heads\['digit'\] must be a torusae Head.*3",
        ),
        (
            lambda: (tiny_encoder(), tiny_decoder(), 1, {"point": digit_head()}),
            ValueError,
            r"`heads` can't have the name 'point'",
        ),
        (
            lambda: (tiny_encoder(), tiny_decoder(), torusae.TorusLatent(1, [LOSS(name="reconstruction")])),
            ValueError,
            r".*must have different names in the logs. Received: 'reconstruction' more than once",
        ),
    ]:
        with pytest.raises(error, match=f"TorusAutoencoder: {message}"):
            torusae.TorusAutoencoder(*make())


def test_wrong_options_of_compile(trained):
    for arguments, message in [
        ({"loss": {"reconstruction": "mse"}}, r"`loss` must be one reconstruction loss.*Heads have their own"),
        ({"loss": None}, r"`loss` must be one reconstruction loss.*loss=None"),
        ({"loss_weights": {"spring": 1}}, r"`loss_weights` is not used here.*TorusLatent\(3, loss_weights="),
        ({"metrics": {"digits": "mae"}}, r"`metrics` must be one of .*metrics='digits'. Did you mean 'digit'\?"),
    ]:
        with pytest.raises(ValueError, match=message):
            tiny_model({"digit": digit_head()}).compile(**{"optimizer": "sgd", **arguments})


def test_training_before_compile():
    with pytest.raises(ValueError, match="compile"):
        tiny_model().fit(samples(), verbose=0)


Y = {"digit": labels()}
BAD_DATA = [
    (broken((3, 1), np.nan), Y, ValueError, r"`x` must hold finite numbers only. Received: nan at position \(3, 1\)"),
    (broken((0, 0), -np.inf), Y, ValueError, r"Received: -inf at position \(0, 0\)"),
    (np.ones((20, 5), "float32"), Y, ValueError, r"`x` must have shape \(batch, 4\). Received: shape=\(20, 5\)"),
    (np.ones(4, "float32"), Y, ValueError, r"Received: shape=\(4,\). For a single sample use x\[None\]"),
    (np.ones((20, 4), "uint8"), Y, TypeError, r"floating-point.*dtype=uint8.*x.astype\('float32'\) / 255"),
    (np.ones((20, 4), bool), Y, TypeError, r"`x` must be numbers. Received: dtype=bool. Use x.astype"),
    ((samples(), Y), None, TypeError, r"`x` must be one array, not a tuple. Use numpy.asarray"),
    (samples(), None, ValueError, r"`y` must hold labels for the head 'digit'. Received: None. Mark missing.*-1"),
    (samples(), {"reconstruction": samples()}, ValueError, r"the head 'digit'. Received: \['reconstruction'\]"),
    (samples(), {"digits": labels()}, ValueError, r"`y` must be one of .*y='digits'. Did you mean 'digit'\?"),
    (samples(), labels(), ValueError, r"`y` must be a dict of labels.*y.shape=\(20,\). Use y=\{'digit': labels\}"),
    (samples(), labels().tolist(), ValueError, r"`y` must be a dict of labels.*y.shape=\(20,\)"),
    (samples(), {"digit": None}, TypeError, r"y\['digit'\] must be an array.*NoneType. Use numpy.asarray"),
    (
        samples(),
        {"digit": labels(19)},
        ValueError,
        r"y\['digit'\] must be integer classes of shape \(20,\).*shape=\(19,\)",
    ),
    (samples(), {"digit": labels() * 1.0}, ValueError, r"integer classes.*dtype=float64. Use labels.astype"),
    (samples(), {"digit": np.eye(3, dtype=int)[labels()]}, ValueError, r"integer classes.*one-hot.*argmax"),
    (samples(), {"digit": labels() + 1}, ValueError, r"classes 0 to 2, or -1 where.*values from 1 to 3"),
    (samples(), {"digit": labels() - 2}, ValueError, r"classes 0 to 2, or -1 where.*values from -2 to 0"),
    (samples(), {**Y, "reconstruction": samples()[:, :3]}, ValueError, r"y\['reconstruction'\]` must have shape"),
    (samples(), {**Y, "reconstruction": broken((2, 0), np.nan)}, ValueError, r"y\['reconstruction'\]` must hold"),
    (samples(), {**Y, "reconstruction": labels(80).reshape(20, 4)}, TypeError, r"y\['reconstruction'\]` must be"),
]


def test_bad_arrays_are_named_before_training_starts(trained):
    for x, y, error, message in BAD_DATA:
        with pytest.raises(error, match=f"TorusAutoencoder.*{message}"):
            trained.fit(x, y, verbose=0)


@pytest.mark.parametrize(
    ("task", "values", "message"),
    [
        ("regression", np.zeros((20, 3)), r"numbers of shape \(20, 2\).*Received: shape=\(20, 3\)"),
        ("circular_regression", np.zeros(20), r"numbers of shape \(20, 2\).*Received: shape=\(20,\)"),
        (
            "circular_regression",
            np.full((20, 2), "a"),
            r"numbers of shape \(20, 2\).*Received: shape=\(20, 2\), dtype=<U1",
        ),
        (
            "regression",
            np.full((20, 2), np.inf),
            r"finite, or NaN where missing. Received: infinity in row 0",
        ),
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
    ((samples(5), {"digit": np.eye(3)[labels(5)]}), r"labels of the task 'classification' must have shape \(batch,\)"),
    ((samples(5), {"digit": labels(5).astype("float32")}), r"labels of the task 'classification' must be integers"),
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


def test_float_images_of_0_to_255_are_refused_where_the_output_is_a_sigmoid():
    x = np.random.default_rng(0).uniform(0, 255, (16, 8, 8, 1)).astype("float32")
    model = torusae.TorusAutoencoder.from_shape((8, 8, 1), dim=1)
    model.compile("adam", "mse")
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\].*Use x / 255"):
        model.fit(x, verbose=0)
    linear = keras.Sequential([keras.Input((2,)), keras.layers.Dense(64), keras.layers.Reshape((8, 8, 1))])
    model = torusae.TorusAutoencoder(model.encoder, linear, 1)
    model.compile("adam", "mse")
    assert model.evaluate(x, verbose=0, return_dict=True)["reconstruction"] > 1e3  # the range of the data is no error
