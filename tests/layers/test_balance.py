"""Gradient balancing in plain Keras models: the definition by hand against one step of SGD."""

import keras
import numpy as np
import pytest
from keras import ops
from shared import tables
from shared.hosts import FEATURES, RadiusLoss
from shared.tensors import balanced, compiled, gradient, to_numpy, to_tensor

import torusae
from torusae.layers.closed_form import closed_gradient

RATE = 0.1


@pytest.fixture
def samples(rng):
    return rng.uniform(size=(20, FEATURES)).astype("float32")


def linear_model(*arguments, scale=1.0):
    """A dense layer, a latent layer and a dense layer, with weights of a fixed seed, compiled with `scale` times mse.

    The rate is that of the scaled loss, so that the steps of models with different scales can be compared.
    """
    keras.utils.set_random_seed(5)
    dense = keras.layers.Dense
    latent = torusae.TorusLatent(2, *arguments)
    model = keras.Sequential([keras.Input((FEATURES,)), dense(6), latent, dense(FEATURES, activation="tanh")])
    model.compile(keras.optimizers.SGD(RATE / scale), lambda y, output: scale * ops.mean((y - output) ** 2, axis=-1))
    return model


def weights_of(model):
    return [to_numpy(variable).copy() for variable in model.trainable_variables]


def mse_of(decoder, x):
    return lambda point: ops.mean((to_tensor(x) - decoder(point)) ** 2)


def paper_terms(spring, quantile):
    """The weighted sum of the paper's losses of points, out of the pure functions."""

    def terms(point):
        radii, angles = torusae.to_polar(point)
        quantiles = torusae.normal_quantiles(point.shape[0]).astype("float32") ** 2
        return spring * torusae.spring_loss(angles, reduction="normalized") + quantile * torusae.quantile_loss(
            radii**2, quantiles, reduction="normalized"
        )

    return terms


COMPILED = [{"run_eagerly": True}, {"jit_compile": "auto"}]
if keras.backend.backend() != "torch":  # torch.compile takes minutes and is not what `fit` does by itself
    COMPILED.append({"jit_compile": True})


@pytest.mark.parametrize("options", COMPILED, ids=str)
def test_one_step_of_sgd_is_the_balanced_gradient(options, samples):
    """Every weight after one step: the decoder's by the own loss alone, those before the point by both."""
    model = linear_model("paper", {"spring": 0.5, "quantile": 3.0})
    decoder = model.layers[-1]
    first_kernel, first_bias, kernel, bias, last_kernel, _ = weights_of(model)
    features = samples @ first_kernel + first_bias
    point = features @ kernel + bias
    own, terms = mse_of(decoder, samples), paper_terms(0.5, 3.0)
    g = balanced(own, terms, point)
    mse = float(to_numpy(own(to_tensor(point))))

    def of_last_kernel(last):
        return ops.mean((to_tensor(samples) - ops.tanh(to_tensor(point) @ last + decoder.bias)) ** 2)

    steps = {"first": samples.T @ (g @ kernel.T), "kernel": features.T @ g, "bias": g.sum(axis=0)}
    steps["last"] = gradient(of_last_kernel, last_kernel)[1]
    model.compile(keras.optimizers.SGD(RATE), "mse", **options)
    history = model.fit(samples, samples, batch_size=20, verbose=0).history
    after = weights_of(model)
    starts = (first_kernel, kernel, bias, last_kernel)
    for (name, step), start, end in zip(steps.items(), starts, (after[0], *after[2:5]), strict=True):
        # float32 sums in another order, angles of a small point amplified by atan2.
        np.testing.assert_allclose(end - start, -RATE * step, rtol=1e-3, atol=1e-6, err_msg=name)
        assert np.abs(step).max() > 1e-2
    # Nothing is added to the loss.
    np.testing.assert_allclose(history["loss"][0], mse, rtol=2e-5)


