"""`explore`: the decoder against Keras, what a page holds, bad input. The page itself: `nox -s explore`."""

import base64
import io

import keras
import matplotlib.image
import numpy as np
import pytest
from shared.explorer_pages import arrays_of, content_of, evaluate, numbers_of
from shared.tensors import to_numpy
from shared.tiny import SHAPE, samples, tiny_model

import torusae
from torusae import networks
from torusae.explorer._layers import Description, UnknownLayer
from torusae.explorer._samples import Samples, png
from torusae.plots._style import choose_rows

INPUTS = np.random.default_rng(3).normal(size=(3, 4)).astype("float32")
# float32 sums of up to 600 products of order 1.
TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}
LAYERS = keras.layers


def decoded(decoder, inputs=INPUTS):
    return to_numpy(decoder(inputs))


def described(decoder, inputs=INPUTS):
    description = Description(decoder, inputs.shape[1])
    return np.stack([evaluate(description.operations, description.arrays, row) for row in inputs])


def randomized(model, rng):
    """Weights that show every mistake: biases are not zero, moving statistics are not those of a new layer."""
    for weight in model.weights:
        low = 0.5 if "variance" in weight.path else -0.5
        weight.assign(rng.uniform(low, low + 1, weight.shape))
    return model


def sequential(*layers):
    return keras.Sequential([keras.Input((4,)), *layers])


def own_decoder():
    """Every layer that the page computes."""
    return sequential(
        LAYERS.Dense(3 * 4 * 2, use_bias=False),
        LAYERS.BatchNormalization(),
        LAYERS.LeakyReLU(0.3),
        LAYERS.Reshape((3, -1, 2)),
        LAYERS.Conv2D(5, (2, 3), padding="same", activation="silu"),
        LAYERS.Dropout(0.5),
        LAYERS.UpSampling2D((2, 3)),
        LAYERS.BatchNormalization(scale=False),
        LAYERS.Conv2D(4, 3, strides=(2, 1), padding="same", use_bias=False, activation="elu"),
        LAYERS.Cropping2D(((0, 1), (2, 1))),
        LAYERS.GaussianNoise(1.0),
        LAYERS.Conv2D(2, 2, padding="valid", activation="leaky_relu"),
        LAYERS.Dense(3, activation="softplus"),
        LAYERS.ReLU(),
        LAYERS.Flatten(),
        keras.Sequential([LAYERS.Dense(6, activation="tanh"), LAYERS.Identity()]),
        LAYERS.Activation("exponential"),
    )


def test_the_operations_are_the_decoder(rng):
    for make in (
        lambda: networks.conv_decoder((9, 14, 3), 4, filters=(3, 5)),
        lambda: networks.dense_decoder((3, 2), 4, units=(5, 6), activation="sigmoid"),
        own_decoder,
    ):
        decoder = randomized(make(), rng)
        np.testing.assert_allclose(described(decoder), decoded(decoder), **TOLERANCE)


def test_channels_first(rng):
    # Compared with channels last of the same weights: TensorFlow computes no channels first on a CPU.
    def make(data_format, shape):
        return sequential(
            LAYERS.Dense(24, activation="relu"),
            LAYERS.Reshape(shape),
            networks.Conv2D(5, 3, padding="same", data_format=data_format),
            LAYERS.BatchNormalization(axis=-1 if data_format == "channels_last" else 1),
            networks.UpSampling2D((2, 1), data_format=data_format),
            LAYERS.Cropping2D(((1, 0), (0, 2)), data_format=data_format),
            LAYERS.Flatten(data_format=data_format),
        )

    last = randomized(make("channels_last", (3, 4, 2)), rng)
    first = make("channels_first", (2, 3, 4))
    weights = last.get_weights()
    for number in (0, 1):  # of the dense layer, whose units become pixels
        swapped = np.moveaxis(weights[number].reshape(*weights[number].shape[:-1], 3, 4, 2), -1, -3)
        weights[number] = swapped.reshape(weights[number].shape)
    first.set_weights(weights)
    np.testing.assert_allclose(described(first), decoded(last), **TOLERANCE)
    kinds = [operation["op"] for operation in Description(first, 4).operations]
    assert kinds.count("permute") == 1  # between layers in channels first they cancel


class Wave(keras.layers.Layer):
    def call(self, x):
        return keras.ops.sin(x)


class OwnDense(keras.layers.Dense):
    def call(self, x):
        return 2 * super().call(x)


def two_ways():
    inputs = keras.Input((4,))
    return keras.Model(inputs, LAYERS.Dense(3)(inputs) + LAYERS.Dense(3)(inputs))


