"""Angles by Bayes' rule: a linear decoder has von Mises posteriors, so all that is found is known in closed form."""

import functools

import keras
import numpy as np
import pytest
from scipy import special, stats
from shared import tables

import torusae
from torusae._internal.arrays import wrap
from torusae._internal.scaling import Scaling
from torusae.autoencoder import grid, marginals, posterior
from torusae.autoencoder.adapter import Rows

AMPLITUDE = 2.0


def circles(dim=1, columns=None):
    """A model whose decoder says `2 cos φ, 2 sin φ` of each circle and nothing in other columns."""
    columns = columns or 2 * dim
    inputs = keras.Input((2 * dim,))
    decoder = keras.Model(inputs, keras.layers.Dense(columns, use_bias=False)(inputs))
    decoder.set_weights([AMPLITUDE * np.eye(2 * dim, columns)])
    model = torusae.TorusAutoencoder(torusae.networks.dense_encoder((columns,), units=(8,)), decoder, dim)
    model.set_weights(model.get_weights())
    return model


@functools.cache
def with_noise(dim=1, columns=None, scale=0.5):
    model = circles(dim, columns)
    noise = torusae.Noise("gaussian", 0, "unknown")
    noise.set_state(
        {"scale": np.full(columns or 2 * dim, scale), "misfit": np.array([1.0, 2.0]), "blur": np.array(0.0)}
    )
    model.noise = noise
    return model


def rows(num, dim=1, scale=0.5, columns=None, seed=0):
    rng = np.random.default_rng(seed)
    angles = rng.uniform(-np.pi, np.pi, (num, dim))
    x = np.zeros((num, columns or 2 * dim))
    x[:, : 2 * dim] = AMPLITUDE * np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    return (x + scale * rng.standard_normal(x.shape)).astype("float32"), angles


@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.parametrize("scale", [0.3, 1.5])
def test_a_linear_decoder_has_von_mises_posteriors(dim, scale):
    x, _ = rows(50, dim, scale)
    found = with_noise(dim, scale=scale).posterior(x, level=0.8, verbose=0)
    cos, sin = np.split(x.astype("float64"), 2, axis=1)
    radius, mean = np.hypot(cos, sin), np.arctan2(sin, cos)
    kappa = AMPLITUDE * radius / scale**2
    error = np.sqrt(-2 * np.log(special.i1e(kappa) / special.i0e(kappa)))
    np.testing.assert_allclose(torusae.wrap_angles(found.angles - mean), 0, atol=1e-3)
    np.testing.assert_allclose(torusae.wrap_angles(found.mode - mean), 0, atol=0.05 * error.max())
    np.testing.assert_allclose(found.standard_error, error, rtol=2e-3)
    half = stats.vonmises.ppf(0.9, kappa)
    np.testing.assert_allclose(np.diff(found.interval, axis=2)[..., 0], 2 * half, rtol=0.01)
    np.testing.assert_allclose(torusae.wrap_angles(found.interval.mean(axis=2) - mean), 0, atol=0.2 * error.max())
    evidence = np.log(special.i0e(kappa)) - (radius - AMPLITUDE) ** 2 / (2 * scale**2)
    evidence = (evidence - np.log(2 * np.pi * scale**2)).sum(axis=1)
    np.testing.assert_allclose(found.log_likelihood, evidence, atol=1e-3)
    deviance = ((radius - AMPLITUDE) ** 2).sum(axis=1) / scale**2
    np.testing.assert_allclose(found.misfit, 1 - np.exp(-deviance / 2), atol=2e-3)
    assert (found.num_modes == 1).all()
    assert repr(found) == f"Posterior(50 rows, {dim} angle{'s' * (dim > 1)}, level 0.8)"


def test_intervals_are_arcs_that_may_pass_pi():
    x, _ = rows(300, scale=1.0)
    narrow, wide = (with_noise(scale=1.0).posterior(x, level=level, verbose=0).interval for level in (0.5, 0.95))
    for start, end in (narrow[:, 0].T, wide[:, 0].T):
        assert ((start >= -np.pi) & (start < np.pi) & (end >= start) & (end <= start + 2 * np.pi)).all()
    assert (wide[:, 0, 1] > np.pi).any()
    assert (np.diff(wide) > np.diff(narrow)).all()


