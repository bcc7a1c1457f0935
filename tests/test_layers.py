"""`Polar`, `CircularEmbedding`, `Latent` and `TorusLatent` in every kind of model, under every policy."""

import keras
import numpy as np
import pytest
from helpers import gradient, to_numpy, to_tensor

import torusae

FEATURES = 5


def host_model(kind, latent):
    """A model around a latent layer, not compiled."""
    if kind == "functional":
        inputs = keras.Input((FEATURES,))
        outputs = keras.layers.Dense(FEATURES, activation="sigmoid")(latent(keras.layers.Dense(6)(inputs)))
        return keras.Model(inputs, outputs)
    if kind == "sequential":  # without an Input: built when the first batch comes
        return keras.Sequential([keras.layers.Dense(6), latent, keras.layers.Dense(FEATURES, activation="sigmoid")])
    if kind == "nested":
        inner = keras.Sequential([keras.Input((6,)), latent], name="inner")
        outer = [keras.Input((FEATURES,)), keras.layers.Dense(6), inner, keras.layers.Dense(FEATURES, "sigmoid")]
        return keras.Sequential(outer)
    if kind == "nested subclassed":
        inputs = keras.Input((FEATURES,))
        return keras.Model(inputs, Subclassed(latent)(inputs))
    return Subclassed(latent) if kind == "subclassed" else SubclassedTraining(latent)


@keras.saving.register_keras_serializable(package="torusae_tests")
class Subclassed(keras.Model):
    """Its `call` takes no `training`, as in many tutorials: Keras then tells its layers nothing, not even in `fit`."""

    def __init__(self, latent, **kwargs):
        super().__init__(**kwargs)
        self.features = keras.layers.Dense(6)
        self.latent = latent
        self.reconstruct = keras.layers.Dense(FEATURES, activation="sigmoid")

    def call(self, x):
        return self.reconstruct(self.latent(self.features(x)))  # no training: Dropout would never act here

    def get_config(self):
        return {"latent": keras.saving.serialize_keras_object(self.latent)}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config["latent"]))


@keras.saving.register_keras_serializable(package="torusae_tests")
class SubclassedTraining(Subclassed):
    def call(self, x, training=None):
        # On JAX it does not reach the layers by itself.
        return self.reconstruct(self.latent(self.features(x), training=training))


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
    before = [to_numpy(linear.kernel).copy() for linear in latent.linear_maps]
    history = model.fit(samples, samples, batch_size=8, epochs=2, verbose=0).history  # last batch: 4 samples
    assert set(history) == {"loss"}
    assert np.isfinite(history["loss"]).all()
    if policy == "mixed_float16":  # the loss scale starts too high, so that Keras skips the first steps
        model.fit(samples, samples, batch_size=8, epochs=8, verbose=0)
    for kernel, linear in zip(before, latent.linear_maps, strict=True):
        assert linear.kernel.dtype == "float32"
        assert np.abs(to_numpy(linear.kernel) - kernel).max() > 1e-6
    code = latent(to_tensor(np.ones((3, 6))))
    assert keras.backend.standardize_dtype(code.dtype) == "float32"


COMPILED = [{"run_eagerly": True}, {"jit_compile": "auto"}]
if keras.backend.backend() != "torch":  # torch.compile takes minutes and is not what `fit` does by itself
    COMPILED.append({"jit_compile": True})


@pytest.mark.parametrize("options", COMPILED, ids=str)
def test_total_is_the_weighted_sum_of_the_pure_functions(options, samples):
    """Also tells that the losses count once, with their weights, however the step is compiled."""
    latent = torusae.TorusLatent(2, "paper", loss_weights={"spring": 0.5, "quantile": 3})
    model = host_model("functional", latent)
    output = model.predict(samples, verbose=0)
    code = to_tensor(keras.Model(model.inputs, latent.output).predict(samples, verbose=0))
    radii, angles = torusae.to_polar(code)
    spring = torusae.spring_loss(angles, reduction="normalized")
    quantiles = torusae.normal_quantiles(20).astype("float32") ** 2
    quantile = torusae.quantile_loss(radii**2, quantiles, reduction="normalized")
    mse = np.mean((output - samples) ** 2)
    model.compile(keras.optimizers.SGD(0.0), "mse", **options)
    history = model.fit(samples, samples, batch_size=20, verbose=0).history
    expected = mse + 0.5 * float(spring) + 3 * float(quantile)
    # float32 sums in another order, angles of a small code amplified by atan2.
    np.testing.assert_allclose(history["loss"][0], expected, rtol=2e-5)
    np.testing.assert_allclose(model.evaluate(samples, samples, verbose=0), mse, rtol=2e-5)


def test_add_loss_holds_each_weighted_term():
    latent = torusae.TorusLatent(1, "paper", loss_weights={"spring": 2.0, "quantile": 0.0})
    latent(np.ones((4, 3), "float32"), training=True)
    # Four equal angles: the normalized spring loss is the batch size.
    np.testing.assert_allclose([float(to_numpy(loss)) for loss in latent.losses], [8.0, 0.0], rtol=1e-6)


