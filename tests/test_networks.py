"""The networks' shapes in both layouts, and `Head`: its losses by hand, missing labels, weights, errors."""

import keras
import numpy as np
import pytest
from helpers import gradient, to_numpy, to_tensor

import torusae
from torusae import networks

IMAGES = [(28, 28, 1), (32, 32, 3), (30, 17, 2)]


@pytest.fixture
def channels_first():
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_first")
    yield
    keras.config.set_image_data_format(before)


@pytest.mark.parametrize("shape", IMAGES)
def test_convolutions_return_the_shape_of_the_image(shape, rng):
    encoder = torusae.conv_encoder(shape, filters=(2, 3), num_features=7)
    decoder = torusae.conv_decoder(shape, code_size=4, filters=(3, 2))
    assert encoder.output_shape == (None, 7)
    assert decoder.output_shape == (None, *shape)
    if shape != IMAGES[-1]:  # one of odd sizes is enough to run: every new shape costs JAX seconds
        return
    images = rng.uniform(size=(3, *shape)).astype("float32")
    assert to_numpy(encoder(images)).shape == (3, 7)
    output = to_numpy(decoder(rng.normal(size=(3, 4)).astype("float32")))
    assert output.shape == images.shape
    assert ((output > 0) & (output < 1)).all()  # sigmoid


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (2, 30, 17)])
@pytest.mark.usefixtures("channels_first")
def test_channels_first(shape, rng):
    encoder = torusae.conv_encoder(shape, filters=(2, 3), num_features=7)
    decoder = torusae.conv_decoder(shape, code_size=4, filters=(3, 2))
    assert (encoder.output_shape, decoder.output_shape) == ((None, 7), (None, *shape))
    first = encoder.layers[1]
    assert first.kernel.shape == (3, 3, shape[0], 2)
    if keras.backend.backend() != "tensorflow":  # TensorFlow has no such convolutions on a CPU
        assert to_numpy(encoder(rng.uniform(size=(2, *shape)).astype("float32"))).shape == (2, 7)
        assert to_numpy(decoder(rng.normal(size=(2, 4)).astype("float32"))).shape == (2, *shape)


def test_the_paper_has_three_convolutions_and_one_dense_layer():
    def kinds(model):
        return [type(layer).__name__ for layer in model.layers if layer.weights]

    assert kinds(torusae.conv_encoder((8, 8, 1))) == ["Conv2D"] * 3 + ["Dense"]
    assert kinds(torusae.conv_decoder((8, 8, 1), 4)) == ["Dense"] + ["Conv2D"] * 4


def test_a_dark_start_only_for_the_sigmoid():
    for activation, bias in (("sigmoid", -2.0), (None, 0.0)):
        decoder = torusae.conv_decoder((8, 8, 3), 2, filters=(2,), activation=activation)
        np.testing.assert_array_equal(to_numpy(decoder.layers[-2].bias), [bias] * 3)


