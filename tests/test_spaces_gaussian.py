"""Gaussian and product spaces: their laws, and every system of the paper's comparison trained for a few steps."""

import keras
import numpy as np
import pytest
import scipy.stats
from helpers import to_numpy, to_tensor

import torusae

SYSTEMS = [(torusae.Gaussian(2), name) for name in ("none", "wae", "swae", "cwae", "gae")]
SYSTEMS += [(torusae.Gaussian(2, variational=True), "vae")]
PRODUCT = torusae.Torus(2) * torusae.Gaussian(3)


def samples(num=70, size=5):
    return np.random.default_rng(0).normal(size=(num, size)).astype("float32")


def model_of(space, losses=None, heads=None):
    return torusae.TorusAutoencoder.from_shape((5,), space, heads, losses=losses)


@pytest.mark.parametrize(("space", "losses"), [*SYSTEMS, (PRODUCT, None)], ids=lambda v: str(v))
def test_every_system_trains_predicts_and_morphs(space, losses):
    model = model_of(space, losses)
    model.compile("adam", "mse")
    x = samples()
    history = model.fit(x, batch_size=32, epochs=2, verbose=0).history  # a last batch of 6
    assert all(np.isfinite(values).all() for values in history.values())
    codes = model.encode(x, verbose=0)
    assert codes.shape == (70, space.code_size)
    np.testing.assert_array_equal(codes, model.encode(x, verbose=0))  # nothing random outside of training
    np.testing.assert_allclose(codes, model.predict(x, verbose=0)["code"], atol=1e-6)
    assert model.sample(7, seed=1, verbose=0).shape == (7, 5)
    ways = 4 if space is PRODUCT else 1
    morph = model.morph(x[0], x[1], num_steps=4, verbose=0)
    assert morph.shape == (ways, 4, 5)
    np.testing.assert_allclose(morph[:, [0, -1]], np.tile(model.reconstruct(x[:2], verbose=0), (ways, 1, 1)), atol=1e-5)