def test_both_maps_get_a_gradient_from_the_losses(rng):
    features = to_tensor(rng.normal(size=(16, 6)))
    latent = torusae.TorusLatent(3)
    latent(features)
    for linear in latent.linear_maps:

        def loss(kernel, linear=linear):
            other = {id(linear): features @ kernel}
            parts = [other.get(id(each), each(features)) for each in latent.linear_maps]
            terms = latent.terms(keras.ops.concatenate(parts, -1))
            return sum(latent.weight_now(name) * term for name, term in terms.items())

        _, slope = gradient(loss, to_numpy(linear.kernel))
        # Every weight of every circle takes part; smaller is rounding of the largest.
        assert (np.abs(slope) > 1e-6 * np.abs(slope).max()).all()
        assert np.isfinite(slope).all()


class CountedLoss(torusae.LatentLoss):
    """Counts how often it is computed or traced."""

    calls = 0

    def call(self, values):
        CountedLoss.calls += 1
        return keras.ops.mean(values)


@pytest.mark.parametrize("kind", INFORMED)
def test_no_loss_is_computed_at_inference(kind, samples):
    latent = torusae.TorusLatent(2, losses=[CountedLoss("counted")])
    model = host_model(kind, latent)
    model.compile("sgd", "mse")
    model(samples, training=False)  # Keras builds a subclassed model by tracing it as if it trained
    CountedLoss.calls = 0
    model.predict(samples, verbose=0)
    model.evaluate(samples, samples, verbose=0)
    model(samples, training=False)
    assert CountedLoss.calls == 0
    assert model.losses == []
    model.fit(samples, samples, verbose=0)
    assert CountedLoss.calls > 0


def test_losses_count_where_call_takes_no_training(samples):
    # One circle of 20 equal angles: the loss is 20, at weight 1, whatever the layers' weights are.
    latent = torusae.TorusLatent(1, [torusae.SpringLoss()], {"spring": 1.0})
    model = host_model("subclassed", latent)
    model.compile(keras.optimizers.SGD(0.0), "mse")
    x = np.ones((20, FEATURES), "float32")
    assert 20 < model.fit(x, x, batch_size=20, verbose=0).history["loss"][0] < 22


def test_losses_of_the_layer_alone_go_with_training_flag(samples):
    latent = torusae.TorusLatent(2)
    latent(samples, training=True)
    assert len(latent.losses) == 2
    latent(samples, training=False)
    assert latent.losses == []


# Losses and weights as arguments


@keras.saving.register_keras_serializable(package="torusae_tests")
class RadiusLoss(torusae.LatentLoss):
    """A loss of a user's own."""

    part = "radii"
    default_weight = 4.0

    def __init__(self, name="radius"):
        super().__init__(name)

    def call(self, values):
        return keras.ops.mean(values)


def test_losses_by_name_list_and_default():
    assert [loss.name for loss in torusae.TorusLatent(2, losses="paper").latent_losses] == ["spring", "quantile"]
    assert torusae.TorusLatent(2, losses="none").latent_losses == []
    assert torusae.TorusLatent(2, losses=[]).latent_losses == []
    assert torusae.TorusLatent(2).losses_argument == torusae.Torus(2).default_losses
    layer = torusae.TorusLatent(2, losses=[torusae.SpringLoss(), RadiusLoss()], loss_weights={"spring": 7})
    assert layer.loss_weights == {"spring": 7.0, "radius": 4.0}


def test_a_custom_loss_counts():
    latent = torusae.TorusLatent(1, losses=[RadiusLoss()], loss_weights={"radius": 4.0})
    code = latent(np.ones((4, 3), "float32"), training=True)
    radii, _ = torusae.to_polar(code)
    np.testing.assert_allclose(float(to_numpy(latent.losses[0])), 4 * to_numpy(radii).mean(), rtol=1e-6)


def test_default_weights_rise_and_are_relative_to_the_scale_of_the_models_loss():
    latent = torusae.TorusLatent(1, losses=[RadiusLoss()], loss_scale=5.0)
    x = np.ones((4, 3), "float32")
    latent(x)
    weights = []
    for step in (0, 1000, 2000, 9000):
        latent.iterations.assign(step)
        weights.append(float(to_numpy(latent.weight_now("radius"))))
    assert weights == [0.0, 0.5, 4.0, 4.0]  # the cube of the step, until step 2000
    latent.iterations.assign(1000)
    radii, _ = torusae.to_polar(latent(x, training=True))
    expected = 5.0 * 0.5 * to_numpy(radii).mean()
    np.testing.assert_allclose(float(to_numpy(latent.losses[0])), expected, rtol=1e-6)


