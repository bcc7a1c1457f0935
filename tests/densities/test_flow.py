"""`TorusFlow`: the map and its inverse, the density, the fit, and its place in a model."""

import keras
import numpy as np
import pytest
from shared.tensors import to_numpy, to_tensor
from shared.torus_points import angles_of, known, points_of, ring, wrapped

import torusae
from torusae import densities
from torusae.autoencoder import use
from torusae.densities import _splines
from torusae.densities._triangular import identity


def random_flow(dim, num_bins=8, units=16, scale=0.3):
    """A flow with random weights: far from the identity, without a fit."""
    rng = np.random.default_rng(7)
    flow = densities.TorusFlow(num_bins, units)
    names = [name for name in flow._state if name != "points"]
    arrays = [array + rng.normal(0, scale, array.shape) for array in identity(dim, units, num_bins, rng)]
    flow.set_state({**dict(zip(names, arrays, strict=True)), "points": ring(dim, 50)})
    return flow


def grid(dim, num):
    axis = np.linspace(-np.pi, np.pi, num, endpoint=False)
    return np.stack(np.meshgrid(*[axis] * dim), axis=-1).reshape(-1, dim)


def uniform_angles(num, dim, seed=0):
    return np.random.default_rng(seed).uniform(-np.pi, np.pi, (num, dim))


@pytest.fixture(scope="module")
def fitted():
    """A flow on arcs of two circles, radii from 0.9 to 1.1."""
    return densities.TorusFlow(epochs=4, seed=0).fit(ring(2, 2000))


@pytest.mark.parametrize(("dim", "num"), [(1, 4000), (2, 500)])
def test_the_density_integrates_to_one(dim, num):
    logs = random_flow(dim).log_density(points_of(grid(dim, num)))
    assert np.ptp(logs) > 1
    # The density has kinks at the knots, so the sum converges as 1 / num².
    assert np.exp(logs).mean() * (2 * np.pi) ** dim == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_from_uniform_is_the_inverse_of_to_uniform(dim):
    flow, angles = random_flow(dim), uniform_angles(3000, dim)
    np.testing.assert_allclose(wrapped(flow.from_uniform(flow.to_uniform(angles)) - angles), 0, atol=1e-4)
    np.testing.assert_allclose(wrapped(flow.to_uniform(flow.from_uniform(angles)) - angles), 0, atol=1e-4)


def test_the_inverse_holds_after_a_fit(fitted):
    angles = uniform_angles(3000, 2)
    mapped = fitted.to_uniform(angles)
    assert np.all((mapped >= -np.pi) & (mapped < np.pi))
    np.testing.assert_allclose(wrapped(fitted.from_uniform(mapped) - angles), 0, atol=1e-4)


def test_the_log_density_is_the_determinant_of_finite_differences():
    flow, angles, step = random_flow(3), uniform_angles(50, 3), 1e-6
    columns = [
        wrapped(flow.to_uniform(angles + step * row) - flow.to_uniform(angles - step * row)) / (2 * step)
        for row in np.eye(3)
    ]
    determinants = np.linalg.det(np.stack(columns, axis=2))
    assert (determinants > 0).all()
    expected = np.log(determinants) - 3 * np.log(2 * np.pi)
    np.testing.assert_allclose(flow.log_density(points_of(angles)), expected, atol=1e-4)


def test_each_circle_is_mapped_once_around_without_a_jump():
    """Monotone, of degree one, continuous across the seam, with equal slopes on both sides."""
    flow, num = random_flow(2), 20000
    for circle in range(2):
        angles = np.tile(uniform_angles(1, 2), (num, 1))
        angles[:, circle] = np.linspace(-np.pi, np.pi, num, endpoint=False)
        steps = wrapped(np.diff(flow.to_uniform(angles), axis=0, append=flow.to_uniform(angles[:1])))[:, circle]
        assert (steps > 0).all()
        assert steps.sum() == pytest.approx(2 * np.pi)
        slopes = steps * num / (2 * np.pi)
        assert slopes[-1] == pytest.approx(slopes[0], rel=1e-2)  # beside the seam