@pytest.mark.parametrize("shape", [(5,), (3, 4), ()])
def test_dense_networks(shape, rng):
    encoder = torusae.dense_encoder(shape, units=(6, 5))
    decoder = torusae.dense_decoder(shape, 4, units=(5, 6))
    assert (encoder.output_shape, decoder.output_shape) == ((None, 5), (None, *shape))
    output = to_numpy(decoder(to_numpy(encoder(rng.normal(size=(2, *shape)).astype("float32")))[:, :4]))
    assert output.shape == (2, *shape)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_outputs_are_float32_under_a_mixed_policy(policy):
    keras.config.set_dtype_policy(policy)
    try:
        decoders = [torusae.conv_decoder((8, 8, 1), 2, filters=(2,)), torusae.dense_decoder((3,), 2, units=(4,))]
    finally:
        keras.config.set_dtype_policy("float32")
    for decoder in decoders:
        output = decoder(np.ones((1, 2), "float32"))
        assert keras.backend.standardize_dtype(output.dtype) == "float32"


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_images_train_under_a_mixed_policy(policy, rng):
    keras.config.set_dtype_policy(policy)
    try:
        encoder = torusae.conv_encoder((6, 6, 1), filters=(3, 4), num_features=5)
        decoder = torusae.conv_decoder((6, 6, 1), 2, filters=(4, 3))
    finally:
        keras.config.set_dtype_policy("float32")
    model = torusae.TorusAutoencoder(encoder, decoder, torusae.TorusLatent(1, "paper"))
    model.compile("sgd", "mse")
    before = [to_numpy(variable.value).copy() for variable in model.trainable_variables]
    history = model.fit(rng.uniform(size=(12, 6, 6, 1)).astype("float32"), batch_size=6, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    moved = [np.abs(to_numpy(v.value) - old).max() for v, old in zip(model.trainable_variables, before, strict=True)]
    assert np.mean(np.array(moved) > 0) > 0.8  # a unit of relu may be at rest


@pytest.mark.parametrize(
    ("shape", "first", "last"),
    [
        ((8, 8, 1), "image", "sigmoid"),
        ((7, 9, 1), "vector", "sigmoid"),
        ((5,), "vector", "linear"),
        ((3, 4), "vector", "linear"),
    ],
)
def test_networks_that_fit_the_data(shape, first, last):
    encoder, decoder = torusae.autoencoder_networks(shape, code_size=4)
    assert encoder.input_shape == decoder.output_shape == (None, *shape)
    assert encoder.layers[0].name == first
    assert decoder.layers[-1].activation.__name__ == last


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: torusae.conv_encoder((28, 28)), ValueError, r"image shape such as \(28, 28, 1\).*\(28, 28\).*dense_"),
        (lambda: torusae.conv_encoder((28, 28, 0)), ValueError, r"`input_shape\[2\]` must be at least 1"),
        (lambda: torusae.conv_encoder((None, 28, 1)), TypeError, r"`input_shape\[0\]` must be an integer"),
        (lambda: torusae.conv_decoder((28, 28, 1), 0), ValueError, r"`code_size` must be at least 1.*code_size=0"),
        (lambda: torusae.conv_decoder((28, 28, 1), 6.0), TypeError, r"`code_size` must be an integer.*6\.0"),
        (lambda: torusae.dense_decoder((5, 0), 2), ValueError, r"`output_shape\[1\]` must be at least 1"),
        (lambda: torusae.dense_decoder((5,), -2), ValueError, r"`code_size` must be at least 1.*-2"),
    ],
)
def test_wrong_arguments_of_networks(call, error, message):
    with pytest.raises(error, match=message):
        call()


# Head


def test_outputs_of_each_task(rng):
    coordinates = rng.uniform(-np.pi, np.pi, (5, 3)).astype("float32")
    classes = to_numpy(torusae.Head("classes", 4, units=(6,))(coordinates))
    assert classes.shape == (5, 4)
    np.testing.assert_allclose(classes.sum(axis=1), 1.0, rtol=1e-6)  # float32 softmax
    assert to_numpy(torusae.Head("number", 2, units=(6,))(coordinates)).shape == (5, 2)
    angles = to_numpy(torusae.Head("angle", 2, units=(6,))(coordinates))
    assert angles.shape == (5, 2)
    assert (np.abs(angles) <= np.float32(np.pi)).all()


def test_a_head_sees_no_seam():
    head = torusae.Head("classes", 3)
    ends = to_numpy(head(np.array([[-np.pi], [np.pi]], "float32")))
    # The two ends are one point; float32 rounds π by 1e-7, a few dense layers magnify it.
    np.testing.assert_allclose(ends[0], ends[1], atol=1e-5)


NAN = float("nan")
# Probabilities of two samples of three classes, and two outputs of two columns.
PROBABILITIES = [[0.5, 0.25, 0.25], [0.1, 0.1, 0.8], [0.2, 0.3, 0.5]]
OUTPUTS = [[0.0, 1.0], [2.0, 3.0], [1.0, 1.0]]