def test_intervals_cover_what_they_say_and_the_noise_is_found():
    model = circles(columns=6)
    x, angles = rows(3000, scale=0.8, columns=6)
    outliers = np.random.default_rng(1).normal(scale=6, size=(60, 6)).astype("float32")
    noise = model.fit_noise(np.concatenate([x[:1000], outliers]), verbose=0)
    np.testing.assert_allclose(noise.scale, 0.8, rtol=0.08)
    for level in (0.5, 0.9):
        start, end = model.posterior(x, level=level, verbose=0).interval[:, 0].T
        inside = np.remainder(angles[:, 0] - start, 2 * np.pi) <= end - start
        assert abs(inside.mean() - level) < 0.03
    found = model.posterior(x, verbose=0)
    assert stats.kstest(found.misfit, "uniform").statistic < 0.06
    assert np.median(model.posterior(outliers, verbose=0).misfit) > 0.999


def test_a_column_that_the_place_says_nothing_of_tells_nothing():
    x, _ = rows(20)
    more = np.concatenate([x, np.random.default_rng(2).normal(size=(20, 3)).astype("float32")], axis=1)
    found, same = with_noise().posterior(x, verbose=0), with_noise(columns=5).posterior(more, verbose=0)
    np.testing.assert_allclose(found.standard_error, same.standard_error, rtol=1e-4)


def test_known_cells_alone_are_used():
    x, _ = rows(20, dim=2)
    known = np.ones(x.shape, bool)
    known[:, [1, 3]] = False  # of the second circle nothing is known
    known[0] = False
    found = posterior.of_rows(with_noise(2), Rows(np.where(known, x, 9.0), known=known), level=0.9)
    first = with_noise().posterior(x[:, [0, 2]], verbose=0)
    np.testing.assert_allclose(found.angles[1:, 0], first.angles[1:, 0], atol=1e-3)
    np.testing.assert_allclose(found.standard_error[1:, 0], first.standard_error[1:, 0], rtol=5e-3)
    np.testing.assert_allclose(found.log_likelihood[1:], first.log_likelihood[1:], atol=1e-3)
    np.testing.assert_allclose(np.diff(found.interval[1:, 1]), 0.9 * 2 * np.pi, rtol=0.01)
    # A row of which nothing is known has the prior.
    assert np.isnan(found.angles[0]).all()
    assert np.isinf(found.standard_error[0]).all()
    assert found.log_likelihood[0] == pytest.approx(0, abs=1e-6)


def test_constant_columns_are_left_out_and_said():
    model = circles(columns=4)
    x, _ = rows(200, columns=4)
    x[:, 3] = 7.0
    noise = model.fit_noise(x, verbose=0)
    assert noise.scale[3] == 0
    assert repr(noise) == "Noise(gaussian, of 200 rows, 1 constant column left out)"
    moved = x.copy()
    moved[:, 3] = 100.0
    np.testing.assert_array_equal(model.posterior(moved, verbose=0).angles, model.posterior(x, verbose=0).angles)


def with_blur(noise, blur):
    other = torusae.Noise(noise.kind, noise.num_rows, noise.rows)
    other.set_state({**noise.state(), "blur": np.array(blur)})
    return other


class Rippled(keras.layers.Layer):
    """`2 cos φ, 2 sin φ` and ripples in four more columns."""

    def call(self, point):
        angle = keras.ops.arctan2(point[:, 1:], point[:, :1])
        waves = [wave(order * angle) for order in (9, 11) for wave in (keras.ops.cos, keras.ops.sin)]
        return keras.ops.concatenate([AMPLITUDE * point, *[0.2 * wave for wave in waves]], axis=1)


def test_ripples_of_a_decoder_are_no_information():
    inputs = keras.Input((2,))
    decoder = keras.Model(inputs, Rippled()(inputs))
    model = torusae.TorusAutoencoder(torusae.networks.dense_encoder((6,), units=(8,)), decoder, 1)
    model.set_weights(model.get_weights())
    x, angles = rows(2000, scale=0.3, columns=6)
    noise = model.fit_noise(x, verbose=0)
    assert noise.blur >= 0.1
    covers = []
    for blur in (noise.blur, 0.0):
        model.noise = with_blur(noise, blur)
        start, end = model.posterior(x, verbose=0).interval[:, 0].T
        covers.append((np.remainder(angles[:, 0] - start, 2 * np.pi) <= end - start).mean())
    assert abs(covers[0] - 0.9) < 0.03
    assert covers[1] < 0.85