def test_a_later_angle_does_not_move_an_earlier_one():
    flow, angles = random_flow(3), uniform_angles(20, 3)
    changed = angles.copy()
    changed[:, 1] += 1
    moved = np.abs(wrapped(flow.to_uniform(changed) - flow.to_uniform(angles))).max(axis=0)
    assert moved[0] == 0
    assert (moved[1:] > 1e-3).all()


def test_whole_turns_and_radii_do_not_matter(fitted):
    angles = uniform_angles(20, 2)
    np.testing.assert_allclose(wrapped(fitted.to_uniform(angles - 4 * np.pi) - fitted.to_uniform(angles)), 0, atol=1e-9)
    np.testing.assert_allclose(fitted.log_density(points_of(angles, 0.3)), fitted.log_density(points_of(angles)))


def test_splines_start_as_the_identity_and_agree_on_tensors():
    x, zeros = np.linspace(0, 0.999, 40).reshape(2, 20), np.zeros((2, 20, 15))
    y, logs = _splines.forward(x, _splines.spline(zeros))
    np.testing.assert_allclose(y, x, atol=1e-12)
    np.testing.assert_allclose(logs, 0, atol=1e-12)
    np.testing.assert_allclose(_splines.turn(_splines.spline(zeros)), 0, atol=1e-12)
    parameters = np.random.default_rng(0).normal(0, 2, zeros.shape)
    expected = _splines.forward(x, _splines.spline(parameters))
    got = _splines.forward(to_tensor(x), _splines.spline(to_tensor(parameters)))
    for tensor, array in zip(got, expected, strict=True):
        np.testing.assert_allclose(to_numpy(tensor), array, atol=2e-4)  # a position beside a knot, in float32


def test_a_narrow_density_stays_where_it_is():
    """The turn of each map: points of one narrow arc move little on average, wherever the arc lies."""
    for centre in (0.0, 3.1):
        flow = densities.TorusFlow(epochs=4, seed=0).fit(
            points_of(np.random.default_rng(0).vonmises(centre, 8, (1000, 1)))
        )
        assert np.abs(wrapped(flow.to_uniform(np.array([[centre]])) - centre)) < 0.4


def test_uniform_angles_stay_uniform():
    flow = densities.TorusFlow(seed=0, epochs=8).fit(points_of(uniform_angles(10000, 2)))
    held_out = points_of(uniform_angles(4000, 2, seed=1))
    assert flow.log_likelihood(held_out) == pytest.approx(-2 * np.log(2 * np.pi), abs=0.02)


@pytest.fixture(scope="module")
def learned():
    truth, points = known(24000)
    return truth, densities.TorusFlow(seed=0).fit(points[:20000]), points[20000:]


def test_a_known_mixture_is_learned(learned):
    truth, flow, held_out = learned
    oracle = densities.VonMisesMixture(4)
    ones = np.ones_like(truth["means"])
    names = {"radius_means": ones, "radius_deviations": ones}
    oracle.set_state({**{name: truth[name] for name in ("weights", "means", "concentrations")}, **names})
    assert flow.log_likelihood(held_out) == pytest.approx(oracle.log_likelihood(held_out), abs=0.05)


def test_the_map_makes_the_known_mixture_uniform(learned):
    _, flow, held_out = learned
    mapped = flow.to_uniform(angles_of(held_out))
    # Exceeded once in a thousand times by uniform angles: 2.3 / sqrt(num). The fit adds its own error.
    assert torusae.metrics.kuiper_statistic(mapped).max() < 2.3 / np.sqrt(4000) + 0.01
    cells = torusae.metrics.cell_occupancy(mapped, cells=8)
    assert cells["kl"] < cells["expected_kl"] + 0.05
    assert torusae.metrics.cell_occupancy(angles_of(held_out), cells=8)["kl"] > 3


def test_samples_follow_the_density(fitted):
    samples = fitted.sample(5000, seed=1)
    assert samples.dtype == "float32"
    logs = fitted.log_density(points_of(grid(2, 300)))
    entropy = -(np.exp(logs) * logs).sum() * (2 * np.pi / 300) ** 2
    assert fitted.log_likelihood(samples) == pytest.approx(-entropy, abs=0.06)
    radii = np.hypot(*np.split(samples, 2, axis=1))
    np.testing.assert_allclose([radii.mean(), radii.std()], [1, 0.1], atol=0.02)


