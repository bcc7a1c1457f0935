"""Fitted densities: known distributions found again, SciPy's values, laws of the torus, and files."""

import json

import keras
import numpy as np
import pytest
from scipy import special, stats

import torusae
from torusae import densities

DENSITIES = [torusae.VonMisesMixture, torusae.TorusKernelDensity]
KAPPAS = np.array([1e-3, 0.1, 0.5, 1, 3, 10, 49.9, 50, 50.1, 100, 499, 500, 501, 700, 1000])


def codes_of(angles, radii=1.0):
    return np.concatenate([radii * np.cos(angles), radii * np.sin(angles)], axis=1)


def angles_of(codes):
    x, y = np.split(np.asarray(codes, "float64"), 2, axis=1)
    return np.arctan2(y, x)


def wrapped(angles):
    return (angles + np.pi) % (2 * np.pi) - np.pi


def known(num=20000, components=4, dim=3):
    """A mixture with centres far apart, and codes drawn from it."""
    rng = np.random.default_rng(3)
    truth = {
        "weights": np.arange(1, components + 1) / np.arange(1, components + 1).sum(),
        "means": wrapped(np.linspace(0, 2 * np.pi, components, endpoint=False)[:, None] + rng.normal(0, 0.2, dim)),
        "concentrations": rng.uniform(8, 40, (components, dim)),
        "radius_means": rng.uniform(0.8, 1.2, (components, dim)),
    }
    chosen = rng.choice(components, num, p=truth["weights"])
    angles = rng.vonmises(truth["means"][chosen], truth["concentrations"][chosen])
    return truth, codes_of(angles, rng.normal(truth["radius_means"][chosen], 0.05))


def ring(dim, num=300, seed=0):
    """Codes of several arcs, one across the seam: what one component can't fit."""
    rng = np.random.default_rng(seed)
    centres = rng.choice([-3.1, -1.0, 1.2], (num, dim))
    return codes_of(rng.vonmises(centres, 30.0), rng.normal(1, 0.1, (num, dim)))


@pytest.fixture(scope="module", params=["mixture", "kernel"])
def fitted(request):
    """A density of each kind on a torus of two circles."""
    density = torusae.VonMisesMixture(6, seed=0) if request.param == "mixture" else torusae.TorusKernelDensity()
    return density.fit(ring(2))


# The functions of κ


def test_bessel_functions_are_scipys():
    # Far from zero the logarithm, not I0 itself, is what must be right.
    np.testing.assert_allclose(
        densities._log_i0(KAPPAS), np.log(special.ive(0, KAPPAS)) + KAPPAS, rtol=1e-12, atol=1e-14
    )
    np.testing.assert_allclose(
        densities._resultant(KAPPAS), special.ive(1, KAPPAS) / special.ive(0, KAPPAS), rtol=1e-10
    )


def test_concentration_inverts_the_resultant():
    lengths = special.ive(1, KAPPAS) / special.ive(0, KAPPAS)
    np.testing.assert_allclose(densities._concentration(lengths), KAPPAS, rtol=1e-6)
    np.testing.assert_allclose(densities._concentration(np.array([0.0, 1.0])), [1e-3, 1e3], rtol=1e-6)


# The densities


def test_one_component_is_scipys_von_mises():
    rng = np.random.default_rng(0)
    codes = codes_of(rng.vonmises([0.5, -2.0], [4.0, 600.0], (500, 2)))
    density = torusae.VonMisesMixture(1).fit(codes)
    tested = rng.vonmises([0.5, -2.0], [4.0, 600.0], (50, 2))
    expected = stats.vonmises.logpdf(tested, density.concentrations[0], loc=density.means[0]).sum(axis=1)
    np.testing.assert_allclose(density.log_density(codes_of(tested)), expected, rtol=1e-9)
    # The largest likelihood of one component is known: the direction and length of the mean vector.
    kappa, mean, _ = stats.vonmises.fit(angles_of(codes)[:, 0], fscale=1)
    assert density.concentrations[0, 0] == pytest.approx(kappa, rel=1e-5)
    assert density.means[0, 0] == pytest.approx(mean, abs=1e-6)


