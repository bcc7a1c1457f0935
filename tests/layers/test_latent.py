"""`Polar`, `CircularEmbedding`, `Latent` and `TorusLatent` in every kind of model, under every policy."""

import keras
import numpy as np
import pytest
from shared import tables
from shared.hosts import FEATURES, RadiusLoss, host_model
from shared.tensors import gradient, to_numpy, to_tensor

import torusae

INFORMED = ["functional", "sequential", "nested", "subclassed with training"]
KINDS = [*INFORMED, "subclassed", "nested subclassed"]


@pytest.fixture
def samples(rng):
    return rng.uniform(size=(20, FEATURES)).astype("float32")


@pytest.fixture
def policy(request):
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy("float32")


class CountedLoss(RadiusLoss):
    """Counts how often it is computed or traced."""

    calls = 0

    def call(self, values):
        CountedLoss.calls += 1
        return super().call(values)


@pytest.mark.parametrize(
    ("kind", "policy", "loss"),
    [
        *((kind, "float32", "mse") for kind in KINDS),
        ("functional", "mixed_float16", "mse"),
        ("subclassed", "mixed_float16", "binary_crossentropy"),
        ("nested", "mixed_bfloat16", "binary_crossentropy"),
    ],
    indirect=["policy"],
)
def test_any_model_trains(kind, policy, loss, samples):
    latent = torusae.TorusLatent(2, "paper")
    model = host_model(kind, latent)
    # SGD: Adam would move a weight of any gradient, rounding noise included.
    model.compile(keras.optimizers.SGD(0.01), loss)
    model(samples[:1])
    before = to_numpy(latent.projection.kernel).copy()
    history = model.fit(samples, samples, batch_size=8, epochs=2, verbose=0).history  # last batch: 4 samples
    assert set(history) == {"loss"}
    assert np.isfinite(history["loss"]).all()
    if policy == "mixed_float16":  # the loss scale starts too high, so that Keras skips the first steps
        model.fit(samples, samples, batch_size=8, epochs=8, verbose=0)
    kernel = latent.projection.kernel
    assert kernel.dtype == "float32"
    assert np.abs(to_numpy(kernel) - before).max() > 1e-6
    code = latent(to_tensor(np.ones((3, 6))))
    assert keras.backend.standardize_dtype(code.dtype) == "float32"


# Where the terms are computed


def test_every_weight_of_the_projection_gets_a_gradient_from_the_terms(rng):
    features = to_tensor(rng.normal(size=(16, 6)))
    latent = torusae.TorusLatent(3)
    latent(features)

    def loss(kernel):
        raw = features @ kernel
        return sum(latent.losses_of(raw, raw).values())

    _, slope = gradient(loss, to_numpy(latent.projection.kernel))
    # Smaller is rounding of the largest.
    assert (np.abs(slope) > 1e-6 * np.abs(slope).max()).all()
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("kind", KINDS)
def test_terms_are_computed_in_fit_alone(kind, samples):
    latent = torusae.TorusLatent(2, losses=[CountedLoss("counted")])
    model = host_model(kind, latent)
    model.compile("sgd", "mse")
    model(samples, training=False)  # Keras builds a subclassed model by tracing it as if it trained
    CountedLoss.calls = 0
    model.predict(samples, verbose=0)
    model.evaluate(samples, samples, verbose=0)
    model(samples, training=False)
    assert CountedLoss.calls == 0
    model.fit(samples, samples, verbose=0)
    assert CountedLoss.calls > 0
    assert model.losses == []


def test_the_layer_alone_goes_by_the_training_flag(samples):
    latent = torusae.TorusLatent(2, losses=[CountedLoss("counted")])
    plain = to_numpy(latent(samples))
    CountedLoss.calls = 0
    latent(samples, training=False)
    assert CountedLoss.calls == 0
    np.testing.assert_array_equal(to_numpy(latent(samples, training=True)), plain)  # terms change gradients alone
    assert CountedLoss.calls == 1
    assert latent.losses == []


def test_measured_terms_and_statistics(samples):
    latent = torusae.TorusLatent(2, [torusae.SpringLoss(), RadiusLoss()])
    radii, angles = torusae.to_polar(latent(samples))
    measured = latent.measure(to_numpy(latent.projection(to_tensor(samples))))
    expected = {
        "spring": to_numpy(torusae.spring_loss(angles, reduction="normalized")),
        "radius": to_numpy(radii).mean(),
        "kuiper": torusae.metrics.kuiper_statistic(angles).max(),
    }
    assert list(measured) == list(expected)
    for name, value in expected.items():
        assert measured[name] == pytest.approx(value, rel=1e-4)  # float32 angles