def test_samples_have_the_radii_of_the_nearest_fitted_point():
    angles = np.random.default_rng(0).vonmises(0, 0.1, (1000, 1))
    flow = densities.TorusFlow(epochs=1, seed=0).fit(points_of(angles, 2 + np.cos(angles)))
    radii, angles = torusae.to_polar(flow.sample(200, seed=0))
    np.testing.assert_allclose(to_numpy(radii), 2 + np.cos(to_numpy(angles)), atol=0.05)


def test_the_same_seed_fits_the_same_and_leaves_the_global_seed():
    keras.utils.set_random_seed(3)
    expected = float(keras.random.uniform(()))
    keras.utils.set_random_seed(3)
    one = densities.TorusFlow(epochs=1, seed=4).fit(ring(2)).state()
    assert float(keras.random.uniform(())) == expected
    other = densities.TorusFlow(epochs=1, seed=4).fit(ring(2)).state()
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name])
    assert not np.array_equal(densities.TorusFlow(epochs=1, seed=5).fit(ring(2)).kernel_1, one["kernel_1"])


def test_the_fit_stops_before_it_overfits():
    """Few points of a uniform torus: without early stopping the likelihood falls far below."""
    flow = densities.TorusFlow(seed=0).fit(points_of(uniform_angles(300, 4)))
    assert flow.log_likelihood(points_of(uniform_angles(2000, 4, seed=1))) > -4 * np.log(2 * np.pi) - 0.05


def test_equal_points_are_no_error():
    flow = densities.TorusFlow(epochs=2, seed=0).fit(np.ones((50, 4)))
    assert np.isfinite(flow.log_density(points_of(uniform_angles(20, 2)))).all()
    assert np.isfinite(flow.sample(10, seed=0)).all()


def tiny_model():
    encoder = torusae.networks.dense_encoder((5,), units=(8,))
    return torusae.TorusAutoencoder(encoder, torusae.networks.dense_decoder((5,), 4, units=(8,)), 2)


def data(num=300):
    return np.random.default_rng(2).normal(size=(num, 5)).astype("float32")


@pytest.fixture(scope="module")
def model():
    model = tiny_model()
    model.fit_density(data(), densities.TorusFlow(epochs=2, seed=0), verbose=0)
    return model


def test_an_interrupted_fit_leaves_the_best_map_so_far(monkeypatch):
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    model, flow = tiny_model(), densities.TorusFlow(seed=0, verbose=True)
    with monkeypatch.context() as patched:
        patched.setattr("keras.utils.Progbar.update", stop)  # after the first epoch
        with pytest.raises(KeyboardInterrupt):
            model.fit_density(data(), flow, verbose=0)
    assert model.density is flow
    points = model.encode(data(), verbose=0)
    assert flow.log_likelihood(points) > -2 * np.log(2 * np.pi)  # uniform angles, where a fit starts
    before = flow.state()
    monkeypatch.setattr("keras.Model.fit", stop)
    with pytest.raises(KeyboardInterrupt):
        flow.fit(points)  # stopped in its first epoch: the earlier fit stays
    for name, array in before.items():
        np.testing.assert_array_equal(flow.state()[name], array)


def test_a_model_file_holds_the_flow(model, tmp_path):
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.density.get_config() == model.density.get_config()
    uniform = model.angles(data(), uniform=True, verbose=0)
    np.testing.assert_allclose(wrapped(loaded.angles(data(), uniform=True, verbose=0) - uniform), 0, atol=1e-5)
    np.testing.assert_array_equal(loaded.sample(7, seed=0, verbose=0), model.sample(7, seed=0, verbose=0))


def test_uniform_angles_of_a_model(model):
    angles = model.angles(data(), verbose=0)
    uniform = model.angles(data(), uniform=True, verbose=0)
    assert uniform.dtype == angles.dtype == "float32"
    assert ((uniform >= -np.pi) & (uniform < np.pi)).all()
    np.testing.assert_allclose(wrapped(uniform - model.density.to_uniform(angles)), 0, atol=1e-6)
    np.testing.assert_allclose(angles_of(model.encode(data(), verbose=0)), angles, atol=1e-6)  # as before the fit