def twice():
    inputs, layer = keras.Input((4,)), LAYERS.Dense(4)
    return keras.Model(inputs, layer(layer(inputs)))


def operation_at_the_end():
    inputs = keras.Input((4,))
    return keras.Model(inputs, keras.ops.sin(LAYERS.Dense(4)(inputs)))


def test_what_the_page_can_not_compute_is_named():
    for make, named in [
        (lambda: sequential(Wave(name="wave")), "Wave 'wave'"),
        (lambda: sequential(OwnDense(3)), "OwnDense"),
        (lambda: sequential(LAYERS.Dense(3, activation="gelu", name="last")), "activation of 'last'"),
        (lambda: sequential(LAYERS.ReLU(max_value=6.0)), "ReLU with options"),
        (lambda: sequential(LAYERS.Reshape((2, 2, 1)), LAYERS.Conv2DTranspose(1, 2)), "Conv2DTranspose"),
        (lambda: sequential(LAYERS.Reshape((1, 2, 2)), LAYERS.Conv2D(2, 1, groups=2)), "groups or dilation"),
        (lambda: sequential(LAYERS.Reshape((2, 2, 1)), LAYERS.UpSampling2D(2, interpolation="bilinear")), "bilinear"),
        (two_ways, "no chain"),
        (twice, "no chain"),
        (operation_at_the_end, "no chain"),
    ]:
        with pytest.raises(UnknownLayer, match=named):
            Description(make(), 4)


@pytest.fixture(scope="module")
def images():
    """A model of images on three circles, and images with classes."""
    keras.utils.set_random_seed(0)
    shape = (8, 8, 1)
    networks_ = networks.conv_encoder(shape, (2,), 4), networks.conv_decoder(shape, 6, (3,))
    model = torusae.TorusAutoencoder(*networks_, 3)
    model.was_trained = True
    x = np.random.default_rng(0).uniform(size=(50, *shape)).astype("float32")
    return model, x, np.arange(50) % 4