@pytest.mark.parametrize("preset", ["uniform", "paper"])
def test_a_layer_in_half_precision_takes_the_step_of_float32(preset, samples):
    steps = []
    for dtype in ("float32", "mixed_bfloat16"):
        keras.utils.set_random_seed(5)
        latent, dense = torusae.TorusLatent(2, preset, dtype=dtype), keras.layers.Dense(FEATURES)
        model = keras.Sequential([keras.Input((FEATURES,)), latent, dense])
        model.compile(keras.optimizers.SGD(RATE), "mse")
        before = weights_of(model)[0]
        model.fit(samples, samples, batch_size=20, verbose=0)
        steps.append(weights_of(model)[0] - before)
    np.testing.assert_allclose(steps[1], steps[0], atol=0.1 * np.abs(steps[0]).max())


@pytest.mark.parametrize("max_ratio", [0.5, 1e4])
def test_the_added_gradient_is_limited_relative_to_the_models_own_gradient(max_ratio, samples):
    """The step of heavy weights, limited and not."""
    model = linear_model("paper", {"spring": 50.0, "quantile": 3.0}, max_ratio)
    latent = model.layers[1]
    kernel = to_numpy(latent.projection.kernel).copy()
    features = to_numpy(model.layers[0](to_tensor(samples)))
    slope = balanced(mse_of(model.layers[-1], samples), paper_terms(50.0, 3.0), features @ kernel, max_ratio)
    model.fit(samples, samples, batch_size=20, verbose=0)
    moved = to_numpy(latent.projection.kernel) - kernel
    # float32, of the rows' largest entry: angles of a small point are amplified by atan2.
    np.testing.assert_allclose(moved, -RATE * features.T @ slope, rtol=1e-3, atol=1e-5 * np.abs(moved).max())


@pytest.mark.parametrize("scale", [1024.0, 2.0**-10])
def test_a_scaled_loss_takes_the_scaled_step(scale, samples):
    """Weights are relative: at a rate of 1 / scale the two models end at the same weights."""
    models = [linear_model("paper", scale=each) for each in (1.0, scale)]
    start = weights_of(models[0])
    for model in models:
        model.fit(samples, samples, batch_size=20, verbose=0)
    for before, one, other in zip(start, *map(weights_of, models), strict=True):
        np.testing.assert_allclose(other - before, one - before, rtol=1e-3, atol=1e-6)  # float32
        assert np.abs(one - before).max() > 1e-3


