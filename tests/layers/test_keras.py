"""The layers by Keras' own test of layers, and inside the layers of Keras that read masks, shapes and dtypes."""

import importlib.util

import keras
import numpy as np
import pytest
from keras import layers, ops
from shared.tensors import to_numpy

import torusae

MAKERS = {
    "Polar": (torusae.Polar, {}, (3, 2, 4)),
    "CircularEmbedding": (torusae.CircularEmbedding, {"num_harmonics": 2, "period": (24, 7)}, (3, 5, 2)),
    "classes": (torusae.Head, {"task": "classification", "num_outputs": 3, "units": (5,)}, (6, 4)),
    "numbers": (torusae.Head, {"task": "regression", "units": ()}, (6, 4)),
    "angles": (torusae.Head, {"task": "circular_regression", "period": 24}, (6, 4)),
    "TorusLatent": (torusae.TorusLatent, {"dim": 2}, (6, 4)),
    "paper": (torusae.TorusLatent, {"dim": 1, "losses": "paper"}, (6, 4)),
    **{
        space: (torusae.Latent, {"space": space}, (6, 5))
        for space in ("S2", "K x R2", "SO3 x RP2", "Gaussian(2, variational=True)", "QuantizedTorus(2, 3)")
    },
}


def make(name, **kwargs):
    layer, arguments, _ = MAKERS[name]
    return layer(**arguments, **kwargs)


def spec_of(values):
    """Columns and dtypes of a tensor or a pair."""
    return [(value.shape[-1], keras.backend.standardize_dtype(value.dtype)) for value in keras.tree.flatten(values)]


# A private import: Keras has this test of its layers in its wheel, and no public name for it. A Keras without the file
# is skipped; one whose file can't be imported fails.
@pytest.mark.skipif(importlib.util.find_spec("keras.src.testing") is None, reason="this Keras ships no tests")
@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed:UserWarning", "ignore:The model does not have any train")
@pytest.mark.parametrize("name", MAKERS)
def test_keras_own_test_of_layers(name):
    from keras.src.testing.test_case import TestCase

    layer, arguments, shape = MAKERS[name]
    masked = not issubclass(layer, torusae.Latent)
    TestCase("run_layer_test").run_layer_test(layer, arguments, input_shape=shape, supports_masking=masked)


@pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16", "float64"])
@pytest.mark.filterwarnings("ignore:Explicitly requested dtype float64")  # JAX has none unless the user enables it
def test_symbolic_dtypes_are_the_real_ones(policy):
    for name, (*_, shape) in MAKERS.items():
        layer = make(name, dtype=policy)
        real = spec_of(layer(np.ones(shape, "float32")))
        assert spec_of(layer(keras.Input(shape[1:]))) == real, name
        wide = policy == "float64" and keras.backend.backend() != "jax" and not isinstance(layer, torusae.Head)
        assert {dtype for _, dtype in real} == {"float64" if wide else "float32"}, name


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float16", "float64"])
@pytest.mark.parametrize("name", ["TorusLatent", "S2"])
@pytest.mark.filterwarnings("ignore:Explicitly requested dtype float64")
def test_a_layer_of_any_dtype_trains(name, policy, rng):
    latent = make(name, dtype=policy)
    model = keras.Sequential([keras.Input((4,)), latent, layers.Dense(4)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    x = rng.normal(size=(13, 4)).astype("float32")  # the last batch has 1 row
    before = to_numpy(ops.cast(latent.projection.kernel, "float32"))
    assert np.isfinite(model.fit(x, x, batch_size=4, verbose=0).history["loss"]).all()
    moved = to_numpy(ops.cast(latent.projection.kernel, "float32")) - before
    assert 1e-4 < np.abs(moved).max() < 10


@pytest.mark.parametrize("name", ["CircularEmbedding", "Polar", "angles"])
def test_a_masked_sequence_is_the_shorter_one(name, rng):
    """All that follows reads the mask: an LSTM ends where the sequence does."""
    columns = MAKERS[name][2][-1]
    inputs = keras.Input((None, columns))
    values = layers.Masking()(inputs)
    layer = layers.TimeDistributed(make(name)) if name == "angles" else make(name)
    model = keras.Model(inputs, [layers.LSTM(3)(each) for each in keras.tree.flatten(layer(values))])
    x = rng.uniform(1, 2, size=(3, 6, columns)).astype("float32")
    x[:, 4:] = 0
    for masked, cut in zip(*(keras.tree.flatten(model(each)) for each in (x, x[:, :4])), strict=True):
        np.testing.assert_allclose(to_numpy(masked), to_numpy(cut), atol=1e-6)


def test_a_head_passes_the_mask_of_rows_on():
    assert keras.KerasTensor is type(make("numbers")(layers.Masking()(keras.Input((4,))))._keras_mask)


@pytest.mark.parametrize("name", ["TorusLatent", "S2", "numbers"])
@pytest.mark.parametrize("steps", [3, None])
def test_time_distributed(name, steps, rng):
    """Every step by itself, and the training of all."""
    x = rng.normal(size=(8, 3, MAKERS[name][2][-1])).astype("float32")
    layer = make(name)
    model = keras.Sequential([keras.Input((steps, x.shape[-1])), layers.TimeDistributed(layer)])
    assert model.output_shape == (None, steps, layer.compute_output_shape((None, x.shape[-1]))[-1])
    expected = np.stack([to_numpy(layer(x[:, step])) for step in range(3)], axis=1)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, atol=1e-6)
    model.compile("sgd", "mse")
    assert np.isfinite(model.fit(x, 0 * expected, verbose=0).history["loss"]).all()


def test_pairs_have_shapes_and_dtypes():
    pair = torusae.Latent("RP2", dtype="mixed_float16")(keras.Input((5,)), return_point=True)
    assert spec_of(pair) == [(6, "float32"), (3, "float32")]
    assert torusae.Polar().compute_output_shape((None, 7, 6)) == ((None, 7, 3), (None, 7, 3))


def test_a_call_of_no_rows(rng):
    """No rows in, none out, in training too; a model goes on."""
    for name in ("TorusLatent", "paper", "numbers"):
        layer, shape = make(name), (0, MAKERS[name][2][-1])
        columns = layer.compute_output_shape(shape)[1]
        kwargs = {} if name == "numbers" else {"training": True}
        assert tuple(layer(np.zeros(shape, "float32"), **kwargs).shape) == (0, columns)


def test_other_shapes_and_integers_are_refused_before_any_data():
    latent, head = torusae.TorusLatent(2, name="two"), torusae.Head("regression", name="three")
    for layer in (latent, head):
        layer(keras.Input((5,)))
    integers = keras.Input((4,), dtype="int32")
    for call, error, message in [
        (
            lambda: latent(keras.Input((3, 5))),
            ValueError,
            r"layer .two. is incompatible.*expected ndim=2, found ndim=3",
        ),
        (lambda: latent(keras.Input((4,))), ValueError, r"layer .two. is incompatible.*to have value 5"),
        (lambda: head(keras.Input((3, 5))), ValueError, r"layer .three. is incompatible.*expected ndim=2"),
        (lambda: torusae.TorusLatent(2)(keras.Input((None,))), ValueError, r"TorusLatent: .*with a known num_features"),
        (lambda: torusae.Head("regression")(keras.Input((None,))), ValueError, "Head: .*with a known head_input_size"),
        (
            lambda: torusae.Polar()(keras.Input((None,))),
            ValueError,
            r"Polar: .*with a known dim.*keras.Input",
        ),
        (lambda: torusae.Polar()(keras.Input((3,))), ValueError, "last axis must be even"),
        (lambda: torusae.Polar()(integers), TypeError, "floating-point numbers. Received: dtype=int32"),
        (lambda: torusae.CircularEmbedding()(integers), TypeError, "floating-point numbers. Received: dtype=int32"),
    ]:
        with pytest.raises(error, match=message):
            call()


class Cell(layers.Layer):
    """A cell of an RNN whose state is a point."""

    state_size = 4

    def __init__(self, latent):
        super().__init__()
        self.latent = latent

    def build(self, shape):
        self.latent.build(shape)

    def call(self, values, states, training=None):
        point = self.latent(values + states[0], training=training)
        return point, [point]


def test_a_recurrent_loop_trains_as_its_unrolled_steps(rng):
    x = rng.normal(size=(8, 3, 4)).astype("float32")
    kernels = []
    for unroll in (False, True):
        keras.utils.set_random_seed(0)
        latent = torusae.TorusLatent(2)
        model = keras.Sequential([keras.Input((3, 4)), layers.RNN(Cell(latent), unroll=unroll)])
        model.compile(keras.optimizers.SGD(1.0), "mse")
        before = to_numpy(latent.projection.kernel).copy()
        model.fit(x, x[:, 0], verbose=0)
        kernels.append(to_numpy(latent.projection.kernel) - before)
    np.testing.assert_allclose(kernels[0], kernels[1], rtol=1e-3, atol=1e-5)  # float32 sums in another order
    assert np.abs(kernels[0]).max() > 1e-2
