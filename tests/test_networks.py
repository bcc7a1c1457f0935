"""Encoders and decoders: shapes in both image layouts, mixed precision, errors, and own layers against Keras'."""

import keras
import numpy as np
import pytest
from shared.tensors import gradient, to_numpy

import torusae
from torusae import networks

IMAGES = [(28, 28, 1), (32, 32, 3), (30, 17, 2)]


def of_both(own, theirs, x):
    """The sums of the sines of the outputs of two layers, and the gradients of these."""

    def of(layer):
        return gradient(lambda images: keras.ops.sum(keras.ops.sin(layer(images))), x)

    return of(own), of(theirs)


@pytest.fixture
def channels_first():
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_first")
    yield
    keras.config.set_image_data_format(before)


def test_convolutions_return_the_shape_of_the_image(rng):
    for shape in IMAGES:
        encoder = networks.conv_encoder(shape, filters=(2, 3), num_features=7)
        decoder = networks.conv_decoder(shape, decoder_input_size=4, filters=(3, 2))
        assert encoder.output_shape == (None, 7)
        assert decoder.output_shape == (None, *shape)
        if shape != IMAGES[-1]:  # one shape with odd sizes is enough: each new shape costs JAX seconds
            continue
        images = rng.uniform(size=(3, *shape)).astype("float32")
        assert to_numpy(encoder(images)).shape == (3, 7)
        output = to_numpy(decoder(rng.normal(size=(3, 4)).astype("float32")))
        assert output.shape == images.shape
        assert ((output > 0) & (output < 1)).all()  # sigmoid


@pytest.mark.usefixtures("channels_first")
def test_channels_first(rng):
    for shape in ((1, 28, 28), (2, 30, 17)):
        encoder = networks.conv_encoder(shape, filters=(2, 3), num_features=7)
        decoder = networks.conv_decoder(shape, decoder_input_size=4, filters=(3, 2))
        assert (encoder.output_shape, decoder.output_shape) == ((None, 7), (None, *shape))
        first = encoder.layers[1]
        assert first.kernel.shape == (3, 3, shape[0], 2)
        if keras.backend.backend() != "tensorflow":  # TensorFlow has no convolutions in channels first on a CPU
            assert to_numpy(encoder(rng.uniform(size=(2, *shape)).astype("float32"))).shape == (2, 7)
            assert to_numpy(decoder(rng.normal(size=(2, 4)).astype("float32"))).shape == (2, *shape)


def test_the_paper_has_three_convolutions_and_one_dense_layer():
    def kinds(model):
        return [type(layer).__name__ for layer in model.layers if layer.weights]

    assert kinds(networks.conv_encoder((8, 8, 1))) == ["Conv2D"] * 3 + ["Dense"]
    assert kinds(networks.conv_decoder((8, 8, 1), 4)) == ["Dense"] + ["Conv2D"] * 4


def test_a_dark_start_only_for_the_sigmoid():
    for activation, bias in (("sigmoid", -2.0), (None, 0.0)):
        decoder = networks.conv_decoder((8, 8, 3), 2, filters=(2,), activation=activation)
        np.testing.assert_array_equal(to_numpy(decoder.layers[-2].bias), [bias] * 3)


def test_dense_networks(rng):
    for shape in ((5,), (3, 4), ()):
        encoder = networks.dense_encoder(shape, units=(6, 5))
        decoder = networks.dense_decoder(shape, 4, units=(5, 6))
        assert (encoder.output_shape, decoder.output_shape) == ((None, 5), (None, *shape))
        output = to_numpy(decoder(to_numpy(encoder(rng.normal(size=(2, *shape)).astype("float32")))[:, :4]))
        assert output.shape == (2, *shape)