def test_kernel_density_is_the_mean_of_kernels():
    codes = ring(2, 40)
    density = torusae.TorusKernelDensity(bandwidth=0.25).fit(codes)
    tested = np.random.default_rng(1).uniform(-np.pi, np.pi, (10, 2))
    kernels = stats.vonmises.logpdf(tested[:, None] - angles_of(codes)[None], 16.0).sum(axis=2)
    expected = special.logsumexp(kernels, axis=1) - np.log(40)
    np.testing.assert_allclose(density.log_density(codes_of(tested)), expected, atol=1e-4)  # codes keep six decimals


def neighbor_covariances(codes, k, scale):
    """The covariance of the noise of each code's angles and of all its coordinates, from the formula, with loops."""
    angles, radii = angles_of(codes), np.hypot(*np.split(codes, 2, axis=1))
    dim = angles.shape[1]
    of_angles, of_both = [], []
    for i in range(len(codes)):
        nearest = sorted((j for j in range(len(codes)) if j != i), key=lambda j: np.sum((codes[j] - codes[i]) ** 2))[:k]
        steps = [np.concatenate([np.angle(np.exp(1j * (angles[j] - angles[i]))), radii[j] - radii[i]]) for j in nearest]
        both = scale**2 / k * sum(np.outer(step, step) for step in steps)
        both[:dim, :dim] += scale**2 / k * sum(step[:dim] @ step[:dim] for step in steps) / (10 * dim) * np.eye(dim)
        of_angles.append(both[:dim, :dim])
        of_both.append(both)
    return of_angles, of_both


def test_neighbor_density_is_the_mean_of_normal_distributions():
    codes = np.round(ring(2, 40), 6)
    density = torusae.TorusNeighborDensity(num_neighbors=3, scale=0.7).fit(codes)
    tested = np.random.default_rng(1).uniform(-np.pi, np.pi, (10, 2))
    covariances, _ = neighbor_covariances(codes, 3, 0.7)
    for point in tested:
        logs = [
            stats.multivariate_normal.logpdf(np.angle(np.exp(1j * (point - centre))), cov=covariance)
            for centre, covariance in zip(angles_of(codes), covariances, strict=True)
        ]
        expected = special.logsumexp(logs) - np.log(40)
        assert density.log_density(codes_of(point[None]))[0] == pytest.approx(expected, rel=1e-6)


def test_samples_of_a_neighbor_density_move_along_the_data():
    codes = np.round(ring(2, 12, seed=1), 6)
    codes[:, :2] *= 1 + np.linspace(0, 3, 12)[:, None]  # radii far apart: no sample comes near another code
    codes[:, 2:] *= 1 + np.linspace(0, 3, 12)[:, None]
    codes = np.round(codes, 6)
    samples = torusae.TorusNeighborDensity(num_neighbors=2, scale=0.05).fit(codes).sample(60000, seed=0)
    _, covariances = neighbor_covariances(codes, 2, 0.05)
    # All codes are as likely: the mean over them of the noise's covariance, by the nearest code of each sample.
    nearest = ((samples[:, None] - codes) ** 2).sum(axis=2).argmin(axis=1)
    arcs = np.angle(np.exp(1j * (angles_of(samples) - angles_of(codes)[nearest])))
    rises = np.hypot(*np.split(samples, 2, axis=1)) - np.hypot(*np.split(codes, 2, axis=1))[nearest]
    found = np.cov(np.concatenate([arcs, rises], axis=1).T)
    np.testing.assert_allclose(found, np.mean(covariances, axis=0), atol=0.03 * np.mean(covariances, axis=0).max())


def test_neighbor_density_names_too_few_codes():
    with pytest.raises(ValueError, match=r"more than 5 codes\. Received: 5\. Lower num_neighbors"):
        torusae.TorusNeighborDensity().fit(ring(2, 5))