# One of each kind: a plain space, one of posteriors, a product. The losses' own round trips are in their tests.
@pytest.mark.parametrize(("space", "losses"), [SYSTEMS[3], SYSTEMS[5], (PRODUCT, None)], ids=lambda v: str(v))
def test_saved_models_give_the_same(space, losses, tmp_path):
    model = model_of(space, losses, {"class": torusae.Head("classes", 3)})
    model.compile("adam", "mse")
    x = samples()
    model.fit(x, {"class": np.arange(70) % 3}, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert repr(again.latent.space) == repr(space)
    np.testing.assert_allclose(again.encode(x, verbose=0), model.encode(x, verbose=0), atol=1e-6)
    np.testing.assert_allclose(again.predict(x, verbose=0)["class"], model.predict(x, verbose=0)["class"], atol=1e-6)
    again.fit(x, {"class": np.arange(70) % 3}, verbose=0)


def test_variational_codes_are_drawn_in_training_alone():
    latent = torusae.Latent(torusae.Gaussian(2, variational=True))
    x = samples()
    mean = to_numpy(latent(x))
    np.testing.assert_array_equal(mean, to_numpy(latent(x)))
    drawn = [to_numpy(latent(x, training=True)) for _ in range(200)]
    log_variance = to_numpy(latent.project(to_tensor(x)))[:, 2:]
    # 200 draws: five standard errors of a mean, and 10 standard errors of a deviation (70 * 2 of them are compared).
    deviation = np.exp(log_variance / 2)
    assert (np.abs(np.mean(drawn, axis=0) - mean) < 5 * deviation / 200**0.5).all()
    assert (np.abs(np.std(drawn, axis=0) / deviation - 1) < 0.5).all()


def test_gaussian_sample_distance_paths_and_monitor():
    space = torusae.Gaussian(3)
    code = to_numpy(space.sample(3000, seed=2))
    np.testing.assert_array_equal(code, to_numpy(space.sample(3000, seed=2)))
    for i in range(3):
        assert scipy.stats.kstest(code[:, i], scipy.stats.norm.cdf).pvalue > 1e-3
    a, b = to_tensor(code[:5]), to_tensor(code[5:10])
    np.testing.assert_allclose(to_numpy(space.distance(a, b)), np.linalg.norm(code[:5] - code[5:10], axis=1), rtol=1e-5)
    path = to_numpy(space.paths(code[0], code[1], space.two_way_windings(code[0], code[1]), 5))
    np.testing.assert_allclose(path[0], np.linspace(code[0], code[1], 5), atol=1e-6)
    total = space.monitor(to_tensor(code[:1000])) + space.monitor(to_tensor(code[1000:]))
    seen = {name: float(to_numpy(value)) for name, value in space.read_monitor(total).items()}
    assert seen["mean"] == pytest.approx(np.abs(code.mean(axis=0)).max(), abs=1e-4)
    furthest = np.abs(code.std(axis=0) - 1).argmax()
    assert seen["stddev"] == pytest.approx(code.std(axis=0)[furthest], abs=1e-4)


def test_product_is_its_factors_side_by_side():
    torus, gaussian = PRODUCT.factors
    assert (PRODUCT.code_size, PRODUCT.is_circular) == (7, (True, True, False, False, False))
    code = to_numpy(PRODUCT.sample(6, seed=0))
    assert code.shape == (6, 7)
    np.testing.assert_array_equal(
        to_numpy(PRODUCT.part(to_tensor(code), "angles")), to_numpy(torus.part(to_tensor(code[:, :4]), "angles"))
    )
    np.testing.assert_array_equal(to_numpy(PRODUCT.part(to_tensor(code), "normal")), code[:, 4:])
    a, b = to_tensor(code[:3]), to_tensor(code[3:])
    squares = to_numpy(torus.distance(a[:, :4], b[:, :4])) ** 2 + to_numpy(gaussian.distance(a[:, 4:], b[:, 4:])) ** 2
    np.testing.assert_allclose(to_numpy(PRODUCT.distance(a, b)), np.sqrt(squares), rtol=1e-5)
    windings = PRODUCT.two_way_windings(code[0], code[1])
    paths = to_numpy(PRODUCT.paths(code[0], code[1], windings, 6))
    assert paths.shape == (4, 6, 7)
    np.testing.assert_allclose(paths[:, :, :4], to_numpy(torus.paths(code[0, :4], code[1, :4], windings, 6)), atol=1e-6)
    np.testing.assert_allclose(paths[2, :, 4:], np.linspace(code[0, 4:], code[1, 4:], 6), atol=1e-6)
    assert [loss.name for loss in PRODUCT.preset("default")] == ["diaphony", "quantile", "cramer_wold"]
    assert [loss.name for loss in PRODUCT.preset("paper")] == ["spring", "quantile", "cramer_wold"]
    assert [loss.name for loss in PRODUCT.preset("wae")] == ["diaphony", "quantile", "mmd"]
    assert PRODUCT.preset("none") == []


def test_products_of_one_family_are_one_space():
    assert repr(torusae.Torus(2) * torusae.Torus(3)) == "Torus(5)"
    assert repr(PRODUCT * torusae.Torus(1)) == "Torus(3) * Gaussian(3)"
    assert repr(torusae.Gaussian(1) * PRODUCT) == "Gaussian(4) * Torus(2)"
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(PRODUCT))
    assert repr(again) == repr(PRODUCT)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: torusae.Torus(2) * 3, TypeError, "only spaces can be multiplied"),
        (lambda: torusae.Gaussian(2) * torusae.Gaussian(2, True), ValueError, "can't be multiplied: they differ"),
        (lambda: torusae.Product([torusae.Torus(2)]), ValueError, "two or more spaces of different families"),
        (lambda: torusae.Gaussian(0), ValueError, "`dim` must be at least 1"),
        (lambda: torusae.Gaussian(2).preset("vae"), ValueError, r"Use Gaussian\(2, variational=True\)"),
        (lambda: torusae.Gaussian(2).preset("cwa"), ValueError, "Did you mean 'cwae'"),
        (lambda: PRODUCT.preset("papr"), ValueError, "Did you mean 'paper'"),
        (lambda: torusae.Gaussian(2).part(np.zeros((1, 2)), "angles"), ValueError, "`part` must be one of"),
        (lambda: PRODUCT.paths(np.zeros(7), np.zeros(7), np.zeros((1, 3), int)), ValueError, r"\(num_paths, 2\)"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