# Losses and weights as arguments


def named_weights(layer):
    return {term.name: term.weight for term in layer.terms}


def test_losses_by_name_list_and_default():
    assert list(named_weights(torusae.TorusLatent(2, losses="paper"))) == ["spring", "quantile"]
    assert torusae.TorusLatent(2, losses="none").terms == []
    assert torusae.TorusLatent(2, losses=[]).terms == []
    default, uniform = torusae.TorusLatent(2), torusae.TorusLatent(2, torusae.Torus.presets[0])
    assert named_weights(default) == named_weights(uniform)
    layer = torusae.TorusLatent(2, losses=[torusae.SpringLoss(), RadiusLoss()], loss_weights={"spring": 7})
    assert named_weights(layer) == {"spring": 7.0, "radius": 4.0}


def test_terms_have_names_weights_and_parts_of_their_own(samples):
    inner = torusae.Term(RadiusLoss(), name="inner", reads="squared_radii")
    latent = torusae.TorusLatent(1, [RadiusLoss(), inner], {"inner": 2})
    assert named_weights(latent) == {"radius": 4.0, "inner": 2.0}
    assert inner.weight == 4.0  # the term that was given is unchanged
    point = latent(samples)
    values = latent.losses_of(point, point)
    radii, _ = torusae.to_polar(point)
    np.testing.assert_allclose(to_numpy(values["radius"]), to_numpy(radii).mean(), rtol=1e-5)
    np.testing.assert_allclose(to_numpy(values["inner"]), (to_numpy(radii) ** 2).mean(), rtol=1e-5)


def test_wrong_arguments():
    for arguments, error, message in [
        ({"dim": 2.0}, TypeError, r"`dim` must be an integer. Received: dim=2.0"),
        ({"dim": 0}, ValueError, r"`dim` must be at least 1. Received: dim=0"),
        ({"losses": "papre"}, ValueError, r"must be one of .*'papre'. Did you mean 'paper'\?"),
        ({"losses": torusae.SpringLoss()}, TypeError, r"TorusLatent: `losses` must be a list.*use losses=\[loss\]"),
        ({"losses": torusae.Term(RadiusLoss())}, TypeError, r"`losses` must be a list.*use losses=\[loss\]"),
        ({"losses": ["spring"]}, TypeError, r"must be a name or hold Term or LatentLoss objects.*Received: 'spring'"),
        ({"losses": [torusae.SpringLoss()] * 2}, ValueError, r"different names. Received: \['spring', 'spring'\]"),
        ({"loss_weights": {"sprig": 1.0}}, ValueError, r"Received: loss_weights='sprig'. Did you mean 'spring'\?"),
        ({"loss_weights": {"spring": -1.0}}, ValueError, r"loss_weights\['spring'\]` must be finite and not negative"),
        ({"loss_weights": {"spring": float("nan")}}, ValueError, "finite and not negative. Received: .*nan"),
        ({"loss_weights": {"spring": "1"}}, TypeError, r"must be a number. Received: loss_weights\['spring'\]='1'"),
    ]:
        with pytest.raises(error, match=message):
            torusae.TorusLatent(**{"dim": 2, "losses": "paper", **arguments})


class WrongPart(RadiusLoss):
    reads = "angle"


def test_a_loss_of_a_part_that_the_space_lacks():
    with pytest.raises(ValueError, match=r"term 'radius': `reads` must be one of .* Did you mean 'angles'\?"):
        torusae.TorusLatent(2, losses=[WrongPart()])


def test_what_is_no_term_and_no_space():
    for make, error, message in [
        (lambda: torusae.Term(3), TypeError, r"Term: `loss` must be a LatentLoss such as SpringLoss\(\).*loss=3"),
        (lambda: torusae.Term(RadiusLoss(), -1), ValueError, "Term: `weight` must be finite and not negative.*-1"),
        (lambda: torusae.Term(RadiusLoss(), "1"), TypeError, "Term: `weight` must be a number. Received: weight='1'"),
        (lambda: torusae.Latent(3), TypeError, r"Latent: `space` must be a torusae Space such as Torus\(3\).*space=3"),
    ]:
        with pytest.raises(error, match=message):
            make()


def test_features_of_another_rank():
    for shape in [(4, 3, 2), (4,)]:
        with pytest.raises(ValueError, match=r"TorusLatent: features must have shape \(batch, num_features\).*Flatten"):
            torusae.TorusLatent(2)(np.ones(shape, "float32"))


# A loss in `compile`