def test_a_blurred_wave_is_smaller():
    sizes = (24, 24)
    angles = marginals.angles_of(24)
    for first, second in ((1, 0), (3, 2)):
        wave = np.cos(first * angles[:, None] + second * angles).reshape(-1, 1)
        shrunk = np.exp(-0.5 * 0.4**2 * (first**2 + second**2))
        np.testing.assert_allclose(grid._blurred(wave, sizes, 0.4), shrunk * wave, atol=1e-6)


@pytest.mark.parametrize(("loss", "kind"), [("poisson", "poisson"), ("binary_crossentropy", "bernoulli")])
def test_noise_of_counts_and_of_binary_pixels(loss, kind):
    """Beside a grid in plain NumPy."""
    inputs = keras.Input((2,))
    activation = "exponential" if kind == "poisson" else "sigmoid"
    decoder = keras.Model(inputs, keras.layers.Dense(5, activation=activation)(inputs))
    model = torusae.TorusAutoencoder(torusae.networks.dense_encoder((5,), units=(8,)), decoder, 1)
    model.compile("adam", loss)
    model.set_weights(model.get_weights())
    rng = np.random.default_rng(0)
    x = rng.poisson(2, (40, 5)) if kind == "poisson" else rng.integers(0, 2, (40, 5))
    x = x.astype("float32")
    noise = model.fit_noise(x, verbose=0)
    assert noise.kind == kind
    model.noise = with_blur(noise, 0.0)
    found = model.posterior(x, verbose=0)
    angles = marginals.angles_of(2000)
    means = model.decode(angles=angles[:, None], verbose=0).astype("float64")
    of = stats.poisson(means[:, None]) if kind == "poisson" else stats.bernoulli(means[:, None])
    log_likelihood = of.logpmf(x).sum(axis=2)  # (angles, rows)
    expected = special.logsumexp(log_likelihood, axis=0) - np.log(len(angles))
    np.testing.assert_allclose(found.log_likelihood, expected, atol=1e-3)
    weights = np.exp(log_likelihood - log_likelihood.max(axis=0))
    mean = np.angle(np.exp(1j * angles) @ weights)
    np.testing.assert_allclose(torusae.wrap_angles(found.angles[:, 0] - mean), 0, atol=2e-3)