@pytest.mark.parametrize("kind", DENSITIES)
@pytest.mark.parametrize("dim", [1, 2])
def test_density_integrates_to_one(kind, dim):
    density = kind(seed=0).fit(ring(dim))
    axis = np.linspace(-np.pi, np.pi, 200, endpoint=False)  # exact for waves that are longer than two steps
    grid = np.stack(np.meshgrid(*[axis] * dim), axis=-1).reshape(-1, dim)
    integral = np.exp(density.log_density(codes_of(grid))).mean() * (2 * np.pi) ** dim
    assert integral == pytest.approx(1, abs=1e-6)


def test_radii_and_whole_turns_do_not_matter(fitted):
    angles = np.random.default_rng(0).uniform(-np.pi, np.pi, (20, 2))
    expected = fitted.log_density(codes_of(angles))
    np.testing.assert_allclose(fitted.log_density(codes_of(angles + 2 * np.pi, 0.3)), expected, atol=1e-9)


@pytest.mark.parametrize("kind", DENSITIES)
def test_turning_the_data_turns_the_density(kind):
    """Rotation and the seam: no place on a circle is special."""
    codes, turn = ring(2), np.array([2.0, -0.7])
    tested = np.random.default_rng(0).uniform(-np.pi, np.pi, (30, 2))
    options = {"num_components": 6} if kind is torusae.VonMisesMixture else {}
    first = kind(seed=0, **options).fit(codes)
    other = kind(seed=0, **options).fit(codes_of(angles_of(codes) + turn))
    expected = first.log_density(codes_of(tested))
    # The kernel density's codes are rounded to six decimals.
    np.testing.assert_allclose(other.log_density(codes_of(tested + turn)), expected, atol=1e-3)


def test_likelihood_of_uniform_angles():
    codes = torusae.Torus(3).sample(20000, seed=0)
    density = torusae.VonMisesMixture(1).fit(codes)
    # Six free parameters fit noise by 6 / (2 · 20000) nats.
    assert density.log_likelihood(codes) == pytest.approx(-3 * np.log(2 * np.pi), abs=2e-3)


# The fit


def test_a_known_mixture_is_found_again():
    truth, codes = known()
    density = torusae.VonMisesMixture(4, seed=0).fit(codes)
    order = [int(np.argmax(np.cos(density.means - mean).sum(axis=1))) for mean in truth["means"]]
    assert sorted(order) == [0, 1, 2, 3]
    # About four standard errors with the 2000 codes of the smallest component: sqrt(w / 20000), 1 / sqrt(κ 2000),
    # sqrt(2 / 2000) relative, and 0.05 / sqrt(2000).
    np.testing.assert_allclose(density.weights[order], truth["weights"], atol=0.015)
    np.testing.assert_allclose(wrapped(density.means[order] - truth["means"]), 0, atol=0.03)
    np.testing.assert_allclose(density.concentrations[order], truth["concentrations"], rtol=0.13)
    np.testing.assert_allclose(density.radius_means[order], truth["radius_means"], atol=0.006)
    np.testing.assert_allclose(density.radius_deviations[order], 0.05, atol=0.005)


def test_steps_never_lower_the_likelihood():
    codes = ring(2)
    values = [
        torusae.VonMisesMixture(6, max_iterations=steps, tolerance=1e-12, seed=1).fit(codes).log_likelihood(codes)
        for steps in (1, 2, 3, 5, 10, 20, 50)
    ]
    assert np.diff(values).min() > -1e-9
    assert values[-1] > values[0]


@pytest.mark.parametrize("components", [1, 4])
def test_number_of_components_is_chosen(components):
    _, codes = known(4000, components)
    density = torusae.VonMisesMixture(seed=0).fit(codes)
    assert components <= len(density.weights) <= 2 * components
    _, others = known(20000, components)
    true_count = torusae.VonMisesMixture(components, seed=0).fit(codes)
    # What a needless component costs on other codes is about its eight parameters over twice the 4000 codes.
    assert density.log_likelihood(others) > true_count.log_likelihood(others) - 0.01