def test_a_page_of_images(images, tmp_path):
    model, x, labels = images
    path = torusae.explore(model, tmp_path / "page.html", x, labels, title="<b>&", num_points=30, num_thumbnails=9)
    text = path.read_text(encoding="utf-8")
    assert "<title>&lt;b&gt;&amp;</title>" in text
    assert "http" not in text.replace("http-equiv", "")  # no network
    content = content_of(path)
    assert content["title"] == "<b>&"
    assert content["circles"] == [[0, 3], [1, 4], [2, 5]]
    assert content["sample"] == {"image": True, "shape": [8, 8, 1], "low": 0.0, "high": 1.0}
    # So few weights stay in float32.
    arrays = arrays_of(content["network"])
    inputs = np.random.default_rng(1).normal(size=(4, 6)).astype("float32")
    page = np.stack([evaluate(content["network"]["operations"], arrays, row) for row in inputs])
    np.testing.assert_allclose(page, model.decode(inputs, verbose=0), atol=1e-5)
    points = content["points"]
    shown = numbers_of(points["decoderInputs"]).reshape(30, 6)
    all_inputs = model.encode(x, verbose=0)
    rows = [int(np.argmin(np.abs(all_inputs - row).max(axis=1))) for row in shown]
    assert len(set(rows)) == 30
    np.testing.assert_allclose(shown, all_inputs[rows], rtol=1e-3, atol=1e-4)
    classes = np.frombuffer(base64.b64decode(points["classes"]), "uint8")
    np.testing.assert_array_equal(classes, labels[rows])
    assert points["names"] == ["0", "1", "2", "3"]
    thumbnails = content["thumbnails"]
    sheet = matplotlib.image.imread(io.BytesIO(base64.b64decode(thumbnails["url"].split(",")[1])), format="png")
    assert thumbnails["count"] == 9
    for number in range(9):
        row, column = divmod(number, thumbnails["columns"])
        tile = sheet[8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
        np.testing.assert_allclose(tile, x[rows[number], :, :, 0], atol=0.5 / 255 + 1e-6)


def test_many_weights_are_rounded(images, tmp_path, monkeypatch):
    monkeypatch.setattr("torusae.explorer.writing._FEW_WEIGHTS", 0)
    model = images[0]
    network = content_of(torusae.explore(model, tmp_path / "page.html"))["network"]
    assert network["arrays"]["type"] == "float16"
    rounded = keras.models.clone_model(model.decoder)
    rounded.set_weights([weight.astype("float16").astype("float32") for weight in model.decoder.get_weights()])
    inputs = np.random.default_rng(1).normal(size=(4, 6)).astype("float32")
    page = np.stack([evaluate(network["operations"], arrays_of(network), row) for row in inputs])
    np.testing.assert_allclose(page, to_numpy(rounded(inputs)), atol=1e-5)


def test_png(rng):
    for channels in (1, 3):
        pixels = rng.integers(0, 256, (5, 7, channels), dtype="uint8")
        read = matplotlib.image.imread(io.BytesIO(png(pixels)), format="png")
        np.testing.assert_array_equal(np.rint(255 * read).reshape(5, 7, channels), pixels)


def test_large_images_have_small_thumbnails(rng):
    drawn = Samples("test", (100, 60, 3))
    x = rng.uniform(size=(2, 100, 60, 3)).astype("float32")
    packed = drawn.thumbnails(x)
    assert (packed["height"], packed["width"]) == (25, 15)
    sheet = matplotlib.image.imread(io.BytesIO(base64.b64decode(packed["url"].split(",")[1])), format="png")
    np.testing.assert_allclose(sheet[3, 4], x[0, 12:16, 16:20].mean(axis=(0, 1)), atol=0.5 / 255 + 1e-6)


def test_a_page_of_vectors_with_numbers_as_labels(tmp_path):
    model = tiny_model(latent=torusae.TorusLatent(1, "none"))
    model.was_trained = True
    hours = np.linspace(3.0, 7.0, 20)
    content = content_of(torusae.explore(model, tmp_path / "page.html", samples(), hours))
    assert content["circles"] == [[0, 1]]
    assert content["sample"]["shape"] == [4]
    points = content["points"]
    shares = np.frombuffer(base64.b64decode(points["shares"]), "uint8") / 254
    np.testing.assert_allclose(np.sort(points["low"] + shares * (points["high"] - points["low"])), hours, atol=4 / 508)
    thumbnails = numbers_of(content["thumbnails"]["values"]).reshape(20, 4)
    order = np.argsort(thumbnails[:, 0])
    np.testing.assert_allclose(thumbnails[order], samples()[np.argsort(samples()[:, 0])], rtol=1e-3, atol=1e-6)


def test_labels_a_period_apart_have_one_colour(tmp_path):
    model = tiny_model(latent=torusae.TorusLatent(1, "none"))
    model.was_trained = True
    hours = np.tile([1.0, 25.0, 47.0, -1.0], 5)
    points = content_of(torusae.explore(model, tmp_path / "page.html", samples(), hours, period=24))["points"]
    shares = np.frombuffer(base64.b64decode(points["shares"]), "uint8")
    assert sorted(shares.tolist()) == [round(254 / 24)] * 10 + [round(254 * 23 / 24)] * 10
    assert (points["low"], points["high"], points["cyclic"]) == (0, 24, True)
    for options, error, match in [
        ({}, ValueError, "`period` is that of labels"),
        ({"labels": ["a"] * 20}, TypeError, "`labels` with a period must be numbers"),
    ]:
        with pytest.raises(error, match=match):
            torusae.explore(model, tmp_path / "new.html", samples(), period=24, **options)


def test_a_product_has_sliders(tmp_path):
    space = torusae.Torus(1) * torusae.Gaussian(2) * torusae.Torus(2)
    model = torusae.TorusAutoencoder.from_shape(SHAPE, space)
    model.was_trained = True
    content = content_of(torusae.explore(model, tmp_path / "page.html"))
    assert content["circles"] == [[0, 1], [4, 6], [5, 7]]
    assert [number["column"] for number in content["numbers"]] == [2, 3]
    assert "points" not in content


@pytest.mark.parametrize(("dim", "steps"), [(1, 64), (3, 24)])
def test_an_unknown_layer_is_decoded_in_advance(dim, steps, tmp_path):
    decoder = keras.Sequential([keras.Input((2 * dim,)), LAYERS.Dense(4, name="wide"), Wave(name="wave")])
    model = torusae.TorusAutoencoder(networks.dense_encoder(SHAPE, (3,)), decoder, dim)
    model.was_trained = True
    with pytest.warns(UserWarning, match="can't compute the decoder, because of Wave 'wave'"):
        path = torusae.explore(model, tmp_path / "page.html")
    atlas = content_of(path)["atlas"]
    assert (atlas["steps"], atlas["circles"]) == (steps, min(dim, 2))
    values = numbers_of(atlas["values"]).reshape(*[steps] * min(dim, 2), 4)
    angles = np.zeros((1, dim))
    angles[0, :2] = 2 * np.pi * np.array([5, 7])[:dim] / steps
    row = np.concatenate([np.cos(angles), np.sin(angles)], axis=1).astype("float32")
    index = (5,) if dim == 1 else (7, 5)
    np.testing.assert_allclose(values[index], model.decode(row, verbose=0)[0], atol=1e-3)


def explored(tmp_path, model=None, name="page.html", **arguments):
    if model is None:
        model = tiny_model()
        model.was_trained = True
    return torusae.explore(model, tmp_path / name, **arguments)


def test_an_untrained_model_warns(tmp_path):
    with pytest.warns(UserWarning, match="not trained"):
        torusae.explore(tiny_model(), tmp_path / "page.html")


def test_a_file_is_replaced_only_on_request(tmp_path):
    path = explored(tmp_path)
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        explored(tmp_path)
    assert path.read_text(encoding="utf-8") == "mine"
    explored(tmp_path, overwrite=True)
    assert content_of(path)["circles"] == [[0, 1]]
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]