def test_rows_held_out_are_told_from_training_rows():
    x = tables.samples()
    model = tables.autoencoder()
    model.fit(x, batch_size=len(x), validation_split=0.5, verbose=0)
    held_out = len(x) - len(x) // 2
    assert repr(model.fit_noise(x, verbose=0)) == f"Noise(gaussian, of {held_out} rows held out)"
    assert model.fit_noise(x[: len(x) // 2], verbose=0).rows == "training"


def test_the_noise_is_saved_and_forgotten(tmp_path):
    x = tables.samples()
    model = tables.autoencoder()
    model.train_on_batch(x)
    noise = model.fit_noise(x, verbose=0)
    found = model.posterior(x, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert repr(loaded.noise) == repr(noise)
    np.testing.assert_array_equal(loaded.noise.scale, noise.scale)
    np.testing.assert_allclose(loaded.posterior(x, verbose=0).standard_error, found.standard_error, rtol=1e-4)
    model.save_weights(tmp_path / "model.weights.h5")
    for change in (
        lambda: model.fit(x, batch_size=50, verbose=0),
        lambda: model.train_on_batch(x),
        lambda: model.set_weights(model.get_weights()),
    ):
        model.noise = noise
        change()
        assert model.noise is None
    model.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(model.noise.scale, noise.scale)


def test_errors():
    x, _ = rows(10)
    model = with_noise()
    with pytest.raises(ValueError, match=r"fit_noise: needs a trained model.*Call fit\(x\) first"):
        torusae.TorusAutoencoder.from_shape((4,), dim=1).fit_noise(x)
    with pytest.raises(ValueError, match=r"posterior: needs the noise.*Call fit_noise\(x\) first"):
        circles().posterior(x)
    with pytest.raises(ValueError, match="`level` must lie between 0 and 1"):
        model.posterior(x, level=1)
    with pytest.raises(ValueError, match="must have shape"):
        model.posterior(x[:, :1])
    with pytest.raises(ValueError, match="finite"):
        model.posterior(np.full((2, 2), np.nan, "float32"))
    with pytest.raises(ValueError, match="at least two samples"):
        model.fit_noise(x[:1])
    with pytest.raises(ValueError, match="not constant"):
        model.fit_noise(np.ones((5, 2), "float32"))
    with pytest.raises(ValueError, match=r"noise of samples of shape \(2,\)"):
        model.noise = torusae.Noise("gaussian", 0, "unknown")
    with pytest.raises(ValueError, match="finite sizes"):
        model.noise.set_state({"scale": np.array([-1.0, 1.0]), "misfit": np.ones(2), "blur": np.zeros(())})
    with pytest.raises(ValueError, match="must hold the arrays"):
        model.noise.set_state({})


def test_a_frame_has_hours_where_a_period_is_given():
    x, _ = rows(30, dim=2)
    found = with_noise(2).posterior(x, verbose=0)
    frame, hours = found.to_dataframe(), found.to_dataframe(period=(24, 360))
    names = [f"{name}{i}" for i in range(2) for name in ("angle", "standard_error", "mode", "start", "end")]
    assert list(frame.columns) == [*names, "log_likelihood", "misfit", "num_modes"]
    np.testing.assert_array_equal(frame["angle1"], found.angles[:, 1])
    np.testing.assert_allclose(frame["end0"], found.interval[:, 0, 1])
    assert hours["angle0"].between(0, 24).all()
    np.testing.assert_allclose(hours["angle0"], found.angles[:, 0] % (2 * np.pi) * 24 / (2 * np.pi))
    np.testing.assert_allclose(hours["standard_error1"], np.degrees(found.standard_error[:, 1]))
    np.testing.assert_allclose(hours["end1"] - hours["start1"], np.degrees(np.ptp(found.interval[:, 1], axis=1)))
    with pytest.raises(ValueError, match="one for each column"):
        found.to_dataframe(period=(24, 24, 24))


def test_no_rows_have_no_posterior():
    found = with_noise().posterior(np.zeros((0, 2), "float32"), verbose=0)
    assert found.angles.shape == (0, 1)
    assert found.interval.shape == (0, 1, 2)


def test_a_model_with_a_scaling_has_the_same_posterior_in_the_units_of_the_data():
    x, _ = rows(60, columns=4)
    plain, scaled = circles(columns=4), circles(columns=4)
    mean, scale = np.array([3.0, -1.0, 0.0, 100.0]), np.array([10.0, 0.1, 1.0, 5.0])
    scaled.adapter.scaling = Scaling(mean, scale)
    plain.fit_noise(x, verbose=0)
    scaled.fit_noise(mean + scale * x, verbose=0)
    found, same = plain.posterior(x, verbose=0), scaled.posterior(mean + scale * x, verbose=0)
    np.testing.assert_allclose(same.standard_error, found.standard_error, rtol=0.02)
    np.testing.assert_allclose(same.log_likelihood, found.log_likelihood - np.log(scale).sum(), atol=0.02)


# Any space: modes with a normal distribution around each.


def linear(space, matrix, scale):
    """A model of a space whose decoder is linear, with noise of one size."""
    inputs = keras.Input((space.decoder_input_size,))
    columns = matrix.shape[1]
    decoder = keras.Model(inputs, keras.layers.Dense(columns, use_bias=False)(inputs))
    decoder.set_weights([matrix])
    model = torusae.TorusAutoencoder(
        torusae.networks.dense_encoder((columns,), units=(8,)), decoder, torusae.Latent(space)
    )
    model.set_weights(model.get_weights())
    noise = torusae.Noise("gaussian", 0, "unknown")
    noise.set_state({"scale": np.full(columns, scale), "misfit": np.array([1.0, 2.0]), "blur": np.array(0.0)})
    model.noise = noise
    return model


def test_a_gaussian_space_has_the_posterior_of_linear_regression():
    matrix = np.array([[1.0, 0.5, 0.0, 2.0], [0.0, 1.0, -1.0, 1.0]], "float32")
    model = linear(torusae.Gaussian(2), matrix, 0.5)
    x = np.random.default_rng(0).normal(size=(30, 4)).astype("float32")
    found = model.posterior(x, verbose=0)
    precision = np.eye(2) + matrix @ matrix.T / 0.25
    np.testing.assert_allclose(found.point, x @ matrix.T / 0.25 @ np.linalg.inv(precision), atol=1e-3)
    evidence = stats.multivariate_normal(np.zeros(4), matrix.T @ matrix + 0.25 * np.eye(4)).logpdf(x)
    np.testing.assert_allclose(found.log_likelihood, evidence, atol=5e-3)
    assert found.angles.shape == (30, 0)
    assert (found.num_modes == 1).all()


def test_angles_of_a_product_have_the_errors_of_their_circle():
    matrix = np.zeros((3, 4), "float32")
    matrix[[0, 1, 2], [0, 1, 2]] = AMPLITUDE, AMPLITUDE, 1.0
    model = linear(torusae.Torus(1) * torusae.Gaussian(1), matrix, 0.1)
    x, _ = rows(30, scale=0.1, columns=4)
    x[:, 2] += np.random.default_rng(3).normal(size=30)
    found, alone = model.posterior(x, verbose=0), with_noise(scale=0.1).posterior(x[:, :2], verbose=0)
    np.testing.assert_allclose(torusae.wrap_angles(found.angles - alone.angles), 0, atol=2e-3)
    np.testing.assert_allclose(found.standard_error, 0.1 / AMPLITUDE, rtol=1e-3)  # by the expected information
    np.testing.assert_allclose(np.diff(found.interval), np.diff(alone.interval), rtol=0.1)
    others = stats.norm(0, np.hypot(1, 0.1)).logpdf(x[:, 2]) + stats.norm(0, 0.1).logpdf(x[:, 3])
    np.testing.assert_allclose(found.log_likelihood, alone.log_likelihood + others, atol=0.1)


def test_an_angle_that_could_be_two_has_two_modes():
    """The first column alone is known: its cosine leaves the sign of the angle open."""
    matrix = np.zeros((6, 6), "float32")
    np.fill_diagonal(matrix, AMPLITUDE)
    model = linear(torusae.Torus(3), matrix, 0.1)
    x, angles = rows(20, dim=3, scale=0.1)
    found = model.posterior(x, verbose=0)
    assert np.abs(wrap(found.angles - angles)).max() < 0.25
    known = np.ones(x.shape, bool)
    known[:, 3] = False  # the sine of the first angle
    found = posterior.of_rows(model, Rows(x, known=known), level=0.9)
    clear = np.abs(np.sin(angles[:, 0])) > 0.6
    assert (found.num_modes[clear] == 2).mean() > 0.8


# Probabilities on a grid.


def mixture(weights, places, kappa=20.0):
    angles = marginals.angles_of(256)
    row = sum(w * np.exp(kappa * (np.cos(angles - place) - 1)) for w, place in zip(weights, places, strict=True))
    return (row / row.sum())[None]


@pytest.mark.parametrize(
    ("weights", "places", "modes"),
    [([1], [3.1], 1), ([0.6, 0.4], [3.0, 0.5], 2), ([0.98, 0.02], [0, 2], 1), ([0.4, 0.3, 0.3], [-2, 0, 2.5], 3)],
)
def test_modes_are_counted_around_the_circle(weights, places, modes):
    row = mixture(weights, places)
    assert marginals.num_modes(np.concatenate([row, np.roll(row, 77, axis=1)])).tolist() == [modes, modes]
    assert marginals.num_modes(np.full((1, 256), 1 / 256)).tolist() == [1]


def test_the_smallest_arc_of_two_modes_is_that_of_a_search():
    row = np.concatenate([mixture([0.6, 0.4], [3.0, 0.5]), mixture([0.5, 0.5], [-3.0, 3.0]), mixture([1], [0.2], 0.3)])
    for level in (0.3, 0.55, 0.9):
        arcs = marginals.smallest_arcs(row, level)
        below = np.concatenate([np.zeros((3, 1)), np.cumsum(np.tile(row, 2), axis=1)], axis=1)
        for (start, end), sums in zip(arcs, below, strict=True):
            ends = np.interp(sums[:256] + level, sums, np.arange(513))
            assert end - start == pytest.approx((ends - np.arange(256)).min() * 2 * np.pi / 256, abs=0.02)