def test_spring_loss_on_a_named_output(rng):
    x = rng.normal(size=(12, 4)).astype("float32")
    inputs = keras.Input((4,))
    code = torusae.TorusLatent(2, losses="none")(inputs)
    angles = keras.layers.Identity(name="angles")(torusae.Polar()(code)[1])
    model = keras.Model(inputs, {"angles": angles, "out": keras.layers.Dense(4, name="out")(code)})
    model.compile(keras.optimizers.SGD(0.0), loss={"angles": torusae.SpringLoss(), "out": "mse"})
    targets = {"angles": np.zeros((12, 1), "float32"), "out": x}
    history = model.fit(x, targets, batch_size=12, verbose=0).history
    expected = torusae.spring_loss(to_tensor(model.predict(x, verbose=0)["angles"]), reduction="normalized")
    np.testing.assert_allclose(history["angles_loss"][0], float(expected), rtol=1e-5)  # float32 sums
    np.testing.assert_allclose(history["loss"][0], history["angles_loss"][0] + history["out_loss"][0], rtol=1e-6)


def test_a_batch_statistic_takes_no_sample_weight():
    ones = np.ones((3, 1), "float32")
    with pytest.raises(ValueError, match=r"SpringLoss: takes no `sample_weight`.*shape \(3,\)"):
        torusae.SpringLoss()(ones, ones, sample_weight=np.ones(3))


# Configs


@pytest.mark.parametrize(
    "layer",
    [
        torusae.Polar(name="p"),
        torusae.CircularEmbedding(name="e"),
        torusae.CircularEmbedding(3, (24, 7.0), name="hour_and_weekday"),
        torusae.CircularEmbedding(2, np.array([24.0]), name="hour", dtype="float64"),
        torusae.TorusLatent(3, name="t"),
        torusae.Latent(torusae.Torus(2), "none", name="l"),
        torusae.TorusLatent(2, "paper", {"spring": 0}, dtype="float32"),
        torusae.TorusLatent(1, [torusae.Term(RadiusLoss(), 2.0, "squared_radii", "r", relative=False)], gather=False),
        torusae.TorusLatent(
            2,
            [torusae.SpringLoss(), RadiusLoss(), torusae.QuantileLoss(stddev=0.2, squared=True)],
            {"radius": 2.0, "spring": 0.0},
        ),
    ],
    ids=lambda layer: layer.name,
)
def test_config_round_trip(layer):
    config = keras.saving.serialize_keras_object(layer)
    assert config["registered_name"] == f"torusae>{type(layer).__name__}"
    copy = keras.saving.deserialize_keras_object(config)
    assert type(copy) is type(layer)
    assert keras.saving.serialize_keras_object(copy)["config"] == config["config"]
    if isinstance(layer, torusae.Latent):
        assert [term.get_config() for term in copy.terms] == [term.get_config() for term in layer.terms]


# Polar and CircularEmbedding


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"], indirect=True)
def test_polar_and_embedding_undo_each_other(policy, rng):
    angles = rng.uniform(-np.pi, np.pi, (7, 3)).astype("float32")
    inputs = keras.Input((3,))
    radii, same = torusae.Polar()(torusae.CircularEmbedding()(inputs))
    assert radii.shape == same.shape == (None, 3)
    model = keras.Model(inputs, [radii, same])
    # The layers compute in float32 under any policy: float16 would be off by 1e-3.
    got_radii, got = model.predict(angles, verbose=0)
    np.testing.assert_allclose(got_radii, 1.0, rtol=1e-6)
    np.testing.assert_allclose(got, angles, atol=1e-6)


def test_embedding_puts_cosines_first():
    # By hand: 0 -> (1, 0), π/2 -> (0, 1); float32 rounds π/2.
    embedded = torusae.CircularEmbedding()(np.array([[0, np.pi / 2]], "float32"))
    np.testing.assert_allclose(to_numpy(embedded), [[1, 0, 0, 1]], atol=1e-7)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"], indirect=True)
def test_embedding_of_columns_with_periods_in_a_saved_model(policy, tmp_path, rng):
    inputs = keras.Input((2,))
    embedded = torusae.CircularEmbedding(3, (24, 7), name="embedding")(inputs)
    assert embedded.shape == (None, 12)
    assert embedded.dtype == "float32"
    model = keras.Model(inputs, [embedded, keras.layers.Dense(1)(embedded)])
    values = np.stack([rng.integers(0, 600_000, 50), rng.integers(0, 7, 50)], axis=1).astype("float32")
    waves = model.predict(values, verbose=0)[0]
    turns = np.concatenate([k * values.astype("float64") / (24, 7) for k in (1, 2, 3)], axis=1)
    expected = np.concatenate([np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)], axis=1)
    np.testing.assert_allclose(waves, expected, atol=1.5e-6)  # 3 · 5e-7; float16 would be off by 1e-3
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.get_layer("embedding").period == (24.0, 7.0)
    for a, b in zip(model.predict(values, verbose=0), loaded.predict(values, verbose=0), strict=True):
        np.testing.assert_array_equal(a, b)