def test_bandwidth_is_chosen_by_likelihood():
    _, codes = known(1000, dim=2)
    chosen = torusae.TorusKernelDensity().fit(codes)
    _, others = known(5000, dim=2)
    best = chosen.log_likelihood(others[2000:])
    for factor in (0.5, 2.0):
        bandwidth = factor / np.sqrt(chosen.kappa)
        assert torusae.TorusKernelDensity(bandwidth).fit(codes).log_likelihood(others[2000:]) < best
    assert best > -2 * np.log(2 * np.pi)


def test_few_and_equal_codes():
    """Nothing divides by zero: the floors on κ and on weights hold."""
    for codes in (np.ones((1, 4)), np.ones((50, 4)), np.zeros((50, 4))):
        for density in (torusae.VonMisesMixture(seed=0), torusae.VonMisesMixture(min(3, len(codes)), seed=0)):
            density.fit(codes)
            assert np.isfinite(density.log_density(codes)).all()
            assert density.concentrations.max() <= 1e3 * (1 + 1e-9)
            assert np.isfinite(density.sample(10, seed=0)).all()
    assert np.isfinite(torusae.TorusKernelDensity().fit(np.ones((2, 2))).log_likelihood(np.ones((1, 2))))


def test_kernel_density_keeps_some_codes():
    codes = ring(1, 500)
    density = torusae.TorusKernelDensity(max_codes=100, seed=0).fit(codes)
    assert density.codes.shape == (100, 2)
    assert {tuple(row) for row in density.codes} <= {tuple(row) for row in np.round(codes, 6)}


# Samples


@pytest.mark.parametrize("kappa", [0.5, 4.0, 200.0])
def test_samples_have_the_mean_resultant_of_bessel_functions(kappa):
    density = torusae.VonMisesMixture(1).fit(codes_of(np.array([[1.0], [1.2]])))
    density.concentrations = np.array([[kappa]])
    codes = density.sample(40000, seed=0)
    assert codes.dtype == np.float32
    mean = np.exp(1j * angles_of(codes)).mean()
    # Four standard errors of the mean of 40000 unit vectors, whose spread along the mean falls as 1 / κ.
    assert abs(mean) == pytest.approx(special.ive(1, kappa) / special.ive(0, kappa), abs=0.02 / max(1, kappa))
    assert np.angle(mean) == pytest.approx(1.1, abs=0.04)
    np.testing.assert_allclose(np.hypot(*codes.T).mean(), 1, atol=1e-3)


def test_samples_follow_the_density(fitted):
    """The mean log density of samples is the negative entropy, which the grid gives."""
    samples = fitted.sample(20000, seed=1)
    axis = np.linspace(-np.pi, np.pi, 200, endpoint=False)
    logs = fitted.log_density(codes_of(np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)))
    entropy = -(np.exp(logs) * logs).sum() * (2 * np.pi / 200) ** 2
    # Four standard errors: the log density of one sample deviates by about 1.
    assert fitted.log_likelihood(samples) == pytest.approx(-entropy, abs=0.03)
    radii = np.hypot(*np.split(samples, 2, axis=1))
    np.testing.assert_allclose([radii.mean(), radii.std()], [1, 0.1], atol=0.02)


def test_seeds(fitted):
    first = fitted.sample(10, seed=0)
    np.testing.assert_array_equal(fitted.sample(10, seed=0), first)
    np.testing.assert_array_equal(fitted.sample(10, seed=np.random.default_rng(0)), first)
    assert not np.array_equal(fitted.sample(10, seed=1), first)
    assert not np.array_equal(fitted.sample(10), fitted.sample(10))
    moving, same = keras.random.SeedGenerator(5), keras.random.SeedGenerator(5)
    drawn = fitted.sample(10, moving)
    np.testing.assert_array_equal(fitted.sample(10, same), drawn)
    assert not np.array_equal(fitted.sample(10, moving), drawn)