def test_a_frozen_layer_adds_no_gradient(samples):
    ends = []
    for losses in ("paper", "none"):
        model = linear_model(losses)
        model.layers[1].trainable = False
        model.fit(samples, samples, batch_size=20, verbose=0)
        ends.append([to_numpy(variable) for variable in model.weights])
    for one, other in zip(*ends, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_weight_of_zero_adds_no_gradient(samples):
    ends = []
    for arguments in (("paper", {"spring": 0, "quantile": 0}), ("none",)):
        model = linear_model(*arguments)
        model.fit(samples, samples, batch_size=20, verbose=0)
        ends.append(weights_of(model))
    for one, other in zip(*ends, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_term_that_is_not_relative_is_added_to_the_loss(samples):
    model = linear_model([torusae.Term(RadiusLoss(), 0.3, relative=False)])
    first, latent, decoder = model.layers
    kernel = to_numpy(latent.projection.kernel).copy()
    features = to_numpy(first(to_tensor(samples)))
    point = features @ kernel
    own = mse_of(decoder, samples)

    def total(point):
        return own(point) + 0.3 * ops.mean(torusae.to_polar(point)[0])

    value, slope = gradient(total, point)
    np.testing.assert_allclose(model.evaluate(samples, samples, verbose=0), value, rtol=1e-5)
    history = model.fit(samples, samples, batch_size=20, verbose=0).history
    np.testing.assert_allclose(history["loss"][0], value, rtol=1e-5)
    moved = to_numpy(latent.projection.kernel) - kernel
    np.testing.assert_allclose(moved, -RATE * features.T @ slope, rtol=1e-3, atol=1e-6)  # float32


def test_a_shared_layer_acts_in_each_call(samples):
    """Two inputs of different scale: each call has a gradient of its own size."""
    latent = torusae.TorusLatent(2, "paper", {"spring": 0.5, "quantile": 3.0})
    inputs = [keras.Input((FEATURES,)), keras.Input((FEATURES,))]
    points = [latent(each) for each in inputs]
    decoders = [keras.layers.Dense(FEATURES, activation="tanh") for _ in inputs]
    model = keras.Model(inputs, [decoder(point) for decoder, point in zip(decoders, points, strict=True)])
    pair = [samples, (2 - 3 * samples[::-1]).astype("float32")]
    kernel = to_numpy(latent.projection.kernel).copy()
    step = sum(
        x.T @ balanced(mse_of(decoder, x), paper_terms(0.5, 3.0), x @ kernel)
        for x, decoder in zip(pair, decoders, strict=True)
    )
    model.compile(keras.optimizers.SGD(RATE), ["mse", "mse"])
    model.fit(pair, pair, batch_size=20, verbose=0)
    moved = to_numpy(latent.projection.kernel) - kernel
    np.testing.assert_allclose(moved, -RATE * step, rtol=1e-3, atol=1e-6)  # float32


def test_a_point_without_a_gradient_gets_none():
    """A perfect reconstruction: the terms are relative to a gradient of 0, and stays finite."""
    latent = torusae.TorusLatent(1, "paper")
    model = keras.Sequential([keras.Input((3,)), latent, keras.layers.Dense(3, kernel_initializer="zeros")])
    model.compile(keras.optimizers.SGD(RATE), "mse")
    x = np.ones((4, 3), "float32")
    start = to_numpy(latent.projection.kernel).copy()
    model.fit(x, 0 * x, verbose=0)
    np.testing.assert_array_equal(to_numpy(latent.projection.kernel), start)


@pytest.mark.parametrize(("dim", "compile"), [(1, False), (2, True), (3, True)])
def test_the_gradient_in_closed_form_is_that_of_the_losses(dim, compile, rng):
    """The backend differentiates the same terms. Two points are equal, one has no angle, one lies on the seam."""
    space = torusae.Torus(dim)
    terms = [torusae.Term(torusae.DiaphonyLoss(2, None, 1.5), 7.0), *space.terms("uniform")]
    terms.append(torusae.Term(torusae.QuantileLoss(0.5, 0.2, reduction="sum"), 0.1, reads="squared_radii"))
    point = rng.normal(size=(9, 2 * dim)).astype("float32")
    point[1], point[2], point[3] = point[0], 0.0, np.repeat([-1.0, 0.0], dim)

    def loss(point):
        return sum(term.weight * term.loss(space.view(term.reads, point, point)) for term in terms)

    def closed(point):
        return closed_gradient(space, point, terms)

    expected = gradient(loss, point)[1]
    found = to_numpy((compiled(closed) if compile else closed)(to_tensor(point)))
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(found, expected, atol=2e-6 * np.abs(expected).max())  # float32 sums in another order
    assert not found[2].any()


def test_a_loss_without_a_closed_form_is_differentiated():
    """A subclass that inherits a gradient may have another `call`, and a subclass of a space other parts."""

    class Doubled(torusae.QuantileLoss):
        def call(self, values):
            return 2 * super().call(values)

    class OtherTorus(torusae.Torus):
        pass

    point, own = to_tensor(np.ones((4, 4), "float32")), torusae.Torus(2)
    assert closed_gradient(own, point, own.terms("uniform")) is not None
    assert closed_gradient(own, point, own.terms("paper")) is None
    assert closed_gradient(own, point, [torusae.Term(torusae.QuantileLoss(), reads="radii")]) is None
    assert closed_gradient(own, point, [torusae.Term(Doubled(), reads="squared_radii")]) is None
    assert closed_gradient(OtherTorus(2), point, own.terms("uniform")) is None


def test_loss_scaling_does_not_change_the_balance():
    results = []
    for scale in (None, 1024.0):
        keras.utils.set_random_seed(0)
        model = tables.plain_model()
        optimizer = keras.optimizers.SGD(0.01)
        if scale:
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=scale)
        model.compile(optimizer, "mse")
        x = tables.samples()
        model.fit(x, x, batch_size=64, epochs=2, shuffle=False, verbose=0)
        results.append([to_numpy(variable) for variable in model.trainable_variables])
    tables.assert_same(*results, rtol=1e-4, atol=1e-5)