def test_embedding_takes_any_leading_axes_and_trains():
    inputs = keras.Input((None, 1))  # sequences of any length
    outputs = keras.layers.Dense(1)(torusae.CircularEmbedding(2, 24)(inputs))
    assert outputs.shape == (None, None, 1)
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Adam(0.1), "mse")
    hours = np.arange(48, dtype="float32").reshape(2, 24, 1)
    target = np.cos(2 * np.pi * (hours - 5) / 24) + np.sin(4 * np.pi * hours / 24)
    history = model.fit(hours, target, epochs=100, verbose=0).history["loss"]
    assert history[-1] < 1e-2 < history[0]  # linear in the four waves, so nothing has to be left


def test_what_an_embedding_refuses():
    for make, error, message in [
        (lambda: torusae.CircularEmbedding(0), ValueError, "CircularEmbedding: `num_harmonics` must be at least 1"),
        (lambda: torusae.CircularEmbedding(period=0), ValueError, "`period` must be finite and positive.*period=0.0"),
        (lambda: torusae.CircularEmbedding(period=[24, -7]), ValueError, r"`period\[1\]` must be finite and positive"),
        (lambda: torusae.CircularEmbedding(period=()), ValueError, "one number, or one for each column"),
        (lambda: torusae.CircularEmbedding(period="24"), TypeError, "`period` must be a number"),
        (
            lambda: torusae.CircularEmbedding(period=(24, 7))(keras.Input((3,))),
            ValueError,
            r"CircularEmbedding: `period` must be one number, or one for each column.*values.shape=\(None, 3\)",
        ),
        (
            lambda: torusae.CircularEmbedding(period=24)(keras.Input(())),
            ValueError,
            r"CircularEmbedding: `values` must have shape \(..., dim\).*\(None,\).*keras.Input\(\(1,\)\)",
        ),
        (
            lambda: torusae.CircularEmbedding(period=24)(np.arange(24, dtype="int32")[:, None]),
            TypeError,
            "`values` must be a tensor of floating-point numbers. Received: dtype=int32",
        ),
    ]:
        with pytest.raises(error, match=message):
            make()


def test_polar_of_an_odd_code():
    with pytest.raises(ValueError, match=r"last axis must be even.*\(2, 3\)"):
        torusae.Polar()(np.ones((2, 3), "float32"))


def test_polar_takes_any_leading_axes():
    radii, angles = torusae.Polar()(np.ones((2, 5, 4), "float32"))
    assert tuple(radii.shape) == tuple(angles.shape) == (2, 5, 2)


@pytest.mark.parametrize("make", [tables.plain_model, tables.autoencoder])
def test_plain_calls_change_nothing(make):
    """Weights stay, nothing is added to the loss, and the next step is the one without them."""
    x = tables.samples()
    results = []
    for calls in (0, 3):
        keras.utils.set_random_seed(0)
        model = make()
        model.train_on_batch(x, x)
        before = tables.values_of(model)
        for _ in range(calls):
            model(to_tensor(x))
            assert model.losses == []
        tables.assert_same(tables.values_of(model), before)
        results.append((model.train_on_batch(x, x), tables.values_of(model)))
    assert results[0][0] == results[1][0]
    tables.assert_same(results[0][1], results[1][1])


def weights_after_fit(model_class, preset="uniform", **options):
    keras.utils.set_random_seed(0)
    model = model_class(torusae.TorusLatent(2, preset))
    model.compile("adam", "mse", **options)
    x = tables.samples()
    model.fit(x, x, batch_size=64, epochs=2, shuffle=False, verbose=0)
    return tables.values_of(model)[:6]


def test_a_call_without_a_training_argument_gets_the_terms_in_fit():
    informed = weights_after_fit(tables.Informed)
    tables.assert_same(weights_after_fit(tables.Uninformed), informed, rtol=1e-5, atol=1e-6)
    tables.assert_same(weights_after_fit(tables.Uninformed, run_eagerly=True), informed, rtol=1e-4, atol=1e-5)
    plain = weights_after_fit(tables.Uninformed, "none")
    assert any(np.abs(one - two).max() > 1e-4 for one, two in zip(informed, plain, strict=True))