@pytest.mark.parametrize("kind", DENSITIES)
def test_the_same_seed_fits_the_same(kind):
    one, other = (kind(seed=4).fit(ring(2)) for _ in range(2))
    assert one.get_config() == other.get_config()


def test_the_same_fit_everywhere():
    # Printed by this function: NumPy alone computes, so that no backend changes it.
    density = torusae.VonMisesMixture(3, seed=0).fit(ring(1))
    np.testing.assert_allclose(np.sort(density.means[:, 0]), [-3.067728, -1.011185, 1.253654], atol=1e-5)
    expected = [[0.284673, 0.903531], [-0.975635, -0.061428]]
    np.testing.assert_allclose(density.sample(2, seed=0), expected, atol=1e-4)


# Configs and files


def test_config_round_trip(fitted):
    text = json.dumps(fitted.get_config())
    again = type(fitted).from_config(json.loads(text))
    assert again.get_config() == fitted.get_config()
    assert repr(again) == repr(fitted)
    np.testing.assert_array_equal(again.sample(20, seed=3), fitted.sample(20, seed=3))
    np.testing.assert_array_equal(again.log_density(ring(2)), fitted.log_density(ring(2)))
    serialized = keras.saving.serialize_keras_object(fitted)
    assert serialized["registered_name"] == f"torusae>{type(fitted).__name__}"
    assert keras.saving.deserialize_keras_object(serialized).get_config() == fitted.get_config()


@pytest.mark.parametrize("kind", DENSITIES)
def test_config_before_the_fit(kind):
    density = kind.from_config(kind(seed=3).get_config())
    assert density.seed == 3
    assert repr(density) == f"{kind.__name__}(not fitted)"


def tiny_model(latent=None):
    latent = latent or torusae.TorusLatent(2)
    encoder = torusae.dense_encoder((5,), units=(8,))
    return torusae.TorusAutoencoder(encoder, torusae.dense_decoder((5,), latent.space.code_size, units=(8,)), latent)


def data(num=200):
    return np.random.default_rng(2).normal(size=(num, 5)).astype("float32")


@pytest.mark.parametrize("name", ["mixture", "kernel", "neighbors"])
def test_a_model_keeps_its_density(name, tmp_path):
    model = tiny_model()
    prior = model.sample(7, seed=0, verbose=0)
    density = model.fit_density(data(), name, seed=0, verbose=0)
    assert density is model.density
    np.testing.assert_array_equal(model.sample(7, seed=0, verbose=0), prior)  # the default stays the prior
    samples = model.sample(7, seed=0, verbose=0, density="fitted")
    assert samples.shape == (7, 5)
    np.testing.assert_array_equal(samples, model.decode(density.sample(7, seed=0), verbose=0))
    # Codes of the data are likelier than codes of the prior.
    codes = model.encode(data(), verbose=0)
    assert density.log_likelihood(codes) > density.log_likelihood(model.latent.space.sample(200, seed=0))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.density.get_config() == density.get_config()
    np.testing.assert_array_equal(loaded.sample(7, seed=0, verbose=0, density="fitted"), samples)


def test_the_largest_kernel_density_adds_little_to_a_file(tmp_path):
    model = tiny_model(torusae.TorusLatent(3))
    model.save(tmp_path / "without.keras")
    model.density = torusae.TorusKernelDensity(bandwidth=0.1).fit(torusae.Torus(3).sample(6000, seed=0))
    model.save(tmp_path / "with.keras")
    added = (tmp_path / "with.keras").stat().st_size - (tmp_path / "without.keras").stat().st_size
    assert added < 500_000
    assert keras.saving.load_model(tmp_path / "with.keras").density.codes.shape == (5000, 6)


def test_a_file_without_a_density_has_no_key_for_it():
    model = tiny_model()
    config = model.get_config()
    assert "density" not in config
    assert type(model).from_config(config).density is None


