"""Input that a fuzzer found to end badly: each now has a finite result or an error that names the function."""

import keras
import numpy as np
import pytest
from shared.tables import SHAPE, autoencoder, samples
from shared.tensors import gradient, to_numpy, to_tensor

import torusae
from torusae import densities, losses, metrics, networks, plots

RAGGED = [[1.0, 2.0], [3.0]]
ONES = np.ones((3, 2), "float32")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: torusae.wrap_angles(RAGGED), ValueError, r"wrap_angles: .*rows differ in length"),
        (lambda: losses.sliced_loss(ONES, RAGGED), ValueError, r"sliced_loss: .*rows differ in length"),
        (lambda: densities.VonMisesMixture().fit(RAGGED), ValueError, r"VonMisesMixture.fit: .*differ in length"),
        (lambda: plots.plot_samples(RAGGED), ValueError, r"plot_samples: .*rows differ in length"),
        (lambda: autoencoder().decode(RAGGED), ValueError, r"TorusAutoencoder.decode: .*rows differ in length"),
        (lambda: autoencoder().decode([["a"] * 4]), TypeError, r"TorusAutoencoder.decode: .*must be numbers"),
        (
            lambda: torusae.angle_difference(ONES, ONES[:, :1].repeat(3, 1)),
            ValueError,
            r"angle_difference: .*broadcast.*a.shape=\(3, 2\), b.shape=\(3, 3\)",
        ),
        (lambda: torusae.to_cartesian(ONES, ONES[:2]), ValueError, r"to_cartesian: .*broadcast.*angles.shape=\(2, 2\)"),
        (lambda: torusae.wrap_angles(ONES, 1e-300), ValueError, r"wrap_angles: `period` must lie between.*1e-300"),
        (lambda: torusae.spring_loss(ONES, 1e30), ValueError, r"spring_loss: `period` must lie between.*1e\+30"),
        (lambda: torusae.angles.integer_vectors([2]), TypeError, r"integer_vectors: `dim` must be an integer"),
        (lambda: torusae.angles.integer_vectors(10**9, 10**9), ValueError, r"integer_vectors: .*more than 1048576"),
        (lambda: torusae.windings(10**30), ValueError, r"windings: `dim` must be at most 2147483647.*10{30}"),
        (lambda: torusae.windings(10**9, 0), ValueError, r"windings: .*more than 1048576"),
        (
            lambda: torusae.morph_paths(ONES[0], ONES[0], "elbow"),
            TypeError,
            r"morph_paths: `windings` must be integers.*dtype=<U5",
        ),
        (lambda: torusae.spring_loss(ONES, reduction=ONES), ValueError, r"spring_loss: `reduction` must be one of"),
        (
            lambda: torusae.normal_quantiles(3, None),
            ValueError,
            r"normal_quantiles: `mean` must be a finite number.*None",
        ),
        (
            lambda: torusae.normal_quantiles(3, np.nan),
            ValueError,
            r"normal_quantiles: `mean` must be a finite number.*nan",
        ),
        (lambda: metrics.intrinsic_dimension(np.eye(4), seed="a"), TypeError, r"intrinsic_dimension: `seed` must be"),
        (lambda: torusae.Torus(1).sample(2, seed=10**12), ValueError, r"`seed` must be at most.*10{12}"),
        (lambda: torusae.Torus(1).sample(2, seed="a"), TypeError, r"`seed` must be an integer.*'a'"),
        (
            lambda: torusae.Gaussian(2).distance(ONES, "elbow"),
            TypeError,
            r"Gaussian.distance: `b` must be a tensor of floating-point numbers",
        ),
        (
            lambda: (torusae.Torus(1) * torusae.Gaussian(2)).distance(ONES, ONES),
            ValueError,
            r"Product.distance: points must have 4 columns.*\(3, 2\)",
        ),
        (lambda: torusae.TorusLatent(2, 3), TypeError, r"TorusLatent: `losses` must be a name or a list.*losses=3"),
        (lambda: torusae.TorusLatent(2, loss_weights=ONES), TypeError, r"TorusLatent: `loss_weights` must be a dict"),
        (lambda: torusae.Head("classification", 3, units=4), TypeError, r"Head: `units` must be a sequence.*units=4"),
        (lambda: torusae.Head(ONES), ValueError, r"Head: `task` must be one of"),
        (
            lambda: networks.dense_encoder(4),
            TypeError,
            r"dense_encoder: `input_shape` must be a sequence.*input_shape=4",
        ),
        (lambda: networks.dense_decoder((4,), 2, 5), TypeError, r"dense_decoder: `units` must be a sequence.*units=5"),
        (
            lambda: torusae.TorusAutoencoder.from_shape((4,), heads=3),
            TypeError,
            r"TorusAutoencoder: `heads` must be a dict.*heads=3",
        ),
        (
            lambda: autoencoder().encode("elbow"),
            TypeError,
            r"TorusAutoencoder.encode: `x` must be an array or a stream.*str",
        ),
        (lambda: autoencoder().fit({}), TypeError, r"TorusAutoencoder.fit: `x` must be an array or a stream.*dict"),
        (
            lambda: autoencoder().predict(3),
            TypeError,
            r"TorusAutoencoder.predict: `x` must be an array or a stream.*int",
        ),
        (lambda: plots.plot_spring(np.float32(1)), ValueError, r"plot_spring: `angles` must have shape"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


LOSSES = {
    "spring_loss": losses.spring_loss,
    "quantile_loss": lambda values: losses.quantile_loss(values, np.zeros(len(values), "float32")),
    "diaphony_loss": losses.diaphony_loss,
    "circular_wasserstein_loss": losses.circular_wasserstein_loss,
    "product_moment_loss": losses.product_moment_loss,
    "cramer_wold_loss": losses.cramer_wold_loss,
    "gaussian_distance_loss": losses.gaussian_distance_loss,
    "kl_loss": losses.kl_loss,
    "maximum_mean_discrepancy": losses.maximum_mean_discrepancy,
    "harmonic_loss": losses.harmonic_loss,
    "character_loss": losses.character_loss,
}


@pytest.mark.parametrize("shape", [(0, 2), (3, 0)], ids=str)
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_of_nothing_is_refused(name, shape):
    with pytest.raises(
        ValueError, match=rf"{name}: .*must hold at least one row and one column.*\({shape[0]}, {shape[1]}\)"
    ):
        LOSSES[name](np.zeros(shape, "float32"))


@pytest.mark.parametrize("length", [0.0, 1e-40, 1e-30, 1.0, 1e30])
def test_directions_of_any_length_have_a_finite_loss(length):
    values = np.random.default_rng(0).normal(size=(8, 2)).astype("float32")
    directions = np.array([[3.0, 4.0], [-1.0, 0.0]]) * length
    value, slope = gradient(lambda x: losses.sliced_wasserstein_loss(x, directions.astype("float32")), values)
    assert np.isfinite(value)
    assert np.all(np.isfinite(slope))
    if length == 1:
        unit = losses.sliced_wasserstein_loss(values, np.array([[0.6, 0.8], [-1.0, 0.0]], "float32"))
        np.testing.assert_allclose(value, to_numpy(unit), rtol=1e-5)


def test_ends_of_a_morph_may_differ_in_dtype():
    x, model = samples(2), autoencoder()
    half = keras.ops.cast(to_tensor(x[1]), "bfloat16")
    assert model.morph(x[0].astype("float16"), half, verbose=0).shape[2:] == SHAPE


def test_the_preset_none_of_a_gaussian_has_no_terms():
    assert torusae.Gaussian(2).terms("none") == []


def test_a_training_that_diverged_logs_nan_and_goes_on():
    x, model = samples(), autoencoder()
    model.compile(keras.optimizers.SGD(1e30), "mse")
    history = model.fit(x, batch_size=64, epochs=3, verbose=0).history
    assert np.isnan(history["kuiper"][-1])
    assert np.isnan(history["loss"][-1])


def test_a_decoder_that_was_replaced_is_neither_trained_nor_saved(tmp_path):
    x, model = samples(), autoencoder()
    old = model.decoder
    model.decoder = networks.dense_decoder(SHAPE, 4, units=(5,))
    kept = [to_numpy(variable) for variable in old.trainable_variables]
    parts = (model.encoder, model.latent, model.decoder)
    assert len(model.trainable_variables) == sum(len(part.trainable_variables) for part in parts)
    model.compile("adam", "mse")
    model.fit(x, batch_size=64, verbose=0)  # a warning of variables without gradients would fail
    for variable, value in zip(old.trainable_variables, kept, strict=True):
        np.testing.assert_array_equal(to_numpy(variable), value)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        loaded.predict(x, verbose=0)["reconstruction"], model.predict(x, verbose=0)["reconstruction"]
    )