def test_outputs_are_float32_under_a_mixed_policy():
    for policy in ("mixed_float16", "mixed_bfloat16"):
        keras.config.set_dtype_policy(policy)
        try:
            decoders = [networks.conv_decoder((8, 8, 1), 2, filters=(2,)), networks.dense_decoder((3,), 2, units=(4,))]
        finally:
            keras.config.set_dtype_policy("float32")
        for decoder in decoders:
            output = decoder(np.ones((1, 2), "float32"))
            assert keras.backend.standardize_dtype(output.dtype) == "float32"


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_images_train_under_a_mixed_policy(policy, rng):
    keras.config.set_dtype_policy(policy)
    try:
        encoder = networks.conv_encoder((6, 6, 1), filters=(3, 4), num_features=5)
        decoder = networks.conv_decoder((6, 6, 1), 2, filters=(4, 3))
    finally:
        keras.config.set_dtype_policy("float32")
    model = torusae.TorusAutoencoder(encoder, decoder, torusae.TorusLatent(1, "paper"))
    model.compile("sgd", "mse")
    before = [to_numpy(variable.value).copy() for variable in model.trainable_variables]
    history = model.fit(rng.uniform(size=(12, 6, 6, 1)).astype("float32"), batch_size=12, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    moved = [np.abs(to_numpy(v.value) - old).max() for v, old in zip(model.trainable_variables, before, strict=True)]
    assert np.mean(np.array(moved) > 0) > 0.8  # a ReLU unit may be inactive


def test_networks_for_a_shape():
    for shape, first, last in (
        ((8, 8, 1), "image", "sigmoid"),
        ((7, 9, 1), "vector", "sigmoid"),
        ((5,), "vector", "linear"),
        ((3, 4), "vector", "linear"),
    ):
        encoder, decoder = torusae.autoencoder_networks(shape, decoder_input_size=4)
        assert encoder.input_shape == decoder.output_shape == (None, *shape)
        assert encoder.layers[0].name == first
        assert decoder.layers[-1].activation.__name__ == last


def test_wrong_arguments_of_networks():
    for call, error, message in [
        (lambda: networks.conv_encoder((28, 28)), ValueError, r"image shape such as \(28, 28, 1\).*\(28, 28\).*dense_"),
        (lambda: networks.conv_encoder((28, 28, 0)), ValueError, r"`input_shape\[2\]` must be at least 1"),
        (lambda: networks.conv_encoder((None, 28, 1)), TypeError, r"`input_shape\[0\]` must be an integer"),
        (
            lambda: networks.conv_decoder((28, 28, 1), 0),
            ValueError,
            r"`decoder_input_size` must be at least 1.*decoder_input_size=0",
        ),
        (lambda: networks.conv_decoder((28, 28, 1), 6.0), TypeError, r"`decoder_input_size` must be an integer.*6\.0"),
        (lambda: networks.dense_decoder((5, 0), 2), ValueError, r"`output_shape\[1\]` must be at least 1"),
        (lambda: networks.dense_decoder((5,), -2), ValueError, r"`decoder_input_size` must be at least 1.*-2"),
        (lambda: torusae.networks.conv_decoder((8, 8, 1), 2, ()), ValueError, "one integer or more"),
    ]:
        with pytest.raises(error, match=message):
            call()


def test_convolution_is_that_of_keras():
    """In every layout, outputs and gradients equal those of the Keras layer."""
    for options in ({}, {"strides": 2}, {"padding": "valid"}, {"dilation_rate": 2}):
        x = np.random.default_rng(0).normal(size=(2, 9, 7, 3)).astype("float32")
        own = networks.Conv2D(4, 3, **{"padding": "same", **options})
        theirs = keras.layers.Conv2D(4, 3, **{"padding": "same", **options})
        for layer in (own, theirs):
            layer.build(x.shape)
        theirs.set_weights(own.get_weights())
        (value, slope), (value_2, slope_2) = of_both(own, theirs, x)
        np.testing.assert_allclose(value, value_2, rtol=1e-5)
        np.testing.assert_allclose(slope, slope_2, rtol=1e-4, atol=1e-5)  # float32 sums of 27 products


def test_pooling_and_up_sampling_are_those_of_keras():
    for own, theirs in (
        (networks.MaxPooling2D(2, padding="same"), keras.layers.MaxPooling2D(2, padding="same")),
        (networks.MaxPooling2D(2, padding="valid"), keras.layers.MaxPooling2D(2, padding="valid")),
        (networks.UpSampling2D((2, 3)), keras.layers.UpSampling2D((2, 3))),
        (
            networks.UpSampling2D(2, interpolation="bilinear"),
            keras.layers.UpSampling2D(2, interpolation="bilinear"),
        ),
    ):
        x = np.random.default_rng(0).normal(size=(2, 9, 7, 3)).astype("float32")
        (value, slope), (value_2, slope_2) = of_both(own, theirs, x)
        np.testing.assert_allclose(value, value_2, rtol=1e-5)
        np.testing.assert_allclose(slope, slope_2, rtol=1e-5, atol=1e-6)  # float32 sums of up to six terms


def test_images_without_a_channel_axis_are_a_warning():
    with pytest.warns(UserWarning, match=r"shape \(28, 28\) get dense layers.* x\[..., None\], and \(28, 28, 1\)"):
        torusae.TorusAutoencoder.from_shape((28, 28), dim=1)
    torusae.autoencoder_networks((28, 3), decoder_input_size=2)  # a series