def test_a_density_of_ones_own():
    class Same:
        def fit(self, codes):
            self.code = codes[:1]

        def sample(self, num_samples, seed=None):
            return np.repeat(self.code, num_samples, axis=0)

    model = tiny_model()
    density = Same()
    assert model.fit_density(data(), density, verbose=0) is density
    assert np.ptp(model.sample(3, density="fitted", verbose=0), axis=0).max() < 1e-6


# Errors


class Flat(torusae.Torus):
    """A space that is no plain torus."""


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda m: m.sample(3, density="fitted"), ValueError, r"needs a fitted density.*Call fit_density\(x\)"),
        (lambda m: m.sample(3, density="fited"), ValueError, "must be one of .*Did you mean 'fitted'"),
        (lambda m: m.fit_density(data(), "mixtur"), ValueError, "Did you mean 'mixture'"),
        (
            lambda m: m.fit_density(data(), 3),
            TypeError,
            "`density` must be 'mixture', 'kernel', 'neighbors' or an object",
        ),
        (lambda m: m.fit_density(data(), torusae.VonMisesMixture), TypeError, "Received: density=<class"),
        (lambda m: m.fit_density(data()[:, :4]), ValueError, "must have shape"),
        (
            lambda m: tiny_model(torusae.Latent(Flat(2), losses="none")).fit_density(data()),
            ValueError,
            r"must be a Torus. Received: Torus\(2\)",
        ),
    ],
)
def test_model_errors(call, error, match):
    with pytest.raises(error, match=match):
        call(tiny_model())


@pytest.mark.parametrize("kind", DENSITIES)
def test_errors(kind):
    name = kind.__name__
    with pytest.raises(ValueError, match=rf"{name}\.sample: nothing is fitted yet"):
        kind().sample(3)
    with pytest.raises(ValueError, match=r"log_density: nothing is fitted yet. Call fit\(codes\) first"):
        kind().log_density(ring(1))
    with pytest.raises(ValueError, match=r"must have shape \(num, 2 \* dim\).*Received: codes.shape=\(10, 3\)"):
        kind().fit(np.zeros((10, 3)))
    with pytest.raises(ValueError, match=r"Received: codes.shape=\(0, 4\)"):
        kind().fit(np.zeros((0, 4)))
    with pytest.raises(TypeError, match=r"floating-point numbers\. Received: dtype=int64"):
        kind().fit(np.zeros((10, 4), "int64"))
    with pytest.raises(ValueError, match="finite numbers only"):
        kind().fit(np.full((10, 4), np.nan))
    density = kind(seed=0).fit(ring(2))
    with pytest.raises(ValueError, match=r"must have shape \(num, 4\)"):
        density.log_density(ring(3))
    with pytest.raises(ValueError, match="`num_samples` must be at least 1"):
        density.sample(0)
    with pytest.raises(TypeError, match="`seed` must be an integer"):
        density.sample(3, seed="a")
    assert density.fit(ring(3)).dim == 3  # another torus is no error: it is a new fit


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: torusae.VonMisesMixture(0), ValueError, "`num_components` must be at least 1"),
        (lambda: torusae.VonMisesMixture(2.0), TypeError, "`num_components` must be an integer"),
        (lambda: torusae.VonMisesMixture(max_iterations=0), ValueError, "`max_iterations` must be at least 1"),
        (lambda: torusae.VonMisesMixture(tolerance=0), ValueError, "`tolerance` must be finite and positive"),
        (lambda: torusae.VonMisesMixture(seed=-1), ValueError, "`seed` must be at least 0"),
        (lambda: torusae.VonMisesMixture(9).fit(ring(1, 8)), ValueError, "8 codes for 9 components"),
        (lambda: torusae.TorusKernelDensity(bandwidth=0), ValueError, "`bandwidth` must be finite and positive"),
        (lambda: torusae.TorusKernelDensity(max_codes=1), ValueError, "`max_codes` must be at least 2"),
        (lambda: torusae.TorusKernelDensity().fit(ring(1, 1)), ValueError, "at least 2 codes. Received: 1"),
    ],
)
def test_constructor_and_fit_errors(call, error, match):
    with pytest.raises(error, match=match):
        call()
