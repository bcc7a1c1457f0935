"""Mixtures of von Mises distributions: SciPy's values, and known mixtures found again."""

import numpy as np
import pytest
from scipy import special, stats
from shared.torus_points import angles_of, known, points_of, ring, wrapped

import torusae
from torusae import densities


def test_one_component_is_scipys_von_mises():
    rng = np.random.default_rng(0)
    points = points_of(rng.vonmises([0.5, -2.0], [4.0, 600.0], (500, 2)))
    density = densities.VonMisesMixture(1).fit(points)
    tested = rng.vonmises([0.5, -2.0], [4.0, 600.0], (50, 2))
    expected = stats.vonmises.logpdf(tested, density.concentrations[0], loc=density.means[0]).sum(axis=1)
    np.testing.assert_allclose(density.log_density(points_of(tested)), expected, rtol=1e-9)
    # The largest likelihood of one component is known: the direction and length of the mean vector.
    kappa, mean, _ = stats.vonmises.fit(angles_of(points)[:, 0], fscale=1)
    assert density.concentrations[0, 0] == pytest.approx(kappa, rel=1e-5)
    assert density.means[0, 0] == pytest.approx(mean, abs=1e-6)


def test_likelihood_of_uniform_angles():
    points = torusae.Torus(3).sample(20000, seed=0)
    density = densities.VonMisesMixture(1).fit(points)
    # Six free parameters fit noise by 6 / (2 · 20000) nats.
    assert density.log_likelihood(points) == pytest.approx(-3 * np.log(2 * np.pi), abs=2e-3)


def test_a_known_mixture_is_found_again():
    truth, points = known()
    density = densities.VonMisesMixture(4, seed=0).fit(points)
    order = [int(np.argmax(np.cos(density.means - mean).sum(axis=1))) for mean in truth["means"]]
    assert sorted(order) == [0, 1, 2, 3]
    # About four standard errors with the 2000 points of the smallest component: sqrt(w / 20000), 1 / sqrt(κ 2000),
    # sqrt(2 / 2000) relative, and 0.05 / sqrt(2000).
    np.testing.assert_allclose(density.weights[order], truth["weights"], atol=0.015)
    np.testing.assert_allclose(wrapped(density.means[order] - truth["means"]), 0, atol=0.03)
    np.testing.assert_allclose(density.concentrations[order], truth["concentrations"], rtol=0.13)
    np.testing.assert_allclose(density.radius_means[order], truth["radius_means"], atol=0.006)
    np.testing.assert_allclose(density.radius_deviations[order], 0.05, atol=0.005)


@pytest.mark.parametrize("mixture", [0, 3])
def test_every_seed_finds_all_components(mixture):
    """Six components on three circles: one start in three joined two of them, and lost up to 0.28 nats."""
    rng = np.random.default_rng(mixture)
    truth = densities.VonMisesMixture(6)
    shares, means, kappas = (
        rng.dirichlet(np.full(6, 3.0)),
        rng.uniform(-np.pi, np.pi, (6, 3)),
        rng.uniform(2, 30, (6, 3)),
    )
    radii = {"radius_means": np.ones((6, 3)), "radius_deviations": np.full((6, 3), 0.01)}
    truth.set_state({"weights": shares, "means": means, "concentrations": kappas, **radii})
    points, others = (truth.sample(3000, seed=mixture + offset) for offset in (0, 100))
    found = [densities.VonMisesMixture(6, seed=seed).fit(points).log_likelihood(others) for seed in range(6)]
    # 41 free parameters cost about 41 / (2 · 3000) nats on other points.
    np.testing.assert_allclose(found, truth.log_likelihood(others), atol=0.02)


def test_steps_never_lower_the_likelihood():
    points = ring(2)
    values = [
        densities.VonMisesMixture(6, max_iterations=steps, tolerance=1e-12, seed=1).fit(points).log_likelihood(points)
        for steps in (1, 2, 3, 5, 10, 20, 50)
    ]
    assert np.diff(values).min() > -1e-9
    assert values[-1] > values[0]


@pytest.mark.parametrize("components", [1, 4])
def test_number_of_components_is_chosen(components):
    _, points = known(4000, components)
    density = densities.VonMisesMixture(seed=0).fit(points)
    assert components <= len(density.weights) <= 2 * components
    _, others = known(20000, components)
    true_count = densities.VonMisesMixture(components, seed=0).fit(points)
    # What a needless component costs on other points is about its eight parameters over twice the 4000 points.
    assert density.log_likelihood(others) > true_count.log_likelihood(others) - 0.01


@pytest.mark.parametrize("kappa", [0.5, 4.0, 200.0])
def test_samples_have_the_mean_resultant_of_bessel_functions(kappa):
    density = densities.VonMisesMixture(1).fit(points_of(np.array([[1.0], [1.2]])))
    density.concentrations = np.array([[kappa]])
    points = density.sample(40000, seed=0)
    assert points.dtype == np.float32
    mean = np.exp(1j * angles_of(points)).mean()
    # Four standard errors of the mean of 40000 unit vectors, whose spread along the mean falls as 1 / κ.
    assert abs(mean) == pytest.approx(special.ive(1, kappa) / special.ive(0, kappa), abs=0.02 / max(1, kappa))
    assert np.angle(mean) == pytest.approx(1.1, abs=0.04)
    np.testing.assert_allclose(np.hypot(*points.T).mean(), 1, atol=1e-3)


def test_the_same_fit_everywhere():
    # Printed by this function: NumPy alone computes, so that no backend changes it.
    density = densities.VonMisesMixture(3, seed=0).fit(ring(1))
    np.testing.assert_allclose(np.sort(density.means[:, 0]), [-3.067728, -1.011185, 1.253654], atol=1e-5)
    expected = [[0.284673, 0.903531], [-0.975635, -0.061428]]
    np.testing.assert_allclose(density.sample(2, seed=0), expected, atol=1e-4)