BY_HAND = [
    # task, labels, outputs, loss, scores of the labelled samples, mask
    ("classes", [0, 2, 0], PROBABILITIES, (np.log(2) - np.log(0.8) - np.log(0.2)) / 3, [1, 1, 0], [1, 1, 1]),
    ("classes", [[0], [-1], [2]], PROBABILITIES, (np.log(2) - np.log(0.5)) / 2, [1, 1], [1, 0, 1]),
    ("number", [[0.0, 3.0], [2.0, 1.0], [1.0, 1.0]], OUTPUTS, (2 + 2 + 0) / 3, [1, 1, 0], [1, 1, 1]),
    ("number", [[0.0, 3.0], [NAN, 1.0], [3.0, 1.0]], OUTPUTS, (2 + 2) / 2, [1, 1], [1, 0, 1]),
    ("angle", [[np.pi, 1.0], [2.0, 3.0], [NAN, NAN]], OUTPUTS, (1 + 0) / 2, [np.pi / 2, 0], [1, 1, 0]),
    # A turn more changes nothing.
    ("angle", [[0, 1 + 2 * np.pi], [2.0, 3 - 2 * np.pi], [1.0, 1.0]], OUTPUTS, 0, [0, 0, 0], [1, 1, 1]),
]


@pytest.mark.parametrize(("task", "labels", "outputs", "loss", "scores", "mask"), BY_HAND)
def test_losses_by_hand(task, labels, outputs, loss, scores, mask):
    head = torusae.Head(task, 3 if task == "classes" else 2)
    labels = to_tensor(labels, "int32" if task == "classes" else "float32")
    got_loss, got_scores, got_mask = map(to_numpy, head.loss_and_score(labels, to_tensor(outputs)))
    np.testing.assert_allclose(got_loss, loss, rtol=1e-5, atol=1e-6)  # float32; Keras clips probabilities at 1e-7
    np.testing.assert_array_equal(got_mask, mask)
    np.testing.assert_allclose(got_scores[np.array(mask) > 0], scores, rtol=1e-5, atol=1e-6)


def test_sample_weights_multiply_the_losses():
    head = torusae.Head("classes", 3)
    labels = to_tensor([0, -1, 2])
    loss, _, mask = head.loss_and_score(labels, to_tensor(PROBABILITIES), to_tensor([2.0, 100.0, 0.0]))
    # As Keras does: a sum of weighted losses over the number of samples, not over the sum of the weights.
    np.testing.assert_allclose(to_numpy(loss), 2 * np.log(2) / 2, rtol=1e-5)
    np.testing.assert_array_equal(to_numpy(mask), [1, 0, 1])


MISSING = [("classes", -1, "int32"), ("number", NAN, "float32"), ("angle", NAN, "float32")]


@pytest.mark.parametrize(("task", "missing", "dtype"), MISSING)
def test_a_missing_label_has_no_part_in_loss_and_gradient(task, missing, dtype, rng):
    head = torusae.Head(task, 2, units=(4,))
    coordinates = rng.uniform(-3, 3, (3, 2)).astype("float32")
    head(coordinates)
    shape = (3,) if task == "classes" else (3, 2)
    labels = np.ones(shape, dtype)
    labels[1] = missing

    def loss(x):
        return head.loss_and_score(to_tensor(labels), head(x))[0]

    value, slope = gradient(loss, coordinates)
    assert np.isfinite(value)
    assert (slope[1] == 0).all()
    assert np.abs(slope[[0, 2]]).max() > 0
    other = coordinates.copy()
    other[1] += 1
    np.testing.assert_array_equal(gradient(loss, other)[0], value)


@pytest.mark.parametrize(("task", "missing", "dtype"), MISSING)
def test_all_labels_missing_is_a_loss_of_zero(task, missing, dtype, rng):
    head = torusae.Head(task, 2, units=(4,))
    labels = np.full((3,) if task == "classes" else (3, 2), missing, dtype)
    coordinates = rng.uniform(-3, 3, (3, 2)).astype("float32")
    head(coordinates)
    value, slope = gradient(lambda x: head.loss_and_score(to_tensor(labels), head(x))[0], coordinates)
    assert value == 0
    np.testing.assert_array_equal(slope, 0)