def test_a_uniform_morph_is_straight_in_uniform_angles(model, monkeypatch):
    x = data(2)
    paths = []
    decode = use.decode

    def recorded(model, points, *arguments):
        paths.append(points)
        return decode(model, points, *arguments)

    monkeypatch.setattr(use, "decode", recorded)
    images = model.morph(x[0], x[1], num_steps=7, uniform=True, verbose=0)
    assert images.shape == (4, 7, 5)
    ends = model.encode(x, verbose=0)
    points = paths[0].reshape(4, 7, 4)
    np.testing.assert_array_equal(points[:, 0], np.tile(ends[0], (4, 1)))
    np.testing.assert_array_equal(points[:, -1], np.tile(ends[1], (4, 1)))
    for path in points:
        steps = wrapped(np.diff(model.density.to_uniform(angles_of(path)), axis=0))
        np.testing.assert_allclose(wrapped(steps - steps[:1]), 0, atol=1e-3)
    assert not np.allclose(images, model.morph(x[0], x[1], num_steps=7, verbose=0))


def test_a_model_samples_from_its_density(model):
    fitted = model.sample(5, seed=0, density="fitted", verbose=0)
    np.testing.assert_array_equal(model.sample(5, seed=0, verbose=0), fitted)
    assert not np.array_equal(model.sample(5, seed=0, density="prior", verbose=0), fitted)


def test_diagnose_reports_both(model):
    diagnosis = torusae.diagnose(model, data())
    raw, mapped = diagnosis.statistics["kuiper"], diagnosis.statistics["uniform_kuiper"]
    uniform = model.angles(data(), uniform=True, verbose=0)
    np.testing.assert_allclose(mapped.value, torusae.metrics.kuiper_statistic(uniform), atol=1e-4)
    assert mapped.chance == raw.chance
    assert "Through TorusFlow" in str(diagnosis)
    assert "uniform_kuiper" not in torusae.diagnose(tiny_model(), data()).statistics


def test_diagnose_names_a_stale_map():
    model = tiny_model()
    model.density = densities.TorusFlow(epochs=3, seed=0).fit(ring(2))
    assert "stale map" in {problem.name for problem in torusae.diagnose(model, data()).problems}


def test_errors():
    for call, error, match in [
        (lambda: densities.TorusFlow(num_bins=1), ValueError, "`num_bins` must be at least 2"),
        (lambda: densities.TorusFlow(units=0), ValueError, "`units` must be at least 1"),
        (lambda: densities.TorusFlow(epochs=1.5), TypeError, "`epochs` must be an integer"),
        (lambda: densities.TorusFlow(max_points=0), ValueError, "`max_points` must be at least 1"),
        (lambda: densities.TorusFlow(seed=-1), ValueError, "`seed` must be at least 0"),
        (lambda: densities.TorusFlow().fit(ring(1, 9)), ValueError, "at least 10 points. Received: 9"),
        (lambda: densities.TorusFlow().fit(np.zeros((20, 3))), ValueError, r"Received: points.shape=\(20, 3\)"),
        (lambda: densities.TorusFlow().fit(np.full((20, 4), np.nan)), ValueError, "finite numbers only"),
        (lambda: densities.TorusFlow().to_uniform(np.zeros((3, 2))), ValueError, "to_uniform: nothing is fitted"),
        (lambda: random_flow(2).to_uniform(np.zeros((3, 3))), ValueError, r"\(num, 2\).*angles.shape=\(3, 3\)"),
        (lambda: random_flow(2).from_uniform(np.zeros((0, 2))), ValueError, r"Received: angles.shape=\(0, 2\)"),
        (lambda: random_flow(2).to_uniform(np.zeros((3, 2), int)), TypeError, "Received: dtype=int64"),
        (lambda: random_flow(2).from_uniform(np.full((3, 2), np.inf)), ValueError, "finite numbers only"),
        (lambda: tiny_model().angles(data(), uniform=True), ValueError, r"angles: uniform=True needs.*Received: None"),
        (
            lambda: tiny_model().morph(*data(2), uniform=True),
            ValueError,
            r"morph: uniform=True.*fit_density\(x, 'flow'\)",
        ),
    ]:
        with pytest.raises(error, match=match):
            call()