def test_default_weights_rise_until_60_percent_of_the_training(tmp_path):
    x = np.random.default_rng(0).normal(size=(40, 5)).astype("float32")
    host = keras.Sequential([keras.Input((5,)), torusae.TorusLatent(2), keras.layers.Dense(5)])
    host.compile("adam", "mse")
    assert int(host.layers[0].ramp_steps) == 2000
    host.fit(x, x, batch_size=8, epochs=4, callbacks=[torusae.LatentLogger()], verbose=0)
    assert int(host.layers[0].ramp_steps) == 12  # of 20 steps
    model = torusae.TorusAutoencoder.from_shape((5,), 2)
    model.compile("adam", "mse")
    model.fit(x, batch_size=8, epochs=3, validation_split=0.2, verbose=0)
    assert int(model.latent.ramp_steps) == 7  # of 12 steps
    model.fit(x, batch_size=8, epochs=9, verbose=0)
    assert int(model.latent.ramp_steps) == 7  # the ramp is over
    model.save(tmp_path / "model.keras")
    assert int(keras.models.load_model(tmp_path / "model.keras").latent.ramp_steps) == 7


def test_a_scheduled_weight_follows_the_step():
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([2, 4], [1.0, 10.0, 0.0])
    # Equal features: the spring loss of 4 equal angles is 4 whatever the weights of the layer are.
    latent = torusae.TorusLatent(2, losses=[torusae.SpringLoss()], loss_weights={"spring": schedule})
    model = keras.Sequential([keras.Input((3,)), latent, keras.layers.Dense(3, kernel_initializer="zeros")])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    x = np.ones((4, 3), "float32")
    history = model.fit(x, 0 * x, batch_size=4, epochs=6, verbose=0).history
    # The boundary belongs to the value before it; float32 rounds angles.
    np.testing.assert_allclose(history["loss"], [4.0, 4.0, 4.0, 40.0, 40.0, 0.0], rtol=1e-6)
    assert int(latent.iterations) == 6
    model.evaluate(x, x, verbose=0)
    model.predict(x, verbose=0)
    assert int(latent.iterations) == 6


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"dim": 2.0}, TypeError, r"`dim` must be an integer. Received: dim=2.0"),
        ({"dim": 0}, ValueError, r"`dim` must be at least 1. Received: dim=0"),
        ({"losses": "papre"}, ValueError, r"must be one of .*'papre'. Did you mean 'paper'\?"),
        ({"losses": torusae.SpringLoss()}, TypeError, r"TorusLatent: `losses` must be a list.*use losses=\[loss\]"),
        ({"losses": ["spring"]}, TypeError, r"must be a name or hold LatentLoss objects.*Received: 'spring'"),
        ({"losses": [torusae.SpringLoss()] * 2}, ValueError, r"different names. Received: \['spring', 'spring'\]"),
        ({"loss_weights": {"sprig": 1.0}}, ValueError, r"Received: loss_weights='sprig'. Did you mean 'spring'\?"),
        ({"loss_weights": {"spring": -1.0}}, ValueError, r"loss_weights\['spring'\]` must be finite and not negative"),
        ({"loss_weights": {"spring": float("nan")}}, ValueError, "finite and not negative. Received: .*nan"),
        ({"loss_scale": 0.0}, ValueError, r"`loss_scale` must be finite and positive"),
        ({"loss_weights": {"spring": "1"}}, TypeError, r"must be a number. Received: loss_weights\['spring'\]='1'"),
    ],
)
def test_wrong_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        torusae.TorusLatent(**{"dim": 2, "losses": "paper", **arguments})


class WrongPart(RadiusLoss):
    part = "angle"


def test_a_loss_of_a_part_that_the_space_lacks():
    with pytest.raises(ValueError, match=r"loss 'radius': `part` must be one of .* Did you mean 'angles'\?"):
        torusae.TorusLatent(2, losses=[WrongPart()])


def test_latent_takes_a_space_only():
    with pytest.raises(TypeError, match=r"Latent: `space` must be a torusae Space such as Torus\(3\).*space=3"):
        torusae.Latent(3)


@pytest.mark.parametrize("shape", [(4, 3, 2), (4,)])
def test_features_of_another_rank(shape):
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
        torusae.TorusLatent(3, name="t"),
        torusae.Latent(torusae.Torus(2), "none", name="l"),
        torusae.TorusLatent(2, "paper", {"spring": 0}, dtype="float32"),
        torusae.TorusLatent(
            2,
            [torusae.SpringLoss(), RadiusLoss(), torusae.QuantileLoss(stddev=0.2, squared=True)],
            {"radius": keras.optimizers.schedules.CosineDecay(1.0, 100), "spring": 0.0},
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
        assert [loss.get_config() for loss in copy.latent_losses] == [loss.get_config() for loss in layer.latent_losses]


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


def test_polar_of_an_odd_code():
    with pytest.raises(ValueError, match=r"last axis must be even.*\(2, 3\)"):
        torusae.Polar()(np.ones((2, 3), "float32"))


def test_polar_takes_any_leading_axes():
    radii, angles = torusae.Polar()(np.ones((2, 5, 4), "float32"))
    assert tuple(radii.shape) == tuple(angles.shape) == (2, 5, 2)