@pytest.mark.parametrize(
    "head",
    [
        torusae.Head("classes", 10, name="digit"),
        torusae.Head("number", 2, weight=0.0, units=()),
        torusae.Head("angle", weight=0.5, units=(3, 4, 5), dtype="float32"),
    ],
    ids=lambda head: head.task,
)
def test_config_round_trip(head):
    config = keras.saving.serialize_keras_object(head)
    assert config["registered_name"] == "torusae>Head"
    copy = keras.saving.deserialize_keras_object(config)
    assert keras.saving.serialize_keras_object(copy)["config"] == config["config"]
    assert (copy.task, copy.num_outputs, copy.weight, copy.units) == (
        head.task,
        head.num_outputs,
        head.weight,
        head.units,
    )


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("clases", 3), ValueError, r"`task` must be one of .*'clases'. Did you mean 'classes'\?"),
        (("classes",), ValueError, r"`num_outputs` must be at least 2. Received: num_outputs=1"),
        (("number", 0), ValueError, r"`num_outputs` must be at least 1. Received: num_outputs=0"),
        (("number", 1, -1.0), ValueError, r"`weight` must be finite and not negative. Received: weight=-1.0"),
        (("number", 1, "1"), TypeError, r"`weight` must be a number. Received: weight='1'"),
        (("number", 1, 1.0, (4, 0)), ValueError, r"`units` must be at least 1. Received: units=0"),
    ],
)
def test_wrong_arguments_of_a_head(arguments, error, message):
    with pytest.raises(error, match=f"Head: {message}"):
        torusae.Head(*arguments)


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4)])
def test_coordinates_of_another_rank(shape):
    with pytest.raises(ValueError, match=r"Head: coordinates must have shape \(batch, num_coordinates\)"):
        torusae.Head("number")(np.ones(shape, "float32"))


@pytest.mark.parametrize(
    ("head", "labels", "error", "message"),
    [
        (torusae.Head("classes", 3), np.eye(3, dtype="int32"), ValueError, r"shape \(batch,\).*\(3, 3\).*argmax"),
        (torusae.Head("classes", 3), np.zeros(3, "float32"), TypeError, r"must be integers. Received: dtype=.*float32"),
        (torusae.Head("number", 2), np.zeros(3, "float32"), ValueError, r"\(batch, 2\). Received: shape=\(3,\)"),
        (torusae.Head("angle", 2), np.zeros((3, 3), "float32"), ValueError, r"\(batch, 2\). Received: shape=\(3, 3\)"),
    ],
)
def test_labels_of_another_shape_or_type(head, labels, error, message):
    outputs = np.zeros((3, head.num_outputs), "float32")
    with pytest.raises(error, match=message):
        head.loss_and_score(to_tensor(labels), to_tensor(outputs))


@pytest.mark.parametrize("options", [{}, {"strides": 2}, {"padding": "valid"}, {"dilation_rate": 2}])
def test_convolution_is_that_of_keras(options):
    """Whatever the layout, output and gradients are those of the layer that it replaces."""
    x = np.random.default_rng(0).normal(size=(2, 9, 7, 3)).astype("float32")
    own = networks.Conv2D(4, 3, **{"padding": "same", **options})
    theirs = keras.layers.Conv2D(4, 3, **{"padding": "same", **options})
    for layer in (own, theirs):
        layer.build(x.shape)
    theirs.set_weights(own.get_weights())
    (value, slope), (value_2, slope_2) = (
        gradient(lambda images, layer=layer: keras.ops.sum(keras.ops.sin(layer(images))), x) for layer in (own, theirs)
    )
    np.testing.assert_allclose(value, value_2, rtol=1e-5)
    np.testing.assert_allclose(slope, slope_2, rtol=1e-4, atol=1e-5)  # float32 sums of 27 products


@pytest.mark.parametrize(
    ("own", "theirs"),
    [
        (networks.MaxPooling2D(2, padding="same"), keras.layers.MaxPooling2D(2, padding="same")),
        (networks.MaxPooling2D(2, padding="valid"), keras.layers.MaxPooling2D(2, padding="valid")),
        (networks.UpSampling2D((2, 3)), keras.layers.UpSampling2D((2, 3))),
        (
            networks.UpSampling2D(2, interpolation="bilinear"),
            keras.layers.UpSampling2D(2, interpolation="bilinear"),
        ),
    ],
)
def test_pooling_and_up_sampling_are_those_of_keras(own, theirs):
    x = np.random.default_rng(0).normal(size=(2, 9, 7, 3)).astype("float32")
    (value, slope), (value_2, slope_2) = (
        gradient(lambda images, layer=layer: keras.ops.sum(keras.ops.sin(layer(images))), x) for layer in (own, theirs)
    )
    np.testing.assert_allclose(value, value_2, rtol=1e-5)
    np.testing.assert_allclose(slope, slope_2, rtol=1e-5, atol=1e-6)  # float32 sums of up to six terms