def image_model(shape):
    decoder = keras.Sequential([keras.Input((2,)), LAYERS.Dense(int(np.prod(shape))), LAYERS.Reshape(shape)])
    return torusae.TorusAutoencoder(networks.dense_encoder(shape, (3,)), decoder, 1)


def test_bad_input(tmp_path):
    for arguments, error, message in [
        ({"model": 3}, TypeError, "must be a TorusAutoencoder"),
        ({"name": "page.txt"}, ValueError, "must end in .html"),
        ({"name": "missing/page.html"}, FileNotFoundError, "folder of `path` must exist"),
        ({"data": samples()[:, :3]}, ValueError, r"shape \(batch, 4\)"),
        ({"data": samples().astype("int32")}, TypeError, "floating-point"),
        ({"data": samples()[:0]}, ValueError, "at least one sample"),
        ({"data": samples().tolist()}, TypeError, "numpy.asarray"),
        ({"data": samples() * np.nan}, ValueError, "finite numbers only"),
        ({"labels": np.arange(20)}, ValueError, "`labels` need `data`"),
        ({"data": samples(), "labels": np.arange(19)}, ValueError, r"shape \(20,\)"),
        ({"data": samples(25), "labels": np.arange(25)}, ValueError, "at most 20 classes"),
        ({"data": samples(), "labels": np.full(20, np.inf)}, ValueError, "finite numbers only"),
        ({"title": 3}, TypeError, "`title` must be a string"),
        ({"num_points": 0}, ValueError, "`num_points`"),
        ({"model": torusae.TorusAutoencoder.from_shape(SHAPE, torusae.Gaussian(2))}, ValueError, "must have a circle"),
        ({"model": image_model((3, 3, 2))}, ValueError, "1 channel"),
    ]:
        with pytest.raises(error, match=message):
            explored(tmp_path, **arguments)
        assert not list(tmp_path.iterdir())


def test_a_space_that_can_not_be_drawn(tmp_path):
    from shared.spaces import LensSpace

    model = torusae.TorusAutoencoder.from_shape(SHAPE, torusae.Torus(2) * LensSpace())
    with pytest.raises(ValueError, match=r"a space with LensSpace.*Use a Torus"):
        explored(tmp_path, model)


def test_missing_labels_are_grey(tmp_path):
    labels = np.arange(20) % 3 - 1
    content = content_of(explored(tmp_path, data=samples(), labels=labels))
    assert content["points"]["names"] == ["no label", "0", "1"]
    assert content["points"]["unknown"] is True
    numbers = np.where(labels < 0, np.nan, labels)
    points = content_of(explored(tmp_path, name="b.html", data=samples(), labels=numbers))["points"]
    shares = np.frombuffer(base64.b64decode(points["shares"]), "uint8")
    assert sorted(shares) == sorted(np.select([labels < 0, labels == 0], [255, 0], 254))
    assert points["unknown"] is True
    assert content_of(explored(tmp_path, name="c.html", data=samples(), labels=[None] * 20))["points"]["names"] == [
        "no label"
    ]


def test_unknown_cells_are_shown_as_reconstructed(tmp_path):
    model = torusae.TorusAutoencoder.from_shape(SHAPE, 1, missing="ignore")
    model.was_trained = True
    x = samples()
    x[:, 1] = np.nan
    content = content_of(torusae.explore(model, tmp_path / "page.html", x))
    shown, order = numbers_of(content["thumbnails"]["values"]).reshape(20, 4), choose_rows(20, 20)
    expected = np.where(np.isnan(x), model.reconstruct(x, verbose=0), x)[order]
    np.testing.assert_allclose(shown, expected, rtol=2e-3, atol=1e-3)
